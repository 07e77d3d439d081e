package tracking

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/schema"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

const runColumns = "run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, experiment_id"

// scanRun reads a row of runColumns.
func scanRun(scan func(...any) error) (schema.Run, error) {
	var r schema.Run

	err := scan(&r.RunUUID, &r.Name, &r.UserID, &r.Status, &r.StartTime, &r.EndTime, &r.LifecycleStage, &r.ArtifactURI,
		&r.ExperimentID)

	return r, err
}

// errIncompleteRun is for rows that MLflow can't read either: it raises a bare exception.
var errIncompleteRun = errors.New("cannot be None")

// runInfo is a run as clients see it (mlflow.entities.RunInfo.to_proto): an end time of zero and an
// empty artifact URI are left out, user, status and start time must be there.
func runInfo(r schema.Run) (*protos.RunInfo, error) {
	for _, column := range []struct {
		name    string
		missing bool
	}{
		{"user_id", r.UserID == nil}, {"status", r.Status == nil}, {"start_time", r.StartTime == nil},
	} {
		if column.missing {
			return nil, &contract.Error{
				Code:    protos.ErrorCode_INTERNAL_ERROR,
				Message: column.name + " cannot be None",
				Cause:   fmt.Errorf("run %s: %s %w", r.RunUUID, column.name, errIncompleteRun),
			}
		}
	}

	status, known := protos.RunStatus_value[*r.Status]
	if !known {
		return nil, fmt.Errorf("run %s: unknown status %q: %w", r.RunUUID, *r.Status, errIncompleteRun)
	}

	info := &protos.RunInfo{
		RunId:          new(r.RunUUID),
		RunUuid:        new(r.RunUUID),
		RunName:        r.Name,
		UserId:         r.UserID,
		Status:         protos.RunStatus(status).Enum(),
		StartTime:      r.StartTime,
		EndTime:        nonZero(r.EndTime),
		LifecycleStage: r.LifecycleStage,
	}

	if r.ExperimentID != nil {
		info.ExperimentId = new(formatID(*r.ExperimentID))
	}

	if r.ArtifactURI != nil && *r.ArtifactURI != "" {
		info.ArtifactUri = r.ArtifactURI
	}

	return info, nil
}

// nameFromTags gives a run without a name the value of its tag (SqlRun.to_mlflow_entity).
func nameFromTags(info *protos.RunInfo, tags []*protos.RunTag) {
	if info.GetRunName() != "" {
		return
	}

	if name := runNameOf(tags); name != "" {
		info.RunName = new(name)
	}
}

// runNameOf is the value of the first mlflow.runName tag (_get_run_name_from_tags).
func runNameOf(tags []*protos.RunTag) string {
	for _, tag := range tags {
		if tag.GetKey() == runNameTag {
			return tag.GetValue()
		}
	}

	return ""
}

func errNoRun(id string) error {
	return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Run with id=%s not found", id)
}

// findRun reads a run (SqlAlchemyStore._get_run). Error: RESOURCE_DOES_NOT_EXIST.
func findRun(tx *database.Tx, id string) (schema.Run, error) {
	condition, args := inWorkspace(tx.Caller(), "experiment_id", id)

	found, err := database.QueryRow(tx, scanRun, "SELECT "+runColumns+" FROM runs WHERE run_uuid = ?"+condition, args...)

	switch {
	case isNotFound(err):
		return schema.Run{}, errNoRun(id)
	case err != nil:
		return schema.Run{}, fmt.Errorf("reading run: %w", err)
	default:
		return found, nil
	}
}

// checkRunActive is the gate of everything that is logged to a run
// (SqlAlchemyStore._check_run_is_active); it says to which experiment the run belongs. Errors:
// RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE for a deleted run.
func checkRunActive(tx *database.Tx, id string) (experimentID int64, err error) {
	return checkRun(tx, "", "", id)
}

// lockRunActive is checkRunActive for writers of many rows: it makes the run's next writer wait.
// Two batches that named the same keys in different orders would wait for each other otherwise,
// where rows are locked.
func lockRunActive(tx *database.Tx, id string) (experimentID int64, err error) {
	hint, suffix := tx.Dialect().LockRows()

	return checkRun(tx, hint, suffix, id)
}

