package storetest

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// within is a caller in a workspace.
func within(t *testing.T, workspace string) context.Context {
	t.Helper()

	return contract.WithCaller(t.Context(), contract.Caller{Workspace: workspace})
}

// call asks for what isn't everybody's.
type call struct {
	name string
	call func(ctx context.Context) error
}

// asked drops the answer of a method.
func asked[Request, Response any](
	method func(context.Context, Request) (Response, error), request Request,
) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := method(ctx, request)

		return err
	}
}

// requireIsolated wants each call to find nothing from another workspace, and then to do its work from
// its own.
func requireIsolated(t *testing.T, calls []call, message string) {
	t.Helper()

	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			requireMissingf(t, c.call(within(t, "team-b")), "%s", message)
			require.NoError(t, c.call(within(t, "team-a")))
		})
	}
}

// workspaceExperiment makes an experiment with a run in it, both of a workspace.
func (s suite) workspaceExperiment(t *testing.T, workspace, name string) (experiment, run string) {
	t.Helper()

	created, err := s.CreateExperiment(within(t, workspace), &protos.CreateExperiment{Name: new(name)})
	require.NoError(t, err)

	started, err := s.CreateRun(within(t, workspace), &protos.CreateRun{ExperimentId: created.ExperimentId})
	require.NoError(t, err)

	return created.GetExperimentId(), started.GetRun().GetInfo().GetRunId()
}

func (s suite) workspaces(t *testing.T) {
	t.Helper()

	t.Run("Experiments", s.workspaceExperiments)
	t.Run("ExperimentCalls", s.workspaceExperimentCalls)
	t.Run("RunCalls", s.workspaceRunCalls)
	t.Run("LoggedModelCalls", s.workspaceModelCalls)
	t.Run("Searches", s.workspaceSearches)
}

func (s suite) workspaceExperiments(t *testing.T) {
	t.Helper()

	name := t.Name()
	ids := map[string]string{}

	for _, workspace := range []string{"team-a", "team-b", ""} { // a name may repeat
		id, _ := s.workspaceExperiment(t, workspace, name)
		ids[workspace] = id
	}

	for workspace, id := range ids {
		written := value[string](t, s, "SELECT workspace FROM experiments WHERE experiment_id = "+id)
		found, err := s.GetExperiment(within(t, workspace), &protos.GetExperiment{ExperimentId: new(id)})
		require.NoError(t, err)
		require.Equal(t, written, found.GetExperiment().GetWorkspace())

		want, location := workspace, "workspaces/"+workspace+"/"
		if workspace == "" {
			want, location = contract.DefaultWorkspace, ""
		}

		require.Equal(t, want, written)
		require.Equal(t, "s3://bucket/root/"+location+id+"?region=eu", found.GetExperiment().GetArtifactLocation())
	}

	for _, workspace := range []string{"team-a", "team-b", contract.DefaultWorkspace} {
		found, err := s.GetExperimentByName(within(t, workspace), &protos.GetExperimentByName{ExperimentName: new(name)})
		require.NoError(t, err)
		require.Equal(t, workspace, found.GetExperiment().GetWorkspace())

		_, err = s.CreateExperiment(within(t, workspace), &protos.CreateExperiment{Name: new(name)})
		require.Equal(t, protos.ErrorCode_RESOURCE_ALREADY_EXISTS, contract.AsError(err).Code)
	}

	t.Run("Off", func(t *testing.T) { // MLflow's store doesn't ask then, and doesn't start either
		found, err := s.GetExperiment(t.Context(), &protos.GetExperiment{ExperimentId: new(ids["team-a"])})
		require.NoError(t, err)
		require.Equal(t, "team-a", found.GetExperiment().GetWorkspace())
	})
	t.Run("OwnRoot", func(t *testing.T) {
		s.exec(t, "INSERT INTO workspaces (name, default_artifact_root) VALUES ('rooted', 's3://rooted/x'), ('rootless', NULL)")

		for workspace, root := range map[string]string{
			"rooted": "s3://rooted/x/", "rootless": "s3://bucket/root/workspaces/rootless/",
		} {
			id, _ := s.workspaceExperiment(t, workspace, name)
			require.Contains(t,
				value[string](t, s, "SELECT artifact_location FROM experiments WHERE experiment_id = "+id), root+id)
		}
	})
	t.Run("ErrArtifactLocation", func(t *testing.T) {
		_, err := s.CreateExperiment(within(t, "team-a"), &protos.CreateExperiment{ArtifactLocation: new("s3://x")})
		requireInvalidf(t, err, "artifact_location cannot be specified when workspaces are enabled")
	})
}

