package schema_test

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	gormschema "gorm.io/gorm/schema"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/schema"
)

// column is what a struct and a database must agree on.
type column struct {
	Name     string
	Nullable bool
	Class    string // string, integer, float, boolean, date or bytes
	Key      bool
}

func TestTables(t *testing.T) {
	queries := map[string]string{
		"sqlite": `SELECT m.name, c.name, NOT c."notnull", lower(c.type), c.pk > 0
			FROM sqlite_master m JOIN pragma_table_xinfo(m.name) c
			WHERE m.type = 'table' AND m.name <> 'alembic_version' ORDER BY m.name, c.cid`,
		"postgresql": `SELECT c.table_name, c.column_name, c.is_nullable = 'YES', c.data_type, EXISTS (
				SELECT FROM information_schema.table_constraints k JOIN information_schema.key_column_usage u
				USING (constraint_schema, constraint_name) WHERE k.constraint_type = 'PRIMARY KEY'
				AND u.table_schema = c.table_schema AND u.table_name = c.table_name AND u.column_name = c.column_name)
			FROM information_schema.columns c WHERE c.table_schema = 'public' AND c.table_name <> 'alembic_version'
			ORDER BY c.table_name, c.ordinal_position`,
		"mysql": `SELECT table_name, column_name, is_nullable = 'YES', column_type, column_key = 'PRI'
			FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'
			ORDER BY table_name, ordinal_position`,
	}
	classes := map[string]string{
		"varchar": "string", "character varying": "string", "text": "string", "json": "string",
		"bigint": "integer", "integer": "integer", "float": "float", "double precision": "float",
		"boolean": "boolean", "date": "date", "blob": "bytes", "bytea": "bytes",
		"mediumtext": "string", "longtext": "string", "int": "integer", "double": "float", "tinyint(1)": "boolean",
		"longblob": "bytes",
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		stored := map[string][]column{}
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			rows, err := tx.Query(queries[tx.Dialect().Name()])
			if err != nil {
				return err
			}
			defer func() { require.NoError(t, rows.Close()) }()
			for rows.Next() {
				var table, sqlType string
				var c column
				if err := rows.Scan(&table, &c.Name, &c.Nullable, &sqlType, &c.Key); err != nil {
					return err
				}
				if c.Class = classes[sqlType]; c.Class == "" {
					sqlType, _, _ = strings.Cut(sqlType, "(")
					c.Class = classes[sqlType]
				}
				require.NotEmpty(t, c.Class, sqlType)
				stored[table] = append(stored[table], c)
			}

			return rows.Err()
		}))
		declared := map[string][]column{}
		for _, table := range schema.Tables {
			declared[table.TableName()] = columns(t, table)
		}
		if db.Dialect().Name() == "mysql" {
			// MLflow's migration renames the column without saying again that it isn't nullable.
			job := slices.IndexFunc(stored["jobs"], func(c column) bool { return c.Name == "job_name" })
			require.True(t, stored["jobs"][job].Nullable)
			stored["jobs"][job].Nullable = false
		}
		require.Len(t, stored, len(declared))
		for name := range declared {
			require.ElementsMatch(t, stored[name], declared[name], name)
		}
	})
}

// columns reads a struct as gorm does.
func columns(t *testing.T, table any) []column {
	t.Helper()
	parsed, err := gormschema.Parse(table, &sync.Map{}, gormschema.NamingStrategy{})
	require.NoError(t, err)
	found := make([]column, 0, len(parsed.Fields))
	for _, field := range parsed.Fields {
		c := column{Name: field.DBName, Key: field.PrimaryKey}
		fieldType := field.FieldType
		if fieldType.Kind() == reflect.Pointer {
			c.Nullable, fieldType = true, fieldType.Elem()
		}
		require.Zero(t, field.AutoCreateTime, field.DBName)
		require.Zero(t, field.AutoUpdateTime, field.DBName)
		switch fieldType.Kind() { //nolint:exhaustive // the rest is a fault
		case reflect.String:
			c.Class = "string"
		case reflect.Int64:
			c.Class = "integer"
		case reflect.Float64:
			c.Class = "float"
		case reflect.Bool:
			c.Class = "boolean"
		case reflect.Struct:
			c.Class = "date"
		case reflect.Slice:
			c.Class = "bytes"
		default:
			t.Fatalf("%s: %s", field.DBName, fieldType)
		}
		found = append(found, c)
	}

	return found
}

