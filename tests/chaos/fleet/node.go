//go:build linux

package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/raftkv/raftkv/tests/chaos/network"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// Node is a place in the cluster: a host, and the process that runs on it. After a
// Replace it is another node with another id, at the same addresses.
type Node struct {
	Name  string // of the place, for ever
	Index int    // of its side in the network
	Side  *network.Side

	opts       Options
	log, clock string // files

	turn sync.Mutex // held while the process is started or replaced

	mu         sync.Mutex
	id         string        // guarded by mu
	generation int           // guarded by mu; how often it was replaced
	cmd        *exec.Cmd     // guarded by mu; nil while none runs
	exited     chan struct{} // guarded by mu; closed when cmd has ended
	paused     bool          // guarded by mu
	expected   bool          // guarded by mu; the process was told to end
	surprises  []string      // guarded by mu; ends that nobody asked for
}

// ID is the id of the node that lives here now.
func (n *Node) ID() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.id
}

// RaftAddr, RESPAddr and HTTPAddr are the node's addresses.
func (n *Node) RaftAddr() string { return n.Side.Host() + ":8000" }

// RESPAddr is where Redis clients are served.
func (n *Node) RESPAddr() string { return n.Side.Host() + ":6379" }

// HTTPAddr is where HTTP is served.
func (n *Node) HTTPAddr() string { return n.Side.Host() + ":8080" }

// dataDir is the data directory of the node that lives here now; mu is held.
func (n *Node) dataDir() string { return filepath.Join(n.opts.Dir, n.id) }

// Start starts the process; extra flags count for this start only. It does nothing
// while one runs.
func (n *Node) Start(extra ...string) error {
	n.turn.Lock()
	defer n.turn.Unlock()
	return n.start(extra)
}

func (n *Node) start(extra []string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd != nil {
		return nil
	}
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	args := []string{
		"--node-id", n.id, "--data-dir", n.dataDir(), "--protected-mode", "no", "--insecure-raft", "yes",
		"--raft-addr", n.RaftAddr(), "--resp-addr", n.RESPAddr(), "--http-addr", n.HTTPAddr(),
	}
	args = append(args, proc.StoreFlags()...)
	cmd := exec.Command(n.opts.Binary, append(append(args, n.opts.Flags...), extra...)...)
	cmd.Stdout, cmd.Stderr = log, log
	// The tests' own variables begin as a node's settings do, which refuses them.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "RAFTKV_") })
	cmd.Env = append(append(cmd.Env, "RAFTKV_FAULT_CLOCK="+n.clock), n.opts.Env...)
	if err := n.Side.Start(cmd); err != nil {
		return fmt.Errorf("%s: %w", n.id, err)
	}
	exited := make(chan struct{})
	n.cmd, n.exited, n.paused, n.expected = cmd, exited, false, false
	go n.await(cmd, exited)
	return nil
}

// await notes the end of a process.
func (n *Node) await(cmd *exec.Cmd, exited chan struct{}) {
	err := cmd.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.expected {
		n.surprises = append(n.surprises, fmt.Sprintf("%s ended by itself: %v", n.id, err))
	}
	n.cmd, n.paused = nil, false
	close(exited)
}

// signal sends a signal; the channel is closed when the process has ended, nil if
// none runs.
func (n *Node) signal(sig syscall.Signal) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return nil
	}
	switch sig {
	case syscall.SIGKILL, syscall.SIGTERM:
		n.expected = true
	case syscall.SIGSTOP:
		n.paused = true
	case syscall.SIGCONT:
		n.paused = false
	}
	n.cmd.Process.Signal(sig) // an error means that it has ended, which exited tells
	return n.exited
}

// Kill ends the process as kill -9 does, and returns once it is gone.
func (n *Node) Kill() {
	if exited := n.signal(syscall.SIGKILL); exited != nil {
		<-exited
	}
}

// Term asks the process to end, and returns an error if it takes more than it
// promises; it is killed then.
func (n *Node) Term() error {
	const promised = 10 * time.Second
	exited := n.signal(syscall.SIGTERM)
	if exited == nil {
		return nil
	}
	select {
	case <-exited:
		return nil
	case <-time.After(promised + 2*time.Second): // the machine may be busy
		n.Kill()
		return fmt.Errorf("%s still ran %s after SIGTERM", n.Name, promised)
	}
}

// Pause stops the process where it is.
func (n *Node) Pause() { n.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (n *Node) Resume() { n.signal(syscall.SIGCONT) }

// Running says whether a process runs, paused or not.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cmd != nil
}

// Paused says whether the process is stopped.
func (n *Node) Paused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.paused
}

// Replace gives the place to a fresh node, with an id and a data directory of its
// own, that asks the members at these addresses to be let in. The old one must
// have been removed from the cluster; its process is killed.
func (n *Node) Replace(seeds []string) error {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.Kill()
	n.mu.Lock()
	n.generation++
	n.id = fmt.Sprintf("%s-%d", n.Name, n.generation+1)
	n.mu.Unlock()
	var flags []string
	for _, s := range seeds {
		flags = append(flags, "--join", s)
	}
	return n.start(flags)
}

// SetClock sets the node's wall clock off by so much.
func (n *Node) SetClock(offset time.Duration) error {
	return writeAtomically(n.clock, strconv.FormatInt(offset.Milliseconds(), 10))
}

// control returns a client on the node's own host.
func (n *Node) control() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: n.RESPAddr(), MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		Dialer:                   func(ctx context.Context, _, addr string) (net.Conn, error) { return n.Side.DialLocal(ctx, addr) },
		ReadTimeout:              -1, // the context bounds it
	})
}

// Do runs a command on the node, from its own host.
func (n *Node) Do(ctx context.Context, args ...any) (any, error) { return ask(ctx, n, args...) }

// Status asks the node for RAFT.STATUS.
func (n *Node) Status() (*proc.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	reply, err := ask(ctx, n, "RAFT.STATUS")
	if err != nil {
		return nil, err
	}
	return proc.ParseStatus(reply)
}

// Ready returns nil if the node answers a linearizable read of its own.
func (n *Node) Ready() error {
	if !n.Running() {
		return errors.New("it does not run")
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	client := n.control()
	defer client.Close()
	conn := client.Conn()
	defer conn.Close()
	if err := conn.ReadOnly(ctx).Err(); err != nil {
		return err
	}
	return conn.Exists(ctx, "ready").Err()
}

// faults are what went wrong in the processes that ran here.
func (n *Node) faults() []string {
	n.mu.Lock()
	found := append([]string(nil), n.surprises...)
	n.mu.Unlock()
	text, err := os.ReadFile(n.log)
	if err != nil {
		return append(found, err.Error())
	}
	for _, sign := range []string{"DATA RACE", "panic: ", "fatal error: "} {
		if at := bytes.Index(text, []byte(sign)); at >= 0 {
			found = append(found, fmt.Sprintf("%s: %s", n.log, text[at:min(len(text), at+1000)]))
		}
	}
	return found
}
