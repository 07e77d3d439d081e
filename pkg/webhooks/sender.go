package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/pyfmt"
	"github.com/mlflow/mlflow-go/pkg/webhooks/ssrf"
)

const (
	// maxRedirects is requests' limit.
	maxRedirects = 30
	// maxBackoff is the longest time between two attempts, unless the receiver asks for more.
	maxBackoff = time.Minute
	// maxRetryAfter is the longest time that a receiver may ask for; MLflow's is six hours.
	maxRetryAfter = time.Hour
	// maxHeader and maxDrained are how many bytes a receiver's headers may have, and how much of an
	// answer that nobody wants is read for the connection's sake.
	maxHeader  = 64 << 10
	maxDrained = 64 << 10
	// keptIdle is how long a connection waits for the next delivery.
	keptIdle = 30 * time.Second
)

// sender sends letters.
type sender struct {
	guard   *ssrf.Guard
	client  *http.Client
	timeout time.Duration
	retries int
}

// newSender makes a sender that uses no proxy: a proxy would be the peer that is judged, in the
// receiver's place.
func newSender(guard *ssrf.Guard, options Options) *sender {
	s := &sender{guard: guard, timeout: options.Timeout, retries: options.MaxRetries}

	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, options.Timeout)
			defer cancel()

			return guard.DialContext(ctx, network, address)
		},
		TLSHandshakeTimeout:    options.Timeout,
		ResponseHeaderTimeout:  options.Timeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           options.MaxWorkers,
		MaxIdleConnsPerHost:    2,
		IdleConnTimeout:        keptIdle,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
	s.client = &http.Client{Transport: transport, CheckRedirect: s.checkRedirect}

	return s
}

func (s *sender) close() { s.client.CloseIdleConnections() }

var errRedirects = fmt.Errorf("Exceeded %d redirects.", maxRedirects) //nolint:staticcheck // requests' words

// checkRedirect follows redirects as requests does, but only to where a webhook might be itself. The
// connection is the guard's to judge.
func (s *sender) checkRedirect(request *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errRedirects
	}

	request.Header.Del("Referer") // a webhook's address is often its password

	return s.guard.CheckScheme(request.URL.String())
}

// answer is what came of one attempt to send.
type answer struct {
	status int
	header http.Header
	body   []byte // what was asked for of it
	// asked is whether this is the answer to what was sent, and not to a redirect that dropped it.
	asked bool
	err   error // there was no answer
}

// attempt sends a letter once, and reads at most so many bytes of the answer.
func (s *sender) attempt(ctx context.Context, letter letter, read int64) answer {
	// The guard's errors are what a client is told of a URL that isn't good any more.
	if err := s.guard.CheckURL(ctx, letter.url); err != nil {
		return answer{err: err}
	}

	ctx, cancel := context.WithTimeout(ctx, 2*s.timeout) // to connect, and to be answered
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, trimURL(letter.url), bytes.NewReader(letter.body))
	if err != nil {
		return answer{err: &undeliverableError{err}}
	}

	if err := s.guard.CheckScheme(request.URL.String()); err != nil { // as net/url understands it
		return answer{err: err}
	}

	request.Header = letter.header.Clone()

	response, err := s.client.Do(request)
	if err != nil {
		if response != nil {
			_ = response.Body.Close() // a redirect that isn't followed
		}

		return answer{err: withoutURL(err)}
	}

	defer func() { _ = response.Body.Close() }() // what matters has been read

	result := answer{
		status: response.StatusCode, header: response.Header, asked: response.Request.Method == http.MethodPost,
	}

	if result.body, err = io.ReadAll(io.LimitReader(response.Body, read)); err != nil && read > 0 {
		return answer{err: err}
	}

	if read == 0 && 0 <= response.ContentLength && response.ContentLength <= maxDrained {
		_, _ = io.Copy(io.Discard, response.Body) // so that the connection can be used again
	}

	return result
}

// undeliverableError is a URL that MLflow takes and no request can be made for.
type undeliverableError struct{ error }

func (e *undeliverableError) Unwrap() error { return e.error }

// trimURL drops what Python's urllib.parse ignores.
func trimURL(raw string) string {
	return strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(
		strings.TrimFunc(raw, func(char rune) bool { return char <= ' ' }))
}

// withoutURL takes the receiver's address out of a client's error: a webhook's address is often its
// password.
func withoutURL(err error) error {
	if failure, ok := errors.AsType[*url.Error](err); ok {
		return failure.Err
	}

	return err
}

var (
	// retried are the answers after which MLflow tries again, the last of them only if told when.
	retried      = []int{429, 500, 502, 503, 504}
	retriedLater = []int{413}
)

// next says whether and when an attempt is to be repeated after so many failed ones, this one
// included (urllib3's Retry as delivery._create_webhook_session has it).
func (s *sender) next(failed int, result answer) (delay time.Duration, again bool) {
	if failed > s.retries {
		return 0, false
	}

	if result.err != nil {
		return backoff(failed), isPassing(result.err)
	}

	after, asked := retryAfter(result.header)

	switch {
	case !result.asked:
		return 0, false
	case !slices.Contains(retried, result.status) && (!asked || !slices.Contains(retriedLater, result.status)):
		return 0, false
	case asked && after > 0:
		return after, true
	default:
		return backoff(failed), true
	}
}

// backoff is none after the first failure, then two seconds, four, … and up to one more at random.
func backoff(failed int) time.Duration {
	if failed <= 1 {
		return 0
	}

	seconds := math.Pow(2, float64(failed-1)) + rand.Float64() //nolint:gosec // no secret

	return time.Duration(min(seconds*float64(time.Second), float64(maxBackoff)))
}

// retryAfter reads a Retry-After header; one that says nothing is as good as none.
func retryAfter(header http.Header) (delay time.Duration, found bool) {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0, false
	}

	if seconds, err := strconv.ParseUint(text, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second, true
	}

	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}

	return min(max(time.Until(at), 0), maxRetryAfter), true
}

// isPassing tells whether sending once more may help.
func isPassing(err error) bool {
	if _, blocked := errors.AsType[*ssrf.BlockedError](err); blocked {
		return false
	}

	if _, malformed := errors.AsType[*undeliverableError](err); malformed {
		return false
	}

	if _, refused := errors.AsType[*contract.Error](err); refused {
		return false
	}

	if _, panicked := errors.AsType[*contract.PanicError](err); panicked {
		return false
	}

	return !errors.Is(err, errRedirects) && !errors.Is(err, context.Canceled)
}

// describe is the repr() of the exception that MLflow would show for a failure, of its kind if not in
// all of its words.
func describe(err error) string {
	if known, ok := errors.AsType[*contract.Error](err); ok {
		return "MlflowException(" + pyfmt.Repr(known.Message) + ")"
	}

	if blocked, ok := errors.AsType[*ssrf.BlockedError](err); ok {
		return "SSRFProtectionError(" + pyfmt.Repr(blocked.Error()) + ")"
	}

	if malformed, ok := errors.AsType[*undeliverableError](err); ok {
		return "InvalidURL(" + pyfmt.Repr(withoutURL(malformed.error).Error()) + ")"
	}

	kind := "ConnectionError"

	if errors.Is(err, errRedirects) {
		kind = "TooManyRedirects"
	}

	if errors.Is(err, errToken) {
		kind = "InvalidToken"
	}

	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		kind = "SSLError"
	}

	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		kind = "SSLError"
	}

	return kind + "(" + pyfmt.Repr(err.Error()) + ")"
}
