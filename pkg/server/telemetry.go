package server

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/schema"
)

// testingTelemetry has MLflow's own developers collect telemetry whatever else is set, from other addresses.
const testingTelemetry = "_MLFLOW_TESTING_TELEMETRY"

// automated are the variables by which MLflow knows tests and CI systems (_is_ci_env_or_testing).
var automated = []string{
	"BITBUCKET_BUILD_NUMBER", "BUILDKITE", "CI", "CIRCLECI", "CLOUD_RUN_EXECUTION", "CODEBUILD_BUILD_ARN",
	"GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "PYTEST_CURRENT_TEST", "RUNBOT_BUILD_NAME", "RUNBOT_HOST_URL",
	"RUNBOT_WORKER_ID", "TEAMCITY_VERSION", "TF_BUILD", "TRAVIS",
}

// collectsTelemetry is the opposite of MLflow's is_telemetry_disabled, which takes a value that it can't
// read for a wish not to be watched. Development versions, which collect nothing, are another mode's.
func collectsTelemetry(lookup func(name string) (value string, present bool)) bool {
	if value, present := lookup("MLFLOW_DISABLE_TELEMETRY"); present && (value == "" || !isFalse(value)) {
		return false
	}

	if value, _ := lookup("DO_NOT_TRACK"); strings.EqualFold(value, "true") {
		return false
	}

	return !slices.ContainsFunc(automated, func(name string) bool {
		_, present := lookup(name)

		return present
	})
}

const (
	// telemetryConfig is where MLflow's makers say what the UI shall tell them (UI_CONFIG_URL of mlflow.telemetry).
	telemetryConfig = "https://d139nb52glx00z.cloudfront.net/" + schema.MLflowVersion + ".json"
	// telemetryTimeout is how long that is waited for, and telemetryAge how long it is remembered, whatever came of it.
	telemetryTimeout = time.Second
	telemetryAge     = 3 * time.Hour
	// maxTelemetryConfig is more than it will ever have, in bytes.
	maxTelemetryConfig = 1 << 20
)

// Telemetry knows what of its users' doings the UI shall tell MLflow's makers (_get_or_fetch_ui_telemetry_config). What
// the UI tells goes to MLflow's Python server, which hands it on.
type Telemetry struct {
	address string // "" where nothing is collected

	mu    sync.Mutex
	asked time.Time
	found wantedTelemetry
}

// wantedTelemetry is an answer to the UI.
type wantedTelemetry struct {
	enabled bool
	// events are those not wanted, and rollout is the share of users, in percent, who take part: values of JSON.
	events, rollout any
}

// NewTelemetry looks at the environment for whether anything is collected.
func NewTelemetry(lookup func(name string) (value string, present bool)) *Telemetry {
	if !collectsTelemetry(lookup) {
		return &Telemetry{}
	}

	return &Telemetry{address: telemetryConfig}
}

// wanted is what is collected at present. Whoever asks first waits for MLflow's makers, a second at most.
func (t *Telemetry) wanted(ctx context.Context) wantedTelemetry {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.asked.IsZero() || time.Since(t.asked) >= telemetryAge {
		t.found = fetchTelemetry(context.WithoutCancel(ctx), t.address)
		t.asked = time.Now()
	}

	return t.found
}

// fetchTelemetry asks MLflow's makers (fetch_ui_telemetry_config). Nothing is collected where they don't answer, or say
// something odd.
func fetchTelemetry(ctx context.Context, address string) wantedTelemetry {
	nothing := wantedTelemetry{events: []any{}, rollout: int64(0)}
	if address == "" {
		return nothing
	}

	ctx, cancel := context.WithTimeout(ctx, telemetryTimeout)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nothing
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nothing
	}
	defer response.Body.Close() //nolint:errcheck // it was read

	text, err := io.ReadAll(io.LimitReader(response.Body, maxTelemetryConfig))
	if err != nil || response.StatusCode != http.StatusOK {
		return nothing
	}

	parsed, err := codec.Parse(string(text))
	config, isObject := parsed.(*codec.Raw)

	if err != nil || !isObject {
		return nothing
	}

	found := nothing
	if events, isSaid := config.Get("disable_ui_events"); isSaid {
		found.events = events
	}

	if rollout, isSaid := config.Get("ui_rollout_percentage"); isSaid {
		found.rollout = rollout
	}

	found.enabled = !slices.ContainsFunc([]string{"disable_ui_telemetry", "disable_telemetry"}, func(name string) bool {
		disabled, isSaid := config.Get(name)

		return !isSaid || disabled != false
	})

	return found
}

// uiTelemetry tells the UI what to collect (get_ui_telemetry_handler).
func uiTelemetry(ctx context.Context, from plainSource, _ *fasthttp.RequestCtx, _ []byte) ([]byte, error) {
	wanted := from.telemetry.wanted(ctx)

	answer := &codec.Raw{}
	answer.Set("disable_ui_events", wanted.events)
	answer.Set("disable_ui_telemetry", !wanted.enabled)
	answer.Set("ui_rollout_percentage", wanted.rollout)

	return append(codec.AppendCompact(nil, answer), '\n'), nil
}

// tellTelemetry answers who wants to tell where nothing is collected (post_ui_telemetry_handler).
func tellTelemetry(ctx context.Context, from plainSource, request *fasthttp.RequestCtx, body []byte) ([]byte, error) {
	const disabled, success = `{"status":"disabled"}`, `{"status":"success"}`

	if from.telemetry.address == "" {
		return []byte(disabled + "\n"), nil
	}

	if from.telemetry.wanted(ctx).enabled {
		return nil, contract.ErrLeftToPython
	}

	status := disabled
	if tellsNothing(request, body) {
		status = success
	}

	return []byte(status + "\n"), nil
}

// tellsNothing says that a request is one of the UI's, but without records.
func tellsNothing(request *fasthttp.RequestCtx, body []byte) bool {
	parsed, err := codec.Parse(string(body))
	object, isObject := parsed.(*codec.Raw)

	if err != nil || !isObject || checkContentType(request) != nil {
		return false
	}

	records, isSaid := object.Get("records")
	list, isList := records.([]any)

	return !isSaid || isList && len(list) == 0
}
