package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/contract"
	"github.com/mlflow/mlflow-go/pkg/protos"
	"github.com/mlflow/mlflow-go/pkg/webhooks/ssrf"
)

var created = contract.Event{
	Entity: protos.WebhookEntity_PROMPT, Action: protos.WebhookAction_CREATED,
	Payload: map[string]string{"name": "p"},
}

// post is a request that a receiver got.
type post struct {
	method string
	header http.Header
	body   []byte
	at     time.Time
}

// mailbox is a real HTTP receiver that keeps what it gets; respond, if set, answers.
type mailbox struct {
	*httptest.Server

	mu      sync.Mutex
	posts   []post
	respond func(w http.ResponseWriter, r *http.Request, number int)
}

func newMailbox(t *testing.T, respond func(w http.ResponseWriter, r *http.Request, number int)) *mailbox {
	t.Helper()

	m := &mailbox{respond: respond}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)

		m.mu.Lock()
		m.posts = append(m.posts, post{r.Method, r.Header.Clone(), body, time.Now()})
		number := len(m.posts)
		m.mu.Unlock()

		if m.respond != nil {
			m.respond(w, r, number)
		}
	}))
	t.Cleanup(m.Close)

	return m
}

func (m *mailbox) got() []post {
	m.mu.Lock()
	defer m.mu.Unlock()

	return append([]post{}, m.posts...)
}

func (m *mailbox) wait(t *testing.T, count int) []post {
	t.Helper()
	require.Eventually(t, func() bool { return len(m.got()) >= count }, 10*time.Second, 5*time.Millisecond,
		"waiting for %d requests", count)

	return m.got()
}

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()

	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()

	return j.text.String()
}

// local are options that let a test's receivers be reached, with a log.
func local() (Options, *journal) {
	log := &journal{}

	return Options{
		AllowedSchemes: []string{"http", "https"}, AllowPrivate: true, Timeout: 2 * time.Second, MaxWorkers: 10,
		MaxRetries: 3, CacheTTL: time.Minute, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}.withDefaults(), log
}

// newTestDeliverer delivers every event to some receivers.
func newTestDeliverer(t *testing.T, options Options, to ...receiver) *Deliverer {
	t.Helper()

	d := newDeliverer(func(context.Context, event) ([]receiver, error, error) { return to, nil, nil },
		newSender(ssrf.NewGuard(options.AllowedSchemes, options.AllowPrivate, options.Resolver), options), options)

	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		d.Shutdown(ended)
	})

	return d
}

func TestDelivery(t *testing.T) {
	options, _ := local()
	box := newMailbox(t, nil)
	d := newTestDeliverer(t, options, receiver{id: "signed", url: box.URL + "/a", secret: "s3cret"},
		receiver{id: "unsigned", url: box.URL + "/b"})

	d.Notify(t.Context(), created)

	var signatures int

	for _, got := range box.wait(t, 2) {
		require.Equal(t, "POST", got.method)
		require.Equal(t, "application/json", got.header.Get("Content-Type"))

		var payload map[string]any
		require.NoError(t, json.Unmarshal(got.body, &payload))
		require.Equal(t, "prompt", payload["entity"])
		require.Equal(t, "created", payload["action"])
		require.Equal(t, map[string]any{"name": "p"}, payload["data"])
		_, err := time.Parse(time.RFC3339Nano, payload["timestamp"].(string))
		require.NoError(t, err)

		seconds, err := strconv.ParseInt(got.header.Get("X-Mlflow-Timestamp"), 10, 64)
		require.NoError(t, err)
		require.InDelta(t, time.Now().Unix(), seconds, 5)

		if signature := got.header.Get("X-Mlflow-Signature"); signature != "" {
			signatures++

			require.Equal(t, sign("s3cret", got.header.Get("X-Mlflow-Delivery-Id"),
				got.header.Get("X-Mlflow-Timestamp"), got.body), signature)
		}
	}

	require.Equal(t, 1, signatures)
}

func TestDeliveryIsRepeated(t *testing.T) {
	t.Parallel()

	for _, status := range []int{429, 500, 502, 503, 504} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()

			options, log := local()
			box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, number int) {
				if number < 3 {
					w.WriteHeader(status)
				}
			})
			d := newTestDeliverer(t, options, receiver{url: box.URL, secret: "s"})

			d.Notify(t.Context(), created)

			got := box.wait(t, 3)
			require.Less(t, got[1].at.Sub(got[0].at), time.Second)
			require.Greater(t, got[2].at.Sub(got[1].at), 2*time.Second)
			require.Less(t, got[2].at.Sub(got[1].at), 4*time.Second)

			for _, again := range got[1:] { // one delivery, whatever it takes
				require.Equal(t, got[0].header, again.header)
				require.Equal(t, got[0].body, again.body)
			}

			d.Shutdown(t.Context())
			require.Len(t, box.got(), 3)
			require.Empty(t, log.String())
		})
	}
}

