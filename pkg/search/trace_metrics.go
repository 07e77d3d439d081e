package search

import (
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search/internal/sqlparse"
)

// What a filter of trace metrics begins with.
const (
	TraceView      = "trace"
	SpanView       = "span"
	AssessmentView = "assessment"
)

// TraceMetricsCondition is a filter of trace metrics: an entity of a view equals a text
// (mlflow.utils.search_utils.TraceMetricsFilter).
type TraceMetricsCondition struct {
	// View is one of TraceView, SpanView and AssessmentView.
	View string
	// Entity is status, tag or metadata of a trace; name, status or type of a span; name or type of an
	// assessment.
	Entity string
	// Key is a tag's or metadata's.
	Key   string
	Value string
}

// metricsView is what can be compared of a view, in MLflow's order.
type metricsView struct {
	name     string
	entities []metricsEntity
}

type metricsEntity struct {
	name  string
	keyed bool
}

// traceMetrics is the grammar of filters of trace metrics (TraceMetricSearchKey, SpanMetricSearchKey and
// AssessmentMetricSearchKey in mlflow.tracing.constant).
//
//nolint:goconst // a table: each line says all
var traceMetrics = []metricsView{
	{TraceView, []metricsEntity{{"status", false}, {"tag", true}, {"metadata", true}}},
	{SpanView, []metricsEntity{{"name", false}, {"status", false}, {"type", false}}},
	{AssessmentView, []metricsEntity{{"name", false}, {"type", false}}},
}

// ParseTraceMetricsFilter reads a filter, which is one comparison. What it refuses is INVALID_PARAMETER_VALUE
// (SearchTraceMetricsUtils.parse_search_filter).
func ParseTraceMetricsFilter(filter string) (TraceMetricsCondition, error) {
	var tokens []*sqlparse.Token

	if filter != "" {
		var err error
		if tokens, err = oneStatement(filter); err != nil {
			return TraceMetricsCondition{}, err
		}
	}

	var others []string

	for _, token := range tokens {
		if token.Group != sqlparse.Comparison {
			others = append(others, token.Text)
		}
	}

	if others != nil {
		return TraceMetricsCondition{}, contract.InvalidParameter("Invalid clause(s) in filter string: %s",
			strings.Join(others, ", "))
	}

	conditions := make([]TraceMetricsCondition, len(tokens))

	for i, token := range tokens {
		var err error
		if conditions[i], err = traceMetricsCondition(token.Significant()); err != nil {
			return TraceMetricsCondition{}, err
		}
	}

	if len(conditions) != 1 {
		return TraceMetricsCondition{}, contract.InvalidParameter("Invalid filter: '%s'. Expected one filter clause.", filter)
	}

	return conditions[0], nil
}

// traceMetricsCondition is SearchTraceMetricsUtils._get_comparison.
func traceMetricsCondition(parts []*sqlparse.Token) (TraceMetricsCondition, error) {
	if err := checkComparison(parts, false); err != nil {
		return TraceMetricsCondition{}, err
	}

	condition, err := traceMetricsIdentifier(parts[0].Text)
	if err != nil {
		return TraceMetricsCondition{}, err
	}

	if comparator := parts[1].Text; comparator != string(Equal) {
		return TraceMetricsCondition{}, contract.InvalidParameter("Invalid comparator: '%s', only '=' operator is supported",
			comparator)
	}

	value := parts[2]
	if value.Type != sqlparse.StringSingle && value.Group != sqlparse.Identifier {
		return TraceMetricsCondition{}, contract.InvalidParameter("Expected a quoted string value for %s value "+
			"(e.g. 'my-value'). Got value %s", condition.Entity, value.Text)
	}

	text, err := quoted(value.Text)
	if err != nil {
		return TraceMetricsCondition{}, err
	}

	condition.Value = Texts(text)[0]

	return condition, nil
}

// traceMetricsIdentifier is SearchTraceMetricsUtils._get_identifier.
func traceMetricsIdentifier(text string) (TraceMetricsCondition, error) {
	name, rest, qualified := strings.Cut(text, ".")
	if !qualified {
		return TraceMetricsCondition{}, contract.InvalidParameter("Invalid identifier %s. Columns should be specified as "+
			"'trace.<key>', 'span.<key>', 'assessment.<key>'.", pyfmt.Repr(text))
	}

	name = unquote(name, "`")

	view := slices.IndexFunc(traceMetrics, func(v metricsView) bool { return v.name == name })
	if view < 0 {
		return TraceMetricsCondition{}, contract.InvalidParameter("Invalid view type '%s'. Valid values are dict_keys(%s)",
			name, reprNames(traceMetrics, func(v metricsView) string { return v.name }))
	}

	entity, key, keyed := strings.Cut(rest, ".")
	entities := traceMetrics[view].entities

	found := slices.IndexFunc(entities, func(e metricsEntity) bool { return e.name == entity })

	switch {
	case found < 0:
		return TraceMetricsCondition{}, contract.InvalidParameter("Invalid entity '%s' specified for view type '%s'. "+
			"Valid entities are %s", entity, name, reprNames(entities, func(e metricsEntity) string { return e.name }))
	case entities[found].keyed && !keyed:
		return TraceMetricsCondition{}, contract.InvalidParameter("Filtering by %s requires a key, "+
			"e.g. '%s.%s.<key> = <value>'", entity, name, entity)
	case !entities[found].keyed && keyed:
		return TraceMetricsCondition{}, contract.InvalidParameter("Filtering by %s does not require a key, "+
			"use '%s.%s' instead", entity, name, entity)
	}

	return TraceMetricsCondition{View: name, Entity: entity, Key: unquote(unquote(key, "'", `"`), "`")}, nil
}

// reprNames writes names as the list that MLflow's sentences show.
func reprNames[T any](items []T, name func(T) string) string {
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = name(item)
	}

	return pyfmt.ReprList(names)
}
