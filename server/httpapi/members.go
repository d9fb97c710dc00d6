package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/raftkv/raftkv/fsm/system"
)

// maxRequest bounds the bodies of requests that carry no value.
const maxRequest = 64 << 10

// join adds a node: {"node_id": "node2", "raft_address": "host:port"}, with
// "learner": true as a member without a vote.
func (s *Server) join(w http.ResponseWriter, r *http.Request) {
	const form = `the body must be {"node_id": …, "raft_address": …} in JSON: `
	fields, ok := readFields(w, r, form, "node_id", "raft_address", "learner")
	if !ok {
		return
	}
	in, err := s.joinRequest(fields)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), memberTimeout)
	defer cancel()
	if err := s.Cluster.Join(ctx, in); err != nil {
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
	}{in.ID, role})
}

// joinRequest checks what can be checked without asking anybody.
func (s *Server) joinRequest(fields object) (in system.JoinRequest, err error) {
	for _, f := range []struct {
		name  string
		into  *string
		check func(string) error
	}{{"node_id", &in.ID, s.CheckID}, {"raft_address", &in.Raft, s.CheckAddress}} {
		if *f.into, err = fields.text(f.name); err != nil {
			return in, err
		}
		if *f.into == "" {
			return in, errors.New(`"node_id" and "raft_address" are needed`)
		}
		if err = f.check(*f.into); err != nil {
			return in, fmt.Errorf("%q: %w", f.name, err)
		}
	}
	in.Learner, err = fields.truth("learner")
	return in, err
}

// readFields reads the JSON object that a request about members carries; form
// says what it looks like. Where it cannot, it writes the response itself.
func readFields(w http.ResponseWriter, r *http.Request, form string, known ...string) (object, bool) {
	if refuseQuery(w, r, "what is meant stands in the body") {
		return nil, false
	}
	body, err := readBody(w, r, maxRequest)
	if err != nil {
		refuseBody(w, err)
		return nil, false
	}
	if len(body) == 0 && r.URL.Path == "/leave" {
		return nil, true
	}
	fields, err := parseObject(body, known...)
	if err != nil {
		writeError(w, http.StatusBadRequest, form+err.Error())
		return nil, false
	}
	return fields, true
}

// leave removes a node: {"node_id": "node2"}; without a body this one.
func (s *Server) leave(w http.ResponseWriter, r *http.Request) {
	fields, ok := readFields(w, r, `the body must be {"node_id": …} in JSON, or empty for this node: `, "node_id")
	if !ok {
		return
	}
	id, err := fields.text("node_id")
	if err == nil && fields != nil && id == "" {
		err = errors.New(`"node_id" is needed; for this node leave the body empty`)
	}
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), memberTimeout)
	defer cancel()
	if err := s.Cluster.Leave(ctx, id); err != nil {
		var refused *system.RefusedError
		if errors.As(err, &refused) && id != "" && !s.knows(id) {
			writeError(w, http.StatusNotFound, refused.Reason)
			return
		}
		s.refuseMember(w, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Left bool `json:"left"`
	}{true})
}

// knows says whether the id is a member's, as far as this node knows.
func (s *Server) knows(id string) bool {
	return slices.ContainsFunc(s.Cluster.Members(), func(m system.MemberStatus) bool { return m.ID == id })
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
	Knows       *uint64 `json:"known_version"`
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
		if n.Reachable && n.Knows > 0 {
			m.Knows = &n.Knows
		}
		nodes = append(nodes, m)
	}
	writeJSON(w, http.StatusOK, struct {
		NodeID        string       `json:"node_id"`
		ClusterID     string       `json:"cluster_id"`
		Version       uint64       `json:"cluster_version"`
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
		st.NodeID, st.ClusterID, st.ClusterVersion, string(st.Role), st.Term, st.Leader.ID, st.Leader.RESP, st.Leader.HTTP,
		st.CommitIndex, st.AppliedIndex, st.LastLogIndex, st.SnapshotIndex, nodes,
	})
}
