package tracking

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// SearchExperiments finds experiments, a page at a time (SqlAlchemyStore.search_experiments).
// Errors: INVALID_PARAMETER_VALUE.
func (s *Store) SearchExperiments(
	ctx context.Context, request *protos.SearchExperiments,
) (*protos.SearchExperiments_Response, error) {
	maxResults := request.GetMaxResults()
	if err := checkMaxResults(maxResults); err != nil {
		return nil, err
	}

	wanted, err := search.Experiments.Parse(request.GetFilter(), request.GetOrderBy(), request.GetPageToken())
	if err != nil {
		return nil, err
	}

	c := experimentClauses(s.db.Dialect(), wanted)
	visible, args := inWorkspace(contract.CallerFrom(ctx), "e.experiment_id")
	c.Where("e."+string(stagesOf(request.GetViewType()))+visible, args...)

	columns := "e." + strings.ReplaceAll(experimentColumns, ", ", ", e.")

	statement, args := c.Statement(columns, "experiments e", maxResults+1, wanted.Offset)

	return database.Read(ctx, s.db, func(tx *database.Tx) (*protos.SearchExperiments_Response, error) {
		found, err := database.Query(tx, scanExperiment, statement, args...)
		if err != nil {
			return nil, fmt.Errorf("searching experiments: %w", err)
		}

		response := &protos.SearchExperiments_Response{}
		found, response.NextPageToken = firstOf(found, maxResults, wanted.Offset)
		response.Experiments, err = loadExperiments(tx, found)

		return response, err
	})
}

// loadExperiments makes messages of experiments, with their tags.
func loadExperiments(tx *database.Tx, rows []schema.Experiment) ([]*protos.Experiment, error) {
	const perStatement = 500

	tags := make(map[int64][]*protos.ExperimentTag)

	for piece := range slices.Chunk(rows, perStatement) {
		ids := make([]any, len(piece))
		for i, row := range piece {
			ids[i] = row.ExperimentID
		}

		_, err := database.Query(tx, func(scan func(...any) error) (struct{}, error) {
			var id int64

			tag := &protos.ExperimentTag{}
			err := scan(&id, &tag.Key, &tag.Value)
			tags[id] = append(tags[id], tag)

			return struct{}{}, err
		}, "SELECT experiment_id, "+tx.Dialect().Quote("key")+", value FROM experiment_tags WHERE experiment_id IN (?"+
			strings.Repeat(", ?", len(ids)-1)+")", ids...)
		if err != nil {
			return nil, fmt.Errorf("reading the tags of experiments: %w", err)
		}
	}

	experiments := make([]*protos.Experiment, len(rows))
	for i, row := range rows {
		experiments[i] = experimentMessage(row, tags[row.ExperimentID])
	}

	return experiments, nil
}

// experimentClauses turns a query into SQL on the table experiments, named e
// (_get_search_experiments_filter_clauses and _get_search_experiments_order_by_clauses).
func experimentClauses(dialect database.Dialect, wanted search.Query) *clauses {
	c := newClauses(dialect)

	for i, comparison := range wanted.Comparisons {
		c.experimentCondition("t"+strconv.Itoa(i), comparison)
	}

	orders := wanted.Orders
	if len(orders) == 0 {
		orders = []search.Order{{Key: "creation_time"}, {Key: "experiment_id", Ascending: true}}
	}

	byID := func(order search.Order) bool { return order.Key == "experiment_id" }
	if !slices.ContainsFunc(orders, byID) {
		orders = append(slices.Clone(orders), search.Order{Key: "experiment_id"})
	}

	for _, order := range orders {
		c.OrderBy(database.Direction("e."+order.Key, order.Ascending))
	}

	return c
}

// experimentCondition adds a comparison; alias is free for a table.
func (c *clauses) experimentCondition(alias string, comparison search.Comparison) {
	if comparison.Kind == search.Tag {
		c.experimentTagCondition(alias, comparison)

		return
	}

	column := "e." + comparison.Key

	switch number, ok := comparison.Value.(search.Number); {
	case ok:
		condition, args := whole(column, comparison.Comparator, number)
		c.Where(condition, args...)
	case comparison.Key == "experiment_id":
		c.Where(column + " " + string(comparison.Comparator) + " " + idsOf(comparison.Value))
	default:
		condition, args := c.text(column, comparison.Comparator, comparison.Value)
		c.Where(condition, args...)
	}
}

// idsOf writes IDs, which the parser holds to be whole numbers, as SQL: they may have any size.
func idsOf(value search.Value) string {
	if list, ok := value.(search.List); ok {
		return "(" + strings.Join(list, ", ") + ")"
	}

	text, _ := value.(search.Text)

	return string(text)
}

func (c *clauses) experimentTagCondition(alias string, comparison search.Comparison) {
	of := alias + ".experiment_id = e.experiment_id AND "
	keyColumn := alias + "." + c.Dialect.Quote("key")
	exists := "EXISTS (SELECT 1 FROM experiment_tags " + alias + " WHERE " + of + keyColumn + " = ?)"

	switch comparison.Comparator { //nolint:exhaustive // the others compare values
	case search.IsNull:
		c.Where("NOT "+exists, comparison.Key)
	case search.IsNotNull:
		c.Where(exists, comparison.Key)
	default:
		key, keyArgs := c.text(keyColumn, search.Equal, search.Text(comparison.Key))
		value, args := c.text(alias+".value", comparison.Comparator, comparison.Value)
		c.Join("JOIN experiment_tags "+alias+" ON "+of+key+" AND "+value, append(keyArgs, args...)...)
	}
}
