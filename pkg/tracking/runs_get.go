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

	found, err := s.runs.Load(ctx, id)

	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, errNoRun(id)
	default:
		return &protos.GetRun_Response{Run: found}, nil
	}
}

// loadRuns reads runs that are asked for one by one; nil for those that don't exist.
func (s *Store) loadRuns(ctx context.Context, ids []string) ([]*protos.Run, error) {
	return database.Read(ctx, s.db, func(tx *database.Tx) ([]*protos.Run, error) {
		page := newRunPage(ids...)

		selections := append(page.everything(tx), page.inputModels(tx.Dialect()))
		if err := tx.SelectLast(selections...); err != nil {
			return nil, fmt.Errorf("reading the runs %q: %w", ids, err)
		}

		page.complete()

		for i, run := range page.runs {
			if run.GetInfo() == nil {
				page.runs[i] = nil
			}
		}

		return page.runs, nil
	})
}
