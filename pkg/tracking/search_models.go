package tracking

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// defaultModelResults is the size of a page when 0 is asked for
// (SEARCH_LOGGED_MODEL_MAX_RESULTS_DEFAULT).
const defaultModelResults = 100

// SearchLoggedModels finds logged models of experiments that aren't deleted, a page at a time
// (SqlAlchemyStore.search_logged_models). A dataset without a digest means any digest, one with an
// empty digest means metrics without one. Errors: INVALID_PARAMETER_VALUE.
func (s *Store) SearchLoggedModels(
	ctx context.Context, request *protos.SearchLoggedModels,
) (*protos.SearchLoggedModels_Response, error) {
	for _, dataset := range request.GetDatasets() {
		if dataset.GetDatasetName() == "" {
			return nil, contract.InvalidParameter("`dataset_name` in the `datasets` clause must be specified.")
		}
	}

	offset, err := modelOffset(request)
	if err != nil {
		return nil, err
	}

	maxResults := cmp.Or(int64(request.GetMaxResults()), defaultModelResults)

	comparisons, err := search.LoggedModels.ParseFilter(request.GetFilter())
	if err != nil {
		return nil, err
	}

	experiments, err := experimentList(request.GetExperimentIds())
	if err != nil {
		return nil, err
	}

	c := newClauses(s.db.Dialect())
	c.Where("m.lifecycle_stage <> '" + deleted + "'")
	visible, of := inWorkspace(contract.CallerFrom(ctx), "m.experiment_id")
	c.Where("m.experiment_id IN ("+cmp.Or(experiments, "NULL")+")"+visible, of...)
	c.modelConditions(comparisons, request.GetDatasets())

	if err := c.modelOrders(request.GetOrderBy()); err != nil {
		return nil, err
	}

	if maxResults < 0 { // MLflow leaves it to the database, which refuses it or knows no limit
		return nil, checkMaxResults(maxResults)
	}

	columns := "m." + strings.ReplaceAll(loggedModelColumns, ", ", ", m.")
	statement, args := c.Statement(columns, "logged_models m", maxResults+1, offset)

	return database.Read(ctx, s.db, func(tx *database.Tx) (*protos.SearchLoggedModels_Response, error) {
		found, err := database.Query(tx, scanLoggedModel, statement, args...)
		if err != nil {
			return nil, fmt.Errorf("searching logged models: %w", err)
		}

		response := &protos.SearchLoggedModels_Response{}

		if int64(len(found)) > maxResults {
			found = found[:maxResults]
			response.NextPageToken = new(modelPageToken(request, offset+maxResults))
		}

		response.Models, err = loadLoggedModels(tx, found)

		return response, err
	})
}

// modelConditions adds the comparisons of a filter, and datasets: metrics count only when they were
// measured on one of them, and without a comparison of metrics there must be a metric on one.
func (c *clauses) modelConditions(comparisons []search.Comparison, datasets []*protos.SearchLoggedModels_Dataset) {
	measured := false

	for i, comparison := range comparisons {
		alias := "f" + strconv.Itoa(i)
		of := alias + ".model_id = m.model_id AND " + alias

		switch comparison.Kind {
		case search.Metric:
			measured = true
			number, _ := comparison.Value.(search.Number)
			condition, args := onDatasets(alias, datasets)
			c.Where("EXISTS (SELECT 1 FROM logged_model_metrics "+alias+" WHERE "+of+".metric_name = ? AND "+alias+
				".metric_value "+string(comparison.Comparator)+" ?"+condition+")",
				append([]any{comparison.Key, number.Float64()}, args...)...)
		case search.Param, search.Tag:
			name := map[search.Kind]string{search.Param: "param", search.Tag: "tag"}[comparison.Kind]
			condition, args := c.text(alias+"."+name+"_value", comparison.Comparator, comparison.Value)
			c.Where("EXISTS (SELECT 1 FROM logged_model_"+name+"s "+alias+" WHERE "+of+"."+name+"_key = ? AND "+condition+")",
				append([]any{comparison.Key}, args...)...)
		case search.Attribute, search.Dataset: // there are no datasets in a filter of models
			c.modelAttribute(comparison)
		}
	}

	if condition, args := onDatasets("d", datasets); condition != "" && !measured {
		c.Where("EXISTS (SELECT 1 FROM logged_model_metrics d WHERE d.model_id = m.model_id"+condition+")", args...)
	}
}

