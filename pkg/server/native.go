package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
	"google.golang.org/protobuf/proto"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/server/proxy"
	"github.com/mlflow/mlflow-go/pkg/server/security"
	"github.com/mlflow/mlflow-go/pkg/validation"
)

var errTooLarge = errors.New("the body is too large")

// bindMethods binds every native method to its addresses.
func (s *Server) bindMethods(app *fiber.App) {
	for _, method := range contract.Methods {
		for _, at := range methodPaths(method.Endpoints) {
			pattern, parameters := pathPattern(s.config.StaticPrefix + at.path)
			route := Route{Service: method.Service, Name: method.Name, Path: at.path}

			s.bind(app, at.verb, pattern, route, true, func(c fiber.Ctx) error {
				path, ok := readParameters(c, parameters)
				if !ok {
					return s.passOn(c)
				}

				return s.call(c, method, path)
			})
		}
	}
}

var parameterPattern = regexp.MustCompile(`\{([^}]*)\}`)

// pathPattern makes a pattern of fiber's router from a path with parameters in braces, and lists
// these.
func pathPattern(path string) (pattern string, parameters []string) {
	literals := parameterPattern.Split(path, -1)
	parts := []string{escapePattern(literals[0])} //nolint:prealloc // at start-up

	for i, match := range parameterPattern.FindAllStringSubmatch(path, -1) {
		parameters = append(parameters, match[1])
		parts = append(parts, ":", match[1], escapePattern(literals[i+1]))
	}

	return strings.Join(parts, ""), parameters
}

// parameter is a value in the path of a request.
type parameter struct{ name, value string }

// readParameters decodes the parameters of a request's path; not ok are those that Flask wouldn't
// find there.
func readParameters(c fiber.Ctx, names []string) (path []parameter, ok bool) {
	for _, name := range names {
		value, ok := codec.PathParameter(c.Params(name))
		if !ok {
			return nil, false
		}

		path = append(path, parameter{name, value})
	}

	return path, true
}

// bind is the only way for a native route into the server. The gate is asked first: for the route
// now, once, and for each request whether it is one that only Python may answer; MLflow's security
// middleware is next.
func (s *Server) bind(
	app *fiber.App, verb, pattern string, route Route, flask bool, handle fiber.Handler,
) {
	if _, withheld := s.gate.Withheld(route); withheld {
		return // the catch-all passes it on
	}

	guarded := func(c fiber.Ctx) error {
		request := c.RequestCtx()
		if strings.TrimSpace(string(request.Request.Header.Peek(workspaceHeader))) != "" {
			return s.passOn(c)
		}

		verdict := s.policy.Check(describe(request, flask))

		switch {
		case verdict.Proxy:
			return s.passOn(c)
		case verdict.Answer != nil:
			proxy.CloseUnlessRead(request)
			request.SetStatusCode(verdict.Answer.Status)
			setHeaders(&request.Response.Header, verdict.Answer.Headers)
			request.SetBodyString(verdict.Answer.Body)

			return nil
		}

		var err error

		s.recovering(request, func() { err = handle(c) })

		if len(request.Response.Header.Peek("Via")) == 0 { // Python has set its own
			setHeaders(&request.Response.Header, verdict.Headers)
		}

		return err
	}

	app.Add([]string{verb}, pattern, guarded)

	if slices.Contains([]string{fiber.MethodHead}, verb) {
		return
	}

	// A preflight is the middleware's to answer; any other OPTIONS is Flask's.
	app.Options(pattern, func(c fiber.Ctx) error {
		header := &c.RequestCtx().Request.Header
		if len(header.Peek("Origin")) == 0 || len(header.Peek("Access-Control-Request-Method")) == 0 ||
			s.config.Security.Disabled {
			return s.passOn(c)
		}

		return guarded(c)
	})
}

func setHeaders(to *fasthttp.ResponseHeader, headers [][2]string) {
	for _, header := range headers {
		to.Set(header[0], header[1])
	}
}

