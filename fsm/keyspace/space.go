// Package keyspace holds the databases: keys with typed values, expiry times and
// versions. A View reads it as of one instant, a Txn also writes. It knows no
// commands and no replies' order, no clock and no locks: time and chance are
// handed in, and whoever calls sees to it that nothing reads while a Txn writes,
// except through a Snapshot. DESIGN.md tells how it is laid out and why.
package keyspace

import (
	"bytes"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/resp"
)

// Databases is the number of databases, which clients name 0 to 15.
const Databases = 16

// Instant is the time that a View looks at, both in Unix milliseconds.
type Instant struct {
	// Logged decides what exists: a key is gone once its expiry time is at or
	// before Logged. It is the same on all replicas at one log position.
	Logged int64
	// Now is what remaining times to live are told by. It is never before Logged.
	Now int64
}

// Space is all databases.
type Space struct {
	dbs    [Databases]*database
	hasher dict.Hasher
	// counter is the last version given out; always even (see version.go).
	counter uint64
	epochs  dict.Epochs // of objects
	kit     dict.Kit    // of all collections
	limits  Limits
	// given counts the expiry times that fields of hashes were given.
	given int
	// scratch is where values are copied to that move within a table.
	scratch []byte
}

// database is one database.
type database struct {
	keys *dict.Table[object]
	at   dict.Cursor[object] // the writer's place in keys
	// due has every key that goes at a known time, at that time as its position, and
	// nothing else of it: those with an expiry time, and hashes whose fields all expire.
	due schedule
	// fading has every hash of which fields expire, at the time when the first one does.
	fading schedule
	// fieldsOnly counts the keys in due that have no expiry time of their own.
	fieldsOnly int
	// created has the version of the last creation in each bucket (see version.go);
	// nil while it is all 0.
	created []uint64
	// base is a lower bound of all versions, of keys and of absent keys: the
	// version of the last SWAPDB.
	base uint64
	// bytes is the sum of Entry.Size over all keys.
	bytes int64
}

// New returns an empty space. hashKey is the key of the hash that gives keys
// their positions; all replicas of a cluster need the same.
func New(hashKey [16]byte) *Space {
	s := &Space{hasher: dict.NewHasher(hashKey), limits: DefaultLimits}
	s.kit.Hasher = s.hasher
	for i := range s.dbs {
		s.dbs[i] = newDatabase()
	}
	return s
}

func newDatabase() *database {
	return &database{keys: dict.New[object](), due: newSchedule(), fading: newSchedule()}
}

// View returns a reader of one database as of an instant.
func (s *Space) View(db int, at Instant) *View {
	v := new(View)
	v.Look(s, db, at)
	return v
}

// Look makes v what Space.View returns, whatever it was before.
func (v *View) Look(s *Space, db int, at Instant) { *v = View{space: s, index: db, at: at} }

// Txn returns a writer of one database at the logged time now, with a seed for
// all chance that its commands need.
func (s *Space) Txn(db int, now int64, seed uint64) *Txn {
	return &Txn{View: View{space: s, index: db, at: Instant{Logged: now, Now: now}, Seed: seed}}
}

// Stats is what INFO tells of a database.
type Stats struct {
	Keys int // keys that exist
	// Expires is how many of them have an expiry time. Hashes whose fields have all
	// expired make it too small, until they are removed.
	Expires int
	AvgTTL  int64 // their mean time to live in milliseconds, from a sample
	Due     int   // keys whose time has come, not removed yet
}

// Stats returns figures of one database at the time now.
func (s *Space) Stats(db int, now int64) Stats {
	d := s.dbs[db]
	due := d.dueBy(now)
	live := d.due.Len() - due
	st := Stats{Keys: d.keys.Len() - due, Expires: max(0, live-d.fieldsOnly), Due: due}
	const samples = 32 // evenly over the index, so the mean is close
	var left []int64
	for i, n := 0, min(samples, live); i < n; i++ {
		at, r, _ := d.due.At(due + (2*i+1)*live/(2*n))
		if d.fieldsOnly > 0 {
			if e, _ := d.keys.Get(s.position(r.Key), r.Key); entryOf(e).ExpireAt() == 0 {
				continue
			}
		}
		left = append(left, int64(at)-now)
	}
	for _, ttl := range left {
		st.AvgTTL += ttl / int64(len(left))
	}
	return st
}

