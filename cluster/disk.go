package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sys/unix"

	"github.com/raftkv/raftkv/cluster/faults"
	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm/system"
)

const (
	// hangLimit is how long one write may take before this node gives up leading:
	// far above what a busy disk needs, well below a client's patience.
	hangLimit = 2 * time.Second
	hangPause = 50 * time.Millisecond
	// storeLimit is for how long of one write of entries a follower's leader still hears
	// that the follower is alive.
	storeLimit = time.Second
	spacePause = 250 * time.Millisecond
	// ballast is what a file takes up whose only use is to be removed when the disk
	// is full: then the small entries that an election or a tick needs find room.
	ballastFile = "ballast"
	ballast     = 4 << 20
	ballastFor  = 64 << 10 // most bytes of entries that it is given up for
)

// disk watches over the disk that Raft's log and vote lie on. A write that failed
// ends the process; a disk that is full, or that hangs, costs this node only its
// leadership, until it is well again.
type disk struct {
	n      *Node
	now    func() time.Duration
	armed  atomic.Bool  // the library's goroutines run: errors can no longer be returned
	began  atomic.Int64 // when the write under way began, by now; 0: none is
	stores atomic.Int64 // when the write of entries under way began, by now; 0: none is
	cut    atomic.Bool  // the log lost its end and nothing was written since

	hanging atomic.Bool
	next    atomic.Pointer[system.Member] // who leads while this node hangs, if known
	short   atomic.Bool                   // below the reserve
	refuse  atomic.Bool                   // and nobody else could lead
	moving  atomic.Bool                   // leadership is being handed to one with space
}

func newDisk(n *Node) *disk { return &disk{n: n, now: monotonic()} }

// hangs reports whether a write has been under way for longer than hangLimit.
// This node then leads no more, though the library, whose main loop waits for
// that write, does not know it yet.
func (d *disk) hangs() bool { return d.hanging.Load() }

// isShort reports whether less than the reserve is free.
func (d *disk) isShort() bool { return d.short.Load() }

// refuses reports whether client's writes are refused for want of space.
func (d *disk) refuses() bool { return d.refuse.Load() }

// successor is who leads while this node hangs.
func (d *disk) successor() (m system.Member, self, ok bool) {
	if next := d.next.Load(); next != nil {
		return *next, false, true
	}
	return system.Member{}, false, false
}

// guard puts the watch between the library and its stores.
func (d *disk) guard(logs logstore.Store, votes *logstore.Vote) (raft.LogStore, raft.StableStore) {
	return &guardedLog{LogStore: faults.Log(logs), d: d}, &guardedVote{StableStore: votes, d: d}
}

// write runs one write, whose length the watchdog sees.
func (d *disk) write(fn func() error) error {
	d.began.Store(max(1, int64(d.now())))
	faults.AwaitDisk()
	err := fn()
	d.began.Store(0)
	return err
}

// storesFor tells whose entries this node is writing to its log, as a follower, and in
// which term, while that takes no longer than storeLimit. The library's main loop is
// inside that write, so neither can change before it ends.
func (d *disk) storesFor() (leader string, term uint64, ok bool) {
	began := d.stores.Load()
	r := d.n.raft.Load()
	if began == 0 || d.now()-time.Duration(began) > storeLimit || r == nil || r.State() == raft.Leader {
		return "", 0, false
	}
	now, known := d.n.reign()
	return now.Leader, now.Term, known && d.stores.Load() == began
}

// halt ends the process: what is on disk is not known, or not what was written,
// and the library would go on or panic. It returns only before Raft has started.
func (d *disk) halt(err error) error {
	if !d.armed.Load() {
		return err
	}
	d.n.fail(err)
	<-d.n.ctx.Done() // main ends the process; in tests, Stop ends this goroutine
	runtime.Goexit()
	return err
}

// guardedLog is the Raft log as the library sees it.
type guardedLog struct {
	raft.LogStore
	d *disk
}

func (g *guardedLog) GetLog(index uint64, log *raft.Log) error {
	err := g.LogStore.GetLog(index, log)
	if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		return g.d.halt(fmt.Errorf("the Raft log cannot be read: %w", err))
	}
	return err
}

func (g *guardedLog) StoreLog(e *raft.Log) error { return g.StoreLogs([]*raft.Log{e}) }

