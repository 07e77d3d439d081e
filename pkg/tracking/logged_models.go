package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

const (
	modelsFolder  = "models"
	modelIDPrefix = "m-"

	loggedModelColumns = "model_id, experiment_id, name, artifact_location, creation_timestamp_ms, " +
		"last_updated_timestamp_ms, status, lifecycle_stage, model_type, source_run_id, status_message"
)

// scanLoggedModel reads a row of loggedModelColumns.
func scanLoggedModel(scan func(...any) error) (schema.LoggedModel, error) {
	var m schema.LoggedModel

	err := scan(&m.ModelID, &m.ExperimentID, &m.Name, &m.ArtifactLocation, &m.CreationTimestampMS,
		&m.LastUpdatedTimestampMS, &m.Status, &m.LifecycleStage, &m.ModelType, &m.SourceRunID, &m.StatusMessage)

	return m, err
}

// errUnreadableModel is for rows that MLflow can't read either.
var errUnreadableModel = errors.New("MLflow never wrote this")

// loadLoggedModels makes messages of logged models, in the order of the rows, with their tags,
// params and metrics (SqlLoggedModel.to_mlflow_entity and LoggedModel.to_proto).
func loadLoggedModels(tx *database.Tx, rows []schema.LoggedModel) ([]*protos.LoggedModel, error) {
	models := make([]*protos.LoggedModel, 0, len(rows))

	for piece := range slices.Chunk(rows, runsPerStatement) {
		page := make(map[string]*protos.LoggedModel, len(piece))
		ids := make([]any, len(piece))

		for i, row := range piece {
			if row.Status < 0 || row.Status > int64(protos.LoggedModelStatus_LOGGED_MODEL_UPLOAD_FAILED) {
				return nil, fmt.Errorf("logged model %s has status %d: %w", row.ModelID, row.Status, errUnreadableModel)
			}

			page[row.ModelID] = loggedModelMessage(row)
			ids[i] = row.ModelID
			models = append(models, page[row.ModelID])
		}

		if err := tx.Select(
			selectModelTags(page, ids), selectModelParams(page, ids), selectModelMetrics(page, ids),
		); err != nil {
			return nil, fmt.Errorf("reading tags, params and metrics of logged models: %w", err)
		}
	}

	return models, nil
}

func loggedModelMessage(m schema.LoggedModel) *protos.LoggedModel {
	return &protos.LoggedModel{
		Info: &protos.LoggedModelInfo{
			ModelId:                new(m.ModelID),
			ExperimentId:           new(formatID(m.ExperimentID)),
			Name:                   new(m.Name),
			CreationTimestampMs:    new(m.CreationTimestampMS),
			LastUpdatedTimestampMs: new(m.LastUpdatedTimestampMS),
			ArtifactUri:            new(m.ArtifactLocation),
			Status:                 protos.LoggedModelStatus(m.Status).Enum(), //nolint:gosec // a known one
			ModelType:              m.ModelType,
			SourceRunId:            m.SourceRunID,
			StatusMessage:          m.StatusMessage,
		},
		Data: &protos.LoggedModelData{},
	}
}

// ofModels reads what belongs to models; row is called for each row with its Scan.
func ofModels(ids []any, row func(scan func(...any) error) error, query string) database.Selection {
	return database.Selection{
		Statement: database.Statement{
			Query: query + " WHERE model_id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")", Args: ids,
		},
		Row: row,
	}
}

func selectModelTags(models map[string]*protos.LoggedModel, ids []any) database.Selection {
	return ofModels(ids, func(scan func(...any) error) error {
		var id string

		tag := &protos.LoggedModelTag{}
		if err := scan(&id, &tag.Key, &tag.Value); err != nil {
			return err
		}

		info := models[id].GetInfo()
		info.Tags = append(info.Tags, tag)

		return nil
	}, "SELECT model_id, tag_key, tag_value FROM logged_model_tags")
}

func selectModelParams(models map[string]*protos.LoggedModel, ids []any) database.Selection {
	return ofModels(ids, func(scan func(...any) error) error {
		var id string

		param := &protos.LoggedModelParameter{}
		if err := scan(&id, &param.Key, &param.Value); err != nil {
			return err
		}

		data := models[id].GetData()
		data.Params = append(data.Params, param)

		return nil
	}, "SELECT model_id, param_key, param_value FROM logged_model_params")
}

