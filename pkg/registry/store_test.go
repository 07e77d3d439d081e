package registry_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/registry"
	"github.com/mlflow/mlflow-go/pkg/storetest"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

func open(tb testing.TB, db *database.DB) (*registry.Store, *tracking.Store) {
	tb.Helper()

	models, err := tracking.New(db, tracking.Options{ArtifactRoot: storetest.ArtifactRoot})
	require.NoError(tb, err)

	return registry.New(db, models), models
}

func TestStore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store, models := open(t, db)
		storetest.Registry(t, db, store, models)
	})
}