// StoreLogs returns an error only where nothing was stored and the library may go
// on: the disk is full. It may not if the log has just lost its end, which it
// still counts as its last entry; nor, on a leader, if a configuration could not
// be stored: it works by that configuration all the same (raft.go, appendConfigurationEntry).
func (g *guardedLog) StoreLogs(es []*raft.Log) error {
	g.d.stores.Store(max(1, int64(g.d.now())))
	defer g.d.stores.Store(0)
	err := g.d.write(func() error { return g.LogStore.StoreLogs(es) })
	if errors.Is(err, logstore.ErrNoSpace) {
		g.d.short.Store(true)
		if bytesOf(es) <= ballastFor && g.d.dropBallast() {
			err = g.d.write(func() error { return g.LogStore.StoreLogs(es) })
		}
	}
	switch {
	case err == nil:
		g.d.cut.Store(false)
		return nil
	case errors.Is(err, logstore.ErrNoSpace) && !g.d.cut.Load() && !g.d.appoints(es):
		return err
	}
	return g.d.halt(fmt.Errorf("the Raft log cannot be written: %w", err))
}

// appoints reports whether entries hold a configuration that this node, as the
// leader, has just made. The library's main loop, which asks, is the one that
// changes its state.
func (d *disk) appoints(es []*raft.Log) bool {
	r := d.n.raft.Load()
	return (r == nil || r.State() == raft.Leader) &&
		slices.ContainsFunc(es, func(e *raft.Log) bool { return e.Type == raft.LogConfiguration })
}

func bytesOf(es []*raft.Log) (size int) {
	for _, e := range es {
		size += len(e.Data) + len(e.Extensions)
	}
	return size
}

func (g *guardedLog) DeleteRange(min, max uint64) error {
	last, err := g.LogStore.LastIndex()
	if err == nil {
		err = g.LogStore.DeleteRange(min, max)
	}
	switch {
	case err == nil:
		if max >= last {
			g.d.cut.Store(true)
			g.d.n.lower(min)
		}
		return nil
	case errors.Is(err, logstore.ErrNoSpace):
		g.d.short.Store(true)
		return err
	}
	err = fmt.Errorf("the Raft log cannot be cut: %w", err)
	if g.d.armed.Load() {
		g.d.n.fail(err) // the library stops what it was at, and does nothing with the rest
	}
	return err
}

// guardedVote is the term and the vote as the library sees them. The library
// panics where they cannot be written.
type guardedVote struct {
	raft.StableStore
	d *disk
}

func (g *guardedVote) Set(key, val []byte) error {
	return g.result(g.d.write(func() error { return g.StableStore.Set(key, val) }))
}

func (g *guardedVote) SetUint64(key []byte, val uint64) error {
	return g.result(g.d.write(func() error { return g.StableStore.SetUint64(key, val) }))
}

func (g *guardedVote) result(err error) error {
	if err == nil {
		return nil
	}
	return g.d.halt(fmt.Errorf("the vote cannot be written: %w", err))
}

// watchHang takes leadership from a node whose disk hangs. Its heartbeats go on
// beside the library's main loop, so without this the others would wait for it
// as long as the disk does. Raft's traffic from here is stopped, they elect
// another, and clients are sent there.
func (d *disk) watchHang() {
	for d.n.ctx.Err() == nil {
		pause(d.n.ctx, hangPause)
		began := time.Duration(d.began.Load())
		hanging := began > 0 && d.now()-began > hangLimit
		if hanging != d.hanging.Load() {
			d.setHanging(hanging)
		}
		if d.deposed() {
			d.findSuccessor()
		}
	}
}

func (d *disk) setHanging(hanging bool) {
	n := d.n
	d.next.Store(nil)
	d.hanging.Store(hanging)
	n.trans.Mute(hanging)
	n.changed.Broadcast()
	if !hanging {
		n.log.Info("the disk answers again")
		return
	}
	n.log.Error("the disk hangs: a write to the Raft log has not ended; until it does this node stores nothing and cannot lead", "after", hangLimit)
	if f := n.flight.Load(); f != nil {
		n.giveUp(f, system.ErrUnknownOutcome) // what comes of it shows when the disk is back
	}
}

// deposed reports whether this node hangs and leads in the library's eyes only.
func (d *disk) deposed() bool {
	r := d.n.raft.Load()
	return d.hangs() && r != nil && r.State() == raft.Leader
}

