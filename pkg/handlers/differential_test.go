package handlers_test

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/handlers"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/registry"
	"github.com/mlflow/mlflow-go/pkg/tracing"
	"github.com/mlflow/mlflow-go/pkg/tracking"
	"github.com/mlflow/mlflow-go/pkg/validation"
)

//go:embed testdata/oracle.py
var oracleScript string

const artifactRoot = "mlflow-artifacts://storage:8080/root"

// exchange is a request, sent to MLflow and to ourselves, each with a database of its own.
type exchange struct {
	method, path string
	members      map[string]any
}

func post(path string, members map[string]any) exchange { return exchange{"POST", path, members} }

func get(path string, members map[string]any) exchange { return exchange{"GET", path, members} }

type answer struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
	// Events is what webhooks would be told, an event a line.
	Events string `json:"events"`
}

// listener notes what webhooks would be told.
type listener struct{ told []string }

// Notify takes an event.
func (l *listener) Notify(_ context.Context, event contract.Event) {
	var line strings.Builder

	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)

	if err := encoder.Encode([]any{
		strings.ToLower(event.Entity.String()), strings.ToLower(event.Action.String()), event.Payload,
	}); err != nil {
		line.WriteString(err.Error())
	}

	l.told = append(l.told, strings.TrimSpace(line.String()))
}

// side answers requests. Ids that it made up are known by names: $run0, $run1, … stand for them
// in requests.
type side struct {
	answer func(t *testing.T, e exchange) answer
	dump   func(t *testing.T) []string
	runs   []string
	models []string
	// experiments are those that a part made.
	experiments []string
}

// newOurs starts what the server makes of an environment.
func newOurs(t *testing.T, uri string, environment map[string]string) *side {
	t.Helper()

	options, err := tracking.OptionsFromEnvironment(func(name string) string { return environment[name] })
	require.NoError(t, err)

	options.ArtifactRoot = artifactRoot

	db := databasetest.Open(t, uri)
	store, err := tracking.New(db, options)
	require.NoError(t, err)
	require.NoError(t, store.Initialize(t.Context()))

	locations := handlers.Locations{
		Trusted:        []string{artifactRoot},
		AllowedSchemes: handlers.SplitSchemes(environment["MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES"]),
		MaxLength:      options.MaxArtifactLocationLength,
	}
	webhooks := &listener{}
	services := map[string]any{
		"MlflowService": handlers.Tracking(contract.Mlflow{TrackingService: store, TracingService: tracing.New(db)}, locations),
		"ModelRegistryService": handlers.Registry(registry.New(db, store),
			handlers.RegistryOptions{Tracking: store, Locations: locations, Events: webhooks}),
	}

	return &side{
		answer: func(t *testing.T, e exchange) answer {
			t.Helper()

			a := serve(t, services, e)
			a.Events, webhooks.told = strings.Join(webhooks.told, "\n"), nil

			return a
		},
		dump: func(t *testing.T) []string {
			t.Helper()

			return dump(t, db)
		},
	}
}

// serve is the server's way of a request, without the server.
func serve(t *testing.T, services map[string]any, e exchange) answer {
	t.Helper()

	method, path := methodAt(t, e)
	message := method.NewRequest()

	var err error

	if method.Path != contract.PathOnly {
		err = readMessage(t, method, message, e)
	}

	for name, value := range path {
		if method.Path != contract.PathIgnored {
			codec.SetParameter(message, name, value)
		}
	}

	ctx := t.Context()
	if e.method == "GET" {
		ctx = contract.WithQuery(ctx, e.query())
	}

	if err == nil {
		response, failed := method.Call(ctx, services[method.Service], message)
		if failed == nil {
			return answer{Status: http.StatusOK, Body: string(codec.Encode(nil, response))}
		}

		err = failed
	}

	failure := contract.AsError(err)

	return answer{Status: codec.HTTPStatus(failure.Code), Body: string(codec.EncodeError(nil, failure))}
}

func readMessage(t *testing.T, method contract.Method, message proto.Message, e exchange) error {
	t.Helper()

	var (
		request *codec.Request
		err     error
	)

	if e.method == "GET" && len(e.members) > 0 {
		request, err = codec.DecodeQuery([]byte(e.query()), message)
	} else {
		request, err = codec.DecodeBody(e.body(t), message)
	}

	if err != nil {
		return err
	}

	return validation.Check(method, request)
}

// methodAt finds the method of a request and the parameters in its path.
func methodAt(t *testing.T, e exchange) (contract.Method, map[string]string) {
	t.Helper()

	for _, method := range contract.Methods {
		for _, endpoint := range method.Endpoints {
			if path, ok := match(t, endpoint.Path, "/mlflow/"+e.path); ok && endpoint.Verb == e.method {
				return method, path
			}
		}
	}

	t.Fatalf("no method answers %s %s", e.method, e.path)

	return contract.Method{}, nil
}

func match(t *testing.T, pattern, path string) (parameters map[string]string, ok bool) {
	t.Helper()

	wanted, given := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(wanted) != len(given) {
		return nil, false
	}

	parameters = make(map[string]string)

	for i, segment := range wanted {
		switch {
		case strings.HasPrefix(segment, "{"):
			value, err := url.PathUnescape(given[i])
			require.NoError(t, err)

			parameters[strings.Trim(segment, "{}")] = value
		case segment != given[i]:
			return nil, false
		}
	}

	return parameters, true
}

func (e exchange) query() string {
	query := make(url.Values)
	for name, value := range e.members {
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}

		for _, item := range list {
			query.Add(name, fmt.Sprint(item))
		}
	}

	return query.Encode()
}

func (e exchange) body(t *testing.T) []byte {
	t.Helper()

	body, err := json.Marshal(e.members)
	require.NoError(t, err)

	return body
}

// newMLflow starts MLflow in an environment; it reads the same tables for a dump as we do.
func newMLflow(t *testing.T, uri string, environment map[string]string) *side {
	t.Helper()

	variables := make([]string, 0, 2+len(environment))
	variables = append(variables, "MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_LOGGING_LEVEL=CRITICAL")
	for name, value := range environment {
		variables = append(variables, name+"="+value)
	}

	oracle, err := pythontest.Start(variables, "-c", oracleScript, uri, artifactRoot)
	require.NoError(t, err)
	t.Cleanup(func() { _ = oracle.Close() })

	return &side{
		answer: func(t *testing.T, e exchange) answer {
			t.Helper()

			request := map[string]any{"method": e.method, "path": e.path}
			if e.method == "GET" {
				request["query"] = e.query()
			} else {
				request["body"] = string(e.body(t))
			}

			var a answer

			oracle.Ask(t, request, &a)

			return a
		},
		dump: func(t *testing.T) []string {
			t.Helper()

			return dump(t, databasetest.Open(t, uri))
		},
	}
}

