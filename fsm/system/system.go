// Package system is the replicated state that is not keys: the cluster's
// identity and version, its members and their addresses. It also holds the words
// that server and cluster share, so that neither imports the other.
package system

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
)

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

// MemberStatus is a member as one node sees it.
type MemberStatus struct {
	Member
	Role Role
	// Reachable says whether the node answered just now; where it is false
	// MatchIndex, Lag and LastContactMS mean nothing.
	Reachable     bool
	MatchIndex    uint64
	Lag           uint64 // entries behind the last index that the answering node knows of
	LastContactMS int64
}

// Status is the answer of RAFT.STATUS, as one node knows it without asking a majority.
type Status struct {
	NodeID        string
	ClusterID     string
	Role          Role
	Term          uint64
	Leader        Member // zero where unknown
	CommitIndex   uint64
	AppliedIndex  uint64
	LastLogIndex  uint64
	SnapshotIndex uint64
	Nodes         []MemberStatus // ordered by id
}

// JoinRequest asks for a node to be added. Learner leaves it without a vote.
type JoinRequest struct {
	ID      string
	Raft    string
	Learner bool
}

// Caller is what a forwarded command needs to know of the connection it came from.
type Caller struct {
	DB    int
	Proto int
}
