package tracing

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/rules"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// timeBucket is the dimension of time (TIME_BUCKET_LABEL).
const timeBucket = "time_bucket"

// QueryTraceMetrics aggregates what traces, spans or assessments say, perhaps by time and other dimensions: one
// point for each group that has a value, ordered by time and the other dimensions. Like MLflow it gives one page.
// MLflow lets databases judge a negative max_results, and SQLite takes it for none; here it is refused
// (SqlAlchemyStore.query_trace_metrics).
func (s *Store) QueryTraceMetrics(
	ctx context.Context, request *protos.QueryTraceMetrics,
) (*protos.QueryTraceMetrics_Response, error) {
	query, err := newMetricsQuery(request)
	if err != nil {
		return nil, err
	}

	switch {
	case len(query.aggregations) == 0 && len(query.dimensions) == 0 && query.interval == 0:
		return nil, contract.Errorf(protos.ErrorCode_BAD_REQUEST, "Query contains no columns with which to SELECT from.")
	case len(query.aggregations) == 0, query.limit == 0:
		return &protos.QueryTraceMetrics_Response{}, nil
	}

	return database.Read(ctx, s.db, query.run)
}

// metricsQuery is a request that was found to be right.
type metricsQuery struct {
	experiments  []int64
	view         *metricsView
	metric       *metric
	aggregations []aggregation
	dimensions   []dimension
	filters      []search.TraceMetricsCondition
	// interval is the length of spans of time, in seconds; 0 for none.
	interval int64
	// start and end are when things were, in milliseconds since 1970, both included.
	start, end *int64
	limit      int
}

// aggregation makes one number of many (MetricAggregation).
type aggregation struct {
	kind protos.AggregationType
	// percentile is between 0 and 100.
	percentile float64
	// name is what the number is called in points.
	name string
}

func (a aggregation) isPercentile() bool { return a.kind == protos.AggregationType_PERCENTILE }

// fraction is a percentile between 0 and 1.
func (a aggregation) fraction() float64 {
	const percent = 100

	return a.percentile / percent
}

// newMetricsQuery judges a request (validate_query_trace_metrics_params). Errors: INVALID_PARAMETER_VALUE.
func newMetricsQuery(request *protos.QueryTraceMetrics) (query *metricsQuery, err error) {
	query = &metricsQuery{
		view:     metricsViews[request.GetViewType()],
		interval: request.GetTimeIntervalSeconds(),
		start:    request.StartTimeMs,
		end:      request.EndTimeMs,
		limit:    int(request.GetMaxResults()),
	}

	if query.aggregations, err = newAggregations(request.GetAggregations()); err != nil {
		return nil, err
	}

	if query.metric, err = query.view.find(request.GetMetricName()); err != nil {
		return nil, err
	}

	if err := query.metric.check(query.aggregations); err != nil {
		return nil, err
	}

	if query.dimensions, err = query.metric.groups(request.GetDimensions()); err != nil {
		return nil, err
	}

	if query.interval != 0 && (query.start == nil || query.end == nil) {
		return nil, contract.InvalidParameter("start_time_ms and end_time_ms are required if time_interval_seconds is set")
	}

	if query.experiments, err = rules.ExperimentIDs(request.GetExperimentIds()); err != nil {
		return nil, err
	}

	for _, filter := range request.GetFilters() {
		condition, err := search.ParseTraceMetricsFilter(filter)
		if err == nil {
			err = query.checkFilter(condition, request.GetViewType())
		}

		if err != nil {
			return nil, err
		}

		query.filters = append(query.filters, condition)
	}

	if query.limit < 0 {
		return nil, contract.InvalidParameter("Invalid value %d for parameter 'max_results' supplied. "+
			"It must be a positive integer", query.limit)
	}

	return query, nil
}

// newAggregations checks percentiles; a client of MLflow's gets a ValueError from its own MetricAggregation.
func newAggregations(requested []*protos.MetricAggregation) ([]aggregation, error) {
	const most = 100

	aggregations := make([]aggregation, len(requested))

	for i, r := range requested {
		a := aggregation{kind: r.GetAggregationType(), percentile: r.GetPercentileValue()}
		a.name = a.kind.String()
		shown := string(codec.AppendFloat(nil, a.percentile))

		switch isPercentile := a.isPercentile(); {
		case isPercentile && r.PercentileValue == nil:
			return nil, contract.InvalidParameter("Percentile value is required for PERCENTILE aggregation")
		case isPercentile && !(a.percentile >= 0 && a.percentile <= most): // not a number is refused, too
			return nil, contract.InvalidParameter("Percentile value must be between 0 and %d, got %s", most, shown)
		case isPercentile:
			a.name = "P" + shown
		case r.PercentileValue != nil:
			return nil, contract.InvalidParameter("Percentile value is only allowed for PERCENTILE aggregation type, got %s",
				a.name)
		}

		aggregations[i] = a
	}

	return aggregations, nil
}

