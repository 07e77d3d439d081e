package supervisor

import (
	"net"
	"os/exec"
)

func prepare(*exec.Cmd) {}

// terminate kills: Windows has no signal that asks.
func (p *process) terminate() { p.kill() }

func (p *process) kill() { _ = p.command.Process.Kill() }

// newSocket gives the port back for the child to bind: sockets aren't inherited by number here.
func newSocket(listener net.Listener) (*socket, error) {
	return &socket{address: listener.Addr().String()}, listener.Close()
}

func (*socket) inherit(*exec.Cmd) {}
