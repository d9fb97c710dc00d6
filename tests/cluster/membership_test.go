package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// A node joins a cluster that has state, as learner and then as voter; it leaves
// again; then the leader itself leaves, asked at a follower.
func TestJoinAndLeave(t *testing.T) {
	c := proc.StartCluster(t, 3)
	keys := fill(t, c.Client(), "k", 300)

	n4 := proc.NewNode(t, "node4").Start().WaitReady(patience)
	c.Follower().MustDo("RAFT.JOIN", "node4", n4.Raft)
	c.Add(n4)
	c.WaitVoters(4)
	c.WaitCaughtUp(n4)
	checkAll(t, []*proc.Node{n4}, keys)
	c.Follower().MustDo("RAFT.JOIN", "node4", n4.Raft) // again changes nothing
	c.WaitVoters(4)

	old := c.Leader()
	asked := c.Follower()
	asked.MustDo("RAFT.LEAVE", old.ID)
	waitGone(t, c, old)
	keys = append(keys, fill(t, c.Client(), "later", 100)...)
	checkAll(t, c.Nodes, keys)
	for _, n := range c.Nodes {
		s, err := n.Status()
		check(t, err)
		if _, still := s.Member(old.ID); still || s.Voters() != 3 {
			t.Errorf("%s counts %d voters, the one that left among them: %v", n.ID, s.Voters(), still)
		}
	}

	// A leader that is asked itself leaves too.
	self := c.Leader()
	self.MustDo("RAFT.LEAVE")
	waitGone(t, c, self)
	checkAll(t, c.Nodes, append(keys, fill(t, c.Client(), "last", 100)...))
	if _, err := c.Leader().Do("RAFT.LEAVE", "nobody"); err == nil {
		t.Error("a node that is none left without an error")
	}
}

// waitGone takes a node that left from the cluster: it answers no writes any
// more, and the others have a leader.
func waitGone(t *testing.T, c *proc.Cluster, left *proc.Node) {
	t.Helper()
	for i, n := range c.Nodes {
		if n == left {
			c.Nodes = append(c.Nodes[:i:i], c.Nodes[i+1:]...)
			break
		}
	}
	c.WaitVoters(len(c.Nodes))
	if left.Running() {
		if _, err := left.Do("SET", "from the one that left", "1"); err == nil {
			t.Errorf("%s left and still takes writes", left.ID)
		}
	}
	left.Kill()
}

// A learner holds the data and answers reads, but has no vote: it does not help
// a cluster that lost its quorum, and does not hinder one that has it.
func TestLearner(t *testing.T) {
	c := proc.StartCluster(t, 3)
	learner := proc.NewNode(t, "learner").Start().WaitReady(patience)
	c.Leader().MustDo("RAFT.JOIN", "learner", learner.Raft, "LEARNER")
	keys := fill(t, c.Client(), "k", 200)
	c.WaitCaughtUp(learner)
	checkAll(t, []*proc.Node{learner}, keys)
	s, err := learner.Status()
	check(t, err)
	if m, _ := s.Member("learner"); s.Role != "learner" || m.Role != "learner" || s.Voters() != 3 {
		t.Errorf("role %q, listed as %q, %d voters; want learner and 3", s.Role, m.Role, s.Voters())
	}

	learner.Kill() // the others do not notice
	c.Leader().MustDo("SET", "without the learner", "1")
	learner.Start()
	c.WaitCaughtUp(learner)

	follower := c.Follower()
	leader := c.Leader()
	for _, n := range c.Nodes {
		if n != leader && n != follower {
			n.Kill()
		}
	}
	c.Leader().MustDo("SET", "two of three", "1")
	follower.Kill()
	if _, err := leader.Do("SET", "one of three and a learner", "1"); err == nil {
		t.Error("a write was acknowledged by one voter of three and a learner")
	}
	if _, err := leader.Do("GET", "two of three"); err == nil {
		t.Error("a read was answered by one voter of three and a learner")
	}
	follower.Start()
	c.Leader().MustDo("SET", "again two", "1")

	c.Add(learner)
	c.Leader().MustDo("RAFT.JOIN", "learner", learner.Raft) // now with a vote
	proc.Eventually(t, patience, "the learner is a voter", func() error {
		s, err := c.Leader().Status()
		if err == nil && s.Voters() != 4 {
			err = fmt.Errorf("%d voters", s.Voters())
		}
		return err
	})
}

