package storetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

const tooLargeID = "99999999999999999999999"

func (s suite) createExperiment(t *testing.T) {
	t.Helper()

	create := func(request *protos.CreateExperiment) (*protos.Experiment, error) {
		created, err := s.CreateExperiment(context.Background(), request)
		if err != nil {
			return nil, err
		}

		found, err := s.GetExperiment(context.Background(), &protos.GetExperiment{ExperimentId: created.ExperimentId})

		return found.GetExperiment(), err
	}

	t.Run("OK", func(t *testing.T) {
		before := time.Now().UnixMilli()
		first, err := create(&protos.CreateExperiment{
			Name: new("first"),
			Tags: []*protos.ExperimentTag{experimentTag("z", "1"), experimentTag("a", "")},
		})
		require.NoError(t, err)
		require.GreaterOrEqual(t, first.GetCreationTime(), before)
		requireMessage(t, &protos.Experiment{
			ExperimentId:     first.ExperimentId,
			Name:             new("first"),
			ArtifactLocation: new("s3://bucket/root/" + first.GetExperimentId() + "?region=eu"),
			LifecycleStage:   new("active"),
			CreationTime:     first.CreationTime,
			LastUpdateTime:   first.CreationTime,
			Workspace:        new("default"),
			Tags:             []*protos.ExperimentTag{experimentTag("z", "1"), experimentTag("a", "")},
		}, first)

		second, err := create(&protos.CreateExperiment{Name: new("second")})
		require.NoError(t, err)

		previous, err := strconv.Atoi(first.GetExperimentId())
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(previous+1), second.GetExperimentId())
	})
	t.Run("ArtifactLocation", func(t *testing.T) {
		directory, err := os.Getwd()
		require.NoError(t, err)

		for given, want := range map[string]string{
			"s3://elsewhere/x?a=b": "s3://elsewhere/x?a=b",
			"/absolute/path":       "/absolute/path",
			"file:///absolute":     "file:///absolute",
			"./relative//path":     filepath.Join(directory, "relative/path"),
			"file:relative":        "file://" + filepath.Join(directory, "relative"),
		} {
			found, err := create(&protos.CreateExperiment{
				Name: new(t.Name() + given), ArtifactLocation: new(given),
			})
			require.NoError(t, err)
			require.Equal(t, want, found.GetArtifactLocation())
		}
	})
	t.Run("ErrNameRequired", func(t *testing.T) {
		_, err := create(&protos.CreateExperiment{})
		requireInvalidf(t, err, "Invalid experiment name: ''")
	})
	t.Run("ErrNameTooLong", func(t *testing.T) {
		_, err := create(&protos.CreateExperiment{Name: new(strings.Repeat("é", 501))})
		requireInvalidf(t, err, "'name' exceeds the maximum length of 500 characters")
	})
	t.Run("ErrExists", func(t *testing.T) {
		name := t.Name()
		first, err := create(&protos.CreateExperiment{Name: new(name)})
		require.NoError(t, err)

		for range 2 { // also while the first one is deleted
			_, err = create(&protos.CreateExperiment{Name: new(name)})
			require.Equal(t, protos.ErrorCode_RESOURCE_ALREADY_EXISTS, contract.AsError(err).Code)
			require.True(t, strings.HasPrefix(contract.AsError(err).Message,
				"Experiment(name="+name+") already exists. Error: ("), contract.AsError(err).Message)

			_, _ = s.DeleteExperiment(t.Context(), &protos.DeleteExperiment{ExperimentId: first.ExperimentId})
		}
	})
	t.Run("ErrTagTwice", func(t *testing.T) {
		_, err := create(&protos.CreateExperiment{
			Name: new(t.Name()), Tags: []*protos.ExperimentTag{experimentTag("k", "1"), experimentTag("k", "1")},
		})
		require.Equal(t, protos.ErrorCode_RESOURCE_ALREADY_EXISTS, contract.AsError(err).Code)

		_, err = s.GetExperimentByName(t.Context(), &protos.GetExperimentByName{ExperimentName: new(t.Name())})
		require.Error(t, err, "nothing of it may be left")
	})
	t.Run("ErrTag", func(t *testing.T) {
		_, err := create(&protos.CreateExperiment{
			Name: new(t.Name()), Tags: []*protos.ExperimentTag{experimentTag("k", strings.Repeat("x", 20001))},
		})
		requireInvalidf(t, err, "'value' exceeds the maximum length of 20000 characters")
	})
	t.Run("ErrArtifactLocationTooLong", func(t *testing.T) {
		_, err := create(&protos.CreateExperiment{
			Name: new(t.Name()), ArtifactLocation: new("s3://" + strings.Repeat("x", 2044)),
		})
		requireInvalidf(t, err, "Invalid artifact path length. The length of the artifact path cannot be greater than 2048 "+
			"characters. To configure this limit, please set the MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH environment variable.")
	})
}

