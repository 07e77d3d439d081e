package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/schema"
)

const createPath = "/api/2.0/mlflow/experiments/create"

// TestPathParametersAreText holds the parameters of paths to be text fields of the requests, which routes set. The server
// doesn't look: what protobuf would read to tell is half a megabyte.
func TestPathParametersAreText(t *testing.T) {
	var parameters int

	for _, method := range contract.Methods {
		fields := method.NewRequest().ProtoReflect().Descriptor().Fields()

		for _, path := range methodPaths(method.Endpoints) {
			_, names := pathPattern(path.path)
			parameters += len(names)

			for _, name := range names {
				field := fields.ByName(protoreflect.Name(name))
				require.NotNil(t, field, "%s: %s", method.Name, name)
				require.Equal(t, protoreflect.StringKind, field.Kind(), "%s: %s", method.Name, name)
			}
		}
	}

	require.NotZero(t, parameters)
}

// service answers what the tests ask; any other method panics.
type service struct {
	contract.MlflowService

	entered, leave chan struct{}
}

func (service) CreateExperiment(
	_ context.Context, request *protos.CreateExperiment,
) (*protos.CreateExperiment_Response, error) {
	return &protos.CreateExperiment_Response{ExperimentId: new(request.GetName())}, nil
}

func (s service) GetExperimentByName(
	context.Context, *protos.GetExperimentByName,
) (*protos.GetExperimentByName_Response, error) {
	close(s.entered)
	<-s.leave

	return nil, contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "none")
}

func (service) GetLoggedModel(
	ctx context.Context, request *protos.GetLoggedModel,
) (*protos.GetLoggedModel_Response, error) {
	return nil, contract.InvalidParameter("get %q %s", request.GetModelId(), contract.QueryFrom(ctx))
}

func (service) DeleteLoggedModelTag(
	_ context.Context, request *protos.DeleteLoggedModelTag,
) (*protos.DeleteLoggedModelTag_Response, error) {
	return nil, contract.InvalidParameter("delete %q of %q", request.GetTagKey(), request.GetModelId())
}

func (service) SetLoggedModelTags(
	_ context.Context, request *protos.SetLoggedModelTags,
) (*protos.SetLoggedModelTags_Response, error) {
	return nil, contract.InvalidParameter("%d tags of %q", len(request.GetTags()), request.GetModelId())
}

func (service) FinalizeLoggedModel(
	_ context.Context, request *protos.FinalizeLoggedModel,
) (*protos.FinalizeLoggedModel_Response, error) {
	return nil, contract.InvalidParameter("finalize %q", request.GetModelId())
}

func (service) ListArtifacts(context.Context, *protos.ListArtifacts) (*protos.ListArtifacts_Response, error) {
	return nil, contract.ErrLeftToPython
}

// python stands for MLflow's server.
type python string

func (p python) Address() string           { return string(p) }
func (python) Ready(context.Context) error { return nil }

func settings(t *testing.T) *config.Config {
	t.Helper()

	return &config.Config{
		MLflowVersion:    schema.MLflowVersion,
		BackendStoreURI:  "sqlite:///mlflow.db",
		RegistryStoreURI: "sqlite:///mlflow.db",
		StaticDir:        t.TempDir(),
		Go:               config.DefaultOptions(),
	}
}

func noEnvironment(string) string { return "" }

// start runs a server before a Python server that answers 299 and the request's body to everything.
func start(t *testing.T, settings *config.Config, getenv func(string) string) (*Server, string) {
	t.Helper()

	gate, err := NewGate(Setting{Config: settings, Getenv: getenv})
	require.NoError(t, err)

	options := Options{Config: settings, Gate: gate, Logger: slog.New(slog.DiscardHandler)}

	if settings.Go.Fallback != config.FallbackOff {
		fallback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)

			w.Header().Set("Vary", "Python")
			w.WriteHeader(299)
			_, _ = w.Write(body)
		}))
		t.Cleanup(fallback.Close)

		options.Upstream = python(fallback.Listener.Addr().String())
	}

	server, err := New(options)
	require.NoError(t, err)

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	go func() { _ = server.Serve(listener) }()

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()

		_ = server.Shutdown(ctx)
	})

	return server, "http://" + listener.Addr().String()
}