func (s suite) workspaceExperimentCalls(t *testing.T) {
	t.Helper()

	id, _ := s.workspaceExperiment(t, "team-a", t.Name())

	requireIsolated(t, []call{
		{"Get", asked(s.GetExperiment, &protos.GetExperiment{ExperimentId: new(id)})},
		{"Update", asked(s.UpdateExperiment, &protos.UpdateExperiment{ExperimentId: new(id), NewName: new(t.Name())})},
		{"SetTag", asked(s.SetExperimentTag, &protos.SetExperimentTag{
			ExperimentId: new(id), Key: new("k"), Value: new("v"),
		})},
		{"DeleteTag", asked(s.DeleteExperimentTag, &protos.DeleteExperimentTag{ExperimentId: new(id), Key: new("k")})},
		{"CreateRun", asked(s.CreateRun, &protos.CreateRun{ExperimentId: new(id)})},
		{"CreateLoggedModel", asked(s.CreateLoggedModel, &protos.CreateLoggedModel{ExperimentId: new(id)})},
		{"Delete", asked(s.DeleteExperiment, &protos.DeleteExperiment{ExperimentId: new(id)})},
		{"Restore", asked(s.RestoreExperiment, &protos.RestoreExperiment{ExperimentId: new(id)})},
	}, "No Experiment with id="+id+" exists")

	t.Run("GetByName", func(t *testing.T) {
		_, err := s.GetExperimentByName(within(t, "team-b"), &protos.GetExperimentByName{ExperimentName: new("nobody's")})
		requireMissingf(t, err, "Could not find experiment with name 'nobody's'")
	})
}

func (s suite) workspaceRunCalls(t *testing.T) {
	t.Helper()

	_, id := s.workspaceExperiment(t, "team-a", t.Name())
	rows := func() int64 {
		return value[int64](t, s, "SELECT (SELECT COUNT(*) FROM metrics) + (SELECT COUNT(*) FROM params) + "+
			"(SELECT COUNT(*) FROM tags) + (SELECT COUNT(*) FROM inputs) + (SELECT COUNT(*) FROM datasets)")
	}
	before := rows()

	requireIsolated(t, []call{
		{"Get", asked(s.GetRun, &protos.GetRun{RunId: new(id)})},
		{"Update", asked(s.UpdateRun, &protos.UpdateRun{RunId: new(id), Status: protos.RunStatus_FAILED.Enum()})},
		{"LogMetric", asked(s.LogMetric, &protos.LogMetric{
			RunId: new(id), Key: new("m"), Value: new(1.0), Timestamp: new(int64(1)),
		})},
		{"LogParam", asked(s.LogParam, &protos.LogParam{RunId: new(id), Key: new("p"), Value: new("v")})},
		{"SetTag", asked(s.SetTag, &protos.SetTag{RunId: new(id), Key: new("t"), Value: new("v")})},
		{"DeleteTag", asked(s.DeleteTag, &protos.DeleteTag{RunId: new(id), Key: new("t")})},
		{"LogBatch", asked(s.LogBatch, &protos.LogBatch{
			RunId: new(id), Metrics: []*protos.Metric{metric("m", 2, 2, 2)}, Params: []*protos.Param{param("q", "v")},
			Tags: []*protos.RunTag{runTag("u", "v")},
		})},
		{"LogInputs", asked(s.LogInputs, &protos.LogInputs{
			RunId: new(id), Datasets: []*protos.DatasetInput{{Dataset: &protos.Dataset{
				Name: new("d"), Digest: new("1"), SourceType: new("t"), Source: new("s"),
			}}},
		})},
		{"LogOutputs", asked(s.LogOutputs, &protos.LogOutputs{
			RunId: new(id), Models: []*protos.ModelOutput{{ModelId: new("m-1"), Step: new(int64(0))}},
		})},
		{"LogModel", asked(s.LogModel, &protos.LogModel{
			RunId: new(id), ModelJson: new(`{"artifact_path": "x", "flavors": {}, "utc_time_created": "x", "run_id": "x"}`),
		})},
		{"GetMetricHistory", asked(s.GetMetricHistory, &protos.GetMetricHistory{RunId: new(id), MetricKey: new("m")})},
		{"GetMetricHistoryBulkInterval", asked(s.GetMetricHistoryBulkInterval, &protos.GetMetricHistoryBulkInterval{
			RunIds: []string{id}, MetricKey: new("m"), MaxResults: new(int32(5)),
		})},
		{"Delete", asked(s.DeleteRun, &protos.DeleteRun{RunId: new(id)})},
		{"Restore", asked(s.RestoreRun, &protos.RestoreRun{RunId: new(id)})},
	}, "Run with id="+id+" not found")

	// A metric, a param and a tag each alone, less the tag that went; those of the batch; the dataset, its
	// input and the output; the tag of the model.
	require.Equal(t, before+2+3+3+1, rows(), "each call writes once")
}

