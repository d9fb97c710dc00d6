package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/faults"
	"github.com/raftkv/raftkv/fsm/system"
)

// rounds gathers readers: all that wait when a round begins share it.
type rounds struct {
	kick chan struct{}
	mu   sync.Mutex
	next *round // guarded by mu; the round that has not begun
}

// round is one proof that what is applied here is the newest there is.
type round struct {
	done  chan struct{} // closed at the end; the rest is set before
	err   error
	index uint64 // what was waited for
	term  uint64
}

// errRound says that a round proved nothing: no leader, or no majority.
var errRound = errors.New("read round failed")

// join returns the next round to begin.
func (rs *rounds) join() *round {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.next == nil {
		rs.next = &round{done: make(chan struct{})}
		select {
		case rs.kick <- struct{}{}:
		default:
		}
	}
	return rs.next
}

// take closes the next round to newcomers and returns it.
func (rs *rounds) take() *round {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.next
	rs.next = nil
	return r
}

// serve runs one round after the other until ctx ends.
func (rs *rounds) serve(ctx context.Context, run func(*round) error) {
	for {
		select {
		case <-rs.kick:
		case <-ctx.Done():
			if r := rs.take(); r != nil {
				r.err = errRound
				close(r.done)
			}
			return
		}
		if r := rs.take(); r != nil {
			r.err = run(r)
			close(r.done)
		}
	}
}

func (n *Node) serveRounds()      { n.readers.serve(n.ctx, n.leaderRound) }
func (n *Node) serveLocalRounds() { n.locals.serve(n.ctx, n.followerRound) }

// ReadBarrier returns once everything acknowledged before the call is applied
// here; see server.Replicator.
func (n *Node) ReadBarrier(ctx context.Context) (now int64, err error) {
	err = n.barrier(ctx, &n.readers, n.elsewhere)
	return n.clock.leaderNow(), err
}

// FollowerBarrier does the same on any node.
func (n *Node) FollowerBarrier(ctx context.Context) (now int64, err error) {
	if _, self, ok := n.Leader(); ok && self {
		if now, err = n.ReadBarrier(ctx); err == nil {
			return now, nil
		}
		var moved *system.NotLeaderError
		if !errors.As(err, &moved) {
			return 0, err
		}
	}
	err = n.barrier(ctx, &n.locals, n.absent)
	return n.machine.Now(), err
}

// barrier joins rounds until one succeeds, giveUp has an error, or the
// leader-wait is over.
func (n *Node) barrier(ctx context.Context, rs *rounds, giveUp func() error) error {
	if n.alone() {
		return nil
	}
	var late <-chan time.Time
	for {
		changed := n.changed.C()
		if err := giveUp(); err != nil {
			return err
		}
		r := rs.join()
		select {
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		case <-n.ctx.Done():
			return system.ErrShutdown
		}
		if r.err == nil {
			return nil
		}
		if late == nil {
			t := time.NewTimer(n.cfg.LeaderWait)
			defer t.Stop()
			late = t.C
		}
		retry := time.NewTimer(retryPause)
		select {
		case <-changed:
		case <-retry.C:
		case <-late:
			return system.ErrNoLeader
		case <-ctx.Done():
			return ctx.Err()
		case <-n.ctx.Done():
			return system.ErrShutdown
		}
		retry.Stop()
	}
}

// leaderRound proves that this node led while the round's readers were waiting,
// and waits until all that was committed then is applied here. The order of the
// steps is what makes it sound (DESIGN.md): readers are fixed already; then the
// commit index and the configuration are read; then the voters are asked for
// their terms, over calls that began after that.
func (n *Node) leaderRound(rd *round) error {
	term, ok := n.serving()
	if !ok {
		return errRound
	}
	r := n.raft.Load()
	rd.term, rd.index = term, r.CommitIndex()
	if faults.On(faults.VerifyLeader) {
		if r.VerifyLeader().Error() != nil {
			return errRound
		}
	} else if !n.majorityAt(term, n.servers()) {
		return errRound
	}
	if now, ok := n.serving(); !ok || now != term {
		return errRound
	}
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.LeaderWait)
	defer cancel()
	if n.waitVisible(ctx, rd.index) != nil {
		return errRound
	}
	// What a follower must have applied is an index that its Machine gets to see:
	// entries of Raft's own (a no-op, a configuration) do not reach it.
	rd.index = n.machine.Applied().Index
	return nil
}

