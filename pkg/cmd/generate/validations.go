package main

// A parameter is one entry of the schema that an MLflow handler passes to _get_request_message:
// the request's field and the checks that its raw value must pass, in MLflow's order. The checks
// are tags of go-playground/validator that pkg/validation registers:
//
//	present         neither missing, null nor an empty string (_assert_required)
//	string          a Python str (_assert_string)
//	intlike         int(x) works (_assert_intlike)
//	floatlike       float(x) works (_assert_floatlike)
//	bool            a bool (_assert_bool)
//	array           a list (_assert_array)
//	strings         every item is a str (_assert_item_type_string)
//	at_most=N       int(x) is at most N (_assert_less_than_or_equal)
//	between=M N     int(x) is at least M and at most N (_assert_intlike_within_range)
//	runs_at_most=N  len(x) is at most N (the closure of the history of many runs, with its words)
//	elements_have=… every element has the named members, space-separated (log-batch's closures
//	                around _assert_required, whose messages name the path metrics[0].key)
//
// string, intlike, floatlike, bool, array and strings are judged only when the message could not be
// parsed, as in MLflow.
type parameter struct {
	name   string
	checks string
}

const (
	mlflowService   = "MlflowService"
	registryService = "ModelRegistryService"
	webhookService  = "WebhookService"
)

