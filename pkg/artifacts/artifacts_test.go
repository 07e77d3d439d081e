//go:build unix

package artifacts_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"hash/adler32"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/artifacts"
	"github.com/mlflow/mlflow-go/pkg/codec"
	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/pythontest"
	"github.com/mlflow/mlflow-go/pkg/server/files"
)

//go:embed testdata/oracle.py
var oracle string

// anywhere takes IDs for locations.
type anywhere struct{}

func (anywhere) GetRun(_ context.Context, request *protos.GetRun) (*protos.GetRun_Response, error) {
	return &protos.GetRun_Response{Run: &protos.Run{Info: &protos.RunInfo{ArtifactUri: request.RunId}}}, nil
}

func (anywhere) GetLoggedModel(
	_ context.Context, request *protos.GetLoggedModel,
) (*protos.GetLoggedModel_Response, error) {
	return &protos.GetLoggedModel_Response{
		Model: &protos.LoggedModel{Info: &protos.LoggedModelInfo{ArtifactUri: request.ModelId}},
	}, nil
}

func (anywhere) GetModelVersionDownloadUri( //nolint:revive // the protobuf's name
	_ context.Context, request *protos.GetModelVersionDownloadUri,
) (*protos.GetModelVersionDownloadUri_Response, error) {
	return &protos.GetModelVersionDownloadUri_Response{ArtifactUri: request.Name}, nil
}

// below is where the tree has a run's artifacts.
const below = "1/run/artifacts"

// named are files in the tree.
var named = []string{
	"MLmodel", "plain.txt", "é жук.json", "жук", "a b.txt", "a+b.csv", "100%.txt", `quo"ted.md`, ".hidden.txt", "txt", "html",
	".html", "page.html", "a.PNG", "a.png", "a.tar.gz", "..two.txt", "dot.", "x.MLmodel", "MLproject", "mlproject", "a.py",
	"a.unknown", "empty.txt", "a;b.txt", "a:b.txt", "a#b.txt", "a?b.txt", `a\b.txt`, "tab\t.txt", "dir/b.txt", "dir/sub/deep.txt",
	"new/.artifact.uploading.x", "new/kept", "links/target.txt", "only/file.txt", "dir.html/a.txt",
}

// links are symbolic links in the tree, by their targets.
var links = map[string]string{
	"links/file": "target.txt", "links/up": "../dir", "links/top": "../plain.txt", "good": "dir/sub",
	"out/file": "../../../../../secret/secret.txt", "out/dir": "../../../../../secret", "out/other": "../../../other",
	"neighbour/up": "../../../other/x.txt", "dangling/x": "nowhere", "dangling/outside": "../../../../../nothing",
}

// build makes the tree and a secret beside it.
func build(t *testing.T) (destination string) {
	t.Helper()

	base, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)

	destination = filepath.Join(base, "kept here")
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}

	write(filepath.Join(base, "secret", "secret.txt"), "secret")
	write(filepath.Join(destination, "1", "other", "x.txt"), "another run's")

	for _, name := range named {
		text := "content of " + name
		if name == "empty.txt" {
			text = ""
		}

		write(filepath.Join(destination, below, name), text)
	}

	for name, target := range links {
		link := filepath.Join(destination, below, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(link), 0o700))
		require.NoError(t, os.Symlink(target, link))
	}

	for name, target := range map[string]string{"absolute/in": "plain.txt", "absolute/out": "../../../../secret/secret.txt"} {
		link := filepath.Join(destination, below, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(link), 0o700))
		require.NoError(t, os.Symlink(filepath.Join(destination, below, target), link))
	}

	return destination
}