func startNative(t *testing.T, settings *config.Config) string {
	t.Helper()

	server, url := start(t, settings, noEnvironment)
	server.Provide(map[string]any{"MlflowService": service{}})

	return url
}

// reply is what the tests look at in an answer.
type reply struct {
	StatusCode    int
	Header        http.Header
	ContentLength int64
}

// ask sends a request with header fields given as "Name: value".
func ask(t *testing.T, method, url, body string, fields ...string) (reply, string) {
	t.Helper()

	request, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)

	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Add(name, value)

		if name == "Host" {
			request.Host = value
		}
	}

	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)

	defer func() { _ = response.Body.Close() }()

	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	return reply{response.StatusCode, response.Header, response.ContentLength}, string(text)
}

const typed = "Content-Type: application/json"

func TestNativeMethod(t *testing.T) {
	options := settings(t)
	options.StaticPrefix = "/ml:flow"
	options.Go.MaxBody = 1000
	url := startNative(t, options) + options.StaticPrefix
	tooLong := fmt.Sprintf(`{"name": %q}`, strings.Repeat("x", 1000))

	for name, test := range map[string]struct {
		fields []string
		body   string
		status int
		want   string
	}{
		"OK":                 {[]string{typed}, `{"name": "a"}`, 200, "{\n  \"experiment_id\": \"a\"\n}"},
		"OKCharset":          {[]string{typed + "; charset=utf-8"}, `{"name": "a"}`, 200, "{\n  \"experiment_id\": \"a\"\n}"},
		"ErrMissing":         {[]string{typed}, `{}`, 400, "Missing value for required parameter 'name'."},
		"ErrNoContentType":   {nil, `{"name": "a"}`, 400, "Bad Request. Content-Type header is missing."},
		"ErrContentType":     {[]string{"Content-Type: text/plain"}, `{}`, 400, "Bad Request. Content-Type must be one of ['application/json']."},
		"ErrEmptyType":       {[]string{"Content-Type: "}, `{}`, 400, "Bad Request. Content-Type must be one of ['application/json']."},
		"ErrBodyTooLarge":    {[]string{typed}, tooLong, 413, "larger than the server's limit of 1000 bytes"},
		"ErrChunkedTooLarge": {[]string{typed, "X-Chunked: 1"}, tooLong, 413, "larger than the server's limit of 1000 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			var body io.Reader = strings.NewReader(test.body)
			if strings.Contains(name, "Chunked") {
				body = struct{ io.Reader }{body}
			}

			request, err := http.NewRequest(http.MethodPost, url+createPath, body)
			require.NoError(t, err)

			for _, field := range test.fields {
				name, value, _ := strings.Cut(field, ": ")
				request.Header.Set(name, value)
			}

			response, err := http.DefaultTransport.RoundTrip(request)
			require.NoError(t, err)

			defer func() { _ = response.Body.Close() }()

			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, test.status, response.StatusCode)
			require.Contains(t, string(text), test.want)
			require.Equal(t, "application/json", response.Header.Get("Content-Type"))
			require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
			require.NotContains(t, response.Header, "Via")
		})
	}
}

