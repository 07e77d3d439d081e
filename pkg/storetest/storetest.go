// Package storetest is what every store must do, whatever its database: suites that call a store
// through its contract and look at its tables. A store's own tests run them on each database.
package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// ArtifactRoot is the default artifact root that a store under test must be given.
const ArtifactRoot = "s3://bucket/root?region=eu"

// suite is a store under test and its database.
type suite struct {
	contract.TrackingService

	db *database.DB
}

// Tracking tests a tracking store on a database that has MLflow's schema and nothing else.
func Tracking(t *testing.T, db *database.DB, store contract.TrackingService) {
	t.Helper()

	s := suite{TrackingService: store, db: db}

	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"CreateExperiment", s.createExperiment},
		{"GetExperiment", s.getExperiment},
		{"UpdateExperiment", s.updateExperiment},
		{"DeleteAndRestoreExperiment", s.deleteExperiment},
		{"ExperimentTags", s.experimentTags},
		{"CreateRun", s.createRun},
		{"GetRun", s.getRun},
		{"UpdateRun", s.updateRun},
		{"DeleteAndRestoreRun", s.deleteRun},
		{"LogMetric", s.logMetric},
		{"LatestMetric", s.latestMetric},
		{"LogModelMetric", s.logModelMetric},
		{"MetricHistory", s.metricHistory},
		{"LogParam", s.logParam},
		{"Tags", s.tags},
		{"LogBatch", s.logBatch},
		{"LogBatchConcurrently", s.logBatchConcurrently},
		{"LogInputs", s.logInputs},
		{"LogInputsConcurrently", s.logInputsConcurrently},
		{"LogOutputs", s.logOutputs},
		{"LogModel", s.logModel},
		{"CreateLoggedModel", s.createLoggedModel},
		{"ChangeLoggedModel", s.changeLoggedModel},
		{"SearchLoggedModels", s.searchLoggedModels},
		{"Workspaces", s.workspaces},
	} {
		t.Run(part.name, part.run)
	}
}

// requireErrorf wants an error of MLflow with this code and message.
func requireErrorf(t *testing.T, err error, code protos.ErrorCode, format string, args ...any) {
	t.Helper()
	require.Error(t, err)

	found := contract.AsError(err)
	require.Equal(t, fmt.Sprintf(format, args...), found.Message, "cause: %v", found.Cause)
	require.Equal(t, code, found.Code)
}

func requireInvalidf(t *testing.T, err error, format string, args ...any) {
	t.Helper()
	requireErrorf(t, err, protos.ErrorCode_INVALID_PARAMETER_VALUE, format, args...)
}

// requireMessage compares messages; what MLflow reads without an order may have any.
func requireMessage(t *testing.T, want, got proto.Message) {
	t.Helper()

	want, got = proto.Clone(want), proto.Clone(got)
	sortUnordered(want)
	sortUnordered(got)

	if !proto.Equal(want, got) {
		t.Fatalf("want %v\ngot  %v", want, got)
	}
}

func sortUnordered(message proto.Message) {
	switch message := message.(type) {
	case *protos.Experiment:
		sortByKey(message.GetTags())
	case *protos.RegisteredModel:
		sortByKey(message.GetTags())
	case *protos.ModelVersion:
		sortByKey(message.GetTags())
	case *protos.Run:
		sortUnordered(message.GetData())
	case *protos.RunData:
		sortByKey(message.GetMetrics())
		sortByKey(message.GetParams())
		sortByKey(message.GetTags())
	}
}

func sortByKey[T interface{ GetKey() string }](items []T) {
	slices.SortStableFunc(items, func(a, b T) int { return strings.Compare(a.GetKey(), b.GetKey()) })
}

// experiment makes an experiment named after the test.
func (s suite) experiment(t *testing.T) string {
	t.Helper()

	created, err := s.CreateExperiment(t.Context(), &protos.CreateExperiment{Name: new(t.Name())})
	require.NoError(t, err)

	return created.GetExperimentId()
}

// run makes a run in an experiment of its own.
func (s suite) run(t *testing.T) string {
	t.Helper()

	return s.runIn(t, s.experiment(t))
}

func (s suite) runIn(t *testing.T, experimentID string) string {
	t.Helper()

	created, err := s.CreateRun(t.Context(), &protos.CreateRun{
		ExperimentId: new(experimentID), RunName: new("named"),
	})
	require.NoError(t, err)

	return created.GetRun().GetInfo().GetRunId()
}

// get reads a run.
func (s suite) get(t *testing.T, id string) *protos.Run {
	t.Helper()

	found, err := s.GetRun(t.Context(), &protos.GetRun{RunId: new(id)})
	require.NoError(t, err)

	return found.GetRun()
}

// deleted makes a run that is deleted.
func (s suite) deletedRun(t *testing.T) string {
	t.Helper()

	id := s.run(t)
	_, err := s.DeleteRun(t.Context(), &protos.DeleteRun{RunId: new(id)})
	require.NoError(t, err)

	return id
}

// exec changes tables behind the store's back.
func (s suite) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	require.NoError(t, s.db.Write(t.Context(), func(tx *database.Tx) error {
		_, err := tx.Exec(statement, args...)

		return err
	}))
}

// value reads one value of a table.
func value[T any](t *testing.T, s suite, query string, args ...any) (found T) {
	t.Helper()
	require.NoError(t, s.db.Read(t.Context(), func(tx *database.Tx) error {
		return tx.QueryRow(query, args...).Scan(&found)
	}))

	return found
}

func runTag(key, value string) *protos.RunTag {
	return &protos.RunTag{Key: new(key), Value: new(value)}
}

func experimentTag(key, value string) *protos.ExperimentTag {
	return &protos.ExperimentTag{Key: new(key), Value: new(value)}
}

func param(key, value string) *protos.Param {
	return &protos.Param{Key: new(key), Value: new(value)}
}

func metric(key string, value float64, timestamp, step int64) *protos.Metric {
	return &protos.Metric{
		Key: new(key), Value: new(value), Timestamp: new(timestamp), Step: new(step),
	}
}

// Errors that many methods share.
func (s suite) wantNoRun(t *testing.T, call func(id string) error) {
	t.Helper()
	t.Run("ErrUnknownRun", func(t *testing.T) {
		requireErrorf(t, call("nobody"), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "Run with id=nobody not found")
	})
}

func (s suite) wantActiveRun(t *testing.T, call func(id string) error) {
	t.Helper()
	s.wantNoRun(t, call)
	t.Run("ErrDeletedRun", func(t *testing.T) {
		id := s.deletedRun(t)
		requireInvalidf(t, call(id), "The run %s must be in the 'active' state. Current state is deleted.", id)
	})
}
