package database_test

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
)

// BenchmarkWrite is a log-batch of ten metrics, five statements as the tracking store sends them,
// from 16 callers at once. Run it with -benchtime=5s -cpu=2.
func BenchmarkWrite(b *testing.B) {
	for _, source := range databasetest.Sources() {
		b.Run(source.Name, func(b *testing.B) {
			db := databasetest.Open(b, source.URI(b))
			prepareRuns(b, db, 16)
			var callers, steps atomic.Int64
			b.SetParallelism(8) // times GOMAXPROCS=2
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				run := runName(int(callers.Add(1)-1) % 16)
				for pb.Next() {
					step := steps.Add(1)
					if err := db.Write(b.Context(), func(tx *database.Tx) error { return logBatch(tx, run, step) }); err != nil {
						b.Error(err)

						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
		})
	}
}

// BenchmarkRead is one row by its key, as a caller's whole transaction.
func BenchmarkRead(b *testing.B) {
	for _, source := range databasetest.Sources() {
		b.Run(source.Name, func(b *testing.B) {
			db := databasetest.Open(b, source.URI(b))
			prepareRuns(b, db, 16)
			b.SetParallelism(8)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					var status string
					if err := db.Read(b.Context(), func(tx *database.Tx) error {
						return tx.QueryRow("SELECT status FROM runs WHERE run_uuid = ?", runName(3)).Scan(&status)
					}); err != nil {
						b.Error(err)

						return
					}
				}
			})
		})
	}
}

func runName(i int) string { return "run-" + strconv.Itoa(i) }

func prepareRuns(tb testing.TB, db *database.DB, runs int) {
	tb.Helper()
	if err := db.Write(tb.Context(), func(tx *database.Tx) error {
		experiment, err := tx.Insert("experiments", []string{"name", "lifecycle_stage", "workspace"}, "experiment_id",
			"bench", "active", "default")
		if err != nil {
			return err
		}
		for i := range runs {
			if _, err := tx.Exec(tx.Dialect().Insert("runs", []string{"run_uuid", "status", "lifecycle_stage", "experiment_id"}, 1),
				runName(i), "RUNNING", "active", experiment); err != nil {
				return err
			}
		}

		return nil
	}); err != nil {
		tb.Fatal(err)
	}
}

func logBatch(tx *database.Tx, run string, step int64) error {
	const metrics = 10
	var status string
	if err := tx.QueryRow("SELECT status FROM runs WHERE run_uuid = ?", run).Scan(&status); err != nil {
		return err
	}
	columns := []string{"key", "value", "timestamp", "run_uuid", "step", "is_nan"}
	values := make([]any, 0, metrics*len(columns))
	for i := range metrics {
		values = append(values, "metric-"+strconv.Itoa(i), float64(step), step, run, step, false)
	}
	if _, err := tx.Exec(tx.Dialect().InsertIgnore("metrics", columns,
		[]string{"key", "timestamp", "step", "run_uuid", "value", "is_nan"}, metrics), values...); err != nil {
		return err
	}
	if _, err := tx.Exec(tx.Dialect().Upsert(database.Upsert{
		Table: "latest_metrics", Columns: columns, Key: []string{"key", "run_uuid"},
		Update: []string{"value", "timestamp", "step", "is_nan"}, Rows: metrics,
		When: func(stored, given func(string) string) string { return given("step") + " >= " + stored("step") },
	}), values...); err != nil {
		return err
	}
	if _, err := tx.Exec(tx.Dialect().Upsert(database.Upsert{
		Table: "params", Columns: []string{"key", "value", "run_uuid"}, Key: []string{"key", "run_uuid"},
		Update: []string{"value"}, Rows: 1,
	}), "rate", "0.1", run); err != nil {
		return err
	}
	_, err := tx.Exec(tx.Dialect().Upsert(database.Upsert{
		Table: "tags", Columns: []string{"key", "value", "run_uuid"}, Key: []string{"key", "run_uuid"},
		Update: []string{"value"}, Rows: 1,
	}), "step", strconv.FormatInt(step, 10), run)

	return err
}
