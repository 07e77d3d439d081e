package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/server/proxy"
	"github.com/mlflow/mlflow-go/pkg/server/security"
)

const (
	// headerSize bounds a request's line and headers together, in bytes: four cookies of the largest size
	// and room for the rest, and what nginx takes. Each connection keeps a buffer of it; with uvicorn's 64 KiB
	// 256 idle clients took 30 MiB more.
	headerSize = 32 << 10
	// answerSize is how much of an answer is sent by one write, in bytes: a run with some dozens of metrics.
	answerSize = 16 << 10
	// idleTimeout closes a client's connection that asks nothing.
	idleTimeout = 10 * time.Minute
)

// Options are what a server is made of.
type Options struct {
	Config *config.Config
	Gate   *Gate
	// Upstream is MLflow's Python server; nil when there is none (fallback=off).
	Upstream proxy.Upstream
	Logger   *slog.Logger
	// Telemetry is nil where nothing is collected.
	Telemetry *Telemetry
}

// Server answers MLflow's HTTP API.
type Server struct {
	config   *config.Config
	gate     *Gate
	policy   *security.Policy
	proxy    *proxy.Proxy // nil without an upstream
	logger   *slog.Logger
	backend  backend
	fasthttp *fasthttp.Server
	// admission is asked once a request was read.
	admission admission
	sharing   *sharing
	telemetry *Telemetry
	// running ends when the server stops waiting for requests.
	running context.Context //nolint:containedctx // the life of the server, not of a call
	stop    context.CancelFunc
}

// New makes a server. Native routes wait until Provide is called.
func New(options Options) (*Server, error) {
	policy, err := security.New(options.Config.Security, options.Config.StaticPrefix)
	if err != nil {
		return nil, err
	}

	s := &Server{
		config:  options.Config,
		gate:    options.Gate,
		policy:  policy,
		logger:  options.Logger,
		backend: backend{known: make(chan struct{})},

		admission: newAdmission(),
		sharing:   newSharing(),
		telemetry: cmp.Or(options.Telemetry, &Telemetry{}),
	}
	s.running, s.stop = context.WithCancel(context.Background())

	if options.Upstream != nil {
		s.proxy = &proxy.Proxy{Upstream: options.Upstream, Scheme: "http", Fail: s.failProxied}
		if options.Config.TLS.CertFile != "" {
			s.proxy.Scheme = "https"
		}
	}

	app := fiber.New(fiber.Config{
		AppName:                      "mlflow-go",
		StrictRouting:                true,
		CaseSensitive:                true,
		DisableHeadAutoRegister:      true, // a HEAD of the API is Flask's business
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		DisableDefaultContentType:    true,
		BodyLimit:                    math.MaxInt,
		ReadBufferSize:               headerSize,
		WriteBufferSize:              answerSize,
		// Between two answers a connection needs no buffer for them.
		ReduceMemoryUsage: true,
		IdleTimeout:       idleTimeout,
		ErrorHandler:      s.failUnread,
	})

	s.bindMethods(app)
	s.bindPlain(app)
	s.bindFiles(app)
	s.bindUI(app)
	app.Use(s.passOn)

	route := app.Handler()
	methods := app.Config().RequestMethods

	s.fasthttp = app.Server()
	s.fasthttp.CloseOnShutdown = true
	s.fasthttp.Logger = quiet{options.Logger}
	s.fasthttp.ErrorHandler = s.refuse
	s.fasthttp.Handler = func(request *fasthttp.RequestCtx) {
		s.observe(request, func() {
			if slices.Contains(methods, string(request.Method())) {
				route(request)
			} else {
				s.forward(request) // fiber knows no such method, Python may
			}
		})
	}

	return s, nil
}

// Serve answers requests on a listener until Shutdown.
func (s *Server) Serve(listener net.Listener) error {
	return s.fasthttp.Serve(proxy.Listener{Listener: listener})
}

// Shutdown stops listening and waits for running requests until the context ends, when the rest are
// cut off.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.fasthttp.ShutdownWithContext(ctx)

	s.stop()

	if s.proxy != nil {
		s.proxy.Close()
	}

	if err != nil {
		return fmt.Errorf("waiting for running requests: %w", err)
	}

	return nil
}

// observe runs a handler and logs the request.
func (s *Server) observe(request *fasthttp.RequestCtx, handle func()) {
	begun := time.Now()

	s.recovering(request, handle)

	if !s.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}

	s.logger.Debug("request",
		"method", string(request.Method()),
		"path", string(request.Path()),
		"status", request.Response.StatusCode(),
		"by", answerer(&request.Response),
		"peer", request.RemoteIP().String(),
		"duration", time.Since(begun))
}

// recovering runs a handler and turns a panic into an answer.
func (s *Server) recovering(request *fasthttp.RequestCtx, handle func()) {
	defer func() {
		if caught := recover(); caught != nil {
			s.logger.Error("a request panicked",
				"method", string(request.Method()), "path", string(request.Path()),
				"panic", fmt.Sprint(caught), "stack", string(debug.Stack()))
			proxy.CloseUnlessRead(request)
			s.writeError(request, errInternal)
		}
	}()

	handle()
}

func answerer(response *fasthttp.Response) string {
	if len(response.Header.Peek("Via")) > 0 {
		return "python"
	}

	return "go"
}

// passOn leaves a request to Python.
func (s *Server) passOn(c fiber.Ctx) error {
	s.forward(c.RequestCtx())

	return nil
}

func (s *Server) forward(request *fasthttp.RequestCtx) {
	if s.proxy == nil {
		proxy.CloseUnlessRead(request)
		s.writeError(request, notNative(request))

		return
	}

	s.proxy.Serve(request)
}

// refuse answers what isn't a request. Fiber's own way would ask the catch-all first, which passes
// on whatever could be read of it.
func (s *Server) refuse(request *fasthttp.RequestCtx, err error) {
	var (
		tooSmall *fasthttp.ErrSmallBuffer
		network  net.Error
	)

	status := http.StatusBadRequest

	switch {
	case errors.As(err, &tooSmall):
		status = http.StatusRequestHeaderFieldsTooLarge
	case errors.As(err, &network) && network.Timeout():
		status = http.StatusRequestTimeout
	}

	s.writeStatus(request, status, unreadable(err))
}

// failUnread answers a request that never reached a handler.
func (s *Server) failUnread(c fiber.Ctx, err error) error {
	status := http.StatusInternalServerError

	if refused, ok := errors.AsType[*fiber.Error](err); ok {
		status = refused.Code
	}

	s.writeStatus(c.RequestCtx(), status, unreadable(err))

	return nil
}

// quiet sends fasthttp's log of broken connections, which are the clients' doing, to debug.
type quiet struct{ logger *slog.Logger }

func (q quiet) Printf(format string, args ...any) {
	q.logger.Debug("connection", "event", fmt.Sprintf(format, args...))
}