func selectModelMetrics(models map[string]*protos.LoggedModel, ids []any) database.Selection {
	return ofModels(ids, func(scan func(...any) error) error {
		var (
			id, run      string
			name, digest *string
		)

		metric := &protos.Metric{ModelId: &id, RunId: &run}
		if err := scan(&id, &metric.Key, &metric.Timestamp, &metric.Step, &metric.Value, &run, &name, &digest); err != nil {
			return err
		}

		if metric.Value == nil {
			return fmt.Errorf("metric %s of logged model %s has no value: %w", metric.GetKey(), id,
				errUnreadableModel)
		}

		if err := checkMetricDataset(deref(name), deref(digest)); err != nil {
			return err
		}

		if deref(name) != "" {
			metric.DatasetName, metric.DatasetDigest = name, digest
		}

		data := models[id].GetData()
		data.Metrics = append(data.Metrics, metric)

		return nil
	}, "SELECT model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, run_id, dataset_name, "+
		"dataset_digest FROM logged_model_metrics")
}

func errNoLoggedModel(id string) error {
	return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Logged model with ID '%s' not found.", id)
}

// findLoggedModel reads a logged model, deleted or not (SqlAlchemyStore._get_logged_model_record).
func findLoggedModel(tx *database.Tx, id string) (schema.LoggedModel, error) {
	condition, args := inWorkspace(tx.Caller(), "experiment_id", id)

	found, err := scanLoggedModel(tx.QueryRow(
		"SELECT "+loggedModelColumns+" FROM logged_models WHERE model_id = ?"+condition, args...).Scan)

	switch {
	case isNotFound(err):
		return schema.LoggedModel{}, errNoLoggedModel(id)
	case err != nil:
		return schema.LoggedModel{}, fmt.Errorf("reading logged model: %w", err)
	default:
		return found, nil
	}
}

func loadLoggedModel(tx *database.Tx, row schema.LoggedModel) (*protos.LoggedModel, error) {
	models, err := loadLoggedModels(tx, []schema.LoggedModel{row})
	if err != nil {
		return nil, err
	}

	return models[0], nil
}

// badModelNameCharacters are in MLflow's order.
var badModelNameCharacters = []string{"/", ":", ".", "%", `"`, "'"}

// checkLoggedModelName is _validate_logged_model_name.
func checkLoggedModelName(name string) error {
	if name != "" && !slices.ContainsFunc(badModelNameCharacters, func(bad string) bool {
		return strings.Contains(name, bad)
	}) {
		return nil
	}

	return contract.InvalidParameter("Invalid model name (%s) provided. Model name must be a non-empty string and cannot "+
		"contain the following characters: (%s)", pyfmt.Repr(name),
		strings.Trim(pyfmt.ReprList(badModelNameCharacters), "[]"))
}

// CreateLoggedModel adds a model to an active experiment, and names it if nobody did
// (SqlAlchemyStore.create_logged_model). Errors: RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE,
// BAD_REQUEST for a param or tag that is given twice.
func (s *Store) CreateLoggedModel(
	ctx context.Context, request *protos.CreateLoggedModel,
) (*protos.CreateLoggedModel_Response, error) {
	name := request.GetName()

	if request.Name == nil {
		name = randomRunName()
	} else if err := checkLoggedModelName(name); err != nil {
		return nil, err
	}

	created, err := database.Write(ctx, s.db, func(tx *database.Tx) (*protos.LoggedModel, error) {
		row, err := createLoggedModel(tx, name, request)
		if err != nil {
			return nil, err
		}

		if err := insertModelParams(tx, row, request.GetParams()); err != nil {
			return nil, err
		}

		rows := make([][]any, len(request.GetTags()))
		for i, tag := range request.GetTags() {
			rows[i] = []any{row.ModelID, row.ExperimentID, tag.GetKey(), tag.GetValue()}
		}

		if _, err := database.ExecRows(tx, modelTagsInsert, rows); err != nil {
			return nil, fmt.Errorf("inserting tags of logged model %s: %w", row.ModelID, err)
		}

		return loadLoggedModel(tx, row)
	})
	if err != nil {
		return nil, err
	}

	return &protos.CreateLoggedModel_Response{Model: created}, nil
}

