// Package fsm is the Machine: the replicated state, and the only thing that
// changes it. It joins the data commands with the state that they work on,
// applies log entries, answers reads, and writes and takes snapshots. It knows
// no sockets, no Raft and no clock: time and chance come from the log.
// DESIGN.md tells why it is as it is.
package fsm

import (
	"slices"
	"sync"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// Machine is the replicated state with its lock. Any goroutine may call any
// method; Apply, Skip and Restore are to be called by one at a time, in the
// order of the log.
type Machine struct {
	mu    sync.RWMutex
	keys  *keyspace.Space // guarded by mu
	ahead ahead           // guarded by mu: of who writes; empty between two entries

	// brief is held for a moment only, so that what it guards can be told while a
	// long command holds mu. Who needs both takes mu first.
	brief   sync.Mutex
	shown   *shown // guarded by brief; replaced by who holds mu, after what it tells of is done
	reads   uint64 // guarded by brief; makes chance differ from draw to draw
	hits    uint64 // guarded by brief; keys that reading commands found here
	misses  uint64 // guarded by brief; and did not find
	expired uint64 // guarded by mu

	draw func() uint64 // drawChance, made once

	memory memory

	onUsers []func(*system.Users) // guarded by mu
}

// shown never changes once it is published.
type shown struct {
	at     Position
	now    int64 // the logged clock: it never goes back, except by Restore
	due    int64 // the earliest expiry time, if hasDue: that of what an entry would remove
	hasDue bool
	bytes  int64 // as the keyspace accounts for it
	system *system.State
}

// Position is a place in the log.
type Position struct{ Index, Term uint64 }

// New returns an empty Machine.
func New() *Machine {
	m := &Machine{keys: keyspace.New([16]byte{}), shown: &shown{}}
	m.draw, m.ahead.members = m.drawChance, true
	return m
}

// look returns what can be told at once.
func (m *Machine) look() *shown {
	m.brief.Lock()
	defer m.brief.Unlock()
	return m.shown
}

// replace makes another keyspace the Machine's, with what the settings say. Nothing of the
// old one is kept: it may be large. Callers hold mu.
func (m *Machine) replace(keys *keyspace.Space, state *system.State) {
	m.keys = keys
	m.keys.SetLimits(limits(state))
	m.memory.forget()
}

// publish shows the state after the entry at a position. Callers hold mu.
func (m *Machine) publish(at Position, now int64, state *system.State) {
	due, ok := m.keys.NextDue()
	ok = ok && state.ExpiresActively()
	next := &shown{at: at, now: now, due: due, hasDue: ok, bytes: m.keys.Bytes(), system: state}
	m.brief.Lock()
	changed := state.Users() != m.shown.system.Users()
	m.shown = next
	m.brief.Unlock()
	if changed {
		for _, tell := range m.onUsers {
			tell(state.Users())
		}
	}
}

// OnUsers has a function told of the users, now and after each change: before anybody
// gets the reply of the command that changed them. It must not wait, nor call the Machine.
func (m *Machine) OnUsers(tell func(*system.Users)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.onUsers = append(m.onUsers, tell)
	tell(m.look().system.Users())
}

// Applied returns the position of the last entry applied or skipped.
func (m *Machine) Applied() Position { return m.look().at }

// Now returns the logged clock in Unix milliseconds, 0 before the first entry.
func (m *Machine) Now() int64 { return m.look().now }

// NextDue returns the earliest expiry time of any key, in Unix milliseconds; none while
// nothing is removed because its time has come.
func (m *Machine) NextDue() (ms int64, ok bool) {
	s := m.look()
	return s.due, s.hasDue
}

// Bytes returns what keys and values take, as Stats does, and never waits.
func (m *Machine) Bytes() int64 { return m.look().bytes }

// ClusterID returns the cluster's UUID, empty before it is founded.
func (m *Machine) ClusterID() string { return m.look().system.ClusterID() }

// Version returns the cluster version, 0 before the cluster is founded.
func (m *Machine) Version() uint64 { return m.look().system.Version() }

// version is the one that commands go by.
func (m *Machine) version() uint64 { return m.look().system.Effective() }

// Admits says why a system command, given its arguments, must not be logged yet; nil
// where it may.
func (m *Machine) Admits(args [][]byte) error { return m.look().system.Admits(args) }

// HasAccess says whether the cluster can have users and join tokens.
func (m *Machine) HasAccess() bool { return m.look().system.HasAccess() }

// Members returns the members with the addresses they announced, ordered by id.
func (m *Machine) Members() []system.Member {
	return slices.Clone(m.look().system.Members())
}

// Member returns one member.
func (m *Machine) Member(id string) (system.Member, bool) {
	return m.look().system.Member(id)
}

// Tokens returns the join tokens that wait to be spent, and whether joining needs one.
func (m *Machine) Tokens() (open []system.Token, required bool) {
	open, required = m.look().system.Tokens()
	return slices.Clone(open), required
}

// CheckToken says why the join token of that hash lets nobody in now; "" is none.
func (m *Machine) CheckToken(hash string, now int64) error {
	return m.look().system.CheckToken(hash, now)
}

// Departure returns what is kept of a member that was removed.
func (m *Machine) Departure(id string) (system.Departure, bool) {
	return m.look().system.Departure(id)
}

// Versions returns the keys' versions, for WATCH: an EXEC with these versions runs
// exactly if none of the keys has changed until then (see keyspace/version.go for
// the rare EXEC that fails without a change). A database that does not exist has
// only keys that changed.
func (m *Machine) Versions(db int, keys [][]byte) []uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := m.Now()
	versions := make([]uint64, len(keys))
	for i, key := range keys {
		if isDB(db) {
			versions[i] = m.keys.Version(db, key, now)
		}
	}
	return versions
}

