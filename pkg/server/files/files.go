// Package files sends files as Flask does (werkzeug.utils.send_file): parts of them, not to clients that have
// them already, and, which stock doesn't, compressed.
package files

import (
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// File is a regular file that is open for reading, and what clients are told of it.
type File struct {
	*os.File

	Info os.FileInfo
	// Path is absolute, as Python spells it: its checksum is part of the tag.
	Path                     string
	ContentType, Disposition string
	// MaxAge says how long clients may keep the file without asking again; 0 has them ask each time.
	MaxAge time.Duration
	// Gzip gives the content compressed, for clients that take it; nil where it isn't worth it.
	Gzip func() ([]byte, error)
}

const html = "text/html; charset=utf-8"

var simpleRange = regexp.MustCompile(`^bytes=(?:(\d{1,18})-(\d{0,18})|-([1-9]\d{0,17}))$`)

// Send answers with a file, which it closes. It returns false, with nothing written, when stock MLflow may
// answer in a way that isn't known here: at odd conditions.
func Send(request *fasthttp.RequestCtx, file File) bool {
	header := &request.Request.Header
	wanted := header.Peek("Range")
	bounds := simpleRange.FindSubmatch(wanted)

	if len(header.Peek("If-Match")) > 0 || len(header.Peek("If-Range")) > 0 || len(wanted) > 0 && bounds == nil {
		_ = file.Close() // only read from

		return false
	}

	answer(request, file, bounds)

	return true
}

func answer(request *fasthttp.RequestCtx, from File, bounds [][]byte) {
	response := &request.Response
	etag := `"` + fingerprint(from.Path, from.Info) + `"`
	size := from.Info.Size()
	first, length := int64(0), size

	if size == 0 {
		bounds = nil // of nothing there are no parts
	}

	if bounds != nil {
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

	if bounds == nil && from.Gzip != nil {
		response.Header.Set("Vary", "Accept-Encoding")

		if acceptsGzip(string(request.Request.Header.Peek("Accept-Encoding"))) {
			compressed, _ = from.Gzip() // failing that, uncompressed
		}
	}

	if compressed != nil {
		etag = "W/" + etag // other bytes that say the same
	}

	response.Header.Set("Content-Disposition", from.Disposition)
	response.Header.Set("Etag", etag)
	response.Header.Set("Accept-Ranges", "bytes")

	if from.MaxAge > 0 {
		response.Header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(from.MaxAge.Seconds())))
		response.Header.Set("Expires", time.Now().Add(from.MaxAge).UTC().Format(http.TimeFormat))
	} else {
		response.Header.Set("Cache-Control", "no-cache")
	}

	if bounds == nil && unchanged(&request.Request.Header, etag, from.Info.ModTime()) {
		_ = from.Close() // only read from

		response.SetStatusCode(http.StatusNotModified)

		return
	}

	response.Header.Set("Last-Modified", from.Info.ModTime().UTC().Format(http.TimeFormat))
	response.Header.SetContentType(from.ContentType)

	if compressed != nil {
		_ = from.Close() // only looked at

		response.Header.Set("Content-Encoding", "gzip")
		response.SetBodyRaw(compressed)

		return
	}

	if _, err := from.Seek(first, io.SeekStart); err != nil {
		_ = from.Close() // only read from

		panic(fmt.Errorf("seeking in %s: %w", from.Path, err))
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
	response.Header.SetContentType(html)
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

// acceptsGzip reads an Accept-Encoding header.
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") && coding != "*" {
			continue
		}

		_, quality, given := strings.Cut(parameters, "=")
		weight, err := strconv.ParseFloat(strings.TrimSpace(quality), 64)

		return !given || err == nil && weight > 0
	}

	return false
}
