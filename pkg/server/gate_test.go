package server

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/contract"
)

// Ways to be in each mode. A mode without one fails the test.
var inMode = map[string][]func(*config.Config, map[string]string){
	"app-name":       {func(c *config.Config, _ map[string]string) { c.AppName = "basic-auth" }},
	"mlflow-version": {func(c *config.Config, _ map[string]string) { c.MLflowVersion = "3.17.3" }},
	"workspaces": {
		func(c *config.Config, _ map[string]string) { c.EnableWorkspaces = true },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_ENABLE_WORKSPACES"] = "True" },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_ENABLE_WORKSPACES"] = "what?" },
	},
	"read-replica":   {func(c *config.Config, _ map[string]string) { c.ReadReplicaURI = "postgresql://replica/db" }},
	"artifacts-only": {func(c *config.Config, _ map[string]string) { c.ArtifactsOnly = true }},
	"file-store": {
		func(c *config.Config, _ map[string]string) { c.BackendStoreURI = "./mlruns" },
		func(c *config.Config, _ map[string]string) { c.BackendStoreURI = "file:///mlruns" },
	},
	"sqlite-memory": {
		func(c *config.Config, _ map[string]string) { c.BackendStoreURI = "sqlite://" },
		func(c *config.Config, _ map[string]string) { c.BackendStoreURI = "sqlite:///:memory:" },
		func(c *config.Config, _ map[string]string) {
			c.BackendStoreURI = "sqlite:///file:x?mode=memory&cache=shared&uri=true"
		},
	},
	"other-store": {
		func(c *config.Config, _ map[string]string) { c.BackendStoreURI = "databricks://profile" },
		func(c *config.Config, _ map[string]string) { c.BackendStoreURI = "my-plugin://somewhere" },
	},
	"database-setting": {
		func(_ *config.Config, e map[string]string) { e["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "StaticPool" },
		func(c *config.Config, e map[string]string) {
			c.BackendStoreURI, e["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "mysql+pymysql://u:p@h/db", "StaticPool"
		},
	},
	"registry-store": {
		func(c *config.Config, _ map[string]string) { c.RegistryStoreURI = "./registry" },
		func(c *config.Config, _ map[string]string) { c.RegistryStoreURI = "sqlite:///:memory:" },
	},
	"source-pattern": {
		func(_ *config.Config, e map[string]string) {
			e["MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"] = "^s3:"
		},
	},
	"trace-archival": {
		func(c *config.Config, _ map[string]string) { c.TraceArchival = "archival.yaml" },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_TRACE_ARCHIVAL_CONFIG"] = "archival.yaml" },
	},
	"trace-rollups": {
		func(_ *config.Config, e map[string]string) { e["MLFLOW_SQL_TRACE_ROLLUPS_ENABLED"] = "True" },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_SQL_TRACE_ROLLUPS_ENABLED"] = "what?" },
	},
	"limits": {
		func(_ *config.Config, e map[string]string) { e["MLFLOW_TRUNCATE_LONG_VALUES"] = "what?" },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH"] = "long" },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH"] = "0" },
	},
	"webhook-settings": {
		func(_ *config.Config, e map[string]string) { e["MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"] = "short" },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_WEBHOOK_REQUEST_TIMEOUT"] = "0" },
	},
	"artifacts-destination": {
		func(c *config.Config, _ map[string]string) { c.ServeArtifacts, c.ArtifactsDest = true, "s3://bucket" },
	},
	"assistant": {
		func(_ *config.Config, e map[string]string) { e["MLFLOW_ENABLE_REMOTE_ASSISTANT"] = "true" },
		func(_ *config.Config, e map[string]string) { e["MLFLOW_ENABLE_ASSISTANT_SANDBOX"] = "false" },
	},
	"deployments-target": {
		func(_ *config.Config, e map[string]string) { e["MLFLOW_DEPLOYMENTS_TARGET"] = "http://gateway" },
	},
	"telemetry": {
		func(_ *config.Config, e map[string]string) { e["_MLFLOW_TESTING_TELEMETRY"] = "true" },
	},
	"graphql-limits": {
		func(_ *config.Config, e map[string]string) { e["MLFLOW_SERVER_GRAPHQL_MAX_ALIASES"] = "many" },
	},
	"prometheus": {
		func(c *config.Config, _ map[string]string) { c.ExposePrometheus = "/metrics" },
		func(_ *config.Config, e map[string]string) { e["prometheus_multiproc_dir"] = "/metrics" },
	},
}

