package ui

import (
	"fmt"
	"hash/adler32"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

// build makes a directory with one file, changed at a known time.
func build(t *testing.T) (root, name string) {
	t.Helper()

	root = t.TempDir()
	name = filepath.Join(root, "static", "a.css")
	require.NoError(t, os.Mkdir(filepath.Join(root, "static"), 0o700))
	require.NoError(t, os.WriteFile(name, []byte("0123456789"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(root), "secret.txt"), []byte("x"), 0o600))

	changed := time.Unix(1795361464, 249559900)
	require.NoError(t, os.Chtimes(name, changed, changed))

	return root, name
}

func serve(t *testing.T, root, path string, fields ...string) (*fasthttp.RequestCtx, bool) {
	t.Helper()

	request := &fasthttp.RequestCtx{}

	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Request.Header.Set(name, value)
	}

	return request, Serve(request, root, path, Cache)
}

func TestHeaders(t *testing.T) {
	root, name := build(t)
	request, served := serve(t, root, "static/a.css")
	header := &request.Response.Header

	require.True(t, served)
	require.Equal(t, "0123456789", string(request.Response.Body()))

	for field, want := range map[string]string{
		"Content-Type":        "text/css; charset=utf-8",
		"Content-Disposition": "inline; filename=a.css",
		"Cache-Control":       "public, max-age=2419200",
		"Last-Modified":       "Sun, 22 Nov 2026 15:31:04 GMT",
		"Accept-Ranges":       "bytes",
		"Etag":                fmt.Sprintf(`"1795361464.2495599-10-%d"`, adler32.Checksum([]byte(name))),
	} {
		require.Equal(t, want, string(header.Peek(field)), field)
	}

	expires, err := http.ParseTime(string(header.Peek("Expires")))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(28*24*time.Hour), expires, time.Minute)
}

func TestConditions(t *testing.T) {
	root, name := build(t)
	etag := fmt.Sprintf(`"1795361464.2495599-10-%d"`, adler32.Checksum([]byte(name)))

	for _, test := range []struct {
		fields []string
		status int
		body   string
		span   string
	}{
		{[]string{"If-None-Match: " + etag}, 304, "", ""},
		{[]string{`If-None-Match: "x", W/` + etag}, 304, "", ""},
		{[]string{"If-None-Match: *"}, 304, "", ""},
		{[]string{`If-None-Match: "x"`}, 200, "0123456789", ""},
		{[]string{`If-None-Match: "x"`, "If-Modified-Since: Sun, 22 Nov 2026 15:31:04 GMT"}, 200, "0123456789", ""},
		{[]string{"If-Modified-Since: Sun, 22 Nov 2026 15:31:04 GMT"}, 304, "", ""},
		{[]string{"If-Modified-Since: Sun, 22 Nov 2026 15:31:03 GMT"}, 200, "0123456789", ""},
		{[]string{"If-Modified-Since: yesterday"}, 200, "0123456789", ""},
		{[]string{"Range: bytes=0-3"}, 206, "0123", "bytes 0-3/10"},
		{[]string{"Range: bytes=8-"}, 206, "89", "bytes 8-9/10"},
		{[]string{"Range: bytes=8-100"}, 206, "89", "bytes 8-9/10"},
		{[]string{"Range: bytes=-3"}, 206, "789", "bytes 7-9/10"},
		{[]string{"Range: bytes=0-0", "If-None-Match: " + etag}, 206, "0", "bytes 0-0/10"},
		{[]string{"Range: bytes=10-"}, 416, "", "bytes */10"},
		{[]string{"Range: bytes=-11"}, 416, "", "bytes */10"},
		{[]string{"Range: bytes=5-3"}, 416, "", "bytes */10"},
	} {
		request, served := serve(t, root, "static/a.css", test.fields...)
		require.True(t, served)
		require.Equal(t, test.status, request.Response.StatusCode(), test.fields)
		require.Equal(t, test.span, string(request.Response.Header.Peek("Content-Range")), test.fields)

		if test.status != http.StatusRequestedRangeNotSatisfiable {
			require.Equal(t, test.body, string(request.Response.Body()), test.fields)
		}
	}
}

func TestNothingThere(t *testing.T) {
	root, _ := build(t)

	for _, path := range []string{"static", "static/", "missing.css", "static/missing", "missing/a.css"} {
		request, served := serve(t, root, path)
		require.True(t, served, path)
		require.Equal(t, http.StatusNotFound, request.Response.StatusCode(), path)
		require.Contains(t, string(request.Response.Body()), "<h1>Not Found</h1>")
	}
}

func TestCompression(t *testing.T) {
	root, name := build(t)
	text := strings.Repeat("body { color: red } ", 1000)
	large := filepath.Join(filepath.Dir(name), "large.css")
	require.NoError(t, os.WriteFile(large, []byte(text), 0o600))

	tests := map[string]bool{
		"": false, "identity": false, "gzip": true, "deflate, gzip": true, "br, *": true, "GZIP;q=0.5": true,
		"gzip;q=0": false, "gzip;q=0.0, *": false, "gzipped": false, "gzip;q=x": false,
	}
	for accepted, want := range tests {
		request, served := serve(t, root, "static/large.css", "Accept-Encoding: "+accepted)
		header := &request.Response.Header

		require.True(t, served)
		require.Equal(t, "Accept-Encoding", string(header.Peek("Vary")))
		require.Equal(t, want, string(header.Peek("Content-Encoding")) == "gzip", accepted)
		require.Equal(t, want, strings.HasPrefix(string(header.Peek("Etag")), "W/"), accepted)

		body, err := request.Response.BodyUncompressed()
		require.NoError(t, err)
		require.Equal(t, text, string(body))

		again, _ := serve(t, root, "static/large.css", "Accept-Encoding: "+accepted,
			"If-None-Match: "+string(header.Peek("Etag")))
		require.Equal(t, http.StatusNotModified, again.Response.StatusCode())
		require.Equal(t, "Accept-Encoding", string(again.Response.Header.Peek("Vary")))
	}

	part, _ := serve(t, root, "static/large.css", "Accept-Encoding: gzip", "Range: bytes=0-3")
	require.Equal(t, "body", string(part.Response.Body()))
	require.Empty(t, part.Response.Header.Peek("Content-Encoding"))

	small, _ := serve(t, root, "static/a.css", "Accept-Encoding: gzip")
	require.Empty(t, small.Response.Header.Peek("Content-Encoding"))

	require.NoError(t, os.WriteFile(large, []byte(text+"more"), 0o600))

	changed, _ := serve(t, root, "static/large.css", "Accept-Encoding: gzip")
	body, err := changed.Response.BodyUncompressed()
	require.NoError(t, err)
	require.Equal(t, text+"more", string(body))
}

func TestLeftToPython(t *testing.T) {
	root, _ := build(t)

	for _, path := range []string{
		"", "../secret.txt", "static/../../secret.txt", "..%2fsecret.txt",
		"%2e%2e/secret.txt", "/etc/passwd", "%2Fetc%2Fpasswd", "static%5Ca.css", "static/a.css%00", "static/a.css/", "%zz",
	} {
		request, served := serve(t, root, path)
		if path == "static/a.css/" { // as in Python, where a path is made normal first
			require.True(t, served)

			continue
		}

		require.False(t, served, path)
		require.Empty(t, request.Response.Body(), path)
	}

	for _, field := range []string{"If-Range: x", `If-Match: "x"`, "Range: bytes=0-1,3-4", "Range: lines=1-2", "Range: bytes=-0"} {
		_, served := serve(t, root, "static/a.css", field)
		require.False(t, served, field)
	}
}
