package proc

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience is how long a test waits for what takes a second on an idle machine.
const patience = 30 * time.Second

// Cluster is a set of nodes that belong together.
type Cluster struct {
	Nodes []*Node

	tb testing.TB
}

// StartCluster starts a cluster of size voters, node1 to nodeN, and waits until
// all of them are.
func StartCluster(tb testing.TB, size int, flags ...string) *Cluster {
	tb.Helper()
	var nodes []*Node
	for i := range size {
		nodes = append(nodes, NewNode(tb, fmt.Sprintf("node%d", i+1), flags...))
	}
	return StartClusterOf(tb, nodes...)
}

// StartClusterOf does the same with nodes that were not started yet.
func StartClusterOf(tb testing.TB, nodes ...*Node) *Cluster {
	tb.Helper()
	c := ClusterOf(tb, nodes...)
	first := c.Nodes[0].Start().WaitReady(patience)
	for _, n := range c.Nodes[1:] {
		n.Flags = append(n.Flags, "--join", first.Raft)
		n.Start()
	}
	c.WaitVoters(len(nodes))
	return c
}

// ClusterOf is a cluster of nodes that were started elsewhere.
func ClusterOf(tb testing.TB, nodes ...*Node) *Cluster { return &Cluster{tb: tb, Nodes: nodes} }

// Add puts a node that was started elsewhere among those that the cluster's
// methods look at.
func (c *Cluster) Add(n *Node) { c.Nodes = append(c.Nodes, n) }

// Node returns the node with this id.
func (c *Cluster) Node(id string) *Node {
	for _, n := range c.Nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// Addrs returns the RESP addresses of all nodes.
func (c *Cluster) Addrs() (addrs []string) {
	for _, n := range c.Nodes {
		addrs = append(addrs, n.RESP)
	}
	return addrs
}

// Client returns a cluster client with go-redis' defaults that knows all nodes.
func (c *Cluster) Client() *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), TLSConfig: c.Nodes[0].TLS, Password: c.Nodes[0].Password})
	c.tb.Cleanup(func() { client.Close() })
	return client
}

// Leader waits until a running node leads, and returns it.
func (c *Cluster) Leader() *Node {
	c.tb.Helper()
	var leader *Node
	Eventually(c.tb, patience, "a leader", func() error {
		leader = nil
		var term int64
		for _, n := range c.Nodes {
			if !n.Running() {
				continue
			}
			// One that was cut off may still think that it leads: the highest term counts.
			if s, err := n.Status(); err == nil && s.Role == "leader" && s.Term > term {
				leader, term = n, s.Term
			}
		}
		if leader == nil {
			return errNotYet
		}
		return leader.Ready()
	})
	return leader
}

// Follower returns a running node that does not lead.
func (c *Cluster) Follower() *Node {
	c.tb.Helper()
	leader := c.Leader()
	for _, n := range c.Nodes {
		if n != leader && n.Running() {
			return n
		}
	}
	c.tb.Fatal("no follower runs")
	return nil
}

// WaitVoters waits until the leader counts exactly so many voters and no
// learner, all of them ready.
func (c *Cluster) WaitVoters(count int) {
	c.tb.Helper()
	Eventually(c.tb, patience, fmt.Sprint(count, " voters"), func() error {
		s, err := c.Leader().Status()
		if err != nil {
			return err
		}
		if s.Voters() != count || len(s.Nodes) != count {
			return fmt.Errorf("%d voters of %d members", s.Voters(), len(s.Nodes))
		}
		return nil
	})
	for _, n := range c.Nodes {
		if n.Running() {
			n.WaitReady(patience)
		}
	}
}

// WaitCaughtUp waits until the node has applied all that the leader has
// committed by now.
func (c *Cluster) WaitCaughtUp(n *Node) {
	c.tb.Helper()
	var want int64
	Eventually(c.tb, patience, "the leader's commit index", func() error {
		s, err := c.Leader().Status()
		if err == nil {
			want = s.CommitIndex
		}
		return err
	})
	Eventually(c.tb, patience, n.ID+" caught up", func() error {
		s, err := n.Status()
		if err != nil {
			return err
		}
		if s.AppliedIndex < want {
			return fmt.Errorf("applied %d of %d", s.AppliedIndex, want)
		}
		return nil
	})
	n.WaitReady(patience)
}

// ReadOnly returns a client of one node whose connections begin with READONLY,
// so that the node answers reads from its own copy.
func (n *Node) ReadOnly() *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr: n.RESP, MaxRetries: -1, DisableIdentity: true, ReadTimeout: 30 * time.Second, TLSConfig: n.TLS, Password: n.Password,
		OnConnect: func(ctx context.Context, cn *redis.Conn) error { return cn.ReadOnly(ctx).Err() },
	})
	n.tb.Cleanup(func() { client.Close() })
	return client
}