func (s suite) getExperiment(t *testing.T) {
	t.Helper()

	get := func(id string) (*protos.Experiment, error) {
		found, err := s.GetExperiment(context.Background(), &protos.GetExperiment{ExperimentId: new(id)})

		return found.GetExperiment(), err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.experiment(t)

		for _, spelling := range []string{id, " " + id + " ", "0_" + id, "+" + id} {
			found, err := get(spelling)
			require.NoError(t, err)
			require.Equal(t, id, found.GetExperimentId())
		}
	})
	t.Run("OKByName", func(t *testing.T) {
		id := s.experiment(t)

		for range 2 { // the second time it is deleted
			found, err := s.GetExperimentByName(t.Context(), &protos.GetExperimentByName{ExperimentName: new(t.Name())})
			require.NoError(t, err)
			require.Equal(t, id, found.GetExperiment().GetExperimentId())

			_, _ = s.DeleteExperiment(t.Context(), &protos.DeleteExperiment{ExperimentId: new(id)})
		}
	})
	t.Run("ErrUnknownName", func(t *testing.T) {
		_, err := s.GetExperimentByName(t.Context(), &protos.GetExperimentByName{ExperimentName: new("x%")})
		requireErrorf(t, err, protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Could not find experiment with name 'x%%'")
	})
	t.Run("ErrNotANumber", func(t *testing.T) {
		for _, id := range []string{"abc", "1.0", "1__0", "_1", "0x1", " "} {
			_, err := get(id)
			requireInvalidf(t, err, "Invalid experiment ID '%s'. Experiment ID must be a valid integer.", id)
		}
	})
	t.Run("ErrUnknown", func(t *testing.T) {
		for _, id := range []string{"12345", "-1", "2147483648", "-2147483649", "9223372036854775807", tooLargeID} {
			_, err := get(id)
			requireErrorf(t, err, protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No Experiment with id=%s exists", id)
		}
	})
}

func (s suite) updateExperiment(t *testing.T) {
	t.Helper()

	rename := func(id, name string) error {
		_, err := s.UpdateExperiment(context.Background(), &protos.UpdateExperiment{
			ExperimentId: new(id), NewName: new(name),
		})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.experiment(t)
		s.exec(t, "UPDATE experiments SET creation_time = 5, last_update_time = 5 WHERE experiment_id = ?", asNumber(t, id))
		require.NoError(t, rename(id, "renamed"))

		found, err := s.GetExperiment(t.Context(), &protos.GetExperiment{ExperimentId: new(id)})
		require.NoError(t, err)
		require.Equal(t, "renamed", found.GetExperiment().GetName())
		require.Equal(t, int64(5), found.GetExperiment().GetCreationTime())
		require.Greater(t, found.GetExperiment().GetLastUpdateTime(), int64(5))
	})
	t.Run("ErrNameRequired", func(t *testing.T) {
		requireInvalidf(t, rename(s.experiment(t), ""), "Invalid experiment name: ''")
	})
	t.Run("ErrUnknown", func(t *testing.T) {
		requireErrorf(t, rename(tooLargeID, "x"), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
			"No Experiment with id=%s exists", tooLargeID)
	})
	t.Run("ErrTaken", func(t *testing.T) {
		require.Equal(t, protos.ErrorCode_BAD_REQUEST, contract.AsError(rename(s.experiment(t), "renamed")).Code)
	})
	t.Run("ErrDeleted", func(t *testing.T) {
		id := s.experiment(t)
		_, err := s.DeleteExperiment(t.Context(), &protos.DeleteExperiment{ExperimentId: new(id)})
		require.NoError(t, err)
		requireErrorf(t, rename(id, "x"), protos.ErrorCode_INVALID_STATE, "Cannot rename a non-active experiment.")
	})
}

