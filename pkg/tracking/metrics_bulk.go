package tracking

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// messageOf is a point together with its run.
func (m metric) messageOf(runID string) *protos.MetricWithRunId {
	point := m.message()

	return &protos.MetricWithRunId{
		Key: point.Key, Value: point.Value, Timestamp: point.Timestamp, Step: point.Step, RunId: new(runID),
	}
}

// GetMetricHistoryBulk reads the points of a metric of several runs, by run, time, step and value
// (SqlAlchemyStore.get_metric_history_bulk). The steps of the request don't count.
func (s *Store) GetMetricHistoryBulk(
	ctx context.Context, request *protos.GetMetricHistoryBulkInterval,
) (*protos.GetMetricHistoryBulkInterval_Response, error) {
	response := &protos.GetMetricHistoryBulkInterval_Response{}

	if len(request.GetRunIds()) == 0 {
		return response, nil
	}

	args := make([]any, 0, len(request.GetRunIds())+2)
	for _, id := range request.GetRunIds() {
		args = append(args, id)
	}

	key := "m." + s.db.Dialect().Quote("key")
	visible, args := inWorkspace(contract.CallerFrom(ctx), "r.experiment_id",
		append(args, request.GetMetricKey(), firstStep)...)

	err := s.db.Read(ctx, func(tx *database.Tx) (err error) {
		response.Metrics, err = database.Query(tx, func(scan func(...any) error) (*protos.MetricWithRunId, error) {
			var (
				id    string
				point metric
			)

			err := scan(&id, &point.key, &point.value, &point.timestamp, &point.step, &point.isNaN)

			return point.messageOf(id), err
		}, "SELECT r.run_uuid, "+key+", m.value, m.timestamp, m.step, m.is_nan FROM runs r CROSS JOIN metrics m "+
			"WHERE r.run_uuid IN (?"+strings.Repeat(", ?", len(request.GetRunIds())-1)+") AND m.run_uuid = r.run_uuid AND "+
			key+" = ?"+anyStep+visible+" ORDER BY r.run_uuid, m.timestamp, m.step, m.value"+
			tx.Dialect().Limit(int(request.GetMaxResults()), 0), args...)

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of a metric of runs: %w", err)
	}

	return response, nil
}

// GetMetricHistoryBulkInterval reads a sample of the points of a metric for each of several runs, at
// most max_results of each run, between two steps if they are given
// (SqlAlchemyStore.get_metric_history_bulk_interval).
func (s *Store) GetMetricHistoryBulkInterval(
	ctx context.Context, request *protos.GetMetricHistoryBulkInterval,
) (*protos.GetMetricHistoryBulkInterval_Response, error) {
	if (request.StartStep == nil) != (request.EndStep == nil) {
		return nil, contract.InvalidParameter("Both start_step and end_step must be specified together, or neither may " +
			"be specified.")
	}

	response := &protos.GetMetricHistoryBulkInterval_Response{}
	steps, limited := contract.StepsFrom(ctx)

	if request.StartStep != nil {
		steps, limited = contract.Steps{First: int64(request.GetStartStep()), Last: int64(request.GetEndStep())}, true
	}

	err := s.db.Read(ctx, func(tx *database.Tx) error {
		response.Metrics = nil

		for _, id := range request.GetRunIds() {
			if err := checkRunVisible(tx, id); err != nil {
				return err
			}
		}

		for _, id := range request.GetRunIds() {
			sample := sample{runID: id, key: request.GetMetricKey(), points: max(1, int(request.GetMaxResults()))}
			if limited {
				sample.steps = &steps
			}

			points, err := sample.read(tx)
			if err != nil {
				return fmt.Errorf("sampling a metric of run %s: %w", id, err)
			}

			for _, point := range points {
				response.Metrics = append(response.Metrics, point.messageOf(id))
			}
		}

		return nil
	})
	if err != nil {
		return nil, err
	}

	return response, nil
}

// sample is what is wanted of a metric of a run.
type sample struct {
	runID, key string
	points     int
	steps      *contract.Steps // nil for all
}

// read splits a run's points, by step, time and value, into as many parts of the same size
// as points are wanted, and takes the first of each. The last of all points is always there, if need
// be instead of the sample's last (_sample_rows_with_window_functions).
func (s sample) read(tx *database.Tx) ([]metric, error) {
	var (
		columns   = "step, timestamp, value, is_nan"
		condition = "run_uuid = ? AND " + tx.Dialect().Quote("key") + " = ?" + anyStep
		args      = []any{s.runID, s.key, firstStep}
	)

	if s.steps != nil {
		condition += " AND step <= ?"
		args = []any{s.runID, s.key, s.steps.First, s.steps.Last}
	}

	scan := func(scan func(...any) error) (metric, error) {
		point := metric{key: s.key}
		err := scan(&point.step, &point.timestamp, &point.value, &point.isNaN)

		return point, err
	}

	points, err := database.Query(tx, scan, "SELECT "+columns+" FROM (SELECT "+columns+", ROW_NUMBER() OVER "+
		"(PARTITION BY part ORDER BY "+columns+") AS place FROM (SELECT "+columns+", NTILE("+strconv.Itoa(s.points)+
		") OVER (ORDER BY "+columns+") AS part FROM metrics WHERE "+condition+") parts) placed WHERE place = 1 ORDER BY "+
		columns, args...)
	if err != nil {
		return nil, err
	}

	last, err := scan(tx.QueryRow("SELECT "+columns+" FROM metrics WHERE "+condition+
		" ORDER BY step DESC, timestamp DESC, value DESC, is_nan DESC"+tx.Dialect().Limit(1, 0), args...).Scan)

	switch {
	case isNotFound(err):
		return points, nil
	case err != nil:
		return nil, err
	case len(points) > 0 && points[len(points)-1] == last:
	case len(points) >= s.points:
		points[len(points)-1] = last
	default:
		points = append(points, last)
	}

	return points, nil
}