var (
	modelIDPattern  = regexp.MustCompile(`m-[0-9a-f]{32}`)
	runIDPattern    = regexp.MustCompile(`[0-9a-f]{32}`)
	timePattern     = regexp.MustCompile(`\b1[78]\d{11}\b`)
	namePattern     = regexp.MustCompile(`\b[a-z]+-[a-z]+-\d{1,4}\b`)
	sqlPattern      = regexp.MustCompile(`(\\nDETAIL|\\n\[SQL).*", "sqlstate"`)
	flushPattern    = regexp.MustCompile(`\(raised as a result of [^)]*\)\\n`)
	databasePattern = regexp.MustCompile("`mlflow_test_\\w+`\\.")
	driverPattern   = regexp.MustCompile(`\(psycopg2?\.(errors\.)?\w+\)`)
	setPattern      = regexp.MustCompile(`\{'[^{}]*'\}`)
	digits          = regexp.MustCompile(`\d+`)
)

// exchange sends a request and gives the answer with what differs by nature made the same: ids,
// times, random names, and the part of database errors that shows the statement.
func (s *side) exchange(t *testing.T, e exchange) answer {
	t.Helper()

	path := e.path
	for i, id := range s.models {
		path = strings.ReplaceAll(path, "$model"+strconv.Itoa(i), id)
	}

	a := s.answer(t, exchange{e.method, path, s.resolve(e.members).(map[string]any)})

	if e.path == "runs/create" && a.Status == http.StatusOK {
		s.runs = append(s.runs, runIDPattern.FindString(a.Body))
	}

	if e.method == "POST" && e.path == "logged-models" && a.Status == http.StatusOK {
		s.models = append(s.models, modelIDPattern.FindString(a.Body))
	}

	if e.path == "experiments/create" && a.Status == http.StatusOK {
		s.experiments = append(s.experiments, digits.FindString(a.Body))
	}

	a.Body, a.Events = s.normal(a.Body), s.normal(a.Events)

	return a
}

func (s *side) normal(text string) string {
	for i, id := range s.models {
		text = strings.ReplaceAll(text, id, "$model"+strconv.Itoa(i))
	}

	for i, id := range s.runs {
		text = strings.ReplaceAll(text, id, "$run"+strconv.Itoa(i))
	}

	text = runIDPattern.ReplaceAllString(text, "<id>")
	text = timePattern.ReplaceAllString(text, "1") // a number still
	text = namePattern.ReplaceAllString(text, "<name>")
	text = setPattern.ReplaceAllStringFunc(text, func(set string) string { // Python's are in an order of the process
		members := strings.Split(strings.Trim(set, "{}"), ", ")
		slices.Sort(members)

		return "{" + strings.Join(members, ", ") + "}"
	})
	text = flushPattern.ReplaceAllString(text, "")
	text = driverPattern.ReplaceAllString(text, "(psycopg)")
	text = databasePattern.ReplaceAllString(text, "`database`.")

	return sqlPattern.ReplaceAllString(text, `", "sqlstate"`)
}

// resolve puts what was made up for its names.
func (s *side) resolve(value any) any {
	switch value := value.(type) {
	case string:
		for name, ids := range map[string][]string{"$run": s.runs, "$model": s.models, "$experiment": s.experiments} {
			for i, id := range slices.Backward(ids) { // $run1 begins $run10
				value = strings.ReplaceAll(value, name+strconv.Itoa(i), id)
			}
		}

		return value
	case []any:
		resolved := make([]any, len(value))
		for i, item := range value {
			resolved[i] = s.resolve(item)
		}

		return resolved
	case map[string]any:
		resolved := make(map[string]any, len(value))
		for name, member := range value {
			resolved[name] = s.resolve(member)
		}

		return resolved
	default:
		return value
	}
}

// dump gives the rows of the tables that tracking writes, sorted.
func dump(t *testing.T, db *database.DB) []string {
	t.Helper()

	var rows []string

	for table, columns := range map[string]string{
		"experiments":     "experiment_id, name, artifact_location, lifecycle_stage, workspace, creation_time > 0, last_update_time > 0",
		"experiment_tags": `#key, value, experiment_id`,
		"runs": "run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, end_time, " +
			"deleted_time > 0, source_version, lifecycle_stage, artifact_uri, experiment_id",
		"tags":              `#key, value, run_uuid`,
		"params":            `#key, value, run_uuid`,
		"metrics":           `#key, value, timestamp, step, is_nan, run_uuid`,
		"latest_metrics":    `#key, value, timestamp, step, is_nan, run_uuid`,
		"datasets":          "experiment_id, name, digest, dataset_source_type, dataset_source, dataset_schema, dataset_profile",
		"inputs":            "source_type, source_id, destination_type, destination_id, step",
		"registered_models": "name, creation_time > 0, last_updated_time > 0, description, workspace",
		"model_versions": "name, version, creation_time > 0, last_updated_time >= creation_time, description, user_id, " +
			"current_stage, source, run_id, status, status_message, run_link, storage_location, workspace",
		"registered_model_tags":    `#key, value, name, workspace`,
		"model_version_tags":       `#key, value, name, version, workspace`,
		"registered_model_aliases": "alias, version, name, workspace",
		"logged_model_tags":        "tag_key, tag_value, model_id",
		"input_tags":               "(SELECT i.destination_id FROM inputs i WHERE i.input_uuid = input_tags.input_uuid), name, value",
	} {
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			columns := strings.ReplaceAll(columns, "#key", tx.Dialect().Quote("key"))

			found, err := tx.Query("SELECT " + columns + " FROM " + table)
			if err != nil {
				return err
			}
			defer func() { require.NoError(t, found.Close()) }()

			names, err := found.Columns()
			if err != nil {
				return err
			}

			for found.Next() {
				values := make([]any, len(names))
				for i := range values {
					values[i] = new(any)
				}

				if err := found.Scan(values...); err != nil {
					return err
				}

				row := []string{table}
				for _, value := range values {
					value := *value.(*any)
					if text, ok := value.([]byte); ok {
						value = string(text)
					}

					row = append(row, fmt.Sprint(value))
				}

				rows = append(rows, strings.Join(row, " "))
			}

			return found.Err()
		}))
	}

	return rows
}