// onDatasets is the condition that metrics were measured on one of the datasets; "" without any.
func onDatasets(alias string, datasets []*protos.SearchLoggedModels_Dataset) (condition string, args []any) {
	alternatives := make([]string, len(datasets))

	for i, dataset := range datasets {
		alternatives[i] = alias + ".dataset_name = ?"
		args = append(args, dataset.GetDatasetName())

		switch {
		case dataset.GetDatasetDigest() != "":
			alternatives[i] += " AND " + alias + ".dataset_digest = ?"
			args = append(args, dataset.GetDatasetDigest())
		case dataset.DatasetDigest != nil:
			alternatives[i] += " AND " + alias + ".dataset_digest IS NULL"
		}
	}

	if len(datasets) == 0 {
		return "", nil
	}

	return " AND (" + strings.Join(alternatives, " OR ") + ")", args
}

func (c *clauses) modelAttribute(comparison search.Comparison) {
	column := "m." + comparison.Key

	number, isNumber := comparison.Value.(search.Number)

	switch {
	case !isNumber:
		condition, args := c.text(column, comparison.Comparator, comparison.Value)
		c.Where(condition, args...)
	case math.IsNaN(number.Float64()):
		c.Where("1 = 0") // to most databases; PostgreSQL orders it above all numbers
	default:
		condition, args := whole(column, comparison.Comparator, number)
		c.Where(condition, args...)
	}
}

// modelOrders sorts by attributes and by the latest value of metrics, what has none last, then by
// creation, latest first, and ID (SqlAlchemyStore._apply_order_by_search_logged_models).
func (c *clauses) modelOrders(orders []*protos.SearchLoggedModels_OrderBy) error {
	sorted := make(map[string]bool, len(orders))

	for i, order := range orders {
		field := order.GetFieldName()

		kind, metric, qualified := strings.Cut(field, ".")
		if !qualified {
			attribute, known := search.LoggedModels.Attribute(field)
			if !known {
				return &contract.Error{
					Code:    protos.ErrorCode_INVALID_PARAMETER_VALUE,
					Message: "Invalid order by field name: " + field,
					Fields:  map[string]any{"error_class": "ATTRIBUTE_NOT_FOUND"},
				}
			}

			if !sorted[attribute] { // a second time sorts nothing, and SQL Server refuses it
				sorted[attribute] = true
				c.OrderBy(c.Dialect.NullsLast("m."+attribute, !order.GetAscending()))
			}

			continue
		}

		if kind != "metrics" {
			return contract.InvalidParameter("Invalid order by field name: %s. Only metrics are supported.", field)
		}

		c.joinLatestMetric("o"+strconv.Itoa(i), metric, order)
	}

	if !sorted["creation_timestamp_ms"] {
		c.OrderBy("m.creation_timestamp_ms DESC")
	}

	if !sorted["model_id"] {
		c.OrderBy("m.model_id")
	}

	return nil
}

func (c *clauses) joinLatestMetric(alias, metric string, order *protos.SearchLoggedModels_OrderBy) {
	condition, args := "metric_name = ?", []any{metric}

	if name := order.GetDatasetName(); name != "" {
		condition += " AND dataset_name = ?"
		args = append(args, name)
	}

	if digest := order.GetDatasetDigest(); digest != "" {
		condition += " AND dataset_digest = ?"
		args = append(args, digest)
	}

	c.Join("LEFT OUTER JOIN (SELECT model_id, metric_value, ROW_NUMBER() OVER (PARTITION BY model_id, metric_name "+
		"ORDER BY metric_timestamp_ms DESC, metric_step DESC, run_id) AS age FROM logged_model_metrics WHERE "+condition+
		") "+alias+" ON "+alias+".model_id = m.model_id AND "+alias+".age = 1", args...)
	c.OrderBy(c.Dialect.NullsLast(alias+".metric_value", !order.GetAscending()))
}