func (s suite) workspaceModelCalls(t *testing.T) {
	t.Helper()

	experiment, _ := s.workspaceExperiment(t, "team-a", t.Name())
	created, err := s.CreateLoggedModel(within(t, "team-a"),
		&protos.CreateLoggedModel{ExperimentId: new(experiment), Name: new("n")})
	require.NoError(t, err)

	id := created.GetModel().GetInfo().GetModelId()

	requireIsolated(t, []call{
		{"Get", asked(s.GetLoggedModel, &protos.GetLoggedModel{ModelId: new(id)})},
		{"Finalize", asked(s.FinalizeLoggedModel, &protos.FinalizeLoggedModel{
			ModelId: new(id), Status: protos.LoggedModelStatus_LOGGED_MODEL_READY.Enum(),
		})},
		{"SetTags", asked(s.SetLoggedModelTags, &protos.SetLoggedModelTags{
			ModelId: new(id), Tags: []*protos.LoggedModelTag{{Key: new("k"), Value: new("v")}},
		})},
		{"DeleteTag", asked(s.DeleteLoggedModelTag, &protos.DeleteLoggedModelTag{ModelId: new(id), TagKey: new("k")})},
		{"LogParams", asked(s.LogLoggedModelParams, &protos.LogLoggedModelParamsRequest{
			ModelId: new(id), Params: []*protos.LoggedModelParameter{{Key: new("k"), Value: new("v")}},
		})},
		{"Delete", asked(s.DeleteLoggedModel, &protos.DeleteLoggedModel{ModelId: new(id)})},
	}, "Logged model with ID '"+id+"' not found.")
}

func (s suite) workspaceSearches(t *testing.T) {
	t.Helper()

	workspaces := []string{"team-a", "team-b"}
	experiments := make([]string, 0, len(workspaces))

	for _, workspace := range workspaces {
		experiment, run := s.workspaceExperiment(t, workspace, t.Name())
		experiments = append(experiments, experiment)

		_, err := s.CreateLoggedModel(within(t, workspace), &protos.CreateLoggedModel{
			ExperimentId: new(experiment), Tags: []*protos.LoggedModelTag{{Key: new("k"), Value: new("v")}},
		})
		require.NoError(t, err)
		_, err = s.LogBatch(within(t, workspace), &protos.LogBatch{
			RunId: new(run), Metrics: []*protos.Metric{metric("m", 1, 1, 1)}, Params: []*protos.Param{param("p", "v")},
		})
		require.NoError(t, err)
		_, err = s.SetExperimentTag(within(t, workspace), &protos.SetExperimentTag{
			ExperimentId: new(experiment), Key: new("k"), Value: new("v"),
		})
		require.NoError(t, err)
	}

	found := func(t *testing.T, ctx context.Context) (all [][]string) {
		t.Helper()

		all = make([][]string, 3)

		named, err := s.SearchExperiments(ctx, &protos.SearchExperiments{
			Filter: new("name LIKE '%Searches' AND tags.k = 'v'"), MaxResults: new(int64(9)), OrderBy: []string{"experiment_id"},
		})
		require.NoError(t, err)

		for _, experiment := range named.GetExperiments() {
			all[0] = append(all[0], experiment.GetExperimentId())
		}

		runs, err := s.SearchRuns(ctx, &protos.SearchRuns{
			ExperimentIds: experiments, Filter: new("params.p = 'v'"), OrderBy: []string{"metrics.m"}, MaxResults: new(int32(9)),
		})
		require.NoError(t, err)

		for _, run := range runs.GetRuns() {
			all[1] = append(all[1], run.GetInfo().GetExperimentId())
		}

		models, err := s.SearchLoggedModels(ctx, &protos.SearchLoggedModels{
			ExperimentIds: experiments, Filter: new("tags.k = 'v'"),
			OrderBy: []*protos.SearchLoggedModels_OrderBy{{FieldName: new("metrics.m")}},
		})
		require.NoError(t, err)

		for _, model := range models.GetModels() {
			all[2] = append(all[2], model.GetInfo().GetExperimentId())
		}

		return all
	}

	for i, workspace := range workspaces {
		of := experiments[i : i+1]
		require.Equal(t, [][]string{of, of, of}, found(t, within(t, workspace)), workspace)
	}

	for _, ids := range found(t, t.Context()) { // off
		require.ElementsMatch(t, experiments, ids)
	}
}

