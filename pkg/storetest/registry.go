package storetest

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// registrySuite is a registry under test, its database, and the tracking store beside it.
type registrySuite struct {
	contract.ModelRegistryService

	db       *database.DB
	tracking contract.TrackingService
}

// Registry tests a model registry on a database that has MLflow's schema and nothing else; the
// tracking store is in the same one.
func Registry(t *testing.T, db *database.DB, store contract.ModelRegistryService, tracking contract.TrackingService) {
	t.Helper()

	s := registrySuite{store, db, tracking}

	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"RegisteredModel", s.registeredModel},
		{"RenameRegisteredModel", s.renameRegisteredModel},
		{"RegisteredModelTags", s.registeredModelTags},
		{"ModelVersion", s.modelVersion},
		{"CreateModelVersionFromModels", s.createFromModels},
		{"CreateModelVersionConcurrently", s.createConcurrently},
		{"ModelVersionTags", s.modelVersionTags},
		{"Stages", s.stages},
		{"Aliases", s.aliases},
		{"ChangeConcurrently", s.changeConcurrently},
		{"SearchRegisteredModels", s.searchRegisteredModels},
		{"SearchModelVersions", s.searchModelVersions},
		{"Prompts", s.prompts},
		{"Workspaces", s.workspaces},
	} {
		t.Run(part.name, part.run)
	}
}

// model registers a model of this name, with one version for each number.
func (s registrySuite) model(t *testing.T, name string, versions int) string {
	t.Helper()

	_, err := s.CreateRegisteredModel(t.Context(), &protos.CreateRegisteredModel{Name: new(name)})
	require.NoError(t, err)

	for range versions {
		s.version(t, name)
	}

	return name
}

func (s registrySuite) version(t *testing.T, name string) *protos.ModelVersion {
	t.Helper()

	created, err := s.CreateModelVersion(t.Context(), &protos.CreateModelVersion{
		Name: new(name), Source: new("s3://bucket/" + name), RunId: new("run"),
		Tags: []*protos.ModelVersionTag{{Key: new("t"), Value: new("v")}},
	})
	require.NoError(t, err)

	return created.GetModelVersion()
}

func (s registrySuite) getModel(t *testing.T, name string) *protos.RegisteredModel {
	t.Helper()

	found, err := s.GetRegisteredModel(t.Context(), &protos.GetRegisteredModel{Name: new(name)})
	require.NoError(t, err)

	return found.GetRegisteredModel()
}

func (s registrySuite) getVersion(t *testing.T, name, version string) *protos.ModelVersion {
	t.Helper()

	found, err := s.GetModelVersion(t.Context(), &protos.GetModelVersion{Name: new(name), Version: new(version)})
	require.NoError(t, err)

	return found.GetModelVersion()
}

func requireMissingf(t *testing.T, err error, format string, args ...any) {
	t.Helper()
	requireErrorf(t, err, protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, format, args...)
}

