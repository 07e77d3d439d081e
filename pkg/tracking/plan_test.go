package tracking_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// recorder keeps the queries of a table that a database logs.
type recorder struct {
	slog.Handler

	table   string
	queries []string
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attribute slog.Attr) bool {
		if text := attribute.Value.String(); strings.HasPrefix(text, "SELECT") && strings.Contains(text, " "+r.table) {
			r.queries = append(r.queries, text)
		}

		return true
	})

	return nil
}

// TestHistoriesReadTheirOwnRun holds that SQLite finds the points of a metric by their run: many runs
// have a metric of the same name.
func TestHistoriesReadTheirOwnRun(t *testing.T) {
	recorded := &recorder{Handler: slog.DiscardHandler, table: "metrics"}

	db, err := database.Open(t.Context(), databasetest.SQLite(t), database.Options{Echo: true, Logger: slog.New(recorded)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	store := open(t, db, tracking.Options{ArtifactRoot: "mlflow-artifacts:/"})
	run, key := new(strings.Repeat("a", 32)), new("loss")

	for _, limit := range []*int32{nil, new(int32(10))} {
		_, err = store.GetMetricHistory(t.Context(), &protos.GetMetricHistory{RunId: run, MetricKey: key, MaxResults: limit})
		require.NoError(t, err)
	}

	_, err = store.GetMetricHistoryBulk(t.Context(), &protos.GetMetricHistoryBulkInterval{
		RunIds: []string{*run, strings.Repeat("b", 32)}, MetricKey: key, MaxResults: new(int32(10)),
	})
	require.NoError(t, err)

	for _, end := range []*int32{nil, new(int32(10))} {
		_, err = store.GetMetricHistoryBulkInterval(t.Context(), &protos.GetMetricHistoryBulkInterval{
			RunIds: []string{*run}, MetricKey: key, MaxResults: new(int32(10)), StartStep: end, EndStep: end,
		})
		require.NoError(t, err)
	}

	const most = 7

	require.Len(t, recorded.queries, most)

	for _, query := range recorded.queries {
		plan, err := database.Read(t.Context(), db, func(tx *database.Tx) ([]string, error) {
			return database.Query(tx, func(scan func(...any) error) (line string, err error) {
				var id, parent, unused int

				err = scan(&id, &parent, &unused, &line)

				return line, err
			}, "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
		})
		require.NoError(t, err)
		require.Contains(t, strings.Join(plan, "\n"), "index_metrics_run_uuid_key_step (run_uuid=? AND key=? AND step>?", query)
	}
}
