package tracking

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/rules"
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

	wantedRuns := newRunSearch(s.db.Dialect(), request, wanted, experiments)

	return database.Read(ctx, s.db, func(tx *database.Tx) (*protos.SearchRuns_Response, error) {
		found, err := wantedRuns.find(tx, maxResults+1)
		if err != nil {
			return nil, fmt.Errorf("searching runs: %w", err)
		}

		response := &protos.SearchRuns_Response{}

		if int64(len(found)) > maxResults {
			found = found[:maxResults]

			token, err := wantedRuns.nextPageToken(found[maxResults-1], wanted.Offset+maxResults)
			if err != nil {
				return nil, err
			}

			response.NextPageToken = &token
		}

		page := make([]string, len(found))
		for i, run := range found {
			page[i] = run.id
		}

		response.Runs, err = loadRuns(tx, page)

		return response, err
	})
}

// experimentList writes experiment IDs as SQL.
func experimentList(texts []string) (string, error) {
	ids, err := rules.ExperimentIDs(texts)

	return database.NumberList(ids), err
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
		c.Where("NOT "+c.isLogged(alias, comparison.Kind), comparison.Key)
	case comparison.Comparator == search.IsNotNull:
		c.Where(c.isLogged(alias, comparison.Kind), comparison.Key)
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

// isLogged is the condition that something with a key, to be bound, was logged to the run.
func (c *clauses) isLogged(alias string, kind search.Kind) string {
	return "EXISTS (SELECT 1 FROM " + loggedTables[kind] + " " + alias + " WHERE " + alias +
		".run_uuid = r.run_uuid AND " + alias + "." + c.Dialect.Quote("key") + " = ?)"
}

// runColumn is the column of an attribute (SqlRun.get_attribute_name).
func runColumn(attribute string) string {
	switch attribute {
	case "run_id":
		return runIDColumn
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
		c.Where(condition, args...)

		return
	}

	condition, args := c.text(column, comparison.Comparator, comparison.Value)
	c.Where(condition, args...)
}

// loggedCondition joins the metric, param or tag that a comparison is about. A run has at most
// one of a key, so that runs aren't multiplied.
func (c *clauses) loggedCondition(alias string, comparison search.Comparison) {
	key, keyArgs := c.text(alias+"."+c.Dialect.Quote("key"), search.Equal, search.Text(comparison.Key))

	var (
		value string
		args  []any
	)

	if number, ok := comparison.Value.(search.Number); ok {
		value, args = c.metricCondition(alias, comparison.Comparator, number.Float64())
	} else {
		value, args = c.text(alias+".value", comparison.Comparator, comparison.Value)
	}

	c.Join("JOIN "+loggedTables[comparison.Kind]+" "+alias+" ON "+alias+".run_uuid = r.run_uuid AND "+
		key+" AND "+value, append(keyArgs, args...)...)
}

// metricCondition compares a metric's value. That of NaN is stored as 0 with a mark: it differs
// from every number and compares with none.
func (c *clauses) metricCondition(alias string, comparator search.Comparator, number float64) (string, []any) {
	condition := alias + ".value " + string(comparator) + " ?"

	if comparator == search.NotEqual {
		condition = "(" + condition + " OR " + alias + ".is_nan = " + c.Dialect.Boolean(true) + ")"
	} else {
		condition += " AND " + alias + ".is_nan = " + c.Dialect.Boolean(false)
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
	c.Where("EXISTS (SELECT 1 FROM "+tables+" WHERE "+input+".destination_id = r.run_uuid AND "+condition+")", args...)
}
