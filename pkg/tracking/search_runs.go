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
	"github.com/mlflow/mlflow-go/pkg/search"
)

// datasetContextTag is the tag of an input that says what a dataset was used for
// (MLFLOW_DATASET_CONTEXT).
const datasetContextTag = "mlflow.data.context"

// SearchRuns finds runs of experiments, a page at a time (SqlAlchemyStore.search_runs). Errors:
// INVALID_PARAMETER_VALUE for a filter, clause, page token, number of results or experiment ID
// that isn't valid, INTERNAL_ERROR for an order_by that names something twice.
func (s *Store) SearchRuns(ctx context.Context, request *protos.SearchRuns) (*protos.SearchRuns_Response, error) {
	maxResults := int64(request.GetMaxResults())
	if err := checkMaxResults(maxResults); err != nil {
		return nil, err
	}

	wanted, err := search.Runs.Parse(request.GetFilter(), request.GetOrderBy(), request.GetPageToken())
	if err != nil {
		return nil, err
	}

	experiments, err := experimentList(request.GetExperimentIds())
	if err != nil {
		return nil, err
	}

	if experiments == "" {
		return &protos.SearchRuns_Response{}, nil
	}

	c := runClauses(s.db.Dialect(), wanted)
	c.where("r.experiment_id IN (" + experiments + ")")
	c.where("r." + string(stagesOf(request.GetRunViewType())))

	// Only the IDs: whole rows would be carried through the sorting of all the runs that match.
	statement, args := c.statement("r.run_uuid", "runs r", maxResults+1, wanted.Offset)

	return read(ctx, s, func(tx *database.Tx) (*protos.SearchRuns_Response, error) {
		var found []string

		if err := tx.Select(append(planned(c.plan()), collect(&found, scanText, statement, args...))...); err != nil {
			return nil, fmt.Errorf("searching runs: %w", err)
		}

		var page []string

		response := &protos.SearchRuns_Response{}
		page, response.NextPageToken = firstOf(found, maxResults, wanted.Offset)
		response.Runs, err = loadRuns(tx, page)

		return response, err
	})
}

// scanText reads a row of one text.
func scanText(scan func(...any) error) (text string, err error) {
	err = scan(&text)

	return text, err
}

// experimentList writes experiment IDs as SQL: they are numbers, and there may be more of them
// than a statement takes values. IDs beyond the range of int64 are left out, as nothing has them.
func experimentList(texts []string) (string, error) {
	var list strings.Builder

	for _, text := range texts {
		id, err := parseExperimentID(text)

		switch {
		case err == nil:
			if list.Len() > 0 {
				list.WriteString(", ")
			}

			list.WriteString(strconv.FormatInt(id, 10))
		case contract.AsError(err).Code != protos.ErrorCode_RESOURCE_DOES_NOT_EXIST:
			return "", err
		}
	}

	return list.String(), nil
}

// runClauses turns a query into SQL on the table runs, named r
// (_get_sqlalchemy_filter_clauses and _get_orderby_clauses).
func runClauses(dialect database.Dialect, wanted search.Query) *clauses {
	c := &clauses{dialect: dialect}

	for i, comparison := range wanted.Comparisons {
		c.runCondition("f"+strconv.Itoa(i), comparison)
	}

	for i, order := range wanted.Orders {
		c.runOrder("o"+strconv.Itoa(i), order)
	}

	if !slices.ContainsFunc(wanted.Orders, func(order search.Order) bool {
		return order.Kind == search.Attribute && order.Key == "start_time"
	}) {
		c.orders = append(c.orders, "r.start_time DESC")
	}

	c.orders = append(c.orders, "r.run_uuid")

	return c
}

// loggedTables have the key and the value of what is logged to a run.
var loggedTables = map[search.Kind]string{
	search.Metric: "latest_metrics",
	search.Param:  "params",
	search.Tag:    "tags",
}

// runCondition adds a comparison; alias is free for a table.
func (c *clauses) runCondition(alias string, comparison search.Comparison) {
	switch {
	case comparison.Comparator == search.IsNull:
		c.where("NOT "+c.isLogged(alias, comparison.Kind), comparison.Key)
	case comparison.Comparator == search.IsNotNull:
		c.where(c.isLogged(alias, comparison.Kind), comparison.Key)
	case comparison.Kind == search.Dataset:
		c.datasetCondition(alias, comparison)
	case comparison.Kind != search.Attribute:
		c.loggedCondition(alias, comparison)
	case comparison.Key == "run_name":
		// The column is empty for runs of MLflow 1.29 and older, the tag isn't.
		comparison.Kind, comparison.Key = search.Tag, runNameTag
		c.loggedCondition(alias, comparison)
	default:
		c.attributeCondition(comparison)
	}
}