// looked counts what a command that only reads has found.
func (m *Machine) looked(hits, misses uint64) {
	if hits+misses == 0 {
		return
	}
	m.brief.Lock()
	m.hits += hits
	m.misses += misses
	m.brief.Unlock()
}

func isDB(db int) bool { return db >= 0 && db < keyspace.Databases }

// DBStats is what INFO tells of one database.
type DBStats struct {
	Keys    int   // keys that exist
	Expires int   // keys with an expiry time
	AvgTTL  int64 // mean time to live of those, milliseconds, from a sample
	Due     int   // keys whose time has come, whose memory is not given back yet
}

// Stats is what INFO tells of the whole keyspace.
type Stats struct {
	Databases []DBStats // indexed by database number
	Bytes     int64     // keys and values with their overhead; the same on every replica
	Expired   uint64    // keys removed because their time had come, since this process started
	// Hits and Misses count the keys that commands found and did not find when they
	// read them for a client of this node, since this process started.
	Hits, Misses uint64
}

// Stats returns what INFO tells of the keyspace.
func (m *Machine) Stats() Stats {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := Stats{Bytes: m.keys.Bytes(), Expired: m.expired}
	m.brief.Lock()
	s.Hits, s.Misses = m.hits, m.misses
	m.brief.Unlock()
	now := m.Now()
	for db := range keyspace.Databases {
		s.Databases = append(s.Databases, DBStats(m.keys.Stats(db, now)))
	}
	return s
}

// CountKeysInSlot returns how many keys of database 0 lie in a hash slot, 0 for a
// slot that does not exist.
func (m *Machine) CountKeysInSlot(slot int) int {
	if slot < 0 || slot >= resp.Slots {
		return 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.keys.CountInSlot(0, slot, m.Now())
}

// KeysInSlot returns up to most keys of database 0 in a hash slot.
func (m *Machine) KeysInSlot(slot, most int) [][]byte {
	if slot < 0 || slot >= resp.Slots {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.keys.ListSlot(0, slot, most, m.Now())
}
