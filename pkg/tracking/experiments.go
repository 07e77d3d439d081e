package tracking

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/rules"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

var experimentTagsInsert = database.InsertRows("experiment_tags", []string{"key", "value", "experiment_id"})

const experimentColumns = "experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time, " +
	"workspace"

// scanExperiment reads a row of experimentColumns.
func scanExperiment(scan func(...any) error) (schema.Experiment, error) {
	var e schema.Experiment

	err := scan(&e.ExperimentID, &e.Name, &e.ArtifactLocation, &e.LifecycleStage, &e.CreationTime, &e.LastUpdateTime,
		&e.Workspace)

	return e, err
}

// experimentMessage is an experiment as clients see it (mlflow.entities.Experiment.to_proto):
// times of zero are left out.
func experimentMessage(e schema.Experiment, tags []*protos.ExperimentTag) *protos.Experiment {
	return &protos.Experiment{
		ExperimentId:     new(formatID(e.ExperimentID)),
		Name:             new(e.Name),
		ArtifactLocation: e.ArtifactLocation,
		LifecycleStage:   e.LifecycleStage,
		CreationTime:     nonZero(e.CreationTime),
		LastUpdateTime:   nonZero(e.LastUpdateTime),
		Workspace:        new(cmp.Or(e.Workspace, contract.DefaultWorkspace)),
		Tags:             tags,
	}
}

func nonZero(n *int64) *int64 {
	if n == nil || *n == 0 {
		return nil
	}

	return n
}

// stages is a condition on the lifecycle stage.
type stages string

const (
	anyStage    stages = "lifecycle_stage IN ('active', 'deleted')"
	onlyActive  stages = "lifecycle_stage = 'active'"
	onlyDeleted stages = "lifecycle_stage = 'deleted'"
)

// findExperiment is SqlAlchemyStore._get_experiment: an empty id means the default experiment.
// Errors: RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE for an id that isn't a number.
func findExperiment(tx *database.Tx, idText string, view stages) (schema.Experiment, error) {
	id, err := rules.ExperimentID(cmp.Or(idText, defaultExperimentID))
	if err != nil {
		return schema.Experiment{}, err
	}

	fits, err := mayHoldExperiment(tx, id)
	if err != nil {
		return schema.Experiment{}, err
	}

	if !fits {
		return schema.Experiment{}, rules.NoExperiment(formatID(id))
	}

	condition, args := inWorkspace(tx.Caller(), "experiment_id", id)

	found, err := database.QueryRow(tx, scanExperiment,
		"SELECT "+experimentColumns+" FROM experiments WHERE experiment_id = ? AND "+string(view)+condition, args...)

	switch {
	case isNotFound(err):
		return schema.Experiment{}, rules.NoExperiment(formatID(id))
	case err != nil:
		return schema.Experiment{}, fmt.Errorf("reading experiment %d: %w", id, err)
	default:
		return found, nil
	}
}

// mayHoldExperiment says whether the id column can hold an id. The column has 32 bits everywhere
// but in SQLite, where experiments that came from a file store have ids of 18 digits; drivers fail
// on an id that is too large, so it is only sent when the table has ids of its size.
func mayHoldExperiment(tx *database.Tx, id int64) (bool, error) {
	if math.MinInt32 <= id && id <= math.MaxInt32 {
		return true, nil
	}

	var largest *int64
	if err := tx.QueryRow("SELECT MAX(experiment_id) FROM experiments").Scan(&largest); err != nil {
		return false, fmt.Errorf("reading the largest experiment id: %w", err)
	}

	return id > 0 && largest != nil && id <= *largest, nil
}

// experimentTags reads the tags of an experiment.
func experimentTags(tx *database.Tx, id int64) ([]*protos.ExperimentTag, error) {
	tags, err := database.Query(tx, func(scan func(...any) error) (*protos.ExperimentTag, error) {
		tag := &protos.ExperimentTag{}
		err := scan(&tag.Key, &tag.Value)

		return tag, err
	}, "SELECT "+tx.Dialect().Quote("key")+", value FROM experiment_tags WHERE experiment_id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("reading tags of experiment %d: %w", id, err)
	}

	return tags, nil
}

