package storetest

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

func modelTag(key, value string) *protos.LoggedModelTag {
	return &protos.LoggedModelTag{Key: new(key), Value: new(value)}
}

func modelParam(key, value string) *protos.LoggedModelParameter {
	return &protos.LoggedModelParameter{Key: new(key), Value: new(value)}
}

// model makes a logged model and says its ID.
func (s suite) model(t *testing.T, experiment, name string) string {
	t.Helper()

	created, err := s.CreateLoggedModel(t.Context(), &protos.CreateLoggedModel{
		ExperimentId: new(experiment), Name: new(name),
	})
	require.NoError(t, err)

	return created.GetModel().GetInfo().GetModelId()
}

func (s suite) getModel(t *testing.T, id string) *protos.LoggedModel {
	t.Helper()

	found, err := s.GetLoggedModel(contract.WithDeleted(t.Context()), &protos.GetLoggedModel{ModelId: new(id)})
	require.NoError(t, err)

	return found.GetModel()
}

func (s suite) createLoggedModel(t *testing.T) {
	t.Helper()

	create := func(request *protos.CreateLoggedModel) error {
		_, err := s.CreateLoggedModel(context.Background(), request)

		return err
	}

	t.Run("OK", func(t *testing.T) {
		experiment := s.experiment(t)
		created, err := s.CreateLoggedModel(t.Context(), &protos.CreateLoggedModel{
			ExperimentId: new(experiment), Name: new("m"), ModelType: new(""), SourceRunId: new("r"),
			Params: []*protos.LoggedModelParameter{modelParam("p", "1")},
			Tags:   []*protos.LoggedModelTag{modelTag("t", "")},
		})
		require.NoError(t, err)

		info := created.GetModel().GetInfo()
		id, now := info.GetModelId(), info.GetCreationTimestampMs()
		require.Regexp(t, `^m-[0-9a-f]{32}$`, id)
		requireMessage(t, &protos.LoggedModel{
			Info: &protos.LoggedModelInfo{
				ModelId: new(id), ExperimentId: new(experiment), Name: new("m"), CreationTimestampMs: new(now),
				LastUpdatedTimestampMs: new(now), Status: protos.LoggedModelStatus_LOGGED_MODEL_PENDING.Enum(),
				ArtifactUri: new("s3://bucket/root/" + experiment + "/models/" + id + "/artifacts?region=eu"),
				ModelType:   new(""), SourceRunId: new("r"), Tags: []*protos.LoggedModelTag{modelTag("t", "")},
			},
			Data: &protos.LoggedModelData{Params: []*protos.LoggedModelParameter{modelParam("p", "1")}},
		}, created.GetModel())
		requireMessage(t, created.GetModel(), s.getModel(t, id))
	})
	t.Run("OKNameless", func(t *testing.T) {
		created, err := s.CreateLoggedModel(t.Context(), &protos.CreateLoggedModel{ExperimentId: new(s.experiment(t))})
		require.NoError(t, err)
		require.Regexp(t, `^[a-z]+-[a-z]+-\d+$`, created.GetModel().GetInfo().GetName())
		require.Nil(t, created.GetModel().GetInfo().ModelType)
	})
	t.Run("ErrName", func(t *testing.T) {
		for name, repr := range map[string]string{"": "''", "a/b": "'a/b'", "it's": `"it's"`, "1.0": "'1.0'"} {
			requireInvalidf(t, create(&protos.CreateLoggedModel{Name: new(name)}), "Invalid model name (%s) provided. Model "+
				`name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%%', '"', "'")`,
				repr)
		}
	})
	t.Run("ErrTwice", func(t *testing.T) {
		experiment := s.experiment(t)

		for _, request := range []*protos.CreateLoggedModel{
			{Params: []*protos.LoggedModelParameter{modelParam("p", "1"), modelParam("p", "1")}},
			{Tags: []*protos.LoggedModelTag{modelTag("t", "1"), modelTag("t", "1")}},
		} {
			request.ExperimentId = new(experiment)
			require.Equal(t, protos.ErrorCode_BAD_REQUEST, contract.AsError(create(request)).Code)
		}
	})
	t.Run("ErrNoExperiment", func(t *testing.T) {
		requireErrorf(t, create(&protos.CreateLoggedModel{ExperimentId: new("98765")}),
			protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No Experiment with id=98765 exists")
	})
	t.Run("ErrDeletedExperiment", func(t *testing.T) {
		id := s.experiment(t)
		_, err := s.DeleteExperiment(t.Context(), &protos.DeleteExperiment{ExperimentId: new(id)})
		require.NoError(t, err)
		requireInvalidf(t, create(&protos.CreateLoggedModel{ExperimentId: new(id)}),
			"The experiment %s must be in the 'active' state. Current state is deleted.", id)
	})
}

func (s suite) changeLoggedModel(t *testing.T) {
	t.Helper()

	params := func(id string, params ...*protos.LoggedModelParameter) error {
		_, err := s.LogLoggedModelParams(context.Background(),
			&protos.LogLoggedModelParamsRequest{ModelId: new(id), Params: params})

		return err
	}
	set := func(id string, tags ...*protos.LoggedModelTag) error {
		_, err := s.SetLoggedModelTags(context.Background(), &protos.SetLoggedModelTags{ModelId: new(id), Tags: tags})

		return err
	}
	unset := func(id, key string) error {
		_, err := s.DeleteLoggedModelTag(context.Background(),
			&protos.DeleteLoggedModelTag{ModelId: new(id), TagKey: new(key)})

		return err
	}
	finalize := func(id string) error {
		_, err := s.FinalizeLoggedModel(context.Background(), &protos.FinalizeLoggedModel{
			ModelId: new(id), Status: protos.LoggedModelStatus_LOGGED_MODEL_READY.Enum(),
		})

		return err
	}
	remove := func(id string) error {
		_, err := s.DeleteLoggedModel(context.Background(), &protos.DeleteLoggedModel{ModelId: new(id)})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.model(t, s.experiment(t), "m")
		s.exec(t, "UPDATE logged_models SET last_updated_timestamp_ms = 1 WHERE model_id = ?", id)
		require.NoError(t, params(id, modelParam("p", "1")))
		require.NoError(t, set(id, modelTag("a", "1"), modelTag("b", "1"), modelTag("a", "2")))
		require.NoError(t, set(id, modelTag("b", "3"), modelTag("c", "")))
		require.NoError(t, unset(id, "a"))
		require.Equal(t, int64(1), s.getModel(t, id).GetInfo().GetLastUpdatedTimestampMs())
		require.NoError(t, finalize(id))

		found := s.getModel(t, id)
		tags := map[string]string{}

		for _, tag := range found.GetInfo().GetTags() {
			tags[tag.GetKey()] = tag.GetValue()
		}

		require.Equal(t, map[string]string{"b": "3", "c": ""}, tags)
		require.Equal(t, protos.LoggedModelStatus_LOGGED_MODEL_READY, found.GetInfo().GetStatus())
		require.Greater(t, found.GetInfo().GetLastUpdatedTimestampMs(), int64(1))
	})
	t.Run("OKDeleted", func(t *testing.T) {
		id := s.model(t, s.experiment(t), "m")

		for range 2 {
			require.NoError(t, remove(id))
		}

		_, err := s.GetLoggedModel(t.Context(), &protos.GetLoggedModel{ModelId: new(id)})
		requireErrorf(t, err, protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Logged model with ID '%s' not found.", id)
		require.NoError(t, set(id, modelTag("k", "v")))
		require.NoError(t, params(id, modelParam("k", "v")))
		require.NoError(t, finalize(id))
		require.Len(t, s.getModel(t, id).GetInfo().GetTags(), 1)
	})
	t.Run("ErrParamAgain", func(t *testing.T) {
		id := s.model(t, s.experiment(t), "m")
		require.NoError(t, params(id, modelParam("p", "1")))
		require.Equal(t, protos.ErrorCode_BAD_REQUEST,
			contract.AsError(params(id, modelParam("q", "1"), modelParam("p", "1"))).Code)
		require.Len(t, s.getModel(t, id).GetData().GetParams(), 1)
	})
	t.Run("ErrNoTag", func(t *testing.T) {
		id := s.model(t, s.experiment(t), "m")
		requireErrorf(t, unset(id, "it's"), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
			`No tag with key "it's" found for model with ID '%s'.`, id)
	})
	t.Run("ErrNoModel", func(t *testing.T) {
		for _, call := range []func(string) error{
			func(id string) error { return params(id) }, func(id string) error { return set(id) },
			func(id string) error { return unset(id, "k") }, finalize, remove,
		} {
			requireErrorf(t, call("nope"), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
				"Logged model with ID 'nope' not found.")
		}
	})
}

func (s suite) searchLoggedModels(t *testing.T) {
	t.Helper()

	experiment := s.experiment(t)
	run := s.runIn(t, experiment)
	ids := make([]string, 0, 4)

	for i, name := range []string{"a", "b", "c", "d"} {
		id := s.model(t, experiment, name)
		ids = append(ids, id)
		s.exec(t, "UPDATE logged_models SET creation_timestamp_ms = ? WHERE model_id = ?", i/2, id)

		if name == "d" {
			continue
		}

		for step := range int64(2) { // the second one is the latest
			m := metric("acc", float64(i)+10*float64(1-step), 5, step)
			m.ModelId, m.DatasetName, m.DatasetDigest = new(id), new("set"), new("1")
			_, err := s.LogBatch(t.Context(), &protos.LogBatch{RunId: new(run), Metrics: []*protos.Metric{m}})
			require.NoError(t, err)
		}
	}

	find := func(t *testing.T, request *protos.SearchLoggedModels) (names, token string) {
		t.Helper()

		request.ExperimentIds = []string{experiment}
		found, err := s.SearchLoggedModels(t.Context(), request)
		require.NoError(t, err)

		all := make([]string, 0, len(found.GetModels()))
		for _, model := range found.GetModels() {
			all = append(all, model.GetInfo().GetName())
		}

		return strings.Join(all, ""), found.GetNextPageToken()
	}
	by := func(field string, ascending bool) *protos.SearchLoggedModels_OrderBy {
		return &protos.SearchLoggedModels_OrderBy{FieldName: new(field), Ascending: new(ascending)}
	}

	for _, test := range []struct {
		name, want string
		request    *protos.SearchLoggedModels
	}{
		{"OKByMetric", "abcd", &protos.SearchLoggedModels{OrderBy: []*protos.SearchLoggedModels_OrderBy{by("metrics.acc", true)}}},
		{"OKByMetricDescending", "cbad", &protos.SearchLoggedModels{OrderBy: []*protos.SearchLoggedModels_OrderBy{by("metrics.acc", false)}}},
		{"OKByCreation", "badc", &protos.SearchLoggedModels{OrderBy: []*protos.SearchLoggedModels_OrderBy{by("creation_time", true), by("name", false)}}},
		{"OKMetric", "bc", &protos.SearchLoggedModels{
			Filter: new("metrics.acc > 10.5"), OrderBy: []*protos.SearchLoggedModels_OrderBy{by("name", true)},
		}},
		{"OKDataset", "abc", &protos.SearchLoggedModels{
			Datasets: []*protos.SearchLoggedModels_Dataset{{DatasetName: new("set")}},
			OrderBy:  []*protos.SearchLoggedModels_OrderBy{by("name", true)},
		}},
		{"OKDatasetWithoutDigest", "", &protos.SearchLoggedModels{
			Datasets: []*protos.SearchLoggedModels_Dataset{{DatasetName: new("set"), DatasetDigest: new("")}},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			names, token := find(t, test.request)
			require.Equal(t, test.want, names)
			require.Empty(t, token)
		})
	}

	t.Run("OKByDefault", func(t *testing.T) {
		names, _ := find(t, &protos.SearchLoggedModels{})
		// Latest first, then by ID.
		require.Equal(t, names[:2] == "cd", ids[2] < ids[3])
		require.Equal(t, names[2:] == "ab", ids[0] < ids[1])
	})
	t.Run("OKPages", func(t *testing.T) {
		request := &protos.SearchLoggedModels{
			MaxResults: proto.Int32(3), OrderBy: []*protos.SearchLoggedModels_OrderBy{by("name", true)},
		}
		names, token := find(t, request)
		require.Equal(t, "abc", names)

		decoded, err := base64.StdEncoding.DecodeString(token)
		require.NoError(t, err)
		require.Equal(t, `{"experiment_ids": ["`+experiment+`"], "filter_string": null, "order_by": [{"field_name": "name", `+
			`"ascending": true, "dataset_name": null, "dataset_digest": null}], "offset": 3}`, string(decoded))

		request.PageToken = new(token)
		names, token = find(t, request)
		require.Equal(t, "d", names)
		require.Empty(t, token)

		request.Filter = new("name = 'a'")
		_, err = s.SearchLoggedModels(t.Context(), request)
		requireErrorf(t, err, protos.ErrorCode_INVALID_PARAMETER_VALUE, "Filter string in the page token does not match the "+
			"requested filter string. Expected: name = 'a'. Found: None")
	})
	t.Run("Err", func(t *testing.T) {
		for message, request := range map[string]*protos.SearchLoggedModels{
			"Invalid page token: x.": {PageToken: new("x")},
			"Experiment IDs in the page token do not match the requested experiment IDs. Expected: []. Found: None": {
				PageToken: new("eyJvZmZzZXQiOiAtMX0="), // {"offset": -1}
			},
			"Invalid order by field name: tags.a. Only metrics are supported.": {
				OrderBy: []*protos.SearchLoggedModels_OrderBy{by("tags.a", true)},
			},
			"Invalid order by field name: x": {OrderBy: []*protos.SearchLoggedModels_OrderBy{by("x", true)}},
			"`dataset_name` in the `datasets` clause must be specified.": {
				Datasets: []*protos.SearchLoggedModels_Dataset{{DatasetDigest: new("1")}},
			},
			"Invalid value -1 for parameter 'max_results' supplied. It must be a positive integer": {
				MaxResults: proto.Int32(-1),
			},
			"Logged models have no attribute 'x'": {Filter: new("x = 'a'")},
		} {
			_, err := s.SearchLoggedModels(t.Context(), request)
			requireInvalidf(t, err, "%s", message)
		}
	})
}
