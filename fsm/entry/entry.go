// Package entry is the binary form of one Raft log entry: a Batch of proposals
// with the time and the seed that make applying it a pure function. It knows
// nothing of what the commands mean.
package entry

// Batch is one log entry.
type Batch struct {
	// Version is the cluster version that its writer went by, so that a program that
	// does not know that one stops. What commands mean is decided by the state that
	// they meet, not by it.
	Version uint16
	// ID tells the proposer's own batch from all others when it comes back to be
	// applied. It is random, and the seed of all chance in the batch.
	ID uint64
	// Now is the leader's clock when it made the entry, in Unix milliseconds.
	Now       int64
	Proposals []Proposal
}

// Proposal is what one connection proposed at once: 1..n commands in order.
type Proposal struct {
	// DB is the database of every command that does not say another one.
	DB int
	// Atomic marks an EXEC: the reply is one array, and nothing runs unless every
	// watched key still has its version.
	Atomic bool
	// System marks commands of the replicated state that is not keys (members,
	// cluster identity), which no client can name.
	System   bool
	Watches  []Watch
	Commands []Command
}

// Watch is a key and the version that it had when it was watched.
type Watch struct {
	DB      int
	Key     []byte
	Version uint64
}

// Command is a command's arguments, its name first.
type Command struct {
	Args [][]byte
	// Read marks a command that changes nothing. It runs at its place on the node
	// that proposed it, for its reply, and is left out of the binary form.
	Read bool
	// Elsewhere says that the command runs in OwnDB and not in the proposal's
	// database: a SELECT stood before it in its transaction.
	Elsewhere bool
	// Proto, where not 0, is the RESP version that this and all later replies of the
	// proposal have: a HELLO stood before it in its transaction. It is for the node
	// that proposed, and left out of the binary form.
	Proto uint8
	// OwnDB is the database where Elsewhere is set.
	OwnDB int32
}

// In has the command run in a database of its own.
func (c *Command) In(db int) { c.Elsewhere, c.OwnDB = true, int32(db) }

// DBOf is the database that the command with index i runs in.
func (p *Proposal) DBOf(i int) int {
	if c := &p.Commands[i]; c.Elsewhere {
		return int(c.OwnDB)
	}
	return p.DB
}
