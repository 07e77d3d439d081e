//go:build unix

package tracking_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// What the reading benchmarks find in experiment 0.
const (
	seededRuns   = 10_000
	seededPoints = 1000
	seededValues = 5 // metrics and params of each run, beside three tags
	historyRun   = "00000000000000000000000000000000"

	largeRuns   = 16 // in an experiment of their own
	largeValues = 20

	seededExperiments = 120
)

// seed fills experiment 0 as an experiment of medium size: runs started one after the other, and
// one of them with a metric of many points. Experiment 1 has the runs of more metrics and params.
func seed(b *testing.B, db *database.DB) {
	b.Helper()
	require.NoError(b, db.Write(b.Context(), func(tx *database.Tx) error {
		experiments := make([][]any, 0, seededExperiments)
		runs := make([][]any, 0, seededRuns)
		metrics := make([][]any, 0, seededRuns*seededValues)
		params := make([][]any, 0, seededRuns*seededValues)
		tags := make([][]any, 0, seededRuns*3)
		points := make([][]any, 0, seededPoints)

		for i := 1; i <= seededExperiments; i++ {
			name := "experiment-" + strconv.Itoa(i)
			experiments = append(experiments, []any{i, name, "mlflow-artifacts:/" + name, "active", i, i})
		}

		for i := range seededRuns + largeRuns {
			id, experiment, values := seededRun(i), 0, seededValues
			if i >= seededRuns {
				id, experiment, values = largeRun(i-seededRuns), 1, largeValues
			}

			runs = append(runs, []any{
				id, "run-" + strconv.Itoa(i), "me", "FINISHED", 1_700_000_000_000 + int64(i)*1000, "active",
				"mlflow-artifacts:/0/" + id + "/artifacts", experiment,
			})

			for k := range values {
				key := strconv.Itoa(k + 1)
				metrics = append(metrics, []any{"m" + key, float64((i*7919)%1000) / 1000, 1_700_000_000_000, 0, false, id})
				params = append(params, []any{"p" + key, []string{"x", "y", "z", "w"}[i%4], id})
			}

			for _, key := range []string{"mlflow.user", "mlflow.source.name", "mlflow.source.type"} {
				tags = append(tags, []any{key, "train.py", id})
			}
		}

		for i := range seededPoints {
			points = append(points, []any{"loss", 1 / float64(i+1), 1_700_000_000_000 + int64(i), i, false, historyRun})
		}

		for _, fill := range []struct {
			table   string
			columns []string
			rows    [][]any
		}{
			{"experiments", []string{
				"experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time",
			}, experiments},
			{"runs", []string{
				"run_uuid", "name", "user_id", "status", "start_time", "lifecycle_stage", "artifact_uri", "experiment_id",
			}, runs},
			{"latest_metrics", []string{"key", "value", "timestamp", "step", "is_nan", "run_uuid"}, metrics},
			{"metrics", []string{"key", "value", "timestamp", "step", "is_nan", "run_uuid"}, points},
			{"params", []string{"key", "value", "run_uuid"}, params},
			{"tags", []string{"key", "value", "run_uuid"}, tags},
		} {
			for len(fill.rows) > 0 {
				piece := fill.rows[:min(1000, len(fill.rows))]
				fill.rows = fill.rows[len(piece):]

				var args []any
				for _, row := range piece {
					args = append(args, row...)
				}

				if _, err := tx.Exec(tx.Dialect().Insert(fill.table, fill.columns, len(piece)), args...); err != nil {
					return err
				}
			}
		}

		return nil
	}))
}

func seededRun(i int) string {
	id := strconv.Itoa(i * 7919 % seededRuns)

	return historyRun[:len(historyRun)-len(id)] + id
}

func largeRun(i int) string {
	return strings.Repeat("f", len(historyRun)-1) + strconv.FormatInt(int64(i), largeRuns)
}

func BenchmarkSearchRuns(b *testing.B) {
	benchmarkOn(b, seed, func(store *tracking.Store, _ string, _ int64) error {
		found, err := store.SearchRuns(b.Context(), &protos.SearchRuns{
			ExperimentIds: []string{"0"}, MaxResults: new(int32(100)), OrderBy: []string{"attributes.start_time DESC"},
		})
		require.Len(b, found.GetRuns(), 100)

		return err
	})
}

func BenchmarkSearchRunsFilter(b *testing.B) {
	benchmarkOn(b, seed, func(store *tracking.Store, _ string, _ int64) error {
		found, err := store.SearchRuns(b.Context(), &protos.SearchRuns{
			ExperimentIds: []string{"0"}, MaxResults: new(int32(100)),
			Filter: new("metrics.m1 > 0.5 and params.p1 = 'x'"),
		})
		require.Len(b, found.GetRuns(), 100)

		return err
	})
}

func BenchmarkGetMetricHistory(b *testing.B) {
	benchmarkOn(b, seed, func(store *tracking.Store, _ string, _ int64) error {
		found, err := store.GetMetricHistory(b.Context(), &protos.GetMetricHistory{
			RunId: new(historyRun), MetricKey: new("loss"),
		})
		require.Len(b, found.GetMetrics(), seededPoints)

		return err
	})
}

func BenchmarkSearchExperiments(b *testing.B) {
	benchmarkOn(b, seed, func(store *tracking.Store, _ string, _ int64) error {
		found, err := store.SearchExperiments(b.Context(), &protos.SearchExperiments{MaxResults: new(int64(100))})
		require.Len(b, found.GetExperiments(), 100)

		return err
	})
}

func BenchmarkGetSeededRun(b *testing.B) {
	benchmarkOn(b, seed, func(store *tracking.Store, _ string, n int64) error {
		_, err := store.GetRun(b.Context(), &protos.GetRun{RunId: new(largeRun(int(n % largeRuns)))})

		return err
	})
}

func BenchmarkLogBatch500(b *testing.B) {
	benchmark(b, func(store *tracking.Store, runID string, n int64) error {
		_, err := store.LogBatch(b.Context(), &protos.LogBatch{RunId: new(runID), Metrics: batchOfMetrics(50, 10, n)})

		return err
	})
}

// batchOfMetrics has some steps of some metrics, later ones for a higher n.
func batchOfMetrics(keys, steps int, n int64) []*protos.Metric {
	metrics := make([]*protos.Metric, 0, keys*steps)

	for s := range steps {
		step := n*int64(steps) + int64(s)
		for k := range keys {
			metrics = append(metrics, &protos.Metric{
				Key: new("metric_" + strconv.Itoa(k)), Value: new(float64(k+1) / float64(step+1)),
				Timestamp: new(1_700_000_000_000 + step), Step: new(step),
			})
		}
	}

	return metrics
}

func BenchmarkLogParams100(b *testing.B) {
	benchmark(b, func(store *tracking.Store, _ string, n int64) error {
		created, err := store.CreateRun(b.Context(), &protos.CreateRun{ExperimentId: new("0"), StartTime: new(n)})
		if err != nil {
			return err
		}

		request := &protos.LogBatch{RunId: new(created.GetRun().GetInfo().GetRunId())}
		for i := range 100 {
			request.Params = append(request.Params, &protos.Param{
				Key: new("param_" + strconv.Itoa(i)), Value: new("value " + strconv.Itoa(i)),
			})
		}

		_, err = store.LogBatch(b.Context(), request)

		return err
	})
}
