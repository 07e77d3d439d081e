package storetest

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

func datasetInput(name, digest string, tags ...*protos.InputTag) *protos.DatasetInput {
	return &protos.DatasetInput{
		Dataset: &protos.Dataset{
			Name: new(name), Digest: new(digest), SourceType: new("local"), Source: new("/data"),
		},
		Tags: tags,
	}
}

func inputTag(key, value string) *protos.InputTag {
	return &protos.InputTag{Key: new(key), Value: new(value)}
}

func (s suite) logInputs(t *testing.T) {
	t.Helper()

	log := func(id string, datasets ...*protos.DatasetInput) error {
		_, err := s.LogInputs(context.Background(), &protos.LogInputs{RunId: new(id), Datasets: datasets})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, log(id, datasetInput("d", "1", inputTag("k", "v"))))
		require.NoError(t, log(id, datasetInput("d", "1", inputTag("other", "v")), datasetInput("d", "1")))
		requireMessage(t, &protos.RunInputs{
			DatasetInputs: []*protos.DatasetInput{datasetInput("d", "1", inputTag("k", "v"))},
		}, s.get(t, id).GetInputs())
	})
	t.Run("OKSharedByRuns", func(t *testing.T) {
		experiment := s.experiment(t)
		for range 2 {
			require.NoError(t, log(s.runIn(t, experiment), datasetInput("d", "1")))
		}

		require.Equal(t, 1, value[int](t, s, "SELECT COUNT(*) FROM datasets WHERE experiment_id = ?", experiment))
	})
	t.Run("OKModels", func(t *testing.T) {
		id := s.run(t)
		for range 2 {
			_, err := s.LogInputs(t.Context(), &protos.LogInputs{
				RunId: new(id), Models: []*protos.ModelInput{{ModelId: new("m-1")}, {ModelId: new("m-1")}},
			})
			require.NoError(t, err)
		}

		requireMessage(t, &protos.RunInputs{ModelInputs: []*protos.ModelInput{{ModelId: new("m-1")}}},
			s.get(t, id).GetInputs())
	})
	t.Run("OKMany", func(t *testing.T) {
		const count = 1200

		many := make([]*protos.DatasetInput, count)
		for i := range many {
			many[i] = datasetInput("d", strings.Repeat("x", i%30)+string(rune('a'+i/30)), inputTag("k", "v"))
		}

		id := s.run(t)
		require.NoError(t, log(id, many...))
		require.Len(t, s.get(t, id).GetInputs().GetDatasetInputs(), count)
	})
	t.Run("ErrTagTwice", func(t *testing.T) {
		id := s.run(t)
		err := log(id, datasetInput("d", "1", inputTag("k", "1"), inputTag("k", "2")))
		require.Equal(t, protos.ErrorCode_BAD_REQUEST, contract.AsError(err).Code)
		require.Empty(t, s.get(t, id).GetInputs().GetDatasetInputs())
	})
	t.Run("ErrTooLong", func(t *testing.T) {
		long := strings.Repeat("é", 1_048_576)
		input := datasetInput("d", "1")
		input.Dataset.Schema = new(long)

		for message, wrong := range map[string]*protos.DatasetInput{
			"'name' exceeds the maximum length of 500 characters":       datasetInput(long[:2*501], "1"),
			"'digest' exceeds the maximum length of 36 characters":      datasetInput("d", long[:2*37]),
			"'schema' exceeds the maximum length of 1048575 characters": input,
			"'key' exceeds the maximum length of 255 characters":        datasetInput("d", "1", inputTag(long[:2*256], "")),
			"'value' exceeds the maximum length of 500 characters":      datasetInput("d", "1", inputTag("", long[:2*501])),
		} {
			requireInvalidf(t, log("x", wrong), "%s", message)
		}
	})
	t.Run("ErrRunID", func(t *testing.T) {
		requireInvalidf(t, log("*"), `Invalid value "*" for parameter 'run_id' supplied.`)
	})
	s.wantActiveRun(t, func(id string) error { return log(id, datasetInput("d", "1")) })
}

