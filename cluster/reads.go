package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/faults"
	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm/system"
)

// rounds gathers readers: all that wait when a round begins share it.
type rounds struct {
	kick   chan struct{}
	crowd  *gathering
	prompt []string // who answered the last round in time; only the goroutine of serve has it

	mu   sync.Mutex
	next *round // guarded by mu; the round that has not begun
}

// round is one proof that what is applied here is the newest there is.
type round struct {
	size  int           // how many wait for it; guarded by rounds.mu until it is taken
	done  chan struct{} // closed at the end; the rest is set before
	err   error
	index uint64 // what was waited for
	term  uint64
}

// errRound says that a round proved nothing: no leader, or no majority.
var errRound = errors.New("read round failed")

func (rs *rounds) init() { rs.kick, rs.crowd = make(chan struct{}, 1), newGathering() }

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
	rs.next.size++
	rs.crowd.count(rs.next.size)
	return rs.next
}

// waiting returns how many wait for the next round.
func (rs *rounds) waiting() int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.next == nil {
		return 0
	}
	return rs.next.size
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
			start := time.Now()
			r.err = run(r)
			close(r.done)
			rs.crowd.await(ctx, r.size, time.Since(start), rs.waiting)
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
		if r.ask(r.VerifyLeader) != nil {
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
	p := poll{n: n, term: term, number: roundNumber.Add(1), answers: make(chan answerOfTerm, len(others))}
	return p.run(n.readers.promptFirst(others), need)
}

// promptFirst orders nodes: those that answered the last round first, so that one
// that is slow or gone costs the wait for it once. The rest comes by chance.
func (rs *rounds) promptFirst(ids []string) []string {
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	next := 0
	for i, id := range ids {
		if slices.Contains(rs.prompt, id) {
			ids[i], ids[next] = ids[next], id
			next++
		}
	}
	rs.prompt = rs.prompt[:0]
	return ids
}

// poll asks voters for their terms.
type poll struct {
	n       *Node
	term    uint64
	number  uint64
	answers chan answerOfTerm // has room for all
}

// answerOfTerm is a node's current term, 0 where it did not say.
type answerOfTerm struct {
	id   string
	term uint64
}

// run reports whether so many of these voters are at the poll's term, and none of
// those that answered is further. The rest is asked only where the first do not
// answer at once; the time for an answer is the same whether there is a rest or not.
func (p *poll) run(ids []string, need int) bool {
	const atOnce = 2 * time.Millisecond
	p.ask(ids[:need])
	asked := need
	askRest := func() {
		p.ask(ids[asked:])
		asked = len(ids)
	}
	late := time.NewTimer(atOnce)
	defer late.Stop()
	patient := false // atOnce is over
	for got := 0; got < len(ids); {
		select {
		case a := <-p.answers:
			got++
			switch {
			case a.term > p.term:
				return false
			case a.term < p.term:
				askRest()
				continue
			}
			p.n.readers.prompt = append(p.n.readers.prompt, a.id)
			if need--; need == 0 {
				return true
			}
		case <-late.C:
			if patient {
				return false
			}
			patient = true
			askRest()
			late.Reset(roundWait)
		case <-p.n.ctx.Done():
			return false
		}
	}
	return false
}

// ask asks nodes for their current terms; each comes to answers.
func (p *poll) ask(ids []string) {
	for _, id := range ids {
		q := transport.Question{ID: id, Kind: kindTerm, Req: binary.LittleEndian.AppendUint64(nil, p.number), Timeout: roundWait}
		p.n.trans.Ask(q, func(body []byte, err error) {
			a := answerOfTerm{id: id}
			if err == nil && len(body) == 16 && binary.LittleEndian.Uint64(body) == p.number {
				a.term = binary.LittleEndian.Uint64(body[8:])
			}
			p.answers <- a
		})
	}
}

// answerTerm is the other side of a poll; no answer is an empty one. The term is on
// disk before a vote in it leaves, so a majority that is still at T has elected
// nobody later.
func (n *Node) answerTerm(req []byte) []byte {
	r := n.raft.Load()
	if r == nil || len(req) != 8 {
		return nil
	}
	return binary.LittleEndian.AppendUint64(req[:8:8], r.CurrentTerm())
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
