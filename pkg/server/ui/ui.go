// Package ui serves the files of MLflow's web UI as stock MLflow does (werkzeug.utils.send_file), and
// compressed to clients that take it, which stock doesn't.
package ui

import (
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
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

var simpleRange = regexp.MustCompile(`^bytes=(?:(\d{1,18})-(\d{0,18})|-([1-9]\d{0,17}))$`)

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
	header := &request.Request.Header

	if !known || !isPlainASCII(filepath.Base(name)) ||
		len(header.Peek("If-Match")) > 0 || len(header.Peek("If-Range")) > 0 {
		return false
	}

	wanted := header.Peek("Range")

	bounds := simpleRange.FindSubmatch(wanted)
	if len(wanted) > 0 && bounds == nil {
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

	answer(request, source{file, info, name, contentType}, caching, bounds)

	return true
}

// NotFound is Flask's answer where there is nothing.
func NotFound(response *fasthttp.Response) {
	response.SetStatusCode(http.StatusNotFound)
	response.Header.SetContentType(contentTypes[".html"])
	response.SetBodyString("<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>" +
		"The requested URL was not found on the server. If you entered the URL manually please check your spelling " +
		"and try again.</p>\n")
}

// source is a file to answer with.
type source struct {
	*os.File

	info              os.FileInfo
	path, contentType string
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

func answer(request *fasthttp.RequestCtx, from source, caching Caching, bounds [][]byte) {
	response := &request.Response
	etag := `"` + fingerprint(from.path, from.info) + `"`
	size := from.info.Size()
	first, length := int64(0), size

	if bounds != nil && size > 0 {
		var satisfiable bool

		if first, length, satisfiable = span(bounds, size); !satisfiable {
			_ = from.Close() // only read from

			unsatisfiable(response, size)

			return
		}

		response.SetStatusCode(http.StatusPartialContent)
		response.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, first+length-1, size))
	}

	var compressed []byte

	if bounds == nil && compressible[strings.ToLower(filepath.Ext(from.path))] && size >= leastCompressed {
		response.Header.Set("Vary", "Accept-Encoding")

		if acceptsGzip(string(request.Request.Header.Peek("Accept-Encoding"))) {
			compressed, _ = zipped.of(from.path, from.info) // failing that, uncompressed
		}
	}

	if compressed != nil {
		etag = "W/" + etag // other bytes that say the same
	}

	response.Header.Set("Content-Disposition", "inline; filename="+filepath.Base(from.path))
	response.Header.Set("Etag", etag)
	response.Header.Set("Accept-Ranges", "bytes")

	if age := time.Duration(caching); age > 0 {
		response.Header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(age.Seconds())))
		response.Header.Set("Expires", time.Now().Add(age).UTC().Format(http.TimeFormat))
	} else {
		response.Header.Set("Cache-Control", "no-cache")
	}

	if bounds == nil && unchanged(&request.Request.Header, etag, from.info.ModTime()) {
		_ = from.Close() // only read from

		response.SetStatusCode(http.StatusNotModified)

		return
	}

	response.Header.Set("Last-Modified", from.info.ModTime().UTC().Format(http.TimeFormat))
	response.Header.SetContentType(from.contentType)

	if compressed != nil {
		_ = from.Close() // only looked at

		response.Header.Set("Content-Encoding", "gzip")
		response.SetBodyRaw(compressed)

		return
	}

	if _, err := from.Seek(first, io.SeekStart); err != nil {
		_ = from.Close() // only read from

		panic(fmt.Errorf("seeking in %s: %w", from.path, err))
	}

	response.SetBodyStream(&section{Reader: io.LimitReader(from, length), Closer: from}, int(length))
}

type section struct {
	io.Reader
	io.Closer
}

// span works out the part of a file that a range means.
func span(bounds [][]byte, size int64) (first, length int64, ok bool) {
	number := func(at int) int64 {
		n, err := strconv.ParseInt(string(bounds[at]), 10, 64)
		if err != nil {
			panic(errors.Join(errors.New("the pattern of ranges lets in what is no number"), err)) //nolint:err113 // a bug
		}

		return n
	}

	if len(bounds[3]) > 0 {
		length = number(3) //nolint:mnd // the pattern's third group
		first = size - length

		return first, length, first >= 0
	}

	first = number(1)

	last := size - 1
	if len(bounds[2]) > 0 {
		last = min(last, number(2))
	}

	if len(bounds[2]) > 0 && number(2) < first {
		return 0, 0, false
	}

	return first, last - first + 1, first < size
}

// unsatisfiable is Flask's answer.
func unsatisfiable(response *fasthttp.Response, size int64) {
	response.SetStatusCode(http.StatusRequestedRangeNotSatisfiable)
	response.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
	response.Header.SetContentType(contentTypes[".html"])
	response.SetBodyString("<!doctype html>\n<html lang=en>\n<title>416 Requested Range Not Satisfiable</title>\n" +
		"<h1>Requested Range Not Satisfiable</h1>\n<p>The server cannot provide the requested range.</p>\n")
}

// fingerprint is werkzeug's: modification time as Python's float, size, checksum of the path.
func fingerprint(name string, info os.FileInfo) string {
	modified := info.ModTime()
	seconds := float64(modified.Unix()) + 1e-9*float64(modified.Nanosecond()) //nolint:mnd // as Python computes it

	text := strconv.FormatFloat(seconds, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}

	return fmt.Sprintf("%s-%d-%d", text, info.Size(), adler32.Checksum([]byte(name)))
}

// unchanged tells whether the client's copy is still good (werkzeug.http.is_resource_modified): its
// list of tags decides if there is one, its date otherwise.
func unchanged(header *fasthttp.RequestHeader, etag string, modified time.Time) bool {
	if tags := string(header.Peek("If-None-Match")); tags != "" {
		for tag := range strings.SplitSeq(tags, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == "*" || tag == strings.TrimPrefix(etag, "W/") {
				return true
			}
		}

		return false
	}

	since, err := http.ParseTime(string(header.Peek("If-Modified-Since")))

	return err == nil && !modified.Truncate(time.Second).After(since)
}
