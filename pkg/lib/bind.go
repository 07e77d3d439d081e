package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/artifacts"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/database/ofdlocks"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/registry"
	"github.com/mlflow/mlflow-go/pkg/tracing"
	"github.com/mlflow/mlflow-go/pkg/tracking"
)

// bind opens the stores and returns what implements each service, by the service's name, with
// what closes it all. These are the bare domains: what MLflow's HTTP handlers add to its stores is
// the server's. The tables must exist: the Python store in front of the library sees to that.
func bind(ctx context.Context, settings config) (services map[string]any, release func() error, err error) {
	db, options, err := openDatabase(ctx, settings)

	switch {
	case errors.Is(err, database.ErrUnsupported), errors.Is(err, ofdlocks.ErrUnsupported):
		return nil, nil, contract.Errorf(protos.ErrorCode_NOT_IMPLEMENTED, "Cannot open the database: %v", err)
	case errors.Is(err, database.ErrInvalid):
		return nil, nil, contract.InvalidParameter("Cannot open the database: %v", err)
	case err != nil:
		return nil, nil, fmt.Errorf("open the database: %w", err)
	}

	options.ArtifactRoot = settings.DefaultArtifactRoot

	store, err := tracking.New(db, options)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the tracking store: %w", err), db.Close())
	}

	return map[string]any{
		"MlflowService": contract.Mlflow{
			TrackingService: store, TracingService: tracing.New(db),
			ArtifactsService: artifacts.New(artifacts.Options{Owners: store}),
		},
		"ModelRegistryService": contract.ModelRegistryService(registry.New(db, store)),
	}, db.Close, nil
}

// openDatabase opens a database in the way that the environment asks for, and says how a store on
// it should behave.
func openDatabase(ctx context.Context, settings config) (*database.DB, tracking.Options, error) {
	getenv := func(name string) string { return settings.Environment[name] }

	behaviour, err := tracking.OptionsFromEnvironment(getenv)
	if err != nil {
		return nil, tracking.Options{}, err
	}

	pool, err := database.OptionsFromEnvironment(getenv)
	if err != nil {
		return nil, tracking.Options{}, err
	}

	// The process has a SQLite of its own, as Python has, which may have the same file open; a
	// notebook's user may not expect to find files beside it.
	pool.Protect = ofdlocks.Protect
	pool.KeepJournal = true
	pool.CallsFromC = true

	db, err := database.Open(ctx, settings.BackendStoreURI, pool)

	return db, behaviour, err
}