var roundNumber atomic.Uint64

// majorityAt asks the voters for their current term, and reports whether a
// majority, this node included if it votes, is at term. One that is further ends it.
func (n *Node) majorityAt(term uint64, servers []raft.Server) bool {
	var others []string
	voters, votes := 0, 0
	for _, s := range servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if string(s.ID) == n.cfg.NodeID {
			votes++
		} else {
			others = append(others, string(s.ID))
		}
	}
	need := voters/2 + 1 - votes
	if voters == 0 || need <= 0 {
		return voters > 0
	}
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	ctx, cancel := context.WithTimeout(n.ctx, roundWait)
	defer cancel()
	number := roundNumber.Add(1)
	answers := make(chan uint64, len(others)) // a term, 0 for none
	ask := func(ids []string) {
		for _, id := range ids {
			go func() { answers <- n.askTerm(ctx, id, number) }()
		}
	}
	// The rest is asked only where the first do not answer at once.
	ask(others[:need])
	asked := need
	spare := time.NewTimer(2 * time.Millisecond)
	defer spare.Stop()
	for got := 0; got < len(others); {
		select {
		case t := <-answers:
			got++
			if t > term {
				return false
			}
			if t == term {
				if need--; need == 0 {
					return true
				}
			} else if asked < len(others) {
				ask(others[asked:])
				asked = len(others)
			}
		case <-spare.C:
			ask(others[asked:])
			asked = len(others)
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// askTerm asks a node for its current term; 0 stands for no answer.
func (n *Node) askTerm(ctx context.Context, id string, number uint64) uint64 {
	var req [8]byte
	binary.LittleEndian.PutUint64(req[:], number)
	answer, err := n.trans.Call(ctx, id, kindTerm, req[:])
	if err != nil || len(answer) != 16 || binary.LittleEndian.Uint64(answer) != number {
		return 0
	}
	return binary.LittleEndian.Uint64(answer[8:])
}

// answerTerm is the other side of askTerm. The term is on disk before a vote in
// it leaves, so a majority that is still at T has elected nobody later.
func (n *Node) answerTerm(req []byte) ([]byte, error) {
	r := n.raft.Load()
	if r == nil || len(req) != 8 {
		return nil, errRound
	}
	return binary.LittleEndian.AppendUint64(req[:8:8], r.CurrentTerm()), nil
}

// followerRound asks the leader for the index of a round that began after the
// question came, and waits until this node has applied it.
func (n *Node) followerRound(rd *round) error {
	leader, self, ok := n.Leader()
	if !ok {
		return errRound
	}
	if self {
		r := n.readers.join()
		select {
		case <-r.done:
			return r.err
		case <-n.ctx.Done():
			return errRound
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, n.cfg.LeaderWait)
	defer cancel()
	answer, err := n.trans.Call(ctx, leader.ID, kindReadIndex, nil)
	if err != nil || len(answer) != 24 {
		return errRound
	}
	rd.term, rd.index = binary.LittleEndian.Uint64(answer), binary.LittleEndian.Uint64(answer[8:])
	n.clock.sync(int64(binary.LittleEndian.Uint64(answer[16:])))
	if n.waitVisible(ctx, rd.index) != nil || n.diverged.on() {
		return errRound
	}
	return nil
}

// answerReadIndex is the other side of followerRound.
func (n *Node) answerReadIndex(ctx context.Context) ([]byte, error) {
	r := n.readers.join()
	select {
	case <-r.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.err != nil {
		return nil, r.err
	}
	b := binary.LittleEndian.AppendUint64(nil, r.term)
	b = binary.LittleEndian.AppendUint64(b, r.index)
	return binary.LittleEndian.AppendUint64(b, uint64(n.clock.leaderNow())), nil
}

// waitVisible waits until this node has applied index.
func (n *Node) waitVisible(ctx context.Context, index uint64) error {
	for {
		moved := n.applied.C()
		if n.visible.Load() >= index {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
