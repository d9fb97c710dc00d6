package cluster

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

func TestSnapshotIsDue(t *testing.T) {
	const mib = 1 << 20
	c := usualCadence
	tests := []struct {
		name          string
		behind, size  int64
		idle          int
		due, pressing bool
	}{
		{"nothing", 0, 0, 100, false, false},
		{"the least", 32 * mib, 0, 0, true, false},
		{"a byte short", 32*mib - 1, 0, 0, false, false},
		{"half of what it has", 150 * mib, 300 * mib, 0, true, false},
		{"less than that", 149 * mib, 300 * mib, 0, false, false},
		{"the most", 1024 * mib, 100_000 * mib, 0, true, false},
		{"long due", 48 * mib, 0, 0, true, true},
		{"little, under load", 8 * mib, 0, 2, false, false},
		{"little, idle", 8 * mib, 0, 3, true, false},
		{"too little, idle", 8*mib - 1, 0, 3, false, false},
		{"little of much, idle", 8 * mib, 300 * mib, 3, false, false},
		{"a quarter of much, idle", 75 * mib, 300 * mib, 3, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if due, pressing := c.due(tt.behind, tt.size, tt.idle), c.pressing(tt.behind, tt.size); due != tt.due || pressing != tt.pressing {
				t.Errorf("got due %v, pressing %v; want %v, %v", due, pressing, tt.due, tt.pressing)
			}
		})
	}
}

// Under load the members write their snapshots one after the other, the leader last;
// and what they wrote cuts what a start has to apply.
func TestSnapshotsTakeTurns(t *testing.T) {
	nodes := trio(t)
	leader := leaderOf(t, nodes)
	order := leader.snapshotOrder()
	if len(order) != 3 || order[2] != leader.cfg.NodeID || order[0] >= order[1] {
		t.Fatalf("order %v, and %s leads", order, leader.cfg.NodeID)
	}
	byID := func(id string) *testNode {
		return nodes[slices.IndexFunc(nodes, func(tn *testNode) bool { return tn.cfg.NodeID == id })]
	}
	first, second := byID(order[0]), byID(order[1])

	second.recent.writing.Add(1)
	if first.myTurn() || leader.myTurn() {
		t.Error("two would write at once")
	}
	second.recent.writing.Add(-1)
	second.recent.wants.Store(true)
	if !first.myTurn() {
		t.Error("the first gives way to the second")
	}
	if leader.myTurn() {
		t.Error("the leader does not give way")
	}
	second.recent.wants.Store(false)
	if !leader.myTurn() {
		t.Error("the leader gives way to nobody")
	}
}

// A snapshot that fell due writes itself, and takes away what came before.
func TestSnapshotFallsDue(t *testing.T) {
	tn := newNode(t, "n1")
	tn.cadence = &cadence{least: 1 << 20, most: 1 << 20, idle: 100 << 10, ticks: 2, tick: time.Millisecond}
	tn.run(t, "n1")
	write := func(bytes int) {
		t.Helper()
		for range bytes / 50_000 {
			tn.write(t, "SET k "+strings.Repeat("v", 50_000))
		}
	}
	write(1 << 20) // more than enough, under load and then idle
	eventually(t, "a snapshot of nearly all", func() bool {
		return tn.Status(t.Context()).SnapshotIndex > 0 && tn.recent.state() == noSnapshot && tn.recent.since() < 100<<10
	})
	if tn.recent.size.Load() < 50_000 {
		t.Errorf("its size is said to be %d bytes", tn.recent.size.Load())
	}
}

// What a node knows of its newest snapshot is right after a leader has sent it one, and
// after a start: when the next one is due follows from that.
func TestSnapshotIsKnownHoweverItCame(t *testing.T) {
	leader, joins := newNode(t, "n1"), newNode(t, "n2")
	leader.run(t, "n1")
	for i := range 10 {
		leader.write(t, fmt.Sprintf("SET k%d %s", i, strings.Repeat("v", 100_000)))
	}
	if err := leader.Snapshot(background(t)); err != nil {
		t.Fatal(err)
	}
	size := leader.recent.size.Load()
	joins.run(t, "n2")
	joins.recent.applied.Add(1 << 40) // as one that fell behind has done before
	if err := leader.Join(background(t), system.JoinRequest{ID: "n2", Raft: joins.addr}); err != nil {
		t.Fatal(err)
	}
	check := func(when string, tn *testNode) {
		t.Helper()
		if got := tn.recent.size.Load(); got != size {
			t.Errorf("%s: the newest snapshot has %d bytes, it is said to have %d", when, size, got)
		}
		if got := tn.recent.since(); got > 10_000 {
			t.Errorf("%s: %d bytes are said to have been applied since", when, got)
		}
	}
	check("sent by a leader", joins)
	leader.stop(t)
	leader.run(t, "n1")
	check("after a start", leader)
}

// A snapshot that a leader's newer one overtook while it was written changes nothing.
func TestSnapshotIsOvertaken(t *testing.T) {
	var r recent
	r.applied.Store(1000)
	r.note(1000, 7) // a leader's
	r.note(400, 5)  // its own, begun before
	if r.since() != 0 || r.size.Load() != 7 {
		t.Errorf("%d bytes since one of %d; want 0, 7", r.since(), r.size.Load())
	}
}

// A member whose snapshot fails is in nobody's way while it waits to try again.
func TestFailedSnapshotGivesTheTurnUp(t *testing.T) {
	tn := newNode(t, "n1")
	tn.cadence = &cadence{least: 1 << 10, most: 1 << 10, idle: 1 << 10, ticks: 2, tick: time.Millisecond}
	var log logText
	tn.logs = &log
	tn.run(t, "n1")
	tn.write(t, "SET k v")
	dir := tn.dir + "/" + snapshotDir
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	tn.write(t, "SET k "+strings.Repeat("v", 2<<10))
	eventually(t, "a failure", func() bool { return log.count("snapshot not written") > 0 })
	if got := tn.recent.state(); got != noSnapshot { // it would be for the whole of adminWait
		t.Errorf("others are told %d", got)
	}
}

// The library's snapshot is written slowly, but not while this node is rebuilt, which
// ends only when its new state is on disk.
func TestSnapshotOfARebuildIsNotPaced(t *testing.T) {
	tn := newNode(t, "n1")
	tn.run(t, "n1")
	tn.write(t, "SET k v")
	s := &snapshot{n: tn.Node, covers: tn.recent.applied.Load()}
	if got := s.haste(); got != 0 {
		t.Errorf("haste %v, want 0", got)
	}
	tn.rebuilding.Store(&rebuild{over: true})
	defer tn.rebuilding.Store(nil)
	if got := s.haste(); got != 1 {
		t.Errorf("while it is rebuilt: haste %v, want 1", got)
	}
}
