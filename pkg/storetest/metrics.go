package storetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

func (s suite) log(id string, m *protos.Metric) error {
	_, err := s.LogMetric(context.Background(), &protos.LogMetric{
		RunUuid: new(id), Key: m.Key, Value: m.Value, Timestamp: m.Timestamp, Step: m.Step, ModelId: m.ModelId,
		DatasetName: m.DatasetName, DatasetDigest: m.DatasetDigest,
	})

	return err
}

func (s suite) history(t *testing.T, id, key string) []*protos.Metric {
	t.Helper()

	found, err := s.GetMetricHistory(t.Context(), &protos.GetMetricHistory{
		RunUuid: new(id), MetricKey: new(key),
	})
	require.NoError(t, err)
	require.Nil(t, found.NextPageToken)

	return found.GetMetrics()
}

func requireMetrics(t *testing.T, want, got []*protos.Metric) {
	t.Helper()
	requireMessage(t, &protos.RunData{Metrics: want}, &protos.RunData{Metrics: got})
}

// byKey sorts metrics: a database gives rows that are asked for without an order as it likes.
func byKey(metrics []*protos.Metric) []*protos.Metric {
	return slices.SortedFunc(slices.Values(metrics), func(a, b *protos.Metric) int {
		return strings.Compare(a.GetKey(), b.GetKey())
	})
}

func (s suite) logMetric(t *testing.T) {
	t.Helper()

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		for _, m := range []*protos.Metric{
			metric("m", math.NaN(), 1, 1), metric("m", math.NaN(), 1, 1), metric("m", 2.5, 1, 1), metric("m", 2.5, 1, 1),
			metric("m", math.Inf(1), 3, 1), metric("m", math.MaxFloat64, 3, 1), metric("m", math.Inf(-1), 2, 1),
			metric("m", 5e-324, 4, math.MaxInt64), metric("m", 1, math.MaxInt64, math.MinInt64),
			{Key: new("defaults"), Value: proto.Float64(1), Timestamp: proto.Int64(0)},
		} {
			require.NoError(t, s.log(id, m))
		}

		requireMetrics(t, []*protos.Metric{
			metric("m", math.NaN(), 1, 1), metric("m", 2.5, 1, 1), metric("m", -math.MaxFloat64, 2, 1),
			metric("m", math.MaxFloat64, 3, 1), metric("m", 5e-324, 4, math.MaxInt64),
			metric("m", 1, math.MaxInt64, math.MinInt64),
		}, s.history(t, id, "m"))
		requireMetrics(t, []*protos.Metric{metric("defaults", 1, 0, 0)}, s.history(t, id, "defaults"))
		require.Equal(t, 1, value[int](t, s,
			"SELECT COUNT(*) FROM metrics WHERE run_uuid = ? AND value = 0 AND is_nan = ?", id, true))
	})
	t.Run("ErrTimestamp", func(t *testing.T) {
		requireInvalidf(t, s.log("x", metric("m", 1e16, -1, 0)), "Invalid value -1 for parameter 'timestamp' supplied: "+
			"metric 'm' (value=1e+16). Timestamp must be a nonnegative long (64-bit integer) ")
	})
	t.Run("ErrName", func(t *testing.T) {
		requireInvalidf(t, s.log("x", metric("/m", 1, 1, 0)), `Invalid value "/m" for parameter 'name' supplied: Names may `+
			"be treated as files in certain cases, and must not resolve to other names when treated as such. "+
			"This name would resolve to '/m'")
		requireInvalidf(t, s.log("x", metric(strings.Repeat("m", 251), 1, 1, 0)),
			"'Metric name' exceeds the maximum length of 250 characters")
	})
	t.Run("ErrDataset", func(t *testing.T) {
		m := metric("m", 1, 1, 0)
		m.DatasetName = new("d")
		requireInvalidf(t, s.log("x", m), "Both dataset_name and dataset_digest must be provided if one is provided")
	})
	s.wantActiveRun(t, func(id string) error { return s.log(id, metric("m", 1, 1, 1)) })
}

