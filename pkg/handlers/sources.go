package handlers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

// origin is where a model version comes from; run and logged model may be empty or missing.
type origin struct {
	source         string
	runID, modelID *string
}

// Names of the parameters that say to whom a source belongs.
const (
	byRun   = "run_id"
	byModel = "model_id"
)

const modelsScheme = "models"

// promptSources are what clients and stores give as a prompt's source (_PROMPT_SOURCE_PLACEHOLDERS).
var promptSources = []string{"dummy-source", "prompt-template"}

// origin judges a request's source: it must not lead clients to files of the server, nor to artifacts
// of others than the run or logged model that the request names. A registered model's version is
// resolved to its number.
func (r *registry) origin(ctx context.Context, request *protos.CreateModelVersion, isPrompt bool) (origin, error) {
	from := origin{request.GetSource(), new(request.GetRunId()), new(request.GetModelId())}

	if isPrompt && !slices.Contains(promptSources, from.source) {
		return from, contract.InvalidParameter("Invalid prompt source: '%s'. Prompt sources must use an MLflow placeholder.",
			from.source)
	}

	if err := r.options.Locations.checkScheme(from.source, "source"); err != nil {
		return from, unreadableSource(from.source, err)
	}

	if isPrompt {
		return from, nil
	}

	from, err := r.lineage(ctx, request, from)
	if err != nil {
		return from, unreadableSource(from.source, err)
	}

	if from.modelID != nil && *from.modelID != "" {
		err = r.checkModelSource(ctx, from.source, *from.modelID)
	} else {
		err = r.checkRunSource(ctx, from.source, deref(from.runID))
	}

	return from, unreadableSource(from.source, err)
}

func deref(text *string) string {
	if text == nil {
		return ""
	}

	return *text
}

// unreadableSource is the error for a source that isn't a URI, where MLflow fails; others stay as
// they are.
func unreadableSource(source string, err error) error {
	if errors.Is(err, uri.ErrMalformed) {
		return contract.InvalidParameter("Invalid model version source: '%s'.", source)
	}

	return err
}

// lineage follows a source that is a registered model's version to it: unless the request names a
// run or logged model, which then must be that version's, they are taken over
// (_resolve_registered_model_source_lineage).
func (r *registry) lineage(ctx context.Context, request *protos.CreateModelVersion, from origin) (origin, error) {
	parts, err := uri.Parse(from.source)

	switch {
	case err != nil:
		return from, err
	case parts.Scheme != modelsScheme:
		return from, nil
	case parts.Netloc != "":
		return from, contract.InvalidParameter("Invalid model version source: '%s'. Registered model sources must use the "+
			"active model registry.", from.source)
	}

	refers, err := parseModelSource(from.source)
	if err != nil || refers.ID != "" {
		return from, err
	}

	isPrompt, err := r.IsPrompt(ctx, refers.Name)
	if err != nil {
		return from, err
	}

	if isPrompt {
		return from, contract.InvalidParameter("Invalid model version source: '%s'. Prompt versions cannot be used as model "+
			"version sources.", from.source)
	}

	number, err := r.resolveVersion(ctx, refers)
	if err != nil {
		return from, err
	}

	found, err := r.GetModelVersion(ctx, &protos.GetModelVersion{Name: new(refers.Name), Version: new(number)})
	if err != nil {
		return from, err
	}

	version := found.GetModelVersion()
	if !names(request, version) {
		return from, contract.InvalidParameter("Invalid model version source: '%s'. The run_id and model_id request "+
			"parameters must match the referenced model version.", from.source)
	}

	from.source = "models:/" + refers.Name + "/" + version.GetVersion()

	if request.RunId == nil {
		from.runID = version.RunId
	}

	if request.ModelId == nil {
		from.modelID = version.ModelId
	}

	return from, nil
}

// names tells whether the run and the logged model that a request names, if it does, are a version's.
func names(request *protos.CreateModelVersion, version *protos.ModelVersion) bool {
	return (request.RunId == nil || request.GetRunId() == version.GetRunId()) &&
		(request.ModelId == nil || request.GetModelId() == version.GetModelId())
}

