package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Via marks proxied answers.
const Via = "1.1 mlflow-go"

const (
	contentLength = "Content-Length"

	// idleUpstream is shorter than the two minutes after which the fallback closes an idle
	// connection, so that no request is sent into a closing one.
	idleUpstream    = time.Minute
	idleConnections = 128
	transferBuffer  = 32 << 10 // bytes
)

// Errors of a request that could not be passed on.
var (
	// ErrUnreadable says that the client's headers or body break HTTP's rules.
	ErrUnreadable = errors.New("the request could not be read")
	// ErrUpstream says that the Python server gave no answer.
	ErrUpstream = errors.New("the MLflow Python server gave no answer")
)

// Upstream is the server behind the proxy.
type Upstream interface {
	// Address is its host and port.
	Address() string
	// Ready returns once it answers requests; its error is shown to the client.
	Ready(ctx context.Context) error
}

// Proxy passes requests on. It is safe for concurrent use.
type Proxy struct {
	// Upstream is where requests go.
	Upstream Upstream
	// Scheme is what clients use, http or https, for X-Forwarded-Proto.
	Scheme string
	// Fail answers a request that couldn't be passed on, in MLflow's form.
	Fail func(request *fasthttp.RequestCtx, err error)

	transport http.Transport
	once      sync.Once
	upgrades  upgrades
}

// Serve answers a request with upstream's answer.
func (p *Proxy) Serve(request *fasthttp.RequestCtx) {
	client, ok := request.Conn().(*conn)
	if !ok {
		panic("proxy: the server's listener is not a proxy.Listener")
	}

	ctx, cancel := context.WithCancel(context.Background())
	exchange := &exchange{conn: client, cancel: cancel}

	outgoing, err := p.outgoing(ctx, request, exchange)
	if err != nil {
		p.abandon(request, exchange, errors.Join(ErrUnreadable, err))

		return
	}

	if err := p.Upstream.Ready(ctx); err != nil {
		p.abandon(request, exchange, err)

		return
	}

	response, err := p.roundTripper().RoundTrip(outgoing)
	if err != nil {
		kind := ErrUpstream
		if exchange.body != nil && exchange.body.failed.Load() {
			kind = ErrUnreadable
		}

		p.abandon(request, exchange, errors.Join(kind, err))

		return
	}

	answer(&request.Response, response)

	if response.StatusCode == http.StatusSwitchingProtocols {
		exchange.end()
		p.upgrades.switchProtocols(request, response, cancel)

		return
	}

	exchange.closeUnlessRead(request)

	if request.IsHead() || response.StatusCode == http.StatusNoContent || response.StatusCode == http.StatusNotModified {
		// A stream would be ended by an empty line, which the client would take for the next answer.
		exchange.end()
		cancel()

		_ = response.Body.Close() // there is none
		request.Response.Header.SetContentLength(int(response.ContentLength))
		request.Response.SkipBody = true

		return
	}

	exchange.stream(&request.Response, response)
}

// Close ends what no request waits for: idle connections upstream and upgraded ones.
func (p *Proxy) Close() {
	p.roundTripper().CloseIdleConnections()
	p.upgrades.close()
}

func (p *Proxy) roundTripper() *http.Transport {
	p.once.Do(func() {
		dialer := &net.Dialer{}
		p.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", p.Upstream.Address())
		}
		p.transport.DisableCompression = true // an encoding is between client and upstream
		p.transport.MaxIdleConnsPerHost = idleConnections
		p.transport.IdleConnTimeout = idleUpstream
		p.transport.ReadBufferSize = transferBuffer
		p.transport.WriteBufferSize = transferBuffer
	})

	return &p.transport
}

// abandon answers without upstream.
func (p *Proxy) abandon(request *fasthttp.RequestCtx, exchange *exchange, err error) {
	exchange.closeUnlessRead(request)
	exchange.end()
	exchange.cancel()
	p.Fail(request, err)
}

