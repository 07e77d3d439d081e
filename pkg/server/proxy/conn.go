package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lingering bounds how long a connection is read, and what was read thrown away, after an answer
// that came before the end of the request's body. Closing at once would reset the connection, and
// the client could lose the answer.
const lingering = 5 * time.Second

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

// Listener hands out connections that can tell when their client leaves. The server in front of a
// Proxy must listen on one.
type Listener struct{ net.Listener }

// Accept waits for a connection.
func (l Listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}

	return &conn{Conn: accepted}, nil
}

// conn is a client's connection. While it is watched nobody else may read from it.
type conn struct {
	net.Conn

	// stash holds the byte that watching read, until the next Read.
	stash   [1]byte
	stashed bool
	linger  atomic.Bool
	// ended is set when the client has closed its side or the connection is broken.
	ended atomic.Bool
}

// Read returns the stashed byte first.
func (c *conn) Read(p []byte) (int, error) {
	if c.stashed && len(p) > 0 {
		p[0] = c.stash[0]
		c.stashed = false

		return 1, nil
	}

	n, err := c.Conn.Read(p)
	if err != nil {
		c.ended.Store(true)
	}

	return n, err
}

// Close closes the connection, after a while of listening to a client that is still sending when
// its request was answered early.
func (c *conn) Close() error {
	if c.linger.Swap(false) {
		if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			_ = c.SetReadDeadline(time.Now().Add(lingering))
			_, _ = io.Copy(io.Discard, c.Conn) // until the client has seen the answer or the deadline
		}
	}

	return c.Conn.Close()
}

// watch calls gone when the client closes the connection or it breaks. The returned function ends
// watching; the connection may be read again afterwards. It may be called more than once.
//
// A client that sends its next request early can't be watched any further.
func (c *conn) watch(gone func()) (stop func()) {
	if c.stashed {
		return func() {}
	}

	ended := make(chan struct{})

	go func() {
		defer close(ended)

		n, err := c.Conn.Read(c.stash[:])
		if n == 1 {
			c.stashed = true
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			gone()
		}
	}()

	return sync.OnceFunc(func() {
		_ = c.SetReadDeadline(past) // fails only on a closed connection, whose read has ended
		<-ended
		_ = c.SetReadDeadline(time.Time{})
	})
}