func TestPathParameters(t *testing.T) {
	options := settings(t)
	options.StaticPrefix = "/ml:flow"
	url := startNative(t, options) + options.StaticPrefix + "/api/2.0/mlflow/logged-models"

	for name, test := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"OK":                {"GET", "/m-1", "", 400, `get \"m-1\" `},
		"OKQuery":           {"GET", "/m-1?model_id=m-2&x=%20", "", 400, `get \"m-1\" model_id=m-2&x=%20`},
		"OKUnreadBody":      {"GET", "/m-1", "[]", 400, `get \"m-1\"`},
		"OKNameOfAnother":   {"GET", "/search", "", 400, `get \"search\"`},
		"OKEscaped":         {"GET", "/%C3%A9%20%25+:*", "", 400, `get \"\u00e9 %+:*\"`},
		"OKTwo":             {"DELETE", "/m-1/tags/a%20b", "", 400, `delete \"a b\" of \"m-1\"`},
		"OKReplacesTheBody": {"PATCH", "/m-1/tags", `{"model_id": "m-2", "tags": [{}]}`, 400, `1 tags of \"m-1\"`},
		"OKIgnored":         {"PATCH", "/m-1", `{"model_id": "m-2", "status": 2}`, 400, `finalize \"m-2\"`},
		"ErrBody":           {"PATCH", "/m-1", `{"status": 2}`, 400, "Missing value for required parameter 'model_id'."},
		"PassedOnSlash":     {"GET", "/m%2F1", "", 299, ""},
		"PassedOnBytes":     {"GET", "/m%FF", "", 299, ""},
		"PassedOnEmpty":     {"GET", "/", "", 299, ""},
		"PassedOnEnd":       {"GET", "/m-1/", "", 299, ""},
		"PassedOnLonger":    {"DELETE", "/m-1/tags/a/b", "", 299, ""},
		"PassedOnVerb":      {"PUT", "/m-1", "", 299, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answer, text := ask(t, test.method, url+test.path, test.body, typed)
			require.Equal(t, test.status, answer.StatusCode, text)
			require.Contains(t, text, test.want)
		})
	}
}

func TestTruncatedBodyIsRefused(t *testing.T) {
	address := strings.TrimPrefix(startNative(t, settings(t)), "http://")

	for name, body := range map[string]string{
		"known length": "Content-Length: 20000\r\n\r\n{\"name\": \"a\"}" + strings.Repeat(" ", 10000),
		"chunked":      "Transfer-Encoding: chunked\r\n\r\nd\r\n{\"name\": \"a\"}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			connection, err := net.Dial("tcp", address)
			require.NoError(t, err)

			defer func() { _ = connection.Close() }()

			_, _ = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n%s", createPath, typed, body)

			half, ok := connection.(*net.TCPConn)
			require.True(t, ok)
			require.NoError(t, half.CloseWrite())

			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusBadRequest, response.StatusCode)
			require.NoError(t, response.Body.Close())
		})
	}
}

func TestUnreadableRequestsReachNobody(t *testing.T) {
	url := startNative(t, settings(t)) // its fallback would answer 299

	for name, test := range map[string]struct {
		sent   string
		status int
	}{
		"Garbage":        {strings.Repeat("G", 200) + "\r\n\r\n", http.StatusBadRequest},
		"NegativeLength": {"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", http.StatusBadRequest},
		"TwoLengths": {
			"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
			http.StatusBadRequest,
		},
		"LargeHeader": {
			"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 2*headerSize) + "\r\n\r\n",
			http.StatusRequestHeaderFieldsTooLarge,
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			require.NoError(t, err)

			defer func() { _ = conn.Close() }()

			_, err = conn.Write([]byte(test.sent))
			require.NoError(t, err)

			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)

			defer func() { _ = response.Body.Close() }()

			require.Equal(t, test.status, response.StatusCode)
			require.Contains(t, response.Header.Get("Content-Type"), "json")
		})
	}
}

func TestPanicIsAnswered(t *testing.T) {
	url := startNative(t, settings(t))
	response, body := ask(t, http.MethodGet, url+"/api/2.0/mlflow/experiments/get?experiment_id=0", "")

	require.Equal(t, http.StatusInternalServerError, response.StatusCode)
	require.Contains(t, body, `"error_code": "INTERNAL_ERROR"`)
	require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
}

// What a native route doesn't know goes to Python: other verbs, other spellings of the path, and
// headers that only Python understands.
func TestPassedOn(t *testing.T) {
	url := startNative(t, settings(t))

	for _, request := range []string{
		"GET " + createPath, "HEAD /api/2.0/mlflow/experiments/get", "OPTIONS " + createPath,
		"POST " + createPath + "/", "POST /" + createPath, "POST /API/2.0/mlflow/experiments/create",
		"POST /api/2.0/mlflow/experiments%2Fcreate", "PROPFIND /health", "DELETE /health", "GET /health/",
		"GET /nothing", "GET /static-files/", "POST /static-files/a.js",
		"PUT /graphql", "PATCH /api/3.0/mlflow/traces/tr-1/tags",
	} {
		verb, path, _ := strings.Cut(request, " ")
		response, _ := ask(t, verb, url+path, "", typed)
		require.Equal(t, 299, response.StatusCode, request)
		require.Equal(t, []string{"Python"}, response.Header.Values("Vary"), request)
	}

	for _, path := range []string{"/health", createPath} {
		response, _ := ask(t, http.MethodGet, url+path, "", "X-MLFLOW-WORKSPACE: team")
		require.Equal(t, 299, response.StatusCode)
	}

	response, _ := ask(t, http.MethodGet, url+"/health", "", "X-MLFLOW-WORKSPACE:  ")
	require.Equal(t, http.StatusOK, response.StatusCode)
}

