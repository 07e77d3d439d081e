package registry

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// fill adds models with versions of their own behind the store's back; prompts have the tag.
func fill(t *testing.T, db *database.DB, name string, models, versions int, isPrompt bool) {
	t.Helper()

	require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
		var modelTags, versionTags [][]any

		modelRows := make([][]any, 0, models)
		versionRows := make([][]any, 0, models*versions)

		for i := range models {
			name := name + " " + strconv.Itoa(i)
			modelRows = append(modelRows, []any{contract.DefaultWorkspace, name, 1, 1})

			if isPrompt {
				modelTags = append(modelTags, []any{contract.DefaultWorkspace, name, PromptTag, "true"})
			}

			for version := range versions {
				versionRows = append(versionRows, []any{contract.DefaultWorkspace, name, version + 1, i, version, "None", "READY"})
				versionTags = append(versionTags, []any{contract.DefaultWorkspace, name, version + 1, "t", "v"})

				if isPrompt {
					versionTags = append(versionTags, []any{contract.DefaultWorkspace, name, version + 1, PromptTag, "true"})
				}
			}
		}

		for _, table := range []struct {
			name    string
			columns []string
			rows    [][]any
		}{
			{"registered_models", []string{"workspace", "name", "creation_time", "last_updated_time"}, modelRows},
			{"model_versions", []string{
				"workspace", "name", "version", "creation_time", "last_updated_time", "current_stage", "status",
			}, versionRows},
			{"registered_model_tags", modelTagColumns, modelTags},
			{"model_version_tags", versionTagColumns, versionTags},
		} {
			if _, err := database.ExecRows(tx, database.InsertRows(table.name, table.columns), table.rows); err != nil {
				return err
			}
		}

		return nil
	}))
}

// explain gives the plan of a query that follows what planned selects.
func explain(
	t *testing.T, db *database.DB, planned func(*database.Tx) []database.Selection, query string, args ...any,
) string {
	t.Helper()

	prefix := map[string]string{"sqlite": "EXPLAIN QUERY PLAN ", "postgresql": "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) "}
	lines, err := database.Read(t.Context(), db, func(tx *database.Tx) ([]string, error) {
		if err := tx.Select(planned(tx)...); err != nil {
			return nil, err
		}

		return database.Query(tx, func(scan func(...any) error) (line string, err error) {
			if db.Dialect().Name() == "sqlite" {
				var id, parent, unused int

				err = scan(&id, &parent, &unused, &line)
			} else {
				err = scan(&line)
			}

			return line, err
		}, prefix[db.Dialect().Name()]+query, args...)
	})
	require.NoError(t, err)

	return strings.Join(lines, "\n")
}

// TestPromptsCostNothing holds that searches which don't ask for prompts look at none of their
// versions: they find by index that models are none, whatever prompts there are.
func TestPromptsCostNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		fill(t, db, "prompt", 10, 2000, true)
		fill(t, db, "model", 100, 5, false)

		if db.Dialect().Name() == "postgresql" { // its plans depend on what it knows of the tables
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
				_, err := tx.Exec("ANALYZE")

				return err
			}))
		}

		for _, filter := range []string{"", "name = 'model 1'", "name LIKE 'model%'", "tags.t = 'v'"} {
			wanted, err := search.ModelVersions.Parse(filter, nil, "")
			require.NoError(t, err)

			statement, args := New(db, nil).searchVersions(contract.DefaultWorkspace, wanted, 101)
			plan := explain(t, db, plannedJoins, statement, args...)

			require.NotRegexp(t, `SCAN|Seq Scan on model_version`, plan, filter)
			require.Regexp(t, `SEARCH p USING INDEX \S+ \(workspace=\? AND key=\? AND name=\?\)|`+
				`Index (Only )?Scan using \S+ on model_version_tags p`, plan, filter)
		}
	}, "sqlite", "postgresql")
}

// TestModelsAreLookedUp holds that a page of models reads nothing of other models' versions, nor the tags of all
// models for each of them.
func TestModelsAreLookedUp(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		fill(t, db, "model", 100, 3, false)
		fill(t, db, "busy", 1, 5000, false)

		wanted, err := search.RegisteredModels.Parse("name LIKE 'model%'", nil, "")
		require.NoError(t, err)

		store := New(db, nil)
		statement, args := store.searchModels(contract.DefaultWorkspace, wanted, 101)

		names := make([]string, 100)
		for i := range names {
			names[i] = "model " + strconv.Itoa(i)
		}

		named, latestArgs := db.Dialect().AnyOf("o.name", names)
		latestArgs = slices.Concat([]any{contract.DefaultWorkspace}, latestArgs, []any{contract.DefaultWorkspace})
		latest := latestVersions(db.Dialect(), named, "m.name, m.current_stage")

		for _, analyzed := range []bool{false, true} {
			if analyzed {
				require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
					_, err := tx.Exec("ANALYZE")

					return err
				}))
			}

			require.NotContains(t, explain(t, db, plannedLookUps, statement, args...), "Seq Scan")
			require.NotContains(t, explain(t, db, plannedLookUps, latest, latestArgs...), "Seq Scan")
		}
	}, "postgresql")
}

