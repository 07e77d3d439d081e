package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// Stages of versions (mlflow.entities.model_registry.model_version_stages).
const (
	stageNone     = "None"
	stageArchived = "Archived"
)

var (
	stages       = []string{stageNone, "Staging", "Production", stageArchived}
	activeStages = stages[1:3]
)

// canonicalStage is get_canonical_stage: a stage may be written in any case.
func canonicalStage(text string) (string, error) {
	lower := strings.ToLower(text)

	i := slices.IndexFunc(stages, func(stage string) bool { return strings.ToLower(stage) == lower })
	if i < 0 {
		return "", contract.InvalidParameter("Invalid Model Version stage: %s. Value must be one of %s.", text,
			strings.Join(stages, ", "))
	}

	return stages[i], nil
}

// GetLatestVersions reads the latest version of each stage, or of the given ones
// (SqlAlchemyStore.get_latest_versions). Errors: INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetLatestVersions(
	ctx context.Context, request *protos.GetLatestVersions,
) (*protos.GetLatestVersions_Response, error) {
	found, err := s.getModel(ctx, request.GetName())
	if err != nil {
		return nil, err
	}

	wanted := request.GetStages()
	if len(wanted) == 0 {
		wanted = stages
	}

	expected := make(map[string]bool, len(wanted))

	for _, text := range wanted {
		stage, err := canonicalStage(text)
		if err != nil {
			return nil, err
		}

		expected[stage] = true
	}

	response := &protos.GetLatestVersions_Response{}

	for _, latest := range found.GetLatestVersions() {
		if expected[latest.GetCurrentStage()] {
			version{ModelVersion: latest}.showAliases(found.GetAliases())

			response.ModelVersions = append(response.ModelVersions, latest)
		}
	}

	return response, nil
}

// TransitionModelVersionStage moves a version to another stage, and on demand those that are there
// to the archive (SqlAlchemyStore.transition_model_version_stage). Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_DOES_NOT_EXIST, INTERNAL_ERROR for archiving from a stage that isn't active.
func (s *Store) TransitionModelVersionStage(
	ctx context.Context, request *protos.TransitionModelVersionStage,
) (*protos.TransitionModelVersionStage_Response, error) {
	stage, err := canonicalStage(request.GetStage())
	if err != nil {
		return nil, err
	}

	archive := request.GetArchiveExistingVersions()
	if archive && !slices.Contains(activeStages, stage) {
		return nil, contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "Model version transition cannot archive existing "+
			"model versions because '%s' is not an Active stage. Valid stages are %s", request.GetStage(),
			pyfmt.ReprList(activeStages))
	}

	name := request.GetName()

	number, err := checkVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	moved, err := database.Write(ctx, s.db, func(tx *database.Tx) (version, error) {
		now := nowMillis()
		if err := s.touchModel(tx, name, now); err != nil {
			return version{}, err
		}

		found, err := s.loadVersion(tx, name, number, tx.Select, nil, true)
		if err != nil {
			return version{}, err
		}

		found.CurrentStage, found.LastUpdatedTimestamp = new(stage), new(now)

		if archive {
			if err := tx.Later("UPDATE model_versions SET current_stage = ?, last_updated_time = ?"+ofModel+
				" AND version <> ? AND current_stage = ?", stageArchived, now, tx.Workspace(), name, number,
				stage); err != nil {
				return version{}, fmt.Errorf("archiving versions of model %s: %w", name, err)
			}
		}

		if err := tx.Later("UPDATE model_versions SET current_stage = ?, last_updated_time = ?"+ofVersion,
			stage, now, tx.Workspace(), name, number); err != nil {
			return version{}, fmt.Errorf("moving version %d of model %s: %w", number, name, err)
		}

		return found, nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.TransitionModelVersionStage_Response{ModelVersion: moved.ModelVersion}, nil
}
