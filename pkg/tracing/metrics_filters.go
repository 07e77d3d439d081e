package tracing

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// Tags and metadata that traces have columns for (mlflow.tracing.constant).
const (
	traceNameTag      = "mlflow.traceName"
	sessionMetadata   = "mlflow.trace.session"
	usageMetadata     = "mlflow.trace.tokenUsage"
	costMetadata      = "mlflow.trace.cost"
	sourceRunMetadata = "mlflow.sourceRun"
)

var (
	// tokenColumns and costColumns hold what the JSON of metadata said, by its members' names and in their
	// order (TOKEN_COLUMN_BY_KEY, COST_COLUMN_BY_KEY).
	tokenColumns = []string{
		"input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
		"cache_creation_input_tokens_above_1hr",
	}
	costColumns = []string{"input_cost", "output_cost", "total_cost"}
)

// nothing is a condition that no row meets.
const nothing = "1 = 0"

// source is where the rows are from, and which count.
type source struct {
	// with stands in front of the whole statement, with values of its own.
	with       string
	withArgs   []any
	table      string
	conditions *database.Conditions
}

// checkFilter refuses filters by what the view hasn't.
func (q *metricsQuery) checkFilter(filter search.TraceMetricsCondition, asked protos.MetricViewType) error {
	needed := map[string]protos.MetricViewType{
		search.SpanView: protos.MetricViewType_SPANS, search.AssessmentView: protos.MetricViewType_ASSESSMENTS,
	}

	if view, limited := needed[filter.View]; limited && view != asked {
		return contract.InvalidParameter("Filtering by %s is only supported for %s view type, got %s", filter.View, view,
			asked)
	}

	return nil
}

// source puts the conditions together (query_metrics).
func (q *metricsQuery) source(tx *database.Tx) source {
	rows := q.rows(tx)

	switch q.view.table {
	case assessmentTable:
		rows.Where("assessments.valid = " + tx.Dialect().Boolean(true))
		q.inExperiments(tx, rows, assessmentTable)

		return source{table: assessmentTable, conditions: rows}
	case traceTable:
		return source{table: traceTable, conditions: q.traces(tx).And(rows)}
	default:
		return q.spanSource(tx, rows)
	}
}

// spanSource is of spans, whose traces count. Where those are to be found first, what spans know themselves is
// asked of them alone, if it can be.
func (q *metricsQuery) spanSource(tx *database.Tx, rows *database.Conditions) source {
	traces := q.traces(tx)
	ofTraces := slices.ContainsFunc(q.filters, func(f search.TraceMetricsCondition) bool {
		return f.View == search.TraceView
	})
	with := tx.Dialect().Materialize("metric_traces", "SELECT "+traceID+" FROM "+traceTable+" WHERE "+traces.String())

	switch {
	case with == "":
		return source{
			table:      traceTable + " JOIN " + spanTable + " ON spans.trace_id = " + traceID,
			conditions: traces.And(rows),
		}
	case q.metric.known && !ofTraces:
		q.inExperiments(tx, rows, spanTable)

		return source{table: spanTable, conditions: rows}
	default:
		return source{
			with:       with,
			withArgs:   traces.Args(),
			table:      spanTable + " JOIN metric_traces ON spans.trace_id = metric_traces.request_id",
			conditions: rows,
		}
	}
}

// rows are the conditions on a view's own rows: MLflow leaves out groups that lack a dimension or a value.
func (q *metricsQuery) rows(tx *database.Tx) *database.Conditions {
	rows := &database.Conditions{}
	rows.Where(q.value(tx.Dialect()) + " IS NOT NULL")

	for _, d := range q.dimensions {
		rows.Where(d.column + " IS NOT NULL")
	}

	if q.ownTime() {
		q.inRange(rows, q.view.time, q.view.perMillisecond)
	}

	for _, filter := range q.filters {
		switch {
		case filter.View != search.TraceView:
			rows.Where(q.view.table+"."+filterColumn(filter)+" = ?", filter.Value)
		case q.view.table == assessmentTable:
			text, args := traceCondition(tx.Dialect(), filter, "assessments.trace_id")
			rows.Where(text, args...)
		}
	}

	return rows
}

// ownTime tells whether a view's rows, not their traces, are in the range of time.
func (q *metricsQuery) ownTime() bool { return q.view.table != spanTable || q.metric.known }

// traces are the conditions on rows of traces.
func (q *metricsQuery) traces(tx *database.Tx) *database.Conditions {
	traces := &database.Conditions{}
	q.inExperiments(tx, traces, traceTable)

	if !q.ownTime() {
		q.inRange(traces, "trace_info.timestamp_ms", 1)
	}

	for _, filter := range q.filters {
		if filter.View == search.TraceView {
			text, args := traceCondition(tx.Dialect(), filter, traceID)
			traces.Where(text, args...)
		}
	}

	return traces
}

