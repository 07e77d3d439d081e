package server

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/artifacts"
	"github.com/mlflow/mlflow-go/pkg/config"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// located gives one location to all that is asked for.
type located struct {
	service

	location string
}

func (l located) GetRun(context.Context, *protos.GetRun) (*protos.GetRun_Response, error) {
	return &protos.GetRun_Response{Run: &protos.Run{Info: &protos.RunInfo{ArtifactUri: new(l.location)}}}, nil
}

func (l located) GetModelVersionDownloadUri( //nolint:revive // the protobuf's name
	_ context.Context, request *protos.GetModelVersionDownloadUri,
) (*protos.GetModelVersionDownloadUri_Response, error) {
	if request.GetVersion() != "1" {
		return nil, contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "no version %s", request.GetVersion())
	}

	return &protos.GetModelVersionDownloadUri_Response{ArtifactUri: new(l.location)}, nil
}

func TestFiles(t *testing.T) {
	directory := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(directory, "MLmodel"), []byte("flavors: {}"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(directory, "model.pkl"), nil, 0o600))

	server, url := start(t, settings(t), noEnvironment)
	from := located{location: directory}
	server.Provide(map[string]any{
		ArtifactsServiceName: artifacts.New(artifacts.Options{Owners: from, Versions: from}),
	})

	version := url + "/model-versions/get-artifact?name=m&version=1&path="

	t.Run("OK", func(t *testing.T) {
		for _, address := range []string{
			version, url + "/get-artifact?run_id=r&path=", url + "/get-artifact?run_id=&run_uuid=r&path=",
		} {
			response, body := ask(t, http.MethodGet, address+"MLmodel", "")
			require.Equal(t, http.StatusOK, response.StatusCode, address)
			require.Equal(t, "flavors: {}", body)
			require.Equal(t, "attachment; filename=MLmodel", response.Header.Get("Content-Disposition"))
			require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
			require.Equal(t, "text/plain", response.Header.Get("Content-Type"))
		}
	})
	t.Run("ErrMissing", func(t *testing.T) {
		response, body := ask(t, http.MethodGet, version+"missing", "")
		require.Equal(t, http.StatusNotFound, response.StatusCode)
		require.Contains(t, body, "No such artifact: 'missing'")
	})
	t.Run("ErrNoVersion", func(t *testing.T) {
		response, body := ask(t, http.MethodGet, url+"/model-versions/get-artifact?name=m&version=2&path=MLmodel", "")
		require.Equal(t, http.StatusNotFound, response.StatusCode)
		require.Contains(t, body, "no version 2")
	})
	t.Run("OKLeftToPython", func(t *testing.T) {
		for _, address := range []string{
			version + "model.pkl", version + "..%2fMLmodel", version, url + "/get-artifact?path=MLmodel",
			url + "/model-versions/get-artifact?name=m&path=MLmodel", url + "/get-artifact?run_id=r",
		} {
			response, _ := ask(t, http.MethodGet, address, "")
			require.Equal(t, 299, response.StatusCode, address)
		}

		response, body := ask(t, http.MethodGet, version+"MLmodel", "a body")
		require.Equal(t, 299, response.StatusCode)
		require.Equal(t, "a body", body)

		response, _ = ask(t, http.MethodHead, version+"MLmodel", "")
		require.Equal(t, 299, response.StatusCode)

		response, _ = ask(t, http.MethodGet, version+"MLmodel", "", "If-Range: x")
		require.Equal(t, 299, response.StatusCode)
	})
	t.Run("ErrNobody", func(t *testing.T) {
		options := settings(t)
		options.Go.Fallback = config.FallbackOff

		alone, url := start(t, options, noEnvironment)
		alone.Provide(map[string]any{})

		response, body := ask(t, http.MethodGet, url+"/get-artifact?run_id=r&path=MLmodel", "")
		require.Equal(t, http.StatusNotImplemented, response.StatusCode)
		require.Contains(t, body, "fallback=off")
	})
}
