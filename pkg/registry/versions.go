package registry

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

// CreateModelVersion adds a version, with the number after the highest that there ever was; of tags
// with one key, the last value counts (SqlAlchemyStore.create_model_version). A source that is a
// models:/ URI is resolved to where the artifacts are. Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_DOES_NOT_EXIST, INTERNAL_ERROR for a source that can't be resolved.
func (s *Store) CreateModelVersion(
	ctx context.Context, request *protos.CreateModelVersion,
) (*protos.CreateModelVersion_Response, error) {
	name := request.GetName()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	for _, tag := range request.GetTags() {
		if err := checkVersionTag(tag.GetKey(), tag.GetValue()); err != nil {
			return nil, err
		}
	}

	location, runID, err := s.resolveSource(ctx, request)
	if err != nil {
		return nil, err
	}

	tags := lastOfKey(request.GetTags(), func(key, value *string) *protos.ModelVersionTag {
		return &protos.ModelVersionTag{Key: key, Value: value}
	})

	created, err := database.Write(ctx, s.db, func(tx *database.Tx) (*protos.ModelVersion, error) {
		now := nowMillis()

		number, err := s.nextVersion(tx, name, now)
		if err != nil {
			return nil, err
		}

		if err := tx.Later(s.sql.insertVersion, tx.Workspace(), name, number, now, now, request.Description, stageNone,
			request.Source, location, runID, request.RunLink, ready); err != nil {
			return nil, fmt.Errorf("inserting a version of model %s: %w", name, err)
		}

		rows := make([][]any, len(tags))
		for i, tag := range tags {
			rows[i] = []any{tx.Workspace(), name, number, tag.GetKey(), tag.GetValue()}
		}

		if err := database.ExecRowsLater(tx, versionTagsInsert, rows); err != nil {
			return nil, fmt.Errorf("inserting tags of a version of model %s: %w", name, err)
		}

		return &protos.ModelVersion{
			Name: new(name), Version: new(strconv.FormatInt(number, 10)), CreationTimestamp: new(now),
			LastUpdatedTimestamp: new(now), Description: request.Description, CurrentStage: new(stageNone),
			Source: request.Source, RunId: runID, RunLink: request.RunLink,
			Status: protos.ModelVersionStatus_READY.Enum(), Tags: tags,
		}, nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.CreateModelVersion_Response{ModelVersion: created}, nil
}

// ready is what MLflow's SQL store makes of each version at once.
const ready = "READY"

// nextVersion takes the model's row, so that others who create versions wait, and gives the number
// after its highest version.
func (s *Store) nextVersion(tx *database.Tx, name string, now int64) (int64, error) {
	var (
		found   []*model
		highest []*int64
	)

	if err := s.touchModel(tx, name, now); err != nil {
		return 0, err
	}

	if err := tx.Select(
		database.Collect(&found, scanModel, s.sql.model, tx.Workspace(), name),
		database.Collect(&highest, database.Value[*int64], "SELECT MAX(version) FROM model_versions"+ofModel,
			tx.Workspace(), name),
	); err != nil {
		return 0, fmt.Errorf("reading the highest version of model %s: %w", name, err)
	}

	switch {
	case len(found) == 0:
		return 0, errNoModel(name)
	case highest[0] == nil:
		return 1, nil
	default:
		return *highest[0] + 1, nil
	}
}

// touchModel notes that a model has changed, and takes its row.
func (s *Store) touchModel(tx *database.Tx, name string, now int64) error {
	if err := tx.Later("UPDATE registered_models SET last_updated_time = ?"+ofModel, now, tx.Workspace(),
		name); err != nil {
		return fmt.Errorf("updating registered model %s: %w", name, err)
	}

	return nil
}

// resolveSource gives the location of a source's artifacts, and the run of a version that names
// none but is made of a logged model.
func (s *Store) resolveSource(
	ctx context.Context, request *protos.CreateModelVersion,
) (location, runID *string, err error) {
	location, runID = request.Source, request.RunId

	parts, err := uri.Parse(request.GetSource())
	if err != nil {
		return nil, nil, contract.InvalidParameter("Invalid model version source: '%s'.", request.GetSource())
	}

	if parts.Scheme == "models" {
		resolved, run, isLogged, err := s.resolveModel(ctx, request.GetSource())
		if err != nil {
			return nil, nil, &contract.Error{
				Code: protos.ErrorCode_INTERNAL_ERROR,
				Message: fmt.Sprintf("Unable to fetch model from model URI source artifact location '%s'.Error: %s",
					request.GetSource(), contract.AsError(err).Message),
				Cause: err,
			}
		}

		location = new(resolved)

		if isLogged && request.GetRunId() == "" {
			runID = run
		}
	}

	if id := request.GetModelId(); id != "" && (runID == nil || *runID == "") {
		found, err := s.models.GetLoggedModel(ctx, &protos.GetLoggedModel{ModelId: new(id)})
		if err != nil {
			return nil, nil, err
		}

		runID = found.GetModel().GetInfo().SourceRunId
	}

	return location, runID, nil
}

// resolveModel gives the location of the artifacts that a models:/ URI refers to, and the run of a
// logged model, if it is one and has one.
func (s *Store) resolveModel(
	ctx context.Context, source string,
) (location string, runID *string, isLogged bool, err error) {
	refers, err := uri.ParseModel(source)
	if err != nil {
		return "", nil, false, err
	}

	if refers.ID != "" {
		found, err := s.models.GetLoggedModel(ctx, &protos.GetLoggedModel{ModelId: new(refers.ID)})
		if err != nil {
			return "", nil, true, err
		}

		info := found.GetModel().GetInfo()

		return info.GetArtifactUri(), info.SourceRunId, true, nil
	}

	if refers.Version == "" { // in Python's words: a version is asked for
		return "", nil, false, contract.InvalidParameter(
			"int() argument must be a string, a bytes-like object or a real number, not 'NoneType'")
	}

	found, err := s.GetModelVersionDownloadUri(ctx, &protos.GetModelVersionDownloadUri{
		Name: new(refers.Name), Version: new(refers.Version),
	})

	return found.GetArtifactUri(), nil, false, err
}

// findVersion reads a version's row (SqlAlchemyStore._get_sql_model_version).
func (s *Store) findVersion(tx *database.Tx, name string, number int64) (version, error) {
	return s.loadVersion(tx, name, number, tx.Select, nil, false)
}

// loadVersion reads a version; whole adds its tags and aliases. What comes first, such as a lock,
// costs no round trip of its own.
func (s *Store) loadVersion(
	tx *database.Tx, name string, number int64, run func(...database.Selection) error, first []database.Selection,
	whole bool,
) (version, error) {
	if number > math.MaxInt32 || number < math.MinInt32 { // no column holds it
		return version{}, errNoVersion(name, number)
	}

	var (
		found      []version
		tags       []*protos.ModelVersionTag
		aliases    []*protos.RegisteredModelAlias
		of         = []any{tx.Workspace(), name, number}
		selections = append(first, database.Collect(&found, scanVersion, s.sql.version, of...))
	)

	if whole {
		selections = append(selections,
			selectVersionTags(s.sql.versionTags, of, func(_ versionKey, tag *protos.ModelVersionTag) {
				tags = append(tags, tag)
			}),
			s.selectAliasesOf(tx, name, &aliases))
	}

	if err := run(selections...); err != nil {
		return version{}, fmt.Errorf("reading version %d of model %s: %w", number, name, err)
	}

	if len(found) == 0 {
		return version{}, errNoVersion(name, number)
	}

	found[0].Tags = tags
	found[0].showAliases(aliases)

	return found[0], nil
}

func (s *Store) selectAliasesOf(
	tx *database.Tx, name string, aliases *[]*protos.RegisteredModelAlias,
) database.Selection {
	return selectAliases(s.sql.modelAliases, []any{tx.Workspace(), name},
		func(_ string, alias *protos.RegisteredModelAlias) { *aliases = append(*aliases, alias) })
}

// GetModelVersion reads a version (SqlAlchemyStore.get_model_version). Errors:
// INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetModelVersion(
	ctx context.Context, request *protos.GetModelVersion,
) (*protos.GetModelVersion_Response, error) {
	name := request.GetName()

	number, err := checkVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	found, err := database.Read(ctx, s.db, func(tx *database.Tx) (version, error) {
		return s.loadVersion(tx, name, number, tx.SelectLast, nil, true)
	})
	if err != nil {
		return nil, err
	}

	return &protos.GetModelVersion_Response{ModelVersion: found.ModelVersion}, nil
}

// GetModelVersionDownloadUri says where a version's artifacts are
// (SqlAlchemyStore.get_model_version_download_uri). Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetModelVersionDownloadUri( //nolint:revive // the protobuf's name
	ctx context.Context, request *protos.GetModelVersionDownloadUri,
) (*protos.GetModelVersionDownloadUri_Response, error) {
	name := request.GetName()

	number, err := checkVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	found, err := database.Read(ctx, s.db, func(tx *database.Tx) (version, error) {
		return s.loadVersion(tx, name, number, tx.SelectLast, nil, false)
	})
	if err != nil {
		return nil, err
	}

	location := found.storageLocation
	if location == nil || *location == "" {
		location = found.Source
	}

	return &protos.GetModelVersionDownloadUri_Response{ArtifactUri: location}, nil
}

