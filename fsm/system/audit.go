package system

// Verdict is what an audit says of a node, or of the cluster.
type Verdict string

const (
	// AuditOK says that the state is the right one; of a cluster, that all are.
	AuditOK Verdict = "ok"
	// AuditDiffers says that the state is another one; of a cluster, that of some node.
	AuditDiffers Verdict = "differs"
	// AuditIncomplete says of a cluster that nobody differs, but not all were heard.
	AuditIncomplete Verdict = "incomplete"
	// AuditUndecided says of a cluster that states differ, that no majority of the
	// voters has one, and that voters were not heard; of a node, that it was.
	AuditUndecided Verdict = "undecided"
	// AuditUnknown says of a node that it was not reached, or was too far behind.
	AuditUnknown Verdict = "unknown"
)

// AuditReport tells how the replicas' states compare at one place in the log.
type AuditReport struct {
	Index   uint64 // the place
	Time    int64  // Unix seconds
	Digest  string // of the right state, SHA-256 in hexadecimal
	Verdict Verdict
	Nodes   []NodeDigest // ordered by id
}

// NodeDigest is one node's part in an audit.
type NodeDigest struct {
	ID      string
	Digest  string // empty where unknown
	Verdict Verdict
}
