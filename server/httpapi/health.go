package httpapi

import (
	"context"
	"net/http"
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
		noLeader(w, "not ready: "+err.Error())
		return
	}
	writeJSON(w, http.StatusOK, healthJSON{"ready"})
}
