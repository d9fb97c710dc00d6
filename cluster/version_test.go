package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// oldTrio is a cluster of three programs that know the first version only.
func oldTrio(t *testing.T) []*testNode {
	t.Helper()
	nodes := []*testNode{newNode(t, "n1"), newNode(t, "n2"), newNode(t, "n3")}
	for i, tn := range nodes {
		tn.knows = system.FirstVersion
		tn.run(t, fmt.Sprintf("n%d", i+1))
	}
	for i, tn := range nodes[1:] {
		must(t, nodes[0].Join(background(t), system.JoinRequest{ID: fmt.Sprintf("n%d", i+2), Raft: tn.addr}))
	}
	return nodes
}

// upgrade restarts a node with this program.
func (tn *testNode) upgrade(t *testing.T) {
	t.Helper()
	id := tn.cfg.NodeID
	tn.stop(t)
	tn.knows = 0
	tn.run(t, id)
}

func (tn *testNode) awaitVersion(t *testing.T, want uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s at cluster version %d", tn.cfg.NodeID, want), func() bool { return tn.machine.Version() == want })
}

// holdsUp fails the test unless the leader finds that exactly these keep the version
// where it is.
func holdsUp(t *testing.T, nodes []*testNode, want string) {
	t.Helper()
	last := ""
	defer func() {
		if t.Failed() {
			t.Logf("held up by %q, want %q", last, want)
		}
	}()
	eventually(t, "held up by "+want, func() bool {
		to, behind, err := leaderOf(t, nodes).raiseOnce(background(t))
		if to != 0 || err != nil {
			t.Fatalf("raised to %d, %v; %s was to hold it up", to, err, want)
		}
		last = behind
		return behind == want
	})
	for _, tn := range nodes {
		if v := tn.machine.Version(); v > system.FirstVersion {
			t.Errorf("%s is at version %d", tn.cfg.NodeID, v)
		}
	}
}

// system logs system commands for a client.
func (tn *testNode) system(cmds ...entry.Command) (reply string, err error) {
	done := make(chan struct{})
	tn.Submit([]system.Proposal{{
		Proposal: entry.Proposal{System: true, Commands: cmds}, Proto: 2,
		Done: func(b []byte, e error) { reply, err = string(b), e; close(done) },
	}})
	<-done
	return reply, err
}

// batches returns the batches in a node's log.
func (tn *testNode) batches(t *testing.T) (all []*entry.Batch) {
	t.Helper()
	r := tn.Node.raft.Load()
	first, err := r.logs.FirstIndex()
	must(t, err)
	for i := first; i <= r.LastIndex(); i++ {
		var l raft.Log
		must(t, r.logs.GetLog(i, &l))
		if l.Type == raft.LogCommand {
			b, err := entry.Decode(l.Data)
			must(t, err)
			all = append(all, b)
		}
	}
	return all
}

// raises returns the versions that a batch raises the cluster to.
func raises(b *entry.Batch) (all []uint64) {
	for i := range b.Proposals {
		for j := range b.Proposals[i].Commands {
			if v := system.RaisesTo(&b.Proposals[i].Commands[j]); v != 0 {
				all = append(all, v)
			}
		}
	}
	return all
}

// A new cluster is at the newest version of its founder from its first entry on, and
// every entry says so.
func TestNewClusterHasTheNewestVersion(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	if s := a.Status(background(t)); s.ClusterVersion != system.NewestVersion || s.Nodes[0].Knows != system.NewestVersion {
		t.Errorf("a fresh node says it is at %d, knows %d", s.ClusterVersion, s.Nodes[0].Knows)
	}
	if _, err := a.system(system.UsersSet(0, system.UserChange{Name: "bob", Rules: "on"})); err != nil {
		t.Errorf("users as the first entry: %v", err)
	}
	for i, b := range a.batches(t) {
		if b.Version != system.NewestVersion || len(raises(b)) > 0 && i > 0 {
			t.Errorf("entry %d has version %d and raises to %d", i, b.Version, raises(b))
		}
	}
	if v := a.Status(background(t)).ClusterVersion; v != system.NewestVersion {
		t.Errorf("the cluster is at version %d, want %d", v, system.NewestVersion)
	}
}

