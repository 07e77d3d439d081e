package tracking

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

const nobody = "nobody"

// TestReadTogether holds what is read of runs together against what is read of each.
func TestReadTogether(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store, err := New(db, Options{ArtifactRoot: "mlflow-artifacts:/"})
		require.NoError(t, err)
		require.NoError(t, store.Initialize(t.Context()))

		alone := map[string]*protos.Run{}

		for n := range 11 {
			id := newLoggedRun(t, store, n)
			found, err := store.GetRun(t.Context(), &protos.GetRun{RunId: new(id)})
			require.NoError(t, err)
			require.Len(t, found.GetRun().GetOutputs().GetModelOutputs(), 1)
			require.Len(t, found.GetRun().GetInputs().GetModelInputs(), 1)

			alone[id] = found.GetRun()
		}

		ids := append(slices.Collect(maps.Keys(alone)), nobody)

		t.Run("OK", func(t *testing.T) {
			runs, err := store.loadRuns(t.Context(), ids)
			require.NoError(t, err)
			require.Len(t, runs, len(ids))

			for i, id := range ids[:len(alone)] {
				requireRun(t, alone[id], runs[i])
			}

			require.Nil(t, runs[len(alone)])
		})
		t.Run("OKAtOnce", func(t *testing.T) {
			type reading struct {
				id  string
				run *protos.Run
				err error
			}

			var readers sync.WaitGroup

			readings := make(chan reading, 8*len(ids))

			for range 8 {
				for _, id := range ids {
					readers.Go(func() {
						response, err := store.GetRun(t.Context(), &protos.GetRun{RunId: new(id)})
						readings <- reading{id, response.GetRun(), err}
					})
				}
			}

			readers.Wait()
			close(readings)

			for found := range readings {
				if found.id == nobody {
					require.EqualError(t, found.err, "RESOURCE_DOES_NOT_EXIST: Run with id=nobody not found")
				} else {
					require.NoError(t, found.err)
					requireRun(t, alone[found.id], found.run)
				}
			}
		})
	})
}

// newLoggedRun makes a run with something of everything.
func newLoggedRun(t *testing.T, store *Store, n int) string {
	t.Helper()

	created, err := store.CreateRun(t.Context(), &protos.CreateRun{ExperimentId: new(defaultExperimentID)})
	require.NoError(t, err)

	id := created.GetRun().GetInfo().GetRunId()
	metric := func(key string) *protos.Metric {
		return &protos.Metric{Key: new(key), Value: new(float64(n)), Timestamp: new(int64(1)), Step: new(int64(n))}
	}
	_, err = store.LogBatch(t.Context(), &protos.LogBatch{
		RunId:   new(id),
		Metrics: []*protos.Metric{metric("z"), metric("a")},
		Params:  []*protos.Param{{Key: new("z"), Value: new(id)}, {Key: new("a"), Value: new("")}},
		Tags:    []*protos.RunTag{{Key: new("z"), Value: new(id)}},
	})
	require.NoError(t, err)

	model, err := store.CreateLoggedModel(t.Context(), &protos.CreateLoggedModel{ExperimentId: new(defaultExperimentID)})
	require.NoError(t, err)

	modelID := model.GetModel().GetInfo().GetModelId()
	_, err = store.LogInputs(t.Context(), &protos.LogInputs{
		RunId: new(id), Models: []*protos.ModelInput{{ModelId: new(modelID)}},
		Datasets: []*protos.DatasetInput{{
			Dataset: &protos.Dataset{
				Name: new("data"), Digest: new(id[:8]), SourceType: new("local"), Source: new("{}"),
			},
			Tags: []*protos.InputTag{{Key: new("context"), Value: new("training")}},
		}},
	})
	require.NoError(t, err)

	_, err = store.LogOutputs(t.Context(), &protos.LogOutputs{
		RunId: new(id), Models: []*protos.ModelOutput{{ModelId: new(modelID), Step: new(int64(n))}},
	})
	require.NoError(t, err)

	return id
}

// requireRun compares runs whose metrics, params and tags come in any order.
func requireRun(t *testing.T, want, got *protos.Run) {
	t.Helper()

	want, got = proto.CloneOf(want), proto.CloneOf(got)

	for _, run := range []*protos.Run{want, got} {
		sortByKey(run.GetData().GetMetrics())
		sortByKey(run.GetData().GetParams())
		sortByKey(run.GetData().GetTags())
	}

	require.True(t, proto.Equal(want, got), "want %v\ngot  %v", want, got)
}

func sortByKey[T interface{ GetKey() string }](items []T) {
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(a.GetKey(), b.GetKey()) })
}
