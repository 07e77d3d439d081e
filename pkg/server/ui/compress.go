package ui

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// leastCompressed is the size in bytes from which compression saves packets.
const leastCompressed = 1400

// compressible are the types that aren't compressed already.
var compressible = map[string]bool{
	".cjs": true, ".css": true, ".eot": true, ".html": true, ".ico": true, ".js": true, ".json": true, ".mjs": true,
	".svg": true, ".ttf": true, ".txt": true,
}

// version tells one state of a file from another.
type version struct {
	name     string
	modified time.Time
	size     int64
}

// variants are files compressed by gzip, each once, at the first request for it. All of MLflow's UI takes
// some 8 MB; files change only when MLflow is upgraded under a running server.
type variants struct {
	mu   sync.Mutex
	made map[version]func() ([]byte, error)
}

var zipped = variants{made: map[version]func() ([]byte, error){}}

// of returns a file compressed. Requests that come while it is being compressed wait.
func (v *variants) of(name string, info os.FileInfo) ([]byte, error) {
	key := version{name, info.ModTime(), info.Size()}

	v.mu.Lock()

	compressed, known := v.made[key]
	if !known {
		compressed = sync.OnceValues(func() ([]byte, error) { return compress(name) })
		v.made[key] = compressed
	}

	v.mu.Unlock()

	return compressed()
}

func compress(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // below root, see locate
	if err != nil {
		return nil, fmt.Errorf("compressing %s: %w", filepath.Base(name), err)
	}

	defer func() { _ = file.Close() }() // only read from

	var compressed bytes.Buffer

	writer := gzip.NewWriter(&compressed)
	if _, err := io.Copy(writer, file); err != nil {
		return nil, fmt.Errorf("compressing %s: %w", filepath.Base(name), err)
	}

	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("compressing %s: %w", filepath.Base(name), err)
	}

	return bytes.Clone(compressed.Bytes()), nil
}
