package registry

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// The most that a page may hold (SEARCH_REGISTERED_MODEL_MAX_RESULTS_THRESHOLD,
// SEARCH_MODEL_VERSION_MAX_RESULTS_THRESHOLD).
const (
	maxModelResults   = 1000
	maxVersionResults = 200_000
)

// Attributes that are named often.
const (
	lastUpdated   = "last_updated_timestamp"
	versionNumber = "version_number"
)

// SearchRegisteredModels finds models, or prompts when the filter asks for them by their tag, a page
// at a time (SqlAlchemyStore.search_registered_models). However many it finds, it takes five
// queries. Errors: INVALID_PARAMETER_VALUE.
func (s *Store) SearchRegisteredModels(
	ctx context.Context, request *protos.SearchRegisteredModels,
) (*protos.SearchRegisteredModels_Response, error) {
	maxResults := request.GetMaxResults()
	if maxResults > maxModelResults {
		return nil, errTooManyResults(maxModelResults, maxResults)
	}

	wanted, err := search.RegisteredModels.Parse(request.GetFilter(), request.GetOrderBy(), request.GetPageToken())
	if err != nil {
		return nil, err
	}

	if maxResults < 0 { // MLflow leaves it to the database, which refuses it or knows no limit
		return nil, errNotPositive(maxResults)
	}

	statement, args := s.searchModels(contract.CallerFrom(ctx).ActiveWorkspace(), wanted, maxResults+1)

	return database.Read(ctx, s.db, func(tx *database.Tx) (*protos.SearchRegisteredModels_Response, error) {
		var found []*model
		if err := tx.Select(append(plannedLookUps(tx),
			database.Collect(&found, scanModel, statement, args...))...); err != nil {
			return nil, fmt.Errorf("searching registered models: %w", err)
		}

		response := &protos.SearchRegisteredModels_Response{}
		response.RegisteredModels, response.NextPageToken = pageOf(found, maxResults, wanted.Offset)

		return response, s.completeModels(tx, response.GetRegisteredModels())
	})
}

// plannedJoins has the rest of a transaction join models, versions and tags as many of them ask for.
func plannedJoins(tx *database.Tx) []database.Selection {
	return database.PlannedJoins(tx, "registered_models", "registered_model_tags", "model_versions", "model_version_tags")
}

// plannedLookUps has the rest of a transaction go from models to what belongs to them by index. To find the versions
// of a hundred models among 10,000 takes PostgreSQL 0.8 ms so, and 8.6 ms if it reads them all, as it likes to; to find
// that none of 136 models is a prompt 0.2 ms, and 4.1 ms if it reads all tags for each.
func plannedLookUps(tx *database.Tx) []database.Selection {
	return slices.Concat(plannedJoins(tx), database.PlannedLookUps(tx))
}

// pageOf is the page of what a query found: one more than asked for tells that there is another
// page, whose token it returns.
func pageOf[T any](found []T, maxResults, offset int64) (page []T, nextPageToken *string) {
	if int64(len(found)) <= maxResults {
		return found, nil
	}

	return found[:maxResults], new(search.CreatePageToken(offset + maxResults))
}

func errTooManyResults(limit, maxResults int64) error {
	return contract.InvalidParameter("Invalid value for request parameter max_results. It must be at most %d, but got "+
		"value %d", limit, maxResults)
}

func errNotPositive(maxResults int64) error {
	return contract.InvalidParameter("Invalid value for max_results. It must be a positive integer, but got %d",
		maxResults)
}

// searchModels is the query of a page of a workspace's models
// (_get_search_registered_model_filter_query).
func (s *Store) searchModels(workspace string, wanted search.Query, limit int64) (text string, args []any) {
	c := newClauses(s.db.Dialect())
	c.Where("m.workspace = ?", workspace)

	isPrompt := asksForPrompts(wanted.Comparisons)
	for i, comparison := range wanted.Comparisons {
		switch {
		case comparison.Kind != search.Tag:
			c.compare("m."+comparison.Key, comparison)
		case comparison.Key != PromptTag:
			c.joinTags("registered_model_tags", "f"+strconv.Itoa(i), nameColumn, comparison)
		case isPrompt:
			c.prompts("EXISTS", "registered_model_tags", "m", comparison)
		}
	}

	if !isPrompt {
		c.prompts("NOT EXISTS", "registered_model_tags", "m", thePromptTag)
	}

	byName := false

	for _, order := range wanted.Orders {
		column := map[string]string{nameColumn: "m.name", lastUpdated: "m." + updateColumn}[order.Key]
		c.OrderBy(database.Direction(column, order.Ascending))
		byName = byName || order.Key == nameColumn
	}

	if !byName {
		c.OrderBy(database.Direction("m.name", true))
	}

	return c.Statement(modelColumns, "registered_models m", limit, wanted.Offset)
}

