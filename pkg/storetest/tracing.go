package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/schema"
)

// Aggregations by name.
const (
	count      = protos.AggregationType_COUNT
	sum        = protos.AggregationType_SUM
	average    = protos.AggregationType_AVG
	percentile = protos.AggregationType_PERCENTILE
)

// tracing is a store under test, its database, and an experiment with traces.
type tracing struct {
	contract.TracingService

	db         *database.DB
	experiment int64
}

// Tracing tests the tracing part of a tracking store on a database that has MLflow's schema.
func Tracing(t *testing.T, db *database.DB, store contract.TracingService) {
	t.Helper()

	s := tracing{TracingService: store, db: db}
	s.experiment = s.newExperiment(t, "traces", contract.DefaultWorkspace)
	s.write(t, s.traces()...)

	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"TraceMetrics", s.traceMetrics},
		{"SpanMetrics", s.spanMetrics},
		{"AssessmentMetrics", s.assessmentMetrics},
		{"MetricPercentiles", s.metricPercentiles},
		{"MetricTimes", s.metricTimes},
		{"MetricFilters", s.metricFilters},
		{"MetricPages", s.metricPages},
		{"MetricsRefused", s.metricsRefused},
		{"MetricsOfWorkspaces", s.metricsOfWorkspaces},
	} {
		t.Run(part.name, part.run)
	}
}

// write adds rows.
func (s tracing) write(t *testing.T, rows ...any) {
	t.Helper()
	require.NoError(t, s.db.Write(t.Context(), func(tx *database.Tx) error {
		for _, row := range rows {
			if err := tx.Gorm().Create(row).Error; err != nil {
				return err
			}
		}

		return nil
	}))
}

func (s tracing) newExperiment(t *testing.T, name, workspace string) (id int64) {
	t.Helper()
	require.NoError(t, s.db.Write(t.Context(), func(tx *database.Tx) (err error) {
		id, err = tx.Insert("experiments", []string{"name", "artifact_location", "lifecycle_stage", "workspace"},
			"experiment_id", name, "s3://bucket/traces", "active", workspace)

		return err
	}))

	return id
}

// traces are five, two of them with spans, two with assessments.
func (s tracing) traces() []any {
	return []any{
		&schema.TraceInfo{
			RequestID: "tr-1", ExperimentID: s.experiment, TimestampMS: 0, ExecutionTimeMS: new(int64(10)), Status: "OK",
			TraceName: new("a"), SessionID: new("s1"), InputTokens: new(int64(100)), TotalTokens: new(int64(120)),
		},
		&schema.TraceInfo{
			RequestID: "tr-2", ExperimentID: s.experiment, TimestampMS: 59_999, ExecutionTimeMS: new(int64(21)), Status: "ERROR",
			TraceName: new("a"), SessionID: new("s1"), InputTokens: new(int64(50)), TotalCost: new(0.1),
		},
		&schema.TraceInfo{
			RequestID: "tr-3", ExperimentID: s.experiment, TimestampMS: 60_000, Status: "IN_PROGRESS", TraceName: new("b"),
			SessionID: new("s2"),
		},
		&schema.TraceInfo{
			RequestID: "tr-4", ExperimentID: s.experiment, TimestampMS: 120_000, ExecutionTimeMS: new(int64(40)), Status: "OK",
		},
		&schema.TraceInfo{
			RequestID: "tr-5", ExperimentID: s.experiment, TimestampMS: -1, ExecutionTimeMS: new(int64(50)), Status: "OK",
			TraceName: new("b"),
		},
		&schema.TraceTag{Key: "team", Value: new("x"), RequestID: "tr-1"},
		&schema.TraceMetadata{Key: "mlflow.sourceRun", Value: new("run"), RequestID: "tr-2"},
		&schema.EntityAssociation{
			AssociationID: "1", SourceType: "trace", SourceID: "tr-4", DestinationType: "run", DestinationID: "run",
		},
		&schema.Span{
			TraceID: "tr-1", ExperimentID: s.experiment, SpanID: "1", Name: new("plan"), Type: new("LLM"), Status: "OK",
			StartTimeUnixNano: 0, EndTimeUnixNano: new(int64(10_999_999)), Content: "{}", InputCost: new(0.5),
			ModelName: new("gpt"), ModelProvider: new("openai"),
		},
		&schema.Span{
			TraceID: "tr-1", ExperimentID: s.experiment, SpanID: "2", Name: new("act"), Type: new("TOOL"), Status: "ERROR",
			StartTimeUnixNano: 59_999_999_999, EndTimeUnixNano: new(int64(90_000_000_000)), Content: "{}",
		},
		&schema.Span{
			TraceID: "tr-2", ExperimentID: s.experiment, SpanID: "1", Status: "OK", StartTimeUnixNano: -1, Content: "{}",
			InputCost: new(0.25), ModelName: new("gpt"),
		},
		&schema.Assessments{
			AssessmentID: "a-1", TraceID: "tr-1", Name: "correct", AssessmentType: "feedback", Value: "true",
			ExperimentID: &s.experiment, TraceTimestampMS: new(int64(0)), AggregateValue: new(1.0), SourceType: "HUMAN", Valid: true,
		},
		&schema.Assessments{
			AssessmentID: "a-2", TraceID: "tr-2", Name: "correct", AssessmentType: "feedback", Value: "false",
			ExperimentID: &s.experiment, TraceTimestampMS: new(int64(59_999)), AggregateValue: new(0.0), SourceType: "CODE", Valid: true,
		},
		&schema.Assessments{
			AssessmentID: "a-3", TraceID: "tr-2", Name: "tone", AssessmentType: "expectation", Value: `"kind"`,
			ExperimentID: &s.experiment, TraceTimestampMS: new(int64(59_999)), SourceType: "CODE", Valid: true,
		},
	}
}

