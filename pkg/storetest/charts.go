package storetest

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// ChartStore is a tracking store that answers what the UI's charts ask, too.
type ChartStore interface {
	contract.TrackingService
	contract.UIService
}

// charts is a store under test, seen as the UI does.
type charts struct {
	suite

	ui contract.UIService
}

// Charts tests what the UI's charts and run tables ask, as Tracking does the rest.
func Charts(t *testing.T, db *database.DB, store ChartStore) {
	t.Helper()

	c := charts{suite: suite{TrackingService: store, db: db}, ui: store}

	t.Run("MetricHistoryOfRuns", c.metricHistoryOfRuns)
	t.Run("MetricHistorySample", c.metricHistorySample)
	t.Run("SearchDatasets", c.searchDatasets)
	t.Run("Workspaces", c.workspaces)
}

// pointsOf are a metric's points without their keys.
func pointsOf(metrics []*protos.MetricWithRunId, runs ...string) [][4]float64 {
	points := make([][4]float64, len(metrics))
	for i, metric := range metrics {
		points[i] = [4]float64{
			float64(slices.Index(runs, metric.GetRunId())), float64(metric.GetTimestamp()), float64(metric.GetStep()),
			metric.GetValue(),
		}
	}

	return points
}

func (c charts) metricHistoryOfRuns(t *testing.T) {
	t.Helper()

	experiment := c.experiment(t)
	runs := []string{c.runIn(t, experiment), c.runIn(t, experiment)}
	slices.Sort(runs)

	for _, id := range runs {
		_, err := c.LogBatch(t.Context(), &protos.LogBatch{RunId: new(id), Metrics: []*protos.Metric{
			metric("m", 3, 2, 0), metric("m", 2, 1, 1), metric("m", 1, 1, 0), metric("m", 0, 1, 0),
			metric("other", 9, 9, 9),
		}})
		require.NoError(t, err)
	}

	ask := func(request *protos.GetMetricHistoryBulkInterval) [][4]float64 {
		found, err := c.ui.GetMetricHistoryBulk(context.Background(), request)
		require.NoError(t, err)

		return pointsOf(found.GetMetrics(), runs...)
	}

	t.Run("OKByRunTimeStepAndValue", func(t *testing.T) {
		require.Equal(t, [][4]float64{
			{0, 1, 0, 0}, {0, 1, 0, 1}, {0, 1, 1, 2}, {0, 2, 0, 3},
			{1, 1, 0, 0}, {1, 1, 0, 1}, {1, 1, 1, 2}, {1, 2, 0, 3},
		}, ask(&protos.GetMetricHistoryBulkInterval{
			RunIds: []string{runs[1], runs[0], "nobody"}, MetricKey: new("m"), MaxResults: new(int32(100)),
		}))
	})
	t.Run("OKLimited", func(t *testing.T) {
		require.Equal(t, [][4]float64{{0, 1, 0, 0}, {0, 1, 0, 1}}, ask(&protos.GetMetricHistoryBulkInterval{
			RunIds: runs, MetricKey: new("m"), MaxResults: new(int32(2)),
		}))
	})
	t.Run("OKNothing", func(t *testing.T) {
		require.Empty(t, ask(&protos.GetMetricHistoryBulkInterval{MetricKey: new("m"), MaxResults: new(int32(2))}))
		require.Empty(t, ask(&protos.GetMetricHistoryBulkInterval{
			RunIds: runs, MetricKey: new("none"), MaxResults: new(int32(2)),
		}))
	})
}

