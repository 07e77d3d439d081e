package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/valyala/fasthttp"
)

// exchange is one request being passed on: it cancels upstream when the client leaves and cuts the
// connection's streams from the transport when it is over.
type exchange struct {
	conn   *conn
	cancel context.CancelFunc
	body   *upload // nil when the request has none

	mu    sync.Mutex
	over  bool
	still func() // ends watching
}

// watch starts to watch the client; the request's body must have been read by then.
func (e *exchange) watch() {
	e.mu.Lock()
	defer e.mu.Unlock()

	if !e.over {
		e.still = e.conn.watch(e.cancel)
	}
}

// closeUnlessRead closes the connection after the answer when part of the request's body is still
// on it: what follows would be read as the next request.
func (e *exchange) closeUnlessRead(request *fasthttp.RequestCtx) {
	if e.body != nil && !e.body.complete() {
		request.SetConnectionClose()
		e.conn.linger.Store(true)
	}
}

// end gives the connection back to the server.
func (e *exchange) end() {
	if e.body != nil {
		e.body.finish()
	}

	e.mu.Lock()
	e.over = true
	still := e.still
	e.mu.Unlock()

	if still != nil {
		still()
	}
}

// stream sends upstream's body as it comes.
func (e *exchange) stream(to *fasthttp.Response, from *http.Response) {
	to.ImmediateHeaderFlush = true
	to.SetBodyStream(&download{exchange: e, body: from.Body}, int(from.ContentLength))
}

// download is the body of upstream's answer.
type download struct {
	exchange *exchange
	body     io.ReadCloser
}

var buffers = sync.Pool{New: func() any { return new([transferBuffer]byte) }}

func (d *download) Read(p []byte) (int, error) { return d.body.Read(p) }

// SupportsBodyWriteTo tells fasthttp to use WriteTo instead of Read.
func (*download) SupportsBodyWriteTo() bool { return true }

// WriteTo sends each piece on as soon as it is there.
func (d *download) WriteTo(w io.Writer) (written int64, err error) {
	buffer, _ := buffers.Get().(*[transferBuffer]byte)
	defer buffers.Put(buffer)

	for {
		n, readErr := d.body.Read(buffer[:])
		if n > 0 {
			m, err := w.Write(buffer[:n])
			written += int64(m)

			if err != nil {
				return written, err
			}

			if buffered, ok := w.(*bufio.Writer); ok {
				if err := buffered.Flush(); err != nil {
					return written, err
				}
			}
		}

		if errors.Is(readErr, io.EOF) {
			return written, nil
		}

		if readErr != nil {
			return written, readErr
		}
	}
}

// Close is called by the server when the answer was sent, or couldn't be.
func (d *download) Close() error {
	d.exchange.cancel()
	d.exchange.end()

	return d.body.Close()
}

// CloseUnlessRead is for an answer that is given before the request's body was read: it has the
// connection closed after it, unless there is no body, since what follows on the connection would be
// read as the next request.
func CloseUnlessRead(request *fasthttp.RequestCtx) {
	if request.Request.Header.ContentLength() == 0 || request.RequestBodyStream() == nil {
		return
	}

	request.SetConnectionClose()

	if client, ok := request.Conn().(*conn); ok {
		client.linger.Store(true)
	}
}
