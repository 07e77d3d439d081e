package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// bind opens the stores and returns what implements each service, by the service's name, with
// what closes it all. These are the bare domains: what MLflow's HTTP handlers add to its stores is
// the server's. The tables must exist: the Python store in front of the library sees to that.
func bind(ctx context.Context, settings config) (services map[string]any, release func() error, err error) {
	db, err := database.Open(ctx, settings.BackendStoreURI, database.Options{})
	if errors.Is(err, database.ErrUnsupported) {
		return nil, nil, contract.Errorf(protos.ErrorCode_NOT_IMPLEMENTED, "Cannot open the database: %v", err)
	}

	if err != nil {
		return nil, nil, fmt.Errorf("open the database: %w", err)
	}

	store, err := tracking.New(db, tracking.Options{ArtifactRoot: settings.DefaultArtifactRoot})
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the tracking store: %w", err), db.Close())
	}

	return map[string]any{"MlflowService": contract.MlflowService(store)}, db.Close, nil
}