// schemas holds, per service and remote procedure, the schema of MLflow's handler in
// mlflow/server/handlers.py. Being listed here is what makes a procedure native: it becomes a
// method of the generated interface and gets its routes.
//
//nolint:goconst // a table: each line says all, as in MLflow
var schemas = map[string]map[string][]parameter{
	mlflowService: {
		"createExperiment": {
			{"name", "present,string"},
			{"artifact_location", "string"},
			{"tags", "array"},
		},
		"getExperiment":       {{"experiment_id", "present,string"}},
		"getExperimentByName": {{"experiment_name", "present,string"}},
		"deleteExperiment":    {{"experiment_id", "present,string"}},
		"restoreExperiment":   {{"experiment_id", "present,string"}},
		"updateExperiment": {
			{"experiment_id", "present,string"},
			{"new_name", "string,present"},
		},
		"searchExperiments": {
			{"view_type", "intlike"},
			{"max_results", "intlike"},
			{"order_by", "array"},
			{"filter", "string"},
			{"page_token", "string"},
		},
		"setExperimentTag": {
			{"experiment_id", "present,string"},
			{"key", "present,string"},
			{"value", "string"},
		},
		"deleteExperimentTag": {
			{"experiment_id", "present,string"},
			{"key", "present,string"},
		},
		"createRun": {
			{"experiment_id", "string"},
			{"start_time", "intlike"},
			{"run_name", "string"},
		},
		"getRun": {{"run_id", "present,string"}},
		"updateRun": {
			{"run_id", "present,string"},
			{"end_time", "intlike"},
			{"status", "string"},
			{"run_name", "string"},
		},
		"deleteRun":  {{"run_id", "present,string"}},
		"restoreRun": {{"run_id", "present,string"}},
		"searchRuns": {
			{"experiment_ids", "array"},
			{"filter", "string"},
			{"max_results", "intlike,at_most=50000"},
			{"order_by", "array,strings"},
		},
		"logMetric": {
			{"run_id", "present,string"},
			{"key", "present,string"},
			{"value", "present,floatlike"},
			{"timestamp", "intlike,present"},
			{"step", "intlike"},
			{"model_id", "string"},
			{"dataset_name", "string"},
			{"dataset_digest", "string"},
		},
		"logParam": {
			{"run_id", "present,string"},
			{"key", "present,string"},
			{"value", "string"},
		},
		"logBatch": {
			{"run_id", "string,present"},
			{"metrics", "array,elements_have=key value timestamp"},
			{"params", "array,elements_have=key"},
			{"tags", "array,elements_have=key"},
		},
		"setTag": {
			{"run_id", "present,string"},
			{"key", "present,string"},
			{"value", "string"},
		},
		"deleteTag": {
			{"run_id", "present,string"},
			{"key", "present,string"},
		},
		"getMetricHistoryBulkInterval": {
			{"run_ids", "present,array,strings,runs_at_most=100"},
			{"metric_key", "present,string"},
			{"start_step", "intlike"},
			{"end_step", "intlike"},
			{"max_results", "intlike,between=1 2500"},
		},
		"logInputs": {
			{"run_id", "present,string"},
			{"datasets", "array"},
			{"models", "array"},
		},
		"logOutputs": {
			{"run_id", "present,string"},
			{"models", "present,array"},
		},
		"logModel": {
			{"run_id", "string,present"},
			{"model_json", "string,present"},
		},
		"createLoggedModel": {
			{"experiment_id", "string,present"},
			{"name", "string"},
			{"model_type", "string"},
			{"source_run_id", "string"},
			{"params", "array"},
			{"tags", "array"},
		},
		"getLoggedModel": {},
		"finalizeLoggedModel": {
			{"model_id", "string,present"},
			{"status", "intlike,present"},
		},
		"deleteLoggedModel": {},
		"LogLoggedModelParams": {
			{"model_id", "string,present"},
			{"params", "array"},
		},
		"setLoggedModelTags":   {{"tags", "array"}},
		"deleteLoggedModelTag": {},
		"searchLoggedModels": {
			{"experiment_ids", "array,strings,present"},
			{"filter", "string"},
			{"datasets", "array"},
			{"max_results", "intlike"},
			{"order_by", "array"},
			{"page_token", "string"},
		},
		"getMetricHistory": {
			{"run_id", "string,present"},
			{"metric_key", "string,present"},
			{"page_token", "string"},
		},
		"queryTraceMetrics": {
			{"experiment_ids", "array,present,strings"},
			{"view_type", "present"},
			{"metric_name", "string,present"},
			{"aggregations", "array,present"},
			{"dimensions", "array,strings"},
			{"filters", "array,strings"},
			{"time_interval_seconds", "intlike"},
			{"start_time_ms", "intlike"},
			{"end_time_ms", "intlike"},
			{"max_results", "intlike"},
			{"page_token", "string"},
		},
		"listArtifacts": {
			{"run_id", "string,present"},
			{"path", "string"},
			{"page_token", "string"},
		},
		"listLoggedModelArtifacts": {{"artifact_directory_path", "string"}},
	},
	registryService: {
		"createRegisteredModel": {
			{"name", "string,present"},
			{"tags", "array"},
			{"description", "string"},
		},
		"getRegisteredModel": {{"name", "string,present"}},
		"updateRegisteredModel": {
			{"name", "string,present"},
			{"description", "string"},
		},
		"renameRegisteredModel": {
			{"name", "string,present"},
			{"new_name", "string,present"},
		},
		"deleteRegisteredModel": {{"name", "string,present"}},
		"searchRegisteredModels": {
			{"filter", "string"},
			{"max_results", "intlike,at_most=1000"},
			{"order_by", "array,strings"},
			{"page_token", "string"},
		},
		"getLatestVersions": {
			{"name", "string,present"},
			{"stages", "array,strings"},
		},
		"setRegisteredModelTag": {
			{"name", "string,present"},
			{"key", "string,present"},
			{"value", "string"},
		},
		"deleteRegisteredModelTag": {
			{"name", "string,present"},
			{"key", "string,present"},
		},
		"createModelVersion": {
			{"name", "string,present"},
			{"source", "string,present"},
			{"run_id", "string"},
			{"tags", "array"},
			{"run_link", "string"},
			{"description", "string"},
			{"model_id", "string"},
		},
		"getModelVersion": {
			{"name", "string,present"},
			{"version", "string,present"},
		},
		"updateModelVersion": {
			{"name", "string,present"},
			{"version", "string,present"},
			{"description", "string"},
		},
		"transitionModelVersionStage": {
			{"name", "string,present"},
			{"version", "string,present"},
			{"stage", "string,present"},
			{"archive_existing_versions", "bool"},
		},
		"deleteModelVersion": {
			{"name", "string,present"},
			{"version", "string,present"},
		},
		"getModelVersionDownloadUri": {},
		"searchModelVersions": {
			{"filter", "string"},
			{"max_results", "intlike,at_most=200000"},
			{"order_by", "array,strings"},
			{"page_token", "string"},
		},
		"setModelVersionTag": {
			{"name", "string,present"},
			{"version", "string,present"},
			{"key", "string,present"},
			{"value", "string"},
		},
		"deleteModelVersionTag": {
			{"name", "string,present"},
			{"version", "string,present"},
			{"key", "string,present"},
		},
		"setRegisteredModelAlias": {
			{"name", "string,present"},
			{"alias", "string,present"},
			{"version", "string,present"},
		},
		"deleteRegisteredModelAlias": {
			{"name", "string,present"},
			{"alias", "string,present"},
		},
		"getModelVersionByAlias": {
			{"name", "string,present"},
			{"alias", "string,present"},
		},
	},
	webhookService: {
		"createWebhook": {
			{"name", "string,present"},
			{"url", "string,present"},
			{"events", "array,present"},
			{"description", "string"},
			{"secret", "string"},
			{"status", "string"},
		},
		"listWebhooks": {
			{"max_results", "intlike"},
			{"page_token", "string"},
		},
		"getWebhook": {},
		"updateWebhook": {
			{"name", "string"},
			{"description", "string"},
			{"url", "string"},
			{"events", "array"},
			{"secret", "string"},
			{"status", "string"},
		},
		"deleteWebhook": {},
		"testWebhook":   {},
	},
}

// A part is an interface of some of a service's native procedures.
type part struct {
	name string
	// procedures are the remote procedures; a service's last part has none of its own but all the rest.
	procedures []string
}

// parts divides services that more than one domain answers.
var parts = map[string][]part{
	mlflowService: {
		{"TracingService", []string{"queryTraceMetrics"}},
		{"ArtifactsService", []string{"listArtifacts", "listLoggedModelArtifacts"}},
		{"TrackingService", nil},
	},
}

// Ways of using the parameters in a path, by their names in pkg/contract.
const (
	pathOnly    = "PathOnly"
	pathIgnored = "PathIgnored"
)

// pathUses lists, per service, the procedures whose handlers don't let the parameters in their path
// replace what the body says: those that never call _get_request_message, and those that ignore the
// path.
var pathUses = map[string]map[string]string{
	mlflowService: {
		"getLoggedModel":       pathOnly,
		"deleteLoggedModel":    pathOnly,
		"deleteLoggedModelTag": pathOnly,
		"finalizeLoggedModel":  pathIgnored,
	},
	webhookService: {
		"getWebhook":    pathOnly,
		"deleteWebhook": pathOnly,
	},
}