func (s suite) latestMetric(t *testing.T) {
	t.Helper()

	cases := []struct {
		name   string
		logged []*protos.Metric
		want   *protos.Metric
	}{
		{"Step", []*protos.Metric{metric("m", 1, 9, 1), metric("m", 0, 1, 2)}, metric("m", 0, 1, 2)},
		{"OlderStep", []*protos.Metric{metric("m", 0, 1, 2), metric("m", 1, 9, 1)}, metric("m", 0, 1, 2)},
		{"NegativeStep", []*protos.Metric{metric("m", 1, 1, -1), metric("m", 2, 1, -2)}, metric("m", 1, 1, -1)},
		{"Time", []*protos.Metric{metric("m", 5, 1, 1), metric("m", 1, 2, 1)}, metric("m", 1, 2, 1)},
		{"OlderTime", []*protos.Metric{metric("m", 1, 2, 1), metric("m", 5, 1, 1)}, metric("m", 1, 2, 1)},
		{"Value", []*protos.Metric{metric("m", 1, 1, 1), metric("m", 2, 1, 1)}, metric("m", 2, 1, 1)},
		{"SmallerValue", []*protos.Metric{metric("m", 2, 1, 1), metric("m", 1, 1, 1)}, metric("m", 2, 1, 1)},
		{"NaNIsZero", []*protos.Metric{metric("m", -1, 1, 1), metric("m", math.NaN(), 1, 1)}, metric("m", math.NaN(), 1, 1)},
		{"NaNFirst", []*protos.Metric{metric("m", math.NaN(), 1, 1), metric("m", 0, 1, 1)}, metric("m", math.NaN(), 1, 1)},
		{"Infinity", []*protos.Metric{metric("m", math.Inf(1), 1, 1), metric("m", 1, 1, 1)}, metric("m", math.MaxFloat64, 1, 1)},
	}

	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			experiment := s.experiment(t)
			single, batch := s.runIn(t, experiment), s.runIn(t, experiment)

			for _, m := range c.logged {
				require.NoError(t, s.log(single, m))
			}

			_, err := s.LogBatch(t.Context(), &protos.LogBatch{RunId: new(batch), Metrics: c.logged})
			require.NoError(t, err)

			for _, id := range []string{single, batch} {
				requireMetrics(t, []*protos.Metric{c.want}, s.get(t, id).GetData().GetMetrics())
				require.Len(t, s.history(t, id, "m"), len(c.logged))
			}
		})
	}
}

func (s suite) logModelMetric(t *testing.T) {
	t.Helper()

	experiment := s.experiment(t)
	id := s.runIn(t, experiment)
	s.exec(t, "INSERT INTO logged_models (model_id, experiment_id, name, artifact_location, creation_timestamp_ms, "+
		"last_updated_timestamp_ms, status, lifecycle_stage) VALUES ('m-1', ?, 'm', 'a', 1, 1, 1, 'active')",
		asNumber(t, experiment))

	of := func(model string, m *protos.Metric) *protos.Metric {
		m.ModelId = new(model)

		return m
	}
	rows := func(t *testing.T) int {
		t.Helper()

		return value[int](t, s, "SELECT COUNT(*) FROM logged_model_metrics WHERE run_id = ?", id)
	}

	t.Run("OK", func(t *testing.T) {
		m := of("m-1", metric("m", 1, 1, 1))
		m.DatasetName, m.DatasetDigest = new("d"), new("x")
		require.NoError(t, s.log(id, m))
		require.NoError(t, s.log(id, m))
		require.Equal(t, 1, rows(t))
		require.Equal(t, "d", value[string](t, s, "SELECT dataset_name FROM logged_model_metrics WHERE run_id = ?", id))

		_, err := s.LogBatch(t.Context(), &protos.LogBatch{RunId: new(id), Metrics: []*protos.Metric{
			m, of("m-1", metric("m", math.NaN(), 2, 1)), of("m-1", metric("m", math.Inf(1), 3, 1)), metric("m", 4, 4, 1),
		}})
		require.NoError(t, err)
		require.Equal(t, 3, rows(t))
		require.Len(t, s.history(t, id, "m"), 4)
	})
	t.Run("ErrOtherValue", func(t *testing.T) {
		before := rows(t)
		err := s.log(id, of("m-1", metric("m", 7, 1, 1)))
		require.Equal(t, protos.ErrorCode_BAD_REQUEST, contract.AsError(err).Code)
		require.Equal(t, before, rows(t))
	})
	t.Run("ErrUnknownModel", func(t *testing.T) {
		err := s.log(id, of("nobody", metric("m", 1, 99, 1)))
		require.Equal(t, protos.ErrorCode_BAD_REQUEST, contract.AsError(err).Code)
	})
	t.Run("ErrUnknownRun", func(t *testing.T) { // before the metric is looked at
		requireErrorf(t, s.log("nobody", of("m-1", metric("*", 1, 1, 1))), protos.ErrorCode_RESOURCE_DOES_NOT_EXIST,
			"Run with id=nobody not found")
	})
}