var (
	modelTagColumns = []string{"model_id", "experiment_id", "tag_key", "tag_value"}
	modelTagsInsert = database.InsertRows("logged_model_tags", modelTagColumns)
	modelTagsUpsert = database.UpsertRows(database.Upsert{
		Table:   "logged_model_tags",
		Columns: modelTagColumns,
		Key:     []string{"model_id", "tag_key"},
		Update:  []string{"experiment_id", "tag_value"},
	})
	modelParamsInsert = database.InsertRows("logged_model_params",
		[]string{"model_id", "experiment_id", "param_key", "param_value"})
)

func createLoggedModel(
	tx *database.Tx, name string, request *protos.CreateLoggedModel,
) (row schema.LoggedModel, err error) {
	experiment, err := findExperiment(tx, request.GetExperimentId(), anyStage)
	if err != nil {
		return row, err
	}

	if !isActive(experiment.LifecycleStage) {
		return row, errExperimentInactive(experiment)
	}

	if err := checkStoredID(request.GetExperimentId()); err != nil {
		return row, err
	}

	now := nowMillis()
	row = schema.LoggedModel{
		ModelID: modelIDPrefix + newHexID(), ExperimentID: experiment.ExperimentID, Name: name,
		CreationTimestampMS: now, LastUpdatedTimestampMS: now,
		Status: int64(protos.LoggedModelStatus_LOGGED_MODEL_PENDING), LifecycleStage: new(active),
		ModelType: request.ModelType, SourceRunID: request.SourceRunId,
	}

	row.ArtifactLocation, err = uri.AppendPath(deref(experiment.ArtifactLocation), modelsFolder, row.ModelID,
		artifactsFolder)
	if err != nil {
		return row, fmt.Errorf("placing the artifacts of a logged model: %w", err)
	}

	if _, err := tx.Exec(tx.Dialect().Insert("logged_models", strings.Split(loggedModelColumns, ", "), 1),
		row.ModelID, row.ExperimentID, row.Name, row.ArtifactLocation, row.CreationTimestampMS,
		row.LastUpdatedTimestampMS, row.Status, row.LifecycleStage, row.ModelType, row.SourceRunID,
		row.StatusMessage); err != nil {
		return row, fmt.Errorf("inserting logged model: %w", err)
	}

	return row, nil
}

func insertModelParams(tx *database.Tx, model schema.LoggedModel, params []*protos.LoggedModelParameter) error {
	rows := make([][]any, len(params))
	for i, param := range params {
		rows[i] = []any{model.ModelID, model.ExperimentID, param.GetKey(), param.GetValue()}
	}

	if _, err := database.ExecRows(tx, modelParamsInsert, rows); err != nil {
		return fmt.Errorf("inserting params of logged model %s: %w", model.ModelID, err)
	}

	return nil
}

// GetLoggedModel reads a logged model, a deleted one only where the context asks for it
// (SqlAlchemyStore.get_logged_model). Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetLoggedModel(
	ctx context.Context, request *protos.GetLoggedModel,
) (*protos.GetLoggedModel_Response, error) {
	id := request.GetModelId()

	found, err := database.Read(ctx, s.db, func(tx *database.Tx) (*protos.LoggedModel, error) {
		row, err := findLoggedModel(tx, id)
		if err != nil {
			return nil, err
		}

		if !isActive(row.LifecycleStage) && !contract.DeletedFrom(ctx) {
			return nil, errNoLoggedModel(id)
		}

		return loadLoggedModel(tx, row)
	})
	if err != nil {
		return nil, err
	}

	return &protos.GetLoggedModel_Response{Model: found}, nil
}

