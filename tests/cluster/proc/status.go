package proc

import "fmt"

// Status is a node's answer to RAFT.STATUS.
type Status struct {
	NodeID, ClusterID, Role, LeaderID, Leader string
	Term, CommitIndex, AppliedIndex           int64
	LastLogIndex, SnapshotIndex               int64
	ClusterVersion                            int64
	Nodes                                     []Member
}

// Member is a node in a Status. MatchIndex and Knows, the newest cluster version that
// its program knows, are -1 where the node was not reached.
type Member struct {
	ID, Role, Raft, RESP, HTTP string
	MatchIndex, Knows          int64
}

// Member returns the member with this id.
func (s *Status) Member(id string) (Member, bool) {
	for _, m := range s.Nodes {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// Voters counts the members that have a vote.
func (s *Status) Voters() (count int) {
	for _, m := range s.Nodes {
		if m.Role != "learner" {
			count++
		}
	}
	return count
}

// Status asks the node for RAFT.STATUS.
func (n *Node) Status() (*Status, error) {
	reply, err := n.Do("RAFT.STATUS")
	if err != nil {
		return nil, err
	}
	return ParseStatus(reply)
}

// ParseStatus takes apart what a client got from RAFT.STATUS.
func ParseStatus(reply any) (*Status, error) {
	top, err := fields(reply)
	if err != nil {
		return nil, err
	}
	s := &Status{
		NodeID: text(top["node-id"]), ClusterID: text(top["cluster-id"]), Role: text(top["role"]),
		LeaderID: text(top["leader-id"]), Leader: text(top["leader"]),
		Term: number(top["term"]), CommitIndex: number(top["commit-index"]), AppliedIndex: number(top["applied-index"]),
		LastLogIndex: number(top["last-log-index"]), SnapshotIndex: number(top["snapshot-index"]),
		ClusterVersion: number(top["cluster-version"]),
	}
	nodes, _ := top["nodes"].([]any)
	for _, node := range nodes {
		f, err := fields(node)
		if err != nil {
			return nil, err
		}
		s.Nodes = append(s.Nodes, Member{
			ID: text(f["id"]), Role: text(f["role"]), Raft: text(f["raft"]), RESP: text(f["resp"]), HTTP: text(f["http"]),
			MatchIndex: number(f["match-index"]), Knows: number(f["known-version"]),
		})
	}
	return s, nil
}

// fields takes a map of RESP3, or the flat array that it is in RESP2.
func fields(reply any) (map[string]any, error) {
	out := map[string]any{}
	switch r := reply.(type) {
	case map[any]any:
		for k, v := range r {
			out[text(k)] = v
		}
	case []any:
		for i := 0; i+1 < len(r); i += 2 {
			out[text(r[i])] = r[i+1]
		}
	default:
		return nil, fmt.Errorf("%T is no map", reply)
	}
	return out, nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	if n, ok := v.(int64); ok {
		return n
	}
	return -1
}
