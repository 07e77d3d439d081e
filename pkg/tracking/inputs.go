package tracking

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/rules"
)

// Limits of mlflow.utils.validation on datasets, in code points.
const (
	maxDatasetNameLength    = 500
	maxDatasetDigestLength  = 36
	maxDatasetSourceLength  = 65_535
	maxDatasetSchemaLength  = 1_048_575
	maxDatasetProfileLength = 16_777_215
	maxInputTagKeyLength    = 255
	maxInputTagValueLength  = 500
)

var (
	datasetColumns = []string{
		"dataset_uuid", "experiment_id", "name", "digest", "dataset_source_type", "dataset_source", "dataset_schema",
		"dataset_profile",
	}
	datasetsInsert = database.InsertNewRows("datasets", datasetColumns, []string{"experiment_id", "name", "digest"})

	inputColumns = []string{"input_uuid", "source_type", "source_id", "destination_type", "destination_id"}
	inputsInsert = database.InsertRows("inputs", inputColumns)
	inputsUpsert = database.UpsertRows(database.Upsert{
		Table:   "inputs",
		Columns: inputColumns,
		Key:     []string{"source_type", "source_id", "destination_type", "destination_id"},
		Update:  []string{"input_uuid"},
	})
	outputsInsert   = database.InsertRows("inputs", append(slices.Clip(inputColumns), "step"))
	inputTagsInsert = database.InsertRows("input_tags", []string{"input_uuid", "name", "value"})
)

// LogInputs links datasets and logged models to an active run as what it was given
// (SqlAlchemyStore.log_inputs). A dataset that is linked already keeps its tags. Errors:
// RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE, BAD_REQUEST for a tag that is given twice.
func (s *Store) LogInputs(ctx context.Context, request *protos.LogInputs) (*protos.LogInputs_Response, error) {
	id := request.GetRunId()
	if err := checkRunID(id); err != nil {
		return nil, err
	}

	for _, input := range request.GetDatasets() {
		if err := checkDatasetInput(input); err != nil {
			return nil, err
		}
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		experimentID, err := lockRunActive(tx, id)
		if err != nil {
			return err
		}

		if err := logModelInputs(tx, id, request.GetModels()); err != nil {
			return err
		}

		return logDatasetInputs(tx, id, experimentID, request.GetDatasets())
	}); err != nil {
		return nil, err
	}

	return &protos.LogInputs_Response{}, nil
}

// checkDatasetInput is _validate_dataset and _validate_input_tags.
func checkDatasetInput(input *protos.DatasetInput) error {
	dataset := input.GetDataset()

	for _, text := range []struct {
		name, value string
		limit       int
	}{
		{"name", dataset.GetName(), maxDatasetNameLength},
		{"digest", dataset.GetDigest(), maxDatasetDigestLength},
		{"source", dataset.GetSource(), maxDatasetSourceLength},
		{"schema", dataset.GetSchema(), maxDatasetSchemaLength},
		{"profile", dataset.GetProfile(), maxDatasetProfileLength},
	} {
		if pyfmt.Len(text.value) > text.limit {
			return rules.TooLong(text.name, text.limit)
		}
	}

	for _, tag := range input.GetTags() {
		if pyfmt.Len(tag.GetKey()) > maxInputTagKeyLength {
			return rules.TooLong("key", maxInputTagKeyLength)
		}

		if pyfmt.Len(tag.GetValue()) > maxInputTagValueLength {
			return rules.TooLong("value", maxInputTagValueLength)
		}
	}

	return nil
}

// logModelInputs links models to a run. A link that exists gets a new ID, as session.merge does it.
func logModelInputs(tx *database.Tx, runID string, models []*protos.ModelInput) error {
	var (
		rows   [][]any
		linked = make(map[string]bool, len(models))
	)

	for _, model := range models {
		if id := model.GetModelId(); !linked[id] {
			linked[id] = true
			rows = append(rows, []any{newHexID(), "RUN_INPUT", runID, "MODEL_INPUT", id})
		}
	}

	if _, err := database.ExecRows(tx, inputsUpsert, rows); err != nil {
		return fmt.Errorf("linking models to run %s: %w", runID, err)
	}

	return nil
}

