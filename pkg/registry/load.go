package registry

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// deletedStage is where deleted versions are (STAGE_DELETED_INTERNAL); nothing but their numbers is
// left of them.
const deletedStage = "Deleted_Internal"

const (
	modelColumns   = "m.name, m.creation_time, m.last_updated_time, m.description"
	versionColumns = "m.name, m.version, m.creation_time, m.last_updated_time, m.description, m.user_id, " +
		"m.current_stage, m.source, m.run_id, m.status, m.status_message, m.run_link, m.storage_location"
)

// Columns that are named often.
const (
	workspaceColumn = "workspace"
	nameColumn      = "name"
	keyColumn       = "key"
	versionColumn   = "version"
	creationColumn  = "creation_time"
	updateColumn    = "last_updated_time"
)

// statements are the queries for one model or version, in a database's words.
type statements struct {
	model, modelTags, modelAliases, promptTag, lockModel     string
	latestOfModel                                            string
	version, versionTags, versionByAlias, versionTagsByAlias string
	// Those of several aliases take the workspace and end before a condition of a.name and a.alias, which their rows
	// begin with.
	versionsByAliases, tagsByAliases, aliasesByAliases string
	insertModel, setModelTag, deleteModelTag           string
	insertVersion, setVersionTag, deleteVersionTag     string
	setAlias                                           string
}

const (
	ofModel    = " WHERE workspace = ? AND name = ?"
	ofVersion  = ofModel + " AND version = ?"
	notDeleted = "current_stage <> '" + deletedStage + "'"
)

var (
	modelTagColumns   = []string{workspaceColumn, nameColumn, keyColumn, "value"}
	modelTagsInsert   = database.InsertRows("registered_model_tags", modelTagColumns)
	versionTagColumns = []string{workspaceColumn, nameColumn, versionColumn, keyColumn, "value"}
	versionTagsInsert = database.InsertRows("model_version_tags", versionTagColumns)
	aliasColumns      = []string{workspaceColumn, nameColumn, "alias", versionColumn}
)

func newStatements(d database.Dialect) statements {
	key := d.Quote(keyColumn)
	hint, suffix := d.LockRows()
	upsert := func(table string, columns, unique []string, changed string) string {
		return d.Upsert(database.Upsert{
			Table: table, Columns: columns, Key: unique, Update: []string{changed}, Rows: 1,
		})
	}

	byAliases := func(columns, table, condition string) string {
		return "SELECT a.name, a.alias, " + columns + " FROM registered_model_aliases a JOIN " + table + " m ON " +
			"m.workspace = a.workspace AND m.name = a.name AND m.version = a.version" + condition +
			" WHERE a.workspace = ? AND "
	}

	const byAlias = " a ON a.workspace = m.workspace AND a.name = m.name AND a.version = m.version " +
		"WHERE a.workspace = ? AND a.name = ? AND a.alias = ?"

	return statements{
		model:        "SELECT " + modelColumns + " FROM registered_models m" + ofModel,
		modelTags:    "SELECT name, " + key + ", value FROM registered_model_tags" + ofModel,
		modelAliases: "SELECT name, alias, version FROM registered_model_aliases" + ofModel,
		version:      "SELECT " + versionColumns + " FROM model_versions m" + ofVersion + " AND " + notDeleted,
		versionTags:  "SELECT name, version, " + key + ", value FROM model_version_tags" + ofVersion,
		versionByAlias: "SELECT " + versionColumns + " FROM model_versions m JOIN registered_model_aliases" + byAlias +
			" AND m." + notDeleted,
		versionTagsByAlias: "SELECT m.name, m.version, m." + key + ", m.value FROM model_version_tags m " +
			"JOIN registered_model_aliases" + byAlias,
		versionsByAliases: byAliases(versionColumns, "model_versions", " AND m."+notDeleted),
		tagsByAliases:     byAliases("m."+key+", m.value", "model_version_tags", ""),
		aliasesByAliases:  byAliases("m.alias", "registered_model_aliases", ""),
		lockModel:         "SELECT name FROM registered_models" + hint + ofModel + suffix,
		setModelTag: upsert("registered_model_tags", modelTagColumns,
			[]string{workspaceColumn, keyColumn, nameColumn}, "value"),
		setVersionTag: upsert("model_version_tags", versionTagColumns,
			[]string{workspaceColumn, keyColumn, nameColumn, versionColumn}, "value"),
		setAlias: upsert("registered_model_aliases", aliasColumns, []string{workspaceColumn, nameColumn, "alias"},
			versionColumn),
		deleteModelTag:   "DELETE FROM registered_model_tags" + ofModel + " AND " + key + " = ?",
		deleteVersionTag: "DELETE FROM model_version_tags" + ofVersion + " AND " + key + " = ?",
		insertModel: d.InsertIgnore("registered_models",
			[]string{workspaceColumn, nameColumn, creationColumn, updateColumn, "description"},
			[]string{workspaceColumn, nameColumn}, 1),
		insertVersion: d.Insert("model_versions", []string{
			workspaceColumn, nameColumn, versionColumn, creationColumn, updateColumn, "description", "current_stage", "source",
			"storage_location", "run_id", "run_link", "status",
		}, 1),
		latestOfModel: latestVersions(d, "o.name = ?", "l.first_version"),
		promptTag:     "SELECT value FROM registered_model_tags" + ofModel + " AND " + key + " = ?",
	}
}

