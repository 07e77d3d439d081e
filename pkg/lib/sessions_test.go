package main

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// experiments is a service of which one method waits and one panics.
type experiments struct {
	contract.MlflowService

	entered chan struct{}
	leave   chan struct{}
	running atomic.Int32
}

//nolint:unparam // the interface's signature
func (e *experiments) GetExperiment(
	_ context.Context, request *protos.GetExperiment,
) (*protos.GetExperiment_Response, error) {
	return &protos.GetExperiment_Response{
		Experiment: &protos.Experiment{ExperimentId: request.ExperimentId},
	}, nil
}

func (e *experiments) SearchExperiments(
	context.Context, *protos.SearchExperiments,
) (*protos.SearchExperiments_Response, error) {
	e.running.Add(1)
	defer e.running.Add(-1)
	close(e.entered)
	<-e.leave

	return &protos.SearchExperiments_Response{}, nil
}

func (e *experiments) DeleteExperiment(
	context.Context, *protos.DeleteExperiment,
) (*protos.DeleteExperiment_Response, error) {
	panic("a bug")
}

func opened(service any, release func() error) *sessions {
	return &sessions{last: 1, byHandle: map[uint64]*session{
		1: {services: map[string]any{"MlflowService": service}, release: release},
	}}
}

func encode(t *testing.T, message proto.Message) []byte {
	t.Helper()

	encoded, err := proto.Marshal(message)
	require.NoError(t, err)

	return encoded
}

func requireError(t *testing.T, err error, code protos.ErrorCode, message string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, code, contract.AsError(err).Code)
	assert.Equal(t, message, contract.AsError(err).Message)
}

func TestCall(t *testing.T) {
	table := opened(&experiments{}, func() error { return nil })

	t.Run("OK", func(t *testing.T) {
		request := encode(t, &protos.GetExperiment{ExperimentId: new("7")})
		answer, err := table.call(1, []byte("MlflowService.getExperiment"), request)
		require.NoError(t, err)

		var response protos.GetExperiment_Response
		require.NoError(t, proto.Unmarshal(answer, &response))
		assert.Equal(t, "7", response.GetExperiment().GetExperimentId())
	})

	t.Run("ErrUnknownMethod", func(t *testing.T) {
		_, err := table.call(1, []byte("MlflowService.nothing"), nil)
		requireError(t, err, protos.ErrorCode_ENDPOINT_NOT_FOUND, `The library has no method "MlflowService.nothing"`)
	})

	t.Run("ErrUnknownHandle", func(t *testing.T) {
		_, err := table.call(2, []byte("MlflowService.getExperiment"), nil)
		requireError(t, err, protos.ErrorCode_INVALID_STATE, "No stores are open under handle 2")
	})

	t.Run("ErrMalformedRequest", func(t *testing.T) {
		_, err := table.call(1, []byte("MlflowService.getExperiment"), []byte{0xff})
		require.Error(t, err)
		assert.Equal(t, protos.ErrorCode_MALFORMED_REQUEST, contract.AsError(err).Code)
	})
}

func TestCloseWaitsForCalls(t *testing.T) {
	service := &experiments{entered: make(chan struct{}), leave: make(chan struct{})}
	atRelease := int32(-1)
	table := opened(service, func() error {
		atRelease = service.running.Load()

		return nil
	})

	var calls sync.WaitGroup

	calls.Go(func() {
		_, err := table.call(1, []byte("MlflowService.searchExperiments"), nil)
		assert.NoError(t, err)
	})
	<-service.entered

	closed := make(chan error)
	go func() { closed <- table.close(1) }()

	select {
	case err := <-closed:
		require.NoError(t, err)
		t.Fatal("closed below a call")
	default:
	}

	close(service.leave)
	require.NoError(t, <-closed)
	calls.Wait()
	assert.Zero(t, atRelease, "calls under way when the stores were closed")

	requireError(t, table.close(1), protos.ErrorCode_INVALID_STATE, "No stores are open under handle 1")
}

func TestOutcomeOfAPanicIsAnInternalError(t *testing.T) {
	table := opened(&experiments{}, nil)

	status, payload := outcome(func() ([]byte, error) {
		return table.call(1, []byte("MlflowService.deleteExperiment"), nil)
	})

	assert.Equal(t, protos.ErrorCode_INTERNAL_ERROR, status)

	var body map[string]any
	require.NoError(t, json.Unmarshal(payload, &body))
	assert.Equal(t, "INTERNAL_ERROR", body["error_code"])
	assert.NotContains(t, body["message"], "a bug")

	// The call's lock is free again.
	table.byHandle[1].release = func() error { return nil }
	require.NoError(t, table.close(1))
}

func TestOpen(t *testing.T) {
	for name, database := range map[string]func(testing.TB) string{
		"OK/PostgreSQL": databasetest.PostgreSQL, "OK/SQLite": databasetest.SQLite,
	} {
		t.Run(name, func(t *testing.T) {
			var table sessions

			configuration, err := json.Marshal(map[string]string{
				"backend_store_uri":     database(t),
				"default_artifact_root": t.TempDir(),
			})
			require.NoError(t, err)

			first, err := table.open(t.Context(), configuration)
			require.NoError(t, err)
			require.NoError(t, table.close(first))

			second, err := table.open(t.Context(), configuration)
			require.NoError(t, err)
			assert.NotEqual(t, first, second, "a handle was given out twice")
			require.NoError(t, table.close(second))
		})
	}

	t.Run("ErrUnsupported", func(t *testing.T) {
		for uri, message := range map[string]string{
			"sqlite://": "Cannot open the database: not handled natively: an in-memory SQLite database " +
				"(sqlite://), which lives in one process",
			"sqlite:////a-wal": "Cannot open the database: SQLite can't share a process with another copy of SQLite: " +
				"the file's name ends in -wal",
		} {
			var table sessions

			_, err := table.open(t.Context(),
				[]byte(`{"backend_store_uri": "`+uri+`", "default_artifact_root": "/a"}`))
			requireError(t, err, protos.ErrorCode_NOT_IMPLEMENTED, message)
		}
	})

	t.Run("ErrEnvironment", func(t *testing.T) {
		for _, name := range []string{"MLFLOW_TRUNCATE_LONG_VALUES", "MLFLOW_SQLALCHEMYSTORE_ECHO"} {
			t.Run(name, func(t *testing.T) {
				var table sessions

				_, err := table.open(t.Context(),
					[]byte(`{"backend_store_uri": "postgresql://h/d", "default_artifact_root": "/a", "environment": {"`+
						name+`": "perhaps"}}`))
				requireError(t, err, protos.ErrorCode_INVALID_PARAMETER_VALUE,
					"Cannot open the database: "+name+` can't be used: "perhaps" is none of true, false, 1, 0`)
			})
		}
	})

	for name, test := range map[string]struct{ configuration, message string }{
		"ErrURIMissing": {
			`{"default_artifact_root": "/a"}`,
			"Invalid configuration of the library: backend_store_uri is missing",
		},
		"ErrArtifactRootMissing": {
			`{"backend_store_uri": "sqlite://"}`,
			"Invalid configuration of the library: default_artifact_root is missing",
		},
		"ErrUnknownMember": {
			`{"database": ""}`,
			`Invalid configuration of the library: json: unknown field "database"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var table sessions

			_, err := table.open(t.Context(), []byte(test.configuration))
			requireError(t, err, protos.ErrorCode_INVALID_PARAMETER_VALUE, test.message)
		})
	}
}