// datasetID is what tells the datasets of an experiment apart.
type datasetID struct{ name, digest string }

// logDatasetInputs adds the datasets that the experiment doesn't have yet, links those that the run
// doesn't have yet, and tags the new links. Of several inputs with one dataset, the first counts.
func logDatasetInputs(tx *database.Tx, runID string, experimentID int64, inputs []*protos.DatasetInput) error {
	var (
		ids    []datasetID
		unique = make(map[datasetID]*protos.DatasetInput, len(inputs))
	)

	for _, input := range inputs {
		id := datasetID{input.GetDataset().GetName(), input.GetDataset().GetDigest()}
		if unique[id] == nil {
			unique[id] = input
			ids = append(ids, id)
		}
	}

	uuids, err := addDatasets(tx, experimentID, ids, unique)
	if err != nil {
		return err
	}

	linked, err := linkedDatasets(tx, runID)
	if err != nil {
		return err
	}

	var links, tags [][]any

	for _, id := range ids {
		if linked[uuids[id]] {
			continue
		}

		input := newHexID()
		links = append(links, []any{input, "DATASET", uuids[id], "RUN", runID})

		for _, tag := range unique[id].GetTags() {
			tags = append(tags, []any{input, tag.GetKey(), tag.GetValue()})
		}
	}

	if _, err := database.ExecRows(tx, inputsInsert, links); err != nil {
		return fmt.Errorf("linking datasets to run %s: %w", runID, err)
	}

	if _, err := database.ExecRows(tx, inputTagsInsert, tags); err != nil {
		return fmt.Errorf("tagging the datasets of run %s: %w", runID, err)
	}

	return nil
}

// addDatasets gives the datasets' UUIDs, after it has added those that are new. Another run of the
// experiment may add the same dataset at the same time; whoever was first counts.
func addDatasets(
	tx *database.Tx, experimentID int64, ids []datasetID, inputs map[datasetID]*protos.DatasetInput,
) (map[datasetID]string, error) {
	uuids, err := datasetUUIDs(tx, experimentID, ids)
	if err != nil {
		return nil, err
	}

	var (
		rows    [][]any
		missing []datasetID
	)

	for _, id := range ids {
		if uuids[id] != "" {
			continue
		}

		uuids[id] = newHexID()

		dataset := inputs[id].GetDataset()
		if dataset == nil {
			dataset = &protos.Dataset{} // MLflow reads a missing message as an empty one
		}

		missing = append(missing, id)
		rows = append(rows, []any{
			uuids[id], experimentID, id.name, id.digest, dataset.GetSourceType(), dataset.GetSource(),
			dataset.Schema, dataset.Profile, //nolint:protogetter // missing is NULL
		})
	}

	added, err := database.ExecRows(tx, datasetsInsert, rows)
	if err != nil {
		return nil, fmt.Errorf("inserting datasets of experiment %d: %w", experimentID, err)
	}

	if added == int64(len(rows)) {
		return uuids, nil
	}

	stored, err := datasetUUIDs(tx, experimentID, missing)
	if err != nil {
		return nil, err
	}

	for i, id := range missing {
		if stored[id] != "" {
			continue
		}

		if err := insertRefused(tx, "datasets", datasetColumns, rows[i]); err != nil {
			return nil, fmt.Errorf("inserting a dataset of experiment %d: %w", experimentID, err)
		}
	}

	maps.Copy(uuids, stored)

	return uuids, nil
}