func (s registrySuite) registeredModel(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		created, err := s.CreateRegisteredModel(t.Context(), &protos.CreateRegisteredModel{
			Name: new("models are named"), Description: new("d"),
			Tags: []*protos.RegisteredModelTag{
				{Key: new("b"), Value: new("1")}, {Key: new("a"), Value: new("")}, {Key: new("b"), Value: new("2")},
			},
		})
		require.NoError(t, err)

		now := created.GetRegisteredModel().GetCreationTimestamp()
		requireMessage(t, &protos.RegisteredModel{
			Name: new("models are named"), CreationTimestamp: new(now), LastUpdatedTimestamp: new(now), Description: new("d"),
			Tags: []*protos.RegisteredModelTag{{Key: new("b"), Value: new("2")}, {Key: new("a"), Value: new("")}},
		}, created.GetRegisteredModel())
		requireMessage(t, created.GetRegisteredModel(), s.getModel(t, "models are named"))
	})
	t.Run("OKUpdate", func(t *testing.T) {
		name := s.model(t, "updated", 2)

		for _, description := range []string{"new", ""} {
			changed, err := s.UpdateRegisteredModel(t.Context(), &protos.UpdateRegisteredModel{
				Name: new(name), Description: new(description),
			})
			require.NoError(t, err)
			require.Equal(t, description, changed.GetRegisteredModel().GetDescription())
			require.Equal(t, "2", changed.GetRegisteredModel().GetLatestVersions()[0].GetVersion())
			requireMessage(t, changed.GetRegisteredModel(), s.getModel(t, name))
		}
	})
	t.Run("OKDelete", func(t *testing.T) {
		name := s.model(t, "deleted", 2)
		_, err := s.SetRegisteredModelTag(t.Context(), &protos.SetRegisteredModelTag{Name: new(name), Key: new("k")})
		require.NoError(t, err)
		_, err = s.SetRegisteredModelAlias(t.Context(),
			&protos.SetRegisteredModelAlias{Name: new(name), Alias: new("a"), Version: new("1")})
		require.NoError(t, err)
		_, err = s.DeleteRegisteredModel(t.Context(), &protos.DeleteRegisteredModel{Name: new(name)})
		require.NoError(t, err)

		for _, table := range []string{
			"registered_models", "model_versions", "registered_model_tags", "model_version_tags", "registered_model_aliases",
		} {
			require.Zero(t, s.count(t, "SELECT COUNT(*) FROM "+table+" WHERE name = ?", name), table)
		}

		require.Equal(t, "1", s.version(t, s.model(t, name, 0)).GetVersion(), "numbers begin anew")
	})
	t.Run("ErrNameTaken", func(t *testing.T) {
		s.model(t, "it's", 0)
		_, err := s.CreateRegisteredModel(t.Context(), &protos.CreateRegisteredModel{Name: new("it's")})
		requireErrorf(t, err, protos.ErrorCode_RESOURCE_ALREADY_EXISTS, "Registered Model (name=it's) already exists.")

		_, err = s.CreateRegisteredModel(t.Context(), &protos.CreateRegisteredModel{Name: new("it's"), Tags: promptTags()})
		requireErrorf(t, err, protos.ErrorCode_RESOURCE_ALREADY_EXISTS, `Tried to create a prompt with name "it's", but `+
			"the name is already taken by a registered model. MLflow does not allow creating a model and a prompt with the "+
			"same name.")
	})
	t.Run("ErrName", func(t *testing.T) {
		for name, message := range map[string]string{
			"":    "Missing value for required parameter 'name'.",
			" ":   "Missing value for required parameter 'name'.",
			"a/b": "Invalid model name 'a/b'. Names cannot contain '/' or ':'.",
			"..": `Invalid value ".." for parameter 'name' supplied: Names may be treated as files in certain cases, and ` +
				"must not resolve to other names when treated as such. This name would resolve to '..'",
		} {
			_, err := s.CreateRegisteredModel(t.Context(), &protos.CreateRegisteredModel{Name: new(name)})
			requireInvalidf(t, err, "%s", message)
		}
	})
	t.Run("ErrUnknown", func(t *testing.T) {
		for _, call := range []func() error{
			func() error {
				_, err := s.GetRegisteredModel(t.Context(), &protos.GetRegisteredModel{Name: new("nobody")})

				return err
			},
			func() error {
				_, err := s.UpdateRegisteredModel(t.Context(), &protos.UpdateRegisteredModel{Name: new("nobody")})

				return err
			},
			func() error {
				_, err := s.DeleteRegisteredModel(t.Context(), &protos.DeleteRegisteredModel{Name: new("nobody")})

				return err
			},
			func() error {
				_, err := s.RenameRegisteredModel(t.Context(),
					&protos.RenameRegisteredModel{Name: new("nobody"), NewName: new("x")})

				return err
			},
			func() error {
				_, err := s.CreateModelVersion(t.Context(), &protos.CreateModelVersion{Name: new("nobody"), Source: new("s")})

				return err
			},
		} {
			requireMissingf(t, call(), "Registered Model with name=nobody not found")
		}
	})
}