// TestAgreesWithMLflow sends the same requests to MLflow and to ourselves and holds answers equal,
// byte for byte, and at the end the tables.
func TestAgreesWithMLflow(t *testing.T) {
	for _, source := range databasetest.Sources() {
		t.Run(source.Name, func(t *testing.T) {
			theirs, ours := newMLflow(t, source.URI(t), nil), newOurs(t, source.URI(t), nil)

			for _, part := range []struct {
				name      string
				exchanges []exchange
			}{
				{"Rules", rules()}, {"Names", names()}, {"Logging", logging()},
				{"Histories", histories()},
				{"Inputs", inputs()},
				{"SearchLoggedModels", searchLoggedModels(source.Name)},
				{"LoggedModels", loggedModels()},
				{"Registry", registryRules(source.Name == "sqlite")},
				{"RegistrySources", registrySources()},
				{"RegistrySearch", registrySearch(source.Name == "sqlite", source.Name == "mysql")},
			} {
				t.Run(part.name, func(t *testing.T) {
					theirs.runs, ours.runs = nil, nil
					theirs.models, ours.models = nil, nil
					theirs.experiments, ours.experiments = nil, nil

					compare(t, source, theirs, ours, part.exchanges)
				})
			}
		})
	}
}

// TestAgreesWithMLflowOnLimits does so where the environment asks for other limits.
func TestAgreesWithMLflowOnLimits(t *testing.T) {
	source := databasetest.Sources()[0]
	environment := map[string]string{
		"MLFLOW_TRUNCATE_LONG_VALUES":                    "False",
		"MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH":            " 2_0 ",
		"MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES": "FTP, http",
	}

	compare(t, source, newMLflow(t, source.URI(t), environment), newOurs(t, source.URI(t), environment), limits())
}

func compare(t *testing.T, source databasetest.Source, theirs, ours *side, exchanges []exchange) {
	t.Helper()

	for i, e := range exchanges {
		want, got := theirs.exchange(t, e), ours.exchange(t, e)
		if isUnordered(e) && want.Status == got.Status && source.Name != "sqlite" {
			want.Body, got.Body = unordered(t, e, want.Body), unordered(t, e, got.Body)
		}

		if want != got {
			t.Errorf("%d: %s %s %v\nMLflow %d %s\n%s\nours   %d %s\n%s",
				i, e.method, e.path, e.members, want.Status, want.Body, want.Events, got.Status, got.Body, got.Events)
		}
	}

	require.Equal(t, theirs.rows(t), ours.rows(t))
}

// isUnordered tells of answers with lists that no ORDER BY orders.
func isUnordered(e exchange) bool {
	return strings.Contains(e.path, "/get") && !strings.HasPrefix(e.path, "metrics/") ||
		slices.ContainsFunc([]string{"logged-models", "registered-models", "model-versions"}, func(entity string) bool {
			return strings.HasPrefix(e.path, entity)
		})
}

// unordered sorts the lists in an answer. PostgreSQL gives rows without ORDER BY as they lie in the
// table, where an update moves them, MySQL in the order of whichever index it takes.
func unordered(t *testing.T, e exchange, body string) string {
	t.Helper()

	var parsed any

	require.NoError(t, json.Unmarshal([]byte(body), &parsed))
	sortByKey(parsed, strings.HasSuffix(e.path, "search"))

	sorted, err := json.Marshal(parsed)
	require.NoError(t, err)

	return string(sorted)
}

func sortByKey(value any, found bool) {
	object, _ := value.(map[string]any)
	for name, member := range object {
		sortByKey(member, found)

		list, _ := member.([]any)
		for _, item := range list {
			sortByKey(item, found)
		}

		// What was searched for is in order.
		if found && slices.Contains([]string{"models", "registered_models", "model_versions"}, name) {
			continue
		}

		slices.SortFunc(list, func(a, b any) int {
			return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) // maps are printed by key
		})
	}
}

func (s *side) rows(t *testing.T) []string {
	t.Helper()

	rows := s.dump(t)
	for i, row := range rows {
		rows[i] = s.normal(row)
	}

	slices.Sort(rows)

	return rows
}

type m = map[string]any

