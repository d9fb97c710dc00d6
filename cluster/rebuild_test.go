package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// gate holds back what a node sends of its state until open is closed; asked tells
// that it was asked for.
func (tn *testNode) gate() (asked <-chan struct{}, open chan<- struct{}) {
	seen, way := make(chan struct{}, 1), make(chan struct{})
	tn.trans.Handle(kindChunk, false, func(ctx context.Context, p transport.Peer, req []byte) ([]byte, error) {
		select {
		case seen <- struct{}{}:
		default:
		}
		select {
		case <-way:
			return tn.answerChunk(ctx, p, req)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	return seen, way
}

// While a node waits for the leader's state it stores, votes and applies as ever:
// it may be the one that the majority rests on.
func TestRebuildHoldsNothingUp(t *testing.T) {
	nodes := trio(t)
	n1, n2, n3 := nodes[0], nodes[1], nodes[2]
	n1.fill(t, 100, "v")
	settle(t, nodes...)
	n2.spoil(t)
	n1.audit(t, system.AuditDiffers)
	n3.stop(t)
	asked, open := n1.gate()
	done := make(chan error, 1)
	go func() { done <- n2.Rebuild(background(t), "") }()
	<-asked
	const many = 400 // entries, far more than the library keeps for an applier that waits
	for i := range many {
		n1.write(t, fmt.Sprintf("SET w%d v", i))
	}
	last := n1.machine.Applied()
	eventually(t, "n2 applies meanwhile", func() bool { return n2.machine.Applied() == last })
	if n2.machine.Digest() == n1.machine.Digest() {
		t.Error("n2 has the right state before it got it")
	}
	if err := n2.Snapshot(background(t)); err == nil || !strings.Contains(err.Error(), errRebuilding.Error()) {
		t.Errorf("a snapshot would cut the log that the rebuild needs: %v", err)
	}
	close(open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n2.diverged.on() || n2.marked() {
		t.Error("n2 is still marked")
	}
	n3.run(t, "n3")
	settle(t, n1, n2, n3)
	n1.audit(t, system.AuditOK)
	n2.stop(t)
	n2.run(t, "n2")
	for i := range many {
		if got := n2.read(t, fmt.Sprintf("GET w%d", i)); got != "$1\r\nv\r\n" {
			t.Fatalf("GET w%d = %q", i, got)
		}
	}
	if got := n2.read(t, "GET wrong"); got != "$-1\r\n" {
		t.Errorf("GET wrong = %q", got)
	}
}

// A fresh state is brought up to date from the log, or not at all.
func TestReplay(t *testing.T) {
	nodes := trio(t)
	n1, n2 := nodes[0], nodes[1]
	n1.write(t, "SET k v")
	s := n1.spools.expect(spoolRequest{ID: "n2", Nonce: "nonce"})
	n1.spools.reach("nonce")
	<-s.ready
	n1.fill(t, 1000, "v")
	settle(t, nodes...)
	begin := func() *rebuild {
		rb := &rebuild{nonce: "nonce", ctx: background(t), from: s.result, ended: make(chan error, 1)}
		fresh, err := n2.load(rb)
		if err != nil {
			t.Fatal(err)
		}
		rb.fresh.Store(fresh)
		return rb
	}
	to := n2.machine.Applied()

	rb := begin()
	if err := n2.replay(rb, rb.fresh.Load(), to); err != nil || rb.fresh.Load().Digest() != n2.machine.Digest() {
		t.Errorf("replay: %v", err)
	}
	rb = begin()
	another := to
	another.Term++
	if err := n2.replay(rb, rb.fresh.Load(), another); err == nil {
		t.Error("the log leads to a place where this node has never been")
	}
	rb = begin()
	was := n2.restore.Swap(s.result.Index)
	if err := n2.replay(rb, rb.fresh.Load(), to); err == nil {
		t.Error("entries that a snapshot may have skipped are replayed")
	}
	n2.restore.Store(was)
	if err := n2.Snapshot(background(t)); err != nil {
		t.Fatal(err)
	}
	n1.write(t, "SET k w")
	settle(t, nodes...)
	rb = begin()
	if err := n2.replay(rb, rb.fresh.Load(), n2.machine.Applied()); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("replay of what the log does not hold any more: %v", err)
	}
}

// shortLog is a log of ten entries.
type shortLog struct{ raft.LogStore }

func (shortLog) LastIndex() (uint64, error)       { return 10, nil }
func (shortLog) DeleteRange(uint64, uint64) error { return nil }

// What takes the place of a tail that was cut off since the start is new: audits
// and rebuilds logged there count.
func TestCutTailIsNotOld(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	b := &entry.Batch{Proposals: []entry.Proposal{{System: true, Commands: []entry.Command{system.Audit("nonce", "")}}}}
	g := &guardedLog{LogStore: shortLog{}, d: a.disk}
	a.boot.Store(10)
	for _, tt := range []struct {
		name     string
		min, max uint64 // of what is removed
		boot     uint64
	}{
		{"begin", 1, 5, 10},
		{"tail", 8, 10, 7},
		{"less of it", 9, 10, 7},
	} {
		if err := g.DeleteRange(tt.min, tt.max); err != nil {
			t.Fatal(err)
		}
		if got := a.boot.Load(); got != tt.boot {
			t.Errorf("%s: old up to %d, want %d", tt.name, got, tt.boot)
		}
	}
	if len(a.marks(&raft.Log{Index: 7}, b)) != 0 || len(a.marks(&raft.Log{Index: 8}, b)) != 1 {
		t.Errorf("marks at 7: %v, at 8: %v; want none, one", a.marks(&raft.Log{Index: 7}, b), a.marks(&raft.Log{Index: 8}, b))
	}
}

// A leader that takes a new entry for an old one says so at once: nobody waits for
// what is never laid ready.
func TestRebuildDoesNotWaitForNothing(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	nodes[0].boot.Store(1 << 40)
	err := nodes[1].Rebuild(background(t), "")
	if err == nil || !strings.Contains(err.Error(), "run it again") {
		t.Fatalf("rebuild: %v, want a refusal", err)
	}
	nodes[0].boot.Store(0)
	heal(t, nodes[0], nodes[1])
}

// The leader's disk has other uses than the state for a node to be rebuilt.
func TestSpoolLeavesTheReserve(t *testing.T) {
	nodes := trio(t)
	n1 := nodes[0]
	n1.fill(t, 400, strings.Repeat("x", 10<<10))
	settle(t, nodes...)
	sp, reserve := n1.spools, n1.cfg.DiskReserve
	last := n1.raft.Load().LastIndex()

	sp.free = func() (int64, error) { return reserve + n1.machine.Stats().Bytes - 1, nil }
	_, err := n1.spoolHere(background(t), spoolRequest{ID: "n2", Nonce: "1"})
	if err == nil || !strings.Contains(err.Error(), "no room") || n1.raft.Load().LastIndex() != last {
		t.Errorf("without room: %v; %d entries logged", err, n1.raft.Load().LastIndex()-last)
	}
	left := reserve + n1.machine.Stats().Bytes + maxChunk
	sp.free = func() (int64, error) { left -= maxChunk; return left, nil } // others write too
	_, err = n1.spoolHere(background(t), spoolRequest{ID: "n2", Nonce: "2"})
	if err == nil || !strings.Contains(err.Error(), errNoRoom.Error()) || left <= reserve {
		t.Errorf("where room goes meanwhile: %v with %d left of the reserve of %d", err, left, reserve)
	}
	files, globErr := filepath.Glob(n1.dir + "/" + spoolPattern)
	if globErr != nil || len(files) != 0 {
		t.Errorf("left lying: %v, %v", files, globErr)
	}
	sp.free = n1.disk.free
	got, err := n1.spoolHere(background(t), spoolRequest{ID: "n2", Nonce: "3"})
	if err != nil {
		t.Fatal(err)
	}
	files, _ = filepath.Glob(n1.dir + "/" + spoolPattern)
	if len(files) != 1 {
		t.Fatalf("files: %v, want one", files)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Size() != got.Size {
		t.Errorf("%v, %v, want %d bytes", info, err, got.Size)
	}
}
