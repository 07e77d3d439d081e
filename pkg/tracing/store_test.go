package tracing_test

import (
	"testing"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/storetest"
	"github.com/mlflow/mlflow-go/pkg/tracing"
)

func TestStore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		storetest.Tracing(t, db, tracing.New(db))
	})
}
