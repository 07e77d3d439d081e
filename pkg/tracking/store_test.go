package tracking_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/storetest"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

func open(tb testing.TB, db *database.DB, options tracking.Options) *tracking.Store {
	tb.Helper()

	store, err := tracking.New(db, options)
	require.NoError(tb, err)

	return store
}

func TestStore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		storetest.Tracking(t, db, open(t, db, tracking.Options{ArtifactRoot: storetest.ArtifactRoot}))
	})
}

func TestCharts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		storetest.Charts(t, db, open(t, db, tracking.Options{ArtifactRoot: storetest.ArtifactRoot}))
	})
}

func TestInitialize(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := open(t, db, tracking.Options{ArtifactRoot: "mlflow-artifacts:/"})

		for range 2 {
			require.NoError(t, store.Initialize(t.Context()))
		}

		found, err := store.GetExperiment(t.Context(), &protos.GetExperiment{})
		require.NoError(t, err)
		require.Equal(t, "0", found.GetExperiment().GetExperimentId())
		require.Equal(t, "Default", found.GetExperiment().GetName())
		require.Equal(t, "mlflow-artifacts:/0", found.GetExperiment().GetArtifactLocation())

		created, err := store.CreateExperiment(t.Context(), &protos.CreateExperiment{Name: new("next")})
		require.NoError(t, err)
		require.Equal(t, "1", created.GetExperimentId())

		t.Run("ErrOtherWorkspaces", func(t *testing.T) {
			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error {
				_, err := tx.Exec("UPDATE experiments SET workspace = 'team' WHERE experiment_id = 1")

				return err
			}))

			err := contract.AsError(store.Initialize(t.Context()))
			require.Equal(t, protos.ErrorCode_INVALID_STATE, err.Code)
			require.Equal(t, "Cannot disable workspaces because experiments exist outside the default workspace (i.e., "+
				"assigned to non-default workspaces). Enable workspace support (MLFLOW_ENABLE_WORKSPACES=true) or move those "+
				"experiments back to the default workspace before starting the tracking store in single-tenant mode.",
				err.Message)
		})
	})
}

func TestRefuseLongValues(t *testing.T) {
	store := open(t, databasetest.Open(t, databasetest.SQLite(t)), tracking.Options{RefuseLongValues: true})
	long := make([]byte, 8001)

	for i := range long {
		long[i] = 'v'
	}

	_, err := store.LogBatch(t.Context(), &protos.LogBatch{
		RunId:  new("x"),
		Params: []*protos.Param{{Key: new("p"), Value: new(string(long[:6001]))}},
	})
	require.Equal(t, "'Param value' exceeds the maximum length of 6000 characters", contract.AsError(err).Message)

	_, err = store.LogBatch(t.Context(), &protos.LogBatch{
		RunId: new("x"), Tags: []*protos.RunTag{{Key: new("t"), Value: new(string(long))}},
	})
	require.Equal(t, "'tags[0].value' exceeds the maximum length of 8000 characters", contract.AsError(err).Message)
}
