package supervisor

import (
	"context"
	"os/exec"
	"runtime"
)

// process is a running child and, where the system has them, its process group.
type process struct {
	command *exec.Cmd
	done    chan struct{} // closed when the child has ended
	err     error         // how it ended; read after done
}

// start starts a command and waits for it in a goroutine of its own thread: the kernel's promise to
// kill the child when its parent dies holds for the thread that forked it.
func start(command *exec.Cmd) (*process, error) {
	prepare(command)

	started := &process{command: command, done: make(chan struct{})}
	result := make(chan error)

	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()

		err := command.Start()
		result <- err

		if err == nil {
			started.err = command.Wait()
			started.kill() // what it left of its group

			close(started.done)
		}
	}()

	return started, <-result
}

// stop asks the child to end, kills its group when the context ends first, and waits for it.
func (p *process) stop(drain context.Context) {
	p.terminate()

	select {
	case <-p.done:
	case <-drain.Done():
		p.kill()
		<-p.done
	}
}
