package registry

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// SetRegisteredModelAlias points an alias, a new one or another's, to a version
// (SqlAlchemyStore.set_registered_model_alias). Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_DOES_NOT_EXIST.
func (s *Store) SetRegisteredModelAlias(
	ctx context.Context, request *protos.SetRegisteredModelAlias,
) (*protos.SetRegisteredModelAlias_Response, error) {
	name, alias := request.GetName(), request.GetAlias()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	if err := checkAlias(alias); err != nil {
		return nil, err
	}

	if err := checkFreeAlias(alias); err != nil {
		return nil, err
	}

	number, err := parseVersion(name, request.GetVersion())
	if err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		var locked []string // whether there is a model is the version's affair

		lock := []database.Selection{s.lockModel(tx, name, &locked)}
		if _, err := s.loadVersion(tx, name, number, tx.Select, lock, false); err != nil {
			return err
		}

		if err := tx.Later(s.sql.setAlias, tx.Workspace(), name, alias, number); err != nil {
			return fmt.Errorf("setting an alias of model %s: %w", name, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.SetRegisteredModelAlias_Response{}, nil
}

// DeleteRegisteredModelAlias removes an alias, if there is one
// (SqlAlchemyStore.delete_registered_model_alias). Errors: INVALID_PARAMETER_VALUE,
// RESOURCE_DOES_NOT_EXIST.
func (s *Store) DeleteRegisteredModelAlias(
	ctx context.Context, request *protos.DeleteRegisteredModelAlias,
) (*protos.DeleteRegisteredModelAlias_Response, error) {
	name, alias := request.GetName(), request.GetAlias()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	if err := checkAlias(alias); err != nil {
		return nil, err
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		if err := s.findModel(tx, name); err != nil {
			return err
		}

		if err := tx.Later("DELETE FROM registered_model_aliases"+ofModel+" AND alias = ?",
			tx.Workspace(), name, alias); err != nil {
			return fmt.Errorf("deleting an alias of model %s: %w", name, err)
		}

		return nil
	}); err != nil {
		return nil, err
	}

	return &protos.DeleteRegisteredModelAlias_Response{}, nil
}

// GetModelVersionByAlias reads the version that an alias points to; "latest", in any case, is the
// highest (SqlAlchemyStore.get_model_version_by_alias). Errors: INVALID_PARAMETER_VALUE, also where
// there is no such alias, RESOURCE_DOES_NOT_EXIST.
func (s *Store) GetModelVersionByAlias(
	ctx context.Context, request *protos.GetModelVersionByAlias,
) (*protos.GetModelVersionByAlias_Response, error) {
	name, alias := request.GetName(), request.GetAlias()
	if err := checkModelName(name); err != nil {
		return nil, err
	}

	if err := checkAlias(alias); err != nil {
		return nil, err
	}

	if strings.ToLower(alias) == latestAlias {
		return s.highestVersion(ctx, name)
	}

	found, err := database.Read(ctx, s.db, func(tx *database.Tx) (*protos.ModelVersion, error) {
		return s.aliased(tx, name, alias)
	})
	if err == nil && found == nil {
		err = s.errNoAlias(ctx, name, alias)
	}

	if err != nil {
		return nil, err
	}

	return &protos.GetModelVersionByAlias_Response{ModelVersion: found}, nil
}

// errNoAlias says why no version is behind an alias.
func (s *Store) errNoAlias(ctx context.Context, name, alias string) error {
	return s.db.Read(ctx, func(tx *database.Tx) error {
		if err := s.findModel(tx, name); err != nil {
			return err
		}

		var aliases []*protos.RegisteredModelAlias
		if err := tx.Select(s.selectAliasesOf(tx, name, &aliases)); err != nil {
			return fmt.Errorf("reading the aliases of model %s: %w", name, err)
		}

		for _, known := range aliases {
			if known.GetAlias() == alias { // of a version that was deleted without it
				return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
					"Model Version (name=%s, version=%s) not found", name, known.GetVersion())
			}
		}

		return contract.InvalidParameter("Registered model alias %s not found.", alias)
	})
}

func (s *Store) highestVersion(ctx context.Context, name string) (*protos.GetModelVersionByAlias_Response, error) {
	latest, err := s.GetLatestVersions(ctx, &protos.GetLatestVersions{Name: new(name)})
	if err != nil {
		return nil, err
	}

	var (
		found   *protos.ModelVersion
		highest int64
	)

	for _, candidate := range latest.GetModelVersions() {
		number, err := strconv.ParseInt(candidate.GetVersion(), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("reading the number of a version: %w", err)
		}

		if found == nil || number > highest {
			found, highest = candidate, number
		}
	}

	if found == nil {
		return nil, contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Latest version not found for model %s.", name)
	}

	return &protos.GetModelVersionByAlias_Response{ModelVersion: found}, nil
}

// aliased reads the version that an alias points to, nil if there is none, and ends the transaction.
func (s *Store) aliased(tx *database.Tx, name, alias string) (*protos.ModelVersion, error) {
	var (
		aliases []*protos.RegisteredModelAlias
		found   []version
		tags    []*protos.ModelVersionTag
		of      = []any{tx.Workspace(), name, alias}
	)

	if err := tx.SelectLast(
		database.Collect(&found, scanVersion, s.sql.versionByAlias, of...),
		selectVersionTags(s.sql.versionTagsByAlias, of, func(_ versionKey, tag *protos.ModelVersionTag) {
			tags = append(tags, tag)
		}),
		s.selectAliasesOf(tx, name, &aliases),
	); err != nil {
		return nil, fmt.Errorf("reading the version behind an alias of model %s: %w", name, err)
	}

	if len(found) == 0 {
		return nil, nil //nolint:nilnil // there is none
	}

	found[0].Tags = tags
	found[0].showAliases(aliases)

	return found[0].ModelVersion, nil
}
