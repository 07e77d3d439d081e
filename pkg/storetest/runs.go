package storetest

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

func (s suite) createRun(t *testing.T) {
	t.Helper()

	create := func(request *protos.CreateRun) (*protos.Run, error) {
		created, err := s.CreateRun(context.Background(), request)

		return created.GetRun(), err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.experiment(t)
		created, err := create(&protos.CreateRun{
			ExperimentId: new(id),
			UserId:       new("me"),
			RunName:      new("mine"),
			StartTime:    proto.Int64(7),
			Tags:         []*protos.RunTag{runTag("z", "1"), runTag("any key at all*", "")},
		})
		require.NoError(t, err)

		runID := created.GetInfo().GetRunId()
		require.Regexp(t, "^[0-9a-f]{32}$", runID)
		requireMessage(t, &protos.Run{
			Info: &protos.RunInfo{
				RunId:          new(runID),
				RunUuid:        new(runID),
				RunName:        new("mine"),
				ExperimentId:   new(id),
				UserId:         new("me"),
				Status:         protos.RunStatus_RUNNING.Enum(),
				StartTime:      proto.Int64(7),
				ArtifactUri:    new("s3://bucket/root/" + id + "/" + runID + "/artifacts?region=eu"),
				LifecycleStage: new("active"),
			},
			Data: &protos.RunData{Tags: []*protos.RunTag{
				runTag("z", "1"), runTag("any key at all*", ""), runTag("mlflow.runName", "mine"),
			}},
			Inputs: &protos.RunInputs{},
		}, created)

		created.Outputs = &protos.RunOutputs{}
		requireMessage(t, created, s.get(t, runID))

		require.Equal(t, "UNKNOWN", value[string](t, s, "SELECT source_type FROM runs WHERE run_uuid = ?", runID))
		require.Empty(t, value[string](t, s, "SELECT source_name FROM runs WHERE run_uuid = ?", runID))
	})
	t.Run("Name", func(t *testing.T) {
		id := new(s.experiment(t))

		tagged, err := create(&protos.CreateRun{ExperimentId: id, Tags: []*protos.RunTag{runTag("mlflow.runName", "t")}})
		require.NoError(t, err)
		require.Equal(t, "t", tagged.GetInfo().GetRunName())
		require.Len(t, tagged.GetData().GetTags(), 1)

		both, err := create(&protos.CreateRun{
			ExperimentId: id, RunName: new("t"), Tags: []*protos.RunTag{runTag("mlflow.runName", "t")},
		})
		require.NoError(t, err)
		require.Len(t, both.GetData().GetTags(), 1)

		names := make(map[string]bool)

		for range 20 {
			nameless, err := create(&protos.CreateRun{ExperimentId: id})
			require.NoError(t, err)

			name := nameless.GetInfo().GetRunName()
			require.Regexp(t, `^[a-z]+-[a-z]+-\d{1,4}$`, name)
			require.LessOrEqual(t, len(name), 20)
			requireMessage(t, runTag("mlflow.runName", name), nameless.GetData().GetTags()[0])

			names[name] = true
		}

		require.Greater(t, len(names), 10)
	})
	t.Run("Defaults", func(t *testing.T) {
		created, err := create(&protos.CreateRun{ExperimentId: new(s.experiment(t))})
		require.NoError(t, err)
		require.Empty(t, created.GetInfo().GetUserId())
		require.NotNil(t, created.GetInfo().StartTime)
		require.Zero(t, created.GetInfo().GetStartTime())
	})
	t.Run("ErrNames", func(t *testing.T) {
		_, err := create(&protos.CreateRun{
			ExperimentId: new(s.experiment(t)),
			RunName:      new("a"),
			Tags:         []*protos.RunTag{runTag("mlflow.runName", "b")},
		})
		requireInvalidf(t, err, "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "+
			"(run_name='a', mlflow.runName='b').")
	})
	t.Run("ErrTagTwice", func(t *testing.T) {
		_, err := create(&protos.CreateRun{
			ExperimentId: new(s.experiment(t)), Tags: []*protos.RunTag{runTag("k", "1"), runTag("k", "2")},
		})
		require.Equal(t, protos.ErrorCode_BAD_REQUEST, contract.AsError(err).Code)
	})
	t.Run("ErrSpelling", func(t *testing.T) {
		id := s.experiment(t)
		for _, spelling := range []string{"0_" + id, "\uff10" + id} { // Python's int takes them, no database does
			_, err := create(&protos.CreateRun{ExperimentId: new(spelling)})
			requireErrorf(t, err, protos.ErrorCode_BAD_REQUEST, "To databases, experiment_id is no number: '%s'", spelling)
		}

		_, err := create(&protos.CreateRun{ExperimentId: new(" +" + id + " ")})
		require.NoError(t, err)
	})
	t.Run("ErrUnknownExperiment", func(t *testing.T) {
		_, err := create(&protos.CreateRun{ExperimentId: new("4711")})
		requireErrorf(t, err, protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No Experiment with id=4711 exists")

		_, err = create(&protos.CreateRun{ExperimentId: new("x")})
		requireInvalidf(t, err, "Invalid experiment ID 'x'. Experiment ID must be a valid integer.")
	})
}