// run asks for the points.
func (q *metricsQuery) run(tx *database.Tx) (*protos.QueryTraceMetrics_Response, error) {
	question := q.statement(tx)
	response := &protos.QueryTraceMetrics_Response{}

	err := tx.SelectLast(database.Selection{
		Statement: question.Statement,
		Row: func(scan func(...any) error) error {
			point, err := q.point(scan, question.listed)
			if point != nil {
				response.DataPoints = append(response.DataPoints, point)
			}

			return err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("querying metrics of %s: %w", q.view.table, err)
	}

	return response, nil
}

// statement is a query whose columns are the time, if wanted, the other dimensions and the aggregations; where
// values are listed, a column with them all stands for the percentiles, behind the rest.
type statement struct {
	database.Statement

	listed bool
}

func (q *metricsQuery) statement(tx *database.Tx) statement {
	dialect := tx.Dialect()
	value := q.value(dialect)
	from := q.source(tx)

	var groups []dimension
	if q.interval != 0 {
		groups = append(groups, dimension{
			timeBucket, dialect.TimeBucket(q.view.time, q.view.perMillisecond, q.interval),
		})
	}

	groups = append(groups, q.dimensions...)

	percentiles := dialect.Percentiles(q.fractions(), value, columnsOf(groups))
	table := from.table + " WHERE " + from.conditions.String()

	if percentiles.Columns != "" && len(percentiles.Aggregates) > 0 {
		ranked := make([]string, 0, len(groups)+2)

		for i, group := range groups {
			ranked = append(ranked, group.column+" AS "+group.name)
			groups[i].column = group.name
		}

		ranked = append(ranked, value+" AS "+database.PercentileValue, percentiles.Columns)
		table = "(SELECT " + strings.Join(ranked, ", ") + " FROM " + table + ") AS ranked"
		value = database.PercentileValue
	}

	columns := columnsOf(groups)
	text := from.with + "SELECT " + strings.Join(q.selected(dialect, columns, value, percentiles), ", ") +
		" FROM " + table

	if len(columns) > 0 {
		list := strings.Join(columns, ", ")
		text += " GROUP BY " + list + "\nORDER BY " + list + dialect.Limit(q.limit, 0)
	}

	args := slices.Concat(from.withArgs, from.conditions.Args())

	return statement{database.Statement{Query: text, Args: args}, percentiles.Values != ""}
}

// selected are the statement's columns.
func (q *metricsQuery) selected(
	dialect database.Dialect, groups []string, value string, percentiles database.Percentiles,
) []string {
	selected := slices.Clone(groups)

	if q.interval != 0 {
		selected[0] = dialect.Double(selected[0])
	}

	for _, a := range q.aggregations {
		aggregate := a.kind.String() + "(" + value + ")"

		switch {
		case a.isPercentile() && percentiles.Values != "":
			continue
		case a.isPercentile():
			aggregate, percentiles.Aggregates = percentiles.Aggregates[0], percentiles.Aggregates[1:]
		case q.metric.distinct:
			aggregate = a.kind.String() + "(DISTINCT " + value + ")"
		}

		selected = append(selected, dialect.Double(aggregate))
	}

	if percentiles.Values != "" {
		selected = append(selected, percentiles.Values)
	}

	return selected
}

func columnsOf(groups []dimension) []string {
	columns := make([]string, len(groups))
	for i, group := range groups {
		columns[i] = group.column
	}

	return columns
}

// fractions are the percentiles asked for, between 0 and 1.
func (q *metricsQuery) fractions() []float64 {
	var fractions []float64

	for _, a := range q.aggregations {
		if a.isPercentile() {
			fractions = append(fractions, a.fraction())
		}
	}

	return fractions
}

// value is what is aggregated.
func (q *metricsQuery) value(dialect database.Dialect) string {
	if q.metric.divisor == 0 {
		return q.metric.column
	}

	return dialect.Quotient(q.metric.column, q.metric.divisor)
}

// point reads a row; nil if it has no value.
func (q *metricsQuery) point(scan func(...any) error, listed bool) (*protos.MetricDataPoint, error) {
	var (
		bucket float64
		list   string
	)

	names := make([]string, len(q.dimensions))
	numbers := make([]*float64, len(q.aggregations))
	into := make([]any, 0, len(names)+len(numbers)+2)

	if q.interval != 0 {
		into = append(into, &bucket)
	}

	for i := range names {
		into = append(into, &names[i])
	}

	for i, a := range q.aggregations {
		if !listed || !a.isPercentile() {
			into = append(into, &numbers[i])
		}
	}

	if listed {
		into = append(into, &list)
	}

	if err := scan(into...); err != nil {
		return nil, err
	}

	if listed {
		if err := q.findPercentiles(list, numbers); err != nil {
			return nil, err
		}
	}

	return q.newPoint(bucket, names, numbers)
}

// newPoint makes a point of a row's columns; nil if none of the numbers is there.
func (q *metricsQuery) newPoint(bucket float64, names []string, numbers []*float64) (*protos.MetricDataPoint, error) {
	point := &protos.MetricDataPoint{
		MetricName: &q.metric.name, Dimensions: map[string]string{}, Values: map[string]float64{},
	}

	for i, number := range numbers {
		if number != nil {
			point.Values[q.aggregations[i].name] = *number
		}
	}

	if len(point.GetValues()) == 0 {
		return nil, nil //nolint:nilnil // no point is no fault
	}

	for i, name := range names {
		point.Dimensions[q.dimensions[i].name] = name
	}

	if q.interval != 0 {
		begin, err := isoFormat(bucket)
		if err != nil {
			return nil, err
		}

		point.Dimensions[timeBucket] = begin
	}

	return point, nil
}

// isoFormat is a time in whole seconds, given in milliseconds since 1970, as Python's datetime writes it. Error:
// INTERNAL_ERROR for a year that Python doesn't have, as in MLflow.
func isoFormat(millis float64) (string, error) {
	const lastYear = 9999

	begin := time.UnixMilli(int64(max(min(millis, math.MaxInt64/2), math.MinInt64/2))).UTC()
	if year := begin.Year(); year < 1 || year > lastYear {
		return "", contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "year %d is out of range", year)
	}

	return begin.Format("2006-01-02T15:04:05") + "+00:00", nil
}
