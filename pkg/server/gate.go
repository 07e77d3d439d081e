package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/graphql"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/tracking"
	"github.com/mlflow/mlflow-go/pkg/webhooks"
)

// workspaceHeader asks for a workspace; stock MLflow refuses it while workspaces are off, and
// resolves it while they are on, before anything else.
const workspaceHeader = "X-Mlflow-Workspace"

// Route is a natively answered route in the gate's eyes.
type Route struct {
	// Service and Name are the remote procedure's. Service is empty for routes beside the API, which
	// are named "ui" (the UI's files), "health" and "version".
	Service, Name string
	// Path is the route's below the static prefix.
	Path string
}

// Setting is what modes are judged by: how the server was started.
type Setting struct {
	Config *config.Config
	Getenv func(string) string
}

// Mode is a way of running MLflow that native code doesn't honour. While it applies, the routes that
// it concerns go to MLflow's Python server.
type Mode struct {
	Name   string `json:"name"`
	When   string `json:"when"`
	Reason string `json:"reason"`
	// Concerned says in words what Concerns decides; nil means every native route of the API.
	Concerned string           `json:"concerns"`
	Concerns  func(Route) bool `json:"-"`
	// Applies is asked once, at start-up.
	Applies func(Setting) bool `json:"-"`
}

const (
	sqlite           = "sqlite"
	createExperiment = "createExperiment"
	operator         = "operator"
	fileScheme       = "file"

	everything = "every route, the UI's files and /health included"
	wholeAPI   = "every route of the API"
	failsLater = "MLflow fails once it needs the value"
)

// databases are MLflow's, which are ours as well.
var databases = []string{sqlite, "postgresql", "mysql", "mssql"}

func all(Route) bool         { return true }
func isAPI(route Route) bool { return route.Service != "" }

func isRegistry(route Route) bool {
	return route.Service == "ModelRegistryService" || route.Service == "WebhookService"
}

