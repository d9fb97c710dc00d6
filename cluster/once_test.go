package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
)

// wantSpent checks that an error refuses an id for good.
func wantSpent(t *testing.T, what string, err error) {
	t.Helper()
	var refused *system.RefusedError
	if !errors.As(err, &refused) || !refused.Final || !strings.Contains(err.Error(), "used once") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v, want a refusal for good, in one line", what, err)
	}
}

// An id is used once in a cluster's life. Were a fresh node taken in under that of
// one that was removed while it was down, the old data directory, started again,
// would be the same voter: what it acknowledged with the leader is lost when the
// other one goes on with the rest.
func TestIDOfRemovedNodeIsSpent(t *testing.T) {
	nodes := trio(t)
	nodes[2].stop(t)
	if err := nodes[0].Leave(background(t), "n3"); err != nil {
		t.Fatal(err)
	}
	fresh := newNode(t, "n3")
	fresh.run(t, "n3")
	for _, tn := range nodes[:2] {
		wantSpent(t, "asked at "+tn.cfg.NodeID, tn.Join(background(t), system.JoinRequest{ID: "n3", Raft: fresh.addr}))
	}
	if got := fresh.state.Load().State; got != pristine {
		t.Errorf("the one that was refused is %s, want %s", got, pristine)
	}
	if err := nodes[0].Snapshot(background(t)); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].Transfer(background(t), "n2"); err != nil {
		t.Fatal(err)
	}
	nodes[0].stop(t)
	nodes[0].run(t, "n1") // which begins with the snapshot
	leaderOf(t, nodes[:2])
	wantSpent(t, "after a restart", nodes[0].Join(background(t), system.JoinRequest{ID: "n3", Raft: fresh.addr}))
	// Nor is the old one taken back.
	nodes[2].run(t, "n3", nodes[0].addr)
	wantSpent(t, "the old one", nodes[0].Join(background(t), system.JoinRequest{ID: "n3", Raft: nodes[2].addr}))
	eventually(t, "the old one knows that it was removed", func() bool { return nodes[2].state.Load().State == left })
	n4 := newNode(t, "n4")
	n4.run(t, "n4")
	if err := nodes[0].Join(background(t), system.JoinRequest{ID: "n4", Raft: n4.addr}); err != nil {
		t.Errorf("under an id of its own: %v", err)
	}
}

// A join that was cut off can be repeated by the same data directory, and by no
// other; once it was called off by RAFT.LEAVE, by none.
func TestJoinThatWasCutOff(t *testing.T) {
	a, b, c := newNode(t, "n1"), newNode(t, "n2"), newNode(t, "n3")
	a.run(t, "n1")
	b.run(t, "n2")
	c.run(t, "n3")
	a.write(t, "SET k v")
	// What a join logs before it changes the configuration.
	for _, tn := range []*testNode{b, c} {
		if err := a.logSystem(background(t), system.MemberSet(tn.self())); err != nil {
			t.Fatal(err)
		}
	}
	other := newNode(t, "n2")
	other.run(t, "n2")
	err := a.Join(background(t), system.JoinRequest{ID: "n2", Raft: other.addr})
	var refused *system.RefusedError
	if !errors.As(err, &refused) || !refused.Final || !strings.Contains(err.Error(), "in use") {
		t.Errorf("another directory under the id of a join that was cut off: %v, want a refusal for good", err)
	}
	if got := other.state.Load().State; got != pristine {
		t.Errorf("the one that was refused is %s, want %s", got, pristine)
	}
	if _, err := a.invite(background(t), system.JoinRequest{ID: "n2", Raft: b.addr}, false); err != nil {
		t.Fatal(err)
	}
	if err := a.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr}); err != nil {
		t.Errorf("the same directory: %v", err)
	}
	if err := a.Leave(background(t), "n3"); err != nil {
		t.Fatal(err)
	}
	wantSpent(t, "a join that was called off", a.Join(background(t), system.JoinRequest{ID: "n3", Raft: c.addr}))
	c.stop(t)
	c.run(t, "n3", a.addr)
	select {
	case err := <-c.Fatal():
		if !strings.Contains(err.Error(), "used once") {
			t.Errorf("the node that asks for admission ended with %v", err)
		}
	case <-background(t).Done():
		t.Error("the node goes on asking")
	}
}

// What was logged of a node after it left does not bring it back: neither its
// addresses nor a join that was decided before.
func TestNobodyComesBack(t *testing.T) {
	nodes := trio(t)
	m, _ := nodes[0].machine.Member("n3")
	if err := nodes[0].Leave(background(t), "n3"); err != nil {
		t.Fatal(err)
	}
	err := nodes[0].logSystem(background(t), system.MemberSet(m))
	var refused *system.RefusedError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "used once") {
		t.Errorf("an announcement that came too late: %v, want a refusal", err)
	}
	if _, back := nodes[0].machine.Member("n3"); back {
		t.Error("n3 is a member again")
	}
}

// A removal that was cut off between the log and the configuration is finished by
// whoever leads, be it the removed node itself.
func TestRemovalThatWasCutOff(t *testing.T) {
	nodes := trio(t)
	if err := nodes[0].logSystem(background(t), system.MemberLeft("n3")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n3 is out of the configuration", func() bool { return !nodes[0].configured("n3") })
	eventually(t, "n3 knows", func() bool { return nodes[2].state.Load().State == left })
	if err := nodes[0].logSystem(background(t), system.MemberLeft("n1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n1 knows", func() bool { return nodes[0].state.Load().State == left })
	leaderOf(t, nodes[1:2]).write(t, "SET k v")
}

// A directory under a member's id that is not the member's gets nothing of its Raft
// traffic, though it is of the cluster, and the address book does not follow it.
func TestOtherDirectoryUnderAMembersID(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	nodes[2].stop(t)
	stray := newNode(t, "n3")
	if err := os.CopyFS(stray.dir, os.DirFS(nodes[2].dir)); err != nil {
		t.Fatal(err)
	}
	d := &dataDir{path: stray.dir}
	id, err := readIdentity(stray.dir)
	id.UUID = "another"
	if err == nil {
		err = errors.Join(d.save(id), os.Remove(filepath.Join(stray.dir, lockFile)))
	}
	if err != nil {
		t.Fatal(err)
	}
	stray.run(t, "n3", nodes[0].addr)
	r := stray.raft.Load()
	last := r.LastIndex()
	eventually(t, "it knows that it is no member", func() bool {
		nodes[0].write(t, "SET k w")
		return stray.state.Load().State == left
	})
	if got := r.LastIndex(); got != last {
		t.Errorf("its log went on from %d to %d", last, got)
	}
	for _, tn := range nodes[:2] {
		if addr, _ := tn.book.resolve("n3"); addr != nodes[2].addr {
			t.Errorf("%s has %s for n3's address, want %s", tn.cfg.NodeID, addr, nodes[2].addr)
		}
	}
	stray.stop(t)
	nodes[2].run(t, "n3")
	if got := nodes[2].read(t, "GET k"); got != "$1\r\nw\r\n" {
		t.Errorf("GET on the right one = %q", got)
	}
}
