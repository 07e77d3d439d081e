package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/rules"
)

// isTrue reads the value of the tag that marks prompts.
func isTrue(value *string) bool { return value != nil && strings.ToLower(*value) == "true" }

// SetRegisteredModelTag adds or changes a tag of a model
// (SqlAlchemyStore.set_registered_model_tag). Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_DOES_NOT_EXIST.
func (s *Store) SetRegisteredModelTag(
	ctx context.Context, request *protos.SetRegisteredModelTag,
) (*protos.SetRegisteredModelTag_Response, error) {
	name, key, value := request.GetName(), request.GetKey(), request.GetValue()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	if err := checkModelTag(key, value); err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if err := s.findModel(tx, name); err != nil {
			return err
		}

		if err := tx.Later(s.sql.setModelTag, tx.Workspace(), name, key, value); err != nil {
			return fmt.Errorf("setting a tag of registered model %s: %w", name, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.SetRegisteredModelTag_Response{}, nil
}

// findModel fails unless a model exists.
func (s *Store) findModel(tx *database.Tx, name string) error {
	found, err := database.Query(tx, scanModel, s.sql.model, tx.Workspace(), name)

	switch {
	case err != nil:
		return fmt.Errorf("looking for registered model %s: %w", name, err)
	case len(found) == 0:
		return errNoModel(name)
	default:
		return nil
	}
}

// DeleteRegisteredModelTag removes a tag of a model, if it has it
// (SqlAlchemyStore.delete_registered_model_tag). Errors as for setting one.
func (s *Store) DeleteRegisteredModelTag(
	ctx context.Context, request *protos.DeleteRegisteredModelTag,
) (*protos.DeleteRegisteredModelTag_Response, error) {
	name, key := request.GetName(), request.GetKey()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	if err := rules.Name(key, "key"); err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if err := s.findModel(tx, name); err != nil {
			return err
		}

		if err := tx.Later(s.sql.deleteModelTag, tx.Workspace(), name, key); err != nil {
			return fmt.Errorf("deleting a tag of registered model %s: %w", name, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.DeleteRegisteredModelTag_Response{}, nil
}

// SetModelVersionTag adds or changes a tag of a version (SqlAlchemyStore.set_model_version_tag).
// Errors: INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST.
func (s *Store) SetModelVersionTag(
	ctx context.Context, request *protos.SetModelVersionTag,
) (*protos.SetModelVersionTag_Response, error) {
	name, key, value := request.GetName(), request.GetKey(), request.GetValue()

	number, err := checkVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	if err := checkVersionTag(key, value); err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if _, err := s.findVersion(tx, name, number); err != nil {
			return err
		}

		if err := tx.Later(s.sql.setVersionTag, tx.Workspace(), name, number, key, value); err != nil {
			return fmt.Errorf("setting a tag of version %d of model %s: %w", number, name, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.SetModelVersionTag_Response{}, nil
}

// DeleteModelVersionTag removes a tag of a version, if it has it
// (SqlAlchemyStore.delete_model_version_tag). Errors as for setting one.
func (s *Store) DeleteModelVersionTag(
	ctx context.Context, request *protos.DeleteModelVersionTag,
) (*protos.DeleteModelVersionTag_Response, error) {
	name, key := request.GetName(), request.GetKey()

	number, err := checkVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	if err := rules.Name(key, "key"); err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if _, err := s.findVersion(tx, name, number); err != nil {
			return err
		}

		if err := tx.Later(s.sql.deleteVersionTag, tx.Workspace(), name, number, key); err != nil {
			return fmt.Errorf("deleting a tag of version %d of model %s: %w", number, name, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.DeleteModelVersionTag_Response{}, nil
}