// Modes is the whole table. A new mode goes here and nowhere else.
var Modes = []Mode{
	{
		Name: "app-name", When: "--app-name is given",
		Reason:    "an application decides itself who may ask what",
		Concerned: everything, Concerns: all,
		Applies: func(s Setting) bool { return s.Config.AppName != "" },
	},
	{
		Name: "mlflow-version", When: "the MLflow installed is not " + schema.MLflowVersion,
		Reason:  "another release may answer otherwise",
		Applies: func(s Setting) bool { return s.Config.MLflowVersion != schema.MLflowVersion },
	},
	{
		Name: "workspaces", When: "--enable-workspaces or MLFLOW_ENABLE_WORKSPACES",
		Reason: "workspaces are not ported to Go yet",
		Applies: func(s Setting) bool {
			return s.Config.EnableWorkspaces || !isFalse(s.Getenv("MLFLOW_ENABLE_WORKSPACES"))
		},
	},
	{
		Name: "read-replica", When: "--read-replica-backend-store-uri is given",
		Reason:  "reads are not sent to a replica by Go yet",
		Applies: func(s Setting) bool { return s.Config.ReadReplicaURI != "" },
	},
	{
		Name: "artifacts-only", When: "--artifacts-only",
		Reason:  "the API is refused, in MLflow's words",
		Applies: func(s Setting) bool { return s.Config.ArtifactsOnly },
	},
	{
		Name: "file-store", When: "the backend store is a directory",
		Reason: "the file store is deprecated and stays with Python",
		Applies: func(s Setting) bool {
			return slices.Contains([]string{"", fileScheme}, scheme(s.Config.BackendStoreURI))
		},
	},
	{
		Name: "sqlite-memory", When: "the backend store is SQLite in memory",
		Reason:  "such a database belongs to the process that opened it",
		Applies: func(s Setting) bool { return isInMemory(s.Config.BackendStoreURI) },
	},
	{
		Name: "other-store", When: "the backend store is neither a directory nor one of MLflow's databases",
		Reason: "Databricks, and stores that plug-ins register, are Python code",
		Applies: func(s Setting) bool {
			known := append([]string{"", fileScheme}, databases...)

			return !slices.Contains(known, dialect(s.Config.BackendStoreURI))
		},
	},
	{
		Name: "database-setting", When: "a database URI or MLFLOW_SQLALCHEMYSTORE_* asks for what Go's drivers can't do",
		Reason:  "only SQLAlchemy and the Python drivers understand it",
		Applies: hasUnsupportedSetting,
	},
	{
		Name:      "registry-store",
		When:      "--registry-store-uri is none of MLflow's databases",
		Reason:    "the store is Python code",
		Concerned: "the model registry's routes and webhooks",
		Concerns:  isRegistry,
		Applies: func(s Setting) bool {
			uri := s.Config.RegistryStoreURI
			if uri == "" {
				uri = s.Config.BackendStoreURI
			}

			return !slices.Contains(databases, dialect(uri)) || isInMemory(uri)
		},
	},
	{
		Name: "source-pattern", When: "MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX",
		Reason:    "the pattern is one of Python's regular expressions",
		Concerned: "creating model versions",
		Concerns:  func(route Route) bool { return route.Name == "createModelVersion" },
		Applies: func(s Setting) bool {
			return s.Getenv("MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX") != ""
		},
	},
	{
		Name: "trace-archival", When: "--trace-archival-config or MLFLOW_TRACE_ARCHIVAL_CONFIG",
		Reason: "archival changes what experiments and traces say",
		Applies: func(s Setting) bool {
			return s.Config.TraceArchival != "" || s.Getenv("MLFLOW_TRACE_ARCHIVAL_CONFIG") != ""
		},
	},
	{
		Name: "trace-rollups", When: "MLFLOW_SQL_TRACE_ROLLUPS_ENABLED",
		Reason:    "rollups are Python's, which reads them, and notes down what goes with a run, to be rolled up again",
		Concerned: "the metrics of traces; deleting and restoring runs and experiments",
		Concerns: func(route Route) bool {
			return slices.Contains([]string{
				"queryTraceMetrics", "deleteRun", "restoreRun", "deleteExperiment", "restoreExperiment",
			}, route.Name)
		},
		Applies: func(s Setting) bool { return !isFalse(s.Getenv("MLFLOW_SQL_TRACE_ROLLUPS_ENABLED")) },
	},
	{
		Name:   "limits",
		When:   "MLFLOW_TRUNCATE_LONG_VALUES or MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH has a value that can't be used",
		Reason: failsLater,
		Applies: func(s Setting) bool {
			_, err := tracking.OptionsFromEnvironment(s.Getenv)

			return err != nil
		},
	},
	{
		Name: "webhook-settings", When: "an MLFLOW_WEBHOOK_* variable has a value that can't be used",
		Reason:    failsLater,
		Concerned: "the model registry's routes and webhooks",
		Concerns:  isRegistry,
		Applies: func(s Setting) bool {
			_, err := webhooks.OptionsFromEnvironment(s.Getenv)

			return err != nil
		},
	},
	{
		Name: "artifacts-destination", When: "--artifacts-destination is no local directory",
		Reason:    "Python code knows whether it takes uploads in parts",
		Concerned: "server-info",
		Concerns:  func(route Route) bool { return route.Name == serverInfoName },
		Applies:   storesInParts,
	},
	{
		Name: "deployments-target", When: "MLFLOW_DEPLOYMENTS_TARGET names a deployments server",
		Reason:    "requests are passed on to it by Python",
		Concerned: "gateway-proxy",
		Concerns:  func(route Route) bool { return route.Name == gatewayProxyName },
		Applies:   func(s Setting) bool { return s.Getenv("MLFLOW_DEPLOYMENTS_TARGET") != "" },
	},
	{
		Name: "assistant", When: "MLFLOW_ENABLE_REMOTE_ASSISTANT or MLFLOW_ENABLE_ASSISTANT_SANDBOX is set",
		Reason:    "the assistant is Python code",
		Concerned: "assistant/config and assistant/providers",
		Concerns: func(route Route) bool {
			return route.Name == assistantConfigName || route.Name == assistantProvidersName
		},
		Applies: func(s Setting) bool {
			return s.Getenv("MLFLOW_ENABLE_REMOTE_ASSISTANT") != "" || s.Getenv("MLFLOW_ENABLE_ASSISTANT_SANDBOX") != ""
		},
	},
	{
		Name: "telemetry", When: testingTelemetry,
		Reason:    "it is for MLflow's own developers",
		Concerned: "ui-telemetry",
		Concerns: func(route Route) bool {
			return route.Name == telemetryName || route.Name == tellTelemetryName
		},
		Applies: func(s Setting) bool { return !isFalse(s.Getenv(testingTelemetry)) },
	},
	{
		Name:      "graphql-limits",
		When:      "MLFLOW_SERVER_GRAPHQL_MAX_ROOT_FIELDS or MLFLOW_SERVER_GRAPHQL_MAX_ALIASES isn't a whole number",
		Reason:    failsLater,
		Concerned: "GraphQL",
		Concerns:  func(route Route) bool { return route.Name == graphqlName },
		Applies: func(s Setting) bool {
			_, err := graphql.LimitsFromEnvironment(s.Getenv)

			return err != nil
		},
	},
	{
		Name: "prometheus", When: "--expose-prometheus is given",
		Reason:    "the metrics count the requests that Python answers",
		Concerned: "every route but /health and /version",
		Concerns:  func(route Route) bool { return isAPI(route) || route.Name == uiGate },
		Applies: func(s Setting) bool {
			return s.Config.ExposePrometheus != "" || s.Getenv("prometheus_multiproc_dir") != ""
		},
	},
}

