package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/server/proxy"
	"github.com/mlflow/mlflow-go/pkg/server/supervisor"
)

const (
	jsonType = "application/json"
	// statusClientClosedRequest is nginx's word for the access log.
	statusClientClosedRequest = 499
)

var errInternal = contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "Internal server error")

// writeError answers with MLflow's JSON of an error and logs what is our fault.
func (s *Server) writeError(request *fasthttp.RequestCtx, err error) {
	s.writeStatus(request, codec.HTTPStatus(contract.AsError(err).Code), err)
}

// writeStatus is writeError with a status that MLflow has no code for.
func (s *Server) writeStatus(request *fasthttp.RequestCtx, status int, err error) {
	known := contract.AsError(err)

	if status >= http.StatusInternalServerError {
		s.logger.Error("a request failed",
			"method", string(request.Method()), "path", string(request.Path()),
			"status", status, "error", err.Error(), "cause", known.Cause)
	}

	closing := request.Response.ConnectionClose()

	request.Response.ResetBody()
	request.Response.SetStatusCode(status)
	request.Response.Header.SetContentType(jsonType)
	request.Response.SetBody(codec.EncodeError(nil, known))

	if closing {
		request.SetConnectionClose()
	}
}

// failProxied answers a request that couldn't be passed on.
func (s *Server) failProxied(request *fasthttp.RequestCtx, err error) {
	switch {
	case errors.Is(err, context.Canceled):
		// The client has left: nobody reads this, and it is no fault of ours to log.
		request.SetStatusCode(statusClientClosedRequest)
		request.SetConnectionClose()
	case errors.Is(err, supervisor.ErrNotReady):
		s.writeError(request, &contract.Error{
			Code: protos.ErrorCode_TEMPORARILY_UNAVAILABLE, Message: err.Error(),
		})
	case errors.Is(err, proxy.ErrUnreadable):
		s.writeStatus(request, http.StatusBadRequest, unreadable(err))
	default:
		s.writeStatus(request, http.StatusBadGateway, &contract.Error{
			Code: protos.ErrorCode_INTERNAL_ERROR, Message: proxy.ErrUpstream.Error(), Cause: err,
		})
	}
}

func unreadable(err error) error {
	return &contract.Error{
		Code: protos.ErrorCode_BAD_REQUEST, Message: "The request could not be read.", Cause: err,
	}
}

func tooLarge(limit int64) error {
	return contract.InvalidParameter("The request's body is larger than the server's limit of %d bytes. "+
		"Send less at once, or start the server with a larger max_body in --go-opts.", limit)
}

func unavailable(err error) error {
	return &contract.Error{Code: protos.ErrorCode_TEMPORARILY_UNAVAILABLE, Message: err.Error() + "."}
}

func notNative(request *fasthttp.RequestCtx) error {
	return contract.Errorf(protos.ErrorCode_NOT_IMPLEMENTED, "%s", fmt.Sprintf(
		"%s %s is answered by MLflow's Python server, which this server runs without (fallback=off in --go-opts).",
		request.Method(), request.Path()))
}
