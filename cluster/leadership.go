package cluster

import (
	"math/rand/v2"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// serving returns the current term if this node may propose and answer reads in
// it: it leads, and an entry of its own of this term is applied here, so that
// everything of earlier terms is too.
func (n *Node) serving() (term uint64, ok bool) {
	r := n.raft.Load()
	if r == nil {
		return 0, false
	}
	term = r.CurrentTerm()
	return term, r.State() == raft.Leader && n.ready.Load() == term && r.CurrentTerm() == term && !n.disk.hangs() && !n.diverged.on()
}

// Settled says, where this node leads, that everything acknowledged before its term is
// applied here.
func (n *Node) Settled() bool {
	r := n.raft.Load()
	return r == nil && n.alone() || r != nil && n.ready.Load() == r.CurrentTerm()
}

// Leader returns the leader with its announced addresses; self says whether it is
// this node, ok is false where none is known to be alive.
func (n *Node) Leader() (m system.Member, self, ok bool) {
	r := n.raft.Load()
	switch {
	case n.state.Load().State == left:
		m, ok = n.leaderOutside()
		return m, false, ok
	case r == nil && n.alone():
		return n.self(), true, true
	case r == nil:
		return system.Member{}, false, false
	}
	if n.disk.deposed() {
		return n.disk.successor()
	}
	_, id := r.LeaderWithID()
	switch {
	case id == "":
		return system.Member{}, false, false
	case string(id) == n.cfg.NodeID && n.diverged.on(): // not for long
		return system.Member{}, false, false
	case string(id) == n.cfg.NodeID:
		return n.self(), true, true
	}
	if !n.trans.Linked(string(id)) {
		// Its process is gone: nobody is sent there, and who asks waits for the next
		// leader instead.
		return system.Member{}, false, false
	}
	// A member that is not known is announced by an entry yet to come.
	m, ok = n.member(string(id))
	return m, false, ok
}

// member returns what a node announced of itself: as applied here, or, while this
// node has not caught up after a restart, as it noted before. Of itself it knows
// better: it may have moved since.
func (n *Node) member(id string) (system.Member, bool) {
	m, ok := n.known(id)
	if id == n.cfg.NodeID {
		me := n.self()
		me.Learner = m.Learner
		return me, true
	}
	return m, ok
}

// known is member without what this node knows of itself.
func (n *Node) known(id string) (system.Member, bool) {
	members, newer := n.book.noted(n.visible.Load())
	if !newer {
		return n.machine.Member(id)
	}
	for _, m := range members {
		if m.ID == id {
			return m, true
		}
	}
	return system.Member{}, false
}

// watchLeadership opens each term that this node leads, and wakes those who wait
// for a leader. It must never be slow: the library's main loop waits for it.
func (n *Node) watchLeadership(r *raftNode, notify <-chan bool, observed <-chan raft.Observation) {
	var opened uint64
	for {
		select {
		case <-notify:
		case <-observed:
		case <-r.stopped:
			return
		case <-n.ctx.Done():
			// The library may still be sending, until it has ended.
			for {
				select {
				case <-notify:
				case <-observed:
				case <-r.stopped:
					return
				}
			}
		}
		if r.State() != raft.Leader {
			n.clock.follow()
		}
		if term := r.CurrentTerm(); r.State() == raft.Leader && term != opened {
			opened = term
			n.wg.Go(func() { n.openTerm(r, term) })
		}
		n.changed.Broadcast()
	}
}

// alone reports whether this is a fresh node that serves as a cluster of one. One
// that was told to join another cluster does not: it must not found its own.
func (n *Node) alone() bool {
	return n.state.Load().State == pristine && len(n.cfg.Join) == 0
}

// elsewhere returns who leads if it is another node, and nil otherwise.
func (n *Node) elsewhere() error {
	if err := n.gone(); err != nil {
		return err
	}
	if r := n.raft.Load(); r == nil || r.State() == raft.Leader && !n.disk.hangs() {
		return nil
	}
	if leader, self, ok := n.Leader(); ok && !self {
		return &system.NotLeaderError{Leader: leader}
	}
	return nil
}

// openTerm proposes the first entry of a term. Once it is applied, everything
// that earlier leaders committed is applied here, which is what Raft's Barrier is
// for; being an entry of ours, it also tells all replicas the new leader's clock.
func (n *Node) openTerm(r *raftNode, term uint64) {
	if n.diverged.on() { // it hands over, and its clock may be wrong as all of its state
		return
	}
	n.clock.lead()
	defer func() {
		if r.State() != raft.Leader { // lost before the clock was told that it was won
			n.clock.follow()
		}
	}()
	if off := n.clock.ahead(); off > time.Second || off < -time.Second {
		n.log.Warn("the logged clock and this machine's differ; they close up by a tenth of the time that passes", "logged-ahead-by", off)
	}
	for n.ctx.Err() == nil && r.State() == raft.Leader && r.CurrentTerm() == term {
		b := entry.Batch{ID: rand.Uint64(), Now: n.clock.leaderNow()}
		if cmds := n.openingCommands(); len(cmds) > 0 {
			b.Proposals = []entry.Proposal{{System: true, Commands: cmds}}
		}
		b.Version = n.batchVersion(b.Proposals)
		n.opening.Store(b.ID)
		if r.ask(func() raft.Future { return r.Apply(entry.Append(nil, &b), adminWait) }) == nil {
			return
		}
		pause(n.ctx, retryPause)
	}
}

// openingCommands found the cluster, if that was not done, at the newest version that
// this program knows, and announce this node's addresses, if they changed.
func (n *Node) openingCommands() []entry.Command {
	var cmds []entry.Command
	id, me := n.state.Load(), n.self()
	if id.State == founded && n.machine.ClusterID() == "" {
		cmds = append(cmds, system.ClusterInit(id.Cluster))
		// After a restart the Machine is empty too, and the cluster, which may be an old
		// one with other members by now, is somewhere in the log.
		if n.boot.Load() == 0 {
			cmds = append(cmds, system.ClusterVersion(n.cfg.knows))
		}
	}
	if known, _ := n.machine.Member(me.ID); known != me {
		cmds = append(cmds, system.MemberSet(me))
	}
	return cmds
}

// servers returns the latest configuration, committed or not. (The library's
// future does not tell its index, so the guard of changes is Node.members, which
// every change on a leader holds.)
func (n *Node) servers() []raft.Server {
	r := n.raft.Load()
	if r == nil {
		return nil
	}
	f := r.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// otherVoters returns the ids of the voters but this node.
func (n *Node) otherVoters() []string {
	servers := n.servers()
	var ids []string
	for _, s := range servers {
		if s.Suffrage == raft.Voter && string(s.ID) != n.cfg.NodeID {
			ids = append(ids, string(s.ID))
		}
	}
	return ids
}
