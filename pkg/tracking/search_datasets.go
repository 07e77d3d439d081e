package tracking

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// maxDatasetSummaries is MLflow's limit on what one search of datasets answers.
const maxDatasetSummaries = 1000

// SearchDatasets lists the datasets that runs of some experiments were given, once for each context
// that they were used in (SqlAlchemyStore._search_datasets).
func (s *Store) SearchDatasets(
	ctx context.Context, request *protos.SearchDatasets,
) (*protos.SearchDatasets_Response, error) {
	experiments, err := experimentList(request.GetExperimentIds())
	if err != nil || experiments == "" {
		return &protos.SearchDatasets_Response{}, err
	}

	visible, args := inWorkspace(contract.CallerFrom(ctx), "d.experiment_id", datasetContextTag)

	found, err := database.Read(ctx, s.db, func(tx *database.Tx) ([]*protos.DatasetSummary, error) {
		return database.Query(tx, func(scan func(...any) error) (*protos.DatasetSummary, error) {
			var experiment int64

			summary := &protos.DatasetSummary{}
			err := scan(&experiment, &summary.Name, &summary.Digest, &summary.Context)
			summary.ExperimentId = new(formatID(experiment))

			if summary.GetContext() == "" {
				summary.Context = nil
			}

			return summary, err
		}, `SELECT DISTINCT d.experiment_id, d.name, d.digest, t.value
FROM datasets d JOIN inputs i ON i.source_id = d.dataset_uuid
	LEFT OUTER JOIN input_tags t ON i.input_uuid = t.input_uuid AND t.name = ?
WHERE d.experiment_id IN (`+experiments+")"+visible, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("searching datasets: %w", err)
	}

	return &protos.SearchDatasets_Response{DatasetSummaries: found[:min(len(found), maxDatasetSummaries)]}, nil
}
