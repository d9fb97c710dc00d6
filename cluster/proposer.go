package cluster

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/batch"
	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// flight is the entry on its way. Whoever takes it out of Node.flight answers its
// proposals: the applier with their replies, the proposer with an error.
type flight struct {
	batch   entry.Batch
	data    []byte // its binary form
	items   []*batch.Item
	writers []*resp.Writer
	done    chan struct{} // closed by who took it, once it is done with it
}

// Submit hands over proposals to be logged in this order; see server.Replicator.
func (n *Node) Submit(ps []system.Proposal) {
	refuse := func(err error) {
		for i := range ps {
			ps[i].Done(nil, err)
		}
	}
	if n.ctx.Err() != nil {
		refuse(system.ErrShutdown)
		return
	}
	if err := n.elsewhere(); err != nil {
		refuse(err)
		return
	}
	if n.disk.refuses() {
		refuse(system.ErrDiskFull)
		return
	}
	n.queue.Add(ps, time.Now().Add(n.cfg.LeaderWait))
}

// propose makes entries of what waits, one at a time: while one is on its way
// everything that arrives gathers for the next.
func (n *Node) propose() {
	for n.ctx.Err() == nil {
		changed := n.changed.C()
		if (n.queue.Len() > 0 || n.tickWanted()) && n.mayPropose() {
			start := time.Now()
			last := n.proposeOne()
			n.writers.await(n.ctx, last, time.Since(start), n.queue.Len)
			continue
		}
		select {
		case <-n.queue.Ready():
		case <-n.tickC:
		case <-changed:
		case <-n.ctx.Done():
		}
	}
}

// mayPropose reports whether this node can log entries now. A pristine node
// founds its cluster first. Where another node leads, what waits is told so.
func (n *Node) mayPropose() bool {
	if n.state.Load().State == pristine {
		if n.queue.Len() == 0 || !n.alone() {
			return false
		}
		if err := n.found(); err != nil {
			n.log.Error("cannot found a cluster", "error", err)
			n.queue.Refuse(n.queue.TakeAll(), system.ErrNoLeader)
		}
		return false
	}
	if _, ok := n.serving(); ok {
		return !n.held.Load()
	}
	if err := n.elsewhere(); err != nil {
		n.queue.Refuse(n.queue.TakeAll(), err)
	}
	return false
}

// found makes a pristine node a cluster of one, durably; raft then elects it.
func (n *Node) found() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		return system.ErrShutdown
	}
	if n.dir.id.State != pristine {
		return nil
	}
	id := n.dir.id
	id.State, id.Cluster = founded, id.UUID
	if err := n.step(id); err != nil {
		return err
	}
	n.log.Info("founding a cluster of one", "cluster", id.Cluster)
	if err := n.startRaft(); err != nil {
		// The step is done; only a restart can take it up again.
		n.fail(err)
		return err
	}
	return nil
}

// proposeOne sends one entry and sees to its outcome. It returns how many
// proposals were in it.
func (n *Node) proposeOne() (proposals int) {
	items := n.refuseNewer(n.queue.Take(maxEntry))
	if n.disk.refuses() {
		items = n.refuseClients(items)
	}
	if len(items) == 0 && !n.tickWanted() {
		return 0
	}
	f := n.newFlight(items)
	if n.cfg.OnBatch != nil {
		n.cfg.OnBatch(len(items))
	}
	r := n.raft.Load()
	n.flight.Store(f)
	var future raft.ApplyFuture
	err := r.ask(func() raft.Future {
		future = r.Apply(f.data, n.cfg.LeaderWait)
		return future
	})
	switch {
	case err == nil && n.await(f, outcomeWait):
		n.reuse(f)
	case err == nil:
	case notDone(err):
		n.putBack(f)
		pause(n.ctx, time.Millisecond) // the library's state follows in a moment
	case errors.Is(err, raft.ErrLeadershipLost):
		n.resolve(f, future.Index())
	default:
		n.giveUp(f, system.ErrUnknownOutcome)
	}
	return len(items)
}

// newFlight makes an entry of proposals.
func (n *Node) newFlight(items []*batch.Item) *flight {
	f := &flight{items: items, done: make(chan struct{})}
	f.batch = entry.Batch{ID: rand.Uint64(), Now: max(n.clock.leaderNow(), n.machine.Now())}
	f.batch.Proposals = make([]entry.Proposal, len(items))
	f.writers = make([]*resp.Writer, len(items))
	size := entry.HeadSize
	for i, it := range items {
		f.batch.Proposals[i] = it.Proposal.Proposal
		f.writers[i] = n.writer(it.Proto)
		size += it.Proposal.Proposal.Size()
	}
	f.batch.Version = n.batchVersion(f.batch.Proposals)
	f.data = n.encode(&f.batch, size)
	return f
}

// encode returns the binary form of a batch, of at most that size. It is kept in the
// log's cache for long, so it gets no more memory than it needs. Only the proposer may
// call it.
func (n *Node) encode(b *entry.Batch, size int) []byte {
	const largest = 2 * maxEntry // that is kept for the next one
	if cap(n.encoded) < size {
		n.encoded = make([]byte, 0, size)
	}
	n.encoded = entry.Append(n.encoded[:0], b)
	data := bytes.Clone(n.encoded)
	if cap(n.encoded) > largest {
		n.encoded = nil
	}
	return data
}

// writer returns an empty one. Only the proposer may call it.
func (n *Node) writer(proto int) *resp.Writer {
	last := len(n.replies) - 1
	if last < 0 {
		return resp.NewWriter(proto, nil)
	}
	w := n.replies[last]
	n.replies = n.replies[:last]
	w.Reset(proto)
	return w
}

