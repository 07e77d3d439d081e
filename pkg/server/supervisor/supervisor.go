package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/mlflow/mlflow-go/pkg/config"
)

// What the child finds in its environment besides the command's own.
const (
	// ListenerVariable holds the number of the inherited file descriptor of the listening socket;
	// it is missing where sockets can't be inherited (Windows).
	ListenerVariable = "_MLFLOW_GO_FALLBACK_FD"
	// AddressVariable holds the host and port of that socket.
	AddressVariable = "_MLFLOW_GO_FALLBACK_ADDRESS"
	// ServerVariable holds the URL of the server in front.
	ServerVariable = "_MLFLOW_GO_SERVER_URL"
)

const (
	firstDelay = 500 * time.Millisecond
	lastDelay  = 30 * time.Second
	// settled is how long a child must have answered for its death to count as the first one.
	settled = time.Minute
	// probeTimeout bounds one question whether the child answers. It waits in the socket's queue,
	// so the answer comes as soon as there is one.
	probeTimeout = 5 * time.Second
	probePause   = 50 * time.Millisecond
)

// refused is the exit status of a child that would fail again if it were started again (EX_CONFIG).
const refused = 78

// ErrRefused says that the child refuses the configuration or the database; it has said why on
// standard error.
var ErrRefused = errors.New("the MLflow Python server refused to start, for the reason above")

// ErrNotReady says that the Python server didn't come up in time.
var ErrNotReady = errors.New("the MLflow Python server, which answers this request, is not up yet")

// Options say what is supervised.
type Options struct {
	Command config.Command
	// Lazy starts the child for the first request that needs it.
	Lazy bool
	// Timeout bounds a request's wait for the child.
	Timeout time.Duration
	// PublicURL is the URL of the server in front; HealthPath what the child is asked.
	PublicURL, HealthPath string
	Logger                *slog.Logger
}

// Supervisor runs one child at a time. It is safe for concurrent use.
type Supervisor struct {
	options  Options
	socket   *socket
	wanted   chan struct{} // closed by the first request in lazy mode
	want     sync.Once
	requests http.Client

	mu    sync.Mutex
	ready chan struct{} // closed while the child answers
	up    bool
}

// New reserves the child's port.
func New(ctx context.Context, options Options) (*Supervisor, error) {
	socket, err := listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("reserving a port for the MLflow Python server: %w", err)
	}

	s := &Supervisor{
		options: options,
		socket:  socket,
		wanted:  make(chan struct{}),
		ready:   make(chan struct{}),
		requests: http.Client{
			Timeout:   probeTimeout,
			Transport: &http.Transport{DisableKeepAlives: true},
		},
	}

	if !options.Lazy {
		s.want.Do(func() { close(s.wanted) })
	}

	return s, nil
}

// Address is the child's host and port.
func (s *Supervisor) Address() string { return s.socket.address }

// Ready waits until the child answers; without one it returns ErrNotReady after the timeout.
func (s *Supervisor) Ready(ctx context.Context) error {
	s.want.Do(func() { close(s.wanted) })

	s.mu.Lock()
	ready := s.ready
	s.mu.Unlock()

	select {
	case <-ready:
		return nil
	default:
	}

	timer := time.NewTimer(s.options.Timeout)
	defer timer.Stop()

	select {
	case <-ready:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w after %s; the server's log says why", ErrNotReady, s.options.Timeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Up tells whether the child answers.
func (s *Supervisor) Up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.up
}

// Run supervises until the context ends; it then asks the child to finish its requests, which must
// be done before the drain ends, and returns nil when the child and its children are gone. It
// returns ErrRefused as soon as a child gives up for good.
func (s *Supervisor) Run(ctx, drain context.Context) error {
	defer s.socket.close()

	select {
	case <-s.wanted:
	case <-ctx.Done():
		return nil
	}

	delay := firstDelay

	for {
		answered, err := s.runOnce(ctx, drain)
		if ctx.Err() != nil {
			return nil
		}

		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == refused {
			return ErrRefused
		}

		if answered > settled {
			delay = firstDelay
		}

		s.options.Logger.Error("the MLflow Python server ended and will be restarted",
			"error", err, "answered_for", answered.Round(time.Second), "restart_in", delay)

		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil
		}

		delay = min(2*delay, lastDelay)
	}
}