// UpdateModelVersion changes a version's description (SqlAlchemyStore.update_model_version). Errors
// as for reading one.
func (s *Store) UpdateModelVersion(
	ctx context.Context, request *protos.UpdateModelVersion,
) (*protos.UpdateModelVersion_Response, error) {
	name := request.GetName()

	number, err := checkVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	changed, err := database.Write(ctx, s.db, func(tx *database.Tx) (version, error) {
		found, err := s.loadVersion(tx, name, number, tx.Select, nil, true)
		if err != nil {
			return version{}, err
		}

		found.Description, found.LastUpdatedTimestamp = request.Description, new(nowMillis())

		if err := tx.Later("UPDATE model_versions SET description = ?, last_updated_time = ?"+ofVersion,
			found.Description, found.LastUpdatedTimestamp, tx.Workspace(), name, number); err != nil {
			return version{}, fmt.Errorf("updating version %d of model %s: %w", number, name, err)
		}

		return found, nil
	})
	if err != nil {
		return nil, err
	}

	return &protos.UpdateModelVersion_Response{ModelVersion: changed.ModelVersion}, nil
}

// What is left of a deleted version.
const (
	redactedSource  = "REDACTED-SOURCE-PATH"
	redactedRunID   = "REDACTED-RUN-ID"
	redactedRunLink = "REDACTED-RUN-LINK"
)