// rules are requests that come by every rule, on a fresh database.
func rules() []exchange {
	long := strings.Repeat
	views := make([]any, 0, 51)
	for i := range 50 {
		views = append(views, m{"key": fmt.Sprint("mlflow.customView.view.v1.", i), "value": "{}"})
	}

	exchanges := slices.Grow([]exchange{
		get("experiments/get", m{"experiment_id": "0"}),
		post("experiments/create", m{"name": "one", "tags": []any{m{"key": "b", "value": "1"}, m{"key": "a", "value": "2"}}}),
		get("experiments/get", m{"experiment_id": "1"}),
		get("experiments/get-by-name", m{"experiment_name": "one"}),
		get("experiments/get-by-name", m{"experiment_name": "ONE"}),
		post("experiments/create", m{"name": "one"}),
		post("experiments/create", m{"name": "views", "tags": views}),
		post("experiments/create", m{"name": "too many", "tags": append(slices.Clone(views), m{"key": "mlflow.customView.view", "value": ""})}),
		post("experiments/set-experiment-tag", m{"experiment_id": "2", "key": "mlflow.customView.viewX", "value": "x"}),
		post("experiments/set-experiment-tag", m{"experiment_id": "3", "key": "mlflow.customView.viewX", "value": "x"}),
		post("experiments/set-experiment-tag", m{"experiment_id": "3", "key": "mlflow.customView.view.v1.0", "value": "x"}),
		post("experiments/set-experiment-tag", m{"experiment_id": "3", "key": "mlflow.customView.view.v1.99", "value": "x"}),
		post("experiments/set-experiment-tag", m{"experiment_id": "999", "key": "mlflow.customView.viewX", "value": "x"}),
		post("experiments/set-experiment-tag", m{"experiment_id": "1", "key": "mlflow.trace.archivalRetention", "value": "x"}),
		post("experiments/set-experiment-tag", m{"experiment_id": "1", "key": "mlflow.trace.archiveNow", "value": `{"older_than": 3}`}),
		post("experiments/set-experiment-tag", m{"experiment_id": "1", "key": "b", "value": "changed"}),
		post("experiments/delete-experiment-tag", m{"experiment_id": "1", "key": "nope"}),
		post("experiments/delete-experiment-tag", m{"experiment_id": "1", "key": "a"}),
		get("experiments/get", m{"experiment_id": "1"}),
		post("experiments/update", m{"experiment_id": "1", "new_name": "Default"}),
		post("experiments/update", m{"experiment_id": "1", "new_name": long("x", 501)}),
		post("experiments/update", m{"experiment_id": "1", "new_name": "uno"}),
		post("experiments/update", m{"experiment_id": "77", "new_name": "uno"}),
		post("runs/create", m{"experiment_id": "1", "user_id": "me", "start_time": 5, "run_name": "first", "tags": []any{m{"key": "b", "value": "1"}, m{"key": "a", "value": "2"}}}),
		post("runs/create", m{"experiment_id": " 1 "}),
		post("runs/create", m{"experiment_id": "1", "run_name": "a", "tags": []any{m{"key": "mlflow.runName", "value": "b"}}}),
		post("runs/create", m{"experiment_id": "1", "run_name": "a", "tags": []any{m{"key": "x", "value": "b"}, m{"key": "x", "value": "b"}}}),
		post("runs/create", m{"experiment_id": "1", "tags": []any{m{"key": "mlflow.runName", "value": ""}}}),
		get("runs/get", m{"run_id": "$run0"}),
		get("runs/get", m{"run_uuid": "$run1"}),
		get("runs/get", m{"run_id": "nope"}),
		post("runs/update", m{"run_id": "$run0", "status": "FINISHED", "end_time": 0}),
		post("runs/update", m{"run_id": "$run0", "end_time": 17, "run_name": "zweiter"}),
		post("runs/update", m{"run_uuid": "$run0", "run_name": ""}),
		post("runs/update", m{"run_id": "nope"}),
		post("runs/log-metric", m{"run_id": "$run0", "key": "m", "value": "NaN", "timestamp": 1, "step": 1}),
		post("runs/log-metric", m{"run_id": "$run0", "key": "m", "value": "-Infinity", "timestamp": 1, "step": 2}),
		post("runs/log-metric", m{"run_uuid": "$run0", "key": "m", "value": "1.5", "timestamp": "2"}),
		post("runs/log-metric", m{"run_id": "$run0", "key": "m", "value": 1, "timestamp": 1, "step": 1, "model_id": "m-nope"}),
		post("runs/log-metric", m{"run_id": "$run0", "key": "m", "value": 1, "timestamp": 1, "dataset_name": "d"}),
		post("runs/log-metric", m{"run_id": "$run0", "key": "../m", "value": 1, "timestamp": 1, "model_id": "x"}),
		post("runs/log-metric", m{"run_id": "nope", "key": "../m", "value": 1, "timestamp": 1, "model_id": "x"}),
		post("runs/log-metric", m{"run_id": "nope", "key": "../m", "value": 1, "timestamp": 1}),
		get("metrics/get-history", m{"run_id": "$run0", "metric_key": "m"}),
		get("metrics/get-history", m{"run_id": "$run0", "metric_key": "m", "max_results": 2}),
		get("metrics/get-history", m{"run_id": "$run0", "metric_key": "m", "max_results": 2, "page_token": "eyJvZmZzZXQiOiAyfQ=="}),
		get("metrics/get-history", m{"run_id": "$run0", "metric_key": "m", "max_results": 0}),
		get("metrics/get-history", m{"run_id": "$run0", "metric_key": "m", "max_results": -3}),
		get("metrics/get-history", m{"run_id": "nope", "metric_key": "m"}),
		post("runs/log-parameter", m{"run_id": "$run0", "key": "p", "value": "1"}),
		post("runs/log-parameter", m{"run_id": "$run0", "key": "p", "value": "1"}),
		post("runs/log-parameter", m{"run_id": "$run0", "key": "p", "value": "2"}),
		post("runs/log-parameter", m{"run_id": "$run0", "key": "long", "value": long("é", 6001)}),
		post("runs/log-parameter", m{"run_id": "$run0", "key": "empty"}),
		post("runs/set-tag", m{"run_id": "$run0", "key": "mlflow.runName", "value": "dritter"}),
		post("runs/set-tag", m{"run_id": "$run0", "key": "mlflow.runName", "value": ""}),
		post("runs/set-tag", m{"run_id": "$run0", "key": "long", "value": long("é", 8001)}),
		post("runs/set-tag", m{"run_id": "$run0", "key": long("k", 251), "value": ""}),
		post("runs/delete-tag", m{"run_id": "$run0", "key": "long"}),
		post("runs/delete-tag", m{"run_id": "$run0", "key": "long"}),
		post("runs/log-batch", m{"run_id": "$run0"}),
		post("runs/log-batch", m{"run_id": "-"}),
		post("runs/log-batch", m{"run_id": "$run0", "params": []any{m{"key": "p", "value": "it's"}, m{"key": "empty", "value": `"`}}}),
		get("runs/get", m{"run_id": "$run0"}),
		post("runs/delete", m{"run_id": "$run0"}),
		post("runs/log-batch", m{"run_id": "$run0"}),
		post("runs/set-tag", m{"run_id": "$run0", "key": "a", "value": ""}),
		post("runs/delete-tag", m{"run_id": "$run0", "key": "a"}),
		post("runs/update", m{"run_id": "$run0"}),
		get("runs/get", m{"run_id": "$run0"}),
		post("runs/restore", m{"run_id": "$run0"}),
		post("runs/update", m{"run_id": "$run0", "run_name": long("n", 251)}),
		post("runs/set-tag", m{"run_id": "$run0", "key": "mlflow.runName", "value": long("n", 251)}),
		post("runs/create", m{"experiment_id": "1", "run_name": long("n", 251)}),
		post("experiments/create", m{"name": long("n", 257)}),
		post("runs/log-batch", m{"run_id": "$run0", "metrics": []any{
			m{"key": "twice", "value": "NaN", "timestamp": 1}, m{"key": "twice", "value": "NaN", "timestamp": 1},
			m{"key": "twice", "value": "Infinity", "timestamp": 1}, m{"key": "twice", "value": 1.7976931348623157e308, "timestamp": 1},
			m{"key": "zero", "value": 0.0, "timestamp": 1}, m{"key": "zero", "value": math.Copysign(0, -1), "timestamp": 1},
		}}),
		post("runs/log-batch", m{"run_id": "$run0", "metrics": []any{m{"key": "m", "value": 1, "timestamp": 1, "dataset_digest": "x"}}}),
		post("runs/log-batch", m{"run_id": "$run0", "params": []any{m{"key": "valueless"}}, "tags": []any{m{"key": "valueless"}}}),
		post("runs/restore", m{"run_id": "nope"}),
		post("runs/delete", m{"run_id": "nope"}),
		post("runs/delete", m{"run_id": "$run1"}),
		post("experiments/delete", m{"experiment_id": "1"}),
		post("experiments/delete", m{"experiment_id": "1"}),
		post("experiments/update", m{"experiment_id": "1", "new_name": "x"}),
		post("experiments/set-experiment-tag", m{"experiment_id": "1", "key": "a", "value": "b"}),
		post("experiments/delete-experiment-tag", m{"experiment_id": "1", "key": "b"}),
		post("runs/create", m{"experiment_id": "1"}),
		get("experiments/get-by-name", m{"experiment_name": "uno"}),
		post("experiments/create", m{"name": "uno"}),
		get("runs/get", m{"run_id": "$run1"}),
		post("experiments/restore", m{"experiment_id": "1"}),
		post("experiments/restore", m{"experiment_id": "1"}),
		get("runs/get", m{"run_id": "$run1"}),
	}, 64)

	for _, id := range []string{"abc", "1_0", "+1", "٣", "12345", " ", "1.0", "-1"} {
		exchanges = append(exchanges, get("experiments/get", m{"experiment_id": id}))
	}

	for i, location := range []string{
		"s3://bucket/path", "s3://bucket/path?x=1", "s3://bucket/x#frag", "ftp://host/x;type=a", "s3://b?x=..", "s3://b?x=%252e%252e",
		"http://evil/x", "HTTPS://evil/x", "mlflow-artifacts:/x", "mlflow-artifacts://storage:8080/x", "http://storage:8080/y",
		"mlflow-artifacts://evil/x", "hdfs:/x", "hdfs://namenode/x", "http://storage:99999/", `http://a\b/`, "abfss://c@evil.net/x",
		"runs:/abc/model", "wasbs://c@a.blob.core.windows.net/x", "file:///absolute/x", "/absolute/y/", "dbfs:/x", "gs://" + long("x", 2050),
		"s3://bucket/trailing/", "s3:relative", "a:b", "file://remote/x",
	} {
		name := "at " + strconv.Itoa(i)
		exchanges = append(exchanges,
			post("experiments/create", m{"name": name, "artifact_location": location}),
			get("experiments/get-by-name", m{"experiment_name": name}),
		)
	}

	return exchanges
}