func TestWithoutFallback(t *testing.T) {
	options := settings(t)
	options.Go.Fallback = config.FallbackOff
	url := startNative(t, options)

	response, body := ask(t, http.MethodPost, url+"/graphql", "{}", typed)
	require.Equal(t, http.StatusNotImplemented, response.StatusCode)
	require.Contains(t, body, "NOT_IMPLEMENTED")
	require.Contains(t, body, "fallback=off")

	response, _ = ask(t, http.MethodPost, url+createPath, `{"name": "a"}`, typed)
	require.Equal(t, http.StatusOK, response.StatusCode)
}

func TestRequestsWaitForTheDatabase(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		server, url := start(t, settings(t), noEnvironment)

		response, body := ask(t, http.MethodGet, url+"/health", "")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, "OK", body)

		time.AfterFunc(50*time.Millisecond, func() {
			server.Provide(map[string]any{"MlflowService": service{}})
		})

		response, _ = ask(t, http.MethodPost, url+createPath, `{"name": "a"}`, typed)
		require.Equal(t, http.StatusOK, response.StatusCode)
	})

	t.Run("OKLeftToPython", func(t *testing.T) {
		server, url := start(t, settings(t), noEnvironment)
		server.Provide(nil)

		response, _ := ask(t, http.MethodPost, url+createPath, `{"name": "a"}`, typed)
		require.Equal(t, 299, response.StatusCode)
	})

	t.Run("ErrTimeout", func(t *testing.T) {
		options := settings(t)
		options.Go.FallbackTimeout = 10 * time.Millisecond
		_, url := start(t, options, noEnvironment)

		response, body := ask(t, http.MethodPost, url+createPath, `{"name": "a"}`, typed)
		require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		require.Contains(t, body, "TEMPORARILY_UNAVAILABLE")
	})
}

func TestShutdownWaitsForRequests(t *testing.T) {
	server, url := start(t, settings(t), noEnvironment)
	slow := service{entered: make(chan struct{}), leave: make(chan struct{})}
	server.Provide(map[string]any{"MlflowService": slow})

	status := make(chan int, 1)

	go func() {
		response, err := http.Get(url + "/api/2.0/mlflow/experiments/get-by-name?experiment_name=a")
		if err == nil {
			status <- response.StatusCode
			_ = response.Body.Close()
		}
	}()

	<-slow.entered

	ended := make(chan error, 1)

	go func() { ended <- server.Shutdown(context.Background()) }()

	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err == nil {
			_ = connection.Close()
		}

		return err != nil
	}, time.Second, time.Millisecond)
	require.Empty(t, ended)
	close(slow.leave)
	require.NoError(t, <-ended)
	require.Equal(t, http.StatusNotFound, <-status)
}

