// Package security is MLflow's security middleware for requests that are answered natively: the
// Host allow-list against DNS rebinding, the refusal of cross-origin writes, CORS headers and the
// headers that protect the UI. It mirrors mlflow.server.fastapi_security, together with what
// mlflow.server.security adds for routes that stock MLflow answers with Flask.
package security

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/config"
)

const (
	invalidHost = "Invalid Host header - possible DNS rebinding attack detected"
	blocked     = "Cross-origin request blocked"
	localhost   = "localhost"

	// rendererPath may be shown in notebooks' frames (TRACE_RENDERER_ASSET_PATH). MLflow compares
	// it without the static prefix.
	rendererPath = "/static-files/lib/notebook-trace-renderer"

	preflightVary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, " +
		"Access-Control-Request-Private-Network"
	preflightMaxAge = "600"
)

var (
	localhostHosts   = []string{localhost, "127.0.0.1", "[::1]", "0.0.0.0"}
	privateHosts     = []string{"192.168.*", "10.*", "172.16.*", "172.17.*", "172.18.*", "172.19.*", "172.20.*", "172.21.*", "172.22.*", "172.23.*", "172.24.*", "172.25.*", "172.26.*", "172.27.*", "172.28.*", "172.29.*", "172.30.*", "172.31.*", "fc00:*", "fd00:*"} //nolint:lll // one list
	localhostOrigins = []string{localhost, "127.0.0.1", "::1"}
	localhostOrigin  = regexp.MustCompile(`^http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?$`)

	stateChanging = []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch}
	// allowedMethods of a preflight: of the operator's origins, and of any origin.
	allowedMethods         = strings.Split("GET POST PUT DELETE OPTIONS PATCH", " ")
	wildcardAllowedMethods = strings.Split("DELETE GET HEAD OPTIONS PATCH POST PUT QUERY", " ")
)

// Request is what the middleware looks at. Path is the raw path, static prefix included.
type Request struct {
	Method, Path, Host string
	// Origin and the preflight's headers are nil when they weren't sent.
	Origin, RequestMethod, RequestHeaders, RequestPrivateNetwork *string
	// Flask says that stock answers the route with Flask, whose own CORS layer leaves its mark.
	Flask bool
}

// Answer is a response that ends a request early.
type Answer struct {
	Status  int
	Headers [][2]string
	Body    string
}

// Verdict says how a request goes on.
type Verdict struct {
	// Answer, when not nil, is sent instead of asking a handler.
	Answer *Answer
	// Headers are set on the handler's response.
	Headers [][2]string
	// Proxy asks to leave the request to Python: its patterns of origins are Python's regular
	// expressions, which aren't read here.
	Proxy bool
}

// Policy decides on requests; it is safe for concurrent use.
type Policy struct {
	disabled       bool
	prefix         string
	anyHost        bool
	hosts          []matcher
	anyOrigin      bool
	origins        []string
	originPatterns bool
	blockable      []matcher
	frameOptions   string
}

// New reads the operator's options.
func New(options config.Security, staticPrefix string) (*Policy, error) {
	policy := &Policy{
		disabled:     options.Disabled,
		prefix:       staticPrefix,
		origins:      trimmed(options.CORSAllowedOrigins),
		frameOptions: "SAMEORIGIN",
	}

	if options.XFrameOptions != nil {
		policy.frameOptions = strings.ToUpper(*options.XFrameOptions)
	}

	if policy.frameOptions == "NONE" {
		policy.frameOptions = ""
	}

	hosts := trimmed(options.AllowedHosts)
	if len(hosts) == 0 {
		hosts = DefaultHosts()
	}

	var err error

	policy.anyHost = slices.Contains(hosts, "*")
	if policy.hosts, err = compile(hosts); err != nil {
		return nil, fmt.Errorf("--allowed-hosts: %w", err)
	}

	policy.anyOrigin = slices.Contains(policy.origins, "*")
	if policy.blockable, err = compile(policy.origins); err != nil {
		return nil, fmt.Errorf("--cors-allowed-origins: %w", err)
	}

	policy.originPatterns = slices.ContainsFunc(policy.origins, func(origin string) bool {
		return strings.ContainsAny(origin, `*\]?$^[()`)
	})

	return policy, nil
}

// DefaultHosts are the hosts allowed when the operator names none: this machine and private
// networks (security_utils.get_default_allowed_hosts).
func DefaultHosts() []string {
	hosts := slices.Clone(localhostHosts)
	for _, host := range localhostHosts {
		hosts = append(hosts, strings.Replace(host, "[", "[[]", 1)+":*")
	}

	return append(hosts, privateHosts...)
}

func trimmed(texts []string) []string {
	result := make([]string, 0, len(texts))

	for _, text := range texts {
		result = append(result, strings.TrimSpace(text))
	}

	return result
}

// Check judges a request in the order of MLflow's middleware.
func (p *Policy) Check(request Request) Verdict {
	if p.disabled {
		return Verdict{}
	}

	if !p.anyHost && !p.isHealth(request.Path) && !p.allowedHost(request.Host) {
		return Verdict{Answer: refusal(invalidHost)}
	}

	if request.Origin != nil && request.Method == http.MethodOptions && request.RequestMethod != nil {
		return Verdict{Answer: p.preflight(request)}
	}

	if request.Origin != nil && request.Flask &&
		(request.RequestPrivateNetwork != nil || p.onlyFlaskDecides(*request.Origin)) {
		return Verdict{Proxy: true}
	}

	if p.blocks(request) {
		answer := refusal(blocked)
		answer.Headers = append(answer.Headers, p.corsHeaders(request, false)...)

		return Verdict{Answer: answer}
	}

	headers := [][2]string{{"X-Content-Type-Options", "nosniff"}}
	if p.frameOptions != "" && !strings.HasPrefix(request.Path, rendererPath) {
		headers = append(headers, [2]string{"X-Frame-Options", p.frameOptions})
	}

	return Verdict{Headers: append(headers, p.corsHeaders(request, request.Flask)...)}
}

func refusal(text string) *Answer {
	return &Answer{
		Status:  http.StatusForbidden,
		Headers: [][2]string{{"Content-Type", "text/plain"}},
		Body:    text,
	}
}

func (p *Policy) isHealth(path string) bool {
	return path == p.prefix+"/health" || path == p.prefix+"/version"
}

// isAPI mirrors security_utils.is_api_endpoint; the artifact routes ignore the static prefix.
func (p *Policy) isAPI(path string) bool {
	for _, start := range []string{
		p.prefix + "/api/",
		p.prefix + "/ajax-api/",
		"/api/2.0/mlflow-artifacts/artifacts",
		"/ajax-api/2.0/mlflow-artifacts/artifacts",
	} {
		if strings.HasPrefix(path, start) {
			return path != "/test" && path != "/api/test"
		}
	}

	return false
}

func (p *Policy) allowedHost(host string) bool {
	return host != "" && slices.ContainsFunc(p.hosts, func(m matcher) bool { return m.matches(host) })
}

// allowedOrigin mirrors starlette's CORSMiddleware.is_allowed_origin.
func (p *Policy) allowedOrigin(origin string) bool {
	return p.anyOrigin || localhostOrigin.MatchString(origin) || slices.Contains(p.origins, origin)
}

// onlyFlaskDecides tells of origins that flask-cors may allow where starlette doesn't: it ignores
// case and reads some of the operator's origins as regular expressions.
func (p *Policy) onlyFlaskDecides(origin string) bool {
	if p.anyOrigin || p.allowedOrigin(origin) {
		return false
	}

	lower := strings.ToLower(origin)

	return p.originPatterns || localhostOrigin.MatchString(lower) ||
		slices.ContainsFunc(p.origins, func(allowed string) bool { return strings.EqualFold(allowed, origin) })
}

// blocks mirrors security_utils.should_block_cors_request.
func (p *Policy) blocks(request Request) bool {
	if p.anyOrigin || !p.isAPI(request.Path) || request.Origin == nil || *request.Origin == "" ||
		!slices.Contains(stateChanging, request.Method) {
		return false
	}

	if parsed, err := url.Parse(*request.Origin); err == nil &&
		slices.Contains(localhostOrigins, strings.ToLower(parsed.Hostname())) {
		return false
	}

	return !slices.ContainsFunc(p.blockable, func(m matcher) bool { return m.matches(*request.Origin) })
}

// corsHeaders are what starlette's CORSMiddleware adds to an ordinary response. On Flask's routes
// flask-cors came first: it has put its own "Origin" into Vary, and a wildcard everywhere.
func (p *Policy) corsHeaders(request Request, flask bool) [][2]string {
	headers := [][2]string{{"Vary", "Origin"}}

	if p.anyOrigin && (flask || request.Origin != nil) {
		headers = append(headers, [2]string{"Access-Control-Allow-Origin", "*"})
	}

	if request.Origin == nil {
		return headers
	}

	headers = append(headers, [2]string{"Access-Control-Expose-Headers", "*"})

	if !p.anyOrigin {
		headers = append(headers, [2]string{"Access-Control-Allow-Credentials", "true"})
	}

	if !p.allowedOrigin(*request.Origin) {
		return headers
	}

	if !p.anyOrigin {
		headers = append(headers, [2]string{"Access-Control-Allow-Origin", *request.Origin})
	}

	if flask {
		headers[0][1] = "Origin, Origin"
	}

	return headers
}

// preflight mirrors starlette's CORSMiddleware.preflight_response.
func (p *Policy) preflight(request Request) *Answer {
	answer := &Answer{Status: http.StatusOK, Body: "OK", Headers: [][2]string{
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Vary", preflightVary},
		{"Access-Control-Max-Age", preflightMaxAge},
	}}
	add := func(name, value string) { answer.Headers = append(answer.Headers, [2]string{name, value}) }
	methods := allowedMethods

	var failures []string

	if p.anyOrigin {
		methods = wildcardAllowedMethods

		add("Access-Control-Allow-Origin", "*")
	} else {
		add("Access-Control-Allow-Credentials", "true")

		if p.allowedOrigin(*request.Origin) {
			add("Access-Control-Allow-Origin", *request.Origin)
		} else {
			failures = append(failures, "origin")
		}
	}

	add("Access-Control-Allow-Methods", strings.Join(methods, ", "))

	if !slices.Contains(methods, *request.RequestMethod) {
		failures = append(failures, "method")
	}

	if request.RequestHeaders != nil {
		add("Access-Control-Allow-Headers", *request.RequestHeaders)
	}

	if request.RequestPrivateNetwork != nil {
		failures = append(failures, "private-network")
	}

	if len(failures) > 0 {
		answer.Status, answer.Body = http.StatusBadRequest, "Disallowed CORS "+strings.Join(failures, ", ")
	}

	return answer
}
