package proxy

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
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
	failed atomic.Bool
}

// Body is the body of a request that is read here and not passed on. Reading it returns
// io.ErrUnexpectedEOF when the client stopped too early. There is none when it is nil.
func Body(request *fasthttp.RequestCtx) io.Reader {
	client, ok := request.Conn().(*conn)
	if !ok {
		panic("proxy: the server's listener is not a proxy.Listener")
	}

	if body := newUpload(client, request, func() {}); body != nil {
		return body
	}

	return nil
}

// newUpload returns nil for a request without a body.
func newUpload(client *conn, request *fasthttp.RequestCtx, atEnd func()) *upload {
	// fasthttp knows of a body that is empty (0), chunked (-1) or absent (-2).
	length := request.Request.Header.ContentLength()
	if length == 0 || length == -2 {
		return nil
	}

	return &upload{conn: client, length: int64(length), stream: request.RequestBodyStream(), atEnd: atEnd}
}

// Read returns io.ErrUnexpectedEOF when the body stops before its declared length, or, chunked,
// because the connection did: the stream itself reports such a body as a complete one.
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

	whole := u.read == u.length || u.length < 0 && errors.Is(err, io.EOF) && !u.conn.ended.Load()

	switch {
	case whole:
		u.ended.Store(true)
		u.atEnd()

		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF

		fallthrough
	case err != nil:
		u.failed.Store(true)
	}

	return n, err
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
