package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
)

// The log is copied into the file beside the writes, and begins anew though they never pause.
func TestLogBeginsAnew(t *testing.T) {
	db := databasetest.Open(t, databasetest.SQLite(t))
	run := func(statement string) {
		require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
			_, err := tx.Exec(statement)

			return err
		}))
	}
	length := func() (pages int) {
		require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
			var busy, copied int

			return tx.QueryRow("PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &pages, &copied)
		}))

		return pages
	}
	const enough = 30_000

	run("PRAGMA wal_autocheckpoint = 0") // SQLite is to leave the log alone
	run("CREATE TABLE contents (content)")

	for last := range enough {
		run("INSERT INTO contents VALUES (zeroblob(4096))")

		if last%100 == 99 && length() < last {
			return
		}
	}

	t.Fatalf("the log has %d pages", length())
}
