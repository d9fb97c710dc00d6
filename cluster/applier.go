package cluster

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/faults"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// applier is the Machine as the library sees it (raft.FSM). The library calls it
// from one goroutine, but for Persist.
type applier struct {
	n     *Node
	start uint64 // the index of this node's own newest snapshot at start; 0: none
	// unreadable is why the snapshot at start could not be restored; the library's
	// own error does not tell.
	unreadable error
	decoder    entry.Decoder // what Apply got last: nobody may keep any of it
}

var _ raft.ConfigurationStore = (*applier)(nil)

var errBroken = errors.New("this node stopped at an entry that it could not apply")

// Apply applies one entry, and answers its proposals if they are this node's own.
func (a *applier) Apply(l *raft.Log) any {
	n := a.n
	if n.broken.Load() {
		return nil
	}
	at := fsm.Position{Index: l.Index, Term: l.Term}
	b, f, err := a.own(l)
	if err != nil {
		n.broken.Store(true)
		n.fail(withWayOut(fmt.Errorf("log entry %d cannot be applied: %w", l.Index, err)))
		return nil
	}
	var writers []*resp.Writer
	if f != nil {
		writers = f.writers
	}
	marks := n.marks(l, b)
	plant(b, f)
	n.machine.Apply(at, b, writers)
	for _, m := range marks {
		n.reach(m)
	}
	n.clock.observe(n.machine.Now())
	a.learn(b, l.Index)
	if f != nil {
		n.answer(f)
	}
	n.recent.applied.Add(int64(len(l.Data)))
	n.visible.Store(l.Index)
	if b.ID == n.opening.Load() {
		n.ready.Store(l.Term)
		n.changed.Broadcast()
	}
	n.applied.Broadcast()
	return nil
}

// answer gives a flight's proposals their replies. Those of a state that an audit
// found wrong after the entry was sent go to nobody: what the other nodes made of
// the entry is not known here.
func (n *Node) answer(f *flight) {
	if n.diverged.on() {
		n.queue.Refuse(f.items, system.ErrUnknownOutcome)
	} else {
		for i, it := range f.items {
			it.Done(f.writers[i].Bytes(), nil)
		}
	}
	close(f.done)
}

// plant spoils an entry where a fault is switched on; there is none in a normal build.
func plant(b *entry.Batch, f *flight) {
	if faults.On(faults.LocalClock) {
		b.Now = faults.Now().UnixMilli()
	}
	if last := len(b.Proposals) - 1; faults.On(faults.DropTail) && f == nil && last > 0 {
		b.Proposals = b.Proposals[:last]
	}
}

// own decodes an entry, into memory that the next one will take. If it is the one on
// its way from here, it is taken out of flight and f says whom to answer; it is known
// by its bytes, which the leader gets back as it gave them, or by its ID.
func (a *applier) own(l *raft.Log) (b *entry.Batch, f *flight, err error) {
	f = a.n.flight.Load()
	same := f != nil && len(l.Data) > 0 && &l.Data[0] == &f.data[0]
	if !same {
		if b, err = a.decoder.Decode(l.Data); err != nil {
			return nil, nil, err
		}
		same = f != nil && b.ID == f.batch.ID
	}
	if same && a.n.flight.CompareAndSwap(f, nil) {
		return &f.batch, f, nil
	}
	if b == nil {
		b, err = a.decoder.Decode(l.Data)
	}
	return b, nil, err
}

// learn brings the address book up to date with the members. What was logged
// before this process started may be older than what the book holds.
func (a *applier) learn(b *entry.Batch, index uint64) {
	n := a.n
	for i := range b.Proposals {
		if !b.Proposals[i].System {
			continue
		}
		for _, m := range n.machine.Members() {
			if _, known := n.book.resolve(m.ID); !known || index > n.boot.Load() {
				n.book.learn(m.ID, m.Raft)
			}
		}
		n.book.note(n.machine.Members(), index)
		n.changed.Broadcast()
		return
	}
}

// StoreConfiguration notes that a change of membership was committed.
func (a *applier) StoreConfiguration(index uint64, _ raft.Configuration) {
	if a.n.broken.Load() {
		return
	}
	a.n.visible.Store(index)
	a.n.applied.Broadcast()
	a.n.changed.Broadcast()
}

// Snapshot takes the state as it is now.
func (a *applier) Snapshot() (raft.FSMSnapshot, error) {
	if a.n.broken.Load() {
		return nil, errBroken
	}
	if err := a.n.takeOver(); err != nil {
		return nil, err
	}
	if !a.n.diverged.keeps() {
		return nil, errDiverged
	}
	return &snapshot{n: a.n, state: a.n.machine.Snapshot(), covers: a.n.recent.applied.Load()}, nil
}

// Restore replaces the state with a snapshot's: at start this node's own newest one,
// later one that a leader sent, which is the newest then.
func (a *applier) Restore(rc io.ReadCloser) error {
	defer rc.Close()
	n := a.n
	in := &counted{Reader: rc}
	if err := n.machine.Restore(in); err != nil {
		a.unreadable = withWayOut(err)
		if fsm.Newer(err) { // its sender would send it again and again
			n.fail(a.unreadable)
		}
		return err
	}
	at := n.machine.Applied().Index
	if at > a.start {
		n.diverged.installed(at)
	}
	n.recent.note(n.recent.applied.Load(), in.bytes)
	n.restore.Store(at) // before visible: resolve must not take a skipped index for a lost one
	n.visible.Store(at)
	n.clock.observe(n.machine.Now())
	for _, m := range n.machine.Members() {
		if _, known := n.book.resolve(m.ID); !known {
			n.book.learn(m.ID, m.Raft)
		}
	}
	n.book.note(n.machine.Members(), at)
	n.changed.Broadcast()
	n.applied.Broadcast()
	return nil
}

// counted counts what is read.
type counted struct {
	io.Reader
	bytes int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bytes += int64(n)
	return n, err
}

// snapshot is one point in time on its way to disk.
type snapshot struct {
	n      *Node
	state  *fsm.Snapshot
	covers int64 // bytes applied when it was taken
}

// Persist writes it beside the Machine's further work, slowly, but for where the log
// grows so fast meanwhile that the next one would soon be due.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	s.n.recent.writing.Add(1)
	defer s.n.recent.writing.Add(-1)
	size, err := s.state.WriteTo(newPaced(s.n.ctx, sink, s.haste))
	if err != nil {
		sink.Cancel()
		return fmt.Errorf("write snapshot: %w", err)
	}
	if err := sink.Close(); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	s.n.recent.note(s.covers, size)
	s.n.recent.at.Store(time.Now().Unix())
	s.n.log.Info("snapshot written", "bytes", size)
	return nil
}

// haste is 1 once the log has grown by half of what makes the next snapshot due, and
// while this node is rebuilt: one that diverged serves nobody until that is written down.
func (s *snapshot) haste() float64 {
	if s.n.rebuilding.Load() != nil {
		return 1
	}
	r := &s.n.recent
	return 2 * float64(r.applied.Load()-s.covers) / float64(s.n.cadence.enough(r.size.Load()))
}

// Release says that Persist is over, or will never be.
func (s *snapshot) Release() { s.state.Release() }