// completeModels reads the tags, aliases and latest versions of models. The latest versions are in
// the order of their stages' names.
func (s *Store) completeModels(tx *database.Tx, models []*model) error {
	if len(models) == 0 {
		return nil
	}

	place := make(map[string]*model, len(models))
	names := make([]string, len(models))

	for i, m := range models {
		place[m.GetName()] = m
		names[i] = m.GetName()
	}

	of := func(name string) *model {
		if m := place[name]; m != nil {
			return m
		}

		return &model{} // renamed since it was found
	}

	var (
		latest  []version
		dialect = s.db.Dialect()
	)

	named, args := dialect.AnyOf("o.name", names)
	args = slices.Insert(args, 0, any(tx.Workspace()))
	latestOf := append(slices.Clone(args), tx.Workspace())
	versions := latestVersions(dialect, named, "m.name, m.current_stage")

	if err := tx.Select(
		selectModelTags("SELECT o.name, "+dialect.Quote(keyColumn)+", value"+
			ofModels(dialect, "registered_model_tags", named), args,
			func(name string, tag *protos.RegisteredModelTag) { of(name).Tags = append(of(name).GetTags(), tag) }),
		selectAliases("SELECT o.name, alias, version"+ofModels(dialect, "registered_model_aliases", named), args,
			func(name string, alias *protos.RegisteredModelAlias) {
				of(name).Aliases = append(of(name).GetAliases(), alias)
			}),
		database.Collect(&latest, scanLatest, versions, latestOf...),
	); err != nil {
		return fmt.Errorf("reading what belongs to registered models: %w", err)
	}

	if err := addTags(tx, tx.SelectLast, latest); err != nil {
		return fmt.Errorf("reading the tags of versions of registered models: %w", err)
	}

	for _, v := range latest {
		of(v.model).LatestVersions = append(of(v.model).GetLatestVersions(), v.ModelVersion)
	}

	return nil
}

// SearchModelVersions finds versions of models, or of prompts when the filter asks for them by their
// tag, a page at a time (SqlAlchemyStore.search_model_versions). Errors: INVALID_PARAMETER_VALUE.
func (s *Store) SearchModelVersions(
	ctx context.Context, request *protos.SearchModelVersions,
) (*protos.SearchModelVersions_Response, error) {
	maxResults := request.GetMaxResults()

	switch {
	case maxResults < 1:
		return nil, errNotPositive(maxResults)
	case maxResults > maxVersionResults:
		return nil, errTooManyResults(maxVersionResults, maxResults)
	}

	wanted, err := search.ModelVersions.Parse(request.GetFilter(), request.GetOrderBy(), request.GetPageToken())
	if err != nil {
		return nil, err
	}

	statement, args := s.searchVersions(contract.CallerFrom(ctx).ActiveWorkspace(), wanted, maxResults+1)

	return database.Read(ctx, s.db, func(tx *database.Tx) (*protos.SearchModelVersions_Response, error) {
		var found []version
		if err := tx.Select(append(plannedJoins(tx),
			database.Collect(&found, scanVersion, statement, args...))...); err != nil {
			return nil, fmt.Errorf("searching model versions: %w", err)
		}

		response := &protos.SearchModelVersions_Response{}
		found, response.NextPageToken = pageOf(found, maxResults, wanted.Offset)
		response.ModelVersions = messages(found)

		if err := addTags(tx, tx.SelectLast, found); err != nil {
			return nil, fmt.Errorf("reading the tags of model versions: %w", err)
		}

		return response, nil
	})
}