func errExperimentInactive(e schema.Experiment) error {
	return contract.InvalidParameter("The experiment %d must be in the 'active' state. Current state is %s.",
		e.ExperimentID, stageName(e.LifecycleStage))
}

// CreateExperiment adds an experiment and says its id (SqlAlchemyStore.create_experiment). Errors:
// INVALID_PARAMETER_VALUE, RESOURCE_ALREADY_EXISTS.
func (s *Store) CreateExperiment(
	ctx context.Context, request *protos.CreateExperiment,
) (*protos.CreateExperiment_Response, error) {
	location := request.GetArtifactLocation()
	if location != "" && contract.CallerFrom(ctx).Workspace != "" {
		return nil, contract.InvalidParameter("artifact_location cannot be specified when workspaces are enabled")
	}

	if err := checkExperimentName(request.GetName()); err != nil {
		return nil, err
	}

	if location != "" {
		resolved, err := uri.ResolveLocal(location)
		if err != nil {
			return nil, err
		}

		location = resolved
		if err := s.checkArtifactLocationLength(location); err != nil {
			return nil, err
		}
	}

	for _, tag := range request.GetTags() {
		if err := checkExperimentTag(tag.GetKey(), tag.GetValue()); err != nil {
			return nil, err
		}
	}

	id, err := database.Write(ctx, s.db, func(tx *database.Tx) (int64, error) {
		return s.createExperiment(tx, request.GetName(), location, request.GetTags())
	})
	if database.IsIntegrityViolation(err) {
		return nil, &contract.Error{
			Code: protos.ErrorCode_RESOURCE_ALREADY_EXISTS,
			Message: fmt.Sprintf("Experiment(name=%s) already exists. Error: %s",
				request.GetName(), contract.AsError(err).Message),
			Cause: err,
		}
	}

	if err != nil {
		return nil, err
	}

	return &protos.CreateExperiment_Response{ExperimentId: new(formatID(id))}, nil
}

func (s *Store) createExperiment(
	tx *database.Tx, name, location string, tags []*protos.ExperimentTag,
) (int64, error) {
	now := nowMillis()

	id, err := tx.Insert("experiments",
		[]string{"name", "workspace", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time"},
		"experiment_id", name, tx.Workspace(), location, active, now, now)
	if err != nil {
		return 0, fmt.Errorf("inserting experiment: %w", err)
	}

	rows := make([][]any, len(tags))
	for i, tag := range tags {
		rows[i] = []any{tag.GetKey(), tag.GetValue(), id}
	}

	if _, err := database.ExecRows(tx, experimentTagsInsert, rows); err != nil {
		return 0, fmt.Errorf("inserting tags of experiment %d: %w", id, err)
	}

	if location != "" {
		return id, nil
	}

	// The default location holds the id, so it is known only now.
	location, err = s.defaultLocation(tx, id)
	if err != nil {
		return 0, fmt.Errorf("placing the artifacts of experiment %d: %w", id, err)
	}

	if _, err := tx.Exec("UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
		location, id); err != nil {
		return 0, fmt.Errorf("placing the artifacts of experiment %d: %w", id, err)
	}

	return id, nil
}

// GetExperiment reads an experiment, deleted or not (SqlAlchemyStore.get_experiment).
func (s *Store) GetExperiment(
	ctx context.Context, request *protos.GetExperiment,
) (*protos.GetExperiment_Response, error) {
	found, err := database.Read(ctx, s.db, func(tx *database.Tx) (*protos.Experiment, error) {
		found, err := findExperiment(tx, request.GetExperimentId(), anyStage)
		if err != nil {
			return nil, err
		}

		tags, err := experimentTags(tx, found.ExperimentID)

		return experimentMessage(found, tags), err
	})
	if err != nil {
		return nil, err
	}

	return &protos.GetExperiment_Response{Experiment: found}, nil
}

// GetExperimentByName reads an experiment, deleted or not (SqlAlchemyStore.get_experiment_by_name,
// with the error of its HTTP handler where the store answers None).
func (s *Store) GetExperimentByName(
	ctx context.Context, request *protos.GetExperimentByName,
) (*protos.GetExperimentByName_Response, error) {
	name := request.GetExperimentName()

	found, err := database.Read(ctx, s.db, func(tx *database.Tx) (*protos.Experiment, error) {
		condition, args := inWorkspace(tx.Caller(), "experiment_id", name)

		found, err := database.QueryRow(tx, scanExperiment,
			"SELECT "+experimentColumns+" FROM experiments WHERE name = ? AND "+string(anyStage)+condition, args...)

		switch {
		case isNotFound(err):
			return nil, contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
				"Could not find experiment with name '%s'", name)
		case err != nil:
			return nil, fmt.Errorf("reading experiment by name: %w", err)
		}

		tags, err := experimentTags(tx, found.ExperimentID)

		return experimentMessage(found, tags), err
	})
	if err != nil {
		return nil, err
	}

	return &protos.GetExperimentByName_Response{Experiment: found}, nil
}

