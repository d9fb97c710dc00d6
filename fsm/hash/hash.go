// Package hash is the value of a Redis hash: fields with a value each, and some with a
// time at which they expire. A small one is one piece of memory, in the order in which
// its fields came; a large one is a table, in the order of their hashes. Which of the
// two it is follows from its history, so it is part of the state: snapshots keep it, and
// replicas agree on every order. It knows no keys, no commands, no replies and no clock.
//
// A field whose time has come, by the now that is handed in, is there for nobody; how
// long it is stored still can be seen in Size and Len alone.
package hash

import (
	"bytes"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Limits say up to what size a hash is a small one: hash-max-listpack-entries, and
// hash-max-listpack-value in bytes. They are looked at when a field is set.
type Limits struct{ Entries, Value int }

// Field is a field with what belongs to it.
type Field struct {
	Name, Value []byte
	Expires     int64 // Unix milliseconds, 0 for never
}

// alive says whether a field is there at a time.
func (f *Field) alive(now int64) bool { return f.Expires == 0 || f.Expires > now }

// Map is such a value. What its methods return points into it and is valid until the
// next change.
type Map struct {
	kit   *dict.Kit
	small pack.Seq               // name, value, name, value …; nil where large is set
	large *dict.Table[dict.None] // nil of a small one; of a large one the fields that stay
	n     int                    // fields of a small one
	bytes int                    // of a large one: what its records take
	// timed, of a small one, says that a time follows each value, of 8 bytes or none. It
	// stays so, as in Redis.
	timed bool
	// expired is the latest expiry time of the fields that have expired and are not
	// stored any more.
	expired int64
	// fading are the fields of a large one that expire, their time before the value, and
	// due the same fields in the order of their times. nil while there are none, so that
	// they cost nothing.
	fading, due *dict.Table[dict.None]
}

// New returns an empty hash, which is a small one.
func New(kit *dict.Kit) *Map { return &Map{kit: kit} }

// Len is the number of fields stored.
func (m *Map) Len() int {
	switch {
	case m.large == nil:
		return m.n
	case m.due != nil:
		return m.large.Len() + m.due.Len()
	}
	return m.large.Len()
}

// Count is the number of fields that are there.
func (m *Map) Count(now int64) int {
	if m.large != nil {
		return m.Len() - m.dead(now)
	}
	if !m.timed {
		return m.n
	}
	n := 0
	for at := 0; at < len(m.small); {
		var f Field
		if f, at = m.next(at); f.alive(now) {
			n++
		}
	}
	return n
}

// dead is how many fields of a large one are stored though their time has come.
func (m *Map) dead(now int64) int {
	if m.due == nil {
		return 0
	}
	return m.due.CountRange(0, uint64(now)+1)
}

// Small says whether it is a small one.
func (m *Map) Small() bool { return m.large == nil }

// Timed says of a small one whether one of its fields ever had an expiry time.
func (m *Map) Timed() bool { return m.timed }

// Size is the memory it takes, in bytes: an estimate, the same on every replica.
func (m *Map) Size() int {
	const self = 128
	return self + len(m.small) + m.bytes
}

// Lies tells where a field that stays is looked for: in the table of a large one, or in
// the memory of a small one.
func (m *Map) Lies() (large *dict.Table[dict.None], small []byte) { return m.large, m.small }

// Get returns a field.
func (m *Map) Get(name []byte, now int64) (f Field, ok bool) {
	if m.large != nil {
		f, ok = m.fetch(name)
	} else if at, _, found := m.small.Find(name, m.stride()); found {
		f, _ = m.next(at)
		ok = true
	}
	if !ok || !f.alive(now) {
		return Field{}, false
	}
	return f, true
}

// fetch returns a stored field of a large one.
func (m *Map) fetch(name []byte) (f Field, ok bool) {
	pos := m.kit.Position(name)
	if r, ok := m.large.Get(pos, name); ok {
		return Field{Name: r.Key, Value: r.Data}, true
	}
	if m.fading != nil {
		if r, ok := m.fading.Get(pos, name); ok {
			return fadingField(r), true
		}
	}
	return Field{}, false
}

// Set stores a field, with its expiry time, and says whether it is a new one. Its bytes
// must not be the hash's own memory. The time must be above now.
func (m *Map) Set(f Field, now int64, limits *Limits) (created bool) {
	if m.large == nil && max(len(f.Name), len(f.Value)) > limits.Value {
		m.enlarge()
	}
	if m.large != nil {
		return m.put(f, now)
	}
	created = m.setSmall(f, now)
	entries := min(limits.Entries, pack.MostMembers)
	switch { // of an old field, too: the limit may be a new one
	case m.n > entries && m.Count(now) > entries, len(m.small) > pack.Most && m.packed(now) > pack.Most:
		m.enlarge()
	}
	return created
}

// packed is how many bytes names and values of the fields that are there take in a small
// one: what has expired and is stored still shows in nothing.
func (m *Map) packed(now int64) (n int) {
	for at := 0; at < len(m.small); {
		var f Field
		if f, at = m.next(at); f.alive(now) {
			n += pack.Size(len(f.Name)) + pack.Size(len(f.Value))
		}
	}
	return n
}

// put sets a field of a large one.
func (m *Map) put(f Field, now int64) (created bool) {
	old, there := m.takeFading(f.Name)
	created = !there || !old.alive(now)
	if there && created {
		m.expired = max(m.expired, old.Expires)
	}
	c := &m.kit.Cursor
	stays := m.kit.Seek(m.large, f.Name)
	if stays {
		created = false
		value, _ := c.Data()
		m.bytes -= cost(len(f.Name), len(value))
	}
	if f.Expires == 0 {
		c.Put(f.Name, nil, f.Value, nil)
		m.bytes += cost(len(f.Name), len(f.Value))
		return created
	}
	if stays {
		c.Delete()
	}
	m.putFading(f)
	return created
}

// cost is the memory that a record takes.
func cost(key, data int) int { return key + data + dict.RecordCost(key, data) }

// enlarge makes a small one large.
func (m *Map) enlarge() {
	old := *m
	*m = Map{kit: m.kit, large: dict.New[dict.None](), expired: m.expired}
	for at := 0; at < len(old.small); {
		var f Field
		f, at = old.next(at)
		m.put(f, 0)
	}
}

// Enlarging is what the hash's Size grows by, at the most, when it is made a large one.
func (m *Map) Enlarging() int {
	if m.timed { // a second record for each
		return m.n*2*(dict.RecordCost(0, 0)+2) + len(m.small)*6/5
	}
	return m.n*(dict.RecordCost(0, 0)+1) + len(m.small)/10
}

// Delete removes a field and says whether it was there. A large hash stays large.
func (m *Map) Delete(name []byte, now int64) bool {
	if _, ok := m.Get(name, now); !ok {
		return false
	}
	if m.large == nil {
		at, _, _ := m.small.Find(name, m.stride())
		_, end := m.next(at)
		m.small = m.small.Splice(at, end)
		m.n--
		return true
	}
	if _, ok := m.takeFading(name); ok {
		return true
	}
	c := &m.kit.Cursor
	m.kit.Seek(m.large, name)
	value, _ := c.Data()
	m.bytes -= cost(len(name), len(value))
	return c.Delete()
}

// Clone returns an equal hash that may be changed without the receiver's seeing it. The
// receiver must not be changed any more. It copies a small one and nothing of a large.
func (m *Map) Clone() *Map {
	c := *m
	if m.large == nil {
		c.small = bytes.Clone(m.small)
		return &c
	}
	c.large = m.large.Fork()
	if m.due != nil {
		c.fading, c.due = m.fading.Fork(), m.due.Fork()
	}
	return &c
}