func TestDeliveryIsGivenUp(t *testing.T) {
	t.Parallel()

	for status, attempts := range map[int]int{400: 1, 404: 1, 413: 1, 501: 1, 503: 2} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()

			options, log := local()
			options.MaxRetries = 1
			box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(status) })
			d := newTestDeliverer(t, options, receiver{id: "w1", url: box.URL + "/token"})

			d.Notify(t.Context(), created)
			box.wait(t, attempts)
			d.Shutdown(t.Context())
			require.Len(t, box.got(), attempts)
			require.Contains(t, log.String(), `msg="webhook deliveries failed" count=1 event=prompt.created `+
				fmt.Sprintf(`reason="the receiver answered %d"`, status))
			require.Contains(t, log.String(), fmt.Sprintf("webhook=w1 attempts=%d", attempts))
			require.NotContains(t, log.String(), "token")
		})
	}
}

func TestRetryAfter(t *testing.T) {
	options, _ := local()
	box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, number int) {
		if number == 1 {
			w.Header().Set("Retry-After", " 1 ")
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	d := newTestDeliverer(t, options, receiver{url: box.URL})

	d.Notify(t.Context(), created)

	got := box.wait(t, 2)
	require.Greater(t, got[1].at.Sub(got[0].at), 900*time.Millisecond)

	for text, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Second, "99999999999999": maxRetryAfter, "Mon, 01 Jan 2001 00:00:00 GMT": 0,
		"Mon, 01 Jan 2999 00:00:00 GMT": maxRetryAfter,
	} {
		got, found := retryAfter(http.Header{"Retry-After": {text}})
		require.True(t, found, text)
		require.Equal(t, want, got, text)
	}

	for _, text := range []string{"", "soon", "-1", "1.5"} {
		_, found := retryAfter(http.Header{"Retry-After": {text}})
		require.False(t, found, text)
	}
}

func TestBackoff(t *testing.T) {
	require.Zero(t, backoff(1))

	for failed, seconds := range map[int]float64{2: 2, 3: 4, 4: 8, 6: 32} {
		require.InDelta(t, seconds+0.5, backoff(failed).Seconds(), 0.5)
	}

	require.Equal(t, maxBackoff, backoff(7))
	require.Equal(t, maxBackoff, backoff(5000))
}

func TestRedirects(t *testing.T) {
	// As requests does: 307 and 308 repeat the request, the others ask with GET; nobody learns the
	// address that was redirected.
	for status, method := range map[int]string{301: "GET", 302: "GET", 303: "GET", 307: "POST", 308: "POST"} {
		options, _ := local()
		there := newMailbox(t, nil)
		here := newMailbox(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, there.URL+"/there", status)
		})
		d := newTestDeliverer(t, options, receiver{url: here.URL + "/secret", secret: "s"})

		d.Notify(t.Context(), created)

		got := there.wait(t, 1)[0]
		require.Equal(t, method, got.method)
		require.Empty(t, got.header.Get("Referer"))
		require.Equal(t, method == "POST", len(got.body) > 0)
	}

	t.Run("ErrScheme", func(t *testing.T) {
		options, log := local()
		options.AllowedSchemes = []string{"http"}
		box := newMailbox(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusTemporaryRedirect)
		})
		d := newTestDeliverer(t, options, receiver{url: box.URL})

		d.Notify(t.Context(), created)
		box.wait(t, 1)
		d.Shutdown(t.Context())
		require.Contains(t, log.String(), "Invalid webhook URL scheme: 'https'. Allowed schemes are: http.")
		require.Len(t, box.got(), 1)
	})

	t.Run("ErrLoop", func(t *testing.T) {
		options, log := local()
		box := newMailbox(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		})
		d := newTestDeliverer(t, options, receiver{url: box.URL})

		d.Notify(t.Context(), created)
		box.wait(t, maxRedirects+1)
		d.Shutdown(t.Context())
		require.Contains(t, log.String(), "Exceeded 30 redirects.")
		require.Len(t, box.got(), maxRedirects+1)
	})
}

func TestPrivateReceivers(t *testing.T) {
	victim := newMailbox(t, nil)
	_, port, err := net.SplitHostPort(victim.Listener.Addr().String())
	require.NoError(t, err)

	options, log := local()
	options.AllowPrivate = false

	hosts := []string{
		"127.0.0.1", "127.1", "0x7f000001", "2130706433", "017700000001", "0", "localhost", "[::ffff:127.0.0.1]", "[::1]",
		"[64:ff9b::127.0.0.1]", "user:pass@127.0.0.1", "8.8.8.8@127.0.0.1", "\uff11\uff12\uff17.0.0.1", "169.254.169.254",
	}
	to := make([]receiver, 0, len(hosts))

	for _, host := range hosts {
		to = append(to, receiver{url: "http://" + host + ":" + port})
	}

	d := newTestDeliverer(t, options, to...)
	d.Notify(t.Context(), created)
	d.Shutdown(t.Context())
	require.Empty(t, victim.got())
	require.NotContains(t, log.String(), "pass")
	require.Contains(t, log.String(), "must not resolve to a non-public IP address")
}

