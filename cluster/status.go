package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/fsm/system"
)

// progress is how far one node is, as it tells the others.
type progress struct {
	Role        system.Role
	Term        uint64
	Last        uint64  // last index in its log, on its disk
	Commit      uint64  // the last index that it knows to be committed, and holds
	LastContact int64   // ms since it heard from the leader; 0 on the leader
	Short       bool    // its disk is nearly full, or hangs
	Diverged    bool    // its state is not that of the others
	Network     Network // whose timeouts it runs with; empty from an older version
	Knows       uint64  // the newest cluster version that its program knows; 0 from one that does not say
	Snapshot    snapshotState
}

// progress is this node's own.
func (n *Node) progress() progress {
	r := n.raft.Load()
	if r == nil {
		return progress{Role: n.role(), Network: n.cfg.Network, Knows: n.cfg.knows}
	}
	p := progress{Role: n.role(), Network: n.cfg.Network, Knows: n.cfg.knows, Snapshot: n.recent.state(), Short: n.disk.isShort() || n.disk.hangs(), Diverged: n.diverged.on(), Term: r.CurrentTerm(), Last: r.LastIndex(), Commit: min(r.CommitIndex(), r.LastIndex())}
	if p.Role != system.Leader {
		if at := r.LastContact(); !at.IsZero() {
			p.LastContact = time.Since(at).Milliseconds()
		}
	}
	return p
}

// role is what this node is now.
func (n *Node) role() system.Role {
	if n.state.Load().State == left {
		return system.Removed
	}
	r := n.raft.Load()
	if r == nil {
		if n.alone() {
			return system.Leader // of one
		}
		return system.Follower
	}
	switch state := r.State(); {
	case n.diverged.on():
		return system.Diverged
	case state == raft.Leader:
		return system.Leader
	case state == raft.Candidate:
		return system.Candidate
	}
	servers := n.servers()
	for _, s := range servers {
		if string(s.ID) == n.cfg.NodeID && s.Suffrage != raft.Voter {
			return system.Learner
		}
	}
	if len(servers) == 0 && n.state.Load().State == pledged && r.State() != raft.Shutdown {
		return system.Learner // it has just joined, and knows nothing of its cluster yet
	}
	return system.Follower
}

// askProgress asks a node how far it is.
func (n *Node) askProgress(ctx context.Context, id string) (p progress, err error) {
	if id == n.cfg.NodeID {
		return n.progress(), nil
	}
	text, err := n.trans.Call(ctx, id, kindProgress, nil)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	return p, err
}

// Members returns all members with their roles, ordered by id.
func (n *Node) Members() []system.MemberStatus {
	if n.raft.Load() == nil {
		return []system.MemberStatus{{Member: n.self(), Role: n.role(), Alive: true}}
	}
	leader, _, _ := n.Leader()
	if n.state.Load().State == left {
		return n.membersOutside(leader.ID)
	}
	servers := n.servers()
	if len(servers) == 0 {
		return []system.MemberStatus{{Member: n.self(), Role: n.role(), Alive: true}}
	}
	var all []system.MemberStatus
	for _, s := range servers {
		m, ok := n.member(string(s.ID))
		if !ok {
			m.ID = string(s.ID)
			m.Raft, _ = n.book.resolve(m.ID)
		}
		role := system.Follower
		switch {
		case m.ID == leader.ID:
			role = system.Leader
		case m.ID == n.cfg.NodeID && n.diverged.on():
			role = system.Diverged
		case s.Suffrage != raft.Voter:
			role = system.Learner
		case m.ID == n.cfg.NodeID:
			role = n.role()
		}
		alive := m.ID == n.cfg.NodeID && role != system.Diverged || m.ID == leader.ID || n.peers.alive(m.ID)
		all = append(all, system.MemberStatus{Member: m, Role: role, Alive: alive})
	}
	slices.SortFunc(all, func(a, b system.MemberStatus) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// Status is the full local answer; it asks the other nodes for their indexes.
func (n *Node) Status(ctx context.Context) system.Status {
	id := n.state.Load()
	s := system.Status{NodeID: id.NodeID, ClusterID: id.Cluster, ClusterVersion: n.machine.Version(), Role: n.role(), Nodes: n.Members(), Audit: n.audits.report()}
	if id.State == pristine {
		s.ClusterID, s.ClusterVersion = id.UUID, n.cfg.knows
	}
	s.Leader, _, _ = n.Leader()
	if r := n.raft.Load(); r != nil {
		s.Term, s.CommitIndex, s.LastLogIndex = r.CurrentTerm(), r.CommitIndex(), r.LastIndex()
		s.AppliedIndex = n.visible.Load()
		s.SnapshotIndex, _ = strconv.ParseUint(r.Stats()["last_snapshot_index"], 10, 64)
	}
	ctx, cancel := context.WithTimeout(ctx, roundWait)
	defer cancel()
	answers := make([]progress, len(s.Nodes))
	var wg sync.WaitGroup
	for i := range s.Nodes {
		wg.Go(func() {
			p, err := n.askProgress(ctx, s.Nodes[i].ID)
			answers[i], s.Nodes[i].Reachable = p, err == nil
		})
	}
	wg.Wait()
	last := s.LastLogIndex
	for _, p := range answers {
		if p.Role == system.Leader {
			last = max(last, p.Last)
		}
	}
	for i, p := range answers {
		m := &s.Nodes[i]
		m.MatchIndex, m.LastContactMS, m.Knows = p.Last, p.LastContact, p.Knows
		m.Lag = last - min(last, p.Last)
		if m.Reachable && m.Role == system.Follower && p.Role == system.Candidate || p.Role == system.Diverged {
			m.Role = p.Role
		}
	}
	return s
}

// VotersAt counts the voters that hold everything this node has acknowledged: a
// voter's commit index covers only what it has on disk and shares with the leader.
func (n *Node) VotersAt(ctx context.Context) (int, error) {
	if n.state.Load().State == pristine {
		return 1, nil
	}
	if _, ok := n.serving(); !ok {
		if err := n.elsewhere(); err != nil {
			return 0, err
		}
		return 0, system.ErrNoLeader
	}
	index := n.raft.Load().CommitIndex() // at or above everything acknowledged
	others := n.otherVoters()
	ctx, cancel := context.WithTimeout(ctx, roundWait)
	defer cancel()
	holds := make(chan bool, len(others))
	for _, id := range others {
		go func() {
			p, err := n.askProgress(ctx, id)
			holds <- err == nil && p.Commit >= index
		}()
	}
	voters := 1
	for range others {
		if <-holds {
			voters++
		}
	}
	return voters, nil
}