func (s suite) getRun(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		_, err := s.LogBatch(t.Context(), &protos.LogBatch{
			RunId:   new(id),
			Metrics: []*protos.Metric{metric("z", 1, 2, 3), metric("a", -0.5, 0, -1)},
			Params:  []*protos.Param{param("z", "1"), param("a", "")},
			Tags:    []*protos.RunTag{runTag("z", "1"), runTag("a", "")},
		})
		require.NoError(t, err)
		s.exec(t, "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source, "+
			"dataset_schema, dataset_profile) SELECT 'd-"+id[:8]+"', experiment_id, 'data', 'x', 'local', '{}', '', 'p' "+
			"FROM runs WHERE run_uuid = ?", id)

		for _, input := range [][]any{
			{"i1" + id, "DATASET", "d-" + id[:8], "RUN", id, 0},
			{"i2" + id, "RUN_INPUT", id, "MODEL_INPUT", "m-in", 0},
			{"i3" + id, "RUN_OUTPUT", id, "MODEL_OUTPUT", "m-out", 4},
		} {
			s.exec(t, "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) "+
				"VALUES (?, ?, ?, ?, ?, ?)", input...)
		}

		s.exec(t, "INSERT INTO input_tags (input_uuid, name, value) VALUES (?, 'mlflow.data.context', 'training')", "i1"+id)

		found := s.get(t, id)
		requireMessage(t, &protos.RunData{
			Metrics: []*protos.Metric{metric("z", 1, 2, 3), metric("a", -0.5, 0, -1)},
			Params:  []*protos.Param{param("z", "1"), param("a", "")},
			Tags:    []*protos.RunTag{runTag("mlflow.runName", "named"), runTag("z", "1"), runTag("a", "")},
		}, found.GetData())
		requireMessage(t, &protos.RunInputs{
			DatasetInputs: []*protos.DatasetInput{{
				Tags: []*protos.InputTag{{Key: new("mlflow.data.context"), Value: new("training")}},
				Dataset: &protos.Dataset{
					Name: new("data"), Digest: new("x"), SourceType: new("local"),
					Source: new("{}"), Profile: new("p"),
				},
			}},
			ModelInputs: []*protos.ModelInput{{ModelId: new("m-in")}},
		}, found.GetInputs())
		requireMessage(t, &protos.RunOutputs{
			ModelOutputs: []*protos.ModelOutput{{ModelId: new("m-out"), Step: proto.Int64(4)}},
		}, found.GetOutputs())
	})
	t.Run("OKByUUID", func(t *testing.T) {
		id := s.run(t)
		found, err := s.GetRun(t.Context(), &protos.GetRun{RunUuid: new(id)})
		require.NoError(t, err)
		require.Equal(t, id, found.GetRun().GetInfo().GetRunId())
	})
	t.Run("OKNameFromTag", func(t *testing.T) {
		id := s.run(t)
		s.exec(t, "UPDATE runs SET name = NULL WHERE run_uuid = ?", id)
		require.Equal(t, "named", s.get(t, id).GetInfo().GetRunName())
	})
	s.wantNoRun(t, func(id string) error {
		_, err := s.GetRun(context.Background(), &protos.GetRun{RunId: new(id)})

		return err
	})
}