func (s registrySuite) renameRegisteredModel(t *testing.T) {
	t.Helper()

	name := s.model(t, "before", 2)
	_, err := s.SetRegisteredModelAlias(t.Context(),
		&protos.SetRegisteredModelAlias{Name: new(name), Alias: new("a"), Version: new("2")})
	require.NoError(t, err)

	renamed, err := s.RenameRegisteredModel(t.Context(),
		&protos.RenameRegisteredModel{Name: new(name), NewName: new("after")})
	require.NoError(t, err)
	requireMessage(t, renamed.GetRegisteredModel(), s.getModel(t, "after"))

	version := s.getVersion(t, "after", "2")
	require.Equal(t, []string{"a"}, version.GetAliases())
	require.Equal(t, "v", version.GetTags()[0].GetValue())

	_, err = s.GetRegisteredModel(t.Context(), &protos.GetRegisteredModel{Name: new(name)})
	requireMissingf(t, err, "Registered Model with name=before not found")

	s.model(t, "taken", 0)

	_, err = s.RenameRegisteredModel(t.Context(), &protos.RenameRegisteredModel{Name: new("after"), NewName: new("taken")})
	require.Equal(t, protos.ErrorCode_RESOURCE_ALREADY_EXISTS, contract.AsError(err).Code)
	require.Contains(t, contract.AsError(err).Message, "Registered Model (name=taken) already exists. Error: (")
}

func (s registrySuite) registeredModelTags(t *testing.T) {
	t.Helper()

	name := s.model(t, "tagged", 0)
	set := func(key, value string) {
		_, err := s.SetRegisteredModelTag(t.Context(),
			&protos.SetRegisteredModelTag{Name: new(name), Key: new(key), Value: new(value)})
		require.NoError(t, err)
	}

	set("a", "1")
	set("a", "2")
	set("b", "")
	require.ElementsMatch(t, []string{"a=2", "b="}, s.tagsOf(t, name))

	for range 2 {
		_, err := s.DeleteRegisteredModelTag(t.Context(),
			&protos.DeleteRegisteredModelTag{Name: new(name), Key: new("a")})
		require.NoError(t, err)
	}

	require.Equal(t, []string{"b="}, s.tagsOf(t, name))

	_, err := s.SetRegisteredModelTag(t.Context(), &protos.SetRegisteredModelTag{Name: new("nobody"), Key: new("k")})
	requireMissingf(t, err, "Registered Model with name=nobody not found")
}

func (s registrySuite) tagsOf(t *testing.T, name string) []string {
	t.Helper()

	found := s.getModel(t, name).GetTags()
	tags := make([]string, len(found))

	for i, tag := range found {
		tags[i] = tag.GetKey() + "=" + tag.GetValue()
	}

	return tags
}

