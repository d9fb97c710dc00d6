package fsm

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
)

// What a write may add to Bytes for each of its arguments, beside the argument's own
// bytes and a part of those: it may be a key with all that a key costs (two arguments
// at least), or make a short string a long one.
const (
	argumentCost = 96
	argumentPart = 8 // an eighth more than its bytes: the tables are not full
)

// Growth returns the most that a write may add to Bytes if it runs in the state as it
// is, in bytes. What it may free is not taken off. Where other writes come before it,
// a copy may become larger by what they add to its source.
func (m *Machine) Growth(db int, args [][]byte) int64 {
	n := int64(0)
	for _, a := range args {
		n += argumentCost + int64(len(a)) + int64(len(a))/argumentPart
	}
	c, err := m.find(args)
	if err != nil || c.Grows == nil || !isDB(db) {
		return n
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := m.shown.now
	v := m.keys.View(db, keyspace.Instant{Logged: now, Now: now})
	v.ClusterVersion = m.shown.system.Effective()
	return n + c.Grows(v, args)
}