// datasetUUIDs reads the UUIDs of those datasets that an experiment has.
func datasetUUIDs(tx *database.Tx, experimentID int64, ids []datasetID) (map[datasetID]string, error) {
	const perStatement = 500

	found := make(map[datasetID]string, len(ids))

	for len(ids) > 0 {
		piece := ids[:min(perStatement, len(ids))]
		ids = ids[len(piece):]

		args := make([]any, 1, 1+2*len(piece))
		args[0] = experimentID

		for _, id := range piece {
			args = append(args, id.name, id.digest)
		}

		if _, err := database.Query(tx, func(scan func(...any) error) (struct{}, error) {
			var (
				id   datasetID
				uuid string
			)

			err := scan(&id.name, &id.digest, &uuid)
			found[id] = uuid

			return struct{}{}, err
		}, "SELECT name, digest, dataset_uuid FROM datasets WHERE experiment_id = ? AND (name = ? AND digest = ?"+
			strings.Repeat(" OR name = ? AND digest = ?", len(piece)-1)+")", args...); err != nil {
			return nil, fmt.Errorf("reading datasets of experiment %d: %w", experimentID, err)
		}
	}

	return found, nil
}

// linkedDatasets are the UUIDs of the datasets that a run has.
func linkedDatasets(tx *database.Tx, runID string) (map[string]bool, error) {
	linked := make(map[string]bool)

	if _, err := database.Query(tx, func(scan func(...any) error) (struct{}, error) {
		var uuid string

		err := scan(&uuid)
		linked[uuid] = true

		return struct{}{}, err
	}, "SELECT source_id FROM inputs WHERE destination_type = 'RUN' AND destination_id = ? AND source_type = 'DATASET'",
		runID); err != nil {
		return nil, fmt.Errorf("reading the datasets of run %s: %w", runID, err)
	}

	return linked, nil
}

// LogOutputs links logged models to an active run as what it brought about
// (SqlAlchemyStore.log_outputs). A model that is linked already is BAD_REQUEST.
func (s *Store) LogOutputs(ctx context.Context, request *protos.LogOutputs) (*protos.LogOutputs_Response, error) {
	id := request.GetRunId()

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if _, err := checkRunActive(tx, id); err != nil {
			return err
		}

		rows := make([][]any, len(request.GetModels()))
		for i, model := range request.GetModels() {
			rows[i] = []any{newHexID(), "RUN_OUTPUT", id, "MODEL_OUTPUT", model.GetModelId(), model.GetStep()}
		}

		if _, err := database.ExecRows(tx, outputsInsert, rows); err != nil {
			return fmt.Errorf("linking the output models of run %s: %w", id, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.LogOutputs_Response{}, nil
}

// newHexID is a random UUID without dashes (uuid4().hex).
func newHexID() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// modelHistoryTag lists what was logged to a run by the means of MLflow 2 (MLFLOW_LOGGED_MODELS).
const modelHistoryTag = "mlflow.log-model.history"

// LogModel appends a model's description to the run's tag mlflow.log-model.history
// (SqlAlchemyStore.record_logged_model). Errors: RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE.
func (s *Store) LogModel(ctx context.Context, request *protos.LogModel) (*protos.LogModel_Response, error) {
	model, err := modelHistoryEntry(request.GetModelJson())
	if err != nil {
		return nil, err
	}

	id := request.GetRunId()

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if _, err := lockRunActive(tx, id); err != nil {
			return err
		}

		history, err := modelHistory(tx, id)
		if err != nil {
			return err
		}

		value := formatJSON(append(history, model))
		// The check may cut the value; MLflow stores it whole.
		if _, err := s.checkTag(modelHistoryTag, value, ""); err != nil {
			return err
		}

		return upsertTags(tx, id, []tag{{key: modelHistoryTag, value: value}})
	}); err != nil {
		return nil, err
	}

	return &protos.LogModel_Response{}, nil
}

// modelHistory reads the models in a run's tag.
func modelHistory(tx *database.Tx, runID string) ([]any, error) {
	tags, err := runTags(tx, runID)
	if err != nil {
		return nil, err
	}

	for _, tag := range tags {
		if tag.GetKey() != modelHistoryTag {
			continue
		}

		history, ok := parseJSON(tag.GetValue()).([]any)
		if !ok {
			return nil, contract.InvalidParameter("The tag %s of run %s holds no JSON list, so no model can be added.",
				modelHistoryTag, runID)
		}

		return history, nil
	}

	return nil, nil
}
