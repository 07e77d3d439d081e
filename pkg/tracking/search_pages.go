package tracking

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// runSearch is a search for runs, whose pages follow each other by the sort keys of their last runs:
// a page costs the same wherever it is, and what is added meanwhile moves nothing.
type runSearch struct {
	dialect     database.Dialect
	wanted      search.Query
	experiments string // as SQL
	stages      stages
	keys        []sortKey
	identity    string // of what is searched for
	after       []any  // the sort keys of the last run of the page before; nil for an offset
}

// sortKey is one of the expressions that runs are sorted by.
type sortKey struct {
	expression string
	descending bool
	nullable   bool // NULL comes last, in either direction
	present    bool // NULL comes never: MLflow can't show a run without a start time
	kind       keyKind
}

// keyKind is the type of a sort key's values.
type keyKind int

const (
	textKey keyKind = iota
	wholeKey
	floatKey
)

// Runs that are sorted by a metric come in three sections, which an index of the metric's values
// has one after the other. Without a metric at the head there is only everyRun.
const (
	numbers = iota
	notNumbers
	missing
	everyRun
)

// foundRun is a run and its sort keys.
type foundRun struct {
	id   string
	keys []any
}

// newRunSearch settles the order of runs, which is MLflow's (_get_orderby_clauses), and where the
// page begins.
func newRunSearch(
	dialect database.Dialect, request *protos.SearchRuns, wanted search.Query, experiments string,
) *runSearch {
	s := &runSearch{
		dialect: dialect, wanted: wanted, experiments: experiments, stages: stagesOf(request.GetRunViewType()),
	}
	s.identity = identify(s.experiments, string(s.stages), request.GetFilter(), request.GetOrderBy())

	for i, order := range wanted.Orders {
		s.sortBy(sortKeys(dialect, orderAlias(i), order)...)
	}

	if !slices.ContainsFunc(wanted.Orders, func(order search.Order) bool {
		return order.Kind == search.Attribute && order.Key == startTimeAttribute
	}) {
		s.sortBy(sortKeys(dialect, "", search.Order{Kind: search.Attribute, Key: startTimeAttribute})...)
	}

	s.sortBy(sortKey{expression: runIDColumn})

	if position := wanted.Position; position != nil && position.Query == s.identity {
		s.after = s.parsePosition(position.After)
	}

	return s
}

const (
	startTimeAttribute = "start_time"
	runIDColumn        = "r.run_uuid"
)

// sortBy adds keys, but for those that sort nothing any more: a second time by the same, which SQL
// Server refuses, or after the ID.
func (s *runSearch) sortBy(keys ...sortKey) {
	for _, key := range keys {
		if !slices.ContainsFunc(s.keys, func(before sortKey) bool {
			return before.expression == key.expression || before.expression == runIDColumn
		}) {
			s.keys = append(s.keys, key)
		}
	}
}

func orderAlias(i int) string { return "o" + strconv.Itoa(i) }

// sortKeys are what an order sorts by; alias is that of the table of what was logged. What has a
// value comes first, then NaN, then what has none, in either direction.
func sortKeys(dialect database.Dialect, alias string, order search.Order) []sortKey {
	key := sortKey{expression: alias + ".value", descending: !order.Ascending, nullable: true}

	switch order.Kind { //nolint:exhaustive // the others are text
	case search.Metric:
		key.kind = floatKey

		return []sortKey{{
			expression: "CASE WHEN " + alias + ".is_nan = " + dialect.Boolean(true) + " THEN 1 WHEN " + alias +
				".value IS NULL THEN 2 ELSE 0 END",
			kind: wholeKey,
		}, key}
	case search.Attribute:
		key.expression = runColumn(order.Key)
		key.present = order.Key == startTimeAttribute

		if key.present || order.Key == "end_time" {
			key.kind = wholeKey
		}
	}

	return []sortKey{key}
}

