package handlers

import (
	"context"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// Limits of the handlers behind the UI.
const (
	maxHistoryRuns       = 100
	maxHistoryResults    = 25_000
	maxSampledResults    = 2500
	maxSearchExperiments = 20
)

// UI adds the rules of MLflow's handlers to what answers the UI.
func UI(next contract.UIService) contract.UIService { return &ui{next} }

type ui struct{ contract.UIService }

// GetMetricHistoryBulk limits runs and results (handlers.get_metric_history_bulk_handler).
func (u *ui) GetMetricHistoryBulk(
	ctx context.Context, request *protos.GetMetricHistoryBulkInterval,
) (*protos.GetMetricHistoryBulkInterval_Response, error) {
	runs := len(request.GetRunIds())

	switch {
	case runs == 0:
		return nil, contract.InvalidParameter("GetMetricHistoryBulk request must specify at least one run_id.")
	case runs > maxHistoryRuns:
		return nil, contract.InvalidParameter("GetMetricHistoryBulk request cannot specify more than %d run_ids. "+
			"Received %d run_ids.", maxHistoryRuns, runs)
	case request.MetricKey == nil:
		return nil, contract.InvalidParameter("GetMetricHistoryBulk request must specify a metric_key.")
	case request.GetMaxResults() < 0:
		return nil, contract.InvalidParameter("Invalid value %d for parameter 'max_results' supplied. "+
			"It must not be negative.", request.GetMaxResults())
	}

	limited := &protos.GetMetricHistoryBulkInterval{
		RunIds: request.GetRunIds(), MetricKey: request.MetricKey, MaxResults: new(int32(maxHistoryResults)),
	}
	if request.MaxResults != nil {
		limited.MaxResults = new(min(request.GetMaxResults(), maxHistoryResults))
	}

	return u.UIService.GetMetricHistoryBulk(ctx, limited)
}

// SearchDatasets limits experiments (handlers.search_datasets_impl).
func (u *ui) SearchDatasets(
	ctx context.Context, request *protos.SearchDatasets,
) (*protos.SearchDatasets_Response, error) {
	switch experiments := len(request.GetExperimentIds()); {
	case experiments == 0:
		return nil, contract.InvalidParameter("SearchDatasets request must specify at least one experiment_id.")
	case experiments > maxSearchExperiments:
		return nil, contract.InvalidParameter("SearchDatasets request cannot specify more than %d experiment_ids. "+
			"Received %d experiment_ids.", maxSearchExperiments, experiments)
	}

	return u.UIService.SearchDatasets(ctx, request)
}
