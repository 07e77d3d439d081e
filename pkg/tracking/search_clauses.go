package tracking

import (
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// maxSearchResults is the most that a page of a search may hold (SEARCH_MAX_RESULTS_THRESHOLD).
const maxSearchResults = 50_000

// checkMaxResults is SqlAlchemyStore._validate_max_results_param.
func checkMaxResults(maxResults int64) error {
	if maxResults < 1 {
		return contract.InvalidParameter("Invalid value %d for parameter 'max_results' supplied. "+
			"It must be a positive integer", maxResults)
	}

	if maxResults > maxSearchResults {
		return contract.InvalidParameter("Invalid value %d for parameter 'max_results' supplied. "+
			"It must be at most %d", maxResults, maxSearchResults)
	}

	return nil
}

// stagesOf are the lifecycle stages of a view (LifecycleStage.view_type_to_stages).
func stagesOf(view protos.ViewType) stages {
	switch view {
	case protos.ViewType_DELETED_ONLY:
		return onlyDeleted
	case protos.ViewType_ALL:
		return anyStage
	case protos.ViewType_ACTIVE_ONLY:
	}

	return onlyActive
}

// clauses collects the parts of a SELECT. Values are bound in the order of the text: those of the
// joins, then those of the conditions.
type clauses struct {
	dialect database.Dialect

	joins      strings.Builder
	joinArgs   []any
	conditions []string
	args       []any
	orders     []string
}

// join adds a join.
func (c *clauses) join(text string, args ...any) {
	c.joins.WriteString("\n" + text)
	c.joinArgs = append(c.joinArgs, args...)
}

// where adds a condition.
func (c *clauses) where(condition string, args ...any) {
	c.conditions = append(c.conditions, condition)
	c.args = append(c.args, args...)
}

// text is a comparison of a column of text.
func (c *clauses) text(column string, comparator search.Comparator, value search.Value) (condition string, args []any) {
	list, ok := value.(search.List)
	if text, isText := value.(search.Text); !ok && isText {
		list = search.List{string(text)}
	}

	condition, repeats := c.dialect.Compare(column, string(comparator), true, len(list))
	args = make([]any, 0, repeats*len(list))

	for range repeats {
		for _, text := range list {
			args = append(args, text)
		}
	}

	return condition, args
}

// whole is a comparison of a column of whole numbers with any number, whose type and range the
// column needn't have: with nothing in between, 1.5 is as good as 2.
func whole(column string, comparator search.Comparator, number search.Number) (condition string, args []any) {
	ceil, exact := number.Ceil()
	if !exact {
		switch comparator { //nolint:exhaustive // >= and < fit as they are, no other compares numbers
		case search.Equal:
			return "1 = 0", nil
		case search.NotEqual:
			return column + " IS NOT NULL", nil
		case search.Greater:
			comparator = search.GreaterOrEqual
		case search.LessOrEqual:
			comparator = search.Less
		}
	}

	return column + " " + string(comparator) + " ?", []any{ceil}
}

// order is what to sort by: no column twice, which SQL Server refuses.
func (c *clauses) order() string {
	var (
		orders []string
		seen   = make(map[string]bool, len(c.orders))
	)

	for _, order := range c.orders {
		if column := strings.TrimSuffix(order, " DESC"); !seen[column] {
			seen[column] = true

			orders = append(orders, order)
		}
	}

	return strings.Join(orders, ", ")
}

// statement puts the parts together. A filter has far fewer values than the native databases take
// parameters, since the parser takes 10,000 tokens at most.
func (c *clauses) statement(columns, from string, limit, offset int64) (text string, args []any) {
	text = "SELECT " + columns + " FROM " + from + c.joins.String() +
		"\nWHERE " + strings.Join(c.conditions, " AND ") +
		"\nORDER BY " + c.order() + c.dialect.Limit(int(limit), int(offset))

	return text, slices.Concat(c.joinArgs, c.args)
}

// direction orders by a column.
func direction(column string, ascending bool) string {
	if ascending {
		return column
	}

	return column + " DESC"
}

// firstOf is the page of what a query found: one more than asked for tells that there is another
// page, whose token it returns.
func firstOf[T any](found []T, maxResults, offset int64) (page []T, nextPageToken *string) {
	if int64(len(found)) <= maxResults {
		return found, nil
	}

	token := search.CreatePageToken(offset + maxResults)

	return found[:maxResults], &token
}
