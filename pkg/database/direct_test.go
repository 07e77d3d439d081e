package database_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
)

type named string

// selected reads one row of values into destinations.
func selected(t *testing.T, db *database.DB, query string, dest ...any) error {
	t.Helper()

	return db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.Select(database.Selection{
			Statement: database.Statement{Query: query},
			Row:       func(scan func(...any) error) error { return scan(dest...) },
		})
	})
}

func TestRowsAreScannedAsByDatabaseSQL(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		t.Run("OK", func(t *testing.T) {
			var (
				text, null       *string
				whole            int
				small            *int32
				ratio, fromWhole float64
				bytes            []byte
				own              named
				scanned          sql.NullString
				anything         any
			)

			double := "double precision"
			if db.Dialect().Name() == "mysql" {
				double = "double"
			}

			require.NoError(t, selected(t, db,
				"SELECT 'a', NULL, 7, 8, CAST(0.5 AS "+double+"), CAST(3 AS "+double+"), 'b', 'c', 'd', 'e'",
				&text, &null, &whole, &small, &ratio, &fromWhole, &bytes, &own, &scanned, &anything))
			require.Equal(t, "a", *text)
			require.Nil(t, null)
			require.Equal(t, 7, whole)
			require.Equal(t, int32(8), *small)
			require.InDelta(t, 0.5, ratio, 0)
			require.InDelta(t, 3.0, fromWhole, 0)
			require.Equal(t, []byte("b"), bytes)
			require.Equal(t, named("c"), own)
			require.Equal(t, sql.NullString{String: "d", Valid: true}, scanned)
			require.Contains(t, []any{"e", []byte("e")}, anything, "as the driver gives it")
		})

		t.Run("ErrNull", func(t *testing.T) {
			var text string
			require.Error(t, selected(t, db, "SELECT CAST(NULL AS char(5))", &text))
		})

		t.Run("ErrType", func(t *testing.T) {
			var whole int64
			require.Error(t, selected(t, db, "SELECT CAST('x' AS varchar(5))", &whole))
		})

		t.Run("ErrOverflow", func(t *testing.T) {
			var small int8
			require.Error(t, selected(t, db, "SELECT 300", &small))
		})

		t.Run("ErrColumns", func(t *testing.T) {
			var whole int64
			require.Error(t, selected(t, db, "SELECT 1, 2", &whole))
		})
	})
}