// dueBy is how many keys are stored whose time has come at now.
func (d *database) dueBy(now int64) int { return d.due.CountRange(0, uint64(now)+1) }

// Bytes is the memory that keys and values take, with their overhead: an
// estimate that is the same on every replica.
func (s *Space) Bytes() int64 {
	var n int64
	for _, d := range s.dbs {
		n += d.bytes
	}
	return n
}

// NextDue is the earliest expiry time of any key, or field of a hash.
func (s *Space) NextDue() (ms int64, ok bool) {
	for _, d := range s.dbs {
		for _, index := range [...]*schedule{&d.due, &d.fading} {
			if at, _, found := index.Min(); found && (!ok || int64(at) < ms) {
				ms, ok = int64(at), true
			}
		}
	}
	return ms, ok
}

// TakeTimesGiven returns how many expiry times fields of hashes were given since it was
// last called.
func (s *Space) TakeTimesGiven() int {
	n := s.given
	s.given = 0
	return n
}

// RemoveDue removes up to max keys and fields of hashes whose time has come at now, and
// returns how many keys: first the keys, in the order of expiry time, database and key,
// then the fields of the hashes that stay, in the order of the time at which the first
// of a hash expired.
func (s *Space) RemoveDue(now int64, max int) (keys int) {
	for ; keys < max; keys++ {
		d, key, _ := s.nextDue(now, func(d *database) *schedule { return &d.due })
		if d == nil {
			break
		}
		key = s.hold(key) // the index is about to change
		d.remove(place{pos: s.position(key)}, key)
	}
	for left := max - keys; left > 0; {
		d, key, db := s.nextDue(now, func(d *database) *schedule { return &d.fading })
		if d == nil {
			break
		}
		t := Txn{View{space: s, index: db, at: Instant{Logged: now, Now: now}}}
		left -= t.removeFields(bytes.Clone(key), left)
	}
	return keys
}

// nextDue returns the first key of an index whose time has come, nil where there is none.
func (s *Space) nextDue(now int64, index func(*database) *schedule) (next *database, key []byte, db int) {
	var first uint64
	for i, d := range s.dbs {
		if at, r, ok := index(d).Min(); ok && int64(at) <= now && (next == nil || at < first) {
			next, first, key, db = d, at, r.Key, i
		}
	}
	return next, key, db
}

// CountInSlot is how many keys of a database that exist at the time now lie in a hash
// slot. While some wait for their removal it looks at those, or at those of the slot,
// whichever are fewer.
func (s *Space) CountInSlot(db, slot int, now int64) int {
	d := s.dbs[db]
	stored, due := d.keys.CountRange(slotStart(slot), slotStart(slot+1)), d.dueBy(now)
	if due >= stored {
		return len(s.ListSlot(db, slot, stored, now))
	}
	d.due.Ascend(0, func(at uint64, r dict.Record[object]) bool {
		if int64(at) > now {
			return false
		}
		if resp.Slot(r.Key) == slot {
			stored--
		}
		return true
	})
	return stored
}

// ListSlot returns up to n keys of a hash slot that exist at the time now.
func (s *Space) ListSlot(db, slot, n int, now int64) [][]byte {
	var keys [][]byte
	end := slotStart(slot + 1)
	s.dbs[db].keys.Ascend(slotStart(slot), func(pos uint64, r dict.Record[object]) bool {
		if pos >= end || len(keys) >= n {
			return false
		}
		if at := entryOf(r).end(); at == 0 || at > now {
			keys = append(keys, bytes.Clone(r.Key))
		}
		return true
	})
	return keys
}

// hashBits is how many bits of a position are hash; the slot stands above them.
// Together they are 53, which every client's number type holds exactly.
const hashBits = 39

// position is where a key stands in its database's table.
func (s *Space) position(key []byte) uint64 {
	return slotStart(resp.Slot(key)) | s.hasher.Hash(key)>>(64-hashBits)
}

