package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/pythontest"
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
		{"DO_NOT_TRACK": "True", "_MLFLOW_TESTING_TELEMETRY": "false"},
		{"DO_NOT_TRACK": "true", "_MLFLOW_TESTING_TELEMETRY": "true"},
		{"CI": "true", "_MLFLOW_TESTING_TELEMETRY": "1"},
		{"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "TRUE"},
		{"MLFLOW_DISABLE_TELEMETRY": "false", "DO_NOT_TRACK": "false"},
		{"DATABRICKS_RUNTIME_VERSION": "15.4"},
	}
	for _, value := range []string{"true", "TRUE", "1", "false", "False", "0", "yes", "what?", " true", "trüe"} {
		for _, name := range []string{"MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"} {
			environments = append(environments, map[string]string{name: value})
		}
	}

	for _, name := range automated {
		environments = append(environments, map[string]string{name: "false"})
	}

	answersOf := func(environments []map[string]string) (disabled []*bool, collects []bool) {
		pythontest.Ask(t, environments, &disabled, "-c", disabledScript)

		for _, environment := range environments {
			collects = append(collects, collectsTelemetry(Setting{
				Getenv: func(name string) string { return environment[name] },
			}))
		}

		return disabled, collects
	}

	disabled, collects := answersOf(environments)
	for i, environment := range environments {
		require.NotNil(t, disabled[i], "%v", environment)
		require.NotEqual(t, *disabled[i], collects[i], "%v", environment)
	}

	// What only Python can tell is left to it: variables set to nothing, and a value that stops MLflow.
	environments = []map[string]string{
		{"MLFLOW_DISABLE_TELEMETRY": ""}, {"DO_NOT_TRACK": ""}, {"CI": ""}, {"_MLFLOW_TESTING_TELEMETRY": "what?"},
	}
	_, collects = answersOf(environments)
	require.NotContains(t, collects, false)
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