// limits are requests that come by every limit that the environment can change.
func limits() []exchange {
	exchanges := []exchange{post("runs/create", m{"experiment_id": "0"})}

	for _, long := range []struct {
		list, path string
		limit      int
	}{{"params", "runs/log-parameter", 6000}, {"tags", "runs/set-tag", 8000}} {
		for _, length := range []int{long.limit, long.limit + 1} {
			item := m{"key": fmt.Sprint("k", length), "value": strings.Repeat("é", length)}
			exchanges = append(exchanges,
				post("runs/log-batch", m{"run_id": "$run0", long.list: []any{m{"key": "first", "value": ""}, item}}),
				post(long.path, m{"run_id": "$run0", "key": item["key"], "value": item["value"]}),
				post("runs/create", m{"experiment_id": "0", "tags": []any{item}}),
			)
		}
	}

	for i, location := range []string{
		"s3://bucket/20/chars", "s3://bucket/21/chars.", "s3://bücket/20/chars", "s3:" + strings.Repeat("/", 20),
		"ftp://evil/x", "FTP://evil/x", "sftp://evil/x", "http://evil/x", "https://evil/x", "mlflow-artifacts://a",
	} {
		exchanges = append(exchanges,
			post("experiments/create", m{"name": fmt.Sprint("at ", i), "artifact_location": location}))
	}

	return append(exchanges, get("runs/get", m{"run_id": "$run0"}))
}

// names are odd ones, for the rule for names and how messages quote them.
func names() []exchange {
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []rune("ab/.._- :*\\'\"\n\t\x00\x7fé²½Ⅷ٣_\u6f22\u0301\u200b\u2028😀\U000e0001\ufeff")
	const count = 400

	exchanges := make([]exchange, 0, 1+count)
	exchanges = append(exchanges, post("runs/create", m{"experiment_id": "0"}))

	for i := range count {
		name := make([]rune, random.IntN(6))
		for j := range name {
			name[j] = alphabet[random.IntN(len(alphabet))]
		}

		list, member := [][2]string{{"metrics", "m"}, {"params", "p"}, {"tags", "t"}}[i%3][0], m{"key": string(name)}
		if list == "metrics" {
			member["value"], member["timestamp"] = i, 0
		} else {
			member["value"] = string(name)
		}

		// A valid name isn't stored: the second item is refused.
		exchanges = append(exchanges, post("runs/log-batch", m{"run_id": "$run0", list: []any{member}, "tags": []any{m{"key": "*"}}}))
	}

	return exchanges
}

// logging goes to few keys of few runs at random, so that everything collides.
func logging() []exchange {
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(of ...any) any { return of[random.IntN(len(of))] }
	key := func() any { return pick("a", "b", "c", "d") }
	point := func() m {
		return m{
			"key": key(), "value": pick(0, -1, 1.5, "NaN", "Infinity", "-Infinity", 1.7976931348623157e308, 5e-324),
			"timestamp": pick(0, 1, 2), "step": pick(-1, 0, 1),
		}
	}
	list := func(most int, item func() m) []any {
		items := make([]any, random.IntN(most+1))
		for i := range items {
			items[i] = item()
		}

		return items
	}

	const count = 250

	exchanges := make([]exchange, 0, 2+count)
	exchanges = append(exchanges, post("runs/create", m{"experiment_id": "0"}), post("runs/create", m{"experiment_id": "0"}))

	for range count {
		run := pick("$run0", "$run1")
		single := point()
		single["run_id"] = run
		exchanges = append(exchanges, []exchange{
			post("runs/log-metric", single),
			post("runs/log-parameter", m{"run_id": run, "key": key(), "value": pick("1", "2")}),
			post("runs/set-tag", m{"run_id": run, "key": pick("a", "b", "mlflow.runName"), "value": pick("", "1", "2")}),
			post("runs/log-batch", m{
				"run_id":  run,
				"metrics": list(8, point),
				"params":  list(2, func() m { return m{"key": key(), "value": pick("1", "2")} }),
				"tags":    list(3, func() m { return m{"key": pick("a", "b", "mlflow.runName"), "value": pick("", "1", "2")} }),
			}),
			post("runs/update", m{"run_id": run, "status": pick("RUNNING", "KILLED"), "run_name": pick("", "n")}),
			get("metrics/get-history", m{"run_id": run, "metric_key": key(), "max_results": pick(1, 3, 100)}),
			get("runs/get", m{"run_id": run}),
		}[random.IntN(7)])
	}

	return exchanges
}

