package server

import "strings"

// The prefixes below which MLflow serves a route that no protobuf describes.
var (
	noAPI    = []string{""}
	uiAPI    = []string{"/ajax-api"}
	bothAPIs = []string{"/api", "/ajax-api"}
)

// plainRoutes are MLflow's routes beside those of its protobufs: the ones that mlflow.server adds to
// its Flask and FastAPI applications by hand. Each is a verb, a path below the prefixes with
// parameters spelled as Flask does, and the name of MLflow's function.
var plainRoutes = []struct {
	reason   string
	prefixes []string
	routes   []string
}{
	{
		reason:   "serves only the UI; not ported to Go yet",
		prefixes: uiAPI,
		routes: []string{
			"POST /2.0/mlflow/runs/create-promptlab-run serve_create_promptlab_run",
			"POST /3.0/mlflow/demo/delete delete_demo",
			"POST /3.0/mlflow/demo/generate generate_demo",
			"POST /3.0/mlflow/genai/evaluate/invoke invoke_genai_evaluate_handler",
		},
	},
	{
		reason:   "reads or writes artifact storage, for which MLflow's Python clients of each provider are used",
		prefixes: uiAPI,
		routes: []string{
			"GET /2.0/mlflow/get-trace-artifact serve_get_trace_artifact",
			"GET /3.0/mlflow/get-trace-artifact serve_get_trace_artifact",
			"POST /2.0/mlflow/upload-artifact serve_upload_artifact",
		},
	},
	{
		reason:   "traces are not ported to Go yet",
		prefixes: noAPI,
		routes: []string{
			"POST /v1/traces export_traces",
		},
	},
	{
		reason:   "runs scorers, judges or background jobs, which are Python code",
		prefixes: uiAPI,
		routes: []string{
			"POST /3.0/mlflow/scorer/invoke invoke_scorer_handler",
			"POST /3.0/mlflow/issues/invoke invoke_issue_detection_handler",
			"POST /3.0/jobs/ submit_job",
			"GET /3.0/jobs/<job_id> get_job",
			"PATCH /3.0/jobs/cancel/<job_id> cancel_job",
			"POST /3.0/jobs/search search_jobs",
			"GET /3.0/mlflow/jobs/<job_id> get_job",
			"PATCH /3.0/mlflow/jobs/cancel/<job_id> cancel_job",
		},
	},
	{
		reason:   "runs scorers, judges or background jobs, which are Python code",
		prefixes: bothAPIs,
		routes: []string{
			"PUT /3.0/mlflow/scorers/online-config upsert_online_scoring_config",
			"GET /3.0/mlflow/scorers/online-configs get_online_scoring_configs",
		},
	},
	{
		reason:   "the AI gateway calls its providers with MLflow's Python clients",
		prefixes: uiAPI,
		routes: []string{
			"GET /3.0/mlflow/gateway/provider-config get_provider_config",
			"GET /3.0/mlflow/gateway/secrets/config get_secrets_config",
			"GET /3.0/mlflow/gateway/supported-models list_supported_models",
			"GET /3.0/mlflow/gateway/supported-providers list_supported_providers",
		},
	},
	{
		reason:   "the AI gateway calls its providers with MLflow's Python clients",
		prefixes: noAPI,
		routes: []string{
			"POST /gateway/<endpoint_name>/mlflow/invocations invocations",
			"POST /gateway/anthropic/v1/messages anthropic_passthrough_messages",
			"POST /gateway/gemini/v1beta/models/<endpoint_name>:generateContent gemini_passthrough_generate_content",
			"POST /gateway/gemini/v1beta/models/<endpoint_name>:streamGenerateContent gemini_passthrough_stream_generate_content", //nolint:lll // one route
			"POST /gateway/mlflow/v1/chat/completions chat_completions",
			"GET /gateway/mlflow/v1/models list_models",
			"POST /gateway/openai/v1/chat/completions openai_passthrough_chat",
			"POST /gateway/openai/v1/embeddings openai_passthrough_embeddings",
			"POST /gateway/openai/v1/responses openai_passthrough_responses",
			"POST /gateway/openai/v1/responses/compact openai_passthrough_responses_compact",
			"POST /gateway/proxy/<endpoint_name>/<path:path> raw_proxy",
			"POST /gateway/typesafe/v1/systemone typesafe_passthrough_system_one",
		},
	},
	{
		reason:   "the MCP registry is not ported to Go yet",
		prefixes: bothAPIs,
		routes: []string{
			"GET /3.0/mlflow/mcp-servers search_mcp_servers",
			"POST /3.0/mlflow/mcp-servers create_mcp_server",
			"DELETE /3.0/mlflow/mcp-servers/<path:name> delete_mcp_server",
			"GET /3.0/mlflow/mcp-servers/<path:name> get_mcp_server",
			"PATCH /3.0/mlflow/mcp-servers/<path:name> update_mcp_server",
			"POST /3.0/mlflow/mcp-servers/<path:name>/aliases set_mcp_server_alias",
			"DELETE /3.0/mlflow/mcp-servers/<path:name>/aliases/<path:alias> delete_mcp_server_alias",
			"GET /3.0/mlflow/mcp-servers/<path:name>/aliases/<path:alias> get_version_by_alias",
			"GET /3.0/mlflow/mcp-servers/<path:name>/endpoints search_server_access_endpoints",
			"POST /3.0/mlflow/mcp-servers/<path:name>/endpoints create_mcp_access_endpoint",
			"DELETE /3.0/mlflow/mcp-servers/<path:name>/endpoints/<endpoint_id> delete_mcp_access_endpoint",
			"GET /3.0/mlflow/mcp-servers/<path:name>/endpoints/<endpoint_id> get_mcp_access_endpoint",
			"PATCH /3.0/mlflow/mcp-servers/<path:name>/endpoints/<endpoint_id> update_mcp_access_endpoint",
			"POST /3.0/mlflow/mcp-servers/<path:name>/tags set_mcp_server_tag",
			"DELETE /3.0/mlflow/mcp-servers/<path:name>/tags/<path:key> delete_mcp_server_tag",
			"GET /3.0/mlflow/mcp-servers/<path:name>/versions search_mcp_server_versions",
			"POST /3.0/mlflow/mcp-servers/<path:name>/versions create_mcp_server_version",
			"DELETE /3.0/mlflow/mcp-servers/<path:name>/versions/<path:version> delete_mcp_server_version",
			"GET /3.0/mlflow/mcp-servers/<path:name>/versions/<path:version> get_mcp_server_version",
			"PATCH /3.0/mlflow/mcp-servers/<path:name>/versions/<path:version> update_mcp_server_version",
			"POST /3.0/mlflow/mcp-servers/<path:name>/versions/<path:version>/tags set_mcp_server_version_tag",
			"DELETE /3.0/mlflow/mcp-servers/<path:name>/versions/<path:version>/tags/<path:key> delete_mcp_server_version_tag", //nolint:lll // one route
			"GET /3.0/mlflow/mcp-servers/endpoints search_all_access_endpoints",
		},
	},
	{
		reason:   "the assistant runs Python code",
		prefixes: uiAPI,
		routes: []string{
			"PUT /3.0/mlflow/assistant/config update_config",
			"POST /3.0/mlflow/assistant/message send_message",
			"GET /3.0/mlflow/assistant/providers/<provider>/health provider_health_check",
			"GET /3.0/mlflow/assistant/providers/<provider>/models list_provider_models",
			"PATCH /3.0/mlflow/assistant/sessions/<session_id> patch_session",
			"POST /3.0/mlflow/assistant/sessions/<session_id>/permission resolve_permission",
			"GET /3.0/mlflow/assistant/sessions/<session_id>/stream stream_response",
			"POST /3.0/mlflow/assistant/sessions/<session_id>/tool-result resolve_client_tool_result",
			"POST /3.0/mlflow/assistant/skills/install install_skills_endpoint",
		},
	},
}

// listPlainRoutes spells the table out.
func listPlainRoutes() []Listing {
	var listings []Listing

	for _, group := range plainRoutes {
		for _, route := range group.routes {
			verb, rest, _ := strings.Cut(route, " ")
			path, name, _ := strings.Cut(rest, " ")

			for _, prefix := range group.prefixes {
				listings = append(listings, Listing{Verb: verb, Path: prefix + path, Name: name, Reason: group.reason})
			}
		}
	}

	return listings
}
