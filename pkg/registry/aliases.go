package registry

import (
	"context"
	"fmt"
	"slices"
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

	found, err := s.findAliased(ctx, aliasKey{name, alias})
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

// aliasKey names an alias of a model.
type aliasKey struct{ model, alias string }

// findAliased reads the version that an alias points to, nil if there is none, together with others' where that is
// worth it.
func (s *Store) findAliased(ctx context.Context, key aliasKey) (*protos.ModelVersion, error) {
	if s.db.Dialect().Remote() {
		return s.aliases.Load(ctx, key)
	}

	return database.Read(ctx, s.db, func(tx *database.Tx) (*protos.ModelVersion, error) {
		return s.aliased(tx, key.model, key.alias)
	})
}

// loadAliased reads the versions that aliases point to; nil for those that point to none.
func (s *Store) loadAliased(ctx context.Context, keys []aliasKey) ([]*protos.ModelVersion, error) {
	return database.Read(ctx, s.db, func(tx *database.Tx) ([]*protos.ModelVersion, error) {
		if len(keys) == 1 { // by the statements for one, which are cheaper
			found, err := s.aliased(tx, keys[0].model, keys[0].alias)

			return []*protos.ModelVersion{found}, err
		}

		page := newAliasPage(keys)
		if err := tx.SelectLast(page.everything(tx, s.sql)...); err != nil {
			return nil, fmt.Errorf("reading the versions behind %d aliases: %w", len(keys), err)
		}

		return page.complete(), nil
	})
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

// aliasPage is a number of aliases whose versions are read together.
type aliasPage struct {
	models, aliases []string
	places          map[aliasKey]int // of an alias in found
	found           []aliasedVersion
}

// aliasedVersion is the version that an alias points to, nil for none, and what belongs to it.
type aliasedVersion struct {
	version *protos.ModelVersion
	tags    []*protos.ModelVersionTag
	aliases []string
}

func newAliasPage(keys []aliasKey) *aliasPage {
	p := &aliasPage{places: make(map[aliasKey]int, len(keys)), found: make([]aliasedVersion, len(keys))}

	for i, key := range keys {
		p.places[key] = i

		if !slices.Contains(p.models, key.model) {
			p.models = append(p.models, key.model)
		}

		if !slices.Contains(p.aliases, key.alias) {
			p.aliases = append(p.aliases, key.alias)
		}
	}

	p.models, p.aliases = database.Padded(p.models), database.Padded(p.aliases)

	return p
}

// everything selects the versions, their tags and all of their aliases.
func (p *aliasPage) everything(tx *database.Tx, sql statements) []database.Selection {
	return append(database.PlannedJoins(tx, "registered_model_aliases", "model_versions", "model_version_tags"),
		eachAliased(p, tx, sql.versionsByAliases, scanVersion, func(of *aliasedVersion, found version) {
			of.version = found.ModelVersion
		}),
		eachAliased(p, tx, sql.tagsByAliases, scanVersionTag, func(of *aliasedVersion, tag *protos.ModelVersionTag) {
			of.tags = append(of.tags, tag)
		}),
		eachAliased(p, tx, sql.aliasesByAliases, database.Value[string], func(of *aliasedVersion, alias string) {
			of.aliases = append(of.aliases, alias)
		}),
	)
}

// eachAliased selects rows that begin with a model's name and an alias; add is given what was scanned of the rest, of
// those that belong to one of the page's. The database looks at each name with each alias: models have few aliases,
// and mostly the same.
func eachAliased[T any](
	p *aliasPage, tx *database.Tx, query string, scan func(scan func(...any) error) (T, error),
	add func(of *aliasedVersion, item T),
) database.Selection {
	models, modelArgs := tx.Dialect().AnyOf("a.name", p.models)
	aliases, aliasArgs := tx.Dialect().AnyOf("a.alias", p.aliases)

	var key aliasKey

	dests := append(make([]any, 0, 16), &key.model, &key.alias) // with room for the rest

	return database.Selection{
		Statement: database.Statement{
			Query: query + models + " AND " + aliases, Args: slices.Concat([]any{tx.Workspace()}, modelArgs, aliasArgs),
		},
		Row: func(row func(...any) error) error {
			item, err := scan(func(rest ...any) error { return row(append(dests, rest...)...) })
			if err != nil {
				return err
			}

			if place, wanted := p.places[key]; wanted {
				add(&p.found[place], item)
			}

			return nil
		},
	}
}

// complete gives the versions what belongs to them.
func (p *aliasPage) complete() []*protos.ModelVersion {
	versions := make([]*protos.ModelVersion, len(p.found))

	for i, found := range p.found {
		if found.version != nil {
			found.version.Tags, found.version.Aliases = found.tags, found.aliases
		}

		versions[i] = found.version
	}

	return versions
}