// inputs are what runs were given and brought about.
func inputs() []exchange {
	long := strings.Repeat
	dataset := func(fields m) m {
		whole := m{"name": "d", "digest": "1", "source_type": "local", "source": "/x"}
		maps.Copy(whole, fields)

		return whole
	}
	log := func(fields ...m) exchange {
		inputs := make([]any, len(fields))
		for i, f := range fields {
			inputs[i] = m{"dataset": dataset(f), "tags": []any{m{"key": "mlflow.data.context", "value": "train"}}}
		}

		return post("runs/log-inputs", m{"run_id": "$run0", "datasets": inputs})
	}
	model := func(text string) exchange {
		return post("runs/log-model", m{"run_id": "$run0", "model_json": text})
	}

	return []exchange{
		post("runs/create", m{"experiment_id": "0"}), post("runs/create", m{"experiment_id": "0"}),
		post("runs/log-inputs", m{}), post("runs/log-inputs", m{"run_id": ""}), post("runs/log-inputs", m{"run_id": "*"}),
		post("runs/log-inputs", m{"run_uuid": "$run0"}), post("runs/log-inputs", m{"run_id": "nope"}),
		post("runs/log-inputs", m{"run_id": "$run0"}), post("runs/log-inputs", m{"run_id": "$run0", "datasets": []any{}}),
		post("runs/log-inputs", m{"run_id": "$run0", "datasets": []any{m{}}}),
		post("runs/log-inputs", m{"run_id": "$run0", "datasets": []any{m{"dataset": m{"name": "only"}}}}),
		log(m{}), log(m{}), log(m{"digest": "2"}, m{"digest": "2", "source": "/other"}), log(m{"name": "e"}, m{"digest": "2"}, m{"digest": "3", "schema": "", "profile": "p"}),
		log(m{"schema": "s", "profile": "", "name": "it's"}),
		log(m{"name": long("é", 500), "digest": long("é", 36)}), log(m{"name": long("n", 501)}), log(m{"digest": long("d", 37)}),
		log(m{"source": long("s", 65536)}), log(m{"schema": long("s", 1048576)}), log(m{"name": "two"}, m{"name": long("n", 501)}),
		post("runs/log-inputs", m{"run_id": "$run0", "datasets": []any{m{"dataset": dataset(m{"name": "t"}), "tags": []any{m{"key": "k", "value": "1"}, m{"key": "k", "value": "2"}}}}}),
		post("runs/log-inputs", m{"run_id": "$run0", "datasets": []any{m{"dataset": dataset(m{"name": "t"}), "tags": []any{m{"key": long("k", 256)}}}}}),
		post("runs/log-inputs", m{"run_id": "$run0", "datasets": []any{m{"dataset": dataset(m{"name": "t"}), "tags": []any{m{"value": long("k", 501)}}}}}),
		post("runs/log-inputs", m{"run_id": "$run0", "datasets": []any{m{"dataset": dataset(m{"name": "t"}), "tags": []any{m{}}}}}),
		post("runs/log-inputs", m{"run_id": "$run0", "models": []any{m{"model_id": "m-1"}, m{"model_id": "m-2"}, m{"model_id": "m-1"}, m{}}}),
		post("runs/log-inputs", m{"run_id": "$run0", "models": []any{m{"model_id": "m-1"}, m{"model_id": "m-3"}}}),
		post("runs/log-inputs", m{"run_id": "$run1", "models": []any{m{"model_id": "m-1"}}, "datasets": []any{m{"dataset": dataset(m{})}}}),
		get("runs/get", m{"run_id": "$run0"}), get("runs/get", m{"run_id": "$run1"}),

		post("runs/outputs", m{}), post("runs/outputs", m{"run_id": "$run0"}), post("runs/outputs", m{"run_id": "$run0", "models": []any{}}),
		post("runs/outputs", m{"run_id": "nope", "models": []any{}}), post("runs/outputs", m{"run_id": "$run0", "models": "x"}),
		post("runs/outputs", m{"run_id": "$run0", "models": []any{m{"model_id": "m-1", "step": 3}, m{"model_id": "m-2"}}}),
		post("runs/outputs", m{"run_id": "$run0", "models": []any{m{"model_id": "m-3", "step": 3}, m{"model_id": "m-2"}}}),
		post("runs/outputs", m{"run_id": "$run0", "models": []any{m{"step": -1}}}),
		get("runs/get", m{"run_id": "$run0"}),

		post("runs/log-model", m{}), post("runs/log-model", m{"run_id": "$run0"}), post("runs/log-model", m{"run_id": "$run0", "model_json": 5}),
		model("{"), model("{}x"), model(`{"run_id": null, "flavors": {}, "utc_time_created": "t"}`),
		post("runs/log-model", m{"run_id": "nope", "model_json": `{"artifact_path": "p", "flavors": {}, "utc_time_created": "t", "run_id": "x"}`}),
		model(`{"artifact_path": "p", "flavors": {}, "utc_time_created": "2020-01-01 00:00:00", "run_id": "x"}`),
		model(`{"model_uuid": "u", "utc_time_created": [1, 2.50, "é", null, true, {"a": "b"}], "run_id": null, "artifact_path": null, ` +
			`"flavors": {"python": {"b": 1.0, "config": {"x": 1}, "a": [NaN, 1e400, 12345678901234567890]}, "x": 5, "y": null, "é": {"config": 1}}, "more": {"a": 1}}`),
		model(`{"artifact_path": 5, "flavors": null, "utc_time_created": 17, "run_id": ["a"], "run_id": "last", "model_uuid": false, "signature": ` +
			`{"inputs": "[{\"type\": \"double\", \"name\": \"a\", \"required\": true}]"}}`),
		get("runs/get", m{"run_id": "$run0"}),
		post("runs/set-tag", m{"run_id": "$run1", "key": "mlflow.log-model.history", "value": `[1.50, "\u00e9", {"b": 1, "a": 2}]`}),
		post("runs/log-model", m{"run_id": "$run1", "model_json": `{"artifact_path": "p", "flavors": {}, "utc_time_created": "t", "run_id": "x"}`}),
		get("runs/get", m{"run_id": "$run1"}),
		post("runs/delete", m{"run_id": "$run0"}),
		log(m{}), post("runs/outputs", m{"run_id": "$run0", "models": []any{}}),
		model(`{"artifact_path": "p", "flavors": {}, "utc_time_created": "t", "run_id": "x"}`),
	}
}

func patch(path string, members map[string]any) exchange { return exchange{"PATCH", path, members} }

func remove(path string) exchange { return exchange{"DELETE", path, nil} }