// TestSearchGathersStatistics has a search find a registry that PostgreSQL knows nothing of.
func TestSearchGathersStatistics(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		known := func() (rows float64) {
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				return tx.QueryRow("SELECT reltuples FROM pg_class WHERE oid = 'model_versions'::regclass").Scan(&rows)
			}))

			return rows
		}
		// Or PostgreSQL might be first; and it may have been asked when there was nothing to know.
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			for _, table := range []string{"registered_models", "model_versions"} {
				if _, err := tx.Exec("ALTER TABLE " + table + " SET (autovacuum_enabled = false)"); err != nil {
					return err
				}
			}

			_, err := tx.Exec("ANALYZE model_versions")

			return err
		}))
		fill(t, db, "model", 10, 5, false)
		require.Zero(t, known())

		_, err := New(db, nil).SearchModelVersions(t.Context(), &protos.SearchModelVersions{MaxResults: new(int64(1))})
		require.NoError(t, err)
		require.Eventually(t, func() bool { return known() == 50 }, time.Minute, time.Millisecond)
	}, "postgresql")
}

// counter counts the queries of tables that a database logs.
type counter struct {
	slog.Handler

	queries atomic.Int64
}

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }

func (c *counter) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attribute slog.Attr) bool {
		text := attribute.Value.String()
		if strings.HasPrefix(text, "SELECT") && !strings.Contains(text, "set_config") {
			c.queries.Add(1)
		}

		return true
	})

	return nil
}

// TestSearchesTakeAFixedNumberOfQueries holds that what belongs to what was found isn't read one by
// one.
func TestSearchesTakeAFixedNumberOfQueries(t *testing.T) {
	for _, source := range databasetest.Sources() {
		t.Run(source.Name, func(t *testing.T) {
			counted := &counter{Handler: slog.DiscardHandler}

			db, err := database.Open(t.Context(), source.URI(t), database.Options{Echo: true, Logger: slog.New(counted)})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })

			store := New(db, nil)

			fill(t, db, "model", 100, 3, false)

			for i := range 100 {
				name := "model " + strconv.Itoa(i)
				_, err := store.SetRegisteredModelTag(t.Context(), &protos.SetRegisteredModelTag{Name: &name, Key: new("k")})
				require.NoError(t, err)
				_, err = store.SetRegisteredModelAlias(t.Context(),
					&protos.SetRegisteredModelAlias{Name: &name, Alias: new("a"), Version: new("2")})
				require.NoError(t, err)
			}

			for _, size := range []int64{1, 100} {
				counted.queries.Store(0)

				models, err := store.SearchRegisteredModels(t.Context(), &protos.SearchRegisteredModels{MaxResults: new(size)})
				require.NoError(t, err)
				require.Len(t, models.GetRegisteredModels(), int(size))

				for _, found := range models.GetRegisteredModels() {
					require.Len(t, found.GetTags(), 1)
					require.Len(t, found.GetAliases(), 1)
					require.Len(t, found.GetLatestVersions(), 1)
					require.Len(t, found.GetLatestVersions()[0].GetTags(), 1)
				}

				require.Equal(t, int64(5), counted.queries.Load(), "%d models", size)
				counted.queries.Store(0)

				versions, err := store.SearchModelVersions(t.Context(), &protos.SearchModelVersions{MaxResults: new(size)})
				require.NoError(t, err)
				require.Len(t, versions.GetModelVersions(), int(size))
				require.Len(t, versions.GetModelVersions()[0].GetTags(), 1)
				require.Equal(t, int64(2), counted.queries.Load(), "%d versions", size)
			}

			for _, size := range []int{1, 64} {
				counted.queries.Store(0)

				keys := make([]aliasKey, size)
				for i := range keys {
					keys[i] = aliasKey{"model " + strconv.Itoa(i), "a"}
				}

				versions, err := store.loadAliased(t.Context(), keys)
				require.NoError(t, err)

				for i, found := range versions {
					require.Equal(t, keys[i].model, found.GetName())
					require.Equal(t, "2", found.GetVersion())
					require.Equal(t, []string{"a"}, found.GetAliases())
					require.Len(t, found.GetTags(), 1)
				}

				require.Equal(t, int64(3), counted.queries.Load(), "%d aliases", size)
			}
		})
	}
}