func (c charts) metricHistorySample(t *testing.T) {
	t.Helper()

	id := c.run(t)
	logged := make([]*protos.Metric, 10, 13)
	for i := range logged {
		logged[i] = metric("m", float64(i), int64(i), int64(i))
	}

	logged = append(logged, metric("nan", math.NaN(), 5, 1), metric("far", 1, 1, 1<<40), metric("far", 2, 1, 3))

	_, err := c.LogBatch(t.Context(), &protos.LogBatch{RunId: new(id), Metrics: logged})
	require.NoError(t, err)

	ask := func(ctx context.Context, key string, limit int32, steps ...int32) []int64 {
		request := &protos.GetMetricHistoryBulkInterval{
			RunIds: []string{id, "nobody"}, MetricKey: new(key), MaxResults: new(limit),
		}
		if len(steps) > 0 {
			request.StartStep, request.EndStep = new(steps[0]), new(steps[1])
		}

		found, err := c.GetMetricHistoryBulkInterval(ctx, request)
		require.NoError(t, err)

		got := make([]int64, 0, limit)
		for _, point := range found.GetMetrics() {
			require.Equal(t, id, point.GetRunId())

			got = append(got, point.GetStep())
		}

		return got
	}

	t.Run("OKAll", func(t *testing.T) {
		require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, ask(t.Context(), "m", 10))
		require.Equal(t, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, ask(t.Context(), "m", 2500))
	})
	t.Run("OKFirstOfEachPartAndTheLast", func(t *testing.T) {
		require.Equal(t, []int64{9}, ask(t.Context(), "m", 1))
		require.Equal(t, []int64{0, 4, 9}, ask(t.Context(), "m", 3)) // parts of 4, 3 and 3
		require.Equal(t, []int64{0, 2, 4, 6, 8, 9}, ask(t.Context(), "m", 6))
	})
	t.Run("OKBetweenSteps", func(t *testing.T) {
		require.Equal(t, []int64{3, 4, 5}, ask(t.Context(), "m", 10, 3, 5))
		require.Equal(t, []int64{3, 5}, ask(t.Context(), "m", 2, 3, 5))
		require.Empty(t, ask(t.Context(), "m", 10, 20, 30))
	})
	t.Run("OKBeyond32Bits", func(t *testing.T) {
		ctx := contract.WithSteps(t.Context(), contract.Steps{First: 4, Last: 1 << 41})
		require.Equal(t, []int64{1 << 40}, ask(ctx, "far", 10))
	})
	t.Run("OKNaN", func(t *testing.T) {
		found, err := c.GetMetricHistoryBulkInterval(t.Context(), &protos.GetMetricHistoryBulkInterval{
			RunIds: []string{id}, MetricKey: new("nan"), MaxResults: new(int32(5)),
		})
		require.NoError(t, err)
		require.Len(t, found.GetMetrics(), 1)
		require.True(t, math.IsNaN(found.GetMetrics()[0].GetValue()))
	})
	t.Run("ErrOneEnd", func(t *testing.T) {
		_, err := c.GetMetricHistoryBulkInterval(t.Context(), &protos.GetMetricHistoryBulkInterval{
			RunIds: []string{id}, MetricKey: new("m"), StartStep: new(int32(1)),
		})
		requireInvalidf(t, err, "Both start_step and end_step must be specified together, or neither may be specified.")
	})
}

func (c charts) searchDatasets(t *testing.T) {
	t.Helper()

	experiment, other := c.experiment(t), ""
	t.Run("Other", func(t *testing.T) { other = c.experiment(t) })

	for _, datasets := range [][]*protos.DatasetInput{
		{datasetInput("d", "1", inputTag("mlflow.data.context", "train")), datasetInput("d", "2")},
		{datasetInput("d", "1", inputTag("mlflow.data.context", "train"))},
		{datasetInput("d", "1", inputTag("mlflow.data.context", "eval"), inputTag("k", "v"))},
	} {
		_, err := c.LogInputs(t.Context(), &protos.LogInputs{
			RunId: new(c.runIn(t, experiment)), Datasets: datasets,
		})
		require.NoError(t, err)
	}

	ask := func(ids ...string) []string {
		found, err := c.ui.SearchDatasets(context.Background(), &protos.SearchDatasets{ExperimentIds: ids})
		require.NoError(t, err)

		got := make([]string, 0, len(ids))

		for _, summary := range found.GetDatasetSummaries() {
			require.Equal(t, experiment, summary.GetExperimentId())

			context := "none"
			if summary.Context != nil {
				context = summary.GetContext()
			}

			got = append(got, summary.GetName()+summary.GetDigest()+" "+context)
		}

		slices.Sort(got)

		return got
	}

	t.Run("OKOnceForEachContext", func(t *testing.T) {
		require.Equal(t, []string{"d1 eval", "d1 train", "d2 none"}, ask(experiment, other))
	})
	t.Run("OKNothing", func(t *testing.T) {
		require.Empty(t, ask(other))
		require.Empty(t, ask())
	})
}
