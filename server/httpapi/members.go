package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/raftkv/raftkv/fsm/system"
)

// maxRequest bounds the bodies of requests that carry no value.
const maxRequest = 64 << 10

// join adds a node: {"node_id": "node2", "raft_address": "host:port"}, with
// "learner": true as a member without a vote.
func (s *Server) join(w http.ResponseWriter, r *http.Request) {
	var in struct {
		NodeID  string `json:"node_id"`
		Raft    string `json:"raft_address"`
		Learner bool   `json:"learner"`
	}
	body, ok := readBody(w, r, maxRequest)
	if !ok {
		return
	}
	if err := decode(body, &in); err != nil {
		writeError(w, http.StatusBadRequest, `the body must be {"node_id": …, "raft_address": …} in JSON: `+err.Error())
		return
	}
	if in.NodeID == "" || in.Raft == "" {
		writeError(w, http.StatusBadRequest, `"node_id" and "raft_address" are needed`)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), memberTimeout)
	defer cancel()
	if err := s.Cluster.Join(ctx, system.JoinRequest{ID: in.NodeID, Raft: in.Raft, Learner: in.Learner}); err != nil {
		s.refuseMember(w, err)
		return
	}
	role := "voter"
	if in.Learner {
		role = "learner"
	}
	writeJSON(w, http.StatusOK, struct {
		NodeID string `json:"node_id"`
		Role   string `json:"role"`
	}{in.NodeID, role})
}

// leave removes a node: {"node_id": "node2"}; without a body this one.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) {
	var in struct {
		NodeID string `json:"node_id"`
	}
	body, ok := readBody(w, r, maxRequest)
	if !ok {
		return
	}
	if len(body) > 0 {
		if err := decode(body, &in); err != nil {
			writeError(w, http.StatusBadRequest, `the body must be {"node_id": …} in JSON, or empty for this node: `+err.Error())
			return
		}
		if in.NodeID == "" {
			writeError(w, http.StatusBadRequest, `"node_id" is needed; for this node leave the body empty`)
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), memberTimeout)
	defer cancel()
	if err := s.Cluster.Leave(ctx, in.NodeID); err != nil {
		s.refuseMember(w, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Left bool `json:"left"`
	}{true})
}

// refuseMember answers a failed change of members. Those find the leader
// themselves, so a change of leader meanwhile is worth another try.
func (s *Server) refuseMember(w http.ResponseWriter, err error) {
	if isMoved(err) {
		noLeader(w, "the leader is changing; try again")
		return
	}
	if errors.Is(err, context.DeadlineExceeded) {
		unknownOutcome(w, "it is taking long and may still be done: see /status")
		return
	}
	s.refuse(w, err)
}

// memberJSON is a member in the answer of /status.
type memberJSON struct {
	ID          string  `json:"id"`
	Role        string  `json:"role"`
	Raft        string  `json:"raft"`
	RESP        string  `json:"resp"`
	HTTP        string  `json:"http"`
	MatchIndex  *uint64 `json:"match_index"`
	Lag         *uint64 `json:"lag"`
	LastContact *int64  `json:"last_contact_ms"`
}

// status tells what this node knows, in a minority too.
func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), statusTimeout)
	defer cancel()
	st := s.Cluster.Status(ctx)
	nodes := make([]memberJSON, 0, len(st.Nodes))
	for _, n := range st.Nodes {
		m := memberJSON{ID: n.ID, Role: string(n.Role), Raft: n.Raft, RESP: n.RESP, HTTP: n.HTTP}
		if n.Reachable {
			m.MatchIndex, m.Lag, m.LastContact = &n.MatchIndex, &n.Lag, &n.LastContactMS
		}
		nodes = append(nodes, m)
	}
	writeJSON(w, http.StatusOK, struct {
		NodeID        string       `json:"node_id"`
		ClusterID     string       `json:"cluster_id"`
		Role          string       `json:"role"`
		Term          uint64       `json:"term"`
		LeaderID      string       `json:"leader_id"`
		Leader        string       `json:"leader"`
		LeaderHTTP    string       `json:"leader_http"`
		CommitIndex   uint64       `json:"commit_index"`
		AppliedIndex  uint64       `json:"applied_index"`
		LastLogIndex  uint64       `json:"last_log_index"`
		SnapshotIndex uint64       `json:"snapshot_index"`
		Nodes         []memberJSON `json:"nodes"`
	}{
		st.NodeID, st.ClusterID, string(st.Role), st.Term, st.Leader.ID, st.Leader.RESP, st.Leader.HTTP,
		st.CommitIndex, st.AppliedIndex, st.LastLogIndex, st.SnapshotIndex, nodes,
	})
}