// loggedModels come by every branch of their life.
func loggedModels() []exchange {
	create := func(fields m) exchange {
		whole := m{"experiment_id": "0"}
		maps.Copy(whole, fields)

		return post("logged-models", whole)
	}
	pairs := func(keys ...string) []any {
		list := make([]any, len(keys))
		for i, key := range keys {
			list[i] = m{"key": key, "value": key + strconv.Itoa(i)}
		}

		return list
	}

	return []exchange{
		post("runs/create", m{"experiment_id": "0"}),
		post("experiments/create", m{"name": "gone with its models"}),
		create(m{}), create(m{"name": "named", "model_type": "agent", "source_run_id": "$run0", "params": pairs("b", "a"), "tags": pairs("z", "y")}),
		get("logged-models/$model0", nil), get("logged-models/$model1", nil), get("logged-models/$model1", m{"allow_deleted": "true", "model_id": "x"}),
		create(m{"name": ""}), create(m{"name": "a/b"}), create(m{"name": "it's"}), create(m{"name": "a\"b.c"}), create(m{"name": "50%"}), create(m{"name": "é☃ "}),
		create(m{"params": pairs("a", "a")}), create(m{"tags": pairs("a", "a")}), create(m{"params": []any{m{}}, "tags": []any{m{"key": "k"}}}),
		create(m{"experiment_id": "12345"}), create(m{"experiment_id": "x"}), create(m{"experiment_id": ""}), create(m{"experiment_id": 0}), post("logged-models", m{}),
		create(m{"params": "x"}), create(m{"tags": 5}), create(m{"name": 5}), create(m{"experimentId": "0"}),
		patch("logged-models/$model0", m{"model_id": "$model0", "status": "LOGGED_MODEL_READY"}),
		patch("logged-models/$model0", m{"model_id": "$model1", "status": 3}), patch("logged-models/$model0", m{"model_id": "$model1", "status": 0}),
		patch("logged-models/$model0", m{"model_id": "$model0"}), patch("logged-models/$model0", m{"status": 2}), patch("logged-models/nope", m{"model_id": "nope", "status": 2}),
		patch("logged-models/$model0", m{"model_id": "", "status": 2}), patch("logged-models/$model0", m{}),
		post("logged-models/$model0/params", m{"model_id": "$model0", "params": pairs("b", "a")}), post("logged-models/$model0/params", m{"model_id": "$model1", "params": pairs("c")}),
		post("logged-models/$model0/params", m{"model_id": "$model0", "params": pairs("d", "b")}), post("logged-models/$model0/params", m{"model_id": "$model0"}),
		post("logged-models/$model0/params", m{"params": pairs("d")}), post("logged-models/nope/params", m{"model_id": "$model0"}),
		patch("logged-models/$model0/tags", m{"tags": pairs("b", "a", "b")}), patch("logged-models/$model0/tags", m{"tags": pairs("a"), "model_id": "x"}),
		patch("logged-models/$model0/tags", m{}), patch("logged-models/nope/tags", m{}), patch("logged-models/$model0/tags", m{"tags": "x"}),
		patch("logged-models/$model0/tags", m{"tags": pairs("a b", "é%", "it's")}),
		remove("logged-models/$model0/tags/b"), remove("logged-models/$model0/tags/b"), remove("logged-models/$model0/tags/a%20b"),
		remove("logged-models/$model0/tags/%C3%A9%25"), remove("logged-models/$model0/tags/it's"), remove("logged-models/$model0/tags/it's"),
		remove("logged-models/nope/tags/b"), remove("logged-models/it%27s/tags/b"),
		get("logged-models/$model0", nil), get("logged-models/$model1", nil), get("logged-models/nope", nil), get("logged-models/%22a'%0A", nil), get("logged-models/search", nil),
		post("runs/log-metric", m{"run_id": "$run0", "key": "m", "value": 1, "timestamp": 1, "model_id": "$model0", "dataset_name": "d", "dataset_digest": "x"}),
		post("runs/log-metric", m{"run_id": "$run0", "key": "m", "value": "NaN", "timestamp": 2, "step": 3, "model_id": "$model0"}),
		get("logged-models/$model0", nil),
		remove("logged-models/$model0"), remove("logged-models/$model0"), remove("logged-models/nope"),
		get("logged-models/$model0", nil), get("logged-models/$model0", m{"allow_deleted": "True"}), get("logged-models/$model0", m{"allow_deleted": "1"}), get("logged-models/$model1", m{"allow_deleted": "false"}),
		patch("logged-models/$model0/tags", m{"tags": pairs("late")}), patch("logged-models/$model0", m{"model_id": "$model0", "status": 2}),
		post("experiments/delete", m{"experiment_id": "2"}),
		create(m{"experiment_id": "2"}),
	}
}

