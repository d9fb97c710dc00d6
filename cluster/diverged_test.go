package cluster

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/batch"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// verdictOn is a ruling on one node, by a majority.
func verdictOn(id string, v system.Verdict, index uint64) ruling {
	return ruling{Majority: true, Report: system.AuditReport{
		Index: index, Digest: "right", Verdict: v, Nodes: []system.NodeDigest{{ID: id, Digest: "its own", Verdict: v}},
	}}
}

// marked reports whether the mark is on the node's disk.
func (tn *testNode) marked() bool {
	_, err := os.Stat(tn.dir + "/" + divergedFile)
	return err == nil
}

// Two of three that differ prove nothing: it is the third that tells who is wrong.
func TestAuditWithoutAMajorityMarksNobody(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	settle(t, nodes...)
	nodes[2].stop(t)
	nodes[0].spoil(t)
	want := map[string]system.Verdict{"n1": system.AuditUndecided, "n2": system.AuditUndecided, "n3": system.AuditUnknown}
	if odd := nodes[1].audit(t, system.AuditUndecided); !maps.Equal(odd, want) {
		t.Errorf("an audit found %v, want %v", odd, want)
	}
	for _, tn := range nodes[:2] {
		if tn.diverged.on() || tn.marked() {
			t.Errorf("%s is marked", tn.cfg.NodeID)
		}
	}
	nodes[2].run(t, "n3")
	eventually(t, "n3 has caught up", func() bool { return nodes[2].visible.Load() >= nodes[1].visible.Load() })
	eventually(t, "n1 is found out", func() bool {
		_, err := nodes[1].Audit(background(t))
		return err == nil && nodes[0].diverged.on() && !nodes[1].diverged.on()
	})
}

// A node that was marked wrongly serves again once most voters are found to have
// its state.
func TestAuditAcquits(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	settle(t, nodes...)
	n2 := nodes[1]
	if err := n2.heed(verdictOn("n2", system.AuditDiffers, n2.visible.Load())); err != nil || !n2.marked() {
		t.Fatalf("marked: %v, %v", n2.marked(), err)
	}
	nodes[0].audit(t, system.AuditOK)
	if n2.diverged.on() || n2.marked() {
		t.Error("the mark is still there")
	}
	if got := n2.read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET k = %q", got)
	}
}

// What takes a mark away, and what does not.
func TestWhoIsAcquitted(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	byLeader := verdictOn("n1", system.AuditOK, 9)
	byLeader.Majority = false
	tests := []struct {
		name  string
		r     ruling
		taken bool // over by a rebuild, and not written down yet
		on    bool
	}{
		{"later", verdictOn("n1", system.AuditOK, 6), false, false},
		{"before", verdictOn("n1", system.AuditOK, 4), false, true},
		{"another node", verdictOn("n2", system.AuditOK, 6), false, true},
		{"no majority", byLeader, false, true},
		{"undecided", verdictOn("n1", system.AuditUndecided, 6), false, true},
		{"not on disk", verdictOn("n1", system.AuditOK, 6), true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := a.diverged.set(divergence{Index: 5}); err != nil {
				t.Fatal(err)
			}
			a.diverged.replace = tt.taken
			if err := a.heed(tt.r); err != nil {
				t.Fatal(err)
			}
			if a.diverged.on() != tt.on || a.marked() != tt.on {
				t.Errorf("on %v, marked %v; want %v", a.diverged.on(), a.marked(), tt.on)
			}
		})
	}
}

// A node that has restarted since it made its digest knows of none, and is marked
// all the same.
func TestRulingNeedsNoDigest(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	if err := a.heed(verdictOn("n1", system.AuditDiffers, 7)); err != nil || !a.marked() {
		t.Fatalf("heed: %v; marked: %v", err, a.marked())
	}
	if got, want := *a.diverged.mark.Load(), (divergence{Index: 7, Digest: "its own", Right: "right"}); got.Index != want.Index || got.Digest != want.Digest || got.Right != want.Right {
		t.Errorf("mark %+v, want %+v", got, want)
	}
}