func (s suite) metricHistory(t *testing.T) {
	t.Helper()

	id := s.run(t)

	all := make([]*protos.Metric, 0, 25)
	for i := range int64(25) {
		all = append(all, metric("m", float64(i), i, 0))
	}

	_, err := s.LogBatch(t.Context(), &protos.LogBatch{RunId: new(id), Metrics: all})
	require.NoError(t, err)

	page := func(size int32, token string) (*protos.GetMetricHistory_Response, error) {
		return s.GetMetricHistory(context.Background(), &protos.GetMetricHistory{
			RunId: new(id), MetricKey: new("m"), MaxResults: new(size), PageToken: new(token),
		})
	}

	t.Run("OKPages", func(t *testing.T) {
		for _, size := range []int32{1, 5, 7, 24, 25, 26} {
			var (
				got   []*protos.Metric
				token string
				pages int
			)

			for pages == 0 || token != "" {
				found, err := page(size, token)
				require.NoError(t, err)
				require.LessOrEqual(t, len(found.GetMetrics()), int(size))

				got, token, pages = append(got, found.GetMetrics()...), found.GetNextPageToken(), pages+1
			}

			requireMetrics(t, all, got)
			require.Equal(t, (25+int(size)-1)/int(size), pages)
		}
	})
	t.Run("OKToken", func(t *testing.T) {
		found, err := page(3, "")
		require.NoError(t, err)
		require.Equal(t, "eyJvZmZzZXQiOiAzfQ==", found.GetNextPageToken())

		rest, err := s.GetMetricHistory(t.Context(), &protos.GetMetricHistory{
			RunId: new(id), MetricKey: new("m"), PageToken: new("eyJvZmZzZXQiOiAyM30="),
		})
		require.NoError(t, err)
		requireMetrics(t, all[23:], rest.GetMetrics())
	})
	t.Run("OKNaNAfterZero", func(t *testing.T) {
		id := s.run(t)
		_, err := s.LogBatch(t.Context(), &protos.LogBatch{RunId: new(id), Metrics: []*protos.Metric{
			metric("m", math.NaN(), 1, 1), metric("m", 0, 1, 1),
		}})
		require.NoError(t, err)

		expected := []*protos.Metric{metric("m", 0, 1, 1), metric("m", math.NaN(), 1, 1)}
		requireMetrics(t, expected, s.history(t, id, "m"))

		found, err := s.GetMetricHistory(t.Context(), &protos.GetMetricHistory{
			RunId: new(id), MetricKey: new("m"), MaxResults: new(int32(1)),
		})
		require.NoError(t, err)
		requireMetrics(t, expected[:1], found.GetMetrics())
	})
	t.Run("OKNothing", func(t *testing.T) {
		require.Empty(t, s.history(t, id, "other"))
		require.Empty(t, s.history(t, "nobody", "m"))
	})
	t.Run("ErrToken", func(t *testing.T) {
		_, err := page(1, "xx")
		requireInvalidf(t, err, "Invalid page token, could not base64-decode")
	})
}

