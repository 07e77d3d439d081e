package registry

import (
	"context"
	"fmt"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
)

// CreateRegisteredModel adds a model; of tags with one key, the last value counts
// (SqlAlchemyStore.create_registered_model). Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_ALREADY_EXISTS.
func (s *Store) CreateRegisteredModel(
	ctx context.Context, request *protos.CreateRegisteredModel,
) (*protos.CreateRegisteredModel_Response, error) {
	name := request.GetName()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	for _, tag := range request.GetTags() {
		if err := checkModelTag(tag.GetKey(), tag.GetValue()); err != nil {
			return nil, err
		}
	}

	now := nowMillis()
	created := &model{
		Name: new(name), CreationTimestamp: new(now), LastUpdatedTimestamp: new(now),
		Tags: lastOfKey(request.GetTags(), func(key, value *string) *protos.RegisteredModelTag {
			return &protos.RegisteredModelTag{Key: key, Value: value}
		}),
	}

	if description := request.GetDescription(); description != "" {
		created.Description = new(description)
	}

	err := s.db.Write(ctx, func(tx *database.Tx) error {
		added, err := tx.Exec(s.sql.insertModel, tx.Workspace(), name, now, now, request.Description)

		switch {
		case err != nil:
			return fmt.Errorf("inserting a registered model: %w", err)
		case added == 0:
			return s.errNameTaken(tx, name, request.GetTags())
		}

		rows := make([][]any, len(created.GetTags()))
		for i, tag := range created.GetTags() {
			rows[i] = []any{tx.Workspace(), name, tag.GetKey(), tag.GetValue()}
		}

		if err := database.ExecRowsLater(tx, modelTagsInsert, rows); err != nil {
			return fmt.Errorf("inserting tags of a registered model: %w", err)
		}

		return nil
	})
	if database.IsIntegrityViolation(err) { // of tags; MLflow takes it for the name's, and looks for the model
		return nil, errNoModel(name)
	}

	if err != nil {
		return nil, err
	}

	return &protos.CreateRegisteredModel_Response{RegisteredModel: created}, nil
}

// lastOfKey gives the last values of tags with one key, in the first one's place, as a Python dict
// does.
func lastOfKey[T any, Tag interface {
	GetKey() string
	GetValue() string
}](tags []Tag, message func(key, value *string) T) []T {
	place := map[string]int{}

	var kept []T

	for _, tag := range tags {
		last := message(new(tag.GetKey()), new(tag.GetValue()))

		if i, known := place[tag.GetKey()]; known {
			kept[i] = last

			continue
		}

		place[tag.GetKey()] = len(kept)
		kept = append(kept, last)
	}

	return kept
}

// errNameTaken says by what a name is taken: models and prompts share their names
// (handle_resource_already_exist_error).
func (s *Store) errNameTaken(tx *database.Tx, name string, tags []*protos.RegisteredModelTag) error {
	const aModel, aPrompt = "Registered Model", "Prompt"

	wanted, found := aModel, aModel

	for _, tag := range tags {
		if tag.GetKey() == PromptTag {
			wanted = aPrompt
		}
	}

	values, err := s.promptTag(tx, name)
	if err != nil {
		return err
	}

	if len(values) > 0 {
		found = aPrompt
	}

	if wanted == found {
		return contract.Errorf(protos.ErrorCode_RESOURCE_ALREADY_EXISTS, "%s (name=%s) already exists.", wanted, name)
	}

	lower := map[string]string{aModel: "registered model", aPrompt: "prompt"}

	return contract.Errorf(protos.ErrorCode_RESOURCE_ALREADY_EXISTS, "Tried to create a %s with name %s, but the name is "+
		"already taken by a %s. MLflow does not allow creating a model and a prompt with the same name.",
		lower[wanted], pyfmt.Repr(name), lower[found])
}

// promptTag reads the value of the tag that marks prompts; none without it.
func (s *Store) promptTag(tx *database.Tx, name string) ([]*string, error) {
	values, err := database.Query(tx, database.Value[*string], s.sql.promptTag, tx.Workspace(), name, PromptTag)
	if err != nil {
		return nil, fmt.Errorf("looking whether a model is a prompt: %w", err)
	}

	return values, nil
}

// GetRegisteredModel reads a model with the latest version of each stage
// (SqlAlchemyStore.get_registered_model). Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetRegisteredModel(
	ctx context.Context, request *protos.GetRegisteredModel,
) (*protos.GetRegisteredModel_Response, error) {
	found, err := s.getModel(ctx, request.GetName())
	if err != nil {
		return nil, err
	}

	return &protos.GetRegisteredModel_Response{RegisteredModel: found}, nil
}

func (s *Store) getModel(ctx context.Context, name string) (*model, error) {
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	return database.Read(ctx, s.db, func(tx *database.Tx) (*model, error) {
		return s.loadModel(tx, name, tx.SelectLast)
	})
}

// loadModel reads a model with its tags, aliases and the latest version in each stage, by the
// lowest version there; last runs what it reads last.
func (s *Store) loadModel(
	tx *database.Tx, name string, last func(...database.Selection) error,
) (*model, error) {
	var (
		found    []*model
		latest   []version
		whole    = &model{}
		of       = []any{tx.Workspace(), name}
		latestOf = []any{tx.Workspace(), name, tx.Workspace()}
	)

	if err := tx.Select(
		database.Collect(&found, scanModel, s.sql.model, of...),
		selectModelTags(s.sql.modelTags, of, func(_ string, tag *protos.RegisteredModelTag) {
			whole.Tags = append(whole.Tags, tag)
		}),
		selectAliases(s.sql.modelAliases, of, func(_ string, alias *protos.RegisteredModelAlias) {
			whole.Aliases = append(whole.Aliases, alias)
		}),
		database.Collect(&latest, scanLatest, s.sql.latestOfModel, latestOf...),
	); err != nil {
		return nil, fmt.Errorf("reading registered model %s: %w", name, err)
	}

	if len(found) == 0 {
		return nil, errNoModel(name)
	}

	if err := addTags(tx, last, latest); err != nil {
		return nil, fmt.Errorf("reading the tags of versions of registered model %s: %w", name, err)
	}

	found[0].Tags, found[0].Aliases, found[0].LatestVersions = whole.GetTags(), whole.GetAliases(), messages(latest)

	return found[0], nil
}