// identify tells searches apart for which a position means different things.
func identify(experiments, stages, filter string, orderBy []string) string {
	hash := fnv.New64a()
	_, _ = fmt.Fprintf(hash, "%s|%s|%q|%q", experiments, stages, filter, orderBy)

	return strconv.FormatUint(hash.Sum64(), 36)
}

// find is the page and one run more, to tell whether there is another page.
func (s *runSearch) find(tx *database.Tx, limit int64) ([]foundRun, error) {
	byMetric := len(s.wanted.Orders) > 0 && s.wanted.Orders[0].Kind == search.Metric

	switch {
	case !byMetric || s.after == nil && s.wanted.Offset > 0:
		return s.section(tx, everyRun, s.after, limit)
	case s.after == nil:
		return s.sections(tx, numbers, nil, limit)
	default:
		rank, _ := s.after[0].(int64)

		return s.sections(tx, max(numbers, int(rank)), s.after, limit)
	}
}

// sections goes from one section to the next until the page is full; after is in the first.
func (s *runSearch) sections(tx *database.Tx, first int, after []any, limit int64) (found []foundRun, err error) {
	for section := first; section <= missing && int64(len(found)) < limit; section++ {
		more, err := s.section(tx, section, after, limit-int64(len(found)))
		if err != nil {
			return nil, err
		}

		found, after = append(found, more...), nil
	}

	return found, nil
}

// section finds the next runs of a section.
func (s *runSearch) section(tx *database.Tx, section int, after []any, limit int64) ([]foundRun, error) {
	c := newClauses(s.dialect)
	for i, comparison := range s.wanted.Comparisons {
		c.runCondition("f"+strconv.Itoa(i), comparison)
	}

	for i, order := range s.wanted.Orders {
		s.joinOrder(c, orderAlias(i), order, section, i == 0)
	}

	visible, args := inWorkspace(tx.Caller(), "r.experiment_id")
	c.Where("r.experiment_id IN ("+s.experiments+")"+visible, args...)
	c.Where("r." + string(s.stages))

	// What all runs of the section share sorts nothing.
	sorted := 0

	switch section {
	case numbers:
		sorted = 1
	case notNumbers, missing:
		sorted = 2
	}

	keys, offset := slices.Clone(s.keys[sorted:]), s.wanted.Offset
	if section == numbers {
		keys[0].nullable = false
	}

	if after != nil {
		condition, args := following(keys, after[sorted:])
		c.Where(condition, args...)
	}

	if after != nil || section != everyRun {
		offset = 0
	}

	for _, key := range keys {
		c.OrderBy(key.order(s.dialect))
	}

	// Only IDs and keys: whole rows would be carried through the sorting of all the runs that match.
	columns := make([]string, len(s.keys))
	for i, key := range s.keys {
		columns[i] = key.expression
	}

	var found []foundRun

	statement, args := c.Statement(strings.Join(columns, ", "), "runs r", limit, offset)
	err := tx.Select(append(c.plan(tx), database.Collect(&found, s.scan, statement, args...))...)

	return found, err
}

// joinOrder joins what an order sorts by, if it isn't the run's own.
func (s *runSearch) joinOrder(c *clauses, alias string, order search.Order, section int, first bool) {
	if order.Kind == search.Attribute {
		return
	}

	join, condition := "LEFT OUTER JOIN ", ""

	if first {
		switch section {
		case numbers:
			join, condition = "JOIN ", " AND "+alias+".is_nan = "+s.dialect.Boolean(false)
		case notNumbers:
			join, condition = "JOIN ", " AND "+alias+".is_nan = "+s.dialect.Boolean(true)
		case missing:
			c.Where(alias + ".run_uuid IS NULL")
		}
	}

	c.Join(join+loggedTables[order.Kind]+" "+alias+" ON "+alias+".run_uuid = r.run_uuid AND "+
		alias+"."+s.dialect.Quote("key")+" = ?"+condition, order.Key)
}

// plan says how to join what was logged, if anything is joined.
func (c *clauses) plan(tx *database.Tx) []database.Selection {
	if !c.HasJoins() {
		return nil
	}

	return database.PlannedJoins(tx, "runs", "latest_metrics", "params", "tags")
}