func (s registrySuite) modelVersion(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		name := s.model(t, "versioned", 1)
		created := s.version(t, name)
		now := created.GetCreationTimestamp()

		requireMessage(t, &protos.ModelVersion{
			Name: new(name), Version: new("2"), CreationTimestamp: new(now), LastUpdatedTimestamp: new(now),
			CurrentStage: new("None"), Source: new("s3://bucket/versioned"), RunId: new("run"),
			Status: protos.ModelVersionStatus_READY.Enum(),
			Tags:   []*protos.ModelVersionTag{{Key: new("t"), Value: new("v")}},
		}, created)
		requireMessage(t, created, s.getVersion(t, name, "2"))
		require.Equal(t, now, s.getModel(t, name).GetLastUpdatedTimestamp())
	})
	t.Run("OKUpdate", func(t *testing.T) {
		name := s.model(t, "described", 1)

		for _, description := range []*string{new("é"), nil} {
			changed, err := s.UpdateModelVersion(t.Context(), &protos.UpdateModelVersion{
				Name: new(name), Version: new("1"), Description: description,
			})
			require.NoError(t, err)
			require.Equal(t, description, changed.GetModelVersion().Description)
			requireMessage(t, changed.GetModelVersion(), s.getVersion(t, name, "1"))
		}
	})
	t.Run("OKDelete", func(t *testing.T) {
		name := s.model(t, "thinned", 2)
		_, err := s.SetRegisteredModelAlias(t.Context(),
			&protos.SetRegisteredModelAlias{Name: new(name), Alias: new("a"), Version: new("2")})
		require.NoError(t, err)

		request := &protos.DeleteModelVersion{Name: new(name), Version: new("2")}
		_, err = s.DeleteModelVersion(t.Context(), request)
		require.NoError(t, err)
		_, err = s.DeleteModelVersion(t.Context(), request)
		requireMissingf(t, err, "Model Version (name=thinned, version=2) not found")

		require.Empty(t, s.getModel(t, name).GetAliases())
		require.Equal(t, "1", s.getModel(t, name).GetLatestVersions()[0].GetVersion())
		require.Equal(t, "3", s.version(t, name).GetVersion(), "a number isn't given twice")
		require.Equal(t, 1, s.count(t, "SELECT COUNT(*) FROM model_versions WHERE name = ? AND version = 2 AND "+
			"current_stage = 'Deleted_Internal' AND source = 'REDACTED-SOURCE-PATH' AND run_id = 'REDACTED-RUN-ID' AND "+
			"run_link = 'REDACTED-RUN-LINK'", name))
	})
	t.Run("ErrVersion", func(t *testing.T) {
		name := s.model(t, "numbered", 1)

		for version, message := range map[string]string{
			"x": "Parameter 'version' must be an integer, got 'x'.", "": "Parameter 'version' must be an integer, got ''.",
		} {
			_, err := s.GetModelVersion(t.Context(), &protos.GetModelVersion{Name: new(name), Version: new(version)})
			requireInvalidf(t, err, "%s", message)
		}

		for _, version := range []string{"2", "0", "-1", "3000000000", "99999999999999999999"} {
			_, err := s.GetModelVersion(t.Context(), &protos.GetModelVersion{Name: new(name), Version: new(version)})
			requireMissingf(t, err, "Model Version (name=numbered, version=%s) not found", version)
		}
	})
}

func (s registrySuite) createFromModels(t *testing.T) {
	t.Helper()

	run, err := s.tracking.CreateExperiment(t.Context(), &protos.CreateExperiment{Name: new(t.Name())})
	require.NoError(t, err)
	logged, err := s.tracking.CreateLoggedModel(t.Context(), &protos.CreateLoggedModel{
		ExperimentId: run.ExperimentId, SourceRunId: new("its run"),
	})
	require.NoError(t, err)

	info := logged.GetModel().GetInfo()
	name := s.model(t, "derived", 0)
	create := func(request *protos.CreateModelVersion) (*protos.ModelVersion, error) {
		request.Name = new(name)
		created, err := s.CreateModelVersion(t.Context(), request)

		return created.GetModelVersion(), err
	}

	for _, request := range []*protos.CreateModelVersion{
		{Source: new("models:/" + info.GetModelId())},
		{Source: new("models:/" + info.GetModelId()), RunId: new("")},
		{Source: new("s3://elsewhere"), ModelId: info.ModelId},
	} {
		created, err := create(request)
		require.NoError(t, err)
		require.Equal(t, "its run", created.GetRunId())
	}

	copied, err := create(&protos.CreateModelVersion{Source: new("models:/derived/1")})
	require.NoError(t, err)

	location, err := s.GetModelVersionDownloadUri(t.Context(),
		&protos.GetModelVersionDownloadUri{Name: new(name), Version: copied.Version})
	require.NoError(t, err)
	require.Equal(t, info.GetArtifactUri(), location.GetArtifactUri())

	_, err = create(&protos.CreateModelVersion{Source: new("models:/m-none")})
	requireErrorf(t, err, protos.ErrorCode_INTERNAL_ERROR, "Unable to fetch model from model URI source artifact location "+
		"'models:/m-none'.Error: Logged model with ID 'm-none' not found.")
	_, err = create(&protos.CreateModelVersion{Source: new("models:/derived/9")})
	requireErrorf(t, err, protos.ErrorCode_INTERNAL_ERROR, "Unable to fetch model from model URI source artifact location "+
		"'models:/derived/9'.Error: Model Version (name=derived, version=9) not found")
}

