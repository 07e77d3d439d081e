package server

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/schema"
)

// disabledScript reads MLflow's module anew in each environment, since it looks at most of it but once.
const disabledScript = `
import importlib, json, os, sys
from mlflow.telemetry import utils
answers = []
for environment in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(environment)
    try:
        answers.append(importlib.reload(utils).is_telemetry_disabled())
    except ValueError:
        answers.append(None)
print(json.dumps(answers))`

func TestTelemetryIsCollectedWhereMLflowDoes(t *testing.T) {
	environments := []map[string]string{ //nolint:prealloc // in a test
		{},
		{"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "TRUE"},
		{"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "false"},
		{"DATABRICKS_RUNTIME_VERSION": "15.4"},
	}
	for _, value := range []string{"", "true", "TRUE", "1", "false", "False", "0", "yes", "what?", " true", "trüe"} {
		for _, name := range []string{"MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"} {
			environments = append(environments, map[string]string{name: value})
		}
	}

	for _, name := range automated {
		environments = append(environments, map[string]string{name: "false"}, map[string]string{name: ""})
	}

	var disabled []bool

	pythontest.Ask(t, environments, &disabled, "-c", disabledScript)

	for i, environment := range environments {
		require.Equal(t, !disabled[i], collectsTelemetry(func(name string) (string, bool) {
			value, present := environment[name]

			return value, present
		}), "%v", environment)
	}
}

// wantedScript asks MLflow's handler for what it makes of each of its makers' answers.
const wantedScript = `
import json, os, sys
os.environ.clear()
asked = json.load(sys.stdin)
from mlflow.server import app, handlers
from mlflow.telemetry import utils
answers = []
for number in range(asked["answers"]):
    utils.UI_CONFIG_URL = f"{asked['address']}/{number}"
    handlers._telemetry_config_cache.clear()
    with app.test_request_context():
        answers.append(handlers.get_ui_telemetry_handler().get_data(as_text=True))
print(json.dumps(answers))`

func TestTelemetryIsWhatMLflowsMakersWant(t *testing.T) {
	answers := []string{
		`{"disable_ui_telemetry": false, "disable_telemetry": false, "disable_ui_events": ["a", "é"],` +
			` "ui_rollout_percentage": 12.50, "other": {}}`,
		`{"disable_ui_telemetry": false, "disable_telemetry": false}`,
		`{"disable_ui_telemetry": false}`,
		`{"disable_telemetry": false, "ui_rollout_percentage": 100}`,
		`{"disable_ui_telemetry": true, "disable_telemetry": false, "disable_ui_events": ["b"], "ui_rollout_percentage": 1e2}`,
		`{}`, `nonsense`, ``,
	}
	makers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number, err := strconv.Atoi(strings.Trim(strings.TrimSuffix(r.URL.Path, schema.MLflowVersion+".json"), "/"))
		if err != nil || number >= len(answers) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(answers[0]))

			return
		}

		_, _ = w.Write([]byte(answers[number]))
	}))
	t.Cleanup(makers.Close)

	var expected []string

	pythontest.Ask(t, map[string]any{"answers": len(answers) + 1, "address": makers.URL}, &expected, "-c", wantedScript)

	for number, answer := range expected {
		telemetry := &Telemetry{address: makers.URL + "/" + strconv.Itoa(number) + "/" + schema.MLflowVersion + ".json"}

		for range 2 { // the second is remembered
			got, err := uiTelemetry(t.Context(), plainSource{telemetry: telemetry}, nil, nil)
			require.NoError(t, err)
			require.Equal(t, answer, string(got), "%d", number)
		}
	}

	makers.Close()

	unreachable, err := uiTelemetry(t.Context(), plainSource{telemetry: &Telemetry{address: makers.URL}}, nil, nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"disable_ui_events":[],"disable_ui_telemetry":true,"ui_rollout_percentage":0}`, string(unreachable))
}

func TestTellTelemetry(t *testing.T) {
	makers := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"disable_ui_telemetry":%t,"disable_telemetry":false}`, r.URL.Path != "/on")
	}))
	t.Cleanup(makers.Close)

	tell := func(address, contentType, body string) (string, error) {
		request := &fasthttp.RequestCtx{}
		request.Request.Header.SetMethod(http.MethodPost)
		request.Request.Header.SetContentType(contentType)

		answer, err := tellTelemetry(t.Context(), plainSource{telemetry: &Telemetry{address: address}}, request, []byte(body))

		return string(answer), err
	}

	for _, told := range []struct{ address, contentType, body, status string }{
		{"", jsonType, `{"records":[]}`, "disabled"},
		{makers.URL, jsonType, `{"records":[]}`, "success"},
		{makers.URL, jsonType, `{}`, "success"},
		{makers.URL, jsonType, `{"records":[{}]}`, "disabled"},
		{makers.URL, jsonType, `[]`, "disabled"},
		{makers.URL, jsonType, `nonsense`, "disabled"},
		{makers.URL, "text/plain", `{}`, "disabled"},
	} {
		answer, err := tell(told.address, told.contentType, told.body)
		require.NoError(t, err)
		require.Equal(t, `{"status":"`+told.status+`"}`+"\n", answer, "%v", told)
	}

	_, err := tell(makers.URL+"/on", jsonType, `{"records":[{}]}`)
	require.ErrorIs(t, err, contract.ErrLeftToPython)
}

// The list of variables is MLflow's, to the last one.
func TestAutomatedVariablesAreMLflows(t *testing.T) {
	var names []string

	pythontest.Ask(t, nil, &names, "-c", `
import ast, inspect, json
from mlflow.telemetry import utils
[names] = [node for node in ast.walk(ast.parse(inspect.getsource(utils._is_ci_env_or_testing)))
           if isinstance(node, ast.Set)]
print(json.dumps(sorted(ast.literal_eval(names))))`)
	require.Equal(t, names, automated)
}