// paths are all in the tree, what attackers try, and random text of what matters.
func paths() []string {
	const generated = 250

	all := append(slices.Clone(named), "", ".", "./", "..", "../x", "../../other/x.txt", "dir", "dir/", "dir//sub", "dir/./b.txt",
		"links", "new", "only", "out", "neighbour", "dangling", "absolute", "dir/../plain.txt", "/etc/passwd", "//etc/passwd",
		"%2e%2e/x", "%252e%252e%252fx", "..%2f..", "..\\x", "C:/x", "C:\\x", "file:///etc/passwd", "file:plain.txt", "plain.txt\x00",
		"plain.txt%00", " plain.txt", "plain.txt ", "plain.txt/", "plain.txt/x", "missing", "missing/x", "http://host/x", "a%2ftxt",
		"out/dir/nothing", "out/dir/secret.txt", "out/other/x.txt", "links/up/b.txt", "links/up/sub", "good/deep.txt",
		"\ufffd", "\u2028", strings.Repeat("x", 300), strings.Repeat("x/", 3000))

	all = slices.AppendSeq(all, maps.Keys(links))

	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{
		"dir", "sub", "plain.txt", "links", "up", "secret.txt", "out", "good", "/", "/", "/", ".", "..", "../..", "%2e", "%2f",
		"%25", "%", `\`, ":", "C:", "file:", "#", "?", ";", " ", "é", "\x00", "\t", "other", "x.txt",
	}

	for range generated {
		var text strings.Builder
		for range 1 + random.IntN(6) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}

		all = append(all, text.String())
	}

	return all
}

// answer is what MLflow's server answers; a file's has its headers.
type answer struct {
	status                               int
	contentType, text, disposition, etag string
}

func (a *answer) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&a.status, &a.contentType, &a.text, &a.disposition, &a.etag}) //nolint:wrapcheck // a test
}

func refusal(err error) answer {
	known := contract.AsError(err)

	return answer{codec.HTTPStatus(known.Code), "application/json", string(codec.EncodeError(nil, known)), "", ""}
}

func list(t *testing.T, service *artifacts.Service, location, path string) (got answer, native bool) {
	t.Helper()

	found, err := service.ListArtifacts(t.Context(), &protos.ListArtifacts{RunId: new(location), Path: new(path)})
	if err != nil {
		require.ErrorIs(t, err, contract.ErrLeftToPython)

		return answer{}, false
	}

	return answer{http.StatusOK, "application/json", string(codec.Encode(nil, found)), "", ""}, true
}

func open(t *testing.T, service *artifacts.Service, location, wanted string) (got answer, native bool) {
	t.Helper()

	file, err := service.OpenOfRun(t.Context(), location, wanted)

	switch {
	case err == nil:
	case contract.AsError(err).Code == protos.ErrorCode_INTERNAL_ERROR:
		require.ErrorIs(t, err, contract.ErrLeftToPython)

		return answer{}, false
	default:
		return refusal(err), true
	}

	defer func() { require.NoError(t, file.Close()) }()

	text, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, file.Info.Size(), int64(len(text)))

	modified := file.Info.ModTime()
	seconds := float64(modified.Unix()) + 1e-9*float64(modified.Nanosecond())

	return answer{
		http.StatusOK, file.ContentType, string(text), files.Attachment(path.Base(path.Clean(wanted))),
		fmt.Sprintf(`"%s-%d-%d"`, strconv.FormatFloat(seconds, 'f', -1, 64), len(text), adler32.Checksum([]byte(file.Path))),
	}, true
}

// TestAgreesWithMLflow compares answers about a tree of files and links with those of MLflow's server, wherever
// they aren't left to it.
func TestAgreesWithMLflow(t *testing.T) {
	destination := build(t)
	service := artifacts.New(artifacts.Options{Owners: anywhere{}, Destination: destination})
	locations := []string{
		"mlflow-artifacts:/" + below, "mlflow-artifacts:/", "mlflow-artifacts:/" + below + "/dir/", filepath.Join(destination, below),
		"file://" + filepath.Join(destination, below) + "/", "file:" + destination, destination + "/nothing", "mlflow-artifacts:/nothing",
		filepath.Join(destination, below, "links"),
	}

	asked := paths()

	var want [][2]answer

	pythontest.Ask(t, map[string]any{
		"destination": destination, "locations": locations, "paths": asked,
	}, &want, "-c", oracle)

	natives := 0

	for i, location := range locations {
		for j, path := range asked {
			expected := want[i*len(asked)+j]

			if got, native := list(t, service, location, path); native {
				require.Equal(t, expected[0], got, "list %q in %q", path, location)

				natives++
			}

			if got, native := open(t, service, location, path); native {
				require.Equal(t, expected[1], got, "open %q in %q", path, location)

				natives++
			}
		}
	}

	require.Greater(t, natives, len(want)/2)
}

func TestLeftToPython(t *testing.T) {
	destination := build(t)
	service := artifacts.New(artifacts.Options{Owners: anywhere{}, Versions: anywhere{}, Destination: destination})
	here := filepath.Join(destination, below)

	require.NoError(t, os.Mkdir(filepath.Join(here, "odd"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(here, "odd", "\xff.txt"), nil, 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(here, "pipe.txt"), 0o600))

	left := []string{
		"..", "dir/../plain.txt", "/etc/passwd", "//etc/passwd", "%2e%2e/x", "plain%2etxt", "C:/x", `..\x`, "file:///etc/passwd",
		"plain.txt\x00", "plain.txt#", "plain.txt?", "plain.txt;", " plain.txt", "\xff.txt", "\ufffd", "plain.txt/x", "out/dir",
		"out/dir/secret.txt", "out/file", "dangling/outside", "absolute/out", "absolute/in",
	}

	for _, location := range []string{"mlflow-artifacts:/" + below, here, "file://" + here} {
		for _, path := range left {
			_, err := service.OpenOfRun(t.Context(), location, path)
			require.ErrorIs(t, err, contract.ErrLeftToPython, "open %q", path)

			_, err = service.ListArtifacts(t.Context(), &protos.ListArtifacts{RunId: new(location), Path: new(path)})
			require.ErrorIs(t, err, contract.ErrLeftToPython, "list %q", path)
		}

		for _, directory := range []string{"out", "dangling", "odd"} {
			_, err := service.ListArtifacts(t.Context(), &protos.ListArtifacts{RunId: new(location), Path: new(directory)})
			require.ErrorIs(t, err, contract.ErrLeftToPython, directory)
		}

		for _, path := range []string{"", "pipe.txt", "a.unknown"} {
			_, err := service.OpenOfRun(t.Context(), location, path)
			require.ErrorIs(t, err, contract.ErrLeftToPython, path)
		}
	}

	for _, location := range []string{
		"", "/", ".", "relative", "./relative", "s3://bucket/x", "http://host/x", "mlflow-artifacts://host/x", "mlflow-artifacts:x",
		"mlflow-artifacts:/../x", "mlflow-artifacts:/a%2fb", "mlflow-artifacts:/a?b", "mlflow-artifacts://", "file://localhost" + here,
		"file:relative", "FILE://" + here, "//" + here, here + "/../artifacts", here + "//", here + "?x", here + "%20", "C:/x",
		"exa+bfs://host/x", "runs:/run/x", "models:/m/1",
	} {
		_, err := service.OpenOfVersion(t.Context(), location, "1", "plain.txt")
		require.ErrorIs(t, err, contract.ErrLeftToPython, location)

		_, err = service.ListLoggedModelArtifacts(t.Context(), &protos.ListLoggedModelArtifacts{ModelId: new(location)})
		require.ErrorIs(t, err, contract.ErrLeftToPython, location)
	}

	unserved := artifacts.New(artifacts.Options{Owners: anywhere{}})
	_, err := unserved.OpenOfRun(t.Context(), "mlflow-artifacts:/"+below, "plain.txt")
	require.ErrorIs(t, err, contract.ErrLeftToPython)

	_, err = unserved.OpenOfVersion(t.Context(), here, "1", "plain.txt")
	require.ErrorIs(t, err, contract.ErrLeftToPython)
}

// TestRelativeDestination is the default of `mlflow server`, ./mlartifacts.
func TestRelativeDestination(t *testing.T) {
	destination := build(t)
	t.Chdir(filepath.Dir(destination))

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Dir(destination), link))
	t.Setenv("PWD", link) // as a shell says it

	service := artifacts.New(artifacts.Options{Owners: anywhere{}, Destination: "./" + filepath.Base(destination)})

	file, err := service.OpenOfModel(t.Context(), "mlflow-artifacts:/"+below, "dir/b.txt")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Equal(t, filepath.Join(destination, below, "dir/b.txt"), file.Path)
}