// metrics is a question; of is what is aggregated.
type metrics struct {
	view         protos.MetricViewType
	of           string
	aggregations []protos.AggregationType
	percentiles  []float64
	by, filters  []string
	start, end   int64
	seconds      int64
	limit        *int32
}

func (m metrics) request(experiments ...int64) *protos.QueryTraceMetrics {
	request := &protos.QueryTraceMetrics{
		ViewType: &m.view, MetricName: &m.of, Dimensions: m.by, Filters: m.filters, MaxResults: m.limit,
	}

	for _, id := range experiments {
		request.ExperimentIds = append(request.ExperimentIds, strconv.FormatInt(id, 10))
	}

	for _, kind := range m.aggregations {
		request.Aggregations = append(request.Aggregations, &protos.MetricAggregation{AggregationType: &kind})
	}

	for _, value := range m.percentiles {
		request.Aggregations = append(request.Aggregations, &protos.MetricAggregation{
			AggregationType: new(percentile), PercentileValue: &value,
		})
	}

	if m.start != 0 || m.end != 0 {
		request.StartTimeMs, request.EndTimeMs = &m.start, &m.end
	}

	if m.seconds != 0 {
		request.TimeIntervalSeconds = &m.seconds
	}

	return request
}

// requirePoints wants points, each written as its dimensions and values: "trace_name=a COUNT=2".
func (s tracing) requirePoints(t *testing.T, m metrics, want ...string) {
	t.Helper()
	s.requirePointsIn(t.Context(), t, m.request(s.experiment), want...)
}

func (s tracing) requirePointsIn(
	ctx context.Context, t *testing.T, request *protos.QueryTraceMetrics, want ...string,
) {
	t.Helper()

	response, err := s.QueryTraceMetrics(ctx, request)
	require.NoError(t, err)
	require.Nil(t, response.NextPageToken)

	got := make([]string, 0, len(response.GetDataPoints()))

	for _, point := range response.GetDataPoints() {
		require.Equal(t, request.GetMetricName(), point.GetMetricName())

		words := make([]string, 0, len(point.GetDimensions())+len(point.GetValues()))
		for _, name := range slices.Sorted(maps.Keys(point.GetDimensions())) {
			words = append(words, name+"="+point.GetDimensions()[name])
		}

		for _, name := range slices.Sorted(maps.Keys(point.GetValues())) {
			words = append(words, fmt.Sprint(name, "=", point.GetValues()[name]))
		}

		got = append(got, strings.Join(words, " "))
	}

	require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
}

