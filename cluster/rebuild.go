package cluster

import (
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

const (
	rebuildLimit = 10 * time.Minute
	// chunkWait is for one chunk, chunkTries how often it is asked for.
	chunkWait  = 10 * time.Second
	chunkTries = 5
	chunkPause = 500 * time.Millisecond
	// lastStretch is how many entries the applier may be held up for.
	lastStretch = 1024
)

var errRebuilding = errors.New("this node is being rebuilt")

// rebuild is the one under way on this node. The leader knows it by its nonce.
type rebuild struct {
	nonce string
	ctx   context.Context
	from  spooled
	// fresh is the right state, on offer to the applier. Whoever takes it out has it.
	fresh atomic.Pointer[fsm.Machine]
	ended chan error // gets one element: what came of taking it over
	over  bool       // it was taken over; the applier's own
}

// Rebuild replaces a node's state by the leader's; see server.Replicator.
func (n *Node) Rebuild(ctx context.Context, id string) error {
	if err := n.gone(); err != nil {
		return err
	}
	if id == "" || id == n.cfg.NodeID {
		return n.rebuildHere(ctx)
	}
	if !n.configured(id) {
		return refusedf("no member has the id %q", id)
	}
	err := n.ask(ctx, id, request{kind: kindRebuild})
	var refused *system.RefusedError
	switch {
	case err == nil, errors.As(err, &refused), errors.Is(err, system.ErrNoLeader):
		return err
	case errors.Is(err, transport.ErrNotSent):
		return refusedf("cannot reach node %s: %v", id, err)
	}
	return refusedf("no answer from node %s: %v; RAFT.STATUS there tells whether it is rebuilt", id, err)
}

// rebuildHere rebuilds this node. It goes on if ctx ends before it is done.
func (n *Node) rebuildHere(ctx context.Context) error {
	r := n.raft.Load()
	switch {
	case n.ctx.Err() != nil:
		return system.ErrShutdown
	case r == nil:
		return refusedf("%s is in no cluster that it could be rebuilt from", n.cfg.NodeID)
	case r.State() == raft.Leader:
		return refusedf("%s leads; hand leadership over with RAFT.TRANSFER first", n.cfg.NodeID)
	}
	limited, cancel := context.WithTimeout(n.ctx, rebuildLimit)
	rb := &rebuild{nonce: crand.Text(), ctx: limited, ended: make(chan error, 1)}
	if !n.rebuilding.CompareAndSwap(nil, rb) {
		cancel()
		return refusedf("%s is being rebuilt already", n.cfg.NodeID)
	}
	done := make(chan error, 1)
	n.wg.Go(func() {
		err := n.runRebuild(rb)
		cancel()
		n.rebuilding.Store(nil)
		done <- err
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return refusedf("the rebuild of %s goes on; RAFT.STATUS there tells when it is done", n.cfg.NodeID)
	}
}

// runRebuild has the leader lay its state ready, makes a second Machine of it beside
// the applier, has that catch up from this node's log, hands it in, sees it written
// down, and only then lets this node serve again.
func (n *Node) runRebuild(rb *rebuild) error {
	id := n.cfg.NodeID
	n.log.Warn("rebuilding this node's state from the leader's")
	err := n.askLeader(rb.ctx, request{kind: kindSpool, body: spoolRequest{ID: id, Nonce: rb.nonce}, answer: &rb.from},
		func(context.Context) error { return refusedf("%s leads now; run it again", id) })
	if err != nil {
		return n.unbuilt(err)
	}
	fresh, err := n.load(rb)
	n.letGo(rb.from.From, rb.nonce)
	if err == nil {
		err = n.handIn(rb, fresh)
	}
	if err != nil {
		n.log.Error("not rebuilt", "error", err)
		return n.unbuilt(err)
	}
	index := fresh.Applied().Index
	if err := n.diverged.clear(index); err != nil {
		return n.unbuilt(err)
	}
	n.log.Warn("this node's state was rebuilt from the leader's", "leader", rb.from.From, "index", index, "bytes", rb.from.Size)
	return nil
}

// unbuilt is what the one who asked for a rebuild is told.
func (n *Node) unbuilt(err error) error {
	var refused *system.RefusedError
	if errors.Is(err, system.ErrNoLeader) || errors.As(err, &refused) {
		return err
	}
	return refusedf("%s was not rebuilt: %v", n.cfg.NodeID, err)
}

// load makes a Machine of the state that the leader laid ready. This node's own
// goes on meanwhile.
func (n *Node) load(rb *rebuild) (*fsm.Machine, error) {
	fresh := fsm.New()
	if err := fresh.Restore(&fetcher{n: n, rb: rb, from: rb.from, sum: sha256.New()}); err != nil {
		return nil, err
	}
	if got := fresh.Applied().Index; got != rb.from.Index {
		return nil, fmt.Errorf("the leader's state of index %d says that it is of %d", rb.from.Index, got)
	}
	return fresh, nil
}

// handIn has the applier take a state over, and sees it written down. What the library asks the applier for
// besides entries is a snapshot, in an idle cluster too: the state is taken over
// before that is made, so that it is the right one that is written down.
func (n *Node) handIn(rb *rebuild, fresh *fsm.Machine) error {
	for {
		if err := n.catchUp(rb, fresh); err != nil {
			return err
		}
		rb.fresh.Store(fresh)
		err := n.snapshot(rb.ctx, 0)
		if rb.fresh.Swap(nil) == nil { // the applier has it, or had it
			select {
			case failed := <-rb.ended:
				if failed != nil {
					return failed
				}
				return n.writeDown(rb.ctx, fresh.Applied().Index, err)
			case <-rb.ctx.Done():
			}
		}
		if pause(rb.ctx, retryPause); rb.ctx.Err() != nil {
			return errors.Join(errors.New("the right state came too late"), err)
		}
		if err := n.gone(); err != nil {
			return err
		}
	}
}

// catchUp brings a fresh state up to about where this node's applier is.
func (n *Node) catchUp(rb *rebuild, fresh *fsm.Machine) error {
	for {
		applied := n.applied.C()
		to := n.machine.Applied()
		if to.Index >= fresh.Applied().Index {
			if err := n.replay(rb, fresh, to); err != nil {
				return err
			}
			if n.machine.Applied().Index-to.Index <= lastStretch {
				return nil
			}
			continue
		}
		select {
		case <-applied:
		case <-rb.ctx.Done():
			return errors.New("this node does not get as far in the log as the leader")
		}
	}
}

// replay applies what this node's applier has applied, up to a position of its, to a
// fresh state. All of it came from the log since, and is still there: while a
// rebuild is under way no snapshot is made that would cut it (takeOver).
func (n *Node) replay(rb *rebuild, fresh *fsm.Machine, to fsm.Position) error {
	r := n.raft.Load()
	var decoder entry.Decoder
	for i := fresh.Applied().Index + 1; i <= to.Index; i++ {
		switch {
		case rb.ctx.Err() != nil:
			return errors.New("it took too long")
		case n.restore.Load() >= rb.from.Index: // the log says nothing of what that skipped
			return errors.New("a snapshot of the leader's came first; run it again if this node still differs")
		}
		var l raft.Log
		if err := r.logs.GetLog(i, &l); err != nil {
			return fmt.Errorf("this node's log: %w", err)
		}
		if l.Type != raft.LogCommand {
			continue
		}
		b, err := decoder.Decode(l.Data)
		if err != nil {
			return err
		}
		fresh.Apply(fsm.Position{Index: l.Index, Term: l.Term}, b, nil)
	}
	if got := fresh.Applied(); got != to {
		return fmt.Errorf("this node's log leads to entry %d of term %d instead of %d of %d", got.Index, got.Term, to.Index, to.Term)
	}
	return nil
}

// letGo tells the leader that what lies ready is needed no more. Where that fails
// it goes by itself after a while.
func (n *Node) letGo(from, nonce string) {
	ctx, cancel := context.WithTimeout(n.ctx, roundWait)
	defer cancel()
	req, err := json.Marshal(chunkRequest{Nonce: nonce, Done: true})
	if err == nil {
		_, err = n.trans.Call(ctx, from, kindChunk, req)
	}
	if err != nil {
		n.log.Debug("the leader was not told that a rebuild is over", "leader", from, "error", err)
	}
}

// writeDown sees to it that a snapshot of at least this index is on disk and the log
// behind it cut, so that no start goes by what was before. err is what came of the
// first attempt.
func (n *Node) writeDown(ctx context.Context, index uint64, err error) error {
	for {
		if at, _ := strconv.ParseUint(n.raft.Load().Stats()["last_snapshot_index"], 10, 64); err == nil && at >= index {
			return nil
		}
		if pause(ctx, chunkPause); ctx.Err() != nil {
			return errors.Join(errors.New("its new state could not be written down"), err)
		}
		err = n.snapshot(ctx, 0)
	}
}

// takeOver replaces this node's state by the fresh one of the rebuild under way, if
// there is one. It runs on the applier, which is held up by no more than a last
// stretch of the log. An error says that no snapshot can be made now: it would cut
// the log that the fresh state has yet to be brought up to date from.
func (n *Node) takeOver() error {
	rb := n.rebuilding.Load()
	if rb == nil || rb.over {
		return nil
	}
	fresh := rb.fresh.Swap(nil)
	if fresh == nil {
		return errRebuilding
	}
	at := n.machine.Applied()
	if at.Index-fresh.Applied().Index > 2*lastStretch {
		rb.fresh.Store(fresh)
		return errRebuilding
	}
	err := n.replay(rb, fresh, at)
	if err == nil && n.raft.Load().State() == raft.Leader {
		err = refusedf("%s leads now; run it again", n.cfg.NodeID)
	}
	if err == nil {
		n.machine.Become(fresh)
		n.diverged.replaced(at.Index)
		n.clock.observe(n.machine.Now())
		n.book.note(n.machine.Members(), at.Index)
		n.changed.Broadcast()
		n.applied.Broadcast()
		rb.over = true
	}
	rb.ended <- err
	return err
}

// fetcher reads the state that a leader laid ready.
type fetcher struct {
	n    *Node
	rb   *rebuild
	from spooled
	at   int64  // what has been fetched
	rest []byte // fetched, not read yet
	sum  hash.Hash
}

var errSpoiled = errors.New("the leader's state arrived damaged")

func (f *fetcher) Read(b []byte) (int, error) {
	if len(f.rest) == 0 && f.at == f.from.Size {
		if hex.EncodeToString(f.sum.Sum(nil)) != f.from.Sum {
			return 0, errSpoiled
		}
		return 0, io.EOF
	}
	if len(f.rest) == 0 {
		chunk, err := f.fetch()
		if err != nil {
			return 0, fmt.Errorf("%s did not send all of its state: %w", f.from.From, err)
		}
		f.at += int64(len(chunk))
		f.sum.Write(chunk)
		f.rest = chunk
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// fetch gets the next chunk.
func (f *fetcher) fetch() ([]byte, error) {
	want := min(int64(f.n.chunk), f.from.Size-f.at)
	req, err := json.Marshal(chunkRequest{Nonce: f.rb.nonce, Offset: f.at, Size: want})
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(f.rb.ctx, chunkWait)
		chunk, err := f.n.trans.Call(ctx, f.from.From, kindChunk, req)
		cancel()
		var remote *transport.RemoteError
		switch {
		case err == nil && int64(len(chunk)) == want:
			return chunk, nil
		case err == nil:
			return nil, errSpoiled
		case errors.As(err, &remote), f.rb.ctx.Err() != nil, try == chunkTries:
			return nil, err
		}
		pause(f.rb.ctx, chunkPause)
	}
}