// resolveVersion finds the number of a version (get_model_name_and_version).
func (r *registry) resolveVersion(ctx context.Context, refers uri.Model) (string, error) {
	switch {
	case refers.Version != "":
		return refers.Version, nil
	case refers.Alias != "":
		found, err := r.GetModelVersionByAlias(ctx, &protos.GetModelVersionByAlias{
			Name: new(refers.Name), Alias: new(refers.Alias),
		})

		return found.GetModelVersion().GetVersion(), err
	}

	request := &protos.GetLatestVersions{Name: new(refers.Name)}
	ofStage := ""

	if refers.Stage != "" {
		request.Stages = []string{refers.Stage}
		ofStage = " and stage '" + refers.Stage + "'"
	}

	found, err := r.GetLatestVersions(ctx, request)
	if err != nil {
		return "", err
	}

	if len(found.GetModelVersions()) == 0 {
		return "", contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "No versions of model with name '%s'%s found",
			refers.Name, ofStage)
	}

	highest := int64(0)

	for _, version := range found.GetModelVersions() {
		number, err := strconv.ParseInt(version.GetVersion(), 10, 64)
		if err != nil {
			return "", fmt.Errorf("reading the number of a version: %w", err)
		}

		highest = max(highest, number)
	}

	return strconv.FormatInt(highest, 10), nil
}

func errForeignSource(source, parameter string) error {
	return contract.InvalidParameter("Invalid model version source: '%s'. The %s request parameter must identify the "+
		"resource that contains the source.", source, parameter)
}

func parseModelSource(source string) (uri.Model, error) {
	refers, err := uri.ParseModel(source)
	if err != nil {
		return uri.Model{}, errForeignSource(source, byModel)
	}

	return refers, nil
}

// checkSource is what the checks of both kinds of source have in common: judge looks at a URI that
// isn't local, and says whether it needs no more looking at.
func checkSource(
	source, parameter, id string, root func() (string, error), judge func(parts uri.Parts) (settled bool, err error),
) error {
	local, err := isLocalSource(source)
	if err != nil {
		return err
	}

	if local {
		return checkLocalSource(source, parameter, id, root)
	}

	if err := checkNoTraversal(source); err != nil {
		return err
	}

	parts, err := uri.Parse(source)
	if err != nil {
		return err
	}

	if settled, err := judge(parts); settled || err != nil {
		return err
	}

	return checkProxiedSource(source, parameter, id, root)
}

// checkRunSource is _validate_source_run.
func (r *registry) checkRunSource(ctx context.Context, source, runID string) error {
	root := func() (string, error) { return r.runLocation(ctx, source, runID) }

	return checkSource(source, byRun, runID, root, func(parts uri.Parts) (settled bool, err error) {
		switch parts.Scheme {
		case "runs":
			if parts.Netloc != "" {
				return false, errForeignSource(source, byRun)
			}

			sourceRun, err := runOf(source, parts)
			if err != nil || runID != "" && sourceRun == runID {
				return true, err
			}

			return false, errForeignSource(source, byRun)
		case modelsScheme:
			refers, err := parseModelSource(source)
			if parts.Netloc != "" || err == nil && refers.ID != "" {
				return false, errForeignSource(source, byModel)
			}

			return false, err
		}

		return false, nil
	})
}

// runOf is the run of a runs:/ URI (RunsArtifactRepository.parse_runs_uri).
func runOf(source string, parts uri.Parts) (string, error) {
	path, rooted := strings.CutPrefix(parts.Path, "/")
	run, _, _ := strings.Cut(path, "/")

	if !rooted || run == "" {
		return "", contract.Errorf(protos.ErrorCode_INTERNAL_ERROR, "Not a proper runs:/ URI: %s. Runs URIs must be of the "+
			"form 'runs:/<run_id>/run-relative/path/to/artifact'", source)
	}

	return run, nil
}