func (s tracing) traceMetrics(t *testing.T) {
	t.Helper()

	const view = protos.MetricViewType_TRACES

	counted := metrics{view: view, of: "trace_count", aggregations: []protos.AggregationType{count}}
	s.requirePoints(t, counted, "COUNT=5")

	counted.by = []string{"trace_status", "trace_name", "trace_status"}
	s.requirePoints(t, counted, "trace_name=a trace_status=ERROR COUNT=1", "trace_name=b trace_status=IN_PROGRESS COUNT=1",
		"trace_name=a trace_status=OK COUNT=1", "trace_name=b trace_status=OK COUNT=1")
	s.requirePoints(t, metrics{view: view, of: "session_count", aggregations: []protos.AggregationType{count}}, "COUNT=2")
	s.requirePoints(t, metrics{
		view: view, of: "latency", aggregations: []protos.AggregationType{average, protos.AggregationType_MIN, protos.AggregationType_MAX},
		by: []string{"trace_name"},
	}, "trace_name=a AVG=15.5 MAX=21 MIN=10", "trace_name=b AVG=50 MAX=50 MIN=50")
	s.requirePoints(t, metrics{view: view, of: "input_tokens", aggregations: []protos.AggregationType{sum, average}},
		"AVG=75 SUM=150")
	s.requirePoints(t, metrics{view: view, of: "output_tokens", aggregations: []protos.AggregationType{sum, average}})

	t.Run("Nothing", func(t *testing.T) {
		empty := s.newExperiment(t, "empty", contract.DefaultWorkspace)
		counted.by = nil
		s.requirePointsIn(t.Context(), t, counted.request(empty), "COUNT=0")
		s.requirePointsIn(t.Context(), t, counted.request(), "COUNT=0")

		counted.by = []string{"trace_name"}
		s.requirePointsIn(t.Context(), t, counted.request(empty))
		s.requirePointsIn(t.Context(), t, metrics{
			view: view, of: "latency", aggregations: []protos.AggregationType{average}, percentiles: []float64{50},
		}.request(empty))
	})
}

func (s tracing) spanMetrics(t *testing.T) {
	t.Helper()

	const view = protos.MetricViewType_SPANS

	s.requirePoints(t, metrics{view: view, of: "span_count", aggregations: []protos.AggregationType{count}}, "COUNT=3")
	s.requirePoints(t, metrics{
		view: view, of: "span_count", aggregations: []protos.AggregationType{count}, by: []string{"span_type", "span_status"},
	}, "span_status=OK span_type=LLM COUNT=1", "span_status=ERROR span_type=TOOL COUNT=1")
	s.requirePoints(t, metrics{
		view: view, of: "latency", aggregations: []protos.AggregationType{average}, by: []string{"span_name"},
	}, "span_name=act AVG=30000", "span_name=plan AVG=10")
	s.requirePoints(t, metrics{
		view: view, of: "input_cost", aggregations: []protos.AggregationType{sum}, by: []string{"span_model_name"},
	}, "span_model_name=gpt SUM=0.75")
	s.requirePoints(t, metrics{
		view: view, of: "input_cost", aggregations: []protos.AggregationType{sum},
		by: []string{"span_model_name", "span_model_provider"},
	}, "span_model_name=gpt span_model_provider=openai SUM=0.5")
}

func (s tracing) assessmentMetrics(t *testing.T) {
	t.Helper()

	const view = protos.MetricViewType_ASSESSMENTS

	// One that another replaced.
	s.write(t, &schema.Assessments{
		AssessmentID: "a-4", TraceID: "tr-4", Name: "tone", AssessmentType: "feedback", Value: "1", SourceType: "CODE",
		ExperimentID: &s.experiment, TraceTimestampMS: new(int64(120_000)), AggregateValue: new(1.0),
	})
	require.NoError(t, s.db.Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec("UPDATE assessments SET valid = " + tx.Dialect().Boolean(false) + " WHERE assessment_id = 'a-4'")

		return err
	}))

	s.requirePoints(t, metrics{
		view: view, of: "assessment_count", aggregations: []protos.AggregationType{count},
		by: []string{"assessment_name", "assessment_value"},
	}, "assessment_name=correct assessment_value=false COUNT=1", "assessment_name=correct assessment_value=true COUNT=1",
		`assessment_name=tone assessment_value="kind" COUNT=1`)
	s.requirePoints(t, metrics{
		view: view, of: "assessment_value", aggregations: []protos.AggregationType{average}, by: []string{"assessment_name"},
	}, "assessment_name=correct AVG=0.5")
}

