package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// plainRoute is one of MLflow's routes beside its protobufs that Go answers. It takes the way of native
// methods: through the gate, security and the services that the server was provided with. Reading the
// request and writing the answer is each route's own, as it is in MLflow.
type plainRoute struct {
	verb, path string
	// name is that of MLflow's function.
	name string
	// service is what the server must have been provided with.
	service string
	// fastapi says that stock answers outside of Flask.
	fastapi bool
	// answer gives the JSON of the answer, or contract.ErrLeftToPython.
	answer func(ctx context.Context, from plainSource, request *fasthttp.RequestCtx, body []byte) ([]byte, error)
}

// plainSource is what answers may rest on.
type plainSource struct {
	service   any
	config    *config.Config
	telemetry *Telemetry
}

var nativePlainRoutes = []plainRoute{
	{
		verb: http.MethodGet, path: "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
		name: "serve_get_metric_history_bulk", service: contract.UIServiceName, answer: metricHistoryBulk,
	},
	{
		verb: http.MethodPost, path: "/ajax-api/2.0/mlflow/experiments/search-datasets",
		name: "serve_search_datasets", service: contract.UIServiceName, answer: searchDatasets,
	},
	{
		verb: http.MethodGet, path: "/ajax-api/2.0/mlflow/gateway-proxy",
		name: gatewayProxyName, service: contract.UIServiceName, answer: constant(`{"endpoints":[]}`),
	},
	{
		verb: http.MethodPost, path: "/ajax-api/2.0/mlflow/gateway-proxy",
		name: gatewayProxyName, service: contract.UIServiceName, answer: constant(`{"endpoints":[]}`),
	},
	{
		verb: http.MethodGet, path: "/api/3.0/mlflow/server-info",
		name: serverInfoName, service: contract.UIServiceName, fastapi: true, answer: serverInfo,
	},
	{
		verb: http.MethodGet, path: "/ajax-api/3.0/mlflow/server-info",
		name: serverInfoName, service: contract.UIServiceName, fastapi: true, answer: serverInfo,
	},
	{
		verb: http.MethodGet, path: "/ajax-api/3.0/mlflow/ui-telemetry",
		name: telemetryName, service: contract.UIServiceName, answer: uiTelemetry,
	},
	{
		verb: http.MethodPost, path: "/ajax-api/3.0/mlflow/ui-telemetry",
		name: tellTelemetryName, service: contract.UIServiceName, answer: tellTelemetry,
	},
	{
		verb: http.MethodGet, path: "/ajax-api/3.0/mlflow/assistant/config",
		name: assistantConfigName, service: contract.UIServiceName, fastapi: true, answer: assistantConfig,
	},
	{
		verb: http.MethodGet, path: "/ajax-api/3.0/mlflow/assistant/providers",
		name: assistantProvidersName, service: contract.UIServiceName, fastapi: true, answer: assistantProviders,
	},
	{verb: http.MethodGet, path: "/graphql", name: graphqlName, service: GraphQLServiceName, answer: answerGraphQL},
	{verb: http.MethodPost, path: "/graphql", name: graphqlName, service: GraphQLServiceName, answer: answerGraphQL},
}

// Names that the gate knows.
const (
	gatewayProxyName       = "serve_gateway_proxy"
	serverInfoName         = "get_server_info"
	graphqlName            = "graphql"
	telemetryName          = "serve_get_ui_telemetry"
	tellTelemetryName      = "serve_post_ui_telemetry"
	assistantConfigName    = "get_config"
	assistantProvidersName = "get_providers"
)

func (s *Server) bindPlain(app *fiber.App) {
	for _, route := range nativePlainRoutes {
		gated := Route{Service: route.service, Name: route.name, Path: route.path}
		pattern := escapePattern(s.config.StaticPrefix + route.path)

		s.bind(app, route.verb, pattern, gated, !route.fastapi, func(c fiber.Ctx) error {
			return s.serve(c, route.service, reading, func(ctx context.Context, service any, body, _ []byte) ([]byte, error) {
				return route.answer(ctx, plainSource{service, s.config, s.telemetry}, c.RequestCtx(), body)
			})
		})
	}
}