func (s suite) logBatch(t *testing.T) {
	t.Helper()

	log := func(request *protos.LogBatch) error {
		_, err := s.LogBatch(context.Background(), request)

		return err
	}

	t.Run("OK", func(t *testing.T) {
		id := s.run(t)
		request := &protos.LogBatch{
			RunId:   new(id),
			Metrics: []*protos.Metric{metric("b", 1, 1, 1), metric("a", 1, 1, 1), metric("b", 1, 1, 1), metric("b", 2, 1, 2)},
			Params:  []*protos.Param{param("b", "1"), param("a", "1")},
			Tags:    []*protos.RunTag{runTag("b", "1"), runTag("a", "1"), runTag("b", "2"), runTag("mlflow.runName", "new")},
		}

		for range 2 { // the second time nothing changes
			require.NoError(t, log(request))

			found := s.get(t, id)
			require.Equal(t, "new", found.GetInfo().GetRunName())
			requireMetrics(t, []*protos.Metric{metric("b", 2, 1, 2), metric("a", 1, 1, 1)}, found.GetData().GetMetrics())
			require.Len(t, found.GetData().GetParams(), 2)

			tags := make(map[string]string)
			for _, tag := range found.GetData().GetTags() {
				tags[tag.GetKey()] = tag.GetValue()
			}

			require.Equal(t, map[string]string{"b": "2", "a": "1", "mlflow.runName": "new"}, tags)
			require.Len(t, s.history(t, id, "b"), 2)
		}
	})
	t.Run("OKEmpty", func(t *testing.T) {
		require.NoError(t, log(&protos.LogBatch{RunId: new(s.run(t))}))
	})
	t.Run("OKLargest", func(t *testing.T) {
		id := s.run(t)
		request := &protos.LogBatch{RunId: new(id)}

		for i := range 800 {
			request.Metrics = append(request.Metrics, metric(fmt.Sprint("m", i), float64(i), 1, 1))
		}

		for i := range 100 {
			request.Params = append(request.Params, param(fmt.Sprint("p", i), strings.Repeat("v", 6000)))
			request.Tags = append(request.Tags, runTag(fmt.Sprint("t", i), "v"))
		}

		require.NoError(t, log(request))

		data := s.get(t, id).GetData()
		requireMetrics(t, byKey(request.GetMetrics()), byKey(data.GetMetrics()))
		require.Len(t, data.GetParams(), 100)
		require.Len(t, data.GetTags(), 101)

		thousand := &protos.LogBatch{RunId: new(id)}
		for i := range 1000 {
			thousand.Metrics = append(thousand.Metrics, metric("one", float64(i), int64(i), 1))
		}

		require.NoError(t, log(thousand))
		require.Len(t, s.history(t, id, "one"), 1000)
	})
	t.Run("ErrRunID", func(t *testing.T) {
		requireInvalidf(t, log(&protos.LogBatch{RunId: new("-é")}), `Invalid value "-\u00e9" for parameter `+
			"'run_id' supplied.")
	})
	t.Run("ErrPaths", func(t *testing.T) {
		const characters = " supplied: Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), " +
			"spaces ( ), colon(:) and slashes (/)."

		id := new("x")
		requireInvalidf(t, log(&protos.LogBatch{RunId: id, Metrics: []*protos.Metric{metric("*", 1, 1, 1)}}),
			`Invalid value "*" for parameter 'metrics[0].name'`+characters)
		requireInvalidf(t, log(&protos.LogBatch{RunId: id, Metrics: []*protos.Metric{metric("a", 1, 1, 1), metric("b", math.NaN(), -5, 1)}}),
			"Invalid value -5 for parameter 'metrics[1].timestamp' supplied: metric 'b' (value=nan). "+
				"Timestamp must be a nonnegative long (64-bit integer) ")
		requireInvalidf(t, log(&protos.LogBatch{RunId: id, Params: []*protos.Param{param("a", ""), param("*", "")}}),
			`Invalid value "*" for parameter 'params[1].key'`+characters)
		requireInvalidf(t, log(&protos.LogBatch{RunId: id, Tags: []*protos.RunTag{runTag("*", "")}}),
			`Invalid value "*" for parameter 'tags[0].key'`+characters)
		requireInvalidf(t, log(&protos.LogBatch{RunId: id, Tags: []*protos.RunTag{runTag(strings.Repeat("k", 251), "")}}),
			"'tags[0].key' exceeds the maximum length of 250 characters")
	})
	t.Run("ErrLimits", func(t *testing.T) {
		const again = " Please split up %[1]s across multiple requests and try again."

		request := &protos.LogBatch{RunId: new("x")}
		for i := range 1001 {
			request.Metrics = append(request.Metrics, metric("m", float64(i), 1, 1))
		}

		requireInvalidf(t, log(request), "A batch logging request can contain at most 1000 %[1]s. Got 1001 %[1]s."+again,
			"metrics")

		request.Metrics = request.GetMetrics()[:1000]
		request.Params = []*protos.Param{param("p", "")}
		requireInvalidf(t, log(request), "A batch logging request can contain at most 1000 %[1]s. Got 1001 %[1]s."+again,
			"metrics, params, and tags")

		request.Metrics, request.Params = nil, nil
		for i := range 101 {
			request.Tags = append(request.Tags, runTag(strconv.Itoa(i), ""))
		}

		requireInvalidf(t, log(request), "A batch logging request can contain at most 100 %[1]s. Got 101 %[1]s."+again, "tags")
	})
	t.Run("ErrParamTwice", func(t *testing.T) {
		requireInvalidf(t, log(&protos.LogBatch{
			RunId:  new("x"),
			Params: []*protos.Param{param("a", "1"), param("é", "1"), param("a", "1"), param("é", "1"), param("a", "2")},
		}), "Duplicate parameter keys have been submitted: ['a', 'é', 'a']. Please ensure the request contains only one "+
			"param value per param key.")
	})
	t.Run("ErrParamChanged", func(t *testing.T) {
		id := s.run(t)
		require.NoError(t, log(&protos.LogBatch{RunId: new(id), Params: []*protos.Param{param("a", "1"), param("b", "1")}}))
		requireInvalidf(t, log(&protos.LogBatch{
			RunId:   new(id),
			Metrics: []*protos.Metric{metric("m", 1, 1, 1)},
			Params:  []*protos.Param{param("new", "1"), param("b", `it's "2"`), param("a", "it's")},
			Tags:    []*protos.RunTag{runTag("t", "1")},
		}), `Changing param values is not allowed. Params were already logged='[{'key': 'b', 'old_value': '1', 'new_value': `+
			`'it\'s "2"'}, {'key': 'a', 'old_value': '1', 'new_value': "it's"}]' for run ID='%s'.`, id)

		data := s.get(t, id).GetData()
		require.Len(t, data.GetParams(), 2, "nothing of it may be left")
		require.Empty(t, data.GetMetrics())
		require.Len(t, data.GetTags(), 1)
	})
	s.wantActiveRun(t, func(id string) error { return log(&protos.LogBatch{RunId: new(id)}) })
}