// FinalizeLoggedModel sets a logged model's status, whatever it was
// (SqlAlchemyStore.finalize_logged_model).
func (s *Store) FinalizeLoggedModel(
	ctx context.Context, request *protos.FinalizeLoggedModel,
) (*protos.FinalizeLoggedModel_Response, error) {
	changed, err := database.Write(ctx, s.db, func(tx *database.Tx) (*protos.LoggedModel, error) {
		row, err := findLoggedModel(tx, request.GetModelId())
		if err != nil {
			return nil, err
		}

		row.Status, row.LastUpdatedTimestampMS = int64(request.GetStatus()), nowMillis()

		if _, err := tx.Exec("UPDATE logged_models SET status = ?, last_updated_timestamp_ms = ? WHERE model_id = ?",
			row.Status, row.LastUpdatedTimestampMS, row.ModelID); err != nil {
			return nil, fmt.Errorf("finalizing logged model %s: %w", row.ModelID, err)
		}

		return loadLoggedModel(tx, row)
	})
	if err != nil {
		return nil, err
	}

	return &protos.FinalizeLoggedModel_Response{Model: changed}, nil
}

// DeleteLoggedModel marks a logged model as deleted (SqlAlchemyStore.delete_logged_model).
func (s *Store) DeleteLoggedModel(
	ctx context.Context, request *protos.DeleteLoggedModel,
) (*protos.DeleteLoggedModel_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		condition, args := inWorkspace(tx.Caller(), "experiment_id", deleted, nowMillis(), request.GetModelId())

		changed, err := tx.Exec("UPDATE logged_models SET lifecycle_stage = ?, last_updated_timestamp_ms = ? "+
			"WHERE model_id = ?"+condition, args...)
		if err != nil {
			return fmt.Errorf("deleting logged model: %w", err)
		}

		if changed == 0 { // or a second deletion within a millisecond, on MySQL
			_, err = findLoggedModel(tx, request.GetModelId())
		}

		return err
	})
	if err != nil {
		return nil, err
	}

	return &protos.DeleteLoggedModel_Response{}, nil
}

// LogLoggedModelParams adds params to a logged model (SqlAlchemyStore.log_logged_model_params). One
// that it has already is BAD_REQUEST.
func (s *Store) LogLoggedModelParams(
	ctx context.Context, request *protos.LogLoggedModelParamsRequest,
) (*protos.LogLoggedModelParamsRequest_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		model, err := findLoggedModel(tx, request.GetModelId())
		if err != nil {
			return err
		}

		return insertModelParams(tx, model, request.GetParams())
	})
	if err != nil {
		return nil, err
	}

	return &protos.LogLoggedModelParamsRequest_Response{}, nil
}

// SetLoggedModelTags adds or changes tags of a logged model; of several with one key, the last value
// counts (SqlAlchemyStore.set_logged_model_tags).
func (s *Store) SetLoggedModelTags(
	ctx context.Context, request *protos.SetLoggedModelTags,
) (*protos.SetLoggedModelTags_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		model, err := findLoggedModel(tx, request.GetModelId())
		if err != nil {
			return err
		}

		var (
			rows  [][]any
			place = make(map[string]int, len(request.GetTags()))
		)

		for _, tag := range request.GetTags() {
			row := []any{model.ModelID, model.ExperimentID, tag.GetKey(), tag.GetValue()}
			if i, known := place[tag.GetKey()]; known {
				rows[i] = row

				continue
			}

			place[tag.GetKey()] = len(rows)
			rows = append(rows, row)
		}

		if _, err := database.ExecRows(tx, modelTagsUpsert, rows); err != nil {
			return fmt.Errorf("setting tags of logged model %s: %w", model.ModelID, err)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.SetLoggedModelTags_Response{}, nil
}

// DeleteLoggedModelTag removes a tag of a logged model (SqlAlchemyStore.delete_logged_model_tag).
func (s *Store) DeleteLoggedModelTag(
	ctx context.Context, request *protos.DeleteLoggedModelTag,
) (*protos.DeleteLoggedModelTag_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		model, err := findLoggedModel(tx, request.GetModelId())
		if err != nil {
			return err
		}

		gone, err := tx.Exec("DELETE FROM logged_model_tags WHERE model_id = ? AND tag_key = ?",
			model.ModelID, request.GetTagKey())
		if err != nil {
			return fmt.Errorf("deleting a tag of logged model %s: %w", model.ModelID, err)
		}

		if gone == 0 {
			return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No tag with key %s found for model with ID %s.",
				pyfmt.Repr(request.GetTagKey()), pyfmt.Repr(model.ModelID))
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.DeleteLoggedModelTag_Response{}, nil
}
