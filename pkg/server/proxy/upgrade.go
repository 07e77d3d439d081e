package proxy

import (
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/valyala/fasthttp"
)

// upgrades are the connections that no longer speak HTTP.
type upgrades struct {
	mu     sync.Mutex
	open   map[io.Closer]struct{}
	closed bool
}

// switchProtocols connects client and upstream once upstream's "101 Switching Protocols" is sent,
// and calls ended when either has closed its side.
func (u *upgrades) switchProtocols(request *fasthttp.RequestCtx, response *http.Response, ended func()) {
	upstream, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		panic("proxy: net/http gave no writable body for 101 Switching Protocols")
	}

	raw := request.Conn()

	request.Hijack(func(client net.Conn) {
		defer ended()

		if !u.add(upstream) {
			_ = upstream.Close()

			return
		}

		defer u.remove(upstream)

		done := make(chan struct{})

		go func() {
			defer close(done)

			_, _ = io.Copy(client, upstream)
			_ = raw.Close() // ends the copy below
		}()

		_, _ = io.Copy(upstream, client)
		_ = upstream.Close() // ends the copy above

		<-done
	})
}

func (u *upgrades) add(upstream io.Closer) bool {
	u.mu.Lock()
	defer u.mu.Unlock()

	if u.open == nil {
		u.open = map[io.Closer]struct{}{}
	}

	u.open[upstream] = struct{}{}

	return !u.closed
}

func (u *upgrades) remove(upstream io.Closer) {
	u.mu.Lock()
	defer u.mu.Unlock()

	delete(u.open, upstream)
}

func (u *upgrades) close() {
	u.mu.Lock()
	defer u.mu.Unlock()

	u.closed = true

	for upstream := range u.open {
		_ = upstream.Close()
	}
}