func describe(request *fasthttp.RequestCtx, flask bool) security.Request {
	header := &request.Request.Header
	optional := func(name string) *string {
		values := header.PeekAll(name)
		if len(values) == 0 {
			return nil
		}

		value := string(values[0])

		return &value
	}

	return security.Request{
		Method:                string(request.Method()),
		Path:                  string(request.URI().PathOriginal()),
		Host:                  string(header.Host()),
		Origin:                optional("Origin"),
		RequestMethod:         optional("Access-Control-Request-Method"),
		RequestHeaders:        optional("Access-Control-Request-Headers"),
		RequestPrivateNetwork: optional("Access-Control-Request-Private-Network"),
		Flask:                 flask,
	}
}

// bodies are buffers for requests' bodies; a message owns its memory, so they can be used again.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// keptBody is the largest buffer, in bytes, that is kept for another request.
const keptBody = 1 << 20

// answers are answerTexts. An answer of 100 KiB that grew in a new buffer took three times its size, and
// fasthttp would keep one for each connection.
var answers = sync.Pool{New: func() any { return new(answerText) }}

// answerText is the body of one or more responses, in a buffer that is used again once all were sent.
type answerText struct {
	buffer []byte
	others atomic.Int32 // who use it beside the one who asks
}

// shareWith lets others send the text, too.
func (a *answerText) shareWith(others int) { a.others.Store(int32(others)) } //nolint:gosec // clients are fewer

// release gives a text back that was sent or can't be.
func (a *answerText) release() {
	if a.others.Add(-1) < 0 && cap(a.buffer) <= keptBody {
		a.others.Store(0)
		answers.Put(a)
	}
}

// sending is a body stream that sends a text.
type sending struct {
	bytes.Reader

	text *answerText
}

func (a *answerText) send() *sending {
	stream := &sending{text: a}
	stream.Reset(a.buffer)

	return stream
}

// Close is called when the body was sent or can't be.
func (s *sending) Close() error {
	if s.text != nil {
		s.Reset(nil)
		s.text.release()
		s.text = nil
	}

	return nil
}

// access is what a request needs of the server's memory and of the store.
type access int

const (
	writing access = iota
	// reading requests leave everything as it is.
	reading
	// asking requests read, and their answer depends on their question alone (appendQuestion).
	asking
)

// call answers a native method: decode, validate, call, encode.
func (s *Server) call(c fiber.Ctx, method contract.Method, path []parameter) error {
	kind := writing
	if reads(method.Name) {
		kind = asking
	}

	return s.serve(c, method.Service, kind, func(
		ctx context.Context, service any, body, buffer []byte,
	) ([]byte, error) {
		return answerMethod(ctx, c.RequestCtx(), method, path, service, body, buffer)
	})
}

// serve has what implements a service answer a request, given its body, with JSON, for which there is an
// empty buffer.
func (s *Server) serve(
	c fiber.Ctx, name string, kind access,
	answer func(ctx context.Context, service any, body, buffer []byte) ([]byte, error),
) error {
	request := c.RequestCtx()

	service, found := s.find(request, name)
	if !found {
		return nil
	}

	var err error

	buffer, _ := bodies.Get().(*[]byte)

	defer func() {
		if cap(*buffer) <= keptBody {
			bodies.Put(buffer)
		}
	}()

	if *buffer, err = readBody(request, (*buffer)[:0], s.config.Go.MaxBody); err != nil {
		proxy.CloseUnlessRead(request)

		if errors.Is(err, errTooLarge) {
			s.writeStatus(request, http.StatusRequestEntityTooLarge, tooLarge(s.config.Go.MaxBody))
		} else {
			s.writeStatus(request, http.StatusBadRequest, unreadable(err))
		}

		return nil
	}

	body := *buffer
	work := func() (*answerText, error) {
		return s.answerText(kind, body, func(ctx context.Context, buffer []byte) ([]byte, error) {
			return answer(ctx, service, body, buffer)
		})
	}

	var text *answerText

	if kind == asking && len(body) < longestQuestion {
		*buffer = appendQuestion(body, request)
		body = (*buffer)[:len(body)]
		text, err = s.sharing.answer(*buffer, work)
	} else {
		text, err = work()
	}

	switch {
	case errors.Is(err, contract.ErrLeftToPython):
		request.Request.SetBodyStream(bytes.NewReader(body), len(body))

		return s.passOn(c)
	case err != nil:
		s.writeError(request, err)

		return nil
	}

	request.Response.Header.SetContentType(jsonType)
	request.Response.SetBodyStream(text.send(), len(text.buffer))

	return nil
}

