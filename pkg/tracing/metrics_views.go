package tracing

import (
	"slices"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// Tables and columns that several views need.
const (
	traceTable      = "trace_info"
	spanTable       = "spans"
	assessmentTable = "assessments"

	traceID = "trace_info.request_id"

	nanosPerMilli = 1_000_000
)

// metricsView is a kind of rows that metrics are made of (VIEW_TYPE_CONFIGS).
type metricsView struct {
	table string
	// time is the column of when something was, of which perMillisecond units make a millisecond.
	time           string
	perMillisecond int64
	// metrics are in MLflow's order.
	metrics []metric
}

// metric is something that can be aggregated (TraceMetricsConfig).
type metric struct {
	name   string
	column string
	// divisor, if any, makes of the column the whole number that is aggregated.
	divisor int64
	// distinct counts different values.
	distinct bool
	// known is true of what spans know themselves: their own time counts for it, not their trace's.
	known        bool
	aggregations []protos.AggregationType
	dimensions   []dimension
}

// dimension is a column that metrics can be grouped by.
type dimension struct{ name, column string }

var (
	counts = []protos.AggregationType{protos.AggregationType_COUNT}
	values = []protos.AggregationType{
		protos.AggregationType_AVG, protos.AggregationType_MIN, protos.AggregationType_MAX, protos.AggregationType_PERCENTILE,
	}
	sums = append([]protos.AggregationType{protos.AggregationType_SUM}, values...)

	traceName   = dimension{"trace_name", "trace_info.trace_name"}
	traceStatus = dimension{"trace_status", "trace_info.status"}

	spanName     = dimension{"span_name", "spans.name"}
	spanType     = dimension{"span_type", "spans.type"}
	spanStatus   = dimension{"span_status", "spans.status"}
	spanModel    = dimension{"span_model_name", "spans.model_name"}
	spanProvider = dimension{"span_model_provider", "spans.model_provider"}

	assessmentName  = dimension{"assessment_name", "assessments.name"}
	assessmentValue = dimension{"assessment_value", "assessments.value"}
)

// metricsViews are what can be asked for (TRACES_METRICS_CONFIGS, SPANS_METRICS_CONFIGS,
// ASSESSMENTS_METRICS_CONFIGS in mlflow.store.tracking.utils.sql_trace_metrics_utils).
var metricsViews = map[protos.MetricViewType]*metricsView{
	protos.MetricViewType_TRACES: {
		table: traceTable, time: "trace_info.timestamp_ms", perMillisecond: 1,
		metrics: []metric{
			{
				name: "trace_count", column: traceID, aggregations: counts,
				dimensions: []dimension{traceName, traceStatus},
			},
			{name: "session_count", column: "trace_info.session_id", distinct: true, aggregations: counts},
			{
				name: "latency", column: "trace_info.execution_time_ms", aggregations: values,
				dimensions: []dimension{traceName},
			},
			tokens("input_tokens"),
			tokens("output_tokens"),
			tokens("total_tokens"),
			tokens("cache_read_input_tokens"),
			tokens("cache_creation_input_tokens"),
		},
	},
	protos.MetricViewType_SPANS: {
		table: spanTable, time: "spans.start_time_unix_nano", perMillisecond: nanosPerMilli,
		metrics: []metric{
			{
				name: "span_count", column: "spans.span_id", aggregations: counts,
				dimensions: []dimension{spanName, spanType, spanStatus, spanModel, spanProvider},
			},
			{
				name: "latency", column: "spans.end_time_unix_nano - spans.start_time_unix_nano", divisor: nanosPerMilli,
				aggregations: values, dimensions: []dimension{spanName, spanStatus},
			},
			cost("input_cost"),
			cost("output_cost"),
			cost("total_cost"),
		},
	},
	protos.MetricViewType_ASSESSMENTS: {
		table: assessmentTable, time: "assessments.trace_timestamp_ms", perMillisecond: 1,
		metrics: []metric{
			{
				name: "assessment_count", column: "assessments.assessment_id", aggregations: counts,
				dimensions: []dimension{assessmentName, assessmentValue},
			},
			{
				name: "assessment_value", column: "assessments.aggregate_value", aggregations: values,
				dimensions: []dimension{assessmentName},
			},
		},
	},
}

// tokens counts tokens that traces used.
func tokens(name string) metric {
	return metric{
		name: name, column: traceTable + "." + name, aggregations: sums, dimensions: []dimension{traceName},
	}
}

// cost is what calls of models cost, in US dollars.
func cost(name string) metric {
	return metric{
		name: name, column: spanTable + "." + name, known: true, aggregations: sums,
		dimensions: []dimension{spanModel, spanProvider},
	}
}

// find returns the metric of a name. Error: INVALID_PARAMETER_VALUE.
func (v *metricsView) find(name string) (*metric, error) {
	known := make([]string, len(v.metrics))

	for i := range v.metrics {
		if v.metrics[i].name == name {
			return &v.metrics[i], nil
		}

		known[i] = v.metrics[i].name
	}

	return nil, contract.InvalidParameter("metric_name must be one of %s, got '%s'", pyfmt.ReprList(known), name)
}

// check refuses aggregations that the metric hasn't.
func (m *metric) check(aggregations []aggregation) error {
	var unknown []string

	for _, a := range aggregations {
		if !slices.Contains(m.aggregations, a.kind) {
			unknown = append(unknown, a.kind.String())
		}
	}

	if unknown == nil {
		return nil
	}

	known := make([]string, len(m.aggregations))
	for i, kind := range m.aggregations {
		known[i] = kind.String()
	}

	return contract.InvalidParameter("Found invalid aggregation_type(s): %s. Supported aggregation types: %s",
		reprSorted(unknown), reprSorted(known))
}

// groups are the dimensions of these names, each once. Error: INVALID_PARAMETER_VALUE.
func (m *metric) groups(names []string) ([]dimension, error) {
	var (
		groups  []dimension
		unknown []string
	)

	for _, name := range names {
		i := slices.IndexFunc(m.dimensions, func(d dimension) bool { return d.name == name })

		switch {
		case i < 0:
			unknown = append(unknown, name)
		case !slices.Contains(groups, m.dimensions[i]):
			groups = append(groups, m.dimensions[i])
		}
	}

	if unknown == nil {
		return groups, nil
	}

	known := make([]string, len(m.dimensions))
	for i, d := range m.dimensions {
		known[i] = d.name
	}

	return nil, contract.InvalidParameter("Found invalid dimension(s): %s. Supported dimensions: %s",
		reprSorted(unknown), reprSorted(known))
}

// reprSorted is Python's repr of sorted different texts.
func reprSorted(texts []string) string {
	slices.Sort(texts)

	return pyfmt.ReprList(slices.Compact(texts))
}