func exec(t *testing.T, db *database.DB, statement string, args ...any) {
	t.Helper()
	require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(statement, args...)

		return err
	}))
}

func TestGorm(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		name := "by gorm"
		experiment := schema.Experiment{Name: name, Workspace: contract.DefaultWorkspace}
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			experiment.ExperimentID = 0

			return tx.Gorm().Create(&experiment).Error
		}))
		require.NotZero(t, experiment.ExperimentID)
		var found schema.Experiment
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			return tx.Gorm().Where("name = ?", name).Take(&found).Error
		}))
		require.Equal(t, experiment, found)
	})
}

func TestCheck(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			require.NoError(t, schema.Check(t.Context(), db))
		})
	})
	t.Run("ErrUninitialized", func(t *testing.T) {
		for _, source := range databasetest.Sources() {
			t.Run(source.Name, func(t *testing.T) {
				db := databasetest.Open(t, source.Empty(t))
				require.ErrorIs(t, schema.Check(t.Context(), db), schema.ErrUninitialized)
			})
		}
	})
	t.Run("ErrUninitialized/TableMissing", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			exec(t, db, "DROP TABLE scheduler_leases")
			require.ErrorIs(t, schema.Check(t.Context(), db), schema.ErrUninitialized)
		})
	})
	t.Run("ErrOutOfDate", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			for _, revision := range []string{"451aebb31d03", "75868b020152"} {
				exec(t, db, "UPDATE alembic_version SET version_num = ?", revision)
				requireOutOfDate(t, schema.Check(t.Context(), db), revision)
			}
			exec(t, db, "DELETE FROM alembic_version")
			requireOutOfDate(t, schema.Check(t.Context(), db), "None")
			exec(t, db, "DROP TABLE alembic_version")
			requireOutOfDate(t, schema.Check(t.Context(), db), "None")
		})
	})
	t.Run("ErrUnknownRevision", func(t *testing.T) {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			exec(t, db, "UPDATE alembic_version SET version_num = ?", "ffffffffffff")
			require.ErrorIs(t, schema.Check(t.Context(), db), schema.ErrUnknownRevision)
		})
	})
}

func requireOutOfDate(t *testing.T, err error, revision string) {
	t.Helper()
	var found *contract.Error
	require.ErrorAs(t, err, &found)
	require.Equal(t, protos.ErrorCode_INTERNAL_ERROR, found.Code)
	require.Equal(t, "Detected out-of-date database schema (found version "+revision+", but expected dc11669786a5). "+
		"Take a backup of your database, then run 'mlflow db upgrade <database_uri>' to migrate your database to the "+
		"latest schema. NOTE: schema migration may result in database downtime - please consult your database's "+
		"documentation for more detail.", found.Message)
}

func TestCheckRegistry(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		exec(t, db, "INSERT INTO registered_models (name, workspace) VALUES (?, ?)", "mine", contract.DefaultWorkspace)
		require.NoError(t, schema.CheckRegistry(t.Context(), db))

		exec(t, db, "INSERT INTO webhooks (webhook_id, name, url, status, workspace, creation_timestamp, "+
			"last_updated_timestamp) VALUES (?, ?, ?, ?, ?, ?, ?)", "w-1", "hook", "https://example.com", "ACTIVE", "team", 1, 1)
		var found *contract.Error
		require.ErrorAs(t, schema.CheckRegistry(t.Context(), db), &found)
		require.Equal(t, protos.ErrorCode_INVALID_STATE, found.Code)
		require.Equal(t, "Cannot disable workspaces because webhooks exist outside the default workspace (for example, "+
			"webhook 'w-1' in workspace 'team'). Either remove those webhooks or re-enable workspaces before starting.",
			found.Message)

		exec(t, db, "INSERT INTO registered_models (name, workspace) VALUES (?, ?)", "theirs", "team")
		require.ErrorAs(t, schema.CheckRegistry(t.Context(), db), &found)
		require.Equal(t, "Cannot disable workspaces because registered models exist outside the default workspace (for "+
			"example, model 'theirs' in workspace 'team'). Either remove those models or re-enable workspaces before "+
			"starting.", found.Message)
	})
}
