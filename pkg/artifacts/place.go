package artifacts

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/uri"
)

// uploading begins the names of files that are still being written (_TEMP_ARTIFACT_PREFIX).
const uploading = ".artifact.uploading."

// longest is how many bytes a plain path has at most. One with more than a system call takes makes Python fail;
// os.Root opens each of its directories.
const longest = 1 << 10

// place is where a path within a location lies on this machine.
type place struct {
	// root is the directory of MLflow's repository, absolute and clean. Nothing outside of it is read.
	root string
	// path is what the repository is asked for: relative, and plain (see isPlain).
	path string
	// shown is how clients see the path, if it is a directory: what its entries' names are appended to.
	shown string
}

// locate finds the place of a plain path within a location. Error: contract.ErrLeftToPython.
func (s *Service) locate(location, within string) (place, error) {
	if root, local := localDirectory(location); local {
		shown := path.Clean(within) // os.path.relpath makes it normal
		if shown == "." {
			shown = ""
		}

		return place{root: root, path: within, shown: shown}, nil
	}

	if below, served := strings.CutPrefix(location, "mlflow-artifacts:/"); served && s.served != "" && isPlain(below) {
		return place{root: s.served, path: uri.Join(below, within), shown: within}, nil
	}

	return place{}, contract.ErrLeftToPython
}

// isPlain tells of relative paths that MLflow's validate_path_is_safe takes, and leaves as they are: nothing in
// them is an escape, a part of a URI, a drive or a way up.
func isPlain(name string) bool {
	odd := func(r rune) bool {
		return r < ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`%#?;:\`, r)
	}

	return len(name) <= longest && utf8.ValidString(name) && !strings.ContainsFunc(name, odd) &&
		strings.TrimSpace(name) == name && !strings.HasPrefix(name, "/") &&
		!slices.Contains(strings.Split(name, "/"), "..")
}

// localDirectory reads a location that is an absolute path or a file: URI of one (local_file_uri_to_path).
func localDirectory(location string) (directory string, local bool) {
	directory, isURI := strings.CutPrefix(location, "file:")
	if isURI {
		if absolute, empty := strings.CutPrefix(directory, "///"); empty {
			directory = "/" + absolute
		}
	}

	below, absolute := strings.CutPrefix(directory, "/")
	clean := path.Clean(directory)

	return clean, runtime.GOOS != "windows" && absolute && below != "" && isPlain(below) &&
		clean == strings.TrimSuffix(directory, "/")
}

// servedDirectory reads --artifacts-destination, which may also be relative to the working directory; "" is one
// that isn't a local directory.
func servedDirectory(destination string) string {
	if directory, local := localDirectory(destination); local {
		return directory
	}

	if destination == "" || !isPlain(destination) || runtime.GOOS == "windows" {
		return ""
	}

	working, err := os.Getwd()
	if err == nil { // PWD may say it with links, which Python's os.getcwd never does
		working, err = filepath.EvalSymlinks(working)
	}

	if err != nil {
		return ""
	}

	return filepath.Join(working, destination)
}

// name is the place's for os.Root.
func (p place) name() string { return path.Clean(p.path) }

// open opens a file (LocalArtifactRepository.get_local_path). Errors: RESOURCE_DOES_NOT_EXIST,
// INVALID_PARAMETER_VALUE for a directory, contract.ErrLeftToPython.
func (p place) open() (*File, error) {
	root, err := os.OpenRoot(p.root)
	if err != nil {
		return nil, p.missing(err)
	}

	defer func() { _ = root.Close() }() // only read from

	// A named pipe would keep us waiting for who writes to it.
	file, err := root.OpenFile(p.name(), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, p.missing(err)
	}

	info, err := file.Stat()
	contentType, known := guessType(path.Base(p.name()))

	switch {
	case err == nil && info.IsDir():
		err = contract.InvalidParameter("Artifact path refers to a directory, not a file: '%s'", p.path)
	case err != nil || !info.Mode().IsRegular() || !known:
		err = contract.ErrLeftToPython
	default:
		return &File{File: file, Info: info, Path: path.Join(p.root, p.name()), ContentType: contentType}, nil
	}

	_ = file.Close() // only looked at

	return nil, err
}

// missing says that there is no such file; any other failure is Python's to judge.
func (p place) missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return contract.Errorf(protos.ErrorCode_RESOURCE_DOES_NOT_EXIST, "No such artifact: '%s'", p.path)
	}

	return contract.ErrLeftToPython
}

// list lists a directory's entries by their paths; what is none has none
// (LocalArtifactRepository.list_artifacts). Error: contract.ErrLeftToPython.
func (p place) list() ([]*protos.FileInfo, error) {
	root, err := os.OpenRoot(p.root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, contract.ErrLeftToPython
	}

	defer func() { _ = root.Close() }() // only read from

	info, err := root.Stat(p.name())
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil
	}

	if err != nil {
		return nil, contract.ErrLeftToPython
	}

	directory, err := root.OpenRoot(p.name())
	if err != nil {
		return nil, contract.ErrLeftToPython
	}

	defer func() { _ = directory.Close() }() // only read from

	names, err := readNames(directory)
	if err != nil {
		return nil, contract.ErrLeftToPython
	}

	listed := make([]*protos.FileInfo, 0, len(names))

	for _, name := range names {
		info, err := directory.Lstat(name)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			info, err = root.Stat(path.Join(p.name(), name))
		}

		if err != nil || !utf8.ValidString(name) {
			return nil, contract.ErrLeftToPython
		}

		listed = append(listed, p.entry(name, info))
	}

	return listed, nil
}

// readNames lists a directory, sorted, without what is still being written.
func readNames(directory *os.Root) ([]string, error) {
	file, err := directory.Open(".")
	if err != nil {
		return nil, err //nolint:wrapcheck // nobody reads it
	}

	defer func() { _ = file.Close() }() // only read from

	names, err := file.Readdirnames(-1)
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, uploading) })
	slices.Sort(names)

	return names, err //nolint:wrapcheck // nobody reads it
}

// entry describes what a directory holds (file_utils.get_file_info).
func (p place) entry(name string, info fs.FileInfo) *protos.FileInfo {
	entry := &protos.FileInfo{Path: new(uri.Join(p.shown, name)), IsDir: new(info.IsDir())}
	if size := info.Size(); !info.IsDir() && size != 0 {
		entry.FileSize = new(size)
	}

	return entry
}