func TestUI(t *testing.T) {
	options := settings(t)
	options.StaticPrefix = "/prefix"
	require.NoError(t, os.MkdirAll(filepath.Join(options.StaticDir, "static"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(options.StaticDir, "index.html"), []byte("<html>"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(options.StaticDir, "static", "a.js"), []byte("abc"), 0o600))

	url := startNative(t, options) + options.StaticPrefix

	for path, want := range map[string][3]string{
		"/":                         {"<html>", "text/html; charset=utf-8", "no-cache"},
		"/static-files/static/a.js": {"abc", "text/javascript; charset=utf-8", "public, max-age=2419200"},
		"/health":                   {"OK", "text/plain; charset=utf-8", ""},
		"/version":                  {schema.MLflowVersion, "text/html; charset=utf-8", ""},
	} {
		response, body := ask(t, http.MethodGet, url+path, "")
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		require.Equal(t, want, [3]string{body, response.Header.Get("Content-Type"), response.Header.Get("Cache-Control")})

		response, body = ask(t, http.MethodHead, url+path, "")
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		require.EqualValues(t, len(want[0]), response.ContentLength)
		require.Empty(t, body)
	}
}

func (uiService) GetMetricHistoryBulk(
	_ context.Context, request *protos.GetMetricHistoryBulkInterval,
) (*protos.GetMetricHistoryBulkInterval_Response, error) {
	if request.MetricKey == nil {
		return nil, contract.InvalidParameter("no metric of %v", request.GetRunIds())
	}

	return &protos.GetMetricHistoryBulkInterval_Response{Metrics: []*protos.MetricWithRunId{
		{
			Key: request.MetricKey, Value: new(1.5), Timestamp: new(int64(request.GetMaxResults())), Step: new(int64(-1)),
			RunId: new(strings.Join(request.GetRunIds(), "+")),
		},
		{Key: new(""), Value: new(math.NaN())},
	}}, nil
}

func (uiService) SearchDatasets(
	_ context.Context, request *protos.SearchDatasets,
) (*protos.SearchDatasets_Response, error) {
	return &protos.SearchDatasets_Response{DatasetSummaries: []*protos.DatasetSummary{
		{ExperimentId: new(strings.Join(request.GetExperimentIds(), "+"))},
	}}, nil
}

// uiService answers what the tests ask at routes beside the protobufs.
type uiService struct{ contract.UIService }

func TestPlainRoutes(t *testing.T) {
	options := settings(t)
	options.StaticPrefix = "/ml:flow"
	server, url := start(t, options, noEnvironment)
	server.Provide(map[string]any{contract.UIServiceName: uiService{}})

	const (
		history  = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
		datasets = "/ajax-api/2.0/mlflow/experiments/search-datasets"
		point    = `{"metrics":[{"key":"\u00e9","run_id":"a+b","step":-1,"timestamp":%d,"value":1.5},` +
			`{"key":"","run_id":"","step":0,"timestamp":0,"value":NaN}]}` + "\n"
	)

	for name, test := range map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"OKHistory":         {"GET", history + "?run_id=a&run_id=b&metric_key=%C3%A9&metric_key=x&max_results=+7_0", "", 200, fmt.Sprintf(point, 70)},
		"OKHistoryNoLimit":  {"GET", history + "?run_id=a&run_id=b&metric_key=%C3%A9&max_results=99999999999", "", 200, fmt.Sprintf(point, 0)},
		"ErrHistory":        {"GET", history + "?run_id=a&max_results=x", "", 400, "no metric of [a]"},
		"ErrHistoryLimit":   {"GET", history + "?run_id=a&metric_key=&max_results=x", "", 400, "Invalid value 'x' for parameter 'max_results' supplied."},
		"OKDatasets":        {"POST", datasets, `{"experimentIds": ["1", "2"]}`, 200, `"experiment_id": "1+2"`},
		"OKDatasetsNoJSON":  {"POST", datasets, `{`, 200, `"experiment_id": ""`},
		"ErrDatasets":       {"POST", datasets, `{"experiment_ids": 5}`, 400, "Cannot read the request"},
		"ErrDatasetsObject": {"POST", datasets, `[]`, 400, "Request body must be a JSON object"},
		"PassedOnVerb":      {"GET", datasets, "", 299, ""},
		"PassedOnAPI":       {"GET", "/api/2.0/mlflow/metrics/get-history-bulk", "", 299, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answer, text := ask(t, test.method, url+options.StaticPrefix+test.path, test.body, typed)
			require.Equal(t, test.status, answer.StatusCode, text)
			require.Contains(t, text, test.want)
		})
	}

	t.Run("ErrContentType", func(t *testing.T) {
		answer, text := ask(t, http.MethodPost, url+options.StaticPrefix+datasets, "{}")
		require.Equal(t, http.StatusBadRequest, answer.StatusCode)
		require.Contains(t, text, "Bad Request. Content-Type header is missing.")
	})
}