// find gives what implements a service. Where nothing does, the request is answered or passed on.
func (s *Server) find(request *fasthttp.RequestCtx, name string) (service any, found bool) {
	services, err := s.backend.wait(s.running, s.config.Go.FallbackTimeout)
	if err != nil {
		proxy.CloseUnlessRead(request)
		s.writeError(request, unavailable(err))

		return nil, false
	}

	if service, found = services[name]; !found {
		s.forward(request)
	}

	return service, found
}

// answerText has a request answered when its turn has come.
func (s *Server) answerText(
	kind access, body []byte, answer func(ctx context.Context, buffer []byte) ([]byte, error),
) (*answerText, error) {
	ctx := contract.WithCaller(s.running, contract.Caller{})
	text, _ := answers.Get().(*answerText)

	err := s.admission.admit(ctx, kind, body, func() (err error) {
		text.buffer, err = answer(ctx, text.buffer[:0])

		return err
	})
	if err != nil {
		text.release()

		return nil, err
	}

	return text, nil
}

func answerMethod(
	ctx context.Context, request *fasthttp.RequestCtx, method contract.Method, path []parameter, service any,
	body, buffer []byte,
) ([]byte, error) {
	message := method.NewRequest()

	if method.Path != contract.PathOnly {
		if err := readMessage(request, method, message, body); err != nil {
			return nil, err
		}
	}

	if method.Path != contract.PathIgnored {
		for _, parameter := range path {
			codec.SetParameter(message, parameter.name, parameter.value)
		}
	}

	if query := request.URI().QueryString(); request.IsGet() && len(query) > 0 {
		ctx = contract.WithQuery(ctx, string(query))
	}

	response, err := method.Call(ctx, service, message)
	if err != nil {
		return nil, err
	}

	return codec.Encode(buffer, response), nil
}

// readMessage decodes and validates a request's query or body.
func readMessage(request *fasthttp.RequestCtx, method contract.Method, message proto.Message, body []byte) error {
	var (
		decoded *codec.Request
		err     error
	)

	if query := request.URI().QueryString(); request.IsGet() && codec.HasArguments(query) {
		decoded, err = codec.DecodeQuery(query, message)
	} else if err = checkContentType(request); err == nil {
		decoded, err = codec.DecodeBody(body, message)
	}

	if err != nil {
		return err
	}

	return validation.Check(method, decoded)
}

// checkContentType mirrors mlflow.server.validation._validate_content_type.
func checkContentType(request *fasthttp.RequestCtx) error {
	if !request.IsPost() && !request.IsPut() {
		return nil
	}

	header := &request.Request.Header

	sent := header.ContentType()
	if len(sent) == 0 && !isSent(header, fiber.HeaderContentType) {
		return contract.InvalidParameter("Bad Request. Content-Type header is missing.")
	}

	if kind, _, _ := strings.Cut(string(sent), ";"); kind != jsonType {
		return contract.InvalidParameter("Bad Request. Content-Type must be one of ['%s'].", jsonType)
	}

	return nil
}

// isSent tells whether a request has a header, be it empty: fasthttp takes some that are empty for
// missing.
func isSent(header *fasthttp.RequestHeader, name string) bool {
	for line := range bytes.Lines(header.RawHeaders()) {
		if sent, _, found := bytes.Cut(line, []byte(":")); found && strings.EqualFold(string(sent), name) {
			return true
		}
	}

	return false
}

// readBody appends a request's body, of at most limit bytes, to a buffer.
func readBody(request *fasthttp.RequestCtx, buffer []byte, limit int64) ([]byte, error) {
	body := proxy.Body(request)
	if body == nil {
		return buffer, nil
	}

	length := int64(request.Request.Header.ContentLength())
	if length > limit {
		return buffer, errTooLarge
	}

	for { // the length is the client's word: what is read, not what is promised, takes memory
		buffer = slices.Grow(buffer, int(max(leastRead, min(length-int64(len(buffer)), mostRead))))

		n, err := body.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]

		switch {
		case int64(len(buffer)) > limit:
			return buffer, errTooLarge
		case errors.Is(err, io.EOF):
			return buffer, nil
		case err != nil:
			return buffer, fmt.Errorf("reading the body: %w", err)
		}
	}
}

// How much space is made for one read of a body, in bytes.
const (
	leastRead = 4 << 10
	mostRead  = 1 << 20
)