// checkRun takes what LockRows says.
func checkRun(tx *database.Tx, hint, suffix, id string) (experimentID int64, err error) {
	var (
		stage      *string
		experiment *int64
	)

	condition, args := inWorkspace(tx.Caller(), "experiment_id", id)

	_, err = database.QueryRow(tx, func(scan func(...any) error) (struct{}, error) {
		return struct{}{}, scan(&stage, &experiment)
	}, "SELECT lifecycle_stage, experiment_id FROM runs"+hint+" WHERE run_uuid = ?"+condition+suffix, args...)

	switch {
	case isNotFound(err):
		return 0, errNoRun(id)
	case err != nil:
		return 0, fmt.Errorf("reading run: %w", err)
	case !isActive(stage):
		return 0, errRunInactive(id, stage)
	case experiment == nil:
		return 0, nil
	default:
		return *experiment, nil
	}
}

func errRunInactive(id string, stage *string) error {
	return contract.InvalidParameter("The run %s must be in the 'active' state. Current state is %s.",
		id, stageName(stage))
}

// CreateRun adds a run to an active experiment, names it if nobody did and keeps the name in the
// tag mlflow.runName as well (SqlAlchemyStore.create_run). Tags are stored as they are. Errors:
// RESOURCE_DOES_NOT_EXIST, INVALID_PARAMETER_VALUE, BAD_REQUEST for a tag that is given twice.
func (s *Store) CreateRun(ctx context.Context, request *protos.CreateRun) (*protos.CreateRun_Response, error) {
	created, err := database.Write(ctx, s.db, func(tx *database.Tx) (*protos.Run, error) {
		return createRun(tx, request)
	})
	if err != nil {
		return nil, err
	}

	return &protos.CreateRun_Response{Run: created}, nil
}

func createRun(tx *database.Tx, request *protos.CreateRun) (*protos.Run, error) {
	experiment, err := findExperiment(tx, request.GetExperimentId(), anyStage)
	if err != nil {
		return nil, err
	}

	if !isActive(experiment.LifecycleStage) {
		return nil, errExperimentInactive(experiment)
	}

	if err := checkStoredID(request.GetExperimentId()); err != nil {
		return nil, err
	}

	id := newHexID()

	location := ""
	if experiment.ArtifactLocation != nil {
		location = *experiment.ArtifactLocation
	}

	location, err = uri.AppendPath(location, id, artifactsFolder)
	if err != nil {
		return nil, fmt.Errorf("placing the artifacts of a run: %w", err)
	}

	name, tags, err := nameRun(request)
	if err != nil {
		return nil, err
	}

	if err := tx.Later(tx.Dialect().Insert("runs", []string{
		"run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
		"end_time", "deleted_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id",
	}, 1),
		id, name, "UNKNOWN", "", "", request.GetUserId(), protos.RunStatus_RUNNING.String(), request.GetStartTime(),
		nil, nil, "", active, location, experiment.ExperimentID); err != nil {
		return nil, fmt.Errorf("inserting run: %w", err)
	}

	rows := make([][]any, len(tags))
	for i, tag := range tags {
		rows[i] = []any{tag.GetKey(), tag.GetValue(), id}
	}

	if err := database.ExecRowsLater(tx, tagsInsert, rows); err != nil {
		return nil, fmt.Errorf("inserting tags of run %s: %w", id, err)
	}

	return &protos.Run{
		Info: &protos.RunInfo{
			RunId:          new(id),
			RunUuid:        new(id),
			RunName:        new(name),
			ExperimentId:   new(request.GetExperimentId()),
			UserId:         new(request.GetUserId()),
			Status:         protos.RunStatus_RUNNING.Enum(),
			StartTime:      new(request.GetStartTime()),
			ArtifactUri:    new(location),
			LifecycleStage: new(active),
		},
		Data:   &protos.RunData{Tags: tags},
		Inputs: &protos.RunInputs{},
	}, nil
}

