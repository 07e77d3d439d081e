package main

// A leftToPython is a group of remote procedures that mlflow-go passes on to MLflow's Python
// server, with the reason that operators and contributors are shown.
type leftToPython struct {
	reason     string
	procedures []string
}

const (
	artifactsReason  = "reads or writes artifact storage, for which MLflow's Python clients of each provider are used"
	jobsReason       = "starts or reads background jobs, which run in MLflow's Python job runner"
	notYetReason     = "not ported to Go yet"
	retiredReason    = "MLflow 3 has no handler for it and answers 404"
	secretsReason    = "handles gateway secrets, which only MLflow's Python code encrypts and decrypts"
	tracesReason     = "traces are not ported to Go yet"
	workspacesReason = "workspaces come from a Python workspace provider"
)

// proxied lists, per service, every remote procedure that is not native. One that is neither here
// nor in schemas stops the generator, so a new release of MLflow cannot add a route unnoticed.
//
//nolint:goconst // a table: each line says all, as in MLflow
var proxied = map[string][]leftToPython{
	mlflowService: {
		{artifactsReason, []string{
			"createPresignedDownloadUrl", "createPresignedUploadUrl",
		}},
		{notYetReason, []string{
			// Evaluation datasets.
			"addDatasetToExperiments", "createDataset", "deleteDataset", "deleteDatasetRecords",
			"deleteDatasetTag", "getDataset", "getDatasetExperimentIds", "getDatasetRecords",
			"removeDatasetFromExperiments", "searchEvaluationDatasets", "setDatasetTags", "upsertDatasetRecords",
			// Scorers, issues, label schemas and review queues.
			"deleteScorer", "getScorer", "listScorerVersions", "listScorers", "registerScorer",
			"createIssue", "getIssue", "searchIssues", "updateIssue",
			"createLabelSchema", "deleteLabelSchema", "getLabelSchema", "getLabelSchemaByName",
			"listLabelSchemas", "updateLabelSchema",
			"addItemsToReviewQueue", "createReviewQueue", "deleteReviewQueue", "getOrCreateUserQueue",
			"getReviewQueue", "getReviewQueueByName", "listReviewQueueItems", "listReviewQueues",
			"removeItemsFromReviewQueue", "setReviewQueueItemStatus", "updateReviewQueue",
			// The gateway's configuration, secrets apart.
			"addGuardrailToEndpoint", "attachModelToEndpoint", "createBudgetPolicy", "createEndpointBinding",
			"createGatewayEndpoint", "createGatewayGuardrail", "createGatewayModelDefinition", "deleteBudgetPolicy",
			"deleteEndpointBinding", "deleteGatewayEndpoint", "deleteGatewayEndpointTag", "deleteGatewayGuardrail",
			"deleteGatewayModelDefinition", "detachModelFromEndpoint", "getBudgetPolicy", "getGatewayEndpoint",
			"getGatewayGuardrail", "getGatewayModelDefinition", "listBudgetPolicies", "listBudgetWindows",
			"listEndpointBindings", "listEndpointGuardrailConfigs", "listGatewayEndpoints", "listGatewayGuardrails",
			"listGatewayModelDefinitions", "removeGuardrailFromEndpoint", "setGatewayEndpointTag",
			"updateBudgetPolicy", "updateEndpointGuardrailConfig", "updateGatewayEndpoint",
			"updateGatewayModelDefinition",
		}},
		{tracesReason, []string{
			"GetAssessment", "batchGetTraceInfos", "batchGetTraces", "calculateTraceFilterCorrelation",
			"createAssessment", "deleteAssessment", "deleteTraceTag", "deleteTraceTagV3", "deleteTraces",
			"deleteTracesV3", "endTrace", "getTrace", "getTraceInfo", "getTraceInfoV3", "linkPromptsToTrace",
			"linkTracesToRun", "searchTraces", "searchTracesV3", "setTraceTag", "setTraceTagV3", "startTrace",
			"startTraceV3", "updateAssessment",
		}},
		{secretsReason, []string{
			"createGatewaySecret", "deleteGatewaySecret", "getGatewaySecretInfo", "listGatewaySecretInfos",
			"updateGatewaySecret",
		}},
		{jobsReason, []string{
			"cancelPromptOptimizationJob", "createPromptOptimizationJob", "deletePromptOptimizationJob",
			"getPromptOptimizationJob", "searchPromptOptimizationJobs",
		}},
		{workspacesReason, []string{
			"createWorkspace", "deleteWorkspace", "getWorkspace", "listWorkspaces", "updateWorkspace",
		}},
		{retiredReason, []string{
			"getOnlineTraceDetails", "searchDatasets", "searchUnifiedTraceHandler",
		}},
	},
	"MlflowArtifactsService": {
		{artifactsReason, []string{
			"abortMultipartUpload", "completeMultipartUpload", "createMultipartUpload", "deleteArtifact",
			"downloadArtifact", "getPresignedDownloadUrl", "listArtifacts", "uploadArtifact",
		}},
	},
}