// createConcurrently has many clients add versions of one model: each gets a number of its own, and
// none is left out.
func (s registrySuite) createConcurrently(t *testing.T) {
	t.Helper()

	const clients, each = 8, 10

	name := s.model(t, "popular", 0)
	seen := make(chan string, clients*each)

	inParallel(t, clients, func(ctx context.Context, _ int) error {
		for range each {
			created, err := s.CreateModelVersion(ctx, &protos.CreateModelVersion{
				Name: new(name), Source: new("s"), Tags: []*protos.ModelVersionTag{{Key: new("t"), Value: new("v")}},
			})
			if err != nil {
				return err
			}

			seen <- created.GetModelVersion().GetVersion()
		}

		return nil
	})
	close(seen)

	numbers := map[string]bool{}
	for number := range seen {
		numbers[number] = true
	}

	require.Len(t, numbers, clients*each)

	for number := range clients * each {
		require.Contains(t, numbers, strconv.Itoa(number+1))
	}
}

// inParallel runs work at once in so many goroutines and wants none to fail.
func inParallel(t *testing.T, clients int, work func(ctx context.Context, client int) error) {
	t.Helper()

	var all sync.WaitGroup

	failures := make(chan error, clients)

	for client := range clients {
		all.Go(func() {
			if err := work(t.Context(), client); err != nil {
				failures <- err
			}
		})
	}

	all.Wait()
	close(failures)

	for err := range failures {
		require.NoError(t, err)
	}
}

// changeConcurrently changes stages, aliases and versions of one model at once: nobody waits for
// each other, a stage holds one version at the end, and no alias points to a deleted version.
func (s registrySuite) changeConcurrently(t *testing.T) {
	t.Helper()

	const clients, versions = 8, 8

	name := s.model(t, "busy", versions)

	inParallel(t, clients, func(ctx context.Context, client int) error {
		for i := range versions {
			version := new(strconv.Itoa((client+i)%versions + 1))

			steps := []func() error{
				func() error {
					_, err := s.TransitionModelVersionStage(ctx, &protos.TransitionModelVersionStage{
						Name: new(name), Version: version, Stage: new("Production"), ArchiveExistingVersions: new(true),
					})

					return err
				},
				func() error {
					_, err := s.SetRegisteredModelAlias(ctx, &protos.SetRegisteredModelAlias{
						Name: new(name), Alias: new("champion"), Version: version,
					})

					return err
				},
				func() error {
					_, err := s.SetModelVersionTag(ctx, &protos.SetModelVersionTag{
						Name: new(name), Version: version, Key: new("t"), Value: new(strconv.Itoa(client)),
					})

					return err
				},
				func() error {
					_, err := s.UpdateModelVersion(ctx, &protos.UpdateModelVersion{Name: new(name), Version: version})

					return err
				},
				func() error {
					if client > 0 || i%2 > 0 {
						return nil
					}

					_, err := s.DeleteModelVersion(ctx, &protos.DeleteModelVersion{Name: new(name), Version: version})

					return err
				},
			}

			for _, step := range steps {
				if err := step(); err != nil && contract.AsError(err).Code != protos.ErrorCode_RESOURCE_DOES_NOT_EXIST {
					return fmt.Errorf("client %d: %w", client, err)
				}
			}
		}

		return nil
	})

	require.LessOrEqual(t, s.count(t,
		"SELECT COUNT(*) FROM model_versions WHERE name = ? AND current_stage = 'Production'", name), 1)
	require.Zero(t, s.count(t, "SELECT COUNT(*) FROM registered_model_aliases a JOIN model_versions m "+
		"ON m.name = a.name AND m.version = a.version WHERE a.name = ? AND m.current_stage = 'Deleted_Internal'", name))
}