// constant answers with a JSON text, as Flask's jsonify spells it: for what MLflow answers while a feature
// is off. The gate leaves such routes to Python while it is on.
func constant(
	text string,
) func(context.Context, plainSource, *fasthttp.RequestCtx, []byte) ([]byte, error) {
	return func(context.Context, plainSource, *fasthttp.RequestCtx, []byte) ([]byte, error) {
		return []byte(text + "\n"), nil
	}
}

// metricHistoryBulk answers in the JSON of Flask's jsonify: compact, sorted, with a line's end.
func metricHistoryBulk(
	ctx context.Context, from plainSource, request *fasthttp.RequestCtx, _ []byte,
) ([]byte, error) {
	ui, _ := from.service.(contract.UIService)
	arguments := codec.Arguments(string(request.URI().QueryString()))
	wanted := &protos.GetMetricHistoryBulkInterval{RunIds: arguments["run_id"]}

	if keys := arguments["metric_key"]; len(keys) > 0 {
		wanted.MetricKey = new(keys[0])
	}

	limit, err := readMaxResults(arguments["max_results"])
	wanted.MaxResults = limit

	if err != nil && len(wanted.GetRunIds()) > 0 && wanted.MetricKey != nil {
		return nil, err // last, as MLflow does
	}

	found, err := ui.GetMetricHistoryBulk(ctx, wanted)
	if err != nil {
		return nil, err
	}

	points := make([]any, len(found.GetMetrics()))

	for i, metric := range found.GetMetrics() {
		point := &codec.Raw{}
		point.Set("key", metric.GetKey())
		point.Set("value", metric.GetValue())
		point.Set("timestamp", json.Number(strconv.FormatInt(metric.GetTimestamp(), 10)))
		point.Set("step", json.Number(strconv.FormatInt(metric.GetStep(), 10)))
		point.Set("run_id", metric.GetRunId())
		points[i] = point
	}

	answer := &codec.Raw{}
	answer.Set("metrics", points)

	return append(codec.AppendCompact(nil, answer), '\n'), nil
}

// readMaxResults reads an argument as Python's int does; what is beyond 32 bits means all there are.
func readMaxResults(values []string) (*int32, error) {
	if len(values) == 0 {
		return nil, nil //nolint:nilnil // not given
	}

	number, ok := pyfmt.ParseInt(values[0])

	switch {
	case !ok:
		return nil, contract.InvalidParameter("Invalid value %s for parameter 'max_results' supplied. It must be a whole "+
			"number.", pyfmt.Repr(values[0]))
	case number.IsInt64() && number.Int64() == int64(int32(number.Int64())): //nolint:gosec // that is the question
		return new(int32(number.Int64())), nil //nolint:gosec // it fits
	case number.Sign() < 0:
		return new(int32(-1)), nil
	default:
		return nil, nil //nolint:nilnil // no limit of the client's
	}
}

func searchDatasets(
	ctx context.Context, from plainSource, request *fasthttp.RequestCtx, body []byte,
) ([]byte, error) {
	ui, _ := from.service.(contract.UIService)
	wanted := &protos.SearchDatasets{}

	if err := checkContentType(request); err != nil {
		return nil, err
	}

	decoded, err := codec.DecodeBody(body, wanted)
	if err != nil {
		return nil, err
	}

	if decoded.ParseError != nil && !decoded.IsMalformed() {
		return nil, contract.InvalidParameter("Cannot read the request: %s.", decoded.ParseError)
	}

	found, err := ui.SearchDatasets(ctx, wanted)
	if err != nil {
		return nil, err
	}

	return codec.Encode(nil, found), nil
}
