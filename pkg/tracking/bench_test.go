//go:build unix

package tracking_test

import (
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// benchmark measures calls of 16 clients, each with a run of its own.
func benchmark(b *testing.B, call func(store *tracking.Store, runID string, n int64) error) {
	b.Helper()
	benchmarkOn(b, func(*testing.B, *database.DB) {}, call)
}

// benchmarkOn is benchmark on a database that was filled first.
func benchmarkOn(
	b *testing.B, fill func(*testing.B, *database.DB), call func(store *tracking.Store, runID string, n int64) error,
) {
	b.Helper()

	const clients = 16

	for _, source := range databasetest.Sources() {
		b.Run(source.Name, func(b *testing.B) {
			db := databasetest.Open(b, source.URI(b))
			store := open(b, db, tracking.Options{ArtifactRoot: "mlflow-artifacts:/"})
			require.NoError(b, store.Initialize(b.Context()))
			fill(b, db)

			runs := make(chan string, clients)
			for range clients {
				created, err := store.CreateRun(b.Context(), &protos.CreateRun{ExperimentId: new("0")})
				require.NoError(b, err)

				runs <- created.GetRun().GetInfo().GetRunId()
			}

			var n atomic.Int64

			b.ResetTimer()

			before := processorTime(b)
			done := make(chan error, clients)

			for range clients {
				go func() {
					runID := <-runs

					for {
						i := n.Add(1)
						if i > int64(b.N) {
							done <- nil

							return
						}

						if err := call(store, runID, i); err != nil {
							done <- err

							return
						}
					}
				}()
			}

			for range clients {
				require.NoError(b, <-done)
			}

			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			// On a machine that others use, this says more than the time that passed.
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/call")
		})
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()

	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))

	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func BenchmarkLogBatch(b *testing.B) {
	benchmark(b, func(store *tracking.Store, runID string, n int64) error {
		request := &protos.LogBatch{RunId: new(runID)}
		for i := range 10 {
			request.Metrics = append(request.Metrics, &protos.Metric{
				Key: new("metric" + strconv.Itoa(i)), Value: new(float64(n)),
				Timestamp: new(n), Step: new(n),
			})
		}

		_, err := store.LogBatch(b.Context(), request)

		return err
	})
}

func BenchmarkLogMetric(b *testing.B) {
	benchmark(b, func(store *tracking.Store, runID string, n int64) error {
		_, err := store.LogMetric(b.Context(), &protos.LogMetric{
			RunId: new(runID), Key: new("loss"), Value: new(float64(n)),
			Timestamp: new(n), Step: new(n),
		})

		return err
	})
}

func BenchmarkCreateRun(b *testing.B) {
	benchmark(b, func(store *tracking.Store, _ string, n int64) error {
		_, err := store.CreateRun(b.Context(), &protos.CreateRun{
			ExperimentId: new("0"), StartTime: new(n), UserId: new("me"),
			Tags: []*protos.RunTag{{Key: new("mlflow.user"), Value: new("me")}},
		})

		return err
	})
}

func BenchmarkGetRun(b *testing.B) {
	benchmark(b, func(store *tracking.Store, runID string, _ int64) error {
		_, err := store.GetRun(b.Context(), &protos.GetRun{RunId: new(runID)})

		return err
	})
}