func (s tracing) metricPercentiles(t *testing.T) {
	t.Helper()

	latency := metrics{view: protos.MetricViewType_TRACES, of: "latency", percentiles: []float64{0, 50, 100}}
	s.requirePoints(t, latency, "P0.0=10 P100.0=50 P50.0=30.5")
	s.requirePoints(t, metrics{
		view: protos.MetricViewType_TRACES, of: "input_tokens", percentiles: []float64{12.5, 12.5},
	}, "P12.5=56.25")

	latency.aggregations, latency.percentiles = []protos.AggregationType{average}, []float64{50}
	latency.by = []string{"trace_name"}
	s.requirePoints(t, latency, "trace_name=a AVG=15.5 P50.0=15.5", "trace_name=b AVG=50 P50.0=50")

	latency.seconds, latency.start, latency.end = 60, -60_000, 120_000
	latency.by = nil
	s.requirePoints(t, latency, "time_bucket=1969-12-31T23:59:00+00:00 AVG=50 P50.0=50",
		"time_bucket=1970-01-01T00:00:00+00:00 AVG=15.5 P50.0=15.5", "time_bucket=1970-01-01T00:02:00+00:00 AVG=40 P50.0=40")
	s.requirePoints(t, metrics{
		view: protos.MetricViewType_SPANS, of: "latency", percentiles: []float64{50}, by: []string{"span_status"},
	}, "span_status=ERROR P50.0=30000", "span_status=OK P50.0=10")
	s.requirePoints(t, metrics{
		view: protos.MetricViewType_ASSESSMENTS, of: "assessment_value", percentiles: []float64{25},
	}, "P25.0=0.25")
}

func (s tracing) metricTimes(t *testing.T) {
	t.Helper()

	for _, test := range []struct {
		name string
		ask  metrics
		want []string
	}{
		{"Traces", metrics{
			view: protos.MetricViewType_TRACES, of: "trace_count", start: -1, end: 119_999, seconds: 60,
		}, []string{
			"time_bucket=1969-12-31T23:59:00+00:00 COUNT=1", "time_bucket=1970-01-01T00:00:00+00:00 COUNT=2",
			"time_bucket=1970-01-01T00:01:00+00:00 COUNT=1",
		}},
		// Spans count at their own time and are left out by their trace's.
		{"Spans", metrics{
			view: protos.MetricViewType_SPANS, of: "span_count", start: -1, end: 59_999, seconds: 60,
		}, []string{"time_bucket=1969-12-31T23:59:00+00:00 COUNT=1", "time_bucket=1970-01-01T00:00:00+00:00 COUNT=2"}},
		{"SpansOfTraces", metrics{
			view: protos.MetricViewType_SPANS, of: "span_count", start: 1, end: 59_998,
		}, []string{"COUNT=0"}},
		// What they cost has their own time in both.
		{"Costs", metrics{
			view: protos.MetricViewType_SPANS, of: "input_cost", start: -1, end: -1, seconds: 60,
		}, []string{"time_bucket=1969-12-31T23:59:00+00:00 COUNT=0.25"}},
		{"CostsOfTraces", metrics{
			view: protos.MetricViewType_SPANS, of: "input_cost", start: -1, end: 0, filters: []string{"trace.status = 'OK'"},
		}, []string{"COUNT=0.5"}},
		{"Assessments", metrics{
			view: protos.MetricViewType_ASSESSMENTS, of: "assessment_count", start: 0, end: 59_998, seconds: 3600,
		}, []string{"time_bucket=1970-01-01T00:00:00+00:00 COUNT=1"}},
		{"Always", metrics{
			view: protos.MetricViewType_SPANS, of: "input_cost", start: -1 << 63, end: 1<<63 - 1,
		}, []string{"COUNT=0.75"}},
		{"Never", metrics{view: protos.MetricViewType_SPANS, of: "input_cost", start: 1<<63 - 1, end: 1<<63 - 1}, nil},
		{"Earlier", metrics{view: protos.MetricViewType_SPANS, of: "input_cost", start: -1 << 63, end: -1 << 63}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.ask.aggregations = []protos.AggregationType{count}
			if test.ask.of == "input_cost" {
				test.ask.aggregations = []protos.AggregationType{sum}

				for i, point := range test.want {
					test.want[i] = strings.ReplaceAll(point, "COUNT", "SUM")
				}
			}

			s.requirePoints(t, test.ask, test.want...)
		})
	}

	t.Run("ErrYear", func(t *testing.T) {
		late := s.newExperiment(t, "late", contract.DefaultWorkspace)
		s.write(t, &schema.TraceInfo{RequestID: "tr-late", ExperimentID: late, TimestampMS: 1 << 50, Status: "OK"})

		_, err := s.QueryTraceMetrics(t.Context(), metrics{
			view: protos.MetricViewType_TRACES, of: "trace_count", aggregations: []protos.AggregationType{count},
			start: 0, end: 1 << 60, seconds: 60,
		}.request(late))
		requireErrorf(t, err, protos.ErrorCode_INTERNAL_ERROR, "year 37648 is out of range")
	})
}

