// Package system is the replicated state that is not keys: the cluster's
// identity and version, its members and their addresses, its users. It also holds the words
// that server and cluster share, so that neither imports the other.
package system

import (
	"errors"
	"fmt"
	"strings"
)

// Role is what a node is in its cluster at the moment.
type Role string

const (
	// Leader is the one that takes writes.
	Leader Role = "leader"
	// Follower is a voter that follows.
	Follower Role = "follower"
	// Candidate is a voter that asks to become leader.
	Candidate Role = "candidate"
	// Learner follows without a vote.
	Learner Role = "learner"
	// Removed has left its cluster and serves no data any more.
	Removed Role = "removed"
	// Diverged holds another state than the others at the same place in the log: it
	// serves no data and does not lead until it is rebuilt.
	Diverged Role = "diverged"
)

// maxNodeID bounds an id, which stands in every message between nodes.
const maxNodeID = 64

// CheckNodeID says in one line why an id cannot name a node; nil where it can.
func CheckNodeID(id string) error {
	if id == "" {
		return errors.New("a node id cannot be empty")
	}
	if len(id) > maxNodeID {
		return fmt.Errorf("a node id has at most %d characters, not %d", maxNodeID, len(id))
	}
	for i, r := range id {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !alnum && (i == 0 || !strings.ContainsRune(".-_", r)) {
			return fmt.Errorf("%q cannot name a node: use letters, digits, dot, dash and underscore, a letter or digit first", id)
		}
	}
	return nil
}

// Member is a node of the cluster and the addresses it announced, host:port each.
type Member struct {
	ID   string
	Raft string
	RESP string
	HTTP string
	// Learner says that the node is to stay without a vote. One that is not yet
	// a voter though this is false is made one as soon as it has caught up.
	Learner bool
	// Dir is the UUID of the node's data directory, by which a node that lost its
	// data and came back under its old id is told from the old one.
	Dir string
}

// Departure is what is kept for ever of a node that was removed: an id is used once
// in a cluster's life. Two data directories under one id would be one voter with two
// votes, and a write that the one acknowledged is not in the other.
type Departure struct {
	ID  string
	Dir string // as in Member
}

// MemberStatus is a member as one node sees it.
type MemberStatus struct {
	Member
	Role Role
	// Alive says whether the node answered within the last seconds, as far as this
	// one knows without asking now.
	Alive bool
	// Reachable says whether the node answered just now; where it is false
	// MatchIndex, Lag, LastContactMS and Knows mean nothing.
	Reachable     bool
	MatchIndex    uint64
	Lag           uint64 // entries behind the last index that the answering node knows of
	LastContactMS int64
	Knows         uint64 // the newest cluster version that its program knows; 0 where unknown
}

// Status is the answer of RAFT.STATUS, as one node knows it without asking a majority.
type Status struct {
	NodeID    string
	ClusterID string
	// ClusterVersion is as applied here; of a node without a cluster, that of the one it
	// would found.
	ClusterVersion uint64
	Role           Role
	Term           uint64
	Leader         Member // zero where unknown
	CommitIndex    uint64
	AppliedIndex   uint64
	LastLogIndex   uint64
	SnapshotIndex  uint64
	Nodes          []MemberStatus // ordered by id
	Audit          AuditReport    // the last one that this node was told of; zero for none
}

// JoinRequest asks for a node to be added. Learner leaves it without a vote.
type JoinRequest struct {
	ID      string
	Raft    string
	Learner bool
	// Token is the join token of a node that asks by itself.
	Token string `json:",omitempty"`
}

// Caller is what a forwarded command needs to know of the connection it came from.
type Caller struct {
	DB    int
	Proto int
}