// model is a row of registered_models with what belongs to it, as clients see it
// (SqlRegisteredModel.to_mlflow_entity, RegisteredModel.to_proto).
type model = protos.RegisteredModel

func scanModel(scan func(...any) error) (*model, error) {
	m := &model{}
	err := scan(&m.Name, &m.CreationTimestamp, &m.LastUpdatedTimestamp, &m.Description)

	if m.GetLastUpdatedTimestamp() == 0 {
		m.LastUpdatedTimestamp = nil
	}

	if m.GetDescription() == "" {
		m.Description = nil
	}

	return m, err
}

// version is a row of model_versions, with its tags and, where MLflow shows them, its aliases.
type version struct {
	*protos.ModelVersion

	number          int64
	storageLocation *string
	model           string // its model's name, of latest versions only
}

// scanVersion reads a row of versionColumns (SqlModelVersion.to_mlflow_entity,
// ModelVersion.to_proto).
func scanVersion(scan func(...any) error) (version, error) {
	v := version{ModelVersion: &protos.ModelVersion{}}

	var status *string

	if err := scan(&v.Name, &v.number, &v.CreationTimestamp, &v.LastUpdatedTimestamp, &v.Description, &v.UserId,
		&v.CurrentStage, &v.Source, &v.RunId, &status, &v.StatusMessage, &v.RunLink, &v.storageLocation); err != nil {
		return v, err
	}

	v.Version = new(strconv.FormatInt(v.number, 10))

	if v.GetStatusMessage() == "" {
		v.StatusMessage = nil
	}

	if status != nil {
		number, known := protos.ModelVersionStatus_value[*status]
		if !known {
			return v, fmt.Errorf("version %d of model %s has status %s: %w", v.number, v.GetName(), *status, errUnreadable)
		}

		v.Status = protos.ModelVersionStatus(number).Enum()
	}

	return v, nil
}

// scanLatest reads a row of latestVersions.
func scanLatest(scan func(...any) error) (v version, err error) {
	var model string

	v, err = scanVersion(func(columns ...any) error { return scan(append([]any{&model}, columns...)...) })
	v.model = model

	return v, err
}

// showAliases adds the aliases that point to the version (_populate_model_version_aliases).
func (v version) showAliases(all []*protos.RegisteredModelAlias) {
	for _, alias := range all {
		if alias.GetVersion() == v.GetVersion() {
			v.Aliases = append(v.Aliases, alias.GetAlias())
		}
	}
}

func messages(versions []version) []*protos.ModelVersion {
	list := make([]*protos.ModelVersion, len(versions))
	for i, v := range versions {
		list[i] = v.ModelVersion
	}

	return list
}

// owned is a selection of rows that begin with the name of the model that they belong to; add is
// given the rest.
func owned[T any](
	statement string, args []any, scan func(item *T, scan func(...any) error, name *string) error,
	add func(name string, item *T),
) database.Selection {
	return database.Selection{
		Statement: database.Statement{Query: statement, Args: args},
		Row: func(row func(...any) error) error {
			var name string

			item := new(T)
			if err := scan(item, row, &name); err != nil {
				return err
			}

			add(name, item)

			return nil
		},
	}
}

func selectModelTags(
	statement string, args []any, add func(name string, tag *protos.RegisteredModelTag),
) database.Selection {
	return owned(statement, args, func(tag *protos.RegisteredModelTag, scan func(...any) error, name *string) error {
		return scan(name, &tag.Key, &tag.Value)
	}, add)
}

