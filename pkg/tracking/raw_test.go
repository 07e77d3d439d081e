//go:build unix

package tracking_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// The raw benchmarks send what the store's operations send, in the best grouping, and make nothing
// of it: no checks, no messages, and values that are read are dropped. They are the limits that the
// store's benchmarks of the same names are measured against.

// rawGroup is how many writes share a transaction: as many as callers wait at a time.
const rawGroup = 16

// benchmarkDB is benchmarkOn without the store.
func benchmarkDB(
	b *testing.B, fill func(*testing.B, *database.DB), call func(db *database.DB, runID string, n int64) error,
) {
	b.Helper()

	var db *database.DB

	benchmarkOn(b, func(b *testing.B, opened *database.DB) {
		b.Helper()

		db = opened
		fill(b, db)
	}, func(_ *tracking.Store, runID string, n int64) error { return call(db, runID, n) })
}

// benchmarkRawWrite measures writes in groups of one transaction each. Those of a group are to as many
// runs, since callers wait for an answer before they write again. SQLite, which has one writer, gets one group
// at a time: groups that come at once would share a commit, more of them than so many callers can have waiting.
func benchmarkRawWrite(b *testing.B, write func(tx *database.Tx, runID string, n int64) error) {
	b.Helper()

	var (
		mu, turn sync.Mutex
		runs     []string
	)

	benchmarkDB(b, func(*testing.B, *database.DB) { runs = nil }, func(db *database.DB, runID string, n int64) error {
		mu.Lock()
		if !slices.Contains(runs, runID) {
			runs = append(runs, runID)
		}
		mine := runs
		mu.Unlock()

		if n%rawGroup != 0 {
			return nil
		}

		if db.Dialect().Name() == (database.SQLite{}).Name() {
			turn.Lock()
			defer turn.Unlock()
		}

		return db.Write(b.Context(), func(tx *database.Tx) error {
			for i := range int64(rawGroup) {
				if err := write(tx, mine[i%int64(len(mine))], n-i); err != nil {
					return err
				}
			}

			return nil
		})
	})
}

// dropped is a destination for what nobody wants.
type dropped struct{}

func (dropped) Scan(any) error { return nil }

// raw is a query whose rows have so many columns, which are read and dropped.
func raw(columns int, query string, args ...any) database.Selection {
	values := make([]any, columns)
	for i := range values {
		values[i] = dropped{}
	}

	return database.Selection{
		Statement: database.Statement{Query: query, Args: args},
		Row:       func(scan func(...any) error) error { return scan(values...) },
	}
}

func rawCheckRun(tx *database.Tx, runID string) error {
	return tx.Select(raw(2, "SELECT lifecycle_stage, experiment_id FROM runs WHERE run_uuid = ?", runID))
}

func rawLogMetrics(tx *database.Tx, runID string, keys, steps int, n int64) error {
	if err := rawCheckRun(tx, runID); err != nil {
		return err
	}

	columns := []string{"key", "value", "timestamp", "step", "is_nan", "run_uuid"}

	var args []any
	for _, m := range batchOfMetrics(keys, steps, n) {
		args = append(args, m.GetKey(), m.GetValue(), m.GetTimestamp(), m.GetStep(), false, runID)
	}

	if err := tx.Later(tx.Dialect().InsertIgnore("metrics", columns,
		[]string{"key", "timestamp", "step", "run_uuid", "value", "is_nan"}, keys*steps), args...); err != nil {
		return err
	}

	return tx.Later(tx.Dialect().Upsert(database.Upsert{
		Table: "latest_metrics", Columns: columns, Key: []string{"key", "run_uuid"},
		Update: []string{"value", "timestamp", "step", "is_nan"}, Rows: keys,
		When: func(old, given func(string) string) string { return given("step") + " > " + old("step") },
	}), args[len(args)-keys*len(columns):]...)
}

func BenchmarkRawLogMetric(b *testing.B) {
	benchmarkRawWrite(b, func(tx *database.Tx, runID string, n int64) error { return rawLogMetrics(tx, runID, 1, 1, n) })
}

func BenchmarkRawLogBatch(b *testing.B) {
	benchmarkRawWrite(b, func(tx *database.Tx, runID string, n int64) error { return rawLogMetrics(tx, runID, 10, 1, n) })
}

func BenchmarkRawLogBatch500(b *testing.B) {
	benchmarkRawWrite(b, func(tx *database.Tx, runID string, n int64) error { return rawLogMetrics(tx, runID, 50, 10, n) })
}

func rawCreateRun(tx *database.Tx, n int64) (id string, err error) {
	id = strings.ReplaceAll(uuid.NewString(), "-", "")

	if err := tx.Select(raw(2, "SELECT lifecycle_stage, artifact_location FROM experiments WHERE experiment_id = ?", 0)); err != nil {
		return "", err
	}

	if err := tx.Later(tx.Dialect().Insert("runs", []string{
		"run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
		"end_time", "deleted_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id",
	}, 1), id, "bold-bird-1", "UNKNOWN", "", "", "me", "RUNNING", n, nil, nil, "", "active",
		"mlflow-artifacts:/0/"+id+"/artifacts", 0); err != nil {
		return "", err
	}

	return id, tx.Later(tx.Dialect().Insert("tags", []string{"key", "value", "run_uuid"}, 2),
		"mlflow.user", "me", id, "mlflow.runName", "bold-bird-1", id)
}