func (s *Supervisor) setUp(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if up == s.up {
		return
	}

	s.up = up
	if up {
		close(s.ready)
	} else {
		s.ready = make(chan struct{})
	}
}

// runOnce runs one child until it ends. It returns how long the child answered.
func (s *Supervisor) runOnce(ctx, drain context.Context) (time.Duration, error) {
	command := s.command()

	process, err := start(command)
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", command.Path, err)
	}

	begun := time.Now()

	probing, stopProbing := context.WithCancel(ctx)
	probed := make(chan time.Time, 1)

	go func() {
		defer close(probed)

		if s.probe(probing) {
			s.setUp(true)
			probed <- time.Now()
			s.options.Logger.Info("the MLflow Python server is up",
				"pid", command.Process.Pid, "after", time.Since(begun).Round(time.Millisecond))
		}
	}()

	select {
	case <-process.done:
	case <-ctx.Done():
		process.stop(drain)
	}

	stopProbing()

	answering, answered := <-probed
	<-probed

	s.setUp(false)

	if !answered {
		return 0, process.err
	}

	return time.Since(answering), process.err
}

func (s *Supervisor) command() *exec.Cmd {
	command := Command(s.options.Command)
	command.Env = append(command.Env,
		AddressVariable+"="+s.socket.address,
		ServerVariable+"="+s.options.PublicURL)
	s.socket.inherit(command)

	return command
}

// probe asks for the child's health until it answers, which it reports, or the context ends. An
// authentication app may refuse the question; any answer but a server error will do.
func (s *Supervisor) probe(ctx context.Context) bool {
	target := "http://" + s.socket.address + s.options.HealthPath

	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			s.options.Logger.Error("asking for the MLflow Python server's health", "error", err)

			return false
		}

		response, err := s.requests.Do(request)
		if err == nil {
			_ = response.Body.Close()

			if response.StatusCode < http.StatusInternalServerError {
				return true
			}
		}

		select {
		case <-time.After(probePause):
		case <-ctx.Done():
		}
	}

	return false
}

// Command prepares a child that writes to our standard error and dies with us.
func Command(command config.Command) *exec.Cmd {
	//nolint:gosec,noctx // the launcher's command; it is ended with its process group
	prepared := exec.Command(command.Arguments[0], command.Arguments[1:]...)
	prepared.Env = os.Environ()

	for name, value := range command.Environment {
		prepared.Env = append(prepared.Env, name+"="+value)
	}

	prepared.Stdout = os.Stderr
	prepared.Stderr = os.Stderr

	return prepared
}

// RunToEnd runs a command to its end and returns what it wrote last as its error when it fails. It
// is killed, with its children, when the context ends.
func RunToEnd(ctx context.Context, command config.Command) error {
	prepared := Command(command)

	output := &tail{}
	prepared.Stdout, prepared.Stderr = output, output

	process, err := start(prepared)
	if err != nil {
		return fmt.Errorf("starting %s: %w", prepared.Path, err)
	}

	select {
	case <-process.done:
	case <-ctx.Done():
		process.kill()
		<-process.done

		return ctx.Err()
	}

	if process.err != nil {
		if line := output.lastLine(); line != "" {
			return errors.New(line) //nolint:err113 // the child's words
		}

		return process.err
	}

	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 16 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()

	t.text = append(t.text, p...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}

	return len(p), nil
}

func (t *tail) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()

	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")

	return strings.TrimSpace(lines[len(lines)-1])
}

// socket is the listening socket that each child inherits in turn. While none runs, connections
// wait in its queue.
type socket struct {
	address string
	file    *os.File
}

func listen(ctx context.Context) (*socket, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}

	return newSocket(listener)
}

func (s *socket) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