func (s suite) updateRun(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		updated, err := s.UpdateRun(t.Context(), &protos.UpdateRun{
			RunId:   new(id),
			Status:  protos.RunStatus_FAILED.Enum(),
			EndTime: proto.Int64(9),
			RunName: new("renamed"),
		})
		require.NoError(t, err)
		require.Equal(t, protos.RunStatus_FAILED, updated.GetRunInfo().GetStatus())
		require.Equal(t, int64(9), updated.GetRunInfo().GetEndTime())
		require.Equal(t, "renamed", updated.GetRunInfo().GetRunName())

		found := s.get(t, id)
		requireMessage(t, updated.GetRunInfo(), found.GetInfo())
		requireMessage(t, runTag("mlflow.runName", "renamed"), found.GetData().GetTags()[0])
	})
	t.Run("OKNothing", func(t *testing.T) {
		id := s.run(t)
		before := s.get(t, id).GetInfo()
		updated, err := s.UpdateRun(t.Context(), &protos.UpdateRun{RunUuid: new(id), RunName: new("")})
		require.NoError(t, err)
		requireMessage(t, before, updated.GetRunInfo())
	})
	t.Run("OKTagDeleted", func(t *testing.T) {
		id := s.run(t)
		_, err := s.DeleteTag(t.Context(), &protos.DeleteTag{RunId: new(id), Key: new("mlflow.runName")})
		require.NoError(t, err)
		require.Empty(t, s.get(t, id).GetData().GetTags())
		_, err = s.UpdateRun(t.Context(), &protos.UpdateRun{RunId: new(id), RunName: new("again")})
		require.NoError(t, err)
		requireMessage(t, runTag("mlflow.runName", "again"), s.get(t, id).GetData().GetTags()[0])
	})
	s.wantActiveRun(t, func(id string) error {
		_, err := s.UpdateRun(context.Background(), &protos.UpdateRun{RunId: new(id)})

		return err
	})
}

func (s suite) deleteRun(t *testing.T) {
	t.Helper()

	remove := func(id string) error {
		_, err := s.DeleteRun(context.Background(), &protos.DeleteRun{RunId: new(id)})

		return err
	}
	restore := func(id string) error {
		_, err := s.RestoreRun(context.Background(), &protos.RestoreRun{RunId: new(id)})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		experiment := s.experiment(t)
		id := s.runIn(t, experiment)
		assessed := s.assess(t, experiment, id)
		kept := s.assess(t, experiment, s.runIn(t, experiment))

		for range 2 {
			require.NoError(t, remove(id))
			require.Equal(t, "deleted", s.get(t, id).GetInfo().GetLifecycleStage())
			require.NotNil(t, value[*int64](t, s, "SELECT deleted_time FROM runs WHERE run_uuid = ?", id))
		}

		require.Equal(t, 0, value[int](t, s, "SELECT COUNT(*) FROM assessments WHERE assessment_id = ?", assessed))
		require.Equal(t, 1, value[int](t, s, "SELECT COUNT(*) FROM assessments WHERE assessment_id = ?", kept))

		for range 2 {
			require.NoError(t, restore(id))
			require.Equal(t, "active", s.get(t, id).GetInfo().GetLifecycleStage())
			require.Nil(t, value[*int64](t, s, "SELECT deleted_time FROM runs WHERE run_uuid = ?", id))
		}
	})
	s.wantNoRun(t, remove)
	s.wantNoRun(t, restore)
}