// logInputsConcurrently has runs of one experiment log the same datasets in different orders.
func (s suite) logInputsConcurrently(t *testing.T) {
	t.Helper()

	const runs = 16

	experiment := s.experiment(t)

	var group sync.WaitGroup

	for i := range runs {
		id := s.runIn(t, experiment)
		inputs := []*protos.DatasetInput{datasetInput("d", "1"), datasetInput("d", "2"), datasetInput("d", "3")}
		inputs[0], inputs[i%3] = inputs[i%3], inputs[0]

		group.Go(func() {
			_, err := s.LogInputs(context.Background(), &protos.LogInputs{RunId: new(id), Datasets: inputs})
			if err != nil {
				t.Errorf("run %d: %v", i, err)
			}
		})
	}

	group.Wait()
	require.Equal(t, 3, value[int](t, s, "SELECT COUNT(*) FROM datasets WHERE experiment_id = ?", experiment))
	require.Equal(t, 3*runs, value[int](t, s, "SELECT COUNT(*) FROM inputs i JOIN datasets d ON i.source_id = "+
		"d.dataset_uuid WHERE d.experiment_id = ?", experiment))
}

func (s suite) logOutputs(t *testing.T) {
	t.Helper()

	log := func(id string, models ...*protos.ModelOutput) error {
		_, err := s.LogOutputs(context.Background(), &protos.LogOutputs{RunId: new(id), Models: models})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		want := []*protos.ModelOutput{
			{ModelId: new("m-1"), Step: new(int64(5))}, {ModelId: new("m-2"), Step: new(int64(0))},
		}
		require.NoError(t, log(id, &protos.ModelOutput{ModelId: new("m-1"), Step: new(int64(5))},
			&protos.ModelOutput{ModelId: new("m-2")}))
		requireMessage(t, &protos.RunOutputs{ModelOutputs: want}, s.get(t, id).GetOutputs())
	})
	t.Run("ErrAgain", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, log(id, &protos.ModelOutput{ModelId: new("m-1")}))
		err := log(id, &protos.ModelOutput{ModelId: new("m-2")}, &protos.ModelOutput{ModelId: new("m-1")})
		require.Equal(t, protos.ErrorCode_BAD_REQUEST, contract.AsError(err).Code)
		require.Len(t, s.get(t, id).GetOutputs().GetModelOutputs(), 1)
	})
	s.wantActiveRun(t, func(id string) error { return log(id) })
}

func (s suite) logModel(t *testing.T) {
	t.Helper()

	const model = `{"artifact_path": "p", "flavors": {"f": {"config": 1, "a": 2}}, "utc_time_created": "now", "run_id": "r"}`

	log := func(id, model string) error {
		_, err := s.LogModel(context.Background(), &protos.LogModel{RunId: new(id), ModelJson: new(model)})

		return err
	}
	history := func(t *testing.T, id string) string {
		t.Helper()

		return value[string](t, s, "SELECT value FROM tags WHERE run_uuid = ? AND "+s.db.Dialect().Quote("key")+" = ?",
			id, "mlflow.log-model.history")
	}

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		entry := `{"run_id": "r", "artifact_path": "p", "utc_time_created": "now", "model_uuid": null, "flavors": {"f": {"a": 2}}}`

		require.NoError(t, log(id, model))
		require.Equal(t, "["+entry+"]", history(t, id))
		require.NoError(t, log(id, model))
		require.Equal(t, "["+entry+", "+entry+"]", history(t, id))
	})
	t.Run("OKSparse", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, log(id, `{"utc_time_created": "", "model_uuid": "u"}`))
		require.Regexp(t, `^\[{"utc_time_created": "\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", "model_uuid": "u", "flavors": {}}\]$`,
			history(t, id))
	})
	t.Run("ErrNotAnObject", func(t *testing.T) {
		for _, text := range []string{"", "[]", "{", "{} {}"} {
			requireInvalidf(t, log("x", text), "Malformed model info. \n %s \n is not a JSON object.", text)
		}
	})
	t.Run("ErrFlavors", func(t *testing.T) {
		requireInvalidf(t, log("x", `{"flavors": [1]}`), "The flavors of a model must be a JSON object, got [1].")
	})
	t.Run("ErrHistory", func(t *testing.T) {
		id := s.run(t)
		_, err := s.SetTag(t.Context(), &protos.SetTag{
			RunId: new(id), Key: new("mlflow.log-model.history"), Value: new("x"),
		})
		require.NoError(t, err)
		requireInvalidf(t, log(id, model),
			"The tag mlflow.log-model.history of run %s holds no JSON list, so no model can be added.", id)
	})
	s.wantActiveRun(t, func(id string) error { return log(id, model) })
}