func (s tracing) metricFilters(t *testing.T) {
	t.Helper()

	for filter, want := range map[string][3]int{ // traces, spans, assessments
		"trace.status = 'OK'":                                                 {3, 2, 1},
		"trace.tag.team = 'x'":                                                {1, 2, 1},
		"trace.tag.team = 'y'":                                                {0, 0, 0},
		"trace.tag.`mlflow.traceName` = 'a'":                                  {2, 3, 3},
		"trace.metadata.`mlflow.trace.session` = 's2'":                        {1, 0, 0},
		"trace.metadata.`mlflow.sourceRun` = 'run'":                           {2, 1, 2},
		"trace.metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 50}'": {1, 1, 2},
		"trace.metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 100, \"total_tokens\": 120}'": {1, 2, 1},
		"trace.metadata.`mlflow.trace.tokenUsage` = '{\"total_tokens\": 120, \"input_tokens\": 100}'": {0, 0, 0},
		"trace.metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 50.0}'":                       {0, 0, 0},
		"trace.metadata.`mlflow.trace.tokenUsage` = '{\"tokens\": 50}'":                               {0, 0, 0},
		"trace.metadata.`mlflow.trace.tokenUsage` = '{}'":                                             {0, 0, 0},
		"trace.metadata.`mlflow.trace.cost` = '{\"total_cost\": 0.1}'":                                {1, 1, 2},
		"trace.metadata.`mlflow.trace.cost` = '{\"total_cost\": 0.10}'":                               {0, 0, 0},
		"trace.metadata.`mlflow.trace.cost` = 'free'":                                                 {0, 0, 0},
	} {
		t.Run(filter, func(t *testing.T) {
			for i, m := range []metrics{
				{view: protos.MetricViewType_TRACES, of: "trace_count"},
				{view: protos.MetricViewType_SPANS, of: "span_count"},
				{view: protos.MetricViewType_ASSESSMENTS, of: "assessment_count"},
			} {
				m.aggregations, m.filters = []protos.AggregationType{count}, []string{filter}
				s.requirePoints(t, m, fmt.Sprint("COUNT=", want[i]))
			}
		})
	}

	for filter, want := range map[string]string{
		"span.name = 'plan'": "COUNT=1", "span.type = 'TOOL'": "COUNT=1", "span.status = 'OK'": "COUNT=2",
	} {
		s.requirePoints(t, metrics{
			view: protos.MetricViewType_SPANS, of: "span_count", aggregations: []protos.AggregationType{count},
			filters: []string{filter, "trace.tag.`mlflow.traceName` = 'a'"},
		}, want)
	}

	for filter, want := range map[string]string{
		"assessment.name = 'correct'": "COUNT=2", "assessment.type = 'expectation'": "COUNT=1",
	} {
		s.requirePoints(t, metrics{
			view: protos.MetricViewType_ASSESSMENTS, of: "assessment_count", aggregations: []protos.AggregationType{count},
			filters: []string{filter},
		}, want)
	}
}

func (s tracing) metricPages(t *testing.T) {
	t.Helper()

	counted := metrics{
		view: protos.MetricViewType_TRACES, of: "trace_count", aggregations: []protos.AggregationType{count},
		by: []string{"trace_name"}, limit: new(int32(1)),
	}
	s.requirePoints(t, counted, "trace_name=a COUNT=2")

	counted.limit = new(int32(0))
	s.requirePoints(t, counted)

	counted.by = nil
	s.requirePoints(t, counted)

	counted.limit, counted.aggregations, counted.by = nil, nil, []string{"trace_name"}
	s.requirePoints(t, counted)
}