// checkModelSource is _validate_source_model.
func (r *registry) checkModelSource(ctx context.Context, source, modelID string) error {
	root := func() (string, error) { return r.modelLocation(ctx, source, modelID) }

	return checkSource(source, byModel, modelID, root, func(parts uri.Parts) (settled bool, err error) {
		switch parts.Scheme {
		case modelsScheme:
			if parts.Netloc != "" {
				return false, errForeignSource(source, byModel)
			}

			refers, err := parseModelSource(source)

			switch {
			case err != nil || refers.ID != "" && refers.ID == modelID:
				return true, err
			case refers.ID != "":
				return false, errForeignSource(source, byModel)
			}
		case "runs":
			return false, errForeignSource(source, byModel)
		}

		return false, nil
	})
}

// runLocation is where a run keeps its artifacts.
func (r *registry) runLocation(ctx context.Context, source, runID string) (string, error) {
	found, err := r.options.Tracking.GetRun(ctx, &protos.GetRun{RunId: new(runID)})
	if err != nil {
		return "", foreignIfMissing(err, source, byRun)
	}

	return found.GetRun().GetInfo().GetArtifactUri(), nil
}

// modelLocation is where a logged model keeps its artifacts.
func (r *registry) modelLocation(ctx context.Context, source, modelID string) (string, error) {
	found, err := r.options.Tracking.GetLoggedModel(ctx, &protos.GetLoggedModel{ModelId: new(modelID)})
	if err != nil {
		return "", foreignIfMissing(err, source, byModel)
	}

	return found.GetModel().GetInfo().GetArtifactUri(), nil
}

func foreignIfMissing(err error, source, parameter string) error {
	if contract.AsError(err).Code == protos.ErrorCode_RESOURCE_DOES_NOT_EXIST {
		return errForeignSource(source, parameter)
	}

	return err
}

// isLocalSource is is_local_uri, which takes one word for a tracking URI.
func isLocalSource(source string) (bool, error) {
	if source == "databricks" {
		return false, nil
	}

	return uri.IsLocal(source)
}

// checkLocalSource wants a path on this machine to be below the artifacts of who has the id.
func checkLocalSource(source, parameter, id string, root func() (string, error)) error {
	shown := source

	if id != "" {
		location, err := root()
		if err != nil {
			return err
		}

		path, err := resolvedPath(source)
		if err != nil {
			return err
		}

		within, err := isLocallyWithin(path, location)
		if err != nil || within {
			return err
		}

		shown = path // as in MLflow
	}

	return contract.InvalidParameter("Invalid model version source: '%[1]s'. To use a local path as a model version "+
		"source, the %[2]s request parameter has to be specified and the local path has to be contained within the "+
		"artifact directory of the run specified by the %[2]s.", shown, parameter)
}

// isLocallyWithin tells whether a resolved path is that of a local location, or below it.
func isLocallyWithin(path, location string) (bool, error) {
	local, err := uri.IsLocal(location)
	if err != nil || !local {
		return false, err
	}

	root, err := resolvedPath(location)
	if err != nil {
		return false, err
	}

	below, err := filepath.Rel(root, path)

	return err == nil && below != ".." && !strings.HasPrefix(below, ".."+string(filepath.Separator)), nil
}

// resolvedPath is the path of a local location without symbolic links (local_file_uri_to_path and
// pathlib's resolve).
func resolvedPath(location string) (string, error) {
	path := location

	if strings.HasPrefix(location, "file:") {
		parts, err := uri.Parse(location)
		if err != nil {
			return "", err
		}

		path = parts.Path
	}

	return realPath(uri.Unquote(path))
}

// maxLinks is how many symbolic links a path may go through.
const maxLinks = 40