// inExperiments keeps to the experiments, those of the caller's workspace.
func (q *metricsQuery) inExperiments(tx *database.Tx, c *database.Conditions, table string) {
	if len(q.experiments) == 0 {
		c.Where(nothing)

		return
	}

	c.Where(table + ".experiment_id IN (" + database.NumberList(q.experiments) + ")")

	if workspace := tx.Caller().Workspace; workspace != "" {
		c.Where(table+".experiment_id IN (SELECT experiment_id FROM experiments WHERE workspace = ?)", workspace)
	}
}

// inRange keeps to the range of time, all of its last millisecond included (_build_time_range_predicate).
func (q *metricsQuery) inRange(c *database.Conditions, column string, perMillisecond int64) {
	if q.start != nil {
		switch start := *q.start; {
		case start > math.MaxInt64/perMillisecond:
			c.Where(nothing)
		case start >= math.MinInt64/perMillisecond:
			c.Where(column+" >= ?", start*perMillisecond)
		}
	}

	if q.end == nil {
		return
	}

	switch end := *q.end; {
	case perMillisecond == 1:
		c.Where(column+" <= ?", end)
	case end < math.MinInt64/perMillisecond-1:
		c.Where(nothing)
	case end < math.MaxInt64/perMillisecond:
		c.Where(column+" < ?", (end+1)*perMillisecond)
	}
}

// filterColumn is the column of an entity of a span or an assessment.
func filterColumn(filter search.TraceMetricsCondition) string {
	if filter.View == search.AssessmentView && filter.Entity == "type" {
		return "assessment_type"
	}

	return filter.Entity
}

// traceCondition is a filter by what traces are, for rows that have a trace's ID in a column (_apply_filters).
func traceCondition(
	dialect database.Dialect, filter search.TraceMetricsCondition, id string,
) (text string, args []any) {
	switch {
	case filter.Entity == "status":
		return ofTrace(id, "trace_info.status = ?", filter.Value)
	case filter.Entity == "tag" && filter.Key == traceNameTag:
		return ofTrace(id, "trace_info.trace_name = ?", filter.Value)
	case filter.Entity == "tag":
		return keyed(dialect, "trace_tags", id, filter)
	case filter.Key == sessionMetadata:
		return ofTrace(id, "trace_info.session_id = ?", filter.Value)
	case filter.Key == usageMetadata:
		text, args := membersCondition(tokenColumns, wholeNumber, filter.Value)

		return ofTrace(id, text, args...)
	case filter.Key == costMetadata:
		text, args := membersCondition(costColumns, number, filter.Value)

		return ofTrace(id, text, args...)
	}

	text, args = keyed(dialect, "trace_request_metadata", id, filter)
	if filter.Key == sourceRunMetadata {
		// Traces that were linked to a run later have an association instead.
		text = "(" + text + " OR EXISTS (SELECT 1 FROM entity_associations WHERE entity_associations.source_id = " + id +
			" AND entity_associations.source_type = 'trace' AND entity_associations.destination_type = 'run'" +
			" AND entity_associations.destination_id = ?))"
		args = append(args, filter.Value)
	}

	return text, args
}

// ofTrace is a condition on a row of trace_info, which others than those have to look up.
func ofTrace(id, condition string, args ...any) (text string, bound []any) {
	if id == traceID {
		return condition, args
	}

	return "EXISTS (SELECT 1 FROM " + traceTable + " WHERE " + traceID + " = " + id + " AND " + condition + ")", args
}

// keyed is a condition on tags or metadata.
func keyed(
	dialect database.Dialect, table, id string, filter search.TraceMetricsCondition,
) (text string, args []any) {
	return "EXISTS (SELECT 1 FROM " + table + " WHERE " + table + ".request_id = " + id + " AND " + table + "." +
		dialect.Quote("key") + " = ? AND " + table + "." + dialect.Quote("value") + " = ?)", []any{filter.Key, filter.Value}
}

// membersCondition compares columns with the JSON object that MLflow would make of them: nothing equals any other
// text (get_trace_analytics_metadata_filter).
func membersCondition(
	columns []string, read func(text string) (value any, canonical string), object string,
) (text string, args []any) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(object), &members) != nil || len(members) == 0 {
		return nothing, nil
	}

	var canonical, texts []string

	for _, column := range columns {
		member, given := members[column]
		if !given {
			texts = append(texts, traceTable+"."+column+" IS NULL")

			continue
		}

		value, spelled := read(string(member))
		canonical = append(canonical, `"`+column+`": `+spelled)
		texts = append(texts, traceTable+"."+column+" = ?")
		args = append(args, value)
	}

	if object != "{"+strings.Join(canonical, ", ")+"}" {
		return nothing, nil
	}

	return strings.Join(texts, " AND "), args
}

// wholeNumber reads a number of tokens; what isn't one has no spelling.
func wholeNumber(text string) (value any, canonical string) {
	parsed, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, ""
	}

	return parsed, strconv.FormatInt(parsed, 10)
}

// number reads a cost; what isn't a number has no spelling.
func number(text string) (value any, canonical string) {
	parsed, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, ""
	}

	return parsed, string(codec.AppendFloat(nil, parsed))
}
