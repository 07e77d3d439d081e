package tracking

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/search"
)

// metric is a point of a metric as the tables hold it.
type metric struct {
	key       string
	value     float64 // 0 for NaN, the largest finite numbers for the infinities
	isNaN     bool
	timestamp int64
	step      int64
}

// stored gives what the tables hold of a metric (SqlAlchemyStore.sanitize_metric_value).
func stored(m *protos.Metric) metric {
	s := metric{key: m.GetKey(), value: m.GetValue(), timestamp: m.GetTimestamp(), step: m.GetStep()}

	switch {
	case math.IsNaN(s.value):
		s.value, s.isNaN = 0, true
	case math.IsInf(s.value, 1):
		s.value = math.MaxFloat64
	case math.IsInf(s.value, -1):
		s.value = -math.MaxFloat64
	}

	return s
}

// point is a metric as clients see it (SqlMetric.to_mlflow_entity), with its values beside it: a
// history of a thousand points has five thousand values, and as many allocations otherwise.
type point struct {
	protos.Metric

	key             string
	value           float64
	timestamp, step int64
}

// message is the metric as clients see it.
func (m metric) message() *protos.Metric {
	p := &point{}
	p.set(m)

	return &p.Metric
}

// set gives a point its values.
func (p *point) set(m metric) {
	p.key, p.value, p.timestamp, p.step = m.key, m.value, m.timestamp, m.step
	if m.isNaN {
		p.value = math.NaN()
	}

	p.Key, p.Value, p.Timestamp, p.Step = &p.key, &p.value, &p.timestamp, &p.step
}

// newer says whether a metric replaces another one as a run's latest: by step, then time, then
// value, where NaN counts as 0.
func (m metric) newer(than metric) bool {
	if m.step != than.step {
		return m.step > than.step
	}

	if m.timestamp != than.timestamp {
		return m.timestamp > than.timestamp
	}

	return m.value > than.value
}

// newerThanStored is the same rule in SQL.
func newerThanStored(old, given func(column string) string) string {
	greater := func(column string) string { return given(column) + " > " + old(column) }
	equal := func(column string) string { return given(column) + " = " + old(column) }

	return greater("step") +
		" OR " + equal("step") + " AND " + greater("timestamp") +
		" OR " + equal("step") + " AND " + equal("timestamp") + " AND " + greater("value")
}

// LogMetric adds a point of a metric to an active run, and to the logged model that it belongs to
// (SqlAlchemyStore.log_metric). The same point again does nothing.
func (s *Store) LogMetric(ctx context.Context, request *protos.LogMetric) (*protos.LogMetric_Response, error) {
	if err := checkMetricDataset(request.GetDatasetName(), request.GetDatasetDigest()); err != nil {
		return nil, err
	}

	id := runID(request)
	logged := &protos.Metric{
		Key:           request.Key,
		Value:         request.Value,
		Timestamp:     request.Timestamp,
		Step:          request.Step,
		ModelId:       request.ModelId,
		DatasetName:   request.DatasetName,
		DatasetDigest: request.DatasetDigest,
	}

	metrics := []*protos.Metric{logged}
	rows := newMetricRows(id, metrics)

	// With a model, MLflow looks at the run before it looks at the metric.
	invalid := checkMetric(logged, "")
	if invalid != nil && logged.GetModelId() == "" {
		return nil, invalid
	}

	if err := s.db.Write(ctx, func(tx *database.Tx) error {
		experimentID, err := checkRunActive(tx, id)
		if err != nil {
			return err
		}

		if invalid != nil {
			return invalid
		}

		if err := logModelMetrics(tx, id, experimentID, metrics); err != nil {
			return err
		}

		return logMetrics(tx, id, rows)
	}); err != nil {
		return nil, err
	}

	return &protos.LogMetric_Response{}, nil
}

var (
	metricColumns = []string{"key", "value", "timestamp", "step", "is_nan", "run_uuid"}
	metricsInsert = database.InsertNewRows("metrics", metricColumns,
		[]string{"key", "timestamp", "step", "run_uuid", "value", "is_nan"})
	latestMetricsUpsert = database.UpsertRows(database.Upsert{
		Table:   "latest_metrics",
		Columns: metricColumns,
		Key:     []string{"key", "run_uuid"},
		Update:  []string{"value", "timestamp", "step", "is_nan"},
		When:    newerThanStored,
	})
)

// metricRows are the rows of points of one run, in the order of metricColumns. They are made before the
// transaction, which other writers wait for.
type metricRows struct {
	history [][]any // metrics
	latest  [][]any // latest_metrics: of each key the newest
}