// order is the key in an ORDER BY.
func (k sortKey) order(dialect database.Dialect) string {
	if k.nullable {
		return dialect.NullsLast(k.expression, k.descending)
	}

	return database.Direction(k.expression, !k.descending)
}

// following is the condition that a row comes after one with these keys. That of the first key alone
// stands apart: an index begins there.
func following(keys []sortKey, after []any) (condition string, args []any) {
	first, value := keys[0], after[0]

	if value == nil {
		rest, args := following(keys[1:], after[1:])

		return first.expression + " IS NULL AND " + rest, args
	}

	operator := " > "
	if first.descending {
		operator = " < "
	}

	if len(keys) == 1 {
		return first.expression + operator + "?", []any{value}
	}

	rest, restArgs := following(keys[1:], after[1:])
	past := first.expression + operator + "?"
	bound, bounds := "", []any{}

	if first.nullable && !first.present {
		past += " OR " + first.expression + " IS NULL"
	} else {
		bound, bounds = first.expression+strings.TrimRight(operator, " ")+"= ? AND ", []any{value}
	}

	return bound + "(" + past + " OR " + first.expression + " = ? AND (" + rest + "))",
		slices.Concat(bounds, []any{value, value}, restArgs)
}

// scan reads a run's sort keys, the last of which is its ID.
func (s *runSearch) scan(scan func(...any) error) (foundRun, error) {
	var (
		texts   = make([]*string, len(s.keys))
		wholes  = make([]*int64, len(s.keys))
		floats  = make([]*float64, len(s.keys))
		columns = make([]any, len(s.keys))
		found   = foundRun{keys: make([]any, len(s.keys))}
	)

	for i, key := range s.keys {
		switch key.kind {
		case textKey:
			columns[i] = &texts[i]
		case wholeKey:
			columns[i] = &wholes[i]
		case floatKey:
			columns[i] = &floats[i]
		}
	}

	if err := scan(columns...); err != nil {
		return found, err
	}

	for i := range s.keys {
		switch {
		case texts[i] != nil:
			found.keys[i] = *texts[i]
		case wholes[i] != nil:
			found.keys[i] = *wholes[i]
		case floats[i] != nil:
			found.keys[i] = *floats[i]
		}
	}

	found.id = deref(texts[len(texts)-1])

	return found, nil
}

// maxPositionText is how long a sort key's text may be in a page token, in bytes.
const maxPositionText = 1000

// nextPageToken is the token of the page after a run; an offset alone where its sort keys are
// nothing to carry around.
func (s *runSearch) nextPageToken(last foundRun, offset int64) (string, error) {
	position := search.Position{Query: s.identity}

	for _, key := range last.keys {
		if text, ok := key.(string); ok && (len(text) > maxPositionText || !utf8.ValidString(text)) {
			return search.CreatePageToken(offset), nil
		}

		value, err := json.Marshal(key)
		if err != nil {
			return "", fmt.Errorf("making a page token: %w", err)
		}

		position.After = append(position.After, value)
	}

	return search.CreatePositionToken(offset, position)
}

// parsePosition reads the sort keys in a page token; nil if they aren't this search's.
func (s *runSearch) parsePosition(after []json.RawMessage) []any {
	if len(after) != len(s.keys) {
		return nil
	}

	values := make([]any, len(after))

	for i, key := range s.keys {
		if string(after[i]) == "null" {
			if !key.nullable {
				return nil
			}

			continue
		}

		var err error

		switch key.kind {
		case textKey:
			values[i], err = parseKey[string](after[i])
		case wholeKey:
			values[i], err = parseKey[int64](after[i])
		case floatKey:
			values[i], err = parseKey[float64](after[i])
		}

		if err != nil {
			return nil
		}
	}

	return values
}

func parseKey[T any](text json.RawMessage) (value T, err error) {
	err = json.Unmarshal(text, &value)

	return value, err
}
