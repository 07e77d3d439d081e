//go:build unix

package supervisor

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
)

func (p *process) terminate() { _ = p.command.Process.Signal(syscall.SIGTERM) }

// kill kills the whole group; there may be nothing left of it.
func (p *process) kill() { _ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) }

func newSocket(listener net.Listener) (*socket, error) {
	defer listener.Close() //nolint:errcheck // the duplicate below stays open

	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		panic("supervisor: a TCP listener is no *net.TCPListener")
	}

	file, err := tcp.File()
	if err != nil {
		return nil, fmt.Errorf("duplicating the listening socket: %w", err)
	}

	return &socket{address: listener.Addr().String(), file: file}, nil
}

func (s *socket) inherit(command *exec.Cmd) {
	const first = 3 // after standard input, output and error

	command.ExtraFiles = append(command.ExtraFiles, s.file)
	command.Env = append(command.Env, ListenerVariable+"="+strconv.Itoa(first+len(command.ExtraFiles)-1))
}
