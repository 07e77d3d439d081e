package artifacts

import (
	"context"
	"os"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

// Owners know where the artifacts of runs and logged models are.
type Owners interface {
	GetRun(ctx context.Context, request *protos.GetRun) (*protos.GetRun_Response, error)
	GetLoggedModel(ctx context.Context, request *protos.GetLoggedModel) (*protos.GetLoggedModel_Response, error)
}

// Versions know where those of model versions are.
type Versions interface {
	GetModelVersionDownloadUri(
		ctx context.Context, request *protos.GetModelVersionDownloadUri,
	) (*protos.GetModelVersionDownloadUri_Response, error)
}

// Options are what a Service rests on.
type Options struct {
	Owners Owners
	// Versions are nil where Python answers for the model registry.
	Versions Versions
	// Destination is where a server keeps the artifacts that it serves; "" where it serves none.
	Destination string
}

// Service reads artifacts. Every method may give contract.ErrLeftToPython.
type Service struct {
	owners   Owners
	versions Versions
	served   string // the directory; "" where there is none
}

// New makes a service.
func New(options Options) *Service {
	return &Service{
		owners: options.Owners, versions: options.Versions, served: servedDirectory(options.Destination),
	}
}

// File is an artifact, open for reading.
type File struct {
	*os.File

	Info os.FileInfo
	// Path is absolute, as MLflow makes it.
	Path string
	// ContentType is MLflow's guess by the file's name.
	ContentType string
}

// ListArtifacts lists a directory of a run's artifacts (handlers.list_artifacts_impl). Error:
// RESOURCE_DOES_NOT_EXIST for the run.
func (s *Service) ListArtifacts(
	ctx context.Context, request *protos.ListArtifacts,
) (*protos.ListArtifacts_Response, error) {
	root, listed, err := s.list(request.GetPath(), func() (string, error) {
		return s.locationOfRun(ctx, &protos.GetRun{RunId: request.RunId, RunUuid: request.RunUuid})
	})
	if err != nil {
		return nil, err
	}

	return &protos.ListArtifacts_Response{RootUri: new(root), Files: listed}, nil
}

// ListLoggedModelArtifacts lists a directory of a logged model's artifacts
// (handlers._list_logged_model_artifacts_impl). Error: RESOURCE_DOES_NOT_EXIST for the model.
func (s *Service) ListLoggedModelArtifacts(
	ctx context.Context, request *protos.ListLoggedModelArtifacts,
) (*protos.ListLoggedModelArtifacts_Response, error) {
	root, listed, err := s.list(request.GetArtifactDirectoryPath(), func() (string, error) {
		return s.locationOfModel(ctx, request.GetModelId())
	})
	if err != nil {
		return nil, err
	}

	return &protos.ListLoggedModelArtifacts_Response{RootUri: new(root), Files: listed}, nil
}

// OpenOfRun opens a run's artifact (handlers.get_artifact_handler). Errors: RESOURCE_DOES_NOT_EXIST for the run
// or the file, INVALID_PARAMETER_VALUE for a directory.
func (s *Service) OpenOfRun(ctx context.Context, runID, path string) (*File, error) {
	return s.open(path, func() (string, error) {
		return s.locationOfRun(ctx, &protos.GetRun{RunId: new(runID)})
	})
}

// OpenOfModel opens a logged model's artifact (handlers.get_logged_model_artifact_handler). Errors as for runs.
func (s *Service) OpenOfModel(ctx context.Context, modelID, path string) (*File, error) {
	return s.open(path, func() (string, error) { return s.locationOfModel(ctx, modelID) })
}

// OpenOfVersion opens a model version's artifact (handlers.get_model_version_artifact_handler). Errors as for
// runs, and INVALID_PARAMETER_VALUE for a name or version that is none.
func (s *Service) OpenOfVersion(ctx context.Context, name, version, path string) (*File, error) {
	if s.versions == nil {
		return nil, contract.ErrLeftToPython
	}

	return s.open(path, func() (string, error) {
		found, err := s.versions.GetModelVersionDownloadUri(ctx, &protos.GetModelVersionDownloadUri{
			Name: new(name), Version: new(version),
		})

		return found.GetArtifactUri(), err
	})
}

func (s *Service) locationOfRun(ctx context.Context, request *protos.GetRun) (string, error) {
	found, err := s.owners.GetRun(ctx, request)

	return found.GetRun().GetInfo().GetArtifactUri(), err
}

func (s *Service) locationOfModel(ctx context.Context, id string) (string, error) {
	found, err := s.owners.GetLoggedModel(ctx, &protos.GetLoggedModel{ModelId: new(id)})

	return found.GetModel().GetInfo().GetArtifactUri(), err
}

// list lists a directory in a location, and says which location.
func (s *Service) list(
	path string, location func() (string, error),
) (root string, files []*protos.FileInfo, err error) {
	root, found, err := s.find(path, location)
	if err != nil {
		return "", nil, err
	}

	files, err = found.list()

	return root, files, err
}

// open opens a file in a location.
func (s *Service) open(path string, location func() (string, error)) (*File, error) {
	if path == "" {
		return nil, contract.ErrLeftToPython
	}

	_, found, err := s.find(path, location)
	if err != nil {
		return nil, err
	}

	return found.open()
}

// find finds a path in a location, for which it asks once the path is known to be plain: a mistake in it comes before
// one in the owner's ID.
func (s *Service) find(path string, location func() (string, error)) (root string, found place, err error) {
	if !isPlain(path) {
		return "", found, contract.ErrLeftToPython
	}

	if root, err = location(); err != nil {
		return "", found, err
	}

	found, err = s.locate(root, path)

	return root, found, err
}