// rebinding is a name server that says something else the second time.
type rebinding struct{ asked atomic.Int32 }

func (r *rebinding) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	if r.asked.Add(1)%2 == 1 {
		return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
	}

	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func TestRebinding(t *testing.T) {
	victim := newMailbox(t, nil)
	_, port, err := net.SplitHostPort(victim.Listener.Addr().String())
	require.NoError(t, err)

	options, log := local()
	options.AllowPrivate, options.Resolver = false, &rebinding{}
	d := newTestDeliverer(t, options, receiver{id: "w", url: "http://rebind.test:" + port})

	d.Notify(t.Context(), created)
	d.Shutdown(t.Context())
	require.Empty(t, victim.got())
	require.Contains(t, log.String(), "Webhook connection blocked: 127.0.0.1 is not a public IP address. "+
		"This may indicate a DNS rebinding attempt.")
	require.Contains(t, log.String(), "attempts=1")
}

// here is a name server that knows no other machine.
type here struct{}

func (here) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

func TestNoProxy(t *testing.T) {
	// A proxy would connect in our place, unjudged. Go never takes one for localhost, hence the name.
	proxy := newMailbox(t, nil)
	box := newMailbox(t, nil)
	_, port, err := net.SplitHostPort(box.Listener.Addr().String())
	require.NoError(t, err)

	for _, variable := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(variable, proxy.URL)
	}

	options, _ := local()
	options.Resolver = here{}
	d := newTestDeliverer(t, options, receiver{url: "http://receiver.test:" + port})
	d.Notify(t.Context(), created)
	box.wait(t, 1)
	require.Empty(t, proxy.got())
}

// hang is a receiver that takes connections and never answers.
func hang(t *testing.T) string {
	t.Helper()

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })

	return "http://" + listener.Addr().String()
}

func TestDeadReceiversStarveNobody(t *testing.T) {
	const dead, events = 20, 50

	to := make([]receiver, 0, dead+1)

	options, _ := local()
	options.Timeout = 10 * time.Second
	box := newMailbox(t, nil)

	for range dead {
		to = append(to, receiver{url: hang(t)})
	}

	d := newTestDeliverer(t, options, append(to, receiver{url: box.URL})...)
	d.queues.workers = 4

	// Dead receivers are known once they have failed.
	for _, each := range to {
		d.queues.byHost[hostOf(each.url)] = &queue{
			host: hostOf(each.url), ailing: true, postponed: map[*delivery]struct{}{},
		}
	}

	begun := time.Now()

	for range events {
		d.Notify(t.Context(), created)
	}

	require.Less(t, time.Since(begun), time.Second)
	box.wait(t, events)
	require.Less(t, time.Since(begun), 5*time.Second)
}

func TestSlowReceiverIsFoundOut(t *testing.T) {
	options, _ := local()
	options.Timeout = time.Second
	d := newTestDeliverer(t, options, receiver{url: hang(t)})

	for range 20 {
		d.Notify(t.Context(), created)
	}

	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()

		for _, q := range d.queues.byHost {
			return q.ailing && q.running <= 1 && d.queues.runningAiling == q.running && d.queues.count == 20
		}

		return false
	}, 10*time.Second, 10*time.Millisecond)
}

func TestQueuesAreBounded(t *testing.T) {
	options, log := local()
	options.Timeout = time.Minute
	d := newTestDeliverer(t, options, receiver{url: hang(t)})

	for range maxQueuedEach + 10 {
		d.Notify(t.Context(), created)
	}

	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()

		return d.queues.count == maxQueuedEach && d.unmatched == 0
	}, 5*time.Second, time.Millisecond)

	ended, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()

	d.Shutdown(ended)
	require.Zero(t, d.queues.count)
	require.Zero(t, d.queues.held)
	require.Empty(t, d.queues.byHost)

	counted := 0

	for line := range strings.Lines(log.String()) {
		require.Contains(t, line, "webhook deliveries dropped")

		_, count, _ := strings.Cut(line, " count=")

		var n int
		_, err := fmt.Sscan(count, &n)
		require.NoError(t, err)

		counted += n
	}

	require.Equal(t, maxQueuedEach+10, counted, log.String())
}

