//go:build linux

// Package peers runs the systems that are measured side by side, as processes on
// this machine's loopback: RaftKV's three nodes, one redis-server, three nodes of
// etcd, a bare redcon echo. It starts, kills and restarts them, knows where their
// clients have to go, and what they cost in CPU, memory and bytes written. It makes
// no load.
package peers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// The systems' names in results.
const (
	RaftKV        = "raftkv"
	RedisAlways   = "redis"
	RedisEverysec = "redis everysec"
	Etcd          = "etcd"
	Echo          = "echo"
)

// Server is a system that is measured: one process, or the several of a cluster.
type Server interface {
	Name() string
	// Addr is where clients go now: the leader's address, where there is one.
	Addr(ctx context.Context) (string, error)
	// PIDs are the processes that run now.
	PIDs() []int
	// Dir is the directory of its data and logs.
	Dir() string
	// Close kills all processes.
	Close()
}

// Options say how to start one.
type Options struct {
	Binary string // of raftkv, etcd or the echo; the others are looked up
	Dir    string // for data and logs; must exist and be empty
	// Trace has strace write the calls that wait for the disk into a file per
	// process in Dir: see Syncs.
	Trace bool
	// Certs, if set, has RaftKV, between its nodes too, and Redis speak TLS only.
	Certs *Certs
}

// startLimit is how long a system may take until it serves.
const startLimit = 30 * time.Second

// processes are those of one system, in a fixed order.
type processes struct {
	name   string
	opts   Options
	nodes  []*node
	secret *tls.Config // what its clients need; nil for plaintext
	user   *load.User  // whom the load is to be; nil for the default user
}

// node is a process and how it is started.
type node struct {
	proc.Process
	args []string
	env  []string // the environment, the parent's if nil
}

// launch starts the process, under strace where that was asked for.
func (p *processes) launch(n *node) error {
	args := n.args
	if p.opts.Trace {
		args = append(traced(p.traceFile(n)), args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = n.env
	if err := n.Launch(cmd); err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	return nil
}

// add makes a process that is not started yet, with a directory for its data.
func (p *processes) add(name string) (n *node, data string, err error) {
	data = filepath.Join(p.opts.Dir, name)
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, "", err
	}
	n = &node{Process: proc.Process{Name: name, LogPath: filepath.Join(p.opts.Dir, name+".log")}}
	p.nodes = append(p.nodes, n)
	return n, data, nil
}

// Name is the system's.
func (p *processes) Name() string { return p.name }

// Dir is the directory of its data and logs.
func (p *processes) Dir() string { return p.opts.Dir }

// PIDs are the processes that run now.
func (p *processes) PIDs() (pids []int) {
	for _, n := range p.nodes {
		if pid := n.PID(); pid != 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Close kills all processes.
func (p *processes) Close() {
	for _, n := range p.nodes {
		n.KillProcess()
	}
}

// await waits until check returns nil. It gives up when a process has ended.
func (p *processes) await(ctx context.Context, limit time.Duration, check func() error) error {
	var ended error
	err := proc.Poll(limit, func() error {
		if ended = errors.Join(ctx.Err(), p.ended()); ended != nil {
			return nil
		}
		return check()
	})
	if err = errors.Join(ended, err); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// ended is an error that shows the last words of a process that does not run.
func (p *processes) ended() error {
	for _, n := range p.nodes {
		if !n.Running() {
			return fmt.Errorf("%s has ended: %s", n.Name, n.LogTail(3))
		}
	}
	return nil
}

// started closes the system if it did not come up.
func started[S Server](s S, err error) (S, error) {
	if err != nil {
		s.Close()
	}
	return s, err
}