func (s suite) deleteExperiment(t *testing.T) {
	t.Helper()

	remove := func(id string) error {
		_, err := s.DeleteExperiment(context.Background(), &protos.DeleteExperiment{ExperimentId: new(id)})

		return err
	}
	restore := func(id string) error {
		_, err := s.RestoreExperiment(context.Background(), &protos.RestoreExperiment{ExperimentId: new(id)})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.experiment(t)
		first, second := s.runIn(t, id), s.runIn(t, id)
		other := s.runIn(t, s.otherExperiment(t))
		assessed := s.assess(t, id, first)
		kept := s.assess(t, id, other)

		_, err := s.DeleteRun(t.Context(), &protos.DeleteRun{RunId: new(second)})
		require.NoError(t, err)
		s.exec(t, "UPDATE runs SET deleted_time = 5 WHERE run_uuid = ?", second)
		s.exec(t, "UPDATE experiments SET last_update_time = 5 WHERE experiment_id = ?", asNumber(t, id))

		require.NoError(t, remove(id))

		found, err := s.GetExperiment(t.Context(), &protos.GetExperiment{ExperimentId: new(id)})
		require.NoError(t, err)
		require.Equal(t, "deleted", found.GetExperiment().GetLifecycleStage())
		require.Greater(t, found.GetExperiment().GetLastUpdateTime(), int64(5))

		for _, run := range []string{first, second} {
			require.Equal(t, "deleted", s.get(t, run).GetInfo().GetLifecycleStage())
			require.Greater(t, *value[*int64](t, s, "SELECT deleted_time FROM runs WHERE run_uuid = ?", run), int64(5))
		}

		require.Equal(t, "active", s.get(t, other).GetInfo().GetLifecycleStage())
		require.Equal(t, 0, value[int](t, s, "SELECT COUNT(*) FROM assessments WHERE assessment_id = ?", assessed))
		require.Equal(t, 1, value[int](t, s, "SELECT COUNT(*) FROM assessments WHERE assessment_id = ?", kept))

		requireErrorf(t, remove(id), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No Experiment with id=%s exists", id)

		_, err = s.CreateRun(t.Context(), &protos.CreateRun{ExperimentId: new(id)})
		requireInvalidf(t, err, "The experiment %s must be in the 'active' state. Current state is deleted.", id)

		require.NoError(t, restore(id))

		for _, run := range []string{first, second} { // the one as well that was deleted by itself
			require.Equal(t, "active", s.get(t, run).GetInfo().GetLifecycleStage())
			require.Nil(t, value[*int64](t, s, "SELECT deleted_time FROM runs WHERE run_uuid = ?", run))
		}

		requireErrorf(t, restore(id), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No Experiment with id=%s exists", id)
	})
	t.Run("ErrNotANumber", func(t *testing.T) {
		requireInvalidf(t, remove("x"), "Invalid experiment ID 'x'. Experiment ID must be a valid integer.")
		requireInvalidf(t, restore("x"), "Invalid experiment ID 'x'. Experiment ID must be a valid integer.")
	})
}

func (s suite) otherExperiment(t *testing.T) string {
	t.Helper()

	created, err := s.CreateExperiment(t.Context(), &protos.CreateExperiment{Name: new(t.Name() + "/other")})
	require.NoError(t, err)

	return created.GetExperimentId()
}

// assess stores an assessment that a run brought about, and says its id.
func (s suite) assess(t *testing.T, experimentID, runID string) string {
	t.Helper()

	trace, id := "tr-"+runID, "a-"+runID
	s.exec(t, "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status) VALUES (?, ?, 1, 'OK')",
		trace, asNumber(t, experimentID))
	s.exec(t, "INSERT INTO assessments (assessment_id, trace_id, name, assessment_type, value, created_timestamp, "+
		"last_updated_timestamp, source_type, valid, assessment_metadata, is_numeric_value) "+
		"VALUES (?, ?, 'n', 'feedback', '1', 1, 1, 'CODE', ?, ?, ?)", id, trace, true,
		fmt.Sprintf(`{"a": "b", "mlflow.assessment.sourceRunId": "%s"}`, runID), true)

	return id
}

func asNumber(t *testing.T, id string) int64 {
	t.Helper()

	number, err := strconv.ParseInt(id, 10, 64)
	require.NoError(t, err)

	return number
}

func (s suite) experimentTags(t *testing.T) {
	t.Helper()

	set := func(id, key, value string) error {
		_, err := s.SetExperimentTag(context.Background(), &protos.SetExperimentTag{
			ExperimentId: new(id), Key: new(key), Value: new(value),
		})

		return err
	}
	remove := func(id, key string) error {
		_, err := s.DeleteExperimentTag(context.Background(), &protos.DeleteExperimentTag{
			ExperimentId: new(id), Key: new(key),
		})

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.experiment(t)
		s.exec(t, "UPDATE experiments SET last_update_time = 5 WHERE experiment_id = ?", asNumber(t, id))
		require.NoError(t, set(id, "b", "1"))
		require.NoError(t, set(id, "a", "line\nbreak"))
		require.NoError(t, set(id, "b", strings.Repeat("ü", 20000)))
		require.NoError(t, set(id, "gone", "1"))
		require.NoError(t, remove(id, "gone"))

		found, err := s.GetExperiment(t.Context(), &protos.GetExperiment{ExperimentId: new(id)})
		require.NoError(t, err)
		require.Equal(t, int64(5), found.GetExperiment().GetLastUpdateTime(), "tags don't touch it")

		got := make(map[string]string)
		for _, tag := range found.GetExperiment().GetTags() {
			got[tag.GetKey()] = tag.GetValue()
		}

		require.Equal(t, map[string]string{"b": strings.Repeat("ü", 20000), "a": "line\nbreak"}, got)
	})
	t.Run("ErrKey", func(t *testing.T) {
		requireInvalidf(t, set("0", strings.Repeat("x", 251), ""), "'key' exceeds the maximum length of 250 characters")
		requireInvalidf(t, set("0", "a/../b", ""), `Invalid value "a/../b" for parameter 'key' supplied: Names may be `+
			"treated as files in certain cases, and must not resolve to other names when treated as such. "+
			"This name would resolve to 'b'")
	})
	t.Run("ErrArchivalRetention", func(t *testing.T) {
		for config, message := range map[string]string{
			"30d":                                "Trace archival config must be encoded as a JSON object.",
			"null":                               "Trace archival config must be encoded as a JSON object.",
			`{"value": "30d"}`:                   "Trace archival config must use type 'duration'.",
			`{"type": "duration", "value": "0"}`: "Trace archival retention must be in the form `<int><unit>`, where unit is one of 'm', 'h', or 'd'.",
			`{"type": "duration"}`:               "Trace archival retention must be in the form `<int><unit>`, where unit is one of 'm', 'h', or 'd'.",
		} {
			requireInvalidf(t, set("0", "mlflow.trace.archivalRetention", config), "%s", message)
		}

		id := s.experiment(t)
		require.NoError(t, set(id, "mlflow.trace.archivalRetention", `{"type": "duration", "value": " 30d "}`))
		require.NoError(t, set(id, "mlflow.trace.archiveNow", "{}"))
		require.NoError(t, set(id, "mlflow.trace.archiveNow", `{"older_than": null, "other": NaN}`)) // to Python it is JSON
	})
	t.Run("ErrNoTag", func(t *testing.T) {
		id := s.experiment(t)
		requireErrorf(t, remove(id, "k"), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
			"No tag with name: k in experiment with id %s", id)
	})
	t.Run("ErrDeleted", func(t *testing.T) {
		id := s.experiment(t)
		_, err := s.DeleteExperiment(t.Context(), &protos.DeleteExperiment{ExperimentId: new(id)})
		require.NoError(t, err)

		want := "The experiment " + id + " must be in the 'active' state. Current state is deleted."
		requireInvalidf(t, set(id, "k", "v"), "%s", want)
		requireInvalidf(t, remove(id, "k"), "%s", want)
	})
}