func TestQueuesMakeRoom(t *testing.T) {
	qs := newQueues(2)
	heavy := func(url string, size int) *delivery {
		return &delivery{to: receiver{url: url}, data: make([]byte, size)}
	}

	for i := range 4 {
		require.Empty(t, qs.add(heavy("http://dead", maxHeld/4-2*overhead)), i)
	}

	lost := qs.add(heavy("http://alive", maxHeld/8))
	require.Len(t, lost, 1)
	require.Equal(t, "dead", lost[0].host)
	require.LessOrEqual(t, qs.held, int64(maxHeld))

	tooMuch := heavy("http://alive", maxHeld)
	require.Equal(t, tooMuch, qs.add(tooMuch)[0])
}

func TestShutdownDelivers(t *testing.T) {
	options, log := local()
	box := newMailbox(t, func(http.ResponseWriter, *http.Request, int) { time.Sleep(50 * time.Millisecond) })
	d := newTestDeliverer(t, options, receiver{url: box.URL})

	for range 20 {
		d.Notify(t.Context(), created)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	d.Shutdown(ctx)
	require.Len(t, box.got(), 20)
	require.Empty(t, log.String())

	d.Notify(t.Context(), created)
	require.Contains(t, log.String(), "the server is shutting down")
}

func TestShutdownWaitsForNothingInVain(t *testing.T) {
	options, log := local()
	box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	d := newTestDeliverer(t, options, receiver{url: box.URL})
	d.Notify(t.Context(), created)
	box.wait(t, 1)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	begun := time.Now()

	d.Shutdown(ctx)
	require.Less(t, time.Since(begun), 5*time.Second)
	require.Contains(t, log.String(), "the server is shutting down")
}

func TestReceiversAreCached(t *testing.T) {
	options, log := local()
	box := newMailbox(t, nil)

	var (
		asked  atomic.Int32
		broken atomic.Bool
	)

	find := func(context.Context, event) ([]receiver, error, error) {
		asked.Add(1)

		if broken.Load() {
			return nil, nil, errors.New("no database")
		}

		return []receiver{{url: box.URL}}, errors.New("a secret is lost"), nil
	}
	guard := ssrf.NewGuard(options.AllowedSchemes, options.AllowPrivate, options.Resolver)
	d := newDeliverer(find, newSender(guard, options), options)

	for i := range 5 {
		d.Notify(t.Context(), created)
		box.wait(t, i+1)
	}

	require.EqualValues(t, 1, asked.Load())
	require.Contains(t, log.String(), "a secret is lost")

	d.forget()
	d.Notify(t.Context(), created)
	box.wait(t, 6)
	require.EqualValues(t, 2, asked.Load())

	d.forget()
	broken.Store(true)
	d.Notify(t.Context(), created)
	d.Shutdown(t.Context())
	require.Len(t, box.got(), 6)
	require.Contains(t, log.String(), "no database")
}

func TestNobodyToTell(t *testing.T) {
	options, _ := local()
	d := newTestDeliverer(t, options)

	d.Notify(t.Context(), created)
	require.Eventually(t, func() bool { return d.isForNobody(subject{contract.DefaultWorkspace, event{"prompt", "created"}}) },
		5*time.Second, time.Millisecond)

	unencodable := created
	unencodable.Payload = func() {} // isn't even looked at
	d.Notify(t.Context(), unencodable)
}

func TestPanicsStayInside(t *testing.T) {
	options, log := local()
	guard := ssrf.NewGuard(options.AllowedSchemes, options.AllowPrivate, options.Resolver)
	d := newDeliverer(func(context.Context, event) ([]receiver, error, error) { panic("at the disco") },
		newSender(guard, options), options)

	d.Notify(t.Context(), created)
	d.Shutdown(t.Context())
	require.Contains(t, log.String(), "at the disco")
}

func TestAnswersAreBounded(t *testing.T) {
	options, _ := local()
	box := newMailbox(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		chunk := bytes.Repeat([]byte("x"), 1<<20)
		for range 64 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	sender := newSender(ssrf.NewGuard(options.AllowedSchemes, true, options.Resolver), options)

	result := sender.attempt(t.Context(), write(receiver{url: box.URL}, event{}, nil, time.Now()), maxAnswer)
	require.NoError(t, result.err)
	require.Len(t, result.body, maxAnswer)
}

func TestDecodeText(t *testing.T) {
	for _, sample := range []struct{ contentType, body, want string }{
		{"", "é", "é"},
		{"text/plain", "\xe9", "é"},
		{"text/html; charset=utf-8", "é", "é"},
		{"text/html; charset='latin-1'", "\xe9", "\ufffd"}, // a name of Python's own
		{"text/html; charset=iso-8859-1", "\x80", "\u0080"},
		{"application/json", "é\xff", "é\ufffd"},
		{"text/plain; charset=nope", "é", "é"},
	} {
		require.Equal(t, sample.want, decodeText(sample.contentType, []byte(sample.body)), sample.contentType)
	}
}