func slotStart(slot int) uint64 { return uint64(slot) << hashBits }

// hold copies bytes of a table that is about to change. They are good until the next
// call.
func (s *Space) hold(b []byte) []byte {
	s.scratch = append(s.scratch[:0], b...)
	held := s.scratch
	if cap(s.scratch) > 2*InlineMax {
		s.scratch = nil
	}
	return held
}

// place is where a key stands in its database's table, with the probe that has looked
// there already, if one has.
type place struct {
	pos   uint64
	probe *dict.Probe[object]
}

// seek puts the writer's cursor to a key and says whether it is stored.
func (d *database) seek(at place, key []byte) bool {
	return d.at.Seek(d.keys, at.pos, key, at.probe)
}

// content is what a key is stored with: a value, inline where obj is nil.
type content struct {
	meta
	inline []byte
	obj    *object
}

// measure takes over what follows from the value.
func (c *content) measure() {
	c.first, c.last = 0, 0
	if c.obj == nil {
		return
	}
	if h, is := c.obj.value.(HashValue); is {
		c.first, c.last = h.Times()
	}
}

// size is the memory that it takes with its key, whose head is that.
func (c *content) size(key, head []byte) int64 {
	return int64(sizeOf(len(key), len(head)+len(c.inline), c.obj))
}

// put stores a key and keeps the sums and the index right. What inline points to must
// not lie in the table. It returns whether the key was stored before, and the time at
// which it was to go.
func (d *database) put(at place, key []byte, c content) (oldEnd int64, replaced bool) {
	c.measure()
	var h head
	b := h.set(c.meta)
	d.bytes += c.size(key, b)
	var before meta
	if replaced = d.seek(at, key); replaced {
		old, oldObj := d.at.Data()
		d.bytes -= int64(sizeOf(len(key), len(old), oldObj))
		before = metaOf(old)
	}
	d.at.Put(key, b, c.inline, c.obj)
	d.reschedule(key, before, c.meta)
	return before.end(), replaced
}

// extend puts more bytes behind a short string that is stored, at whose key the cursor is.
// m must have the expiry time that it has.
func (d *database) extend(key []byte, m meta, more []byte) {
	var h head
	old, _ := d.at.Data()
	d.bytes += int64(sizeOf(len(key), len(old)+len(more), nil) - sizeOf(len(key), len(old), nil))
	d.at.Append(key, h.set(m), more)
}

// patch puts other bytes into such a string, at an offset. m is as for extend.
func (d *database) patch(m meta, offset int, part []byte) {
	var h head
	b := h.set(m)
	d.at.Patch(b, len(b)+offset, part)
}

// reschedule keeps the indexes by time, and what is counted of them.
func (d *database) reschedule(key []byte, from, to meta) {
	if a, b := from.end(), to.end(); a != b {
		d.due.move(key, a, b)
	}
	if from.first != to.first {
		d.fading.move(key, from.first, to.first)
	}
	if from.expireAt == 0 && from.last != 0 {
		d.fieldsOnly--
	}
	if to.expireAt == 0 && to.last != 0 {
		d.fieldsOnly++
	}
}

// schedule is an index of keys by time: the positions are Unix milliseconds.
type schedule struct {
	*dict.Table[object]
	at dict.Cursor[object] // the writer's place
}

func newSchedule() schedule { return schedule{Table: dict.New[object]()} }

// move moves a key: 0 stands for no time.
func (s *schedule) move(key []byte, from, to int64) {
	if from != 0 {
		s.at.Seek(s.Table, uint64(from), key, nil)
		s.at.Delete()
	}
	if to != 0 {
		s.at.Seek(s.Table, uint64(to), key, nil)
		s.at.Put(key, nil, nil, nil)
	}
}

// remove takes a key out and keeps the sums and the index right.
func (d *database) remove(at place, key []byte) {
	if !d.seek(at, key) {
		return
	}
	old := entryOf(d.at.Record())
	d.bytes -= int64(old.Size())
	before := old.head()
	d.at.Delete()
	d.reschedule(key, before, meta{})
}