// A rolling upgrade: nothing new is logged as long as one node knows less, runs or
// not; then the version rises, once, and replicas agree before and after.
func TestRollingUpgrade(t *testing.T) {
	nodes := oldTrio(t)
	nodes[0].fill(t, 100, "old")
	bob := system.UsersSet(0, system.UserChange{Name: "bob", Rules: "on"})
	for i, behind := range []string{"n2 (knows 1), n3 (knows 1)", "n3 (knows 1)"} {
		nodes[i].upgrade(t)
		leader := leaderOf(t, nodes)
		if leader == nodes[2] { // it would not try
			must(t, leader.Transfer(background(t), nodes[i].cfg.NodeID))
		}
		if i == 0 {
			eventually(t, "n1 leads", func() bool { leaderOf(t, nodes).Transfer(background(t), "n1"); return leaderOf(t, nodes) == nodes[0] })
		}
		holdsUp(t, nodes, behind)
		var refused *system.RefusedError
		if _, err := leaderOf(t, nodes).system(bob); !errors.As(err, &refused) || !strings.Contains(err.Error(), "knows cluster version 2, and the cluster is at 1") {
			t.Errorf("users in a mixed cluster: %v", err)
		}
		for _, change := range []error{leaderOf(t, nodes).tokenHere(background(t), tokenRequest{Off: true}), leaderOf(t, nodes).tokenHere(background(t), tokenRequest{Hash: system.HashToken("a"), TTL: 1000})} {
			if !errors.As(change, &refused) {
				t.Errorf("join tokens in a mixed cluster: %v", change)
			}
		}
		leaderOf(t, nodes).fill(t, 100, fmt.Sprint("mixed", i))
		leaderOf(t, nodes).audit(t, system.AuditOK)
	}
	for _, b := range leaderOf(t, nodes).batches(t) {
		if b.Version != system.FirstVersion {
			t.Errorf("an entry of a cluster of version 1 has version %d", b.Version)
		}
	}
	// The old one leads, and goes; the others must not take its silence for consent.
	eventually(t, "n3 leads", func() bool { leaderOf(t, nodes).Transfer(background(t), "n3"); return leaderOf(t, nodes) == nodes[2] })
	nodes[2].stop(t)
	holdsUp(t, nodes[:2], "n3 (no answer)")
	nodes[2].knows = 0
	nodes[2].run(t, "n3")
	for _, tn := range nodes {
		tn.awaitVersion(t, system.NewestVersion)
	}
	leader := leaderOf(t, nodes)
	if reply, err := leader.system(bob); err != nil || reply != "+OK\r\n" {
		t.Errorf("users after the raise: %q, %v", reply, err)
	}
	leader.fill(t, 100, "new")
	leader.audit(t, system.AuditOK)
	checkRaised(t, leader.batches(t))
	if s := leader.Status(background(t)); s.ClusterVersion != system.NewestVersion || s.Nodes[2].Knows != system.NewestVersion {
		t.Errorf("status: %+v", s)
	}

	// Another leader raises nothing again, and a snapshot keeps the version.
	must(t, leader.Transfer(background(t), ""))
	leader = leaderOf(t, nodes)
	if to, behind, err := leader.raiseOnce(background(t)); to != 0 || behind != "" && err != nil {
		t.Errorf("raised again, to %d", to)
	}
	checkRaised(t, leader.batches(t))
	must(t, leader.Snapshot(background(t)))
	id := leader.cfg.NodeID
	leader.stop(t)
	leader.run(t, id)
	if v := leader.machine.Version(); v != system.NewestVersion {
		t.Errorf("restored at version %d", v)
	}
}

// checkRaised: one entry raises the version, and it and all behind it tell the new one.
func checkRaised(t *testing.T, all []*entry.Batch) {
	t.Helper()
	count, now := 0, uint16(system.FirstVersion)
	for i, b := range all {
		if to := raises(b); i > 0 && len(to) > 0 {
			count++
			now = uint16(to[0])
		}
		if b.Version != now {
			t.Errorf("entry %d has version %d, want %d", i, b.Version, now)
		}
	}
	if count != 1 || now != system.NewestVersion {
		t.Errorf("the version was raised %d times, to %d", count, now)
	}
}

// Learners apply the log like all others, and one whose join is not done yet will.
func TestLearnerHoldsTheVersion(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.knows, b.knows = system.FirstVersion, system.FirstVersion
	a.run(t, "n1")
	b.run(t, "n2")
	must(t, a.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr, Learner: true}))
	must(t, a.logSystem(background(t), system.MemberSet(system.Member{ID: "n3", Raft: freeAddr(t)})))
	a.upgrade(t)
	pair := []*testNode{a, b}
	holdsUp(t, pair, "n2 (knows 1), n3 (no answer)")
	b.upgrade(t)
	holdsUp(t, pair, "n3 (no answer)")
	must(t, a.Leave(background(t), "n3"))
	b.awaitVersion(t, system.NewestVersion)
	settle(t, leaderOf(t, pair), b)
	leaderOf(t, pair).audit(t, system.AuditOK)
}

