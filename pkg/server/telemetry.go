package server

import (
	"slices"
	"strings"
)

// switchedOff is what the UI is told where nothing is collected (FALLBACK_UI_CONFIG of mlflow.telemetry).
const switchedOff = `{"disable_ui_events":[],"disable_ui_telemetry":true,"ui_rollout_percentage":0}`

// automated are the variables by which MLflow knows tests and CI systems (_is_ci_env_or_testing).
var automated = []string{
	"BITBUCKET_BUILD_NUMBER", "BUILDKITE", "CI", "CIRCLECI", "CLOUD_RUN_EXECUTION", "CODEBUILD_BUILD_ARN",
	"GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "PYTEST_CURRENT_TEST", "RUNBOT_BUILD_NAME", "RUNBOT_HOST_URL",
	"RUNBOT_WORKER_ID", "TEAMCITY_VERSION", "TF_BUILD", "TRAVIS",
}

// collectsTelemetry is the opposite of MLflow's is_telemetry_disabled, which takes a value that it can't
// read for a wish not to be watched. A variable that is set to nothing counts as unset here, so that
// Python, where its presence may decide, gets to answer. Development versions, which collect nothing, are
// another mode's.
func collectsTelemetry(s Setting) bool {
	if !isFalse(s.Getenv("_MLFLOW_TESTING_TELEMETRY")) {
		return true
	}

	return isFalse(s.Getenv("MLFLOW_DISABLE_TELEMETRY")) &&
		!strings.EqualFold(s.Getenv("DO_NOT_TRACK"), "true") &&
		!slices.ContainsFunc(automated, func(name string) bool { return s.Getenv(name) != "" })
}