func newMetricRows(runID string, metrics []*protos.Metric) metricRows {
	var (
		rows   = metricRows{history: make([][]any, len(metrics))}
		newest []metric
		place  = make(map[string]int, len(metrics))
	)

	for i, m := range metrics {
		point := stored(m)
		rows.history[i] = point.row(runID)

		switch j, known := place[point.key]; {
		case !known:
			place[point.key] = len(newest)
			newest = append(newest, point)
			rows.latest = append(rows.latest, rows.history[i])
		case point.newer(newest[j]):
			newest[j], rows.latest[j] = point, rows.history[i]
		}
	}

	return rows
}

// logMetrics adds points to a run that is known to be active and brings its latest metrics up to
// date (SqlAlchemyStore._log_metrics). Points that are there already are left alone; they can't
// be newer than the latest one.
func logMetrics(tx *database.Tx, runID string, points metricRows) error {
	if len(points.history) == 0 {
		return nil
	}

	if err := database.ExecRowsLater(tx, metricsInsert, points.history); err != nil {
		return fmt.Errorf("inserting metrics of run %s: %w", runID, err)
	}

	if err := database.ExecRowsLater(tx, latestMetricsUpsert, points.latest); err != nil {
		return fmt.Errorf("updating the latest metrics of run %s: %w", runID, err)
	}

	if tx.Dialect().FoldsKeys() {
		return checkLatestKeys(tx, runID, points.latest)
	}

	return nil
}

// checkLatestKeys refuses metrics whose latest point went to a key that is spelled otherwise.
func checkLatestKeys(tx *database.Tx, runID string, newest [][]any) error {
	const perStatement = 500

	keyColumn := tx.Dialect().Quote("key")

	for piece := range slices.Chunk(newest, perStatement) {
		keys := make([]any, len(piece), len(piece)+1)
		for i, row := range piece {
			keys[i] = row[0]
		}

		found, err := database.Query(tx, database.Value[string], "SELECT "+keyColumn+" FROM latest_metrics WHERE "+
			keyColumn+" IN (?"+strings.Repeat(", ?", len(keys)-1)+") AND run_uuid = ?", append(keys, runID)...)
		if err != nil {
			return fmt.Errorf("reading the latest metrics of run %s: %w", runID, err)
		}

		for _, row := range piece {
			if slices.Contains(found, row[0].(string)) { //nolint:forcetypeassert // see row
				continue
			}

			if err := insertRefused(tx, "latest_metrics", metricColumns, row); err != nil {
				return fmt.Errorf("inserting a latest metric of run %s: %w", runID, err)
			}
		}
	}

	return nil
}

// row is in the order of metricColumns.
func (m metric) row(runID string) []any {
	return []any{m.key, m.value, m.timestamp, m.step, m.isNaN, runID}
}

// modelMetric is a row of logged_model_metrics; its key and what goes with it.
type modelMetric struct {
	modelID   string
	name      string
	timestamp int64
	step      int64
}

type modelMetricValue struct {
	value         float64
	datasetName   string
	datasetDigest string
}

// logModelMetrics adds the points that belong to a logged model to that model
// (SqlAlchemyStore._log_model_metrics). A point that is there already with another value is
// BAD_REQUEST, as is a model that doesn't exist.
func logModelMetrics(tx *database.Tx, runID string, experimentID int64, metrics []*protos.Metric) error {
	var (
		keys   []modelMetric
		values []modelMetricValue
		rows   [][]any
	)

	for _, m := range metrics {
		if m.GetModelId() == "" {
			continue
		}

		key := modelMetric{m.GetModelId(), m.GetKey(), m.GetTimestamp(), m.GetStep()}
		value := modelMetricValue{stored(m).value, m.GetDatasetName(), m.GetDatasetDigest()}

		if i := slices.Index(keys, key); i >= 0 && values[i] == value {
			continue
		}

		keys, values = append(keys, key), append(values, value)
		rows = append(rows, []any{
			key.modelID, key.name, key.timestamp, key.step, value.value, experimentID, runID,
			nilIfEmpty(value.datasetName), nilIfEmpty(value.datasetDigest),
		})
	}

	added, err := database.ExecRows(tx, modelMetricsInsert, rows)
	if err != nil {
		return fmt.Errorf("inserting metrics of logged models: %w", err)
	}

	if added == int64(len(rows)) {
		return nil
	}

	return checkModelMetricsStored(tx, runID, keys, values, rows)
}

var (
	modelMetricColumns = []string{
		"model_id", "metric_name", "metric_timestamp_ms", "metric_step", "metric_value", "experiment_id", "run_id",
		"dataset_name", "dataset_digest",
	}
	modelMetricsInsert = database.InsertNewRows("logged_model_metrics", modelMetricColumns,
		[]string{"model_id", "metric_name", "metric_timestamp_ms", "metric_step", "run_id"})
)