func (s registrySuite) modelVersionTags(t *testing.T) {
	t.Helper()

	name := s.model(t, "version tags", 2)
	set := func(version, key, value string) error {
		_, err := s.SetModelVersionTag(t.Context(), &protos.SetModelVersionTag{
			Name: new(name), Version: new(version), Key: new(key), Value: new(value),
		})

		return err
	}

	require.NoError(t, set("1", "t", "changed"))
	require.NoError(t, set("1", "new", ""))
	require.Len(t, s.getVersion(t, name, "1").GetTags(), 2)
	require.Equal(t, "v", s.getVersion(t, name, "2").GetTags()[0].GetValue())

	for range 2 {
		_, err := s.DeleteModelVersionTag(t.Context(),
			&protos.DeleteModelVersionTag{Name: new(name), Version: new("1"), Key: new("t")})
		require.NoError(t, err)
	}

	requireMessage(t, &protos.ModelVersionTag{Key: new("new"), Value: new("")}, s.getVersion(t, name, "1").GetTags()[0])
	requireMissingf(t, set("3", "t", ""), "Model Version (name=version tags, version=3) not found")
	requireInvalidf(t, set("1", "a//b", ""), `Invalid value "a//b" for parameter 'key' supplied: Names may be treated as `+
		"files in certain cases, and must not resolve to other names when treated as such. This name would resolve to 'a/b'")
}

func (s registrySuite) stages(t *testing.T) {
	t.Helper()

	name := s.model(t, "staged", 4)
	move := func(version, stage string, archive bool) error {
		moved, err := s.TransitionModelVersionStage(t.Context(), &protos.TransitionModelVersionStage{
			Name: new(name), Version: new(version), Stage: new(stage), ArchiveExistingVersions: new(archive),
		})
		if err == nil {
			requireMessage(t, moved.GetModelVersion(), s.getVersion(t, name, version))
		}

		return err
	}
	latest := func(stages ...string) (found []string) {
		response, err := s.GetLatestVersions(t.Context(), &protos.GetLatestVersions{Name: new(name), Stages: stages})
		require.NoError(t, err)

		for _, version := range response.GetModelVersions() {
			found = append(found, version.GetCurrentStage()+" "+version.GetVersion())
		}

		return found
	}

	require.NoError(t, move("1", "staging", false))
	require.NoError(t, move("2", "Production", false))
	require.Equal(t, []string{"Staging 1", "Production 2", "None 4"}, latest())
	require.NoError(t, move("3", "PRODUCTION", true))
	require.Equal(t, []string{"Archived 2", "Production 3"}, latest("production", "ARCHIVED"))
	requireInvalidf(t, move("1", "nowhere", false),
		"Invalid Model Version stage: nowhere. Value must be one of None, Staging, Production, Archived.")
	requireErrorf(t, move("1", "none", true), protos.ErrorCode_INTERNAL_ERROR, "Model version transition cannot archive "+
		"existing model versions because 'none' is not an Active stage. Valid stages are ['Staging', 'Production']")
	requireMissingf(t, move("9", "Staging", true), "Model Version (name=staged, version=9) not found")
	require.Equal(t, "Staging", s.getVersion(t, name, "1").GetCurrentStage(), "nothing is archived for a version that isn't there")
}