// modelQuery is what a page token holds of the search that it belongs to
// (SearchLoggedModelsPaginationToken).
func modelQuery(request *protos.SearchLoggedModels) *codec.Raw {
	experiments := make([]any, len(request.GetExperimentIds()))
	for i, id := range request.GetExperimentIds() {
		experiments[i] = id
	}

	var orders any // None without any

	if len(request.GetOrderBy()) > 0 {
		list := make([]any, len(request.GetOrderBy()))

		for i, order := range request.GetOrderBy() {
			object := &codec.Raw{}
			object.Set("field_name", order.GetFieldName())
			object.Set("ascending", order.GetAscending())
			object.Set("dataset_name", nilIfEmpty(order.GetDatasetName()))
			object.Set("dataset_digest", nilIfEmpty(order.GetDatasetDigest()))
			list[i] = object
		}

		orders = list
	}

	query := &codec.Raw{}
	query.Set("experiment_ids", experiments)
	query.Set("filter_string", nilIfEmpty(request.GetFilter()))
	query.Set("order_by", orders)

	return query
}

// modelPageToken makes the token of the page that begins at an offset.
func modelPageToken(request *protos.SearchLoggedModels, offset int64) string {
	token := modelQuery(request)
	token.Set("offset", json.Number(strconv.FormatInt(offset, 10)))

	return base64.StdEncoding.EncodeToString(codec.AppendJSON(nil, token))
}

// modelOffset reads a request's page token, which must be one of the same search.
func modelOffset(request *protos.SearchLoggedModels) (int64, error) {
	text := request.GetPageToken()
	if text == "" {
		return 0, nil
	}

	token, err := parseModelPageToken(text)
	if err != nil {
		return 0, err
	}

	wanted := modelQuery(request)

	for _, member := range []struct{ name, mismatch string }{
		{"experiment_ids", "Experiment IDs in the page token do not match the requested experiment IDs."},
		{"filter_string", "Filter string in the page token does not match the requested filter string."},
		{"order_by", "Order by in the page token does not match the requested order by."},
	} {
		expected, _ := wanted.Get(member.name)

		found, _ := token.Get(member.name)
		if member.name != "experiment_ids" && !isTrue(found) {
			found = nil
		}

		if string(codec.AppendCompact(nil, expected)) != string(codec.AppendCompact(nil, found)) {
			return 0, contract.InvalidParameter("%s Expected: %s. Found: %s", member.mismatch, codec.Str(expected),
				codec.Str(found))
		}
	}

	value, _ := token.Get("offset")

	offset, ok := wholeNumber(value)
	if !ok || offset < 0 || offset > math.MaxInt64/2 {
		return 0, notPageToken(text)
	}

	return offset, nil
}

// wholeNumber is what SQLAlchemy makes of an offset: Python's int, or 0 of what counts as false.
func wholeNumber(value any) (int64, bool) {
	if !isTrue(value) {
		return 0, true
	}

	var text string

	switch value := value.(type) {
	case bool:
		return 1, true
	case string:
		text = value
	case json.Number:
		text = value.String()

		if number, err := value.Float64(); strings.ContainsAny(text, ".eE") {
			return int64(number), err == nil && math.Abs(number) < math.MaxInt64
		}
	}

	number, ok := pyfmt.ParseInt(text)
	if !ok || !number.IsInt64() {
		return 0, false
	}

	return number.Int64(), true
}

// notPageToken is the answer to what MLflow fails on.
func notPageToken(text string) error {
	return contract.InvalidParameter("Invalid page token: %s.", text)
}

// parseModelPageToken decodes a token: base64, in which Python's decoder skips what isn't of the alphabet,
// of a JSON object (SearchLoggedModelsPaginationToken.decode).
func parseModelPageToken(text string) (*codec.Raw, error) {
	ascii := strings.Map(func(r rune) rune {
		if r >= utf8.RuneSelf {
			return -1
		}

		return r
	}, text)

	decoded, err := pyfmt.DecodeBase64(ascii)
	if err != nil || !utf8.Valid(decoded) {
		return nil, notPageToken(text)
	}

	parsed, err := codec.Parse(string(decoded))
	if syntax, ok := errors.AsType[*codec.SyntaxError](err); ok {
		return nil, contract.InvalidParameter("Invalid page token: %s. %s", text, syntax)
	}

	token, ok := parsed.(*codec.Raw)
	if !ok {
		return nil, notPageToken(text)
	}

	return token, nil
}