func BenchmarkRawCreateRun(b *testing.B) {
	benchmarkRawWrite(b, func(tx *database.Tx, _ string, n int64) error {
		_, err := rawCreateRun(tx, n)

		return err
	})
}

func BenchmarkRawLogParams100(b *testing.B) {
	benchmarkRawWrite(b, func(tx *database.Tx, _ string, n int64) error {
		id, err := rawCreateRun(tx, n)
		if err != nil {
			return err
		}

		if err := rawCheckRun(tx, id); err != nil {
			return err
		}

		var args []any
		for i := range 100 {
			args = append(args, "param_"+strconv.Itoa(i), "value "+strconv.Itoa(i), id)
		}

		return tx.Later(tx.Dialect().InsertIgnore("params", []string{"key", "value", "run_uuid"},
			[]string{"key", "run_uuid"}, 100), args...)
	})
}

// rawRuns are the statements that read all that a search or get_run shows of some runs.
func rawRuns(tx *database.Tx, ids []any) []database.Selection {
	in, key := " IN (?"+strings.Repeat(", ?", len(ids)-1)+")", tx.Dialect().Quote("key")
	owned := func(columns int, owner, names, from string) database.Selection {
		if len(ids) > 1 {
			columns, names = columns+1, owner+", "+names
		}

		return raw(columns, "SELECT "+names+" "+from+" "+owner+in, ids...)
	}

	return []database.Selection{
		raw(9, "SELECT run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id "+
			"FROM runs WHERE run_uuid"+in, ids...),
		owned(5, "run_uuid", key+", value, timestamp, step, is_nan", "FROM latest_metrics WHERE"),
		owned(2, "run_uuid", key+", value", "FROM params WHERE"),
		owned(2, "run_uuid", key+", value", "FROM tags WHERE"),
		owned(1, "i.destination_id", "d.name", "FROM inputs i JOIN datasets d ON i.source_id = d.dataset_uuid "+
			"WHERE i.destination_type = 'RUN' AND"),
		owned(2, "source_id", "destination_id, step", "FROM inputs WHERE source_type = 'RUN_OUTPUT' "+
			"AND destination_type = 'MODEL_OUTPUT' AND"),
	}
}

// benchmarkRawSearch measures a search; KEY in the joins is the column.
func benchmarkRawSearch(b *testing.B, joins string) {
	b.Helper()
	benchmarkDB(b, seed, func(db *database.DB, _ string, _ int64) error {
		statement := "SELECT r.run_uuid FROM runs r" + strings.ReplaceAll(joins, "KEY", db.Dialect().Quote("key")) +
			" WHERE r.experiment_id IN (0) AND r.lifecycle_stage = 'active' ORDER BY r.start_time DESC, r.run_uuid LIMIT 101"

		return db.Read(b.Context(), func(tx *database.Tx) error {
			var ids []any

			if err := tx.Select(database.Selection{
				Statement: database.Statement{Query: statement},
				Row: func(scan func(...any) error) error {
					var id string

					err := scan(&id)
					ids = append(ids, id)

					return err
				},
			}); err != nil {
				return err
			}

			return tx.SelectLast(rawRuns(tx, ids[:100])...)
		})
	})
}

func BenchmarkRawSearchRuns(b *testing.B) { benchmarkRawSearch(b, "") }

func BenchmarkRawSearchRunsFilter(b *testing.B) {
	benchmarkRawSearch(b, " JOIN latest_metrics m ON m.run_uuid = r.run_uuid AND m.KEY = 'm1' AND m.value > 0.5"+
		" JOIN params p ON p.run_uuid = r.run_uuid AND p.KEY = 'p1' AND p.value = 'x'")
}

func BenchmarkRawGetMetricHistory(b *testing.B) {
	benchmarkDB(b, seed, func(db *database.DB, _ string, _ int64) error {
		return db.Read(b.Context(), func(tx *database.Tx) error {
			key := tx.Dialect().Quote("key")

			return tx.SelectLast(raw(4, "SELECT value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? AND "+
				key+" = ?", historyRun, "loss"))
		})
	})
}

func BenchmarkRawGetSeededRun(b *testing.B) {
	benchmarkDB(b, seed, func(db *database.DB, _ string, n int64) error {
		return db.Read(b.Context(), func(tx *database.Tx) error {
			return tx.SelectLast(rawRuns(tx, []any{largeRun(int(n % largeRuns))})...)
		})
	})
}

func BenchmarkRawSearchExperiments(b *testing.B) {
	benchmarkDB(b, seed, func(db *database.DB, _ string, _ int64) error {
		return db.Read(b.Context(), func(tx *database.Tx) error {
			var ids []any

			if err := tx.Select(database.Selection{
				Statement: database.Statement{Query: "SELECT experiment_id, name, artifact_location, lifecycle_stage, " +
					"creation_time, last_update_time, workspace FROM experiments WHERE lifecycle_stage = 'active' " +
					"ORDER BY last_update_time DESC, experiment_id LIMIT 101"},
				Row: func(scan func(...any) error) error {
					var id int64

					d := dropped{}
					err := scan(&id, d, d, d, d, d, d)
					ids = append(ids, id)

					return err
				},
			}); err != nil {
				return err
			}

			return tx.SelectLast(raw(3, "SELECT experiment_id, "+tx.Dialect().Quote("key")+", value FROM experiment_tags "+
				"WHERE experiment_id IN (?"+strings.Repeat(", ?", len(ids)-1)+")", ids...))
		})
	})
}