func (s registrySuite) aliases(t *testing.T) {
	t.Helper()

	name := s.model(t, "aliased", 2)
	point := func(alias, version string) error {
		_, err := s.SetRegisteredModelAlias(t.Context(),
			&protos.SetRegisteredModelAlias{Name: new(name), Alias: new(alias), Version: new(version)})

		return err
	}
	behind := func(alias string) (*protos.ModelVersion, error) {
		found, err := s.GetModelVersionByAlias(t.Context(),
			&protos.GetModelVersionByAlias{Name: new(name), Alias: new(alias)})

		return found.GetModelVersion(), err
	}

	require.NoError(t, point("champion", "1"))
	require.NoError(t, point("champion", "2"))
	require.NoError(t, point("other", "2"))

	found, err := behind("champion")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"champion", "other"}, found.GetAliases())
	requireMessage(t, s.getVersion(t, name, "2"), found)

	highest, err := behind("Latest")
	require.NoError(t, err)
	requireMessage(t, found, highest)

	for range 2 {
		_, err := s.DeleteRegisteredModelAlias(t.Context(),
			&protos.DeleteRegisteredModelAlias{Name: new(name), Alias: new("champion")})
		require.NoError(t, err)
	}

	_, err = behind("champion")
	requireInvalidf(t, err, "Registered model alias champion not found.")
	requireMissingf(t, point("x", "3"), "Model Version (name=aliased, version=3) not found")
	requireInvalidf(t, point("a b", "1"), "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores "+
		"(_), and dashes (-).")
	requireInvalidf(t, point("LATEST", "1"), "'latest' alias name (case insensitive) is reserved.")
	requireInvalidf(t, point("v1", "1"), "Version alias name 'v1' is reserved.")

	_, err = s.GetModelVersionByAlias(t.Context(), &protos.GetModelVersionByAlias{Name: new("nobody"), Alias: new("x")})
	requireMissingf(t, err, "Registered Model with name=nobody not found")

	empty := s.model(t, "empty", 0)
	_, err = s.GetModelVersionByAlias(t.Context(), &protos.GetModelVersionByAlias{Name: new(empty), Alias: new("latest")})
	requireMissingf(t, err, "Latest version not found for model empty.")
}

func (s registrySuite) searchRegisteredModels(t *testing.T) {
	t.Helper()

	for i, name := range []string{"find a", "find b", "find c"} {
		s.model(t, name, i)
	}

	_, err := s.SetRegisteredModelTag(t.Context(),
		&protos.SetRegisteredModelTag{Name: new("find b"), Key: new("k"), Value: new("V")})
	require.NoError(t, err)

	find := func(filter string, orders ...string) (names []string) {
		response, err := s.SearchRegisteredModels(t.Context(),
			&protos.SearchRegisteredModels{Filter: new(filter), OrderBy: orders})
		require.NoError(t, err)

		for _, found := range response.GetRegisteredModels() {
			requireMessage(t, s.getModel(t, found.GetName()), found)

			names = append(names, found.GetName())
		}

		return names
	}

	require.Equal(t, []string{"find a", "find b", "find c"}, find("name LIKE 'find%'"))
	require.Equal(t, []string{"find c", "find b", "find a"}, find("name LIKE 'find%'", "name DESC"))
	require.Equal(t, []string{"find c"}, find("name ILIKE 'FIND c'"))
	require.Equal(t, []string{"find b"}, find("tags.k = 'V' AND name IN ('find a', 'find b')"))
	require.Empty(t, find("tags.k = 'v'"))

	request := &protos.SearchRegisteredModels{Filter: new("name LIKE 'find%'"), MaxResults: new(int64(2))}
	page, err := s.SearchRegisteredModels(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, page.GetRegisteredModels(), 2)

	request.PageToken = page.NextPageToken
	page, err = s.SearchRegisteredModels(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, page.GetRegisteredModels(), 1)
	require.Nil(t, page.NextPageToken)

	for size, message := range map[int64]string{
		1001: "Invalid value for request parameter max_results. It must be at most 1000, but got value 1001",
		-1:   "Invalid value for max_results. It must be a positive integer, but got -1",
	} {
		_, err := s.SearchRegisteredModels(t.Context(), &protos.SearchRegisteredModels{MaxResults: new(size)})
		requireInvalidf(t, err, "%s", message)
	}
}

