package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/raftkv/raftkv/fsm/system"
)

type healthJSON struct {
	Status string `json:"status"`
}

// health says that the process answers; a node without a leader is healthy too,
// as restarting it would help nobody.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, healthJSON{"ok"})
}

// ready says that this node can answer a linearizable read now: it reaches the
// leader, the leader a majority, and what was written is applied here.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if _, err := s.Cluster.FollowerBarrier(ctx); err != nil {
		noLeader(w, "not ready: "+s.missing(r.Context(), err))
		return
	}
	writeJSON(w, http.StatusOK, healthJSON{"ready"})
}

const noLeaderKnown = "no leader is known: one is being elected, or a majority of the nodes cannot be reached"

// missing says in our words why a barrier failed.
func (s *Server) missing(ctx context.Context, err error) string {
	if errors.Is(err, system.ErrShutdown) {
		return err.Error()
	}
	leader, self, known := s.Cluster.Leader()
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status := s.Cluster.Status(ctx)
	switch {
	case status.Role == system.Removed:
		return "this node was removed from its cluster; stop it, and use a member"
	case status.Role == system.Diverged:
		return "this node's state differs from the others': RAFT.REBUILD replaces it"
	case !known:
		return noLeaderKnown
	case self:
		return "this node leads, but a majority of the nodes does not answer"
	}
	for _, n := range status.Nodes {
		if n.ID == leader.ID && !n.Reachable {
			return "the leader, " + leader.ID + ", does not answer"
		}
	}
	return "this node has not caught up with the leader, " + leader.ID + ", or that one reaches no majority"
}
