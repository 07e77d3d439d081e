package handlers

import (
	"context"
	"math"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

const (
	// customViewPrefix marks the experiment tags that hold saved views of traces.
	customViewPrefix = "mlflow.customView.view"
	// maxCustomViews is how many of them an experiment may have.
	maxCustomViews = 50
)

// Tracking adds the rules of MLflow's handlers to a tracking service: a limit on saved views, a
// policy for artifact locations, and page sizes that must be positive.
func Tracking(next contract.MlflowService, locations Locations) contract.MlflowService {
	return &tracking{MlflowService: next, locations: locations}
}

type tracking struct {
	contract.MlflowService

	locations Locations
}

// CreateExperiment refuses too many saved views and locations that the server mustn't connect to
// (handlers._create_experiment).
func (t *tracking) CreateExperiment(
	ctx context.Context, request *protos.CreateExperiment,
) (*protos.CreateExperiment_Response, error) {
	if countCustomViews(request.GetTags()) > maxCustomViews {
		return nil, errTooManyCustomViews("")
	}

	if location := request.GetArtifactLocation(); location != "" {
		if err := t.locations.Check(location, "artifact_location"); err != nil {
			return nil, err
		}
	}

	return t.MlflowService.CreateExperiment(ctx, request)
}

// UpdateExperiment does nothing without a new name (handlers._update_experiment).
func (t *tracking) UpdateExperiment(
	ctx context.Context, request *protos.UpdateExperiment,
) (*protos.UpdateExperiment_Response, error) {
	if request.GetNewName() == "" {
		return &protos.UpdateExperiment_Response{}, nil
	}

	return t.MlflowService.UpdateExperiment(ctx, request)
}

// SetExperimentTag refuses a new saved view when the experiment has as many as it may; changing
// one stays possible. Views that are saved at the same time may go past the limit, as in MLflow
// (handlers._validate_custom_view_tag_write).
func (t *tracking) SetExperimentTag(
	ctx context.Context, request *protos.SetExperimentTag,
) (*protos.SetExperimentTag_Response, error) {
	if strings.HasPrefix(request.GetKey(), customViewPrefix) {
		found, err := t.GetExperiment(ctx, &protos.GetExperiment{ExperimentId: new(request.GetExperimentId())})
		if err != nil {
			return nil, err
		}

		experiment := found.GetExperiment()
		if !hasTag(experiment.GetTags(), request.GetKey()) && countCustomViews(experiment.GetTags()) >= maxCustomViews {
			return nil, errTooManyCustomViews(experiment.GetExperimentId())
		}
	}

	return t.MlflowService.SetExperimentTag(ctx, request)
}

// GetMetricHistory refuses a page size below one; without a size there is one page
// (handlers._get_metric_history).
func (t *tracking) GetMetricHistory(
	ctx context.Context, request *protos.GetMetricHistory,
) (*protos.GetMetricHistory_Response, error) {
	if request.MaxResults != nil && request.GetMaxResults() <= 0 {
		return nil, contract.InvalidParameter("Invalid value %d for parameter 'max_results' supplied. "+
			"It must be a positive integer.", request.GetMaxResults())
	}

	return t.MlflowService.GetMetricHistory(ctx, request)
}

// GetMetricHistoryBulkInterval takes all but the runs and the metric from the query alone, as whole
// numbers of any size: a body doesn't count there (handlers.get_metric_history_bulk_interval_impl).
func (t *tracking) GetMetricHistoryBulkInterval(
	ctx context.Context, request *protos.GetMetricHistoryBulkInterval,
) (*protos.GetMetricHistoryBulkInterval_Response, error) {
	arguments := codec.Arguments(contract.QueryFrom(ctx))

	limit, limited, err := wholeNumber(arguments, "max_results")
	if err != nil {
		return nil, err
	}

	if !limited {
		limit = maxSampledResults
	}

	first, hasFirst, err := wholeNumber(arguments, "start_step")
	if err != nil {
		return nil, err
	}

	last, hasLast, err := wholeNumber(arguments, "end_step")
	if err != nil {
		return nil, err
	}

	switch {
	case hasFirst != hasLast:
		return nil, contract.InvalidParameter("If either start step or end step are specified, both must be specified.")
	case first > last:
		return nil, contract.InvalidParameter("end_step must be greater than start_step. Found start_step=%d and "+
			"end_step=%d.", first, last)
	case hasFirst:
		ctx = contract.WithSteps(ctx, contract.Steps{First: first, Last: last})
	}

	return t.MlflowService.GetMetricHistoryBulkInterval(ctx, &protos.GetMetricHistoryBulkInterval{
		RunIds: request.GetRunIds(), MetricKey: new(request.GetMetricKey()),
		MaxResults: new(int32(min(max(limit, 1), math.MaxInt32))),
	})
}

// wholeNumber reads an argument as Python's int does. MLflow fails with a 500 at what isn't one, and so
// does the database at what is beyond 64 bits.
func wholeNumber(arguments map[string][]string, name string) (number int64, given bool, err error) {
	values := arguments[name]
	if len(values) == 0 {
		return 0, false, nil
	}

	parsed, ok := pyfmt.ParseInt(values[0])
	if !ok || !parsed.IsInt64() {
		return 0, false, contract.InvalidParameter("Invalid value %s for parameter '%s' supplied. It must be a whole "+
			"number of 64 bits.", pyfmt.Repr(values[0]), name)
	}

	return parsed.Int64(), true, nil
}

// modelFields must be in what LogModel is given.
var modelFields = []string{"artifact_path", "flavors", "utc_time_created", "run_id"}

// LogModel refuses a model that isn't JSON or lacks a member (handlers._log_model).
func (t *tracking) LogModel(ctx context.Context, request *protos.LogModel) (*protos.LogModel_Response, error) {
	parsed, err := codec.Parse(request.GetModelJson())
	if err != nil {
		return nil, contract.InvalidParameter("Malformed model info. \n %s \n is not a valid JSON.",
			request.GetModelJson())
	}

	model, isObject := parsed.(*codec.Raw)

	var missing []string

	for _, name := range modelFields {
		if _, present := model.Get(name); isObject && !present {
			missing = append(missing, pyfmt.Repr(name))
		}
	}

	if missing != nil {
		return nil, contract.InvalidParameter("Model json is missing mandatory fields: {%s}", strings.Join(missing, ", "))
	}

	return t.MlflowService.LogModel(ctx, request)
}

// CreateLoggedModel fills in what the handler makes of missing fields: an empty name is none, and a
// missing type or run is empty (handlers._create_logged_model).
func (t *tracking) CreateLoggedModel(
	ctx context.Context, request *protos.CreateLoggedModel,
) (*protos.CreateLoggedModel_Response, error) {
	filled := &protos.CreateLoggedModel{
		ExperimentId: new(request.GetExperimentId()),
		ModelType:    new(request.GetModelType()),
		SourceRunId:  new(request.GetSourceRunId()),
		Params:       request.GetParams(),
		Tags:         request.GetTags(),
	}
	if name := request.GetName(); name != "" {
		filled.Name = new(name)
	}

	return t.MlflowService.CreateLoggedModel(ctx, filled)
}

// GetLoggedModel finds a deleted model when the query has allow_deleted=true, for which the message
// has no field (handlers._get_logged_model).
func (t *tracking) GetLoggedModel(
	ctx context.Context, request *protos.GetLoggedModel,
) (*protos.GetLoggedModel_Response, error) {
	allowed := codec.Arguments(contract.QueryFrom(ctx))["allow_deleted"]
	if len(allowed) > 0 && strings.ToLower(allowed[0]) == "true" {
		ctx = contract.WithDeleted(ctx)
	}

	return t.MlflowService.GetLoggedModel(ctx, request)
}

// SearchLoggedModels gives each dataset a digest, if an empty one (handlers._search_logged_models).
func (t *tracking) SearchLoggedModels(
	ctx context.Context, request *protos.SearchLoggedModels,
) (*protos.SearchLoggedModels_Response, error) {
	for _, dataset := range request.GetDatasets() {
		dataset.DatasetDigest = new(dataset.GetDatasetDigest())
	}

	return t.MlflowService.SearchLoggedModels(ctx, request)
}

func countCustomViews(tags []*protos.ExperimentTag) int {
	count := 0

	for _, tag := range tags {
		if strings.HasPrefix(tag.GetKey(), customViewPrefix) {
			count++
		}
	}

	return count
}

func hasTag(tags []*protos.ExperimentTag, key string) bool {
	for _, tag := range tags {
		if tag.GetKey() == key {
			return true
		}
	}

	return false
}

func errTooManyCustomViews(experimentID string) error {
	of := ""
	if experimentID != "" {
		of = " for experiment " + experimentID
	}

	return contract.InvalidParameter("Unable to create another custom view%s; the maximum number of custom views per "+
		"experiment is %d. Delete an existing custom view before creating a new one.", of, maxCustomViews)
}