// nameRun settles a new run's name between the request's field and its tag, and gives the tags
// that are to be stored.
func nameRun(request *protos.CreateRun) (name string, tags []*protos.RunTag, err error) {
	name = request.GetRunName()
	inTag := runNameOf(request.GetTags())

	if name != "" && inTag != "" && name != inTag {
		return "", nil, contract.InvalidParameter("Both 'run_name' argument and 'mlflow.runName' tag are specified, "+
			"but with different values (run_name='%s', mlflow.runName='%s').", name, inTag)
	}

	name = cmp.Or(name, inTag)
	if name == "" {
		name = randomRunName()
	}

	// The messages are the caller's: the answer gets its own.
	for _, tag := range request.GetTags() {
		tags = append(tags, &protos.RunTag{Key: new(tag.GetKey()), Value: new(tag.GetValue())})
	}

	if inTag == "" {
		tags = append(tags, &protos.RunTag{Key: new(runNameTag), Value: new(name)})
	}

	return name, tags, nil
}

// UpdateRun changes status, end time and name of an active run: what the request has, and a name
// only if it isn't empty (SqlAlchemyStore.update_run_info).
func (s *Store) UpdateRun(ctx context.Context, request *protos.UpdateRun) (*protos.UpdateRun_Response, error) {
	id := runID(request)

	info, err := database.Write(ctx, s.db, func(tx *database.Tx) (*protos.RunInfo, error) {
		found, err := findRun(tx, id)
		if err != nil {
			return nil, err
		}

		if !isActive(found.LifecycleStage) {
			return nil, errRunInactive(id, found.LifecycleStage)
		}

		return updateRun(tx, found, request)
	})
	if err != nil {
		return nil, err
	}

	return &protos.UpdateRun_Response{RunInfo: info}, nil
}

func updateRun(tx *database.Tx, found schema.Run, request *protos.UpdateRun) (*protos.RunInfo, error) {
	if request.Status != nil {
		found.Status = new(request.GetStatus().String())
	}

	if request.EndTime != nil {
		found.EndTime = request.EndTime
	}

	if _, err := tx.Exec("UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?",
		found.Status, found.EndTime, found.RunUUID); err != nil {
		return nil, fmt.Errorf("updating run %s: %w", found.RunUUID, err)
	}

	if name := request.GetRunName(); name != "" {
		found.Name = new(name)
		if err := setRunName(tx, found.RunUUID, name); err != nil {
			return nil, err
		}
	}

	info, err := runInfo(found)
	if err != nil || info.GetRunName() != "" {
		return info, err
	}

	tags, err := runTags(tx, found.RunUUID)
	nameFromTags(info, tags)

	return info, err
}

// setRunName keeps a run's name and its tag mlflow.runName the same.
func setRunName(tx *database.Tx, id, name string) error {
	if _, err := tx.Exec("UPDATE runs SET name = ? WHERE run_uuid = ?", name, id); err != nil {
		return fmt.Errorf("renaming run %s: %w", id, err)
	}

	return upsertTags(tx, id, []tag{{key: runNameTag, value: name}})
}

// DeleteRun marks a run as deleted and deletes the assessments that it brought about
// (SqlAlchemyStore.delete_run).
func (s *Store) DeleteRun(ctx context.Context, request *protos.DeleteRun) (*protos.DeleteRun_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		found, err := findRun(tx, request.GetRunId())
		if err != nil {
			return err
		}

		if err := deleteAssessmentsOfRuns(tx, []string{found.RunUUID}); err != nil {
			return err
		}

		if _, err := tx.Exec("UPDATE runs SET lifecycle_stage = ?, deleted_time = ? WHERE run_uuid = ?",
			deleted, nowMillis(), found.RunUUID); err != nil {
			return fmt.Errorf("deleting run %s: %w", found.RunUUID, err)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.DeleteRun_Response{}, nil
}

// RestoreRun makes a run active, whatever it was (SqlAlchemyStore.restore_run).
func (s *Store) RestoreRun(ctx context.Context, request *protos.RestoreRun) (*protos.RestoreRun_Response, error) {
	err := s.db.Write(ctx, func(tx *database.Tx) error {
		found, err := findRun(tx, request.GetRunId())
		if err != nil {
			return err
		}

		if _, err := tx.Exec("UPDATE runs SET lifecycle_stage = ?, deleted_time = NULL WHERE run_uuid = ?",
			active, found.RunUUID); err != nil {
			return fmt.Errorf("restoring run %s: %w", found.RunUUID, err)
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.RestoreRun_Response{}, nil
}