func (c charts) workspaces(t *testing.T) {
	t.Helper()

	experiment, run := c.workspaceExperiment(t, "team-a", t.Name())
	_, err := c.LogMetric(within(t, "team-a"), &protos.LogMetric{
		RunId: new(run), Key: new("m"), Value: new(1.0), Timestamp: new(int64(1)),
	})
	require.NoError(t, err)
	_, err = c.LogInputs(within(t, "team-a"), &protos.LogInputs{
		RunId: new(run), Datasets: []*protos.DatasetInput{{Dataset: &protos.Dataset{
			Name: new("d"), Digest: new("1"), SourceType: new("t"), Source: new("s"),
		}}},
	})
	require.NoError(t, err)

	for workspace, want := range map[string]int{"team-a": 1, "team-b": 0, "": 1} {
		history, err := c.ui.GetMetricHistoryBulk(within(t, workspace), &protos.GetMetricHistoryBulkInterval{
			RunIds: []string{run}, MetricKey: new("m"), MaxResults: new(int32(5)),
		})
		require.NoError(t, err)
		require.Len(t, history.GetMetrics(), want, workspace)

		datasets, err := c.ui.SearchDatasets(within(t, workspace), &protos.SearchDatasets{
			ExperimentIds: []string{experiment},
		})
		require.NoError(t, err)
		require.Len(t, datasets.GetDatasetSummaries(), want, workspace)
	}
}