// Joining a node that cannot be reached is an error, and costs nothing: above
// all not the quorum of a cluster of one.
func TestJoinUnreachable(t *testing.T) {
	n := proc.NewNode(t, "node1").Start().WaitReady(patience)
	n.MustDo("SET", "k", "v")
	dead := proc.FreeAddr(t)
	_, err := n.Do("RAFT.JOIN", "node2", dead)
	if err == nil || !strings.Contains(err.Error(), dead) {
		t.Errorf("RAFT.JOIN of an unreachable node: %v, want an error that names %s", err, dead)
	}
	n.MustDo("SET", "k", "w")
	if s, err := n.Status(); err != nil || s.Voters() != 1 {
		t.Errorf("voters after that: %+v, %v, want 1", s, err)
	}

	// A wrong id for a node that is there, and an id that is taken.
	other := proc.NewNode(t, "node2").Start().WaitReady(patience)
	if _, err := n.Do("RAFT.JOIN", "wrong", other.Raft); err == nil || !strings.Contains(err.Error(), "node2") {
		t.Errorf("RAFT.JOIN with a wrong id: %v, want an error that names node2", err)
	}
	n.MustDo("RAFT.JOIN", "node2", other.Raft)
	impostor := proc.NewNode(t, "node2").Start().WaitReady(patience)
	if _, err := n.Do("RAFT.JOIN", "node2", impostor.Raft); err == nil {
		t.Error("a second node2 was taken in")
	}
	n.MustDo("SET", "k", "x")
}

// Two nodes that both hold state refuse each other, whichever is asked, and
// both go on as before.
func TestTwoClustersRefuseEachOther(t *testing.T) {
	a := proc.NewNode(t, "node1").Start().WaitReady(patience)
	b := proc.NewNode(t, "node2").Start().WaitReady(patience)
	a.MustDo("SET", "k", "a")
	b.MustDo("SET", "k", "b")
	for _, c := range []struct{ asked, joining *proc.Node }{{a, b}, {b, a}} {
		_, err := c.asked.Do("RAFT.JOIN", c.joining.ID, c.joining.Raft)
		if err == nil || !strings.Contains(err.Error(), "already holds") {
			t.Errorf("%s took in %s: %v, want an error that it already holds state", c.asked.ID, c.joining.ID, err)
		}
	}
	if ga, gb := a.MustDo("GET", "k"), b.MustDo("GET", "k"); ga != "a" || gb != "b" {
		t.Errorf("k = %v and %v, want a and b", ga, gb)
	}
	// A fresh one can be invited by either; one that asks a node with state by
	// --join though it has its own is refused too, and keeps serving its own.
	b.Term()
	b.Start("--join", a.Raft).WaitReady(patience)
	if got := b.MustDo("GET", "k"); got != "b" {
		t.Errorf("k = %v, want b", got)
	}
}

// A fresh node that is invited by another fresh node; both before any write.
func TestTwoFreshNodes(t *testing.T) {
	a := proc.NewNode(t, "node1").Start().WaitReady(patience)
	b := proc.NewNode(t, "node2").Start().WaitReady(patience)
	a.MustDo("RAFT.JOIN", "node2", b.Raft)
	proc.Eventually(t, patience, "both are voters", func() error {
		s, err := b.Status()
		if err == nil && (s.Voters() != 2 || s.LeaderID != "node1") {
			err = fmt.Errorf("%d voters, leader %q", s.Voters(), s.LeaderID)
		}
		return err
	})
	a.MustDo("SET", "k", "v")
	if got := b.ReadOnly().Get(ctx, "k").Val(); got != "v" {
		t.Errorf("node2 has k = %q, want v", got)
	}
}

// Leadership moves on request, to the named node or to any.
func TestTransfer(t *testing.T) {
	c := proc.StartCluster(t, 3)
	old, target := c.Leader(), c.Follower()
	target.MustDo("RAFT.TRANSFER", target.ID)
	if now := c.Leader(); now != target {
		t.Errorf("%s leads, want %s", now.ID, target.ID)
	}
	start := time.Now()
	target.MustDo("RAFT.TRANSFER")
	if now := c.Leader(); now == target {
		t.Errorf("%s still leads after %s", now.ID, time.Since(start))
	}
	old.MustDo("RAFT.TRANSFER", old.ID)
	if _, err := old.Do("RAFT.TRANSFER", "nobody"); err == nil {
		t.Error("leadership went to nobody")
	}
	c.Leader().MustDo("SET", "k", "v")
}