// plan is the statement that says how to join what was logged, "" without a join.
func (c *clauses) plan() string {
	if c.joins.Len() == 0 {
		return ""
	}

	return c.dialect.PlanJoins("runs", "latest_metrics", "params", "tags")
}

// isLogged is the condition that something with a key, to be bound, was logged to the run.
func (c *clauses) isLogged(alias string, kind search.Kind) string {
	return "EXISTS (SELECT 1 FROM " + loggedTables[kind] + " " + alias + " WHERE " + alias +
		".run_uuid = r.run_uuid AND " + alias + "." + c.dialect.Quote("key") + " = ?)"
}

// runColumn is the column of an attribute (SqlRun.get_attribute_name).
func runColumn(attribute string) string {
	switch attribute {
	case "run_id":
		return "r.run_uuid"
	case "run_name":
		return "r.name"
	default:
		return "r." + attribute
	}
}

func (c *clauses) attributeCondition(comparison search.Comparison) {
	column := runColumn(comparison.Key)

	if number, ok := comparison.Value.(search.Number); ok {
		condition, args := whole(column, comparison.Comparator, number)
		c.where(condition, args...)

		return
	}

	condition, args := c.text(column, comparison.Comparator, comparison.Value)
	c.where(condition, args...)
}

// loggedCondition joins the metric, param or tag that a comparison is about. A run has at most
// one of a key, so that runs aren't multiplied.
func (c *clauses) loggedCondition(alias string, comparison search.Comparison) {
	key, keyArgs := c.text(alias+"."+c.dialect.Quote("key"), search.Equal, search.Text(comparison.Key))

	var (
		value string
		args  []any
	)

	if number, ok := comparison.Value.(search.Number); ok {
		value, args = c.metricCondition(alias, comparison.Comparator, number.Float64())
	} else {
		value, args = c.text(alias+".value", comparison.Comparator, comparison.Value)
	}

	c.join("JOIN "+loggedTables[comparison.Kind]+" "+alias+" ON "+alias+".run_uuid = r.run_uuid AND "+
		key+" AND "+value, append(keyArgs, args...)...)
}

// metricCondition compares a metric's value. That of NaN is stored as 0 with a mark: it differs
// from every number and compares with none.
func (c *clauses) metricCondition(alias string, comparator search.Comparator, number float64) (string, []any) {
	condition := alias + ".value " + string(comparator) + " ?"

	if comparator == search.NotEqual {
		condition = "(" + condition + " OR " + alias + ".is_nan = " + c.dialect.Boolean(true) + ")"
	} else {
		condition += " AND " + alias + ".is_nan = " + c.dialect.Boolean(false)
	}

	return condition, []any{number}
}

// datasetCondition holds when any of the run's datasets fits.
func (c *clauses) datasetCondition(alias string, comparison search.Comparison) {
	dataset, input, tag := alias+"d", alias+"i", alias+"t"
	tables := "datasets " + dataset + " JOIN inputs " + input + " ON " + input + ".source_id = " + dataset +
		".dataset_uuid"
	column := dataset + "." + comparison.Key

	if comparison.Key == "context" {
		tables += " JOIN input_tags " + tag + " ON " + tag + ".input_uuid = " + input + ".input_uuid AND " +
			tag + ".name = '" + datasetContextTag + "'"
		column = tag + ".value"
	}

	condition, args := c.text(column, comparison.Comparator, comparison.Value)
	c.where("EXISTS (SELECT 1 FROM "+tables+" WHERE "+input+".destination_id = r.run_uuid AND "+condition+")", args...)
}

// runOrder sorts by an attribute or by something logged. What has a value comes first, then NaN,
// then what has none, in either direction.
func (c *clauses) runOrder(alias string, order search.Order) {
	column := runColumn(order.Key)

	if order.Kind != search.Attribute {
		column = alias + ".value"
		c.join("LEFT OUTER JOIN "+loggedTables[order.Kind]+" "+alias+" ON "+alias+".run_uuid = r.run_uuid AND "+
			alias+"."+c.dialect.Quote("key")+" = ?", order.Key)
	}

	if order.Kind == search.Metric {
		c.orders = append(c.orders, "CASE WHEN "+alias+".is_nan = "+c.dialect.Boolean(true)+" THEN 1 WHEN "+column+
			" IS NULL THEN 2 ELSE 0 END", direction(column, order.Ascending))

		return
	}

	c.orders = append(c.orders, c.dialect.NullsLast(column, !order.Ascending))
}