func (s tracing) metricsRefused(t *testing.T) {
	t.Helper()

	right := metrics{
		view: protos.MetricViewType_TRACES, of: "trace_count", aggregations: []protos.AggregationType{count},
	}

	for _, test := range []struct {
		want   string
		change func(*protos.QueryTraceMetrics)
	}{
		{
			"metric_name must be one of ['assessment_count', 'assessment_value'], got 'trace_count'",
			func(r *protos.QueryTraceMetrics) { r.ViewType = new(protos.MetricViewType_ASSESSMENTS) },
		},
		{
			"Found invalid aggregation_type(s): ['AVG', 'SUM']. Supported aggregation types: ['COUNT']",
			func(r *protos.QueryTraceMetrics) {
				r.Aggregations = metrics{aggregations: []protos.AggregationType{sum, average, sum}}.request().GetAggregations()
			},
		},
		{
			`Found invalid dimension(s): ['a', "it's"]. Supported dimensions: ['trace_name', 'trace_status']`,
			func(r *protos.QueryTraceMetrics) { r.Dimensions = []string{"it's", "a", "trace_name", "a"} },
		},
		{
			"start_time_ms and end_time_ms are required if time_interval_seconds is set",
			func(r *protos.QueryTraceMetrics) {
				r.TimeIntervalSeconds, r.StartTimeMs = new(int64(60)), new(int64(0))
			},
		},
		{
			"Invalid experiment ID 'x'. Experiment ID must be a valid integer.",
			func(r *protos.QueryTraceMetrics) { r.ExperimentIds = []string{"x"} },
		},
		{
			"Invalid filter: ''. Expected one filter clause.",
			func(r *protos.QueryTraceMetrics) { r.Filters = []string{""} },
		},
		{
			"Filtering by span is only supported for SPANS view type, got TRACES",
			func(r *protos.QueryTraceMetrics) { r.Filters = []string{"span.name = 'x'"} },
		},
		{
			"Filtering by assessment is only supported for ASSESSMENTS view type, got TRACES",
			func(r *protos.QueryTraceMetrics) { r.Filters = []string{"assessment.name = 'x'"} },
		},
		{
			"Percentile value is required for PERCENTILE aggregation",
			func(r *protos.QueryTraceMetrics) { r.Aggregations[0].AggregationType = new(percentile) },
		},
		{
			"Percentile value must be between 0 and 100, got 100.5",
			func(r *protos.QueryTraceMetrics) {
				r.Aggregations = metrics{percentiles: []float64{100.5}}.request().GetAggregations()
			},
		},
		{
			"Percentile value is only allowed for PERCENTILE aggregation type, got COUNT",
			func(r *protos.QueryTraceMetrics) { r.Aggregations[0].PercentileValue = new(5.0) },
		},
		{
			"Invalid value -1 for parameter 'max_results' supplied. It must be a positive integer",
			func(r *protos.QueryTraceMetrics) { r.MaxResults = new(int32(-1)) },
		},
	} {
		request := right.request(s.experiment)
		test.change(request)

		_, err := s.QueryTraceMetrics(t.Context(), request)
		requireInvalidf(t, err, "%s", test.want)
	}

	request := right.request(s.experiment)
	request.Aggregations = nil

	_, err := s.QueryTraceMetrics(t.Context(), request)
	requireErrorf(t, err, protos.ErrorCode_BAD_REQUEST, "Query contains no columns with which to SELECT from.")
}

func (s tracing) metricsOfWorkspaces(t *testing.T) {
	t.Helper()

	theirs := s.newExperiment(t, "theirs", "team-a")
	s.write(
		t,
		&schema.TraceInfo{RequestID: "tr-theirs", ExperimentID: theirs, Status: "OK"},
		&schema.Span{
			TraceID: "tr-theirs", ExperimentID: theirs, SpanID: "1", Status: "OK", Content: "{}", InputCost: new(1.0),
		},
		&schema.Assessments{
			AssessmentID: "a-theirs", TraceID: "tr-theirs", Name: "n", AssessmentType: "feedback", Value: "1",
			ExperimentID: &theirs, SourceType: "CODE", Valid: true,
		},
	)

	for _, m := range []metrics{
		{view: protos.MetricViewType_TRACES, of: "trace_count", aggregations: []protos.AggregationType{count}},
		{view: protos.MetricViewType_SPANS, of: "span_count", aggregations: []protos.AggregationType{count}},
		{view: protos.MetricViewType_ASSESSMENTS, of: "assessment_count", aggregations: []protos.AggregationType{count}},
	} {
		s.requirePointsIn(within(t, "team-a"), t, m.request(theirs, s.experiment), "COUNT=1")
		s.requirePointsIn(within(t, "team-b"), t, m.request(theirs, s.experiment), "COUNT=0")
	}

	cost := metrics{view: protos.MetricViewType_SPANS, of: "input_cost", aggregations: []protos.AggregationType{sum}}
	s.requirePointsIn(within(t, "team-a"), t, cost.request(theirs, s.experiment), "SUM=1")
	s.requirePointsIn(within(t, "team-b"), t, cost.request(theirs, s.experiment))
}
