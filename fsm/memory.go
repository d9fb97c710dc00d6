package fsm

import (
	"sync"

	"github.com/raftkv/raftkv/fsm/keyspace"
)

// memory has what reads computed from values and would have to compute again (PFCOUNT).
// It is of this process and no state: what is in it follows from the value that has the
// version, so whether it is there can show in nothing but time.
type memory struct {
	mu    sync.Mutex
	of    *keyspace.Space // guarded by mu; whose versions they are: another keyspace gives out the same ones
	slots []remembered    // guarded by mu; nil until the first one comes
}

// remembered is a number and the version of the value that it was computed from.
type remembered struct{ version, n uint64 }

// memorySlots is how many numbers it has room for, a power of two.
const memorySlots = 1 << 14

// Recall returns what was remembered of a version.
func (m *recaller) Recall(version uint64) (n uint64, ok bool) {
	s := m.memory
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of != m.space || s.slots == nil {
		return 0, false
	}
	slot := s.slots[slotOf(version)]
	return slot.n, slot.version == version && version != 0
}

// Remember keeps a number, until another one needs its room.
func (m *recaller) Remember(version, n uint64) {
	s := m.memory
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of != m.space || s.slots == nil {
		s.of, s.slots = m.space, make([]remembered, memorySlots)
	}
	s.slots[slotOf(version)] = remembered{version, n}
}

// forget lets go of everything, the keyspace included.
func (m *memory) forget() {
	m.mu.Lock()
	m.of, m.slots = nil, nil
	m.mu.Unlock()
}

// slotOf takes neighbours apart: versions are even, and follow each other.
func slotOf(version uint64) uint64 { return version >> 1 % memorySlots }

// recaller is the memory as reads of one keyspace see it.
type recaller struct {
	memory *memory
	space  *keyspace.Space
}
