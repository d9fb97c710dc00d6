package server

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

// topology is the cluster as its clients are told. Nothing in it waits for
// another node.
type topology struct {
	// master leads, or, between two leaders, was the last one to be known. This node
	// is it only while it leads: who is cut off from the others must not draw
	// clients to itself. Zero where nobody qualifies.
	master system.MemberStatus
	known  bool // master leads at the moment, as far as this node knows
	// others are the other members with an address for clients, learners included.
	others []system.MemberStatus
}

func (s *Server) topology() topology {
	var t topology
	leader, self, known := s.rep.Leader()
	switch last := s.lastLeader.Load(); {
	case known:
		t.master.Member, t.known = leader, true
		if self {
			s.lastLeader.Store(nil)
		} else {
			s.lastLeader.Store(&leader)
		}
	case last != nil:
		t.master.Member = *last
	}
	for _, m := range s.rep.Members() {
		if m.ID == t.master.ID {
			t.master.Alive = m.Alive
		} else if _, port := hostPort(m.RESP); port != 0 {
			t.others = append(t.others, m)
		}
	}
	t.master.Alive = t.master.Alive || t.known
	return t
}

// servable says whether t names a leader that clients can go to.
func (t *topology) servable() bool {
	_, port := hostPort(t.master.RESP)
	return t.known && port != 0
}

// electionWait bounds how long a client that asks who leads waits for an election
// to end, which takes less than a second on a LAN. It is less than the time-outs of
// most clients; ioredis, with a second, asks the next node then.
const electionWait = 1500 * time.Millisecond

// settled is the topology once there is a leader, or as it is after electionWait.
// A client that is told of a dead leader may keep to that for long (go-redis: ten
// seconds), so it is better off waiting a moment for the next.
func (s *Session) settled() topology {
	t := s.srv.topology()
	if t.servable() || s.executing {
		return t
	}
	s.block(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, electionWait)
		defer cancel()
		again := time.NewTicker(20 * time.Millisecond)
		defer again.Stop()
		for !t.servable() {
			select {
			case <-again.C:
				t = s.srv.topology()
			case <-ctx.Done():
				return
			}
		}
	})
	return t
}

// nodes are the master, the other members and, in any case, this node: clients
// look for the line that says "myself" (lettuce fails without exactly one).
func (s *Session) nodes(t *topology) []system.MemberStatus {
	var all []system.MemberStatus
	if t.master.ID != "" {
		all = append(all, t.master)
	}
	all = append(all, t.others...)
	for i := range all {
		if all[i].ID == s.srv.opts.NodeID {
			return all
		}
	}
	me := system.Member{ID: s.srv.opts.NodeID, RESP: net.JoinHostPort("", strconv.Itoa(s.srv.port()))}
	return append(all, system.MemberStatus{Member: me, Alive: true}) // not yet a member
}