func (s registrySuite) workspaces(t *testing.T) {
	t.Helper()

	for workspace, versions := range map[string]int{"team-a": 1, "team-b": 2, "": 3} { // a name may repeat
		ctx := within(t, workspace)

		_, err := s.CreateRegisteredModel(ctx, &protos.CreateRegisteredModel{
			Name: new("shared"), Tags: []*protos.RegisteredModelTag{{Key: new("of"), Value: new(workspace)}},
		})
		require.NoError(t, err)

		for range versions {
			_, err := s.CreateModelVersion(ctx, &protos.CreateModelVersion{
				Name: new("shared"), Source: new("s3://" + workspace), Tags: []*protos.ModelVersionTag{
					{Key: new("of"), Value: new(workspace)},
				},
			})
			require.NoError(t, err)
		}

		_, err = s.SetRegisteredModelAlias(ctx, &protos.SetRegisteredModelAlias{
			Name: new("shared"), Alias: new("a"), Version: new("1"),
		})
		require.NoError(t, err)
	}

	for _, workspace := range []string{"team-a", "team-b", contract.DefaultWorkspace} {
		for _, table := range []string{
			"registered_models", "registered_model_tags", "registered_model_aliases",
		} {
			require.Equal(t, 1, s.count(t, "SELECT COUNT(*) FROM "+table+" WHERE name = 'shared' AND workspace = ?",
				workspace), table)
		}
	}

	for workspace, want := range map[string]int{"team-a": 1, "team-b": 2, "": 3, contract.DefaultWorkspace: 3} {
		of := workspace
		if of == contract.DefaultWorkspace {
			of = "" // as it was written
		}

		s.requireOneWorkspace(t, within(t, workspace), of, want)
	}

	name := "only of team-a"
	_, err := s.CreateRegisteredModel(within(t, "team-a"), &protos.CreateRegisteredModel{Name: new(name)})
	require.NoError(t, err)

	t.Run("Models", func(t *testing.T) {
		requireIsolated(t, []call{
			{"Get", asked(s.GetRegisteredModel, &protos.GetRegisteredModel{Name: new(name)})},
			{"Update", asked(s.UpdateRegisteredModel, &protos.UpdateRegisteredModel{Name: new(name)})},
			{"SetTag", asked(s.SetRegisteredModelTag, &protos.SetRegisteredModelTag{
				Name: new(name), Key: new("k"), Value: new("v"),
			})},
			{"DeleteTag", asked(s.DeleteRegisteredModelTag, &protos.DeleteRegisteredModelTag{Name: new(name), Key: new("k")})},
			{"GetLatest", asked(s.GetLatestVersions, &protos.GetLatestVersions{Name: new(name)})},
			{"CreateVersion", asked(s.CreateModelVersion, &protos.CreateModelVersion{
				Name: new(name), Source: new("s3://x"),
			})},
			{"DeleteAlias", asked(s.DeleteRegisteredModelAlias, &protos.DeleteRegisteredModelAlias{
				Name: new(name), Alias: new("a"),
			})},
		}, "Registered Model with name="+name+" not found")
	})
	t.Run("Versions", func(t *testing.T) {
		requireIsolated(t, []call{
			{"Get", asked(s.GetModelVersion, &protos.GetModelVersion{Name: new(name), Version: new("1")})},
			{"GetURI", asked(s.GetModelVersionDownloadUri, &protos.GetModelVersionDownloadUri{
				Name: new(name), Version: new("1"),
			})},
			{"Update", asked(s.UpdateModelVersion, &protos.UpdateModelVersion{Name: new(name), Version: new("1")})},
			{"SetTag", asked(s.SetModelVersionTag, &protos.SetModelVersionTag{
				Name: new(name), Version: new("1"), Key: new("k"), Value: new("v"),
			})},
			{"DeleteTag", asked(s.DeleteModelVersionTag, &protos.DeleteModelVersionTag{
				Name: new(name), Version: new("1"), Key: new("k"),
			})},
			{"SetAlias", asked(s.SetRegisteredModelAlias, &protos.SetRegisteredModelAlias{
				Name: new(name), Version: new("1"), Alias: new("a"),
			})},
			{"Transition", asked(s.TransitionModelVersionStage, &protos.TransitionModelVersionStage{
				Name: new(name), Version: new("1"), Stage: new("Production"), ArchiveExistingVersions: new(true),
			})},
			{"Delete", asked(s.DeleteModelVersion, &protos.DeleteModelVersion{Name: new(name), Version: new("1")})},
		}, "Model Version (name="+name+", version=1) not found")
	})
	t.Run("DeleteAndRename", func(t *testing.T) {
		requireIsolated(t, []call{
			{"Rename", asked(s.RenameRegisteredModel, &protos.RenameRegisteredModel{
				Name: new(name), NewName: new("only of team-a "),
			})},
		}, "Registered Model with name="+name+" not found")
		requireIsolated(t, []call{
			{"Delete", asked(s.DeleteRegisteredModel, &protos.DeleteRegisteredModel{Name: new("only of team-a ")})},
		}, "Registered Model with name=only of team-a  not found")
	})
	t.Run("DeletesOwn", func(t *testing.T) {
		_, err := s.DeleteRegisteredModel(within(t, "team-b"), &protos.DeleteRegisteredModel{Name: new("shared")})
		require.NoError(t, err)
		s.requireOneWorkspace(t, within(t, "team-a"), "team-a", 1)
		s.requireOneWorkspace(t, within(t, ""), "", 3)
	})
	t.Run("LoggedModel", func(t *testing.T) { // a version may be made of one, but only of the workspace's own
		created, err := s.tracking.CreateExperiment(within(t, "team-a"), &protos.CreateExperiment{Name: new(t.Name())})
		require.NoError(t, err)
		model, err := s.tracking.CreateLoggedModel(within(t, "team-a"), &protos.CreateLoggedModel{
			ExperimentId: created.ExperimentId, Name: new("n"),
		})
		require.NoError(t, err)

		request := &protos.CreateModelVersion{
			Name: new("shared"), Source: new("models:/" + model.GetModel().GetInfo().GetModelId()),
		}
		_, err = s.CreateModelVersion(within(t, contract.DefaultWorkspace), request)
		require.ErrorContains(t, err, "not found")
		_, err = s.CreateModelVersion(within(t, "team-a"), request)
		require.NoError(t, err)
	})
}

