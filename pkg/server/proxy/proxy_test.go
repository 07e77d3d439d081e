package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/valyala/fasthttp"
)

const patience = 10 * time.Second

var errStarting = errors.New("still starting")

// upstream stands for the Python server.
type upstream struct {
	address string
	err     error
}

func (u upstream) Address() string             { return u.address }
func (u upstream) Ready(context.Context) error { return u.err }

// front starts a proxy before an address and returns its own.
func front(t *testing.T, to upstream) string {
	t.Helper()

	proxy := &Proxy{Upstream: to, Scheme: "http", Fail: func(request *fasthttp.RequestCtx, err error) {
		request.SetStatusCode(http.StatusServiceUnavailable)
		request.SetBodyString(err.Error())
	}}
	server := &fasthttp.Server{
		Handler: func(request *fasthttp.RequestCtx) {
			if string(request.Path()) == "/early" {
				CloseUnlessRead(request)
				request.SetBodyString("early")

				return
			}

			proxy.Serve(request)
		},
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultContentType:         true,
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	go func() { _ = server.Serve(Listener{listener}) }()

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()

		proxy.Close()
		_ = server.ShutdownWithContext(ctx)
	})

	return listener.Addr().String()
}

// before starts an upstream with a handler and a proxy before it.
func before(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()

	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)

	return front(t, upstream{address: server.Listener.Addr().String()})
}

// dial opens a connection that a test writes its own bytes to.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()

	connection, err := net.Dial("tcp", address)
	require.NoError(t, err)
	require.NoError(t, connection.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = connection.Close() })

	return connection
}

func sendf(t *testing.T, to io.Writer, format string, args ...any) {
	t.Helper()

	_, err := fmt.Fprintf(to, format, args...)
	require.NoError(t, err)
}

// reply is what the tests look at in an answer.
type reply struct {
	StatusCode int
	Header     http.Header
	Close      bool
}

func receive(t *testing.T, from *bufio.Reader, method string) (reply, string) {
	t.Helper()

	response, err := http.ReadResponse(from, &http.Request{Method: method})
	require.NoError(t, err)

	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())

	return reply{response.StatusCode, response.Header, response.Close}, string(body)
}

func wait[T any](t *testing.T, from <-chan T) T {
	t.Helper()

	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		require.FailNow(t, "it didn't happen in time")

		panic("unreachable")
	}
}

func TestRequestIsPassedOnAsItWas(t *testing.T) {
	seen := make(chan *http.Request, 1)
	address := before(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen <- r

		w.Header().Add("Set-Cookie", "a=1; Path=/")
		w.Header().Add("Set-Cookie", "b=2; Path=/")
		w.Header().Set("Connection", "X-Secret")
		w.Header().Set("X-Secret", "1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	connection := dial(t, address)

	sendf(t, connection, "PATCH /a%%2Fb//c?q=%%20x&&y=+;%%7e HTTP/1.1\r\nHost: mlflow.example:99\r\n"+
		"Origin: http://mlflow.example\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n"+
		"Cookie: z=1; y=\"2\"\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"+
		"X-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 4\r\n\r\nbody")

	response, body := receive(t, bufio.NewReader(connection), http.MethodPatch)
	request := wait(t, seen)
	sent, _ := io.ReadAll(request.Body)

	require.Equal(t, http.MethodPatch, request.Method)
	require.Equal(t, "/a%2Fb//c?q=%20x&&y=+;%7e", request.RequestURI)
	require.Equal(t, "mlflow.example:99", request.Host)
	require.Equal(t, "http://mlflow.example", request.Header.Get("Origin"))
	require.Equal(t, "9.9.9.9, 127.0.0.1", request.Header.Get("X-Forwarded-For"))
	require.Equal(t, "https, http", request.Header.Get("X-Forwarded-Proto"))
	require.Equal(t, `z=1; y="2"`, request.Header.Get("Cookie"))
	require.Equal(t, []string{"1", "2"}, request.Header.Values("X-Twice"))
	require.Equal(t, "body", string(sent))

	for _, gone := range []string{"X-Mine", "Te", "User-Agent", "Accept-Encoding", "Via"} {
		require.NotContains(t, request.Header, gone)
	}

	require.Equal(t, http.StatusTeapot, response.StatusCode)
	require.Equal(t, "short and stout", body)
	require.Equal(t, Via, response.Header.Get("Via"))
	require.ElementsMatch(t, []string{"a=1; Path=/", "b=2; Path=/"}, response.Header.Values("Set-Cookie"))
	require.NotContains(t, response.Header, "X-Secret")
}

func TestTargetsKeepTheirBytes(t *testing.T) {
	address := before(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) })
	connection := dial(t, address)
	reader := bufio.NewReader(connection)

	for _, target := range []string{"/", "//x//y?a=//b", "/?", "/a?b?c=%zz", "/%7Euser/./x", "/ü", "/a;b=c,d:e@f"} {
		sendf(t, connection, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target)

		_, body := receive(t, reader, http.MethodGet)
		require.Equal(t, target, body)
	}
}