// reuse keeps the writers of a flight that was answered. Only the proposer may call it.
func (n *Node) reuse(f *flight) {
	const most, largest = 1024, 16 << 10
	for _, w := range f.writers {
		if len(n.replies) < most && cap(w.Bytes()) <= largest {
			n.replies = append(n.replies, w)
		}
	}
}

// refuseClients refuses what clients want logged while there is no disk space,
// and returns what the cluster itself needs.
func (n *Node) refuseClients(items []*batch.Item) (rest []*batch.Item) {
	var refused []*batch.Item
	for _, it := range items {
		if it.System {
			rest = append(rest, it)
		} else {
			refused = append(refused, it)
		}
	}
	n.queue.Refuse(refused, system.ErrDiskFull)
	return rest
}

// notDone reports whether an error of raft.Apply means that the entry was
// certainly not logged.
func notDone(err error) bool {
	return errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrEnqueueTimeout) ||
		errors.Is(err, raft.ErrLeadershipTransferInProgress) || errors.Is(err, logstore.ErrNoSpace)
}

// await waits for the applier to answer a committed entry; false: it did not in time.
func (n *Node) await(f *flight, limit time.Duration) bool {
	select {
	case <-f.done:
		return true
	default:
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-f.done:
		return true
	case <-t.C:
	case <-n.ctx.Done():
	}
	n.giveUp(f, system.ErrUnknownOutcome)
	return false
}

// resolve finds out what became of an entry whose leader lost its leadership
// while it was on its way: this node's own Machine will apply it (the applier
// answers then), or something else at its index (it was certainly not done); or
// a snapshot skips the index, or time runs out, and the outcome is not known.
func (n *Node) resolve(f *flight, index uint64) {
	ctx, cancel := context.WithTimeout(n.ctx, outcomeWait)
	defer cancel()
	for {
		moved := n.applied.C()
		seen := n.visible.Load()
		select {
		case <-f.done:
			return
		default:
		}
		if n.restore.Load() >= index {
			n.giveUp(f, system.ErrUnknownOutcome)
			return
		}
		if seen >= index {
			n.putBack(f)
			n.changed.Broadcast()
			return
		}
		select {
		case <-moved:
		case <-f.done:
			return
		case <-ctx.Done():
			n.giveUp(f, system.ErrUnknownOutcome)
			return
		}
	}
}

// putBack returns to the queue what was certainly not done, unless somebody else
// answered it.
func (n *Node) putBack(f *flight) {
	if n.flight.CompareAndSwap(f, nil) {
		n.queue.PutBack(f.items)
		close(f.done)
	}
}

// giveUp answers a flight's proposals with an error, unless the applier was faster.
func (n *Node) giveUp(f *flight, err error) {
	if n.flight.CompareAndSwap(f, nil) {
		n.queue.Refuse(f.items, err)
		close(f.done)
		return
	}
	<-f.done
}

// sweep refuses what has waited too long.
func (n *Node) sweep() {
	for n.ctx.Err() == nil {
		pause(n.ctx, sweepPause)
		if late := n.queue.TakeExpired(time.Now()); len(late) > 0 {
			n.queue.Refuse(late, system.ErrNoLeader)
		}
		if _, ok := n.serving(); ok || n.queue.Len() == 0 {
			continue
		}
		n.changed.Broadcast() // that a leader is linked again is told by nobody
		if err := n.elsewhere(); err != nil && n.disk.hangs() {
			n.queue.Refuse(n.queue.TakeAll(), err) // the proposer waits for the disk
		}
	}
}

// expire sees to it that the log says soon what is due: expired keys free their
// memory, and followers stop showing them, in an idle cluster too.
func (n *Node) expire() {
	for n.ctx.Err() == nil {
		pause(n.ctx, sweepPause)
		if _, ok := n.serving(); !ok {
			continue
		}
		for now := n.clock.leaderNow(); n.ctx.Err() == nil; {
			due, ok := n.machine.NextDue()
			if !ok || due > now || n.Tick(n.ctx, max(due, n.machine.Now()+1)) != nil {
				break
			}
		}
	}
}

// Tick returns once the logged clock has reached now. Any entry does; where none
// is under way this proposes one.
func (n *Node) Tick(ctx context.Context, now int64) error {
	for {
		moved, changed := n.applied.C(), n.changed.C()
		if n.machine.Now() >= now {
			return nil
		}
		if _, ok := n.serving(); !ok {
			if err := n.elsewhere(); err != nil {
				return err
			}
			return system.ErrNoLeader
		}
		raise(&n.tick, now)
		select {
		case n.tickC <- struct{}{}:
		default:
		}
		select {
		case <-moved:
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.ctx.Done():
			return system.ErrShutdown
		}
	}
}

// tickWanted reports whether somebody waits for a logged clock that the leader's
// clock has reached.
func (n *Node) tickWanted() bool { return n.tick.Load() > n.machine.Now() }

// raise sets v to at least x.
func raise(v *atomic.Int64, x int64) {
	for old := v.Load(); old < x && !v.CompareAndSwap(old, x); old = v.Load() {
	}
}

// logSystem logs system commands as an entry like any other, and waits for it. What
// the replicated state refuses is a RefusedError: it alone knows what was logged
// between this node's look at it and the entry.
func (n *Node) logSystem(ctx context.Context, cmds ...entry.Command) error {
	done := make(chan error, 1)
	n.queue.Add([]system.Proposal{{
		Proposal: entry.Proposal{System: true, Commands: cmds},
		Done: func(reply []byte, err error) {
			if why, refused := bytes.CutPrefix(reply, []byte("-ERR ")); err == nil && refused {
				err = refusedf("%s", bytes.TrimSpace(why))
			}
			done <- err
		},
	}}, time.Now().Add(n.cfg.LeaderWait))
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
