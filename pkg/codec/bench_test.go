package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/protos"
)

// logBatch is a request of n metrics as MLflow's client sends it.
func logBatch(n int) []byte {
	m := &protos.LogBatch{RunId: new("0123456789abcdef0123456789abcdef")}
	for i := range n {
		m.Metrics = append(m.Metrics, &protos.Metric{
			Key:       new(fmt.Sprintf("train/metric_%d", i)),
			Value:     new(float64(i) / 7),
			Timestamp: new(1700000000000 + int64(i)),
			Step:      new(int64(i)),
		})
	}

	return Encode(nil, m)
}

// foundRuns is an answer of n runs with 10 metrics, 10 params and 5 tags each.
func foundRuns(n int) *protos.SearchRuns_Response {
	m := &protos.SearchRuns_Response{NextPageToken: new("eyJvZmZzZXQiOiAxMDB9")}

	for i := range n {
		id := fmt.Sprintf("%032x", i)
		run := &protos.Run{
			Info: &protos.RunInfo{
				RunId: &id, RunUuid: &id, RunName: new("bustling-ant-101"), ExperimentId: new("1"),
				UserId: new("alice"), Status: protos.RunStatus_FINISHED.Enum(), StartTime: proto.Int64(1700000000000),
				EndTime: proto.Int64(1700000100000), ArtifactUri: new("mlflow-artifacts:/1/" + id + "/artifacts"),
				LifecycleStage: new("active"),
			},
			Data: &protos.RunData{},
		}

		for j := range 10 {
			key := fmt.Sprintf("key_%d", j)
			run.Data.Metrics = append(run.Data.Metrics, &protos.Metric{
				Key: &key, Value: new(float64(i*j) / 7), Timestamp: proto.Int64(1700000000000), Step: new(int64(j)),
			})
			run.Data.Params = append(run.Data.Params, &protos.Param{Key: &key, Value: new("0.01")})

			if j%2 == 0 {
				run.Data.Tags = append(run.Data.Tags, &protos.RunTag{Key: new("mlflow." + key), Value: new("value")})
			}
		}

		m.Runs = append(m.Runs, run)
	}

	return m
}

func BenchmarkDecodeLogBatch(b *testing.B) {
	for _, n := range []int{10, 500} {
		body := logBatch(n)

		for _, way := range []struct {
			name   string
			decode func(*protos.LogBatch) error
		}{
			{"generated", func(m *protos.LogBatch) error {
				_, err := DecodeBody(body, m)

				return err
			}},
			{"reflection", func(m *protos.LogBatch) error {
				_, err := slowly(body, m)

				return err
			}},
			{"protojson", func(m *protos.LogBatch) error { return protojson.Unmarshal(body, m) }},
			{"encoding-json", func(m *protos.LogBatch) error { return json.Unmarshal(body, m) }},
		} {
			b.Run(fmt.Sprintf("%d/%s", n, way.name), func(b *testing.B) {
				b.SetBytes(int64(len(body)))
				b.ReportAllocs()

				for b.Loop() {
					m := &protos.LogBatch{}
					if err := way.decode(m); err != nil || len(m.GetMetrics()) != n {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkEncodeSearchRuns(b *testing.B) {
	m := foundRuns(100)
	options := protojson.MarshalOptions{UseProtoNames: true, Multiline: true, Indent: "  "}

	var buffer []byte

	for _, way := range []struct {
		name   string
		encode func() ([]byte, error)
	}{
		{"generated", func() ([]byte, error) {
			buffer = Encode(buffer[:0], m)

			return buffer, nil
		}},
		{"reflection", func() ([]byte, error) {
			buffer = appendMessage(buffer[:0], m.ProtoReflect(), 0)

			return buffer, nil
		}},
		{"protojson", func() ([]byte, error) { return options.Marshal(m) }},
		{"encoding-json", func() ([]byte, error) {
			var out bytes.Buffer
			encoder := json.NewEncoder(&out)
			encoder.SetIndent("", "  ")
			err := encoder.Encode(m)

			return out.Bytes(), err
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()

			for b.Loop() {
				encoded, err := way.encode()
				if err != nil {
					b.Fatal(err)
				}

				b.SetBytes(int64(len(encoded)))
			}
		})
	}
}
