package uri

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"runtime"
	"strings"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
)

const onWindows = runtime.GOOS == "windows"

// fileScheme is the scheme of local files.
const fileScheme = "file"

// AppendPath appends POSIX paths to the path of a URI or to a plain path and leaves its query and
// fragment where they are: s3://b/base?x=1 and run/artifacts make s3://b/base/run/artifacts?x=1
// (append_to_uri_path).
func AppendPath(location string, paths ...string) (string, error) {
	suffix := ""
	for _, p := range paths {
		suffix = Join(suffix, p)
	}

	parts, err := Parse(location)
	if err != nil {
		return "", fmt.Errorf("appending to artifact location: %w", err)
	}

	if err := CheckQuery(parts.Query); err != nil {
		return "", err
	}

	if parts.Scheme == "" {
		return Join(location, suffix), nil
	}

	// Joined with its scheme, a relative path ("file:a/b") would come out absolute.
	prefix := ""
	if !strings.HasPrefix(parts.Path, "/") {
		prefix, parts.Scheme = parts.Scheme+":", ""
	}

	parts.Path = Join(parts.Path, suffix)

	return prefix + parts.String(), nil
}

// CheckQuery refuses a query that hides a path traversal behind up to ten layers of escapes
// (validate_query_string).
func CheckQuery(query string) error {
	const layers = 10

	for range layers {
		parts, err := Parse(Unquote(query))
		if err != nil {
			return fmt.Errorf("decoding query string: %w", err)
		}

		decoded := parts.String()
		if decoded == query {
			if strings.Contains(query, "..") {
				return contract.InvalidParameter("Invalid query string")
			}

			return nil
		}

		query = decoded
	}

	return fmt.Errorf("decoding query string: more than %d layers: %w", layers, ErrMalformed)
}

// IsLocal says whether a location is a path on this machine: no scheme, or file: without a remote
// host, which is an error (is_local_uri).
func IsLocal(location string) (bool, error) {
	if onWindows && strings.HasPrefix(location, `\\`) {
		return false, nil
	}

	parts, err := Parse(location)
	if err != nil {
		return false, fmt.Errorf("reading location: %w", err)
	}

	host := parts.Hostname()
	remote := host != "" && host != "." &&
		!strings.HasPrefix(host, "localhost") && !strings.HasPrefix(host, "127.0.0.1")

	switch {
	case parts.Scheme == "":
		return true, nil
	case parts.Scheme == fileScheme && remote:
		return false, contract.Errorf(protos.ErrorCode_INTERNAL_ERROR,
			"%s is not a valid remote uri. For remote access on windows, please consider using a different scheme "+
				"such as SMB (e.g. smb://<hostname>/<path>).", location)
	case parts.Scheme == fileScheme:
		return true, nil
	default:
		return onWindows && !remote && len(parts.Scheme) == 1, nil
	}
}

// ResolveLocal makes a relative local path or file: URI absolute, seen from the working
// directory; everything else comes back as it is (resolve_uri_if_local).
func ResolveLocal(location string) (string, error) {
	local, err := IsLocal(location)
	if err != nil || !local {
		return location, err
	}

	parts, err := Parse(location)
	if err != nil {
		return "", fmt.Errorf("resolving local location: %w", err)
	}

	file := location
	if strings.HasPrefix(location, fileScheme+":") {
		file = parts.Path
	}

	file = Unquote(file)
	if isAbsolute(file) {
		return location, nil
	}

	directory, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("resolving local location: %w", err)
	}

	absolute := joinPurePath(slashed(directory), slashed(file))

	if parts.Scheme == "" && !onWindows {
		return absolute, nil
	}

	// urlsplit knows no parameters, so they are part of the path already.
	resolved := Parts{Scheme: fileScheme, Path: absolute}
	if parts.Scheme != "" {
		resolved.Query, resolved.Fragment = parts.Query, parts.Fragment
	}

	return resolved.String(), nil
}

// isAbsolute is pathlib's is_absolute: on Windows a drive and a root.
func isAbsolute(file string) bool {
	if onWindows {
		return len(file) > 2 && file[1] == ':' && (file[2] == '/' || file[2] == '\\')
	}

	return strings.HasPrefix(file, "/")
}

func slashed(file string) string {
	if onWindows {
		return strings.ReplaceAll(file, `\`, "/")
	}

	return file
}

// joinPurePath joins as pathlib does: empty and "." segments go, ".." stays.
func joinPurePath(base, relative string) string {
	segments := []string{strings.TrimSuffix(base, "/")}

	for segment := range strings.SplitSeq(relative, "/") {
		if segment != "" && segment != "." {
			segments = append(segments, segment)
		}
	}

	if joined := strings.Join(segments, "/"); joined != "" {
		return joined
	}

	return "/"
}

// Join appends even an absolute suffix below the prefix
// (_join_posixpaths_and_append_absolute_suffixes).
func Join(prefix, suffix string) string {
	if prefix == "" {
		return suffix
	}

	suffix = strings.TrimLeft(suffix, "/")
	if strings.HasSuffix(prefix, "/") {
		return prefix + suffix
	}

	return prefix + "/" + suffix
}

// NormPath is posixpath.normpath: path.Clean, but two leading slashes (not three) stay.
func NormPath(p string) string {
	if strings.HasPrefix(p, "//") && !strings.HasPrefix(p, "///") {
		return "/" + path.Clean(p)
	}

	return path.Clean(p)
}

// Unquote is urllib.parse.unquote: what isn't a valid escape stays as it is.
func Unquote(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}

	var out strings.Builder

	for i := 0; i < len(s); i++ {
		const escape = len("%00")

		if s[i] == '%' && i+escape <= len(s) {
			if char, err := url.PathUnescape(s[i : i+escape]); err == nil {
				out.WriteString(char)

				i += escape - 1

				continue
			}
		}

		out.WriteByte(s[i])
	}

	return strings.ToValidUTF8(out.String(), "\ufffd")
}
