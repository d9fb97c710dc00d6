package cluster

import (
	"errors"
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
)

// wantMoved checks that an error sends the client to a node.
func wantMoved(t *testing.T, what string, err error, to string) {
	t.Helper()
	var moved *system.NotLeaderError
	if !errors.As(err, &moved) || moved.Leader.ID != to || moved.Leader.RESP == "" {
		t.Errorf("%s: %v, want to be sent to %s", what, err, to)
	}
}

// A removed node says so, answers nothing from its Machine, and sends its clients
// to the cluster that it left, also when that gets another leader.
func TestRemovedNodeSendsOn(t *testing.T) {
	nodes := trio(t)
	gone := nodes[2]
	nodes[0].write(t, "SET k v")
	if err := nodes[0].Leave(background(t), "n3"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n3 knows that it left", func() bool { return gone.state.Load().State == left })
	check := func(leader string) {
		t.Helper()
		eventually(t, "n3 names the leader", func() bool { m, self, ok := gone.Leader(); return ok && !self && m.ID == leader })
		_, err := gone.do(0, words("SET k w"))
		wantMoved(t, "write", err, leader)
		_, err = gone.ReadBarrier(background(t))
		wantMoved(t, "read", err, leader)
		_, err = gone.FollowerBarrier(background(t))
		wantMoved(t, "follower's read", err, leader)
		_, err = gone.Forward(background(t), system.Caller{}, words("FLUSHALL"))
		wantMoved(t, "forwarded write", err, leader)
		s := gone.Status(background(t))
		if s.Role != system.Removed || s.Leader.ID != leader || len(s.Nodes) != 2 || s.Nodes[0].ID != "n1" || s.Nodes[1].ID != "n2" {
			t.Errorf("status: role %s, leader %s, nodes %+v", s.Role, s.Leader.ID, s.Nodes)
		}
	}
	check("n1")
	if err := nodes[0].Transfer(background(t), "n2"); err != nil {
		t.Fatal(err)
	}
	check("n2")
	if err := gone.Leave(background(t), "n1"); err == nil {
		t.Error("a removed node removed a member")
	}
	nodes[0].stop(t)
	nodes[1].stop(t)
	eventually(t, "n3 knows no leader", func() bool { _, _, ok := gone.Leader(); return !ok })
	if _, err := gone.do(0, words("SET k w")); !errors.Is(err, system.ErrRemoved) {
		t.Errorf("write without a leader: %v, want ErrRemoved", err)
	}
	if _, err := gone.FollowerBarrier(background(t)); !errors.Is(err, system.ErrRemoved) {
		t.Errorf("read without a leader: %v, want ErrRemoved", err)
	}
}

// A node that was removed while it was down finds out, and does not ask its way in again.
func TestRemovedWhileDown(t *testing.T) {
	nodes := trio(t)
	nodes[2].stop(t)
	if err := nodes[0].Leave(background(t), "n3"); err != nil {
		t.Fatal(err)
	}
	nodes[2].run(t, "n3", nodes[0].addr)
	eventually(t, "n3 knows that it was removed", func() bool { return nodes[2].state.Load().State == left })
	eventually(t, "n3 names the leader", func() bool { m, _, ok := nodes[2].Leader(); return ok && m.ID == "n1" })
	if got := len(nodes[0].Members()); got != 2 {
		t.Errorf("%d members, want 2", got)
	}
}
