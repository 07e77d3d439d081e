package server

import (
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/server/ui"
)

const (
	plainText = "text/plain; charset=utf-8"
	html      = "text/html; charset=utf-8"

	healthPath  = "/health"
	versionPath = "/version"

	// The gate's names of routes beside the API.
	uiGate      = "ui"
	healthGate  = "health"
	versionGate = "version"
)

// uiRoute is one of the routes that need no database: the UI and the probes.
type uiRoute struct {
	path, name string
	// gate is the route's name for the gate.
	gate string
	// fastapi says that stock answers a GET outside of Flask.
	fastapi bool
	// serve answers; false leaves the request to Python.
	serve func(s *Server, request *fasthttp.RequestCtx, path string) bool
}

var uiRoutes = []uiRoute{
	{path: healthPath, name: healthGate, gate: healthGate, fastapi: true, serve: (*Server).health},
	{path: versionPath, name: versionGate, gate: versionGate, serve: (*Server).version},
	{path: "/", name: "serve", gate: uiGate, serve: (*Server).index},
	{path: "/static-files/<path:path>", name: "serve_static_file", gate: uiGate, serve: (*Server).static},
}

// absent are addresses that the UI asks at every start and that MLflow has only in its authentication
// application, behind which nothing is native.
var absent = []string{"/ajax-api/2.0/mlflow/users/current"}

func (s *Server) bindUI(app *fiber.App) {
	for _, path := range absent {
		s.bind(app, fiber.MethodGet, escapePattern(s.config.StaticPrefix+path), Route{Name: uiGate, Path: path}, true,
			func(c fiber.Ctx) error {
				ui.NotFound(&c.RequestCtx().Response)

				return nil
			})
	}

	for _, route := range uiRoutes {
		path, wildcard := strings.CutSuffix(route.path, "<path:path>")
		pattern := escapePattern(s.config.StaticPrefix + path)

		if wildcard {
			pattern += "*"
		}

		gated := Route{Name: route.gate, Path: route.path}

		for _, verb := range []string{fiber.MethodGet, fiber.MethodHead} {
			flask := !route.fastapi || verb == fiber.MethodHead

			s.bind(app, verb, pattern, gated, flask, func(c fiber.Ctx) error {
				if !route.serve(s, c.RequestCtx(), c.Params("*")) {
					return s.passOn(c)
				}

				return nil
			})
		}
	}
}

func (*Server) health(request *fasthttp.RequestCtx, _ string) bool {
	request.SetContentType(plainText)

	if request.IsHead() {
		request.SetContentType(html) // stock answers a HEAD with Flask
	}

	request.SetBodyString("OK")

	return true
}

func (s *Server) version(request *fasthttp.RequestCtx, _ string) bool {
	request.SetContentType(html)
	request.SetBodyString(s.config.MLflowVersion)

	return true
}

func (s *Server) index(request *fasthttp.RequestCtx, _ string) bool {
	return ui.Serve(request, s.config.StaticDir, "index.html", ui.Revalidate)
}

func (s *Server) static(request *fasthttp.RequestCtx, path string) bool {
	return ui.Serve(request, s.config.StaticDir, path, ui.Cache)
}

// escapePattern makes a literal path a pattern of fiber's router.
func escapePattern(path string) string {
	return strings.NewReplacer(
		`\`, `\\`, ":", `\:`, "*", `\*`, "+", `\+`, "?", `\?`, "(", `\(`, ")", `\)`,
	).Replace(path)
}
