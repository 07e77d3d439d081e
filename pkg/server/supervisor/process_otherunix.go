//go:build unix && !linux

package supervisor

import (
	"os/exec"
	"syscall"
)

// prepare puts the child into its own process group. Only Linux can kill it when we die; elsewhere
// the Python side watches its parent.
func prepare(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}
