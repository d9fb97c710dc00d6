package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a server process, one at a time: it can be started again after it has
// ended. It needs no test, so that measurements can use it too.
type Process struct {
	Name    string // for errors
	LogPath string // what its processes write is appended to this file

	mu     sync.Mutex
	cmd    *exec.Cmd     // guarded by mu; nil while none runs
	exited chan struct{} // guarded by mu; closed when cmd has ended
	status error         // of the last process; set before exited is closed
}

// Launch starts the process. The kernel kills it should this one die.
func (p *Process) Launch(cmd *exec.Cmd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		return fmt.Errorf("%s runs already", p.Name)
	}
	log, err := os.OpenFile(p.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		err := cmd.Wait()
		p.mu.Lock()
		p.cmd, p.status = nil, err
		p.mu.Unlock()
		close(exited)
	}()
	return nil
}

// Signal sends a signal; the channel is closed when the process has ended. It is
// nil if none runs.
func (p *Process) Signal(sig os.Signal) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	p.cmd.Process.Signal(sig) // an error means that it has ended, which exited tells
	return p.exited
}

// KillProcess ends the process as kill -9 does and waits until it is gone. It does
// nothing if none runs.
func (p *Process) KillProcess() {
	if exited := p.Signal(syscall.SIGKILL); exited != nil {
		<-exited
	}
}

// Wait waits until the process has ended and returns its error, nil for exit
// status 0.
func (p *Process) Wait(limit time.Duration) error {
	p.mu.Lock()
	exited := p.exited
	p.mu.Unlock()
	if exited == nil {
		return errors.New("never started")
	}
	select {
	case <-exited:
		return p.status
	case <-time.After(limit):
		return fmt.Errorf("still running after %s", limit)
	}
}

// Running says whether the process runs.
func (p *Process) Running() bool { return p.PID() != 0 }

// PID is the process id, 0 while none runs.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// LogTail returns the last lines of what its processes wrote.
func (p *Process) LogTail(lines int) string {
	text, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
