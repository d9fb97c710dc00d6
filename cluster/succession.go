package cluster

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// When the leader's process ends, its machine says so at once: the connections end,
// and a new one is refused. Followers need not wait for a timer then. Why this is
// safe, and why it does not disturb a leader that is well, is in DESIGN.md.

// reign is a leadership: of a node, in a term.
type reign struct {
	Leader string
	Term   uint64
}

// testimony is what a voter says when another asks it about the end of a reign.
type testimony struct {
	Gone bool // it has evidence of its own, and has heard of no leader since
	// Able: it may stand for election itself, or is standing already. Its log ends with an
	// entry of that term and index.
	Able           bool
	LastTerm, Last uint64
}

// succession finds a successor for a leader whose process is gone.
type succession struct {
	n    *Node
	lost chan struct{} // the last connection from the leader has ended

	mu    sync.Mutex
	ended reign     // guarded by mu; the last reign whose end this node has evidence of
	since time.Time // guarded by mu; when it had it
}

func newSuccession(n *Node) *succession { return &succession{n: n, lost: make(chan struct{}, 1)} }

// notice is told of each member whose last connection has ended.
func (s *succession) notice(id string) {
	if now, ok := s.n.reign(); !ok || now.Leader != id {
		return
	}
	select {
	case s.lost <- struct{}{}:
	default:
	}
}

// watch sees to the succession of one leader after the other.
func (s *succession) watch() {
	for {
		select {
		case <-s.lost:
		case <-s.n.ctx.Done():
			return
		}
		if now, ok := s.n.reign(); ok && now.Leader != s.n.cfg.NodeID {
			s.succeed(now)
		}
	}
}

// succeed has this node or another follower lead after one that is gone. It gives up
// where that is not so, and when the timers are due to take over.
func (s *succession) succeed(gone reign) {
	ctx, cancel := context.WithTimeout(s.n.ctx, 2*s.n.timing.heartbeat)
	defer cancel()
	// The others notice within a moment of each other.
	for again := time.Millisecond; ctx.Err() == nil; again = min(2*again, 16*time.Millisecond) {
		pause(ctx, again)
		if !s.sees(ctx, gone) {
			if !s.orphaned(gone) {
				return
			}
			continue // it may just be closing its sockets
		}
		if !s.able() {
			return
		}
		place, agreed := s.canvass(ctx, gone)
		if !agreed || !s.due(place) {
			continue
		}
		if s.n.trans.Stand(ctx, func() bool { return s.vacant(gone) && s.able() && s.n.raft.Load().State() == raft.Follower }) {
			s.n.log.Warn("the leader's process is gone: standing for election at once", "leader", gone.Leader, "term", gone.Term)
		}
		return
	}
}

// sees reports whether this node has evidence that a leader's process is gone, and
// has heard of no leader since. Evidence is for good: a process that is started again
// does not lead.
func (s *succession) sees(ctx context.Context, gone reign) bool {
	if s.vacant(gone) {
		return true
	}
	if !s.orphaned(gone) || !s.n.trans.Refuses(ctx, gone.Leader) {
		return false
	}
	at := time.Now() // whatever is heard after this look is later
	if !s.orphaned(gone) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != gone {
		s.ended, s.since = gone, at
	}
	return true
}

// due reports whether it is the turn of the voter at this place.
func (s *succession) due(place int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.since) >= time.Duration(place)*s.n.timing.turn
}

// orphaned reports whether a leader, which is still the one that this node knows, has
// no connection open to it any more. Whatever it sent has been dealt with then: a
// connection's end is read behind its last request, once that is answered.
func (s *succession) orphaned(gone reign) bool {
	now, ok := s.n.reign()
	return ok && now == gone && !s.n.trans.Linked(gone.Leader)
}

