package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm/system"
)

const announcePause = 500 * time.Millisecond

// announce tells the leader this node's addresses where the replicated ones differ.
func (n *Node) announce() {
	const patience = 3 * time.Second
	led := time.Now()
	cutOff := isolation{patience: n.timing.leaderless}
	for n.ctx.Err() == nil {
		pause(n.ctx, announcePause)
		if n.state.Load().State == left {
			n.lookBack()
			continue
		}
		// One that hears of no leader for long may have been removed while it could
		// not be told: asking is how it finds out.
		if _, _, ok := n.Leader(); ok {
			led = time.Now()
		}
		lost := time.Since(led) > patience
		heard := n.greetSeeds()
		if cutOff.begins(time.Since(led), heard || n.hearsMembers()) {
			n.log.Warn("no leader is known and none of the members answers; if the other nodes moved, start this one with --join ADDR of one of them",
				"members", n.book.addresses(n.cfg.NodeID))
		}
		n.syncClock()
		// After a restart the Machine is empty until a leader is heard of, who may
		// not be able to reach this node: not knowing counts as differing.
		me := n.self()
		r := n.raft.Load()
		if known, _ := n.machine.Member(me.ID); r == nil || known == me && !lost {
			continue
		}
		pledges := n.pledges.Load()
		ctx, cancel := context.WithTimeout(n.ctx, adminWait)
		err := n.announceTo(ctx, me)
		cancel()
		var refused *system.RefusedError
		switch {
		case errors.As(err, &refused) && refused.Final && !untouched(r):
			err = n.removed(outlook{}, pledges)
		case errors.Is(err, system.ErrNoLeader), errors.Is(err, transport.ErrNotSent):
			continue
		}
		if err != nil {
			n.log.Warn("addresses not announced", "error", err)
		}
	}
}

// greetSeeds looks for members at the Join addresses and the seeds while no leader
// is known: where every node of a cluster has moved, the address books are of no
// use, and the handshake with whoever answers there brings them up to date. heard
// says that somebody answered.
func (n *Node) greetSeeds() (heard bool) {
	if _, _, ok := n.Leader(); ok || n.raft.Load() == nil {
		return false
	}
	for _, seed := range n.seeds(n.state.Load()) {
		ctx, cancel := context.WithTimeout(n.ctx, roundWait)
		if err := n.askAddr(ctx, seed, request{kind: kindHello}); err != nil {
			n.log.Debug("no answer from seed", "seed", seed, "error", err)
		} else {
			heard = true
		}
		cancel()
	}
	return heard
}

// hearsMembers says whether another member answers this node, or has no need to:
// there is none.
func (n *Node) hearsMembers() bool {
	others := 0
	for _, s := range n.servers() {
		if id := string(s.ID); id != n.cfg.NodeID {
			others++
			if n.peers.alive(id) {
				return true
			}
		}
	}
	return others == 0
}

// isolation notices when this node is alone for long, each time once.
type isolation struct {
	patience time.Duration // an election is over by then
	told     bool
}

// begins says that it is time to tell. lost is how long no leader was known; heard
// says that somebody of the cluster answers.
func (i *isolation) begins(lost time.Duration, heard bool) bool {
	switch {
	case lost < i.patience:
		i.told = false
	case !heard && !i.told:
		i.told = true
		return true
	}
	return false
}

// announceTo sends this node's addresses to the leader. A leader that does not
// know them cannot reach this node, which then hears of no leader; so where none
// is known the other members are asked to pass them on.
func (n *Node) announceTo(ctx context.Context, me system.Member) error {
	if _, _, ok := n.Leader(); ok {
		return n.atLeader(ctx, kindAnnounce, me, func(ctx context.Context) error { return n.announceHere(ctx, me) })
	}
	servers := n.servers()
	err := error(system.ErrNoLeader)
	for _, s := range servers {
		if string(s.ID) == me.ID {
			continue
		}
		if err = n.ask(ctx, string(s.ID), request{kind: kindRelay, body: me}); err == nil {
			return nil
		}
	}
	return err
}

// syncClock takes over the leader's clock once after a start; from then on this
// node's own monotonic clock carries it, so that it can lead without a jump.
func (n *Node) syncClock() {
	if _, self, ok := n.Leader(); !ok || self || n.clock.isSynced() {
		return
	}
	ctx, cancel := context.WithTimeout(n.ctx, roundWait)
	defer cancel()
	if _, err := n.FollowerBarrier(ctx); err != nil {
		n.log.Debug("leader's clock not learned yet", "error", err)
	}
}

// announceHere logs a member's new addresses, on the leader.
func (n *Node) announceHere(ctx context.Context, m system.Member) error {
	if _, ok := n.serving(); !ok {
		return system.ErrNoLeader
	}
	known, ok := n.machine.Member(m.ID)
	if !ok || known.Dir != m.Dir {
		return n.disown(ctx, m)
	}
	if m.Learner = known.Learner; m == known {
		return nil
	}
	return n.logSystem(ctx, system.MemberSet(m))
}

// disown refuses one that is no member, on the leader. A leader that was deposed
// and does not know it yet would say so of one that was added since; only after a
// read round is it final, and tells a node that was down that it was removed.
func (n *Node) disown(ctx context.Context, m system.Member) error {
	if _, err := n.ReadBarrier(ctx); err != nil {
		return system.ErrNoLeader
	}
	known, ok := n.machine.Member(m.ID)
	switch {
	case ok && known.Dir != m.Dir:
		return refusedForGood("node id %q belongs to another node now", m.ID)
	case !ok && !n.configured(m.ID):
		return refusedForGood("%s is no member", m.ID)
	}
	return refusedf("%s is being added or removed", m.ID)
}
