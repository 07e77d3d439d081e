package tracking_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// addRuns logs runs that tie in all that they are sorted by, with NaN, infinity and nothing at all
// among their metrics.
func addRuns(t *testing.T, store *tracking.Store, count int) {
	t.Helper()

	values := []float64{1, 0.1, math.NaN(), -2.5, math.Inf(1), 0.1, 0}

	for i := range count {
		created, err := store.CreateRun(t.Context(), &protos.CreateRun{ExperimentId: new("0"), StartTime: new(int64(i % 4))})
		require.NoError(t, err)

		batch := &protos.LogBatch{RunId: created.GetRun().GetInfo().RunId}
		if i%3 != 0 {
			batch.Metrics = []*protos.Metric{{
				Key: new("m"), Value: new(values[i%len(values)]), Timestamp: new(int64(1)), Step: new(int64(0)),
			}}
		}

		if i%5 != 0 {
			batch.Params = []*protos.Param{{Key: new("p"), Value: new("it's " + strconv.Itoa(i%3))}}
		}

		if i%2 == 0 {
			_, err = store.UpdateRun(t.Context(), &protos.UpdateRun{
				RunId: batch.RunId, Status: protos.RunStatus_FINISHED.Enum(), EndTime: new(int64(i % 5)),
			})
			require.NoError(t, err)
		}

		_, err = store.LogBatch(t.Context(), batch)
		require.NoError(t, err)
	}
}

// walk collects the IDs of all pages; between is called after each.
func walk(t *testing.T, store *tracking.Store, request *protos.SearchRuns, between func()) (ids []string) {
	t.Helper()

	for {
		found, err := store.SearchRuns(t.Context(), request)
		require.NoError(t, err)

		for _, run := range found.GetRuns() {
			ids = append(ids, run.GetInfo().GetRunId())
		}

		if found.NextPageToken == nil {
			return ids
		}

		request.PageToken = found.NextPageToken

		between()
	}
}

func TestPagesOfRunsFollowEachOther(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := open(t, db, tracking.Options{ArtifactRoot: "s3://bucket/root"})
		require.NoError(t, store.Initialize(t.Context()))
		addRuns(t, store, 60)

		for _, orderBy := range [][]string{
			nil,
			{"start_time ASC"},
			{"attributes.end_time DESC"},
			{"attributes.end_time ASC", "metrics.m DESC"},
			{"metrics.m ASC"},
			{"metrics.m DESC", "params.p ASC"},
			{"params.p DESC", "metrics.m ASC", "attributes.status"},
			{"metrics.nobody", "metrics.m"},
			{"tags.nobody"},
		} {
			t.Run(strings.Join(orderBy, ","), func(t *testing.T) {
				search := func(pageSize int32) *protos.SearchRuns {
					return &protos.SearchRuns{ExperimentIds: []string{"0"}, OrderBy: orderBy, MaxResults: new(pageSize)}
				}
				all := walk(t, store, search(1000), func() {})

				require.Equal(t, all, walk(t, store, search(7), func() {}))

				// What comes meanwhile moves nothing: a page neither repeats nor skips a run.
				walked := walk(t, store, search(7), func() { addRuns(t, store, 2) })
				require.Equal(t, all, slices.DeleteFunc(slices.Clone(walked), func(id string) bool {
					return !slices.Contains(all, id)
				}))
			})
		}
	})
}

func TestPageTokenOfAnotherSearchIsAnOffset(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := open(t, db, tracking.Options{ArtifactRoot: "s3://bucket/root"})
		require.NoError(t, store.Initialize(t.Context()))
		addRuns(t, store, 20)

		request := &protos.SearchRuns{ExperimentIds: []string{"0"}, OrderBy: []string{"metrics.m"}, MaxResults: new(int32(8))}
		found, err := store.SearchRuns(t.Context(), request)
		require.NoError(t, err)

		request.OrderBy = []string{"params.p"}
		all := walk(t, store, request, func() {})

		request.PageToken = found.NextPageToken
		require.Equal(t, all[8:], walk(t, store, request, func() {}))
	})
}
