package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

// A removed node serves nothing from its Machine, which stands still. As long as
// its process runs it goes on asking the members who leads, so that clients that
// still come here are sent on, and learn the remaining nodes from it.

// outlook is the cluster as seen by a member.
type outlook struct {
	Leader  system.Member   // zero where unknown
	Members []system.Member // ordered by id
	heard   time.Time       // when this node was told
}

// outlook is this node's own. A removed node has none: two of them would keep each
// other believing in a leader that is long gone.
func (n *Node) outlook() outlook {
	var o outlook
	if n.state.Load().State == left {
		return o
	}
	o.Leader, _, _ = n.Leader()
	for _, m := range n.machine.Members() {
		if n.configured(m.ID) {
			o.Members = append(o.Members, m)
		}
	}
	return o
}

// removed notes that this node was removed; it serves no more. pledges is
// Node.pledges as it was before that was known: a node that was invited again
// meanwhile is a member.
func (n *Node) removed(o outlook, pledges uint64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	id := n.dir.id
	r := n.raft.Load()
	if n.ctx.Err() != nil || r == nil || id.State == left || n.pledges.Load() != pledges {
		return nil
	}
	id.State = left
	n.log.Warn("this node was removed from its cluster; stop it, and start it with a fresh --data-dir and a new --node-id to join again", "cluster", id.Cluster)
	n.hear(o)
	if err := n.dir.save(id); err != nil {
		return err
	}
	n.publish()
	n.wg.Go(func() { r.stop() })
	return nil
}

// hear takes note of what a member told.
func (n *Node) hear(o outlook) {
	if len(o.Members) == 0 {
		return
	}
	o.heard = time.Now()
	n.outside.Store(&o)
}

// gone is what a removed node answers instead of data: who leads, if it knows;
// nil while this node was not removed.
func (n *Node) gone() error {
	if n.state.Load().State != left {
		return nil
	}
	if leader, ok := n.leaderOutside(); ok {
		return &system.NotLeaderError{Leader: leader}
	}
	return system.ErrRemoved
}

// leaderOutside returns the leader of the cluster that this node has left, if a
// member named it just now.
func (n *Node) leaderOutside() (system.Member, bool) {
	const valid = 2 * time.Second
	o := n.outside.Load()
	if o == nil || o.Leader.ID == "" || o.Leader.ID == n.cfg.NodeID || time.Since(o.heard) > valid {
		return system.Member{}, false
	}
	return o.Leader, true
}

// formerMembers are the members of the cluster that this node has left, as far as
// it knows.
func (n *Node) formerMembers() []system.Member {
	members := n.machine.Members()
	if noted, newer := n.book.noted(n.visible.Load()); newer {
		members = noted
	}
	if o := n.outside.Load(); o != nil {
		members = o.Members
	}
	return slices.DeleteFunc(slices.Clone(members), func(m system.Member) bool { return m.ID == n.cfg.NodeID })
}

// membersOutside is Members for a removed node.
func (n *Node) membersOutside(leader string) []system.MemberStatus {
	var all []system.MemberStatus
	for _, m := range n.formerMembers() {
		role := system.Follower
		switch {
		case m.ID == leader:
			role = system.Leader
		case m.Learner:
			role = system.Learner
		}
		all = append(all, system.MemberStatus{Member: m, Role: role, Alive: n.peers.alive(m.ID)})
	}
	slices.SortFunc(all, func(a, b system.MemberStatus) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// lookBack asks the members, one after the other, until one knows who leads.
func (n *Node) lookBack() {
	for _, m := range n.formerMembers() {
		ctx, cancel := context.WithTimeout(n.ctx, roundWait)
		var o outlook
		err := n.ask(ctx, m.ID, request{kind: kindMembers, answer: &o})
		cancel()
		if err != nil {
			n.log.Debug("no answer about the cluster that this node left", "asked", m.ID, "error", err)
			continue
		}
		n.hear(o)
		if o.Leader.ID != "" {
			return
		}
	}
}
