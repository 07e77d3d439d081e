package security

import (
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/config"
)

const api = "/api/2.0/mlflow/experiments/create"

func policy(t *testing.T, options config.Security) *Policy {
	t.Helper()

	policy, err := New(options, "")
	require.NoError(t, err)

	return policy
}

// shown writes headers as sorted lines.
func shown(headers [][2]string) string {
	lines := make([]string, 0, len(headers))
	for _, header := range headers {
		lines = append(lines, strings.ToLower(header[0])+": "+header[1])
	}

	sort.Strings(lines)

	return strings.Join(lines, "\n")
}

func TestHosts(t *testing.T) {
	for _, test := range []struct {
		allowed []string
		host    string
		path    string
		want    bool
	}{
		{nil, localhost, api, true},
		{nil, "localhost:5000", api, true},
		{nil, "127.0.0.1:80", api, true},
		{nil, "[::1]", api, true},
		{nil, "[::1]:5000", api, true},
		{nil, "0.0.0.0:1", api, true},
		{nil, "10.1.2.3:5000", api, true},
		{nil, "172.16.0.1", api, true},
		{nil, "172.32.0.1", api, false},
		{nil, "192.168.1.1:99", api, true},
		{nil, "evil.com", api, false},
		{nil, "localhost.evil.com", api, false},
		{nil, "LOCALHOST", api, false},
		{nil, "", api, false},
		{nil, "evil.com", "/health", true},
		{nil, "evil.com", "/version", true},
		{nil, "evil.com", "/health/", false},
		{[]string{" mlflow.example "}, "mlflow.example", api, true},
		{[]string{"mlflow.example"}, "mlflow.example:80", api, false},
		{[]string{"mlflow.example"}, localhost, api, false},
		{[]string{"*.example"}, "a.b.example", api, true},
		{[]string{"*.example"}, "example", api, false},
		{[]string{"h?st[12]*"}, "host2:80", api, true},
		{[]string{"h?st[!12]*"}, "host2:80", api, false},
		{[]string{"a.b*"}, "axb", api, false},
		{[]string{"x", "*"}, "evil.com", api, true},
	} {
		verdict := policy(t, config.Security{AllowedHosts: test.allowed}).
			Check(Request{Method: "GET", Path: test.path, Host: test.host})
		require.Equal(t, test.want, verdict.Answer == nil, "%v %s %s", test.allowed, test.host, test.path)

		if !test.want {
			require.Equal(t, 403, verdict.Answer.Status)
			require.Equal(t, "Invalid Host header - possible DNS rebinding attack detected", verdict.Answer.Body)
			require.Equal(t, "content-type: text/plain", shown(verdict.Answer.Headers))
		}
	}
}

func TestHealthUnderAPrefix(t *testing.T) {
	prefixed, err := New(config.Security{}, "/mlflow")
	require.NoError(t, err)

	require.Nil(t, prefixed.Check(Request{Method: "GET", Path: "/mlflow/health", Host: "evil.com"}).Answer)
	require.NotNil(t, prefixed.Check(Request{Method: "GET", Path: "/health", Host: "evil.com"}).Answer)
}

func TestCrossOriginWrites(t *testing.T) {
	for _, test := range []struct {
		allowed              []string
		method, path, origin string
		blocked              bool
	}{
		{nil, "POST", api, "http://evil.com", true},
		{nil, "PATCH", "/ajax-api/x", "null", true},
		{nil, "GET", api, "http://evil.com", false},
		{nil, "POST", "/graphql", "http://evil.com", false},
		{nil, "POST", "/api/test", "http://evil.com", false},
		{nil, "POST", api, "", false},
		{nil, "POST", api, "http://localhost:3000", false},
		{nil, "POST", api, "https://127.0.0.1", false},
		{nil, "POST", api, "http://[::1]:5000", false},
		{nil, "POST", api, "http://localhost.evil.com", true},
		{[]string{"https://ui.example"}, "POST", api, "https://ui.example", false},
		{[]string{"https://ui.example"}, "POST", api, "https://ui.example:1", true},
		{[]string{"*"}, "POST", api, "http://evil.com", false},
	} {
		verdict := policy(t, config.Security{CORSAllowedOrigins: test.allowed}).
			Check(Request{Method: test.method, Path: test.path, Host: localhost, Origin: &test.origin})
		require.False(t, verdict.Proxy)
		require.Equal(t, test.blocked, verdict.Answer != nil, "%v", test)

		if test.blocked {
			require.Equal(t, 403, verdict.Answer.Status)
			require.Equal(t, "Cross-origin request blocked", verdict.Answer.Body)
			require.Equal(t, "access-control-allow-credentials: true\naccess-control-expose-headers: *\n"+
				"content-type: text/plain\nvary: Origin", shown(verdict.Answer.Headers))
		}
	}
}