// Services whose methods nobody gets to use.
type (
	registryService struct{ contract.ModelRegistryService }
	webhookService  struct{ contract.WebhookService }
)

func TestEachModeLeavesItsRoutesToPython(t *testing.T) {
	for _, mode := range Modes {
		ways := inMode[mode.Name]
		require.NotEmpty(t, ways, "no test enters the mode %s", mode.Name)

		for _, enter := range ways {
			t.Run(mode.Name, func(t *testing.T) {
				options, environment := settings(t), map[string]string{}
				enter(options, environment)

				server, url := start(t, options, func(name string) string { return environment[name] })
				server.Provide(map[string]any{
					"MlflowService": service{}, "ModelRegistryService": registryService{}, "WebhookService": webhookService{},
					contract.UIServiceName: nil, GraphQLServiceName: nil,
				})
				require.Contains(t, server.gate.Active(), mode.Name)

				for _, route := range nativePlainRoutes {
					response, _ := ask(t, route.verb, url+route.path, "[]", typed)
					_, concerned := server.gate.Withheld(Route{Service: route.service, Name: route.name, Path: route.path})
					require.Equal(t, concerned, response.StatusCode == 299, "%s %s", route.verb, route.path)
				}

				for _, method := range contract.Methods {
					route := Route{Service: method.Service, Name: method.Name}
					concerned := mode.Concerns == nil || mode.Concerns(route)

					for _, at := range methodPaths(method.Endpoints) {
						response, _ := ask(t, at.verb, url+at.path, "{}", typed)
						require.Equal(t, concerned, response.StatusCode == 299, "%s %s", at.verb, at.path)
					}
				}

				for name, path := range map[string]string{"health": "/health", "version": "/version"} {
					response, _ := ask(t, http.MethodGet, url+path, "")
					concerned := mode.Concerns != nil && mode.Concerns(Route{Name: name})
					require.Equal(t, concerned, response.StatusCode == 299, path)
				}
			})
		}
	}
}

func TestNoModeAppliesByDefault(t *testing.T) {
	gate, err := NewGate(Setting{Config: settings(t), Getenv: noEnvironment})
	require.NoError(t, err)
	require.Empty(t, gate.Active())
	require.True(t, gate.NeedsDatabase())
}

func TestOperatorsRoutes(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		options := settings(t)
		options.Go.Proxy = []string{"experiments/create", "getRun"}
		url := startNative(t, options)

		for path, withheld := range map[string]bool{
			"/api/2.0/mlflow/experiments/create":      true,
			"/ajax-api/2.0/mlflow/experiments/create": true,
			"/api/2.0/mlflow/experiments/update":      false,
		} {
			response, _ := ask(t, http.MethodPost, url+path, "{}", typed)
			require.Equal(t, withheld, response.StatusCode == 299, path)
		}

		response, _ := ask(t, http.MethodGet, url+"/api/2.0/mlflow/runs/get?run_id=a", "")
		require.Equal(t, 299, response.StatusCode)
	})

	t.Run("OK/All", func(t *testing.T) {
		options := settings(t)
		options.Go.Proxy = []string{"mlflow"}

		gate, err := NewGate(Setting{Config: options, Getenv: noEnvironment})
		require.NoError(t, err)
		require.False(t, gate.NeedsDatabase())

		options.Go.Fallback = config.FallbackOff
		_, err = NewGate(Setting{Config: options, Getenv: noEnvironment})
		require.EqualError(t, err, "--go-opts: fallback=off leaves nobody to answer the API, which is Python's in these "+
			"modes: operator")
	})

	t.Run("ErrUnknown", func(t *testing.T) {
		options := settings(t)
		options.Go.Proxy = []string{"runs/serach"}

		_, err := NewGate(Setting{Config: options, Getenv: noEnvironment})
		require.EqualError(t, err, "--go-opts: proxy=runs/serach: no route has this path or name")
	})
}

func TestSomebodyAnswers(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		options := settings(t)
		options.Go.Fallback = config.FallbackOff

		_, err := NewGate(Setting{Config: options, Getenv: noEnvironment})
		require.NoError(t, err)
	})
	t.Run("ErrNobody", func(t *testing.T) {
		options := settings(t)
		options.Go.Fallback = config.FallbackOff
		options.EnableWorkspaces = true

		_, err := NewGate(Setting{Config: options, Getenv: noEnvironment})
		require.EqualError(t, err, "--go-opts: fallback=off leaves nobody to answer the API, "+
			"which is Python's in these modes: workspaces")
	})
}