// perRequest are modes of single requests, beside those of the whole server; for the listing only,
// since the one way in asks for them (see native).
var perRequest = []Mode{
	{
		Name: "workspace-header", When: "a request has X-MLFLOW-WORKSPACE",
		Reason:    "MLflow resolves or refuses the workspace before anything else",
		Concerned: everything,
	},
	{
		Name: "artifact-storage", When: "artifacts are no files of the server's, or their names or the headers are odd",
		Reason:    "MLflow's Python clients know the storage, and judge what may be asked of it",
		Concerned: "lists of artifacts, and artifacts",
	},
	{
		Name: operator, When: "--go-opts proxy=… names a route",
		Reason:    "the operator wants Python's answer",
		Concerned: "the routes named",
	},
}

// ListModes is the table of all modes, as `mlflow-go endpoints` shows it.
func ListModes() []Mode {
	modes := append(slices.Clone(Modes), perRequest...)
	for i := range modes {
		if modes[i].Concerned == "" {
			modes[i].Concerned = wholeAPI
		}
	}

	return modes
}

var (
	errNoSuchRoute = errors.New("no route has this path or name")
	errNobody      = errors.New("fallback=off leaves nobody to answer the API, which is Python's in these modes")
)

// Gate stands in front of every native route.
type Gate struct {
	active []Mode
	proxy  []string
}

// NewGate asks every mode whether it applies. It fails when the operator's list names a route that
// doesn't exist, and when all of the API is left to a Python server that isn't to run.
func NewGate(setting Setting) (*Gate, error) {
	gate := &Gate{proxy: setting.Config.Go.Proxy}

	for _, mode := range Modes {
		if mode.Applies(setting) {
			if mode.Concerns == nil {
				mode.Concerns = isAPI
			}

			gate.active = append(gate.active, mode)
		}
	}

	for _, wanted := range gate.proxy {
		if !slices.ContainsFunc(Routes(), func(listing Listing) bool {
			return names(wanted, Route{Name: listing.Name, Path: listing.Path})
		}) {
			return nil, fmt.Errorf("--go-opts: proxy=%s: %w", wanted, errNoSuchRoute)
		}
	}

	if setting.Config.Go.Fallback == config.FallbackOff && !gate.NeedsDatabase() {
		return nil, fmt.Errorf("--go-opts: %w: %s", errNobody, strings.Join(gate.blocking(), ", "))
	}

	return gate, nil
}

// Withheld says which mode keeps a route from being answered natively, if one does.
func (g *Gate) Withheld(route Route) (mode string, withheld bool) {
	for _, active := range g.active {
		if active.Concerns(route) {
			return active.Name, true
		}
	}

	if slices.ContainsFunc(g.proxy, func(wanted string) bool { return names(wanted, route) }) {
		return operator, true
	}

	return "", false
}

// Active lists the names of the modes that apply.
func (g *Gate) Active() []string {
	active := make([]string, len(g.active))
	for i, mode := range g.active {
		active[i] = mode.Name
	}

	return active
}

// NeedsDatabase says whether any route of the API is answered natively.
func (g *Gate) NeedsDatabase() bool {
	return slices.ContainsFunc(contract.Methods, func(method contract.Method) bool {
		return slices.ContainsFunc(methodPaths(method.Endpoints), func(at methodPath) bool {
			_, withheld := g.Withheld(Route{Service: method.Service, Name: method.Name, Path: at.path})

			return !withheld
		})
	})
}

// blocking lists the modes that apply to the protobufs' methods.
func (g *Gate) blocking() []string {
	var names []string

	for _, mode := range g.active {
		if slices.ContainsFunc(contract.Methods, func(method contract.Method) bool {
			return mode.Concerns(Route{Service: method.Service, Name: method.Name})
		}) {
			names = append(names, mode.Name)
		}
	}

	if len(g.proxy) > 0 {
		names = append(names, operator)
	}

	return names
}

// names tells whether an operator's word means a route: its name, or whole parts of its path.
func names(wanted string, route Route) bool {
	return wanted == route.Name || strings.Contains(route.Path+"/", "/"+wanted+"/")
}

// isFalse reads a variable as MLflow's booleans are read; anything unreadable is not false, so that
// Python gets to refuse it.
func isFalse(value string) bool {
	return slices.Contains([]string{"", "false", "0"}, strings.ToLower(value))
}

func scheme(uri string) string {
	scheme, _, found := strings.Cut(uri, ":")
	if !found {
		return ""
	}

	return strings.ToLower(scheme)
}

func dialect(uri string) string {
	dialect, _, _ := strings.Cut(scheme(uri), "+")

	return dialect
}

// isInMemory tells of the ways to spell a SQLite database in memory; a file's URI may ask for it in
// its query.
func isInMemory(uri string) bool {
	if dialect(uri) != sqlite {
		return false
	}

	_, path, _ := strings.Cut(uri, "://")
	name, query, _ := strings.Cut(strings.TrimPrefix(path, "/"), "?")

	return name == "" || strings.Contains(name, ":memory:") || strings.Contains(query, "mode=memory")
}

func hasUnsupportedSetting(setting Setting) bool {
	if !slices.Contains(databases, dialect(setting.Config.BackendStoreURI)) {
		return false
	}

	_, err := database.OptionsFromEnvironment(setting.Getenv)

	return errors.Is(err, database.ErrUnsupported)
}