// A new program joins an old cluster by asking: it becomes a member in the words of
// the first version, and waits for the others.
func TestNewProgramJoinsOldCluster(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.knows = system.FirstVersion
	a.run(t, "n1")
	a.write(t, "SET k v")
	b.run(t, "n2", a.addr)
	eventually(t, "n2 votes", func() bool { return len(a.otherVoters()) == 1 })
	if got := b.read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET = %q", got)
	}
	must(t, a.Transfer(background(t), "n2"))
	holdsUp(t, []*testNode{b}, "n1 (knows 1)")
	a.upgrade(t)
	a.awaitVersion(t, system.NewestVersion)
	b.awaitVersion(t, system.NewestVersion)
}

// A node alone, whose data are of the first version, raises it by itself; and so does
// one that was recovered from a cluster.
func TestOldDataRise(t *testing.T) {
	a := newNode(t, "n1")
	a.knows = system.FirstVersion
	a.run(t, "n1")
	a.write(t, "SET k v")
	if v := a.machine.Version(); v != system.FirstVersion {
		t.Fatalf("founded at version %d", v)
	}
	must(t, a.Snapshot(background(t)))
	a.upgrade(t)
	a.awaitVersion(t, system.NewestVersion)
	if got := a.read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET = %q", got)
	}

	dir := survivor(t, true)
	r, err := OpenRecovery(context.Background(), dir, Around{})
	must(t, err)
	_, err = r.Apply()
	r.Close()
	must(t, err)
	if v := r.machine.Version(); v != system.FirstVersion {
		t.Errorf("recovered at version %d", v)
	}
	b := newNode(t, "n1")
	b.dir = dir
	if testKind() != "" {
		t.Setenv("RAFTKV_TEST_LOG_STORE", "")
	}
	b.run(t, "n1")
	b.awaitVersion(t, system.NewestVersion)
	if got := b.read(t, "GET k9"); got != "$1\r\nv\r\n" {
		t.Errorf("GET = %q", got)
	}
}

// A node whose program knows less than the cluster's version is not let in: it stays
// as it was, and one that asked by itself ends.
func TestOldProgramCannotJoin(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.run(t, "n1")
	b.knows = system.FirstVersion
	b.run(t, "n2")
	want := fmt.Sprintf("n2 runs a version of raftkv that knows cluster versions up to 1, and the cluster is at %d", system.NewestVersion)
	var refused *system.RefusedError
	for range 2 { // a fresh node invites, then one that has a cluster
		err := a.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr})
		if !errors.As(err, &refused) || !refused.Final || !strings.Contains(err.Error(), want) {
			t.Errorf("join: %v", err)
		}
		if got := b.state.Load().State; got != pristine {
			t.Errorf("a node that was refused is %s", got)
		}
		a.write(t, "SET k v")
	}
	b.stop(t)
	b.run(t, "n2", a.addr)
	wantFatal(t, b, want)
	b.stop(t)
	b.knows = 0
	b.run(t, "n2", a.addr)
	eventually(t, "n2 votes", func() bool { return len(a.otherVoters()) == 1 })
}

// What a newer program wrote ends this one with a line that says what to do: an entry,
// and a snapshot that a leader sends, which would be sent again for ever.
func TestNewerDataEndTheNode(t *testing.T) {
	const wayOut = "this program knows up to %d; start this node with the version of raftkv that wrote it, or a newer one"
	for name, meet := range map[string]func(a *applier){
		"entry": func(a *applier) {
			b := &entry.Batch{Version: system.NewestVersion + 1, Proposals: []entry.Proposal{{System: true, Commands: []entry.Command{system.ClusterVersion(system.NewestVersion + 1)}}}}
			a.Apply(&raft.Log{Index: 100, Term: 1, Type: raft.LogCommand, Data: entry.Append(nil, b)})
		},
		"snapshot": func(a *applier) {
			if a.Restore(io.NopCloser(bytes.NewReader(newerSnapshot()))) == nil {
				t.Error("a newer snapshot was restored")
			}
		},
	} {
		tn := newNode(t, "n1")
		tn.run(t, "n1")
		before := tn.machine.Applied()
		meet(&applier{n: tn.Node})
		wantFatal(t, tn, fmt.Sprintf(wayOut, system.NewestVersion))
		if tn.machine.Applied() != before {
			t.Errorf("%s: it was applied", name)
		}
	}
}

// newerSnapshot is the beginning of a snapshot of a cluster version that is not known
// here: up to its header.
func newerSnapshot() []byte {
	data := []byte("RaftKVsn\x01\x00")
	table := crc32.MakeTable(crc32.Castagnoli)
	crc := crc32.Update(0, table, data)
	payload := []byte{system.NewestVersion + 1, 1, 'u', 200, 1, 2, 2, 9}
	chunk := append(binary.LittleEndian.AppendUint32([]byte{1, 1}, uint32(len(payload))), payload...)
	return binary.LittleEndian.AppendUint32(append(data, chunk...), crc32.Update(crc, table, chunk))
}