// vacant reports whether this node has evidence of a reign's end, and has since then
// heard of no leader and given its vote to nobody.
func (s *succession) vacant(gone reign) bool {
	s.mu.Lock()
	ended, since := s.ended, s.since
	s.mu.Unlock()
	r := s.n.raft.Load()
	if ended != gone || r == nil || r.State() == raft.Leader || r.LastContact().After(since) {
		return false
	}
	now, known := s.n.reign()
	return !known || now == gone
}

// able reports whether this node may stand for election by itself; it may be standing.
func (s *succession) able() bool {
	n := s.n
	return !n.abstains.any() && !n.disk.hangs() && n.state.Load().State != left && slices.Contains(n.voters(), n.cfg.NodeID)
}

// canvass asks the other voters what they know of a reign's end. agreed says that a
// majority, this node included, has evidence of it: a leader that is alive all the
// same could reach no majority. place is how many of them are to stand before this
// node does.
func (s *succession) canvass(ctx context.Context, gone reign) (place int, agreed bool) {
	ctx, cancel := context.WithTimeout(ctx, s.n.timing.turn/2)
	defer cancel()
	type reply struct {
		id string
		t  testimony
	}
	voters := s.n.voters()
	replies := make(chan reply, len(voters))
	for _, id := range voters {
		go func() {
			r := reply{id: id}
			if id == s.n.cfg.NodeID {
				r.t = s.testify(ctx, gone)
			} else if err := s.n.ask(ctx, id, request{kind: kindSuccession, body: gone, answer: &r.t}); err != nil {
				r.t = testimony{}
			}
			replies <- r
		}()
	}
	said := make(map[string]testimony, len(voters))
	for range voters {
		r := <-replies
		said[r.id] = r.t
	}
	return placeOf(s.n.cfg.NodeID, said)
}

// testify is this node's own testimony, and its answer to another that asks.
func (s *succession) testify(ctx context.Context, gone reign) testimony {
	if !s.sees(ctx, gone) {
		return testimony{}
	}
	t := testimony{Gone: true, Able: s.able()}
	t.LastTerm, t.Last = s.n.raft.Load().lastEntry()
	return t
}

// placeOf is the place of a node in the order in which voters stand: the longest log
// first, as it is the one that cannot be refused.
func placeOf(me string, said map[string]testimony) (place int, agreed bool) {
	gone := 0
	for id, t := range said {
		if !t.Gone {
			continue
		}
		gone++
		mine := said[me]
		longer := cmp.Or(cmp.Compare(t.LastTerm, mine.LastTerm), cmp.Compare(t.Last, mine.Last), cmp.Compare(me, id))
		if t.Able && longer > 0 {
			place++
		}
	}
	return place, gone > len(said)/2
}

// reign returns the leadership that this node knows of, if it does.
func (n *Node) reign() (now reign, known bool) {
	r := n.raft.Load()
	if r == nil {
		return reign{}, false
	}
	for {
		_, before := r.LeaderWithID()
		now = reign{string(before), r.CurrentTerm()}
		// The library forgets the leader before it changes the term: where the leader is the
		// same afterwards, the two belong together.
		if _, after := r.LeaderWithID(); before == after {
			return now, before != ""
		}
	}
}

// voters returns the ids of the voters, this node's too if it is one.
func (n *Node) voters() (ids []string) {
	for _, s := range n.servers() {
		if s.Suffrage == raft.Voter {
			ids = append(ids, string(s.ID))
		}
	}
	return ids
}

// lastEntry is what votes are given by: term and index of the last entry, which may
// be a snapshot's.
func (r *raftNode) lastEntry() (term, index uint64) {
	stats := r.Stats()
	number := func(name string) uint64 {
		v, _ := strconv.ParseUint(stats[name], 10, 64) // the library writes them in this form
		return v
	}
	term, index = number("last_log_term"), number("last_log_index")
	if snap := number("last_snapshot_index"); snap > index {
		term, index = number("last_snapshot_term"), snap
	}
	return term, index
}
