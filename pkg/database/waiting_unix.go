//go:build unix

package database

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownWait is how long a thread waits for an answer itself: longer than most answers take, and short enough for
// whoever wants to end the wait, or needs the processor, which Go takes for busy for a while.
const ownWait = time.Millisecond

// waitingItself has threads that read from connections wait for what comes themselves, while alone says so.
func waitingItself(dial dialFunc, alone func() bool) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		socket, ok := conn.(syscall.Conn)
		if !ok {
			return conn, nil
		}
		raw, err := socket.SyscallConn()
		if err != nil {
			return conn, nil //nolint:nilerr // who reads will hear of it
		}

		return &waitingConn{Conn: conn, raw: raw, alone: alone}, nil
	}
}

// waitingConn is a connection whose reader waits itself.
type waitingConn struct {
	net.Conn

	raw   syscall.RawConn
	alone func() bool
}

// Read reads what is there within a moment, and otherwise waits as any connection does. What the wait
// fails with, reading fails with as well.
func (c *waitingConn) Read(b []byte) (int, error) {
	if c.alone() {
		_ = c.raw.Read(func(descriptor uintptr) bool {
			ready := []unix.PollFd{{Fd: int32(descriptor), Events: unix.POLLIN}} //nolint:gosec // an int to the system
			_, _ = unix.Poll(ready, int(ownWait.Milliseconds()))

			return true
		})
	}

	return c.Conn.Read(b)
}

// SyscallConn is for drivers that look whether a connection is still there.
func (c *waitingConn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }
