// Package ui serves the files of MLflow's web UI as stock MLflow does, and compressed to clients that take it,
// which stock doesn't.
package ui

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/mlflow/mlflow-go/pkg/server/files"
)

// Caching says how long clients may keep a file without asking again.
type Caching time.Duration

const (
	// Revalidate has clients ask each time.
	Revalidate Caching = 0
	// Cache is for files whose names change with their content: four weeks.
	Cache Caching = Caching(28 * 24 * time.Hour)
)

// contentTypes are those of the files that a build of the UI has, as Python's mimetypes and
// werkzeug name them; files of other types are left to Python.
var contentTypes = map[string]string{
	".cjs":   "application/octet-stream",
	".css":   "text/css; charset=utf-8",
	".eot":   "application/vnd.ms-fontobject",
	".html":  "text/html; charset=utf-8",
	".ico":   "image/vnd.microsoft.icon",
	".js":    "text/javascript; charset=utf-8",
	".json":  "application/json",
	".mjs":   "text/javascript; charset=utf-8",
	".png":   "image/png",
	".svg":   "image/svg+xml; charset=utf-8",
	".ttf":   "font/ttf",
	".txt":   "text/plain; charset=utf-8",
	".woff":  "font/woff",
	".woff2": "font/woff2",
}

// Serve answers with a file below root, or that there is none. It returns false, with nothing written,
// when stock MLflow may answer in a way that isn't known here: an odd path or type, odd conditions.
func Serve(request *fasthttp.RequestCtx, root, rawPath string, caching Caching) bool {
	name, ok := locate(root, rawPath)
	if !ok {
		return false
	}

	if info, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		NotFound(&request.Response)

		return true
	}

	contentType, known := contentTypes[strings.ToLower(filepath.Ext(name))]
	if !known || !isPlainASCII(filepath.Base(name)) {
		return false
	}

	file, err := os.Open(name) //nolint:gosec // below root, see locate
	if err != nil {
		return false
	}

	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		_ = file.Close() // only read from

		return false
	}

	found := files.File{
		File: file, Info: info, Path: name,
		ContentType: contentType, Disposition: "inline; filename=" + filepath.Base(name), MaxAge: time.Duration(caching),
	}

	if compressible[strings.ToLower(filepath.Ext(name))] && info.Size() >= leastCompressed {
		found.Gzip = func() ([]byte, error) { return zipped.of(name, info) }
	}

	return files.Send(request, found)
}

// NotFound is Flask's answer where there is nothing.
func NotFound(response *fasthttp.Response) {
	response.SetStatusCode(http.StatusNotFound)
	response.Header.SetContentType(contentTypes[".html"])
	response.SetBodyString("<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>" +
		"The requested URL was not found on the server. If you entered the URL manually please check your spelling " +
		"and try again.</p>\n")
}

// locate finds the file that a raw path means; it never leaves root (werkzeug.security.safe_join).
func locate(root, rawPath string) (string, bool) {
	decoded, err := url.PathUnescape(rawPath)
	if err != nil || decoded == "" || strings.ContainsAny(decoded, "\\\x00:") {
		return "", false
	}

	cleaned := path.Clean(decoded)
	if !fs.ValidPath(cleaned) {
		return "", false
	}

	return filepath.Join(root, filepath.FromSlash(cleaned)), true
}

func isPlainASCII(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || strings.IndexByte(`"\;,()<>@[]?={}%'`, c) >= 0 {
			return false // werkzeug would quote it
		}
	}

	return true
}
