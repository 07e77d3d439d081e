package server

import (
	"context"
	"errors"
	"net/http"
	"path"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/artifacts"
	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/server/files"
)

// ArtifactsServiceName is how the server knows the *artifacts.Service.
const ArtifactsServiceName = "Artifacts"

// fileRoute is one of MLflow's routes that send an artifact.
type fileRoute struct {
	path, name string
	// file is the argument that says which of the artifacts is wanted.
	file string
	open func(ctx context.Context, from *artifacts.Service, wanted arguments) (*artifacts.File, error)
}

// arguments are those of a request's query, the parameters of its path, and the file that is wanted.
type arguments struct {
	query map[string][]string
	path  []parameter
	file  string
}

// first gives the first value of an argument; "" is none.
func (a arguments) first(name string) string {
	if values := a.query[name]; len(values) > 0 {
		return values[0]
	}

	return ""
}

var fileRoutes = []fileRoute{
	{
		path: "/model-versions/get-artifact", name: "serve_model_version_artifact", file: "path",
		open: func(ctx context.Context, from *artifacts.Service, wanted arguments) (*artifacts.File, error) {
			name, version := wanted.first("name"), wanted.first("version")
			if name == "" || version == "" {
				return nil, contract.ErrLeftToPython
			}

			return from.OpenOfVersion(ctx, name, version, wanted.file)
		},
	},
	{
		path: "/get-artifact", name: "serve_artifacts", file: "path",
		open: func(ctx context.Context, from *artifacts.Service, wanted arguments) (*artifacts.File, error) {
			run := wanted.first("run_id")
			if run == "" {
				run = wanted.first("run_uuid")
			}

			if run == "" {
				return nil, contract.ErrLeftToPython
			}

			return from.OpenOfRun(ctx, run, wanted.file)
		},
	},
	{
		path: "/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files", name: "serve_get_logged_model_artifact",
		file: "artifact_file_path",
		open: func(ctx context.Context, from *artifacts.Service, wanted arguments) (*artifacts.File, error) {
			return from.OpenOfModel(ctx, wanted.path[0].value, wanted.file)
		},
	},
}

func (s *Server) bindFiles(app *fiber.App) {
	for _, route := range fileRoutes {
		pattern, parameters := pathPattern(s.config.StaticPrefix + route.path)
		gated := Route{Service: ArtifactsServiceName, Name: route.name, Path: route.path}

		s.bind(app, fiber.MethodGet, pattern, gated, true, func(c fiber.Ctx) error {
			request := c.RequestCtx()

			path, ok := readParameters(c, parameters)
			if !ok || request.Request.Header.ContentLength() != 0 && request.RequestBodyStream() != nil {
				return s.passOn(c) // nobody sends a body, and nobody would read it here
			}

			s.sendFile(request, route, path)

			return nil
		})
	}
}

// sendFile answers with an artifact (handlers._send_artifact).
func (s *Server) sendFile(request *fasthttp.RequestCtx, route fileRoute, parameters []parameter) {
	service, found := s.find(request, ArtifactsServiceName)
	if !found {
		return
	}

	from, _ := service.(*artifacts.Service)
	wanted := arguments{query: codec.Arguments(string(request.URI().QueryString())), path: parameters}
	wanted.file = wanted.first(route.file)

	var file *artifacts.File

	ctx := contract.WithCaller(s.running, contract.Caller{})
	err := s.admission.admit(ctx, reading, nil, func() (err error) {
		file, err = route.open(ctx, from, wanted)

		return err
	})

	switch {
	case errors.Is(err, contract.ErrLeftToPython):
		s.forward(request)
	case err != nil:
		s.writeError(request, err)
	default:
		s.attach(request, file, path.Base(path.Clean(wanted.file)))
	}
}

// attach sends a file for a browser to save, never to show: it would run in the UI's origin
// (handlers._create_artifact_file_response).
func (s *Server) attach(request *fasthttp.RequestCtx, file *artifacts.File, name string) {
	if !files.Send(request, files.File{
		File: file.File, Info: file.Info, Path: file.Path,
		ContentType: file.ContentType, Disposition: files.Attachment(name),
	}) {
		s.forward(request)

		return
	}

	if request.Response.StatusCode() != http.StatusRequestedRangeNotSatisfiable {
		request.Response.Header.Set("X-Content-Type-Options", "nosniff")
	}
}
