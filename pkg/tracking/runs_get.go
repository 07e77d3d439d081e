package tracking

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/schema"
)

// GetRun reads a run, deleted or not, with its latest metrics, params, tags, inputs and outputs
// (SqlAlchemyStore.get_run). Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetRun(ctx context.Context, request *protos.GetRun) (*protos.GetRun_Response, error) {
	id := firstNonEmpty(request.GetRunId(), request.GetRunUuid())

	found, err := read(ctx, s, func(tx *database.Tx) (*protos.Run, error) { return getRun(tx, id) })
	if err != nil {
		return nil, err
	}

	return &protos.GetRun_Response{Run: found}, nil
}

func getRun(tx *database.Tx, id string) (*protos.Run, error) {
	row, err := findRun(tx, id)
	if err != nil {
		return nil, err
	}

	runs, err := loadRuns(tx, []schema.Run{row})
	if err != nil {
		return nil, err
	}

	found := runs[0]
	found.Inputs.ModelInputs, err = runModelInputs(tx, id)

	return found, err
}

func runModelInputs(tx *database.Tx, runID string) ([]*protos.ModelInput, error) {
	models, err := query(tx, func(scan func(...any) error) (*protos.ModelInput, error) {
		m := &protos.ModelInput{}
		err := scan(&m.ModelId)

		return m, err
	}, "SELECT destination_id FROM inputs WHERE source_type = 'RUN_INPUT' AND source_id = ? "+
		"AND destination_type = 'MODEL_INPUT'", runID)
	if err != nil {
		return nil, fmt.Errorf("reading the input models of run %s: %w", runID, err)
	}

	return models, nil
}
