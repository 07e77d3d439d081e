package tracking

import (
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

// clauses are the parts of a search.
type clauses struct{ database.Clauses }

func newClauses(dialect database.Dialect) *clauses {
	return &clauses{database.Clauses{Dialect: dialect}}
}

// text is a comparison of a column of text.
func (c *clauses) text(column string, comparator search.Comparator, value search.Value) (condition string, args []any) {
	return c.CompareText(column, string(comparator), search.Texts(value))
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

// firstOf is the page of what a query found: one more than asked for tells that there is another
// page, whose token it returns.
func firstOf[T any](found []T, maxResults, offset int64) (page []T, nextPageToken *string) {
	if int64(len(found)) <= maxResults {
		return found, nil
	}

	token := search.CreatePageToken(offset + maxResults)

	return found[:maxResults], &token
}
