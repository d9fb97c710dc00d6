package cluster

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// cadence says when a snapshot is due, by the bytes of entries that a start would apply
// again, its log's part of a cold start.
type cadence struct {
	// Half as many as the last snapshot has are enough, within these bounds: so what is
	// written stays in proportion, and applying, which takes a few times as long as
	// reading as much in, does too.
	least, most int64
	// idle bytes, and a quarter of the last snapshot, are enough for a node that has
	// applied next to nothing for some ticks.
	idle  int64
	ticks int
	tick  time.Duration
}

var usualCadence = cadence{least: 32 << 20, most: 1 << 30, idle: 8 << 20, ticks: 3, tick: time.Second}

// trickle is what a node may apply in a tick and is idle all the same.
const trickle = 64 << 10

// enough is what makes a snapshot due under load, where the last one had that size.
func (c *cadence) enough(size int64) int64 { return max(c.least, min(size/2, c.most)) }

// due says whether one is.
func (c *cadence) due(behind, size int64, idleTicks int) bool {
	return behind >= c.enough(size) || idleTicks >= c.ticks && behind >= max(c.idle, size/4)
}

// pressing says that one is due whatever others do.
func (c *cadence) pressing(behind, size int64) bool { return behind >= c.enough(size)*3/2 }

// snapshotState is what the members tell each other, so that they take turns: they
// share what they are due by, and often a disk.
type snapshotState int32

const (
	noSnapshot    snapshotState = iota
	wantsSnapshot               // it is due, and this node asks the others
	writesSnapshot
)

// recent is what a node knows of its newest snapshot, its own or a leader's, and what
// came after.
type recent struct {
	applied atomic.Int64 // bytes of entries applied by this process
	mu      sync.Mutex   // one change of the next two at a time
	covered atomic.Int64 // how many of applied the snapshot has
	size    atomic.Int64
	at      atomic.Int64 // when this node's own last one was finished, Unix seconds
	wants   atomic.Bool
	writing atomic.Int32 // how many are being written
}

// since is how many bytes were applied behind the snapshot.
func (r *recent) since() int64 { return r.applied.Load() - r.covered.Load() }

// note takes down that there is a snapshot of that size, which has so many of the bytes
// applied; unless a leader's newer one came while it was written.
func (r *recent) note(covered, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if covered >= r.covered.Load() {
		r.size.Store(size)
		r.covered.Store(covered)
	}
}

// state is what is told to others.
func (r *recent) state() snapshotState {
	switch {
	case r.writing.Load() > 0:
		return writesSnapshot
	case r.wants.Load():
		return wantsSnapshot
	}
	return noSnapshot
}

// snapshots writes one whenever it is due and no other member is at it.
func (n *Node) snapshots() {
	idle, before := 0, int64(0)
	for n.ctx.Err() == nil {
		pause(n.ctx, n.cadence.tick)
		behind, size := n.recent.since(), n.recent.size.Load()
		if idle++; behind-before > trickle || behind < before {
			idle = 0
		}
		before = behind
		if !n.cadence.due(behind, size, idle) || n.broken.Load() || !n.diverged.keeps() || n.rebuilding.Load() != nil {
			continue
		}
		var err error
		n.recent.wants.Store(true)
		if n.cadence.pressing(behind, size) || n.myTurn() {
			err = n.snapshot(n.ctx, trailingLogs)
		}
		n.recent.wants.Store(false) // before the pause: meanwhile it is in nobody's way
		if err != nil && n.ctx.Err() == nil {
			n.log.Warn("snapshot", "error", err)
			pause(n.ctx, adminWait)
		}
	}
}

// myTurn asks the other members what they do. This node has said before that it wants
// to write a snapshot, so of two that want to at once one sees the other.
func (n *Node) myTurn() bool {
	ctx, cancel := context.WithTimeout(n.ctx, livenessAsk)
	defer cancel()
	var wg sync.WaitGroup
	var taken atomic.Bool
	order := n.snapshotOrder()
	mine := slices.Index(order, n.cfg.NodeID)
	for i, id := range order {
		if i == mine {
			continue
		}
		wg.Go(func() {
			p, err := n.askProgress(ctx, id) // who does not answer is in nobody's way
			if err == nil && (p.Snapshot == writesSnapshot || p.Snapshot == wantsSnapshot && i < mine) {
				taken.Store(true)
			}
		})
	}
	wg.Wait()
	return !taken.Load()
}

// snapshotOrder is the order of the members that want to write a snapshot at once: the
// leader, whom clients wait for, is the last.
func (n *Node) snapshotOrder() (ids []string) {
	for _, s := range n.servers() {
		ids = append(ids, string(s.ID))
	}
	slices.Sort(ids)
	if r := n.raft.Load(); r != nil {
		_, leader := r.LeaderWithID()
		if i := slices.Index(ids, string(leader)); i >= 0 {
			ids = append(slices.Delete(ids, i, i+1), string(leader))
		}
	}
	return ids
}

// Snapshot writes a snapshot now and cuts the log behind it, all of it; see
// server.Replicator.
func (n *Node) Snapshot(ctx context.Context) error { return n.snapshot(ctx, 0) }

// snapshot writes a snapshot and leaves some entries before it in the log; 0 cuts
// all but the one that the snapshot ends with. Raft does not look into the snapshot
// for the term of that one: a follower without it, and with a tail of its own that
// was never committed, would refuse the new leader's entries for ever.
func (n *Node) snapshot(ctx context.Context, trailing uint64) error {
	r := n.raft.Load()
	if r == nil {
		return nil // nothing was ever written
	}
	done := make(chan error, 1)
	n.wg.Go(func() {
		n.cutting.Lock()
		defer n.cutting.Unlock()
		conf := r.ReloadableConfig()
		if conf.TrailingLogs = trailing; trailing == 0 {
			conf.TrailingLogs = math.MaxUint64 // the cut is made here
		}
		err := r.ReloadConfig(conf)
		if err == nil {
			err = r.Snapshot().Error()
		}
		if err == nil && trailing == 0 {
			err = r.cut()
		}
		conf.TrailingLogs = trailingLogs
		done <- errors.Join(err, r.ReloadConfig(conf))
	})
	select {
	case err := <-done:
		if err == nil || errors.Is(err, raft.ErrNothingNewToSnapshot) {
			return nil
		}
		return refusedf("snapshot not written: %v", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cut removes from the log what lies before the entry that the newest snapshot
// ends with.
func (r *raftNode) cut() error {
	end, err := strconv.ParseUint(r.Stats()["last_snapshot_index"], 10, 64)
	if err != nil {
		return err
	}
	first, err := r.logs.FirstIndex()
	if err != nil || first == 0 || first >= end {
		return err
	}
	return r.logs.DeleteRange(first, end-1)
}

// LastSnapshot is when the last snapshot was finished, Unix seconds.
func (n *Node) LastSnapshot() int64 { return n.recent.at.Load() }