// findSuccessor asks the other voters which of them leads now.
func (d *disk) findSuccessor() {
	ctx, cancel := context.WithTimeout(d.n.ctx, 4*hangPause)
	defer cancel()
	var next *system.Member
	for id, p := range d.n.askVoters(ctx) {
		if p.Role != system.Leader || p.Term <= d.n.raft.Load().CurrentTerm() {
			continue
		}
		if m, ok := d.n.machine.Member(id); ok {
			next = &m
		}
	}
	if was := d.next.Swap(next); next != nil && (was == nil || was.ID != next.ID) {
		d.n.changed.Broadcast()
	}
}

// askVoters asks the other voters how far they are; those that answer are in the result.
func (n *Node) askVoters(ctx context.Context) map[string]progress {
	type reply struct {
		id string
		p  progress
		ok bool
	}
	others := n.otherVoters()
	replies := make(chan reply, len(others))
	for _, id := range others {
		go func() {
			p, err := n.askProgress(ctx, id)
			replies <- reply{id, p, err == nil}
		}()
	}
	answered := map[string]progress{}
	for range others {
		if r := <-replies; r.ok {
			answered[r.id] = r.p
		}
	}
	return answered
}

// watchSpace keeps a node whose disk is nearly full from leading while another
// voter has space, and refuses writes where none has: before the log, so that
// nothing is left half done and what is left of the disk serves elections.
func (d *disk) watchSpace() {
	led := d.now()
	d.measure()
	if !d.isShort() {
		_ = d.takeBallast() // without it a full disk costs more, and it is tried again
	}
	for d.n.ctx.Err() == nil {
		pause(d.n.ctx, spacePause)
		d.measure()
		if _, _, ok := d.n.Leader(); ok {
			led = d.now()
		}
		if !d.isShort() || d.n.raft.Load() == nil {
			d.n.abstain(lacksSpace, false)
			d.refuse.Store(d.isShort())
			continue
		}
		// An election is left to those that have space, but not for ever: one of them may
		// lack entries that only this node has.
		d.makeWay(d.now()-led > d.n.timing.leaderless)
	}
}

// measure compares what is free with the reserve. Above it there is a margin, so
// that a disk at the limit does not move leadership to and fro.
func (d *disk) measure() {
	free, err := d.free()
	if err != nil {
		return // the next write tells
	}
	was := d.isShort()
	limit := d.n.cfg.DiskReserve
	if was {
		limit += limit / 4
	}
	short := free < limit
	if short == was {
		return
	}
	if !short && d.takeBallast() != nil {
		return
	}
	d.short.Store(short)
	if short {
		d.n.log.Error("the disk is nearly full", "free", free, "reserve", d.n.cfg.DiskReserve, "data-dir", d.n.cfg.DataDir)
	} else {
		d.n.log.Info("the disk has space again", "free", free)
	}
}

// free is how many bytes the disk has left.
func (d *disk) free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.n.cfg.DataDir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

// takeBallast makes the file, if it is not there.
func (d *disk) takeBallast() error {
	path := d.n.dir.file(ballastFile)
	if info, err := os.Stat(path); err == nil && info.Size() == ballast {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, ballast))
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
	}
	return err
}

// dropBallast frees its space; false says that there was none.
func (d *disk) dropBallast() bool {
	return os.Remove(d.n.dir.file(ballastFile)) == nil
}

// makeWay lets a voter with space lead, if there is one. alone says that there
// has been no leader for long.
func (d *disk) makeWay(alone bool) {
	n := d.n
	ctx, cancel := context.WithTimeout(n.ctx, roundWait)
	defer cancel()
	better, p := n.fittest(ctx)
	if p.Short {
		better = ""
	}
	n.abstain(lacksSpace, better != "" && !alone)
	d.refuse.Store(better == "")
	if _, leads := n.serving(); !leads || better == "" {
		return
	}
	if !d.moving.CompareAndSwap(false, true) {
		return // a change of membership may hold it up, and the disk is to be watched
	}
	n.wg.Go(func() {
		defer d.moving.Store(false)
		n.log.Warn("handing leadership to a node with space", "to", better)
		ctx, cancel := context.WithTimeout(n.ctx, adminWait)
		defer cancel()
		if err := n.transferLeadership(ctx, better); err != nil {
			n.log.Warn("leadership not handed over", "to", better, "error", err)
		}
	})
}