// The headers are those that MLflow 3.17.2 was seen to send.
func TestHeaders(t *testing.T) {
	const plain = "x-content-type-options: nosniff\nx-frame-options: SAMEORIGIN"

	for name, test := range map[string]struct {
		options config.Security
		request Request
		want    string
	}{
		"NoOrigin": {
			request: Request{Path: api, Flask: true},
			want:    "vary: Origin\n" + plain,
		},
		"Localhost": {
			request: Request{Path: api, Origin: new("http://localhost:3000"), Flask: true},
			want: "access-control-allow-credentials: true\naccess-control-allow-origin: http://localhost:3000\n" +
				"access-control-expose-headers: *\nvary: Origin, Origin\n" + plain,
		},
		"LocalhostFastAPI": {
			request: Request{Path: "/health", Origin: new("http://localhost:3000")},
			want: "access-control-allow-credentials: true\naccess-control-allow-origin: http://localhost:3000\n" +
				"access-control-expose-headers: *\nvary: Origin\n" + plain,
		},
		"Stranger": {
			request: Request{Path: api, Origin: new("http://evil.com"), Flask: true},
			want: "access-control-allow-credentials: true\naccess-control-expose-headers: *\nvary: Origin\n" +
				plain,
		},
		"AnyOrigin": {
			options: config.Security{CORSAllowedOrigins: []string{"*"}},
			request: Request{Path: api, Origin: new("http://evil.com"), Flask: true},
			want: "access-control-allow-origin: *\naccess-control-expose-headers: *\nvary: Origin, Origin\n" +
				plain,
		},
		"AnyOriginNoOrigin": {
			options: config.Security{CORSAllowedOrigins: []string{"*"}},
			request: Request{Path: "/version", Flask: true},
			want:    "access-control-allow-origin: *\nvary: Origin\n" + plain,
		},
		"AnyOriginFastAPI": {
			options: config.Security{CORSAllowedOrigins: []string{"*"}},
			request: Request{Path: "/health", Origin: new("http://evil.com")},
			want:    "access-control-allow-origin: *\naccess-control-expose-headers: *\nvary: Origin\n" + plain,
		},
		"FrameOptions": {
			options: config.Security{XFrameOptions: new("deny")},
			request: Request{Path: api},
			want:    "vary: Origin\nx-content-type-options: nosniff\nx-frame-options: DENY",
		},
		"NoFrameOptions": {
			options: config.Security{XFrameOptions: new("none")},
			request: Request{Path: api},
			want:    "vary: Origin\nx-content-type-options: nosniff",
		},
		"NotebookRenderer": {
			request: Request{Path: "/static-files/lib/notebook-trace-renderer/index.html"},
			want:    "vary: Origin\nx-content-type-options: nosniff",
		},
		"Disabled": {
			options: config.Security{Disabled: true},
			request: Request{Path: api, Origin: new("http://evil.com"), Flask: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.request.Method, test.request.Host = "GET", localhost

			verdict := policy(t, test.options).Check(test.request)
			require.Nil(t, verdict.Answer)
			require.Equal(t, test.want, shown(verdict.Headers))
		})
	}
}

func TestOriginsThatOnlyPythonReads(t *testing.T) {
	for origin, allowed := range map[string][]string{
		"http://LOCALHOST:1": nil,
		"https://UI.example": {"https://ui.example"},
		"https://a.example":  {"https://*.example"},
	} {
		verdict := policy(t, config.Security{CORSAllowedOrigins: allowed}).
			Check(Request{Method: "GET", Path: api, Host: localhost, Origin: &origin, Flask: true})
		require.True(t, verdict.Proxy, origin)
	}
}

func TestPreflight(t *testing.T) {
	const vary = "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers, " +
		"Access-Control-Request-Private-Network"

	for name, test := range map[string]struct {
		allowed        []string
		origin, method string
		headers        *string
		status         int
		body, want     string
	}{
		"OK": {
			nil, "http://localhost:3000", "POST", new("x-a, content-type"), 200, "OK",
			"access-control-allow-credentials: true\naccess-control-allow-headers: x-a, content-type\n" +
				"access-control-allow-methods: GET, POST, PUT, DELETE, OPTIONS, PATCH\n" +
				"access-control-allow-origin: http://localhost:3000\naccess-control-max-age: 600\n" +
				"content-type: text/plain; charset=utf-8\n" + vary,
		},
		"ErrOrigin": {
			nil, "http://evil.com", "POST", nil, 400, "Disallowed CORS origin",
			"access-control-allow-credentials: true\n" +
				"access-control-allow-methods: GET, POST, PUT, DELETE, OPTIONS, PATCH\naccess-control-max-age: 600\n" +
				"content-type: text/plain; charset=utf-8\n" + vary,
		},
		"ErrMethod": {
			nil, "http://localhost:3000", "FOO", nil, 400, "Disallowed CORS method",
			"access-control-allow-credentials: true\n" +
				"access-control-allow-methods: GET, POST, PUT, DELETE, OPTIONS, PATCH\n" +
				"access-control-allow-origin: http://localhost:3000\naccess-control-max-age: 600\n" +
				"content-type: text/plain; charset=utf-8\n" + vary,
		},
		"OKAnyOrigin": {
			[]string{"*"}, "http://evil.com", "POST", nil, 200, "OK",
			"access-control-allow-methods: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, QUERY\n" +
				"access-control-allow-origin: *\naccess-control-max-age: 600\n" +
				"content-type: text/plain; charset=utf-8\n" + vary,
		},
	} {
		t.Run(name, func(t *testing.T) {
			answer := policy(t, config.Security{CORSAllowedOrigins: test.allowed}).Check(Request{
				Method: "OPTIONS", Path: api, Host: localhost, Origin: &test.origin,
				RequestMethod: &test.method, RequestHeaders: test.headers, Flask: true,
			}).Answer
			require.NotNil(t, answer)
			require.Equal(t, test.status, answer.Status)
			require.Equal(t, test.body, answer.Body)
			require.Equal(t, test.want, shown(answer.Headers))
		})
	}
}
