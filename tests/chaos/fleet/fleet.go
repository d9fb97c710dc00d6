//go:build linux

// Package fleet runs the nodes of one cluster, real processes of the real binary,
// each on a host of its own of a network. It starts, kills, pauses and replaces
// them, moves their wall clocks, and asks them how they are in a way that no
// partition hinders. It knows nothing of what clients do.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/network"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// Options say what to run.
type Options struct {
	Binary string
	Dir    string   // for data, logs and clocks; must exist
	Env    []string // added to the nodes' environment
	Flags  []string // added to the nodes' command lines
}

// Fleet is a cluster's nodes, one on each side of the network.
type Fleet struct {
	Nodes []*Node
	Net   *network.Network
}

// New returns nodes that do not run yet.
func New(net *network.Network, opts Options) (*Fleet, error) {
	f := &Fleet{Net: net}
	for i := range net.Len() {
		name := fmt.Sprintf("node%d", i+1)
		n := &Node{Name: name, Index: i, Side: net.Side(i), opts: opts, id: name}
		n.log = filepath.Join(opts.Dir, name+".log")
		n.clock = filepath.Join(opts.Dir, name+".clock")
		if err := n.SetClock(0); err != nil {
			return nil, err
		}
		f.Nodes = append(f.Nodes, n)
	}
	return f, nil
}

// Start starts all nodes as one new cluster, and returns once all of them vote.
func (f *Fleet) Start(limit time.Duration) error {
	if err := f.Nodes[0].Start(); err != nil {
		return err
	}
	if err := proc.Poll(limit, f.Nodes[0].Ready); err != nil {
		return fmt.Errorf("%s: %w", f.Nodes[0].Name, err)
	}
	for _, n := range f.Nodes[1:] {
		if err := n.Start("--join", f.Nodes[0].RaftAddr()); err != nil {
			return err
		}
	}
	return proc.Poll(limit, f.Whole)
}

// Whole returns nil if a leader counts all nodes as voters, each under the id it
// has now.
func (f *Fleet) Whole() error {
	_, s := f.Leader()
	if s == nil {
		return errors.New("no leader")
	}
	for _, n := range f.Nodes {
		if m, ok := s.Member(n.ID()); !ok || m.Role == "learner" {
			return fmt.Errorf("%s is no voter", n.ID())
		}
	}
	if len(s.Nodes) != len(f.Nodes) {
		return fmt.Errorf("%d members, not %d", len(s.Nodes), len(f.Nodes))
	}
	return nil
}

// Leader returns the node that leads, with what it says of the cluster; nil where
// none does. One that was cut off may still think that it leads: the highest term
// counts.
func (f *Fleet) Leader() (leader *Node, status *proc.Status) {
	for i, s := range f.statuses() {
		if s != nil && s.Role == "leader" && (status == nil || s.Term > status.Term) {
			leader, status = f.Nodes[i], s
		}
	}
	return leader, status
}

// AwaitLeader waits for a leader.
func (f *Fleet) AwaitLeader(limit time.Duration) (leader *Node) {
	_ = proc.Poll(limit, func() error {
		if leader, _ = f.Leader(); leader == nil {
			return errors.New("no leader")
		}
		return nil
	})
	return leader
}

// statuses asks all nodes at once; nil stands for those that do not answer.
func (f *Fleet) statuses() []*proc.Status {
	all := make([]*proc.Status, len(f.Nodes))
	var asked sync.WaitGroup
	for i, n := range f.Nodes {
		if n.Running() && !n.Paused() {
			asked.Go(func() { all[i], _ = n.Status() })
		}
	}
	asked.Wait()
	return all
}

// AwaitCaughtUp waits until every node has applied what the leader has committed
// by now.
func (f *Fleet) AwaitCaughtUp(limit time.Duration) error {
	var want int64 = -1
	return proc.Poll(limit, func() error {
		if want < 0 {
			_, s := f.Leader()
			if s == nil {
				return errors.New("no leader")
			}
			want = s.CommitIndex
		}
		for i, s := range f.statuses() {
			if s == nil {
				return fmt.Errorf("%s does not answer", f.Nodes[i].Name)
			}
			if s.AppliedIndex < want {
				return fmt.Errorf("%s has applied %d of %d", f.Nodes[i].Name, s.AppliedIndex, want)
			}
		}
		return nil
	})
}

// Others are the Raft addresses of all nodes but one.
func (f *Fleet) Others(not *Node) (addrs []string) {
	for _, n := range f.Nodes {
		if n != not {
			addrs = append(addrs, n.RaftAddr())
		}
	}
	return addrs
}

// RESPAddrs are the addresses for clients, by position.
func (f *Fleet) RESPAddrs() (addrs []string) {
	for _, n := range f.Nodes {
		addrs = append(addrs, n.RESPAddr())
	}
	return addrs
}

// Close kills all nodes.
func (f *Fleet) Close() {
	for _, n := range f.Nodes {
		n.Kill()
	}
}

// Faults are what went wrong in the nodes themselves: processes that ended by
// themselves, panics, data races.
func (f *Fleet) Faults() (found []string) {
	for _, n := range f.Nodes {
		found = append(found, n.faults()...)
	}
	return found
}

// writeAtomically replaces a file that others read meanwhile.
func writeAtomically(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// askTime bounds a question to a node: RAFT.STATUS itself waits half a second for
// the other nodes.
const askTime = 3 * time.Second

// ask runs a command on a node over a connection of its own, from its own host.
func ask(ctx context.Context, n *Node, args ...any) (any, error) {
	client := n.control()
	defer client.Close()
	return client.Do(ctx, args...).Result()
}