func TestLargeBodiesStreamBothWays(t *testing.T) {
	const size = 512 << 20

	address := before(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != size {
			w.WriteHeader(http.StatusBadRequest)
		}

		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
	})

	request, err := http.NewRequest(http.MethodPut, "http://"+address+"/", io.LimitReader(zeros{}, size))
	require.NoError(t, err)

	request.ContentLength = size

	ended := make(chan struct{})
	peak := make(chan uint64)

	go func() {
		var highest uint64

		for {
			var memory runtime.MemStats

			runtime.ReadMemStats(&memory)
			highest = max(highest, memory.HeapInuse)

			select {
			case <-ended:
				peak <- highest

				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()

	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)

	n, err := io.Copy(io.Discard, response.Body)
	close(ended)

	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.EqualValues(t, size, n)
	require.Less(t, wait(t, peak), uint64(32<<20))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestEventsArriveOneByOne(t *testing.T) {
	next := make(chan struct{})
	address := before(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()

		for i := range 3 {
			<-next
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
		}
	})

	response, err := http.Get("http://" + address + "/")
	require.NoError(t, err)

	defer func() { _ = response.Body.Close() }()

	reader := bufio.NewReader(response.Body)

	for i := range 3 {
		next <- struct{}{}

		line, err := reader.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("data: %d\n", i), line)

		_, _ = reader.ReadString('\n')
	}
}

func TestSlowBodyOfKnownLengthIsNotHeldBack(t *testing.T) {
	next := make(chan struct{})
	address := before(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "2")
		_, _ = io.WriteString(w, "a")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = io.WriteString(w, "b")
	})

	response, err := http.Get("http://" + address + "/")
	require.NoError(t, err)

	defer func() { _ = response.Body.Close() }()

	first := make([]byte, 1)
	_, err = io.ReadFull(response.Body, first)
	require.NoError(t, err)
	close(next)

	rest, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "b", string(rest))
}

func TestUpgradePasses(t *testing.T) {
	closed := make(chan struct{})
	address := before(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			w.WriteHeader(http.StatusBadRequest)

			return
		}

		connection, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}

		defer close(closed)
		defer func() { _ = connection.Close() }()

		_, _ = io.WriteString(connection,
			"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: k\r\n\r\n")
		_, _ = io.Copy(connection, buffered)
	})
	connection := dial(t, address)
	reader := bufio.NewReader(connection)

	sendf(t, connection, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

	response, err := http.ReadResponse(reader, nil) //nolint:bodyclose // the connection is the body
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.Equal(t, "websocket", response.Header.Get("Upgrade"))
	require.Equal(t, "k", response.Header.Get("Sec-WebSocket-Accept"))

	for _, message := range []string{"hello", "again"} {
		sendf(t, connection, "%s", message)

		echo := make([]byte, len(message))
		_, err = io.ReadFull(reader, echo)
		require.NoError(t, err)
		require.Equal(t, message, string(echo))
	}

	require.NoError(t, connection.Close())
	wait(t, closed)
}

func TestClientThatLeavesCancelsUpstream(t *testing.T) {
	for name, test := range map[string]struct {
		request string
		stream  bool
	}{
		"before the answer":        {request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		"after its body was read":  {request: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok"},
		"after a chunked body":     {request: "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
		"in the middle of a body":  {request: "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 10000)},
		"while nothing is sent":    {request: "GET / HTTP/1.1\r\nHost: x\r\n\r\n", stream: true},
		"after asking once before": {request: "GET /fast HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			began, cancelled := make(chan struct{}), make(chan struct{})
			address := before(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/fast" {
					return
				}

				if test.stream {
					w.WriteHeader(http.StatusOK)
					_ = http.NewResponseController(w).Flush()
				}

				close(began)

				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
				close(cancelled)
			})
			connection := dial(t, address)

			sendf(t, connection, "%s", test.request)
			wait(t, began)
			require.NoError(t, connection.Close())
			wait(t, cancelled)
		})
	}
}

func TestConnectionIsUsedAgain(t *testing.T) {
	address := before(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond) // long enough to be watched
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, body)
	})
	connection := dial(t, address)
	reader := bufio.NewReader(connection)

	for _, request := range []string{
		"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
		"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n",
		"POST /4 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	} {
		sendf(t, connection, "%s", request)

		response, body := receive(t, reader, http.MethodGet)
		require.False(t, response.Close)
		require.NotEmpty(t, body)
	}

	// The next request comes before the answer to the one before it, split at its first byte.
	sendf(t, connection, "GET /5 HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(5 * time.Millisecond)
	sendf(t, connection, "G")
	time.Sleep(5 * time.Millisecond)
	sendf(t, connection, "ET /6 HTTP/1.1\r\nHost: x\r\n\r\n")

	for _, path := range []string{"/5 ", "/6 "} {
		_, body := receive(t, reader, http.MethodGet)
		require.Equal(t, path, body)
	}
}