// versionAttributes are the columns of attributes that have another name.
var versionAttributes = map[string]string{
	"source_path": "source", versionNumber: versionColumn, "creation_timestamp": creationColumn, lastUpdated: updateColumn,
}

func columnOf(attribute string) string {
	if column, other := versionAttributes[attribute]; other {
		return "m." + column
	}

	return "m." + attribute
}

// defaultVersionOrder is the order without one asked for.
var defaultVersionOrder = []search.Order{
	{Key: lastUpdated}, {Key: nameColumn, Ascending: true}, {Key: versionNumber},
}

// searchVersions is the query of a page of a workspace's versions
// (_get_search_model_versions_filter_clauses).
//
// Models are found to be no prompts one by one, by index, before their versions are looked at: what
// prompts and their versions there are costs nothing, however many.
func (s *Store) searchVersions(workspace string, wanted search.Query, limit int64) (statement string, args []any) {
	c := newClauses(s.db.Dialect())
	isPrompt := asksForPrompts(wanted.Comparisons)

	from, names := "model_versions m", "m"
	if !isPrompt {
		from = "registered_models r CROSS JOIN model_versions m"
		if !c.Dialect.FoldsKeys() { // or else a version may have its model's name spelled otherwise
			names = "r"
		}

		c.Where("r.workspace = ? AND m.workspace = r.workspace AND m.name = r.name", workspace)
		c.prompts("NOT EXISTS", "model_version_tags", "r", thePromptTag)
	}

	c.Where("m.workspace = ? AND m."+notDeleted, workspace)

	for i, comparison := range wanted.Comparisons {
		number, isNumber := comparison.Value.(search.Number)

		switch {
		case isNumber:
			condition, args := compareNumber(comparison.Comparator, number)
			c.Where(condition, args...)
		case comparison.Kind == search.Attribute && comparison.Key == nameColumn:
			c.compare(names+".name", comparison)
		case comparison.Kind == search.Attribute:
			c.compare(columnOf(comparison.Key), comparison)
		case comparison.Key != PromptTag:
			c.joinTags("model_version_tags", "f"+strconv.Itoa(i), versionColumn, comparison)
		case isPrompt:
			c.prompts("EXISTS", "model_version_tags", "m", comparison)
		}
	}

	orders := wanted.Orders
	if len(orders) == 0 {
		orders = defaultVersionOrder
	}

	ordered := make(map[string]bool, len(orders))
	for _, order := range orders {
		c.OrderBy(database.Direction(columnOf(order.Key), order.Ascending))
		ordered[order.Key] = true
	}

	if !ordered[nameColumn] {
		c.OrderBy(database.Direction("m.name", true))
	}

	if !ordered[versionNumber] {
		c.OrderBy(database.Direction("m.version", false))
	}

	return c.Statement(versionColumns, from, limit, wanted.Offset)
}

// compareNumber compares a column of 32 bits with a whole number of any size.
func compareNumber(comparator search.Comparator, number search.Number) (condition string, args []any) {
	const always, never = "1 = 1", "1 = 0"

	value, exact := number.Ceil()
	if exact && math.MinInt32 <= value && value <= math.MaxInt32 {
		return "m.version " + string(comparator) + " ?", []any{value}
	}

	switch comparator { //nolint:exhaustive // no other compares numbers
	case search.NotEqual:
		return always, nil
	case search.Less, search.LessOrEqual:
		if value > 0 {
			return always, nil
		}
	case search.Greater, search.GreaterOrEqual:
		if value < 0 {
			return always, nil
		}
	}

	return never, nil
}

// thePromptTag is the tag that prompts have.
var thePromptTag = search.Comparison{
	Kind: search.Tag, Key: PromptTag, Comparator: search.Equal, Value: search.Text("true"),
}

// asksForPrompts tells whether a filter's first condition on the tag of prompts is for them
// (_is_querying_prompt); otherwise no prompts are found, and its conditions on the tag don't count.
func asksForPrompts(comparisons []search.Comparison) bool {
	for _, c := range comparisons {
		if c.Kind != search.Tag || c.Key != PromptTag {
			continue
		}

		text, _ := c.Value.(search.Text)
		lower := strings.ToLower(string(text))

		return c.Comparator == search.Equal && lower == "true" || c.Comparator == search.NotEqual && lower == "false"
	}

	return false
}