// searchLoggedModels asks for a handful of models in many ways. Lax is a database that compares
// columns with values of other types; PostgreSQL does with some of Python's drivers.
func searchLoggedModels(database string) []exchange {
	exchanges := []exchange{post("experiments/create", m{"name": "of models"}), post("runs/create", m{"experiment_id": "0"})}
	// By name, since models that were created at once have any order.
	find := func(fields m) exchange {
		whole := m{"experiment_ids": []any{"0"}, "order_by": []any{m{"field_name": "name"}}}
		maps.Copy(whole, fields)

		return post("logged-models/search", whole)
	}
	order := func(fields ...m) exchange {
		list := make([]any, 0, len(fields)+1)
		for _, f := range fields {
			list = append(list, f)
		}

		return find(m{"order_by": append(list, m{"field_name": "name"})})
	}

	page := base64.StdEncoding.EncodeToString([]byte(`{"experiment_ids": ["0"], "filter_string": null, "order_by": ` +
		`[{"ascending": true, "field_name": "name", "dataset_name": null, "dataset_digest": null}], "offset": 2}`))

	const models = 6
	for i := range models {
		exchanges = append(exchanges,
			post("logged-models", m{
				"experiment_id": "0", "name": []string{"a", "B", "ab", "A", "%_", "é"}[i], "model_type": []string{"", "agent"}[i%2],
				"params": []any{m{"key": "lr", "value": strconv.Itoa(i)}, m{"key": "a b", "value": "x"}}, "tags": []any{m{"key": "t", "value": []string{"V", "v"}[i%2]}},
			}),
			patch("logged-models/$model"+strconv.Itoa(i), m{"model_id": "$model" + strconv.Itoa(i), "status": i%3 + 1}),
		)

		if i == models-1 {
			continue // a model without metrics
		}

		for j, dataset := range []m{{"dataset_name": "d", "dataset_digest": "1"}, {"dataset_name": "d", "dataset_digest": "2"}, {}} {
			metric := m{"run_id": "$run0", "key": "acc", "value": float64(i*7%4) + float64(j)/4, "timestamp": 10 - j, "step": j, "model_id": "$model" + strconv.Itoa(i)}
			if i < 3 {
				maps.Copy(metric, dataset)
			}

			exchanges = append(exchanges, post("runs/log-metric", metric))
		}
	}

	exchanges = append(exchanges, remove("logged-models/$model2"))

	for _, filter := range []string{
		"name = 'a'", "name LIKE 'A%'", "name ILIKE 'a%'", "name != 'a' AND tags.t = 'v'", "tags.t = v", "tags.`t` IN ('v', 'x')", "tags.t NOT IN ('v')", "name IN ()",
		"params.lr = 1", "params.`a b` = 'x' and params.lr >= 1", "params.none = 'x'", "metrics.acc > 1.5", "metrics.acc >= 0 AND metrics.acc < 0.5", "metrics.acc != 0", "metrics.none != 0",
		"creation_time > 5", "creation_time < 5.5", "attributes.creation_timestamp_ms != 1.5", "last_updated_timestamp >= 0 AND creation_timestamp <= 99999999999999", "creation_timestamp_ms = 1.5",
		"creation_time < inf", "creation_time > -inf", "metrics.acc > -inf", "creation_time > nan", "model_type = 'agent'", "model_type = ''", "source_run_id = ''",
		"status_message = 'x'", "lifecycle_stage = 'deleted'", "artifact_location LIKE '%models%'",
		"name = 'a' OR name = 'b'", "name IS NULL", "foo.bar = 1", "metrics.acc = 1 AND", "metrics.acc LIKE 1", "name > 1", ";", " ",
	} {
		if database == "mysql" && (filter == "creation_time < inf" || filter == "creation_time > nan") {
			continue // PyMySQL refuses them; they say nothing about whole numbers anyway
		}

		exchanges = append(exchanges, find(m{"filter": filter}))
	}

	for _, filter := range []string{
		"params.lr IN (1, 2)", "status = '2'", "status != '2'", "status IN ('1', '3')", "status = 'READY'", "status LIKE '2'",
		"experiment_id = '0'", "experiment_id = '1'", "tags.t NOT IN (1,)",
	} {
		if database == "sqlite" { // the others refuse text for numbers
			exchanges = append(exchanges, find(m{"filter": filter}))
		}
	}

	return append(exchanges,
		post("logged-models/search", m{}), find(m{"experiment_ids": []any{}}), find(m{"experiment_ids": []any{"x"}}), find(m{"experiment_ids": []any{"1", "0"}}), find(m{"experiment_ids": "x"}), find(m{"experiment_ids": []any{5}}),
		find(m{}), find(m{"max_results": 0}), find(m{"max_results": 2}), find(m{"max_results": "x"}), find(m{"max_results": 2, "filter": "name != 'x'"}),
		find(m{"max_results": 2, "page_token": page}),
		find(m{"max_results": 2, "filter": "x", "page_token": page}),
		find(m{"experiment_ids": []any{"0", "it's"}, "page_token": page}),
		find(m{"order_by": []any{m{"field_name": "status"}}, "page_token": page}),
		find(m{"page_token": "e30="}), find(m{"max_results": 1, "order_by": []any{m{"field_name": "metrics.acc", "ascending": false, "dataset_name": "d"}}}),
		order(), order(m{"field_name": "name", "ascending": false}), order(m{"field_name": "metrics.acc"}), order(m{"field_name": "metrics.acc", "ascending": false}),
		order(m{"field_name": "metrics.acc", "dataset_name": "d"}), order(m{"field_name": "metrics.acc", "dataset_name": "d", "dataset_digest": "1"}), order(m{"field_name": "metrics.acc", "dataset_digest": "2"}),
		order(m{"field_name": "metrics.acc"}, m{"field_name": "metrics.none"}, m{"field_name": "metrics.acc", "ascending": false}), order(m{"field_name": "status"}),
		order(m{"field_name": "model_type", "ascending": false}), order(m{"field_name": "source_run_id"}), order(m{"field_name": "status_message"}),
		order(m{"field_name": "nope"}), order(m{}), order(m{"field_name": "params.lr"}), order(m{"field_name": ".x"}),
		find(m{"datasets": []any{m{}}}), find(m{"datasets": []any{m{"dataset_name": "d"}}}), find(m{"datasets": []any{m{"dataset_name": "d", "dataset_digest": "1"}}}),
		find(m{"datasets": []any{m{"dataset_name": "d", "dataset_digest": "1"}, m{"dataset_name": "d", "dataset_digest": "2"}}, "filter": "metrics.acc > 1"}),
		find(m{"datasets": []any{m{"dataset_name": "d", "dataset_digest": "1"}}, "filter": "metrics.acc < 1 AND tags.t = 'V'"}), find(m{"datasets": []any{m{"dataset_name": "d"}}, "filter": "metrics.acc > 1"}),
	)
}

// histories are sampled in all sizes.
func histories() []exchange {
	random := rand.New(rand.NewPCG(5, 6))
	exchanges := []exchange{
		post("runs/create", m{"experiment_id": "0"}), post("runs/create", m{"experiment_id": "0"}), post("runs/create", m{"experiment_id": "0"}),
	}

	for i, points := range []int{57, 3} {
		metrics := make([]any, points)
		for j := range metrics {
			metrics[j] = m{
				"key": "m", "value": []any{random.IntN(9), "NaN", 0, "Infinity"}[random.IntN(4)],
				"timestamp": random.IntN(5), "step": random.IntN(12) - 2,
			}
		}

		exchanges = append(exchanges, post("runs/log-batch", m{"run_id": "$run" + strconv.Itoa(i), "metrics": metrics}))
	}

	sample := func(fields m) exchange {
		whole := m{"run_ids": []any{"$run0", "$run1", "$run2", "$run0"}, "metric_key": "m"}
		maps.Copy(whole, fields)

		return get("metrics/get-history-bulk-interval", whole)
	}

	for _, size := range []any{1, 2, 3, 5, 10, 56, 57, 58, 2500, 0, -1, 2501, "x", "", "99999999999"} {
		exchanges = append(exchanges, sample(m{"max_results": size}))
	}

	many := make([]any, 101)
	for i := range many {
		many[i] = "$run0"
	}

	return append(exchanges,
		sample(m{}), sample(m{"start_step": 1, "end_step": 5}), sample(m{"start_step": 1, "end_step": 5, "max_results": 3}), sample(m{"start_step": -2, "end_step": -2}),
		sample(m{"start_step": 5, "end_step": 1}), sample(m{"start_step": 5}), sample(m{"end_step": 5}), sample(m{"start_step": "a", "end_step": 5}), sample(m{"start_step": 100, "end_step": 200}),
		sample(m{"metric_key": ""}), sample(m{"metric_key": "none"}), sample(m{"run_ids": []any{}}), sample(m{"run_ids": many}), sample(m{"run_ids": many[1:], "max_results": 1}), sample(m{"run_ids": []any{"nope"}}),
		get("metrics/get-history-bulk-interval", m{"run_ids": []any{"$run0"}}), get("metrics/get-history-bulk-interval", m{"metric_key": "m"}),
	)
}