// realPath makes a path absolute and follows its symbolic links as far as there are files; what
// comes after is taken as it is (os.path.realpath). Errors wrap uri.ErrMalformed.
func realPath(path string) (string, error) {
	if strings.Contains(path, "\x00") {
		return "", fmt.Errorf("a path with a null character: %w", uri.ErrMalformed)
	}

	absolute := path

	if !filepath.IsAbs(path) {
		directory, err := os.Getwd()
		if err != nil {
			return "", fmt.Errorf("resolving a path: %w", err)
		}

		absolute = directory + string(filepath.Separator) + path
	}

	volume := filepath.VolumeName(absolute)
	root := volume + string(filepath.Separator)
	rest := strings.Split(filepath.ToSlash(strings.TrimPrefix(absolute, volume)), "/")
	resolved := root

	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]

		switch name {
		case "", ".":
			continue
		case "..":
			resolved = filepath.Dir(resolved)

			continue
		}

		next := filepath.Join(resolved, name)

		target, err := os.Readlink(next)
		if err != nil { // no link, or nothing at all
			resolved = next

			continue
		}

		if links++; links > maxLinks {
			return "", fmt.Errorf("too many symbolic links: %w: %w", fs.ErrInvalid, uri.ErrMalformed)
		}

		if filepath.IsAbs(target) {
			resolved = root
		}

		rest = append(strings.Split(filepath.ToSlash(target), "/"), rest...)
	}

	return resolved, nil
}

var slashes = regexp.MustCompile(`/+`)

// checkNoTraversal refuses a URI whose path isn't absolute and plain, however often it is escaped,
// or would be another path on this machine (_validate_non_local_source_contains_relative_paths).
func checkNoTraversal(source string) error {
	invalid := contract.InvalidParameter("Invalid model version source: '%s'. If supplying a source as an http, https, "+
		"local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative "+
		"path references present. Please provide an absolute path.", source)

	plain := source

	for {
		unquoted := uri.Unquote(strings.ReplaceAll(plain, "+", " "))
		if unquoted == plain {
			break
		}

		plain = unquoted
	}

	parts, err := uri.Parse(plain)
	if err != nil {
		return err
	}

	path := slashes.ReplaceAllString(strings.TrimRight(parts.Path, "/"), "/")

	if strings.Contains(path, "\x00") || slices.Contains(strings.Split(plain, "/"), "..") {
		return invalid
	}

	resolved, err := realPath(path)
	if err != nil {
		return err
	}

	if filepath.ToSlash(strings.TrimPrefix(resolved, filepath.VolumeName(resolved))) != path {
		return invalid
	}

	return nil
}

// checkProxiedSource wants artifacts behind this or another tracking server to be below those of who
// has the id.
func checkProxiedSource(source, parameter, id string, root func() (string, error)) error {
	parts, err := normalParts(source)
	if err != nil || !parts.isProxied() {
		return err
	}

	if id != "" {
		location, err := root()
		if err != nil {
			return err
		}

		within, err := normalParts(location)
		if err != nil {
			return err
		}

		if parts.isWithin(within) {
			return nil
		}
	}

	return errForeignSource(source, parameter)
}

// uriParts are a URI's parts in normal form (_normalized_uri_parts).
type uriParts struct {
	scheme, authority string
	path              []string
}

func normalParts(location string) (uriParts, error) {
	parts, err := uri.Parse(location)
	if err != nil {
		return uriParts{}, err
	}

	path := parts.Path
	if parts.Params != "" {
		path += ";" + parts.Params
	}

	normal := uriParts{scheme: parts.Scheme, authority: strings.ToLower(parts.Netloc)}

	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" {
			continue
		}

		for {
			unquoted := uri.Unquote(segment)
			if unquoted == segment {
				break
			}

			segment = unquoted
		}

		normal.path = append(normal.path, segment)
	}

	return normal, nil
}

// proxyRoute is the path of the artifact proxy.
var proxyRoute = []string{"api", "2.0", "mlflow-artifacts", "artifacts"}

// isProxied tells whether a tracking server hands the artifacts out (_is_mlflow_artifact_source).
func (p uriParts) isProxied() bool {
	if p.scheme == artifactsScheme {
		return true
	}

	if p.scheme != "http" && p.scheme != "https" {
		return false
	}

	for i := range p.path {
		if len(p.path)-i >= len(proxyRoute) && slices.Equal(p.path[i:i+len(proxyRoute)], proxyRoute) {
			return true
		}
	}

	return false
}

// isWithin is _is_uri_within_root.
func (p uriParts) isWithin(root uriParts) bool {
	return p.scheme == root.scheme && p.authority == root.authority && len(root.path) > 0 &&
		len(p.path) >= len(root.path) && slices.Equal(p.path[:len(root.path)], root.path)
}
