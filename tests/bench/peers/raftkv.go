//go:build linux

package peers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// Cluster is a Server of several nodes, which can lose one.
type Cluster interface {
	Server
	Size() int
	// Leader is the index of the node that leads.
	Leader(ctx context.Context) (int, error)
	// Signal sends a node's process a signal, and returns a channel that is closed
	// when it has ended.
	Signal(node int, sig os.Signal) <-chan struct{}
	// Restart starts a node again, and returns once it has what the others have.
	Restart(ctx context.Context, node int) error
	// Probe returns a client of one node.
	Probe(node int) (load.Prober, error)
	// Served says whether a write shows that the cluster serves without its old
	// leader, which was sent a signal at this time.
	Served(a load.Ack, old int, signalled time.Time) bool
}

// Raft is a cluster of RaftKV with its default flags.
type Raft struct {
	processes
	addrs []addresses
}

// addresses of one node.
type addresses struct{ raft, resp, http string }

// clusterSize is how many nodes the clusters have.
const clusterSize = 3

// StartRaftKV starts three nodes and waits until all of them vote.
func StartRaftKV(ctx context.Context, opts Options) (*Raft, error) {
	r := &Raft{processes: processes{name: RaftKV, opts: opts}}
	return started(r, r.start(ctx))
}

func (r *Raft) start(ctx context.Context) error {
	if err := r.encrypt(); err != nil {
		return err
	}
	for i := range clusterSize {
		if err := r.prepare(fmt.Sprintf("node%d", i+1)); err != nil {
			return err
		}
	}
	first, others := r.nodes[0], r.nodes[1:]
	if err := r.launch(first); err != nil {
		return err
	}
	if err := proc.Poll(startLimit, func() error { return r.ready(ctx, 0) }); err != nil {
		return fmt.Errorf("%s: %w: %s", first.Name, err, first.LogTail(3))
	}
	for _, n := range others {
		if err := r.launch(n); err != nil {
			return err
		}
	}
	return r.await(ctx, startLimit, func() error { return r.whole(ctx) })
}

// prepare makes a node; all but the first ask that one to be let in.
func (r *Raft) prepare(name string) (err error) {
	var a addresses
	for _, addr := range []*string{&a.raft, &a.resp, &a.http} {
		if *addr, err = proc.FreeAddress(); err != nil {
			return err
		}
	}
	n, data, err := r.add(name)
	if err != nil {
		return err
	}
	n.args = []string{
		r.opts.Binary, "--node-id", name, "--data-dir", data,
		"--raft-addr", a.raft, "--resp-addr", a.resp, "--http-addr", a.http,
	}
	n.args = append(n.args, proc.StoreFlags()...)
	if r.opts.Certs != nil {
		n.args = append(n.args, r.opts.Certs.flags(name)...)
	}
	if len(r.addrs) > 0 {
		n.args = append(n.args, "--join", r.addrs[0].raft)
	}
	n.env = proc.Environ()
	r.addrs = append(r.addrs, a)
	return nil
}

// Size is three.
func (r *Raft) Size() int { return len(r.nodes) }

// Addrs are the RESP addresses of all nodes.
func (r *Raft) Addrs() (addrs []string) {
	for _, a := range r.addrs {
		addrs = append(addrs, a.resp)
	}
	return addrs
}

// Addr is the leader's.
func (r *Raft) Addr(ctx context.Context) (string, error) {
	leader, err := r.Leader(ctx)
	if err != nil {
		return "", err
	}
	return r.addrs[leader].resp, nil
}

// Leader waits for a node that leads, by RAFT.STATUS: the one of the highest term.
func (r *Raft) Leader(ctx context.Context) (leader int, err error) {
	err = proc.Poll(startLimit, func() error {
		var term int64 = -1
		for i, n := range r.nodes {
			if !n.Running() {
				continue
			}
			if s, err := r.status(ctx, i); err == nil && s.Role == "leader" && s.Term > term {
				leader, term = i, s.Term
			}
		}
		if term < 0 {
			return errors.New("raftkv: no leader")
		}
		return r.ready(ctx, leader)
	})
	return leader, err
}

// Signal sends a node's process a signal.
func (r *Raft) Signal(node int, sig os.Signal) <-chan struct{} { return r.nodes[node].Signal(sig) }

