package supervisor

import (
	"os/exec"
	"syscall"
)

// prepare puts the child into its own process group, so that a terminal's Ctrl-C reaches only us,
// and has the kernel kill it when we die.
func prepare(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