// checkModelMetricsStored compares points with what is stored under their keys and lets the
// database refuse the first one that differs.
func checkModelMetricsStored(
	tx *database.Tx, runID string, keys []modelMetric, values []modelMetricValue, rows [][]any,
) error {
	found := make(map[modelMetric]modelMetricValue)

	_, err := database.Query(tx, func(scan func(...any) error) (struct{}, error) {
		var (
			key          modelMetric
			value        *float64
			name, digest *string
		)

		err := scan(&key.modelID, &key.name, &key.timestamp, &key.step, &value, &name, &digest)
		if value != nil {
			found[key] = modelMetricValue{*value, deref(name), deref(digest)}
		}

		return struct{}{}, err
	}, "SELECT model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, dataset_name, dataset_digest "+
		"FROM logged_model_metrics WHERE run_id = ?", runID)
	if err != nil {
		return fmt.Errorf("reading metrics of logged models: %w", err)
	}

	for i, key := range keys {
		if found[key] == values[i] {
			continue
		}

		if _, err := tx.Exec(tx.Dialect().Insert("logged_model_metrics", modelMetricColumns, 1), rows[i]...); err != nil {
			return fmt.Errorf("inserting a metric of a logged model: %w", err)
		}
	}

	return nil
}

func nilIfEmpty(s string) any {
	if s == "" {
		return nil
	}

	return s
}

func deref(s *string) string {
	if s == nil {
		return ""
	}

	return *s
}

// GetMetricHistory reads the points of a metric in the order of inHistory, a page of them if the
// request says how many (SqlAlchemyStore.get_metric_history). Without workspaces, a run
// that doesn't exist has none.
func (s *Store) GetMetricHistory(
	ctx context.Context, request *protos.GetMetricHistory,
) (*protos.GetMetricHistory_Response, error) {
	offset, err := search.ParsePageToken(request.GetPageToken())
	if err != nil {
		return nil, err
	}

	const all = -1

	limit := all
	if request.MaxResults != nil {
		limit = int(request.GetMaxResults()) + 1 // one more tells whether there is another page
	}

	id := runID(request)

	points, err := database.Read(ctx, s.db, func(tx *database.Tx) ([]*protos.Metric, error) {
		if err := checkRunVisible(tx, id); err != nil {
			return nil, err
		}

		return metricHistory(tx, id, request.GetMetricKey(), limit, int(offset))
	})
	if err != nil {
		return nil, err
	}

	response := &protos.GetMetricHistory_Response{Metrics: points}
	if limit != all && len(points) == limit {
		response.Metrics = points[:limit-1]
		response.NextPageToken = new(search.CreatePageToken(offset + int64(limit-1)))
	}

	return response, nil
}

// anyStep holds for every point. It keeps SQLite to the index of a run's points of a metric: the primary
// key, which begins with the metric, has all columns, and SQLite would rather read the points of all runs
// there.
const (
	anyStep   = " AND step >= ?"
	firstStep = math.MinInt64
)

// inHistory orders the points of a metric by time, step and value, NaN behind the 0 that the database
// has for it.
func inHistory(a, b *protos.Metric) int {
	valueA, nanA := storedValue(a)
	valueB, nanB := storedValue(b)

	return cmp.Or(
		cmp.Compare(a.GetTimestamp(), b.GetTimestamp()),
		cmp.Compare(a.GetStep(), b.GetStep()),
		cmp.Compare(valueA, valueB),
		cmp.Compare(nanA, nanB),
	)
}

// storedValue is what the database has for a value: 0 for NaN, and 1 beside it.
func storedValue(m *protos.Metric) (value float64, isNaN int) {
	if math.IsNaN(m.GetValue()) {
		return 0, 1
	}

	return m.GetValue(), 0
}

// metricHistory ends the transaction.
func metricHistory(tx *database.Tx, runID, key string, limit, offset int) ([]*protos.Metric, error) {
	var (
		points    []*protos.Metric
		spare     = spares[point]{atOnce: 64}
		read      = metric{key: key}
		columns   = []any{&read.value, &read.timestamp, &read.step, &read.isNaN}
		text      = "value, timestamp, step, is_nan"
		keyColumn = tx.Dialect().Quote("key")
		order     = " ORDER BY timestamp, step, value, is_nan" + tx.Dialect().Limit(limit, offset)
		whole     = limit < 0 && offset == 0
	)

	if whole {
		// They are mostly in order already, which databases don't notice: SQLite took a quarter of its
		// time for sorting them.
		order = ""
	}

	if tx.Dialect().FoldsKeys() {
		columns = append(columns, &read.key)
		text += ", " + keyColumn
	}

	err := tx.SelectLast(database.Collect(&points, func(scan func(...any) error) (*protos.Metric, error) {
		if err := scan(columns...); err != nil {
			return nil, err
		}

		p := spare.next()
		p.set(read)

		return &p.Metric, nil
	}, "SELECT "+text+" FROM metrics WHERE run_uuid = ? AND "+keyColumn+" = ?"+anyStep+order, runID, key, firstStep))
	if err != nil {
		return nil, fmt.Errorf("reading the history of a metric of run %s: %w", runID, err)
	}

	if whole {
		slices.SortFunc(points, inHistory)
	}

	return points, nil
}