// What an audit found before a leader's snapshot replaced the state is past. What a
// node reads from its own disk at its start is its state of before.
func TestRulingAfterASnapshot(t *testing.T) {
	nodes := trio(t)
	n1, n3 := nodes[0], nodes[2]
	n1.write(t, "SET k v")
	settle(t, nodes...)
	audited := n1.visible.Load()
	for n3.restore.Load() == 0 { // a message that waited for n3 may bring it up to date instead
		n3.stop(t)
		for i := range 5 {
			n1.write(t, fmt.Sprintf("SET k %d", i))
		}
		if err := n1.Snapshot(background(t)); err != nil {
			t.Fatal(err)
		}
		n1.write(t, "SET k x")
		n3.run(t, "n3")
		eventually(t, "n3 has caught up", func() bool { return n3.visible.Load() >= n1.visible.Load() })
	}
	if err := n3.heed(verdictOn("n3", system.AuditDiffers, audited)); err != nil || n3.diverged.on() {
		t.Errorf("heed: %v; a state that was replaced since is marked: %v", err, n3.diverged.on())
	}
	n3.stop(t)
	n3.run(t, "n3")
	if err := n3.heed(verdictOn("n3", system.AuditDiffers, audited)); err != nil || !n3.diverged.on() {
		t.Errorf("heed: %v; after a restart it is marked: %v", err, n3.diverged.on())
	}
}

// An entry that was sent just before its node was marked is not answered from the
// wrong state.
func TestNoReplyFromAStateKnownWrong(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	a.write(t, "SET k v")
	told := make(chan error, 2)
	q := batch.New(1<<20, 1<<20, nil)
	p := system.Proposal{Proposal: entry.Proposal{Commands: []entry.Command{{Args: words("GET k")}}}, Done: func(_ []byte, err error) { told <- err }}
	q.Add([]system.Proposal{p}, a.wall())
	f := &flight{items: q.Take(1), writers: []*resp.Writer{resp.NewWriter(2, nil)}, done: make(chan struct{})}
	f.batch = entry.Batch{Version: entry.Version, ID: 1, Now: a.machine.Now(), Proposals: []entry.Proposal{p.Proposal}}
	f.data = entry.Append(nil, &f.batch)
	a.diverged.mark.Store(&divergence{}) // set has looked for a flight and found none
	a.flight.Store(f)
	if err := a.raft.Load().Apply(f.data, 0).Error(); err != nil {
		t.Fatal(err)
	}
	<-f.done
	if err := <-told; !errors.Is(err, system.ErrUnknownOutcome) {
		t.Errorf("told %v, want that the outcome is not known", err)
	}
}

func TestFittest(t *testing.T) {
	right, short, wrong := progress{Last: 5}, progress{Last: 9, Short: true}, progress{Last: 9, Diverged: true}
	tests := []struct {
		name   string
		voters map[string]progress
		want   string
	}{
		{"nobody", nil, ""},
		{"only a diverged one", map[string]progress{"n1": wrong}, ""},
		{"space before length", map[string]progress{"n1": short, "n2": right, "n3": wrong}, "n2"},
		{"length", map[string]progress{"n1": right, "n2": {Last: 6}}, "n2"},
		{"none with space", map[string]progress{"n1": short, "n2": {Last: 8, Short: true}}, "n1"},
	}
	for _, tt := range tests {
		for range 20 { // maps are walked in any order
			if got, p := fittestOf(tt.voters); got != tt.want || p != tt.voters[tt.want] {
				t.Fatalf("%s: %q, %+v; want %q", tt.name, got, p, tt.want)
			}
		}
	}
}

// A node on a nearly full disk finds no better one in a node that has diverged, nor
// in one whose disk is full too.
func TestMakeWayNeedsSpaceAndTheRightState(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.run(t, "n1")
	b.run(t, "n2", a.addr)
	eventually(t, "two voters", func() bool { return len(a.otherVoters()) == 1 })
	eventually(t, "n2 follows", func() bool { return b.raft.Load().State() == raft.Follower })
	a.members <- struct{}{} // nothing is handed over
	defer a.members.unlock()
	refuses := func() bool {
		a.disk.makeWay(false)
		return a.disk.refuses()
	}
	eventually(t, "n2 is better", func() bool { return !refuses() })
	eventually(t, "n2 is no better", func() bool {
		b.disk.short.Store(true) // until it is measured
		return refuses()
	})
	eventually(t, "n2 is better again", func() bool { return !refuses() })
	if err := b.diverged.set(divergence{Index: b.visible.Load()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "n2 is no better, being diverged", refuses)
}
