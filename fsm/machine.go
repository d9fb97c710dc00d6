// Package fsm is the Machine: the replicated state, and the only thing that
// changes it. It joins the data commands with the state that they work on,
// applies log entries, answers reads, and writes and takes snapshots. It knows
// no sockets, no Raft and no clock: time and chance come from the log.
package fsm

import (
	"io"
	"sync"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// Machine is the replicated state with its lock.
type Machine struct {
	mu sync.RWMutex
}

// Position is a place in the log.
type Position struct{ Index, Term uint64 }

// DBStats is what INFO tells of one database.
type DBStats struct {
	Keys    int   // keys, those due but not yet removed included
	Expires int   // keys with an expiry time
	AvgTTL  int64 // mean time to live of those, milliseconds
}

// Stats is what INFO tells of the whole state.
type Stats struct {
	Databases []DBStats // indexed by database number
	Bytes     int64     // bytes used by keys and values, with their overhead
	Expired   uint64    // keys removed because their time had come, since this process started
}

// New returns an empty Machine.
func New() *Machine { return &Machine{} }

// Apply runs one log entry. Positions must rise from call to call. replies is
// nil where nobody waits for them; otherwise it has one Writer for each proposal
// (each may be nil). A broken invariant panics.
func (m *Machine) Apply(at Position, b *entry.Batch, replies []*resp.Writer) {}

// Skip moves the applied position over an entry that holds no batch.
func (m *Machine) Skip(at Position) {}

// Read runs a proposal that only reads, in the state as it is. now is the clock
// that TTLs are told by (the leader's; on a follower pass Machine.Now). Its only
// error is system.ErrTickNeeded; w is unchanged then.
func (m *Machine) Read(p *entry.Proposal, now int64, w *resp.Writer) error { return nil }

// Versions returns the keys' versions, for WATCH.
func (m *Machine) Versions(db int, keys [][]byte) []uint64 { return nil }

// Lookup finds the data command that args name (a subcommand where args[0] is a
// container) and checks the number of arguments. The error is a resp.Error with
// Redis's text: unknown command, unknown subcommand, wrong number of arguments.
func (m *Machine) Lookup(args [][]byte) (*spec.Command, error) { return nil, nil }

// Specs returns the declarations of all data commands, with their Kind set.
func (m *Machine) Specs() []spec.Command { return nil }

// Now returns the logged clock in Unix milliseconds.
func (m *Machine) Now() int64 { return 0 }

// Applied returns the position of the last entry applied or skipped.
func (m *Machine) Applied() Position { return Position{} }

// NextDue returns the earliest expiry time of any key, in Unix milliseconds.
func (m *Machine) NextDue() (ms int64, ok bool) { return 0, false }

// ClusterID returns the cluster's UUID, empty before it is founded.
func (m *Machine) ClusterID() string { return "" }

// Members returns the members with the addresses they announced, ordered by id.
func (m *Machine) Members() []system.Member { return nil }

// Member returns one member.
func (m *Machine) Member(id string) (system.Member, bool) { return system.Member{}, false }

// Stats returns what INFO tells of the keyspace.
func (m *Machine) Stats() Stats { return Stats{} }

// CountKeysInSlot returns how many keys of database 0 lie in a hash slot.
func (m *Machine) CountKeysInSlot(slot int) int { return 0 }

// KeysInSlot returns up to max keys of database 0 in a hash slot.
func (m *Machine) KeysInSlot(slot, max int) [][]byte { return nil }

// Snapshot returns the state as it is now; later entries do not change it. It
// takes less than a millisecond.
func (m *Machine) Snapshot() *Snapshot { return &Snapshot{} }

// Restore replaces the state with the one that r holds, all or nothing.
func (m *Machine) Restore(r io.Reader) error { return nil }

// Digest returns a SHA-256 of the state, equal on every replica at the same
// position.
func (m *Machine) Digest() [32]byte { return [32]byte{} }

// Snapshot is the state at one position. It may be written from any goroutine
// while the Machine goes on, any number of times.
type Snapshot struct{}

// Position returns the position that the snapshot was taken at.
func (s *Snapshot) Position() Position { return Position{} }

// WriteTo writes the snapshot's binary form.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) { return 0, nil }
