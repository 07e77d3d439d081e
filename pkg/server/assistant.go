package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

// What MLflow answers where nobody has set up its assistant: every page of the UI asks, and would wake
// Python for it. Ollama is what the assistant would use then (get_config, get_providers).
const (
	noAssistantConfig    = `{"providers":{},"projects":{},"remote_access_allowed":false}`
	noAssistantProviders = `{"providers":[` +
		`{"name":"claude_code","display_name":"Claude Code",` +
		`"description":"AI-powered assistant using Claude Code CLI","available":false,"selected":false,` +
		`"requires_api_key":false,"has_api_key":false,"allows_remote_access":false,` +
		`"client_tool_delivery":"structured","model_options":[]},` +
		`{"name":"codex","display_name":"Codex","description":"AI-powered assistant using the Codex CLI",` +
		`"available":false,"selected":false,"requires_api_key":false,"has_api_key":false,` +
		`"allows_remote_access":false,"client_tool_delivery":"structured","model_options":[]},` +
		`{"name":"mlflow_gateway","display_name":"MLflow AI Gateway",` +
		`"description":"AI-powered assistant backed by an MLflow AI Gateway endpoint configured on this server.",` +
		`"available":false,"selected":false,"requires_api_key":false,"has_api_key":false,` +
		`"allows_remote_access":true,"client_tool_delivery":"tool","model_options":[]},` +
		`{"name":"ollama","display_name":"Ollama",` +
		`"description":"AI-powered assistant using a locally running Ollama server.","available":true,` +
		`"selected":false,"requires_api_key":false,"has_api_key":false,"allows_remote_access":false,` +
		`"client_tool_delivery":"tool","model_options":[]}],` +
		`"resolved":{"name":"ollama","model":null,"auto_selected":true,"requires_api_key":false,` +
		`"has_api_key":false,"client_tool_delivery":"tool","model_provider":null,"model_options":[],` +
		`"provider_model":null},` +
		`"gateway_vendor_options":{"openai":["gpt-5.5"],"anthropic":["claude-sonnet-5"],` +
		`"gemini":["gemini-3-pro"]}}`
)

// assistantPrograms are those on PATH that MLflow's assistant uses.
var assistantPrograms = []string{"claude", "codex"}

// isAssistantSetUp tells whether the user of the server's process has configured MLflow's assistant, or
// has a program that it uses. What can't be found out is Python's to say.
func isAssistantSetUp() bool {
	for _, program := range assistantPrograms {
		if _, err := exec.LookPath(program); !errors.Is(err, exec.ErrNotFound) {
			return true
		}
	}

	home, err := os.UserHomeDir()
	if err != nil {
		return true
	}

	_, err = os.Stat(filepath.Join(home, ".mlflow", "assistant", "config.json"))

	return !errors.Is(err, fs.ErrNotExist)
}

func assistantConfig(context.Context, plainSource, *fasthttp.RequestCtx, []byte) ([]byte, error) {
	if isAssistantSetUp() {
		return nil, contract.ErrLeftToPython
	}

	return []byte(noAssistantConfig), nil
}

func assistantProviders(ctx context.Context, from plainSource, _ *fasthttp.RequestCtx, _ []byte) ([]byte, error) {
	ui, _ := from.service.(contract.UIService)

	if found, err := ui.HasGatewayEndpoints(ctx); found || err != nil || isAssistantSetUp() {
		return nil, contract.ErrLeftToPython
	}

	return []byte(noAssistantProviders), nil
}
