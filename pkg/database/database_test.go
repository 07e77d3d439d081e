package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
)

func TestWrite(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		t.Run("OK", func(t *testing.T) {
			var id int64
			committed := false
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
				var err error
				id, err = tx.Insert("experiments", []string{"name", "lifecycle_stage", "workspace"}, "experiment_id",
					"first", "active", "default")
				tx.AfterCommit(func() { committed = true })

				return err
			}))
			require.True(t, committed)
			var name string
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				if err := tx.Gorm().Raw("SELECT name FROM experiments WHERE experiment_id = ?", id).Row().Scan(&name); err != nil {
					return err
				}
				require.Equal(t, "first", name)

				return tx.QueryRow("SELECT name FROM experiments WHERE experiment_id = ?", id).Scan(&name)
			}))
			require.Equal(t, "first", name)
		})
	})
}
