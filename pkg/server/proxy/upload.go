package proxy

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// upload is the body of a request on its way upstream. The transport may read it from its own
// goroutine for longer than the request lives, and the stream below belongs to the server's
// connection, so finish cuts the two apart.
type upload struct {
	conn *conn
	// length is the declared Content-Length, or -1 when the body is chunked.
	length int64
	// atEnd is called once, when the whole body has been read.
	atEnd func()

	mu     sync.Mutex // held while reading
	stream io.Reader  // nil after finish
	read   int64
	ended  atomic.Bool
}

// Read returns io.ErrUnexpectedEOF when the body stops before its declared length: the stream
// itself reports a truncated body as a complete one.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()

	if u.ended.Load() {
		return 0, io.EOF
	}

	if u.stream == nil {
		return 0, io.ErrClosedPipe
	}

	n, err := u.stream.Read(p)
	u.read += int64(n)

	switch {
	case u.read == u.length, u.length < 0 && err == io.EOF: //nolint:errorlint // io.EOF is never wrapped
		u.ended.Store(true)
		u.atEnd()

		return n, io.EOF
	case err == io.EOF: //nolint:errorlint // io.EOF is never wrapped
		return n, io.ErrUnexpectedEOF
	default:
		return n, err
	}
}

// Close lets the transport give up on the body; the rest is finish's business.
func (*upload) Close() error { return nil }

// complete tells whether the whole body has been read.
func (u *upload) complete() bool { return u.ended.Load() }

// finish ends all reading, also one that waits for the client.
func (u *upload) finish() {
	if u.complete() {
		return
	}

	_ = u.conn.SetReadDeadline(past)

	u.mu.Lock()
	u.stream = nil
	u.mu.Unlock()

	_ = u.conn.SetReadDeadline(time.Time{})
}