// requireOneWorkspace wants the model shared, that a workspace has with a number of versions, and
// nothing of others' beside it.
//
//nolint:revive // t comes before the context in this package
func (s registrySuite) requireOneWorkspace(t *testing.T, ctx context.Context, of string, versions int) {
	t.Helper()

	model, err := s.GetRegisteredModel(ctx, &protos.GetRegisteredModel{Name: new("shared")})
	require.NoError(t, err)

	models, err := s.SearchRegisteredModels(ctx, &protos.SearchRegisteredModels{
		Filter: new("name = 'shared' AND tags.of != 'x'"), MaxResults: new(int64(9)),
	})
	require.NoError(t, err)
	require.Len(t, models.GetRegisteredModels(), 1)

	for _, found := range []*protos.RegisteredModel{model.GetRegisteredModel(), models.GetRegisteredModels()[0]} {
		require.Len(t, found.GetTags(), 1)
		require.Equal(t, of, found.GetTags()[0].GetValue())
		require.Len(t, found.GetAliases(), 1)
		require.Len(t, found.GetLatestVersions(), 1)
		require.Equal(t, "s3://"+of, found.GetLatestVersions()[0].GetSource())
		require.Len(t, found.GetLatestVersions()[0].GetTags(), 1)
	}

	searched, err := s.SearchModelVersions(ctx, &protos.SearchModelVersions{
		Filter: new("name = 'shared' AND tags.of != 'x'"), MaxResults: new(int64(9)),
	})
	require.NoError(t, err)
	require.Len(t, searched.GetModelVersions(), versions)

	aliased, err := s.GetModelVersionByAlias(ctx, &protos.GetModelVersionByAlias{Name: new("shared"), Alias: new("a")})
	require.NoError(t, err)

	for _, version := range append(searched.GetModelVersions(), aliased.GetModelVersion()) {
		require.Equal(t, "s3://"+of, version.GetSource())
		require.Len(t, version.GetTags(), 1)
		require.Equal(t, of, version.GetTags()[0].GetValue())
	}
}

func (s webhookSuite) workspaces(t *testing.T) {
	t.Helper()

	created, err := s.CreateWebhook(within(t, "team-a"), &protos.CreateWebhook{
		Name: new("n"), Url: new(webhookURL),
		Events: []*protos.WebhookEvent{webhookEvent(protos.WebhookEntity_PROMPT, protos.WebhookAction_CREATED)},
	})
	require.NoError(t, err)

	id := created.GetWebhook().GetWebhookId()
	require.Equal(t, "team-a", value[string](t, s.suite, "SELECT workspace FROM webhooks WHERE webhook_id = ?", id))

	for workspace, want := range map[string]bool{"team-a": true, "team-b": false, "": false} {
		listed, err := s.ListWebhooks(within(t, workspace), &protos.ListWebhooks{MaxResults: new(int32(1000))})
		require.NoError(t, err)
		require.Equal(t, want, slices.ContainsFunc(listed.GetWebhooks(), func(w *protos.Webhook) bool {
			return w.GetWebhookId() == id
		}), workspace)
	}

	requireIsolated(t, []call{
		{"Get", asked(s.GetWebhook, &protos.GetWebhook{WebhookId: new(id)})},
		{"Update", asked(s.UpdateWebhook, &protos.UpdateWebhook{WebhookId: new(id), Name: new("m")})},
		{"Delete", asked(s.DeleteWebhook, &protos.DeleteWebhook{WebhookId: new(id)})},
	}, "Webhook with ID "+id+" not found.")
}
