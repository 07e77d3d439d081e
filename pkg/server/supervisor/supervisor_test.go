//go:build unix

package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/config"
)

const patience = 10 * time.Second

// The test's own executable plays the parts of the child and of a server that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv("TEST_ROLE") {
	case "child":
		child()
	case "parent":
		parent()
	default:
		os.Exit(m.Run())
	}
}

// child answers with its process id on the inherited socket and starts a grandchild that sleeps.
func child() {
	descriptor, _ := strconv.Atoi(os.Getenv(ListenerVariable))
	syscall.CloseOnExec(descriptor) // as Python's subprocesses

	listener, err := net.FileListener(os.NewFile(uintptr(descriptor), "listener"))
	if err != nil {
		panic(err)
	}

	grandchild := exec.Command("sleep", "60")
	if err := grandchild.Start(); err != nil {
		panic(err)
	}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)

	go func() {
		<-stop
		_, _ = fmt.Fprintln(os.Stderr, "child stopped")
		os.Exit(0)
	}()

	_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "%d %d %s", os.Getpid(), grandchild.Process.Pid, os.Getenv(ServerVariable))
	}))
}

// parent supervises a child and tells where it listens.
func parent() {
	s, err := New(context.Background(), options("child"))
	if err != nil {
		panic(err)
	}

	go func() { _ = s.Run(context.Background(), context.Background()) }()

	if err := s.Ready(context.Background()); err != nil {
		panic(err)
	}

	_, _ = fmt.Fprintln(os.Stdout, s.Address())
	select {}
}

func options(role string) Options {
	return Options{
		Command: config.Command{
			Arguments:   []string{os.Args[0]},
			Environment: map[string]string{"TEST_ROLE": role},
		},
		Timeout:    patience,
		PublicURL:  "http://127.0.0.1:5000",
		HealthPath: "/health",
		Logger:     slog.New(slog.DiscardHandler),
	}
}

func shell(script string) Options {
	o := options("")
	o.Command.Arguments = []string{"sh", "-c", script}

	return o
}

func run(t *testing.T, o Options) (s *Supervisor, stop func() error) {
	t.Helper()

	s, err := New(context.Background(), o)
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)

	go func() { ended <- s.Run(ctx, context.Background()) }()

	var result error

	stopped := false
	stop = func() error {
		if !stopped {
			cancel()

			result, stopped = <-ended, true
		}

		return result
	}
	t.Cleanup(func() { _ = stop() })

	return s, stop
}

// pids asks the child for its process id and its child's.
func pids(t *testing.T, address string) (child, grandchild int) {
	t.Helper()

	response, err := http.Get("http://" + address + "/")
	require.NoError(t, err)

	defer func() { _ = response.Body.Close() }()

	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)

	var url string

	_, err = fmt.Sscan(string(body), &child, &grandchild, &url)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:5000", url)

	return child, grandchild
}

// requireGone waits until a process has ended; a zombie has.
func requireGone(t *testing.T, pid int) {
	t.Helper()

	require.Eventually(t, func() bool {
		status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))

		return errors.Is(err, os.ErrNotExist) || strings.Contains(string(status), "State:\tZ") ||
			errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}, time.Second, 5*time.Millisecond, "process %d is still there", pid)
}

func TestChildAnswersOnTheInheritedSocket(t *testing.T) {
	s, stop := run(t, options("child"))

	require.NoError(t, s.Ready(context.Background()))
	require.True(t, s.Up())

	child, grandchild := pids(t, s.Address())
	require.NoError(t, stop())
	requireGone(t, child)
	requireGone(t, grandchild)
}

func TestChildThatDiesIsReplaced(t *testing.T) {
	s, _ := run(t, options("child"))
	require.NoError(t, s.Ready(context.Background()))

	child, grandchild := pids(t, s.Address())
	require.NoError(t, syscall.Kill(child, syscall.SIGKILL))
	requireGone(t, grandchild)
	require.Eventually(t, func() bool { return !s.Up() }, time.Second, time.Millisecond)
	require.NoError(t, s.Ready(context.Background()))

	successor, _ := pids(t, s.Address())
	require.NotEqual(t, child, successor)
}

func TestLazy(t *testing.T) {
	o := options("child")
	o.Lazy = true
	s, _ := run(t, o)

	time.Sleep(100 * time.Millisecond)
	require.False(t, s.Up())
	require.NoError(t, s.Ready(context.Background()))
}

func TestErrNotReady(t *testing.T) {
	o := shell("sleep 60")
	o.Timeout = 20 * time.Millisecond
	s, _ := run(t, o)

	require.ErrorIs(t, s.Ready(context.Background()), ErrNotReady)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, s.Ready(ctx), context.Canceled)
}

func TestErrRefused(t *testing.T) {
	s, err := New(context.Background(), shell("exit 78"))
	require.NoError(t, err)
	require.ErrorIs(t, s.Run(context.Background(), context.Background()), ErrRefused)
}

func TestChildThatDoesNotStopIsKilled(t *testing.T) {
	s, err := New(context.Background(), shell("trap '' TERM; sleep 60 & wait; sleep 60"))
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(context.Background())
	draining, endDraining := context.WithTimeout(context.Background(), 200*time.Millisecond)

	defer endDraining()

	time.AfterFunc(100*time.Millisecond, cancel)

	begun := time.Now()
	require.NoError(t, s.Run(ctx, draining))
	require.Less(t, time.Since(begun), patience)
}

// Whoever kills the server leaves no Python server and no port behind.
func TestChildDiesWithItsParent(t *testing.T) {
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("only Linux kills a child with its parent")
	}

	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "TEST_ROLE=parent")
	server.Stderr = os.Stderr

	output, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())

	address, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)

	address = strings.TrimSpace(address)
	child, grandchild := pids(t, address)

	defer func() { _ = syscall.Kill(grandchild, syscall.SIGKILL) }() // the Python side's to take along

	require.NoError(t, server.Process.Kill())
	requireGone(t, child)

	_ = server.Wait() // killed

	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			_ = connection.Close()
		}

		return err != nil
	}, time.Second, 5*time.Millisecond)
}

func TestRunToEnd(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		require.NoError(t, RunToEnd(context.Background(), shell("echo fine").Command))
	})

	t.Run("ErrLastLine", func(t *testing.T) {
		err := RunToEnd(context.Background(), shell("echo warning >&2; echo the reason >&2; echo; exit 1").Command)
		require.EqualError(t, err, "the reason")
	})

	t.Run("ErrSilent", func(t *testing.T) {
		require.EqualError(t, RunToEnd(context.Background(), shell("exit 3").Command), "exit status 3")
	})

	t.Run("ErrNoProgram", func(t *testing.T) {
		err := RunToEnd(context.Background(), config.Command{Arguments: []string{"/no/such/program"}})
		require.ErrorIs(t, err, os.ErrNotExist)
	})

	t.Run("ErrCancelled", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()

		require.ErrorIs(t, RunToEnd(ctx, shell("sleep 60").Command), context.DeadlineExceeded)
	})
}
