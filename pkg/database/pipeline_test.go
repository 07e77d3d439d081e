package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
)

const selectNames = "SELECT name FROM experiments ORDER BY name"

// collected is a query that appends its one column of text to found.
func collected(found *[]string, query string, args ...any) database.Selection {
	return database.Selection{
		Statement: database.Statement{Query: query, Args: args},
		Row: func(scan func(...any) error) error {
			var text string
			err := scan(&text)
			*found = append(*found, text)

			return err
		},
	}
}

func addLater(tx *database.Tx, name string) error {
	return tx.Later(tx.Dialect().Insert("experiments", []string{"name", "lifecycle_stage", "workspace"}, 1),
		name, "active", "default")
}

func TestSelect(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			return addExperiment(tx, "a")
		}))
		t.Run("OK", func(t *testing.T) {
			var found []string
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				found = nil

				return tx.Select(collected(&found, "SELECT 'first'"), collected(&found, selectNames),
					collected(&found, "SELECT name FROM experiments WHERE name = ?", "none"))
			}))
			require.Equal(t, []string{"first", "a"}, found)
		})
		t.Run("OK/SelectLast", func(t *testing.T) {
			var found []string
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				found = nil
				if err := tx.Select(collected(&found, selectNames)); err != nil {
					return err
				}

				return tx.SelectLast(collected(&found, selectNames))
			}))
			require.Equal(t, []string{"a", "a"}, found)
		})
		t.Run("ErrOfRow", func(t *testing.T) {
			require.ErrorIs(t, db.Read(t.Context(), func(tx *database.Tx) error {
				return tx.Select(database.Selection{
					Statement: database.Statement{Query: selectNames},
					Row:       func(func(...any) error) error { return errRefused },
				})
			}), errRefused)
		})
		t.Run("ErrOfStatement", func(t *testing.T) {
			var found []string
			require.ErrorContains(t, db.Read(t.Context(), func(tx *database.Tx) error {
				return tx.SelectLast(collected(&found, selectNames), collected(&found, "SELECT nothing"))
			}), "nothing")
		})
		t.Run("ErrEnded", func(t *testing.T) {
			var found []string
			require.ErrorIs(t, db.Read(t.Context(), func(tx *database.Tx) error {
				if err := tx.SelectLast(collected(&found, selectNames)); err != nil {
					return err
				}

				return tx.Select(collected(&found, selectNames))
			}), database.ErrEnded)
		})
	})
}

func TestLater(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		t.Run("OK/SeenByWhatFollows", func(t *testing.T) {
			var selected, queried []string
			var one string
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
				selected, queried = nil, nil
				if err := addLater(tx, "a"); err != nil {
					return err
				}
				if err := tx.Select(collected(&selected, selectNames)); err != nil {
					return err
				}
				if err := addLater(tx, "b"); err != nil {
					return err
				}
				if err := tx.QueryRow("SELECT name FROM experiments WHERE name = ?", "b").Scan(&one); err != nil {
					return err
				}
				if err := addLater(tx, "c"); err != nil {
					return err
				}

				return tx.Gorm().Raw(selectNames).Scan(&queried).Error
			}))
			require.Equal(t, []string{"a"}, selected)
			require.Equal(t, "b", one)
			require.Equal(t, []string{"a", "b", "c"}, queried)
		})
		t.Run("OK/WithTheCommit", func(t *testing.T) {
			before := countExperiments(t, db)
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addLater(tx, "d") }))
			require.Equal(t, before+1, countExperiments(t, db))
		})
		t.Run("OK/InASavepoint", func(t *testing.T) {
			before := countExperiments(t, db)
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
				if err := addLater(tx, "outside"); err != nil {
					return err
				}
				err := tx.Savepoint(func() error { return addLater(tx, "a") })
				require.True(t, database.IsUniqueViolation(err), err)

				return addLater(tx, "after")
			}))
			require.Equal(t, before+2, countExperiments(t, db))
		})
		t.Run("ErrOfTheCommit", func(t *testing.T) {
			before := countExperiments(t, db)
			err := db.Write(t.Context(), func(tx *database.Tx) error {
				if err := addLater(tx, "new"); err != nil {
					return err
				}

				return addLater(tx, "a")
			})
			require.True(t, database.IsUniqueViolation(err), err)
			require.Equal(t, before, countExperiments(t, db))
		})
		t.Run("ErrBeforeAQuery", func(t *testing.T) {
			before := countExperiments(t, db)
			err := db.Write(t.Context(), func(tx *database.Tx) error {
				if err := addLater(tx, "a"); err != nil {
					return err
				}
				var one string

				return tx.QueryRow(selectNames).Scan(&one)
			})
			require.True(t, database.IsUniqueViolation(err), err)
			require.Equal(t, before, countExperiments(t, db))
		})
	})
}

// TestFirstStatementFails is about a failure that keeps BEGIN from being sent: what follows must
// not run outside a transaction.
func TestFirstStatementFails(t *testing.T) {
	db := databasetest.Open(t, databasetest.PostgreSQL(t))
	require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, "a") }))
	require.ErrorIs(t, db.Write(t.Context(), func(tx *database.Tx) error {
		_, _ = tx.Exec("SELECT nothing")
		_, err := tx.Exec("DELETE FROM experiments")

		return err
	}), database.ErrRolledBack)
	require.Equal(t, 1, countExperiments(t, db))
}