func selectAliases(
	statement string, args []any, add func(name string, alias *protos.RegisteredModelAlias),
) database.Selection {
	return owned(statement, args, func(alias *protos.RegisteredModelAlias, scan func(...any) error, name *string) error {
		var number int64

		err := scan(name, &alias.Alias, &number)
		alias.Version = new(strconv.FormatInt(number, 10))

		return err
	}, add)
}

// versionKey names a version.
type versionKey struct {
	name   string
	number int64
}

func scanVersionTag(scan func(...any) error) (*protos.ModelVersionTag, error) {
	tag := &protos.ModelVersionTag{}

	return tag, scan(&tag.Key, &tag.Value)
}

func selectVersionTags(
	statement string, args []any, add func(of versionKey, tag *protos.ModelVersionTag),
) database.Selection {
	return database.Selection{
		Statement: database.Statement{Query: statement, Args: args},
		Row: func(scan func(...any) error) error {
			var of versionKey

			tag := &protos.ModelVersionTag{}
			if err := scan(&of.name, &of.number, &tag.Key, &tag.Value); err != nil {
				return err
			}

			add(of, tag)

			return nil
		},
	}
}

// versionsPerQuery keeps the queries of versions' tags small: they look at each name with each number.
const versionsPerQuery = 100

// addTags gives versions their tags; run runs the queries.
func addTags(tx *database.Tx, run func(...database.Selection) error, versions []version) error {
	var queries []database.Selection

	from := "model_version_tags o"
	if tx.Dialect().FoldsKeys() { // a tag may have the name spelled otherwise
		from = "model_versions o JOIN model_version_tags t ON t.workspace = o.workspace AND t.name = o.name " +
			"AND t.version = o.version"
	}

	for piece := range slices.Chunk(versions, versionsPerQuery) {
		place := make(map[versionKey]version, len(piece))
		names := make(map[string]bool, len(piece))
		numbers := make(map[any]bool, len(piece))

		for _, v := range piece {
			place[versionKey{v.GetName(), v.number}] = v
			names[v.GetName()] = true
			numbers[v.number] = true
		}

		named, nameArgs := tx.Dialect().AnyOf("o.name", slices.Collect(maps.Keys(names)))
		args := slices.Concat([]any{tx.Workspace()}, nameArgs, slices.Collect(maps.Keys(numbers)))
		statement := "SELECT o.name, o.version, " + tx.Dialect().Quote(keyColumn) + ", value FROM " + from +
			" WHERE o.workspace = ? AND " + named + " AND o.version IN (" + list(len(numbers)) + ")"

		queries = append(queries, selectVersionTags(statement, args, func(of versionKey, tag *protos.ModelVersionTag) {
			if v, wanted := place[of]; wanted {
				v.Tags = append(v.Tags, tag)
			}
		}))
	}

	if len(queries) == 0 {
		return nil
	}

	return run(queries...)
}

// list is "?, ?" for a number of values.
func list(values int) string { return strings.TrimSuffix(strings.Repeat("?, ", values), ", ") }

// ofModels goes from FROM to the condition that rows of a table belong to some models: it takes their
// workspace, and what the condition of their names, o.name, takes. That is the models' own name, since rows may
// have it spelled otherwise where the database folds keys.
func ofModels(d database.Dialect, table, named string) string {
	from := " FROM " + table + " o"
	if d.FoldsKeys() {
		from = " FROM registered_models o JOIN " + table + " b ON b.workspace = o.workspace AND b.name = o.name"
	}

	return from + " WHERE o.workspace = ? AND " + named
}

// latestVersions is the query of the latest version in each stage of models
// (_get_latest_versions_for_models): of the models' names and the versions, in an order of columns of m
// and l, whose first_version is a stage's lowest. It takes what ofModels does and the workspace again.
func latestVersions(d database.Dialect, named, order string) string {
	return "SELECT l.name, " + versionColumns + " FROM (SELECT o.name, current_stage, MIN(version) AS first_version, " +
		"MAX(version) AS last_version" + ofModels(d, "model_versions", named) + " AND " + notDeleted +
		" GROUP BY o.name, current_stage) l CROSS JOIN model_versions m " +
		"WHERE m.workspace = ? AND m.name = l.name AND m.version = l.last_version ORDER BY " + order
}
