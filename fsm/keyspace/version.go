package keyspace

import "github.com/raftkv/raftkv/resp"

// Versions answer one question, that of WATCH: has this key changed between two
// positions of the log? Every write of a key takes the next even number. An
// absent key has the highest removal version of its slot; removals take even
// numbers too, but an expiry takes the key's own last version with the low bit
// set, so that a key logically expired has the same version before and after it
// is really removed. FLUSHDB and SWAPDB raise the lower bound of all versions.
// Two different states of a key never share a version; that one state gets a new
// version without a change (a neighbour in the slot was removed) only makes an
// EXEC fail that could have succeeded.

// expiredBit marks the version of a key that is gone because its time came.
const expiredBit = 1

// nextVersion gives out a new version.
func (s *Space) nextVersion() uint64 {
	s.counter += 2
	return s.counter
}

// Version is the version of a key, present or absent, at the logged time.
func (s *Space) Version(db int, key []byte, logged int64) uint64 {
	d := s.dbs[db]
	pos := s.position(key)
	e, ok := d.keys.Get(pos, key)
	if !ok {
		return d.absent(slotOf(pos))
	}
	m := e.head()
	version := max(m.version, d.base)
	if m.expireAt != 0 && m.expireAt <= logged {
		return max(version|expiredBit, d.absent(slotOf(pos)))
	}
	return version
}

// absent is the version of absent keys of a slot.
func (d *database) absent(slot int) uint64 {
	if d.removed == nil {
		return d.base
	}
	return max(d.removed[slot], d.base)
}

// noteRemoval raises the removal version of a slot.
func (d *database) noteRemoval(slot int, version uint64) {
	if d.removed == nil {
		d.removed = make([]uint64, resp.Slots)
	}
	d.removed[slot] = max(d.removed[slot], version)
}

// expire removes a key whose time has come.
func (s *Space) expire(d *database, key []byte) {
	pos := s.position(key)
	if old, ok := d.remove(pos, key); ok {
		d.noteRemoval(slotOf(pos), max(old.head().version, d.base)|expiredBit)
	}
}