// logBatchConcurrently has many clients write the same keys of one run, in different orders.
func (s suite) logBatchConcurrently(t *testing.T) {
	t.Helper()

	const clients, batches, keys = 8, 10, 6

	id := s.run(t)

	var clientsDone sync.WaitGroup

	failures := make(chan error, clients*batches)

	for client := range clients {
		clientsDone.Go(func() {
			for batch := range batches {
				request := &protos.LogBatch{RunId: new(id)}

				for i := range keys {
					key := fmt.Sprint("k", (i*(client+1)+client)%keys)
					request.Metrics = append(request.Metrics, metric(key, float64(client), 1, int64(batch*clients+client)))
					request.Tags = append(request.Tags, runTag(key, strconv.Itoa(client)))
				}

				request.Params = []*protos.Param{param(fmt.Sprint("p", batch), "same")}

				if _, err := s.LogBatch(context.Background(), request); err != nil {
					failures <- err
				}
			}
		})
	}

	clientsDone.Wait()
	close(failures)

	for err := range failures {
		require.NoError(t, err)
	}

	data := s.get(t, id).GetData()
	require.Len(t, data.GetParams(), batches)

	latest := make(map[string]int64)
	for _, m := range data.GetMetrics() {
		latest[m.GetKey()] = m.GetStep()
	}

	for key, step := range latest {
		history := s.history(t, id, key)
		newest := int64(-1)

		for _, m := range history {
			newest = max(newest, m.GetStep())
		}

		require.Equal(t, newest, step, key)
	}
}