// UpdateExperiment renames an active experiment (SqlAlchemyStore.rename_experiment). Errors:
// INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, INVALID_STATE for a deleted one.
func (s *Store) UpdateExperiment(
	ctx context.Context, request *protos.UpdateExperiment,
) (*protos.UpdateExperiment_Response, error) {
	if err := checkExperimentName(request.GetNewName()); err != nil {
		return nil, err
	}

	err := s.db.Write(ctx, func(tx *database.Tx) error {
		found, err := findExperiment(tx, request.GetExperimentId(), anyStage)
		if err != nil {
			return err
		}

		if !isActive(found.LifecycleStage) {
			return contract.Errorf(protos.ErrorCode_INVALID_STATE, "Cannot rename a non-active experiment.")
		}

		if _, err := tx.Exec("UPDATE experiments SET name = ?, last_update_time = ? WHERE experiment_id = ?",
			request.GetNewName(), nowMillis(), found.ExperimentID); err != nil {
			return fmt.Errorf("renaming experiment %d: %w", found.ExperimentID, err)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.UpdateExperiment_Response{}, nil
}

// DeleteExperiment marks an active experiment and all of its runs as deleted
// (SqlAlchemyStore.delete_experiment).
func (s *Store) DeleteExperiment(
	ctx context.Context, request *protos.DeleteExperiment,
) (*protos.DeleteExperiment_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		found, err := findExperiment(tx, request.GetExperimentId(), onlyActive)
		if err != nil {
			return err
		}

		if err := setExperimentStage(tx, found.ExperimentID, deleted); err != nil {
			return err
		}

		if err := deleteAssessmentsOfExperiment(tx, found.ExperimentID); err != nil {
			return err
		}

		if _, err := tx.Exec("UPDATE runs SET lifecycle_stage = ?, deleted_time = ? WHERE experiment_id = ?",
			deleted, nowMillis(), found.ExperimentID); err != nil {
			return fmt.Errorf("deleting the runs of experiment %d: %w", found.ExperimentID, err)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.DeleteExperiment_Response{}, nil
}

// RestoreExperiment makes a deleted experiment and all of its runs active, those as well that were
// deleted before it (SqlAlchemyStore.restore_experiment).
func (s *Store) RestoreExperiment(
	ctx context.Context, request *protos.RestoreExperiment,
) (*protos.RestoreExperiment_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		found, err := findExperiment(tx, request.GetExperimentId(), onlyDeleted)
		if err != nil {
			return err
		}

		if err := setExperimentStage(tx, found.ExperimentID, active); err != nil {
			return err
		}

		if _, err := tx.Exec("UPDATE runs SET lifecycle_stage = ?, deleted_time = NULL WHERE experiment_id = ?",
			active, found.ExperimentID); err != nil {
			return fmt.Errorf("restoring the runs of experiment %d: %w", found.ExperimentID, err)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.RestoreExperiment_Response{}, nil
}

func setExperimentStage(tx *database.Tx, id int64, stage string) error {
	if _, err := tx.Exec("UPDATE experiments SET lifecycle_stage = ?, last_update_time = ? WHERE experiment_id = ?",
		stage, nowMillis(), id); err != nil {
		return fmt.Errorf("making experiment %d %s: %w", id, stage, err)
	}

	return nil
}

// SetExperimentTag adds or changes a tag of an active experiment
// (SqlAlchemyStore.set_experiment_tag).
func (s *Store) SetExperimentTag(
	ctx context.Context, request *protos.SetExperimentTag,
) (*protos.SetExperimentTag_Response, error) {
	if err := checkExperimentTag(request.GetKey(), request.GetValue()); err != nil {
		return nil, err
	}

	err := s.db.Write(ctx, func(tx *database.Tx) error {
		id, err := activeExperiment(tx, request.GetExperimentId())
		if err != nil {
			return err
		}

		if err := checkStoredID(request.GetExperimentId()); err != nil {
			return err
		}

		if _, err := tx.Exec(tx.Dialect().Upsert(database.Upsert{
			Table:   "experiment_tags",
			Columns: []string{"key", "value", "experiment_id"},
			Key:     []string{"key", "experiment_id"},
			Update:  []string{"value"},
			Rows:    1,
		}), request.GetKey(), request.GetValue(), id); err != nil {
			return fmt.Errorf("setting a tag of experiment %d: %w", id, err)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.SetExperimentTag_Response{}, nil
}

// DeleteExperimentTag removes a tag of an active experiment
// (SqlAlchemyStore.delete_experiment_tag). Errors: RESOURCE_DOES_NOT_EXIST,
// INVALID_PARAMETER_VALUE.
func (s *Store) DeleteExperimentTag(
	ctx context.Context, request *protos.DeleteExperimentTag,
) (*protos.DeleteExperimentTag_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		id, err := activeExperiment(tx, request.GetExperimentId())
		if err != nil {
			return err
		}

		gone, err := tx.Exec("DELETE FROM experiment_tags WHERE experiment_id = ? AND "+
			tx.Dialect().Quote("key")+" = ?", id, request.GetKey())
		if err != nil {
			return fmt.Errorf("deleting a tag of experiment %d: %w", id, err)
		}

		if gone == 0 {
			return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
				"No tag with name: %s in experiment with id %s", request.GetKey(), request.GetExperimentId())
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.DeleteExperimentTag_Response{}, nil
}

// activeExperiment gives the id of an experiment that must be active.
func activeExperiment(tx *database.Tx, idText string) (int64, error) {
	found, err := findExperiment(tx, idText, anyStage)
	if err != nil {
		return 0, err
	}

	if !isActive(found.LifecycleStage) {
		return 0, errExperimentInactive(found)
	}

	return found.ExperimentID, nil
}

// sourceRun is how the metadata of an assessment, a JSON object in a text column, names the run
// that it came from (AssessmentMetadataKey.SOURCE_RUN_ID).
const sourceRun = `"mlflow.assessment.sourceRunId": "`

// deleteAssessmentsOfRuns deletes the assessments that runs brought about, as MLflow does when it
// marks a run as deleted (SqlAlchemyStore._mark_run_deleted).
func deleteAssessmentsOfRuns(tx *database.Tx, runIDs []string) error {
	const perStatement = 100

	for len(runIDs) > 0 {
		piece := runIDs[:min(perStatement, len(runIDs))]
		runIDs = runIDs[len(piece):]

		patterns := make([]any, len(piece))
		for i, id := range piece {
			patterns[i] = "%" + sourceRun + id + `"%`
		}

		condition := "assessment_metadata LIKE ?" + strings.Repeat(" OR assessment_metadata LIKE ?", len(piece)-1)
		if _, err := tx.Exec("DELETE FROM assessments WHERE "+condition, patterns...); err != nil {
			return fmt.Errorf("deleting the assessments of runs: %w", err)
		}
	}

	return nil
}

func deleteAssessmentsOfExperiment(tx *database.Tx, id int64) error {
	var candidates int
	if err := tx.QueryRow("SELECT COUNT(*) FROM assessments WHERE assessment_metadata LIKE ?",
		"%"+sourceRun+"%").Scan(&candidates); err != nil {
		return fmt.Errorf("looking for assessments of runs: %w", err)
	}

	if candidates == 0 {
		return nil
	}

	runIDs, err := database.Query(tx, database.Value[string], "SELECT run_uuid FROM runs WHERE experiment_id = ?", id)
	if err != nil {
		return fmt.Errorf("listing the runs of experiment %d: %w", id, err)
	}

	return deleteAssessmentsOfRuns(tx, runIDs)
}