// outgoing makes the request that goes upstream and starts to watch the client.
func (p *Proxy) outgoing(
	ctx context.Context, request *fasthttp.RequestCtx, exchange *exchange,
) (*http.Request, error) {
	header, err := incomingHeader(&request.Request.Header)
	if err != nil {
		return nil, err
	}

	p.forward(header, request.RemoteIP())

	target := string(request.Request.Header.RequestURI())
	outgoing := &http.Request{
		Method: string(request.Method()),
		URL:    &url.URL{Scheme: "http", Host: p.Upstream.Address(), Opaque: target},
		Host:   string(request.Request.Header.Host()),
		Header: header,
		Body:   http.NoBody,
	}

	if strings.HasPrefix(target, "//") {
		// An opaque target that starts so would be sent with the scheme before it.
		path, query, _ := strings.Cut(target, "?")
		outgoing.URL.Opaque = ""
		outgoing.URL.RawPath, outgoing.URL.RawQuery = path, query

		if outgoing.URL.Path, err = url.PathUnescape(path); err != nil {
			return nil, err
		}
	}

	if exchange.body = newUpload(exchange.conn, request, exchange.watch); exchange.body != nil {
		outgoing.Body = exchange.body
		outgoing.ContentLength = exchange.body.length
	} else {
		exchange.watch()
	}

	return outgoing.WithContext(ctx), nil
}

// incomingHeader reads the client's headers as they were sent, without those that belong to its
// connection.
func incomingHeader(incoming *fasthttp.RequestHeader) (http.Header, error) {
	raw := io.MultiReader(bytes.NewReader(incoming.RawHeaders()), strings.NewReader("\r\n"))

	fields, err := textproto.NewReader(bufio.NewReader(raw)).ReadMIMEHeader()
	if err != nil {
		return nil, err
	}

	header := http.Header(fields)
	upgrade := upgradeOf(header)

	removeHopByHop(header)

	for _, name := range []string{"Host", contentLength, "Expect"} {
		header.Del(name) // said by the request's own fields; the client was told to continue already
	}

	if upgrade != "" {
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{upgrade}
	}

	if _, sent := header["User-Agent"]; !sent {
		header["User-Agent"] = nil // or the transport names itself
	}

	return header, nil
}

// forward appends our own hop to what the client said of earlier ones; the Python side takes it off
// again and then knows peer and scheme as if it had been asked directly.
func (p *Proxy) forward(header http.Header, peer net.IP) {
	for name, value := range map[string]string{
		"X-Forwarded-For":   peer.String(),
		"X-Forwarded-Proto": p.Scheme,
	} {
		header.Set(name, strings.Join(append(header.Values(name), value), ", "))
	}
}

// answer copies status and headers of upstream's answer.
func answer(to *fasthttp.Response, from *http.Response) {
	upgrade := upgradeOf(from.Header)

	removeHopByHop(from.Header)
	from.Header.Del(contentLength)
	from.Header.Add("Via", Via)

	if from.StatusCode == http.StatusSwitchingProtocols {
		from.Header.Set("Connection", "Upgrade")
		from.Header.Set("Upgrade", upgrade)
	}

	to.SetStatusCode(from.StatusCode)

	for name, values := range from.Header {
		for _, value := range values {
			to.Header.Add(name, value)
		}
	}
}

// upgradeOf returns the protocol that a message asks to upgrade to, or nothing.
func upgradeOf(header http.Header) string {
	for _, connection := range header.Values("Connection") {
		for token := range strings.SplitSeq(connection, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return header.Get("Upgrade")
			}
		}
	}

	return ""
}

func removeHopByHop(header http.Header) {
	for _, connection := range header.Values("Connection") {
		for token := range strings.SplitSeq(connection, ",") {
			header.Del(strings.TrimSpace(token))
		}
	}

	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	} {
		header.Del(name)
	}
}