func TestTruncatedUploadIsNotComplete(t *testing.T) {
	for name, request := range map[string]string{
		"known length": "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 12000),
		"chunked":      "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			result := make(chan error, 1)
			address := before(t, func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				result <- err
			})
			connection := dial(t, address)

			sendf(t, connection, "%s", request)

			half, ok := connection.(*net.TCPConn)
			require.True(t, ok)
			require.NoError(t, half.CloseWrite())
			require.Error(t, wait(t, result))
		})
	}
}

func TestExpectContinue(t *testing.T) {
	address := before(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	connection := dial(t, address)
	reader := bufio.NewReader(connection)

	sendf(t, connection, "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")

	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)

	_, _ = reader.ReadString('\n')

	sendf(t, connection, "hello")

	_, body := receive(t, reader, http.MethodPut)
	require.Equal(t, "hello", body)
}

// A body that nobody reads must not become the next request.
func TestEarlyAnswer(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

	paths := make(chan string, 10)
	address := before(t, func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path

		_, _ = io.WriteString(w, "early")
	})

	body := strings.Repeat(smuggled, 1<<20/len(smuggled))

	for _, path := range []string{"/early", "/upstream"} {
		t.Run(path, func(t *testing.T) {
			connection := dial(t, address)

			go func() { // it takes the proxy a while to read
				_, _ = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
			}()

			reader := bufio.NewReader(connection)

			response, answer := receive(t, reader, http.MethodPost)
			require.Equal(t, "early", answer)

			if response.Close {
				_, err := reader.ReadByte()
				require.ErrorIs(t, err, io.EOF)
			}

			for len(paths) > 0 {
				require.Equal(t, "/upstream", <-paths)
			}
		})
	}
}

func TestUpstreamThatBreaksOff(t *testing.T) {
	for name, length := range map[string]string{"known length": "Content-Length: 100\r\n", "chunked": "Transfer-Encoding: chunked\r\n"} {
		t.Run(name, func(t *testing.T) {
			address := before(t, func(w http.ResponseWriter, _ *http.Request) {
				connection, _, err := http.NewResponseController(w).Hijack()
				if err == nil {
					_, _ = fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\n%s\r\n5\r\nhello\r\n", length)
					_ = connection.Close()
				}
			})

			response, err := http.Get("http://" + address + "/")
			require.NoError(t, err)

			defer func() { _ = response.Body.Close() }()

			_, err = io.ReadAll(response.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	}
}

func TestUpstreamThatIsNotThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)

	address := listener.Addr().String()
	require.NoError(t, listener.Close())

	for name, test := range map[string]struct {
		upstream upstream
		want     string
	}{
		"ErrUpstream": {upstream{address: address}, ErrUpstream.Error()},
		"ErrNotReady": {upstream{address: address, err: errStarting}, errStarting.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := http.Post("http://"+front(t, test.upstream)+"/", "text/plain", strings.NewReader("x"))
			require.NoError(t, err)

			defer func() { _ = response.Body.Close() }()

			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
			require.Contains(t, string(body), test.want)
			require.NotContains(t, response.Header, "Via")
		})
	}
}

func TestAnswersWithoutBody(t *testing.T) {
	address := before(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/304":
			w.Header().Set("ETag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/unknown":
			_ = http.NewResponseController(w).Flush()
		default:
			w.Header().Set("Content-Encoding", "gzip")
			w.Header().Set("Content-Length", "1234")
		}
	})
	connection := dial(t, address)
	reader := bufio.NewReader(connection)

	for _, want := range []struct {
		request string
		status  int
		header  string
		value   string
	}{
		{"HEAD /", http.StatusOK, "Content-Length", "1234"},
		{"GET /304", http.StatusNotModified, "Etag", `"x"`},
		{"GET /204", http.StatusNoContent, "Content-Length", ""},
		{"HEAD /unknown", http.StatusOK, "Content-Length", ""},
		{"HEAD /", http.StatusOK, "Content-Encoding", "gzip"},
	} {
		sendf(t, connection, "%s HTTP/1.1\r\nHost: x\r\n\r\n", want.request)

		method, _, _ := strings.Cut(want.request, " ")
		response, body := receive(t, reader, method)
		require.Equal(t, want.status, response.StatusCode)
		require.Equal(t, want.value, response.Header.Get(want.header))
		require.Empty(t, body)
	}
}