func (s suite) logParam(t *testing.T) {
	t.Helper()

	log := func(id, key, value string) error {
		_, err := s.LogParam(context.Background(), &protos.LogParam{
			RunUuid: new(id), Key: new(key), Value: new(value),
		})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, log(id, "b", "1"))
		require.NoError(t, log(id, "a/é:x", "ünï"))
		require.NoError(t, log(id, "b", "1"))
		requireMessage(t, &protos.RunData{Params: []*protos.Param{param("b", "1"), param("a/é:x", "ünï")}},
			&protos.RunData{Params: s.get(t, id).GetData().GetParams()})
	})
	t.Run("OKTruncated", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, log(id, "k", strings.Repeat("é", 6001)))
		require.NoError(t, log(id, "k", strings.Repeat("é", 6000)), "the same param")
		require.Equal(t, strings.Repeat("é", 6000), s.get(t, id).GetData().GetParams()[0].GetValue())
	})
	t.Run("ErrChanged", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, log(id, "k", "1"))
		requireInvalidf(t, log(id, "k", "2"), "Changing param values is not allowed. Param with key='k' was already logged "+
			"with value='1' for run ID='%s'. Attempted logging new value '2'.", id)
	})
	t.Run("ErrName", func(t *testing.T) {
		requireInvalidf(t, log("x", "", ""), `Invalid value "" for parameter 'key' supplied: Names may be treated as files `+
			"in certain cases, and must not resolve to other names when treated as such. This name would resolve to '.'")
		requireInvalidf(t, log("x", strings.Repeat("k", 251), ""), "'Param key' exceeds the maximum length of 250 characters")
	})
	s.wantActiveRun(t, func(id string) error { return log(id, "k", "v") })
}

func (s suite) tags(t *testing.T) {
	t.Helper()

	set := func(id, key, value string) error {
		_, err := s.SetTag(context.Background(), &protos.SetTag{
			RunUuid: new(id), Key: new(key), Value: new(value),
		})

		return err
	}
	remove := func(id, key string) error {
		_, err := s.DeleteTag(context.Background(), &protos.DeleteTag{RunId: new(id), Key: new(key)})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, set(id, "b", "1"))
		require.NoError(t, set(id, "a", "1"))
		require.NoError(t, set(id, "b", strings.Repeat("é", 8001)))
		require.NoError(t, remove(id, "a"))

		got := make(map[string]string)
		for _, tag := range s.get(t, id).GetData().GetTags() {
			got[tag.GetKey()] = tag.GetValue()
		}

		require.Equal(t, map[string]string{"mlflow.runName": "named", "b": strings.Repeat("é", 8000)}, got)
	})
	t.Run("OKRunName", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, set(id, "mlflow.runName", "other"))
		require.Equal(t, "other", s.get(t, id).GetInfo().GetRunName())
		require.NoError(t, set(id, "mlflow.runName", ""))
		require.Equal(t, "other", s.get(t, id).GetInfo().GetRunName())
		requireMessage(t, runTag("mlflow.runName", "other"), s.get(t, id).GetData().GetTags()[0])
	})
	t.Run("ErrName", func(t *testing.T) {
		requireInvalidf(t, set("x", "a*\n", ""), `Invalid value "a*\n" for parameter 'key' supplied: Names may only contain `+
			"alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).")
		requireInvalidf(t, set("x", strings.Repeat("k", 251), ""), "'key' exceeds the maximum length of 250 characters")
	})
	t.Run("ErrNoTag", func(t *testing.T) {
		id := s.run(t)
		requireErrorf(t, remove(id, "k"), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
			"No tag with name: k in run with id %s", id)
	})
	t.Run("Set", func(t *testing.T) { s.wantActiveRun(t, func(id string) error { return set(id, "k", "v") }) })
	t.Run("Delete", func(t *testing.T) { s.wantActiveRun(t, func(id string) error { return remove(id, "k") }) })
}