// DeleteModelVersion removes a version and the aliases that point to it; its number isn't used again
// (SqlAlchemyStore.delete_model_version). Errors as for reading one.
func (s *Store) DeleteModelVersion(
	ctx context.Context, request *protos.DeleteModelVersion,
) (*protos.DeleteModelVersion_Response, error) {
	name := request.GetName()

	number, err := parseVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	if err := checkModelName(name); err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		now := nowMillis()
		if err := s.touchModel(tx, name, now); err != nil {
			return err
		}

		if _, err := s.findVersion(tx, name, number); err != nil {
			return err
		}

		if err := tx.Later("DELETE FROM registered_model_aliases"+ofVersion, tx.Workspace(), name, number); err != nil {
			return fmt.Errorf("deleting the aliases of version %d of model %s: %w", number, name, err)
		}

		if err := tx.Later("UPDATE model_versions SET current_stage = ?, last_updated_time = ?, description = NULL, "+
			"user_id = NULL, source = ?, run_id = ?, run_link = ?, status_message = NULL"+ofVersion,
			deletedStage, now, redactedSource, redactedRunID, redactedRunLink, tx.Workspace(), name, number); err != nil {
			return fmt.Errorf("deleting version %d of model %s: %w", number, name, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.DeleteModelVersion_Response{}, nil
}
