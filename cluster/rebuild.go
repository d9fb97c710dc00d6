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
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/system"
)

const (
	rebuildLimit = 10 * time.Minute
	// chunkWait is for one chunk, chunkTries how often it is asked for: a leader that
	// does not answer any more must not hold up the log for long.
	chunkWait  = 10 * time.Second
	chunkTries = 5
	chunkPause = 500 * time.Millisecond
)

// rebuild is the one under way on this node. It is known by its nonce, which is in
// memory only: a mark that is replayed after a start rebuilds nothing.
type rebuild struct {
	nonce  string
	ctx    context.Context
	source chan spooled // gets one element: where the leader's state is to be had
	ended  chan error   // gets one element: what came of taking it over
	over   bool         // it has got that; the applier's own
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
	rb := &rebuild{
		nonce: crand.Text(), ctx: limited,
		source: make(chan spooled, 1), ended: make(chan error, 1),
	}
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

// runRebuild has the leader lay its state ready, waits until this node's applier has
// taken it over at its place in the log, writes it down, and only then serves again.
func (n *Node) runRebuild(rb *rebuild) error {
	id := n.cfg.NodeID
	n.log.Warn("rebuilding this node's state from the leader's")
	fail := func(err error) error {
		var refused *system.RefusedError
		if errors.Is(err, system.ErrNoLeader) || errors.As(err, &refused) {
			return err
		}
		return refusedf("%s was not rebuilt: %v", id, err)
	}
	var from spooled
	err := n.askLeader(rb.ctx, request{kind: kindSpool, body: spoolRequest{ID: id, Nonce: rb.nonce}, answer: &from},
		func(context.Context) error { return refusedf("%s leads now; run it again", id) })
	if err != nil {
		return fail(err)
	}
	rb.source <- from
	err = n.awaitTakeOver(rb, from.Index)
	n.letGo(from.From, rb.nonce)
	if err != nil {
		n.log.Error("not rebuilt", "error", err)
		return fail(err)
	}
	if err := n.writeDown(rb.ctx, from.Index); err != nil {
		return fail(err)
	}
	if err := n.diverged.clear(from.Index); err != nil {
		return fail(err)
	}
	n.log.Warn("this node's state was rebuilt from the leader's", "leader", from.From, "index", from.Index, "bytes", from.Size)
	return nil
}

// awaitTakeOver waits for what the applier makes of a rebuild.
func (n *Node) awaitTakeOver(rb *rebuild, index uint64) error {
	for {
		applied := n.applied.C()
		passed := n.visible.Load() >= index
		select {
		case err := <-rb.ended:
			return err
		default:
		}
		if passed { // a snapshot of the leader's skipped it
			return errors.New("this node did not come by that place in the log; run it again")
		}
		select {
		case err := <-rb.ended:
			return err
		case <-applied:
		case <-rb.ctx.Done():
			return errors.New("this node does not get as far in the log as the leader")
		}
	}
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

// writeDown writes a snapshot of at least this index and cuts the log behind it, so
// that no start goes by what was before.
func (n *Node) writeDown(ctx context.Context, index uint64) error {
	for {
		err := n.snapshot(ctx, 0)
		if at, _ := strconv.ParseUint(n.raft.Load().Stats()["last_snapshot_index"], 10, 64); err == nil && at >= index {
			return nil
		}
		if pause(ctx, chunkPause); ctx.Err() != nil {
			return errors.Join(errors.New("its new state could not be written down"), err)
		}
	}
}

// takeOver replaces this node's state at a place of the log by what the leader's was
// there. It runs on the applier, which waits meanwhile; if it fails, the state stays
// as it was and the log goes on.
func (n *Node) takeOver(nonce string, at fsm.Position) {
	rb := n.rebuilding.Load()
	if rb == nil || rb.nonce != nonce || rb.over {
		return
	}
	var from spooled
	select {
	case from = <-rb.source:
	case <-rb.ctx.Done():
		return
	}
	if from.Index > at.Index { // a leader that lost its office logged this one
		rb.source <- from
		return
	}
	err := fmt.Errorf("the leader's state is of index %d, not %d", from.Index, at.Index)
	if from.Index == at.Index {
		err = n.restoreFrom(rb, from, at)
	}
	rb.over = true
	rb.ended <- err
}

func (n *Node) restoreFrom(rb *rebuild, from spooled, at fsm.Position) error {
	err := n.machine.Restore(&fetcher{n: n, rb: rb, from: from, sum: sha256.New()})
	if err != nil {
		return err
	}
	if got := n.machine.Applied(); got != at {
		err := fmt.Errorf("the leader's state of index %d says that it is of %d", at.Index, got.Index)
		n.broken.Store(true)
		n.fail(err)
		return err
	}
	n.book.note(n.machine.Members(), at.Index)
	n.diverged.replaced(at.Index)
	return nil
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