// UpdateRegisteredModel changes a model's description (SqlAlchemyStore.update_registered_model).
// Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) UpdateRegisteredModel(
	ctx context.Context, request *protos.UpdateRegisteredModel,
) (*protos.UpdateRegisteredModel_Response, error) {
	name := request.GetName()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	changed, err := database.Write(ctx, s.db, func(tx *database.Tx) (*model, error) {
		if err := tx.Later("UPDATE registered_models SET description = ?, last_updated_time = ?"+ofModel,
			request.Description, nowMillis(), tx.Workspace(), name); err != nil {
			return nil, fmt.Errorf("updating registered model %s: %w", name, err)
		}

		return s.loadModel(tx, name, tx.Select)
	})
	if err != nil {
		return nil, err
	}

	return &protos.UpdateRegisteredModel_Response{RegisteredModel: changed}, nil
}

// RenameRegisteredModel gives a model and all that belongs to it another name
// (SqlAlchemyStore.rename_registered_model). Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_DOES_NOT_EXIST, RESOURCE_ALREADY_EXISTS.
func (s *Store) RenameRegisteredModel(
	ctx context.Context, request *protos.RenameRegisteredModel,
) (*protos.RenameRegisteredModel_Response, error) {
	name, newName := request.GetName(), request.GetNewName()
	if err := checkNewName(newName); err != nil {
		return nil, err
	}

	if err := checkModelName(name); err != nil {
		return nil, err
	}

	renamed, err := database.Write(ctx, s.db, func(tx *database.Tx) (*model, error) {
		now := nowMillis()

		changed, err := tx.Exec("UPDATE registered_models SET name = ?, last_updated_time = ?"+ofModel,
			newName, now, tx.Workspace(), name)

		switch {
		case err != nil:
			return nil, fmt.Errorf("renaming registered model %s: %w", name, err)
		case changed == 0: // or nothing new within a millisecond, on MySQL
			if err := s.findModel(tx, name); err != nil {
				return nil, err
			}
		}

		if err := tx.Later("UPDATE model_versions SET last_updated_time = ?"+ofModel, now, tx.Workspace(),
			newName); err != nil {
			return nil, fmt.Errorf("renaming the versions of model %s: %w", name, err)
		}

		return s.loadModel(tx, newName, tx.Select)
	})
	if database.IsIntegrityViolation(err) {
		return nil, &contract.Error{
			Code: protos.ErrorCode_RESOURCE_ALREADY_EXISTS,
			Message: fmt.Sprintf("Registered Model (name=%s) already exists. Error: %s", newName,
				contract.AsError(err).Message),
			Cause: err,
		}
	}

	if err != nil {
		return nil, err
	}

	return &protos.RenameRegisteredModel_Response{RegisteredModel: renamed}, nil
}

// DeleteRegisteredModel removes a model and all that belongs to it
// (SqlAlchemyStore.delete_registered_model). Error: RESOURCE_DOES_NOT_EXIST.
func (s *Store) DeleteRegisteredModel(
	ctx context.Context, request *protos.DeleteRegisteredModel,
) (*protos.DeleteRegisteredModel_Response, error) {
	name := request.GetName()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		var found []string
		if err := tx.Select(s.lockModel(tx, name, &found)); err != nil {
			return fmt.Errorf("looking for registered model %s: %w", name, err)
		}

		if len(found) == 0 {
			return errNoModel(name)
		}

		for _, table := range []string{
			"model_version_tags", "model_versions", "registered_model_tags", "registered_model_aliases", "registered_models",
		} {
			if err := tx.Later("DELETE FROM "+table+ofModel, tx.Workspace(), name); err != nil {
				return fmt.Errorf("deleting registered model %s: %w", name, err)
			}
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.DeleteRegisteredModel_Response{}, nil
}

// lockModel takes a model's row; found gets its name, if there is one.
func (s *Store) lockModel(tx *database.Tx, name string, found *[]string) database.Selection {
	return database.Collect(found, database.Value[string], s.sql.lockModel, tx.Workspace(), name)
}

// IsPrompt tells whether a registered model is a prompt (RegisteredModel._is_prompt). Errors:
// INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST.
func (s *Store) IsPrompt(ctx context.Context, name string) (bool, error) {
	if err := checkModelName(name); err != nil {
		return false, err
	}

	return database.Read(ctx, s.db, func(tx *database.Tx) (bool, error) {
		var (
			found  []*model
			values []*string
		)

		if err := tx.SelectLast(
			database.Collect(&found, scanModel, s.sql.model, tx.Workspace(), name),
			database.Collect(&values, database.Value[*string], s.sql.promptTag, tx.Workspace(), name, PromptTag),
		); err != nil {
			return false, fmt.Errorf("looking whether model %s is a prompt: %w", name, err)
		}

		if len(found) == 0 {
			return false, errNoModel(name)
		}

		return len(values) > 0 && isTrue(values[0]), nil
	})
}
