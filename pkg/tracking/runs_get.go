package tracking

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// GetRun reads a run, deleted or not, with its latest metrics, params, tags, inputs and outputs
// (SqlAlchemyStore.get_run). Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetRun(ctx context.Context, request *protos.GetRun) (*protos.GetRun_Response, error) {
	id := runID(request)

	found, err := database.Read(ctx, s.db, func(tx *database.Tx) (*protos.Run, error) { return getRun(tx, id) })
	if err != nil {
		return nil, err
	}

	return &protos.GetRun_Response{Run: found}, nil
}

// getRun ends the transaction.
func getRun(tx *database.Tx, id string) (*protos.Run, error) {
	var (
		page   = newRunPage(id)
		found  = page.runs[0]
		models = &found.Inputs.ModelInputs
	)

	selections := append(page.everything(tx), database.Collect(models, scanModelInput, selectModelInputs, id))
	if err := tx.SelectLast(selections...); err != nil {
		return nil, fmt.Errorf("reading run %s: %w", id, err)
	}

	if found.GetInfo() == nil {
		return nil, errNoRun(id)
	}

	page.complete()

	return found, nil
}

const selectModelInputs = "SELECT destination_id FROM inputs WHERE source_type = 'RUN_INPUT' AND source_id = ? " +
	"AND destination_type = 'MODEL_INPUT'"

func scanModelInput(scan func(...any) error) (*protos.ModelInput, error) {
	m := &protos.ModelInput{}
	err := scan(&m.ModelId)

	return m, err
}
