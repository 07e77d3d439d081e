package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// nativePlainRoutes are those of MLflow's routes beside its protobufs that Go answers. They take the
// way of native methods: through the gate, security and the services that the server was provided
// with. Reading the request and writing the answer is each route's own, as it is in MLflow.
var nativePlainRoutes = []struct {
	verb, path string
	// name is that of MLflow's function.
	name   string
	answer func(ctx context.Context, ui contract.UIService, request *fasthttp.RequestCtx, body []byte) ([]byte, error)
}{
	{http.MethodGet, "/ajax-api/2.0/mlflow/metrics/get-history-bulk", "serve_get_metric_history_bulk", metricHistoryBulk},
	{http.MethodPost, "/ajax-api/2.0/mlflow/experiments/search-datasets", "serve_search_datasets", searchDatasets},
}

func (s *Server) bindPlain(app *fiber.App) {
	for _, route := range nativePlainRoutes {
		gated := Route{Service: contract.UIServiceName, Name: route.name, Path: route.path}

		s.bind(app, route.verb, escapePattern(s.config.StaticPrefix+route.path), gated, true, func(c fiber.Ctx) error {
			return s.serve(c, contract.UIServiceName, func(ctx context.Context, service any, body []byte) ([]byte, error) {
				ui, _ := service.(contract.UIService)

				return route.answer(ctx, ui, c.RequestCtx(), body)
			})
		})
	}
}

// metricHistoryBulk answers in the JSON of Flask's jsonify: compact, sorted, with a line's end.
func metricHistoryBulk(
	ctx context.Context, ui contract.UIService, request *fasthttp.RequestCtx, _ []byte,
) ([]byte, error) {
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
	ctx context.Context, ui contract.UIService, request *fasthttp.RequestCtx, body []byte,
) ([]byte, error) {
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