func (s registrySuite) searchModelVersions(t *testing.T) {
	t.Helper()

	s.model(t, "look a", 3)
	s.model(t, "look b", 2)

	_, err := s.SetModelVersionTag(t.Context(),
		&protos.SetModelVersionTag{Name: new("look a"), Version: new("2"), Key: new("k"), Value: new("V")})
	require.NoError(t, err)
	_, err = s.DeleteModelVersion(t.Context(), &protos.DeleteModelVersion{Name: new("look b"), Version: new("1")})
	require.NoError(t, err)

	find := func(filter string, orders ...string) (names []string) {
		response, err := s.SearchModelVersions(t.Context(), &protos.SearchModelVersions{Filter: new(filter), OrderBy: orders})
		require.NoError(t, err)

		for _, found := range response.GetModelVersions() {
			requireMessage(t, s.getVersion(t, found.GetName(), found.GetVersion()), found)

			names = append(names, found.GetName()+" "+found.GetVersion())
		}

		return names
	}

	require.Equal(t, []string{"look a 3", "look a 2", "look a 1", "look b 2"}, find("name LIKE 'look%'", "name"))
	require.Equal(t, []string{"look a 2", "look b 2"}, find("name LIKE 'look%' AND version_number = 2", "name"))
	require.Equal(t, []string{"look a 2"}, find("tags.k = 'V' AND tags.t = 'v' AND run_id = 'run'"))
	require.Equal(t, []string{"look b 2"}, find("source_path = 's3://bucket/look b'"))
	require.Empty(t, find("name = 'look a' AND version_number > 99999999999"))
	require.Len(t, find("name = 'look a' AND version_number < 99999999999"), 3)

	_, err = s.SearchModelVersions(t.Context(), &protos.SearchModelVersions{MaxResults: new(int64(0))})
	requireInvalidf(t, err, "Invalid value for max_results. It must be a positive integer, but got 0")
}

func promptTags() []*protos.RegisteredModelTag {
	return []*protos.RegisteredModelTag{{Key: new("mlflow.prompt.is_prompt"), Value: new("true")}}
}

// prompts are found only when they are asked for.
func (s registrySuite) prompts(t *testing.T) {
	t.Helper()

	_, err := s.CreateRegisteredModel(t.Context(),
		&protos.CreateRegisteredModel{Name: new("greeting"), Tags: promptTags()})
	require.NoError(t, err)
	_, err = s.CreateModelVersion(t.Context(), &protos.CreateModelVersion{
		Name: new("greeting"), Source: new("prompt-template"), Tags: []*protos.ModelVersionTag{
			{Key: new("mlflow.prompt.is_prompt"), Value: new("true")}, {Key: new("mlflow.prompt.text"), Value: new("Hi {{you}}")},
		},
	})
	require.NoError(t, err)
	s.model(t, "greeter", 1)

	for filter, want := range map[string]string{
		"": "greeter", " AND tags.`mlflow.prompt.is_prompt` = 'true'": "greeting",
		" AND tags.`mlflow.prompt.is_prompt` != 'false'": "greeting",
		" AND tags.`mlflow.prompt.is_prompt` = 'false'":  "greeter",
	} {
		models, err := s.SearchRegisteredModels(t.Context(),
			&protos.SearchRegisteredModels{Filter: new("name LIKE 'greet%'" + filter)})
		require.NoError(t, err)
		require.Len(t, models.GetRegisteredModels(), 1, filter)
		require.Equal(t, want, models.GetRegisteredModels()[0].GetName(), filter)

		versions, err := s.SearchModelVersions(t.Context(),
			&protos.SearchModelVersions{Filter: new("name LIKE 'greet%'" + filter)})
		require.NoError(t, err)
		require.Len(t, versions.GetModelVersions(), 1, filter)
		require.Equal(t, want, versions.GetModelVersions()[0].GetName(), filter)
	}

	_, err = s.CreateRegisteredModel(t.Context(),
		&protos.CreateRegisteredModel{Name: new("greeting"), Tags: promptTags()})
	requireErrorf(t, err, protos.ErrorCode_RESOURCE_ALREADY_EXISTS, "Prompt (name=greeting) already exists.")
}

func (s registrySuite) count(t *testing.T, query string, args ...any) (rows int) {
	t.Helper()
	require.NoError(t, s.db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(query, args...).Scan(&rows)
	}))

	return rows
}
