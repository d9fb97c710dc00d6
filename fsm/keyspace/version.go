package keyspace

// Versions answer one question, that of WATCH: has this key changed between two
// positions of the log? Every write of a key takes the next even number, and that
// is the version of a key that exists. An absent key that has changed was created
// in between, so its version is that of the last creation among all keys that
// share its bucket, made odd. What removes keys (DEL, an expiry, FLUSHDB) gives no
// version: a key that existed is told from one that is absent by the last bit, and
// one that was absent all the time has not changed. A key that is gone because its
// time came is absent, whether it is still stored or not.
//
// What a field of a hash takes with it when it expires is a change of the hash, at that
// time and not when the field is removed: where a field has expired, the hash's version
// is mixed with the time of the last one that did.
//
// Two different states of a key never share a version. That one state gets a new
// version without a change only makes an EXEC fail that could have succeeded: an
// absent key is watched while another one of its bucket is created, or databases
// are swapped.

// buckets is how many there are in a database. Which one a key is in follows from
// its hash and not from its slot, so keys with one hash tag don't share one.
const buckets = 1 << 14

// absentBit marks the version of an absent key.
const absentBit = 1

// nextVersion gives out a new version.
func (s *Space) nextVersion() uint64 {
	s.counter += 2
	return s.counter
}

// Version is the version of a key, present or absent, at the logged time.
func (s *Space) Version(db int, key []byte, logged int64) uint64 {
	d := s.dbs[db]
	pos := s.position(key)
	if r, ok := d.keys.Get(pos, key); ok {
		e := entryOf(r)
		if end := e.end(); end == 0 || end > logged {
			version := max(e.head().version, d.base)
			if e.obj != nil {
				if h, is := e.obj.value.(HashValue); is {
					version = expiredVersion(version, h.Expired(logged))
				}
			}
			return version
		}
	}
	return max(d.lastCreation(pos), d.base) | absentBit
}

// lastCreation is the version that a key of the position's bucket last came into
// being with.
func (d *database) lastCreation(pos uint64) uint64 {
	if d.created == nil {
		return 0
	}
	return d.created[pos%buckets]
}

// noteCreation notes that a key came into being. Versions rise from call to call.
func (d *database) noteCreation(bucket, version uint64) {
	if d.created == nil {
		d.created = make([]uint64, buckets)
	}
	d.created[bucket] = version
}

// expiredVersion is the version of a hash of that version after a field of it has
// expired at that time, the last one that did; 0 for none. Two times never give the same
// one, and it is even.
func expiredVersion(version uint64, at int64) uint64 {
	const odd = 0x9e3779b97f4a7c15 // so that multiplying by it, modulo 2^63, loses nothing
	return version ^ uint64(at)*odd<<1
}
