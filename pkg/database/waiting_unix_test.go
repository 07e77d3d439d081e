//go:build unix

package database_test

import (
	"context"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mlflow/mlflow-go/pkg/database"
	"github.com/mlflow/mlflow-go/pkg/databasetest"
)

// countedConn counts how often a reader waited itself.
type countedConn struct {
	*net.TCPConn

	waits *atomic.Int32
}

func (c countedConn) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.TCPConn.SyscallConn()

	return countedRaw{raw, c.waits}, err
}

type countedRaw struct {
	syscall.RawConn

	waits *atomic.Int32
}

func (r countedRaw) Read(f func(descriptor uintptr) (done bool)) error {
	r.waits.Add(1)

	return r.RawConn.Read(f)
}

// dialWaiting connects to a server of the test's, with what waits itself around the connection.
func dialWaiting(t *testing.T, alone bool) (client, server net.Conn, waits *atomic.Int32) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	waits = new(atomic.Int32)
	dial := database.WaitingItself(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}

		return countedConn{conn.(*net.TCPConn), waits}, nil
	}, func() bool { return alone })
	client, err = dial(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	server, err = listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })

	return client, server, waits
}

func TestWaitingItself(t *testing.T) {
	t.Parallel()

	for name, alone := range map[string]bool{"Alone": true, "Among others": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			// A wait that is over before the thread's own, and one that is longer.
			for _, delay := range []time.Duration{0, 20 * time.Millisecond} {
				client, server, waits := dialWaiting(t, alone)
				time.AfterFunc(delay, func() {
					_, _ = server.Write([]byte("answer"))
					_ = server.Close()
				})
				read, err := io.ReadAll(client)
				require.NoError(t, err)
				require.Equal(t, "answer", string(read))
				require.Equal(t, alone, waits.Load() > 0)
			}

			t.Run("Deadline", func(t *testing.T) {
				t.Parallel()
				client, _, _ := dialWaiting(t, alone)
				time.AfterFunc(10*time.Millisecond, func() { _ = client.SetReadDeadline(time.Unix(1, 0)) })
				_, err := client.Read(make([]byte, 1))
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			})
			t.Run("Closed", func(t *testing.T) {
				t.Parallel()
				client, _, _ := dialWaiting(t, alone)
				time.AfterFunc(10*time.Millisecond, func() { _ = client.Close() })
				_, err := client.Read(make([]byte, 1))
				require.ErrorIs(t, err, net.ErrClosed)
			})
		})
	}

	t.Run("Without a socket", func(t *testing.T) {
		t.Parallel()
		pipe, end := net.Pipe()
		t.Cleanup(func() { _, _ = pipe.Close(), end.Close() })
		dial := database.WaitingItself(func(context.Context, string, string) (net.Conn, error) {
			return pipe, nil
		}, func() bool { return true })
		conn, err := dial(t.Context(), "", "")
		require.NoError(t, err)
		require.Same(t, pipe, conn)
	})
}

func TestCallsFromC(t *testing.T) {
	sleeps := map[string]string{"postgresql": "SELECT pg_sleep(60)", "mysql": "SELECT SLEEP(60)"}

	for _, source := range databasetest.Sources("postgresql", "mysql") {
		t.Run(source.Name, func(t *testing.T) {
			db, err := database.Open(t.Context(), source.URI(t), database.Options{ConnectAttempts: 1, CallsFromC: true})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })

			require.NoError(t, db.Write(t.Context(), func(tx *database.Tx) error { return addExperiment(tx, "a") }))
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			err = db.Read(ctx, func(tx *database.Tx) error {
				var slept int

				return tx.QueryRow(sleeps[source.Name]).Scan(&slept)
			})
			require.ErrorIs(t, err, context.Canceled)

			var found []string
			require.NoError(t, db.Read(t.Context(), func(tx *database.Tx) error {
				return tx.Select(collected(&found, selectNames))
			}))
			require.Contains(t, found, "a")
		})
	}
}