// Launch starts a node again and does not wait.
func (r *Raft) Launch(node int) error { return r.launch(r.nodes[node]) }

// Restart starts a node again, and returns once it has applied what the leader has
// committed by now, and serves.
func (r *Raft) Restart(ctx context.Context, node int) error {
	if err := r.Launch(node); err != nil {
		return err
	}
	return r.Whole(ctx)
}

// Whole waits until all nodes vote, have applied what the leader has committed by
// now, and serve.
func (r *Raft) Whole(ctx context.Context) error {
	s, err := r.leaderStatus(ctx)
	if err != nil {
		return err
	}
	return r.await(ctx, 2*startLimit, func() error {
		for i, n := range r.nodes {
			own, err := r.status(ctx, i)
			if err != nil {
				return err
			}
			if own.AppliedIndex < s.CommitIndex {
				return fmt.Errorf("%s has applied %d of %d", n.Name, own.AppliedIndex, s.CommitIndex)
			}
		}
		return r.whole(ctx)
	})
}

// Probe returns a client of one node.
func (r *Raft) Probe(node int) (load.Prober, error) { return load.NewProbe(r.addrs[node].resp), nil }

// Served says whether another node acknowledged: none but a leader does.
func (r *Raft) Served(a load.Ack, old int, _ time.Time) bool { return a.Node != old }

// Snapshot has the leader write a snapshot of its state.
func (r *Raft) Snapshot(ctx context.Context) error {
	leader, err := r.Leader(ctx)
	if err != nil {
		return err
	}
	return r.SnapshotOf(ctx, leader)
}

// SnapshotOf has a node write a snapshot of its state.
func (r *Raft) SnapshotOf(ctx context.Context, node int) error {
	return r.do(ctx, r.addrs[node].resp, "RAFT.SNAPSHOT").Err()
}

// Snapshots changes whenever a node has written a snapshot.
func (r *Raft) Snapshots(ctx context.Context) (string, error) {
	var all []string
	for i := range r.nodes {
		s, err := r.status(ctx, i)
		if err != nil {
			return "", err
		}
		all = append(all, strconv.FormatInt(s.SnapshotIndex, 10))
	}
	return strings.Join(all, " "), nil
}

func (r *Raft) status(ctx context.Context, node int) (*proc.Status, error) {
	reply, err := r.do(ctx, r.addrs[node].resp, "RAFT.STATUS").Result()
	if err != nil {
		return nil, err
	}
	return proc.ParseStatus(reply)
}

func (r *Raft) leaderStatus(ctx context.Context) (*proc.Status, error) {
	leader, err := r.Leader(ctx)
	if err != nil {
		return nil, err
	}
	return r.status(ctx, leader)
}

// whole returns nil if the leader counts all nodes as voters and all of them serve.
func (r *Raft) whole(ctx context.Context) error {
	s, err := r.leaderStatus(ctx)
	if err != nil {
		return err
	}
	if s.Voters() != len(r.nodes) {
		return fmt.Errorf("%d voters, not %d", s.Voters(), len(r.nodes))
	}
	for i := range r.nodes {
		if err := r.ready(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// ready returns nil if a node answers linearizable reads.
func (r *Raft) ready(ctx context.Context, node int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	status, err := r.get(ctx, r.addrs[node].http+"/readyz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s is not ready: %d", r.nodes[node].Name, status)
	}
	return err
}

// KillAll kills all processes at once, and returns when they are gone.
func (p *processes) KillAll() {
	var ends []<-chan struct{}
	for _, n := range p.nodes {
		if exited := n.Signal(syscall.SIGKILL); exited != nil {
			ends = append(ends, exited)
		}
	}
	for _, exited := range ends {
		<-exited
	}
}

// Do runs one command on a server that speaks RESP, over a connection of its own.
func Do(ctx context.Context, addr string, args ...any) (any, error) {
	return do(ctx, addr, args...).Result()
}

// do does the same and returns the command.
func do(ctx context.Context, addr string, args ...any) *redis.Cmd {
	return (&processes{}).do(ctx, addr, args...)
}

// dialLimit bounds a connect.
const dialLimit = time.Second

// commandLimit bounds a command: a snapshot of millions of keys takes a while.
const commandLimit = 2 * time.Minute
