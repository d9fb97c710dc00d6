// Package hash is the value of a Redis hash: fields with a value each. A small one is
// one piece of memory, in the order in which its fields came; a large one is a table, in
// the order of their hashes. Which of the two it is follows from its history, so it is
// part of the state: snapshots keep it, and replicas agree on every order. It knows no
// keys, no commands and no replies.
package hash

import (
	"bytes"
	"fmt"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Limits say up to what size a hash is a small one: hash-max-listpack-entries, and
// hash-max-listpack-value in bytes. They are looked at when it grows.
type Limits struct{ Entries, Value int }

// Map is such a value. What its methods return points into it and is valid until the
// next change.
type Map struct {
	kit   *dict.Kit
	small pack.Seq               // field, value, field, value …; nil where large is set
	large *dict.Table[dict.None] // nil of a small one
	n     int                    // fields of a small one
	bytes int                    // of a large one: what its records take
}

// New returns an empty hash, which is a small one.
func New(kit *dict.Kit) *Map { return &Map{kit: kit} }

// Len is the number of fields.
func (m *Map) Len() int {
	if m.large != nil {
		return m.large.Len()
	}
	return m.n
}

// Small says whether it is a small one.
func (m *Map) Small() bool { return m.large == nil }

// Size is the memory it takes, in bytes: an estimate, the same on every replica.
func (m *Map) Size() int {
	const self = 96
	return self + len(m.small) + m.bytes
}

// Get returns the value of a field.
func (m *Map) Get(field []byte) (value []byte, ok bool) {
	if m.large != nil {
		r, ok := m.large.Get(m.kit.Position(field), field)
		return r.Data, ok
	}
	_, at, ok := m.small.Find(field, 2)
	if !ok {
		return nil, false
	}
	value, _ = m.small.Next(at)
	return value, true
}

// Set gives a field a value, and says whether it is a new one. Field and value must not
// be the hash's own memory.
func (m *Map) Set(field, value []byte, limits Limits) (created bool) {
	if m.large == nil && max(len(field), len(value)) > limits.Value {
		m.enlarge()
	}
	if m.large != nil {
		return m.put(field, value)
	}
	if _, at, ok := m.small.Find(field, 2); ok {
		_, end := m.small.Next(at)
		m.small = m.small.Splice(at, end, value)
		return false
	}
	m.small = m.small.Append(field, value)
	if m.n++; m.n > limits.Entries {
		m.enlarge()
	}
	return true
}

// put sets a field of a large one.
func (m *Map) put(field, value []byte) (created bool) {
	c := &m.kit.Cursor
	if c.Seek(m.large, m.kit.Position(field), field, nil) {
		old, _ := c.Data()
		m.bytes -= cost(len(field), len(old))
	} else {
		created = true
	}
	c.Put(field, nil, value, nil)
	m.bytes += cost(len(field), len(value))
	return created
}

// cost is the memory that a field of a large one takes.
func cost(field, value int) int { return field + value + dict.RecordCost(field, value) }

// enlarge makes a small one large.
func (m *Map) enlarge() {
	small := m.small
	m.large, m.small, m.n = dict.New[dict.None](), nil, 0
	for at := 0; at < len(small); {
		var field, value []byte
		field, at = small.Next(at)
		value, at = small.Next(at)
		m.put(field, value)
	}
}

// Enlarging is what the hash's Size grows by, at the most, when it is made a large one.
func (m *Map) Enlarging() int { return m.n*(dict.RecordCost(0, 0)+1) + len(m.small)/10 }

// Delete removes a field and says whether there was one. A large hash stays large.
func (m *Map) Delete(field []byte) bool {
	if m.large != nil {
		c := &m.kit.Cursor
		if !c.Seek(m.large, m.kit.Position(field), field, nil) {
			return false
		}
		old, _ := c.Data()
		m.bytes -= cost(len(field), len(old))
		return c.Delete()
	}
	from, at, ok := m.small.Find(field, 2)
	if ok {
		_, end := m.small.Next(at)
		m.small = m.small.Splice(from, end)
		m.n--
	}
	return ok
}

// Each calls fn for every field, in the hash's order, until fn returns false.
func (m *Map) Each(fn func(field, value []byte) bool) {
	if m.large != nil {
		m.large.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool { return fn(r.Key, r.Data) })
		return
	}
	for at := 0; at < len(m.small); {
		var field, value []byte
		field, at = m.small.Next(at)
		value, at = m.small.Next(at)
		if !fn(field, value) {
			return
		}
	}
}

// Scan calls fn for about count fields from a cursor on, and returns the cursor to go on
// from, 0 at the end. Of a small hash it shows all, as Redis does. Cursors mean the same
// on every node; what is there during the whole walk is seen.
func (m *Map) Scan(cursor uint64, count int, fn func(field, value []byte)) (next uint64) {
	if m.large == nil {
		m.Each(func(field, value []byte) bool {
			fn(field, value)
			return true
		})
		return 0
	}
	seen, last := 0, uint64(0)
	m.large.Ascend(cursor, func(pos uint64, r dict.Record[dict.None]) bool {
		if seen >= count && pos != last {
			next = pos
			return false
		}
		seen, last = seen+1, pos
		fn(r.Key, r.Data)
		return true
	})
	return next
}

// At returns the field of that rank in the hash's order, counted from 0: with a random
// rank an even pick.
func (m *Map) At(rank int) (field, value []byte, ok bool) {
	if m.large != nil {
		_, r, ok := m.large.At(rank)
		return r.Key, r.Data, ok
	}
	if rank < 0 || rank >= m.n {
		return nil, nil, false
	}
	m.Each(func(f, v []byte) bool {
		field, value = f, v
		rank--
		return rank >= 0
	})
	return field, value, true
}

// Clone returns an equal hash that may be changed without the receiver's seeing it. The
// receiver must not be changed any more. It copies a small one and nothing of a large.
func (m *Map) Clone() *Map {
	c := *m
	if m.large != nil {
		c.large = m.large.Fork()
	} else {
		c.small = bytes.Clone(m.small)
	}
	return &c
}

// The kinds of a hash in a snapshot.
const (
	kindSmall = 1
	kindLarge = 2
)

// Parts calls fn with the snapshot form in pieces, until fn returns an error, which it
// returns: the kind, then all fields of a small hash in one piece, or field and value of
// each of a large one.
func (m *Map) Parts(fn func(part []byte) error) error {
	if m.large == nil {
		if err := fn([]byte{kindSmall}); err != nil {
			return err
		}
		return fn(m.small)
	}
	err := fn([]byte{kindLarge})
	var part pack.Seq
	m.Each(func(field, value []byte) bool {
		if err == nil {
			part = part[:0].Append(field, value)
			err = fn(part)
		}
		return err == nil
	})
	return err
}

// Loader makes a hash from the pieces of Parts, which may come from anywhere.
type Loader struct {
	m    *Map
	kind byte
	done bool // a small one's fields are there
}

// NewLoader returns a Loader.
func NewLoader(kit *dict.Kit) *Loader { return &Loader{m: New(kit)} }

// Add takes the next piece, which it does not keep.
func (l *Loader) Add(part []byte) error {
	switch {
	case l.kind == 0:
		if len(part) != 1 || part[0] != kindSmall && part[0] != kindLarge {
			return fmt.Errorf("hash of kind %x", part)
		}
		if l.kind = part[0]; l.kind == kindLarge {
			l.m.large = dict.New[dict.None]()
		}
		return nil
	case l.kind == kindSmall:
		if l.done {
			return fmt.Errorf("small hash in two pieces")
		}
		l.done = true
		return l.small(part)
	}
	if n, ok := pack.Seq(part).Count(); !ok || n != 2 {
		return fmt.Errorf("field of a hash that is none")
	}
	field, at := pack.Seq(part).Next(0)
	value, _ := pack.Seq(part).Next(at)
	if !l.m.load(field, value) {
		return fmt.Errorf("hash with the same field twice")
	}
	return nil
}

// load is put for new fields that mostly come in the table's own order: in another one
// where the cluster has got another hash.
func (m *Map) load(field, value []byte) bool {
	c, pos := &m.kit.Cursor, m.kit.Position(field)
	if !c.SeekEnd(m.large, pos, field) && c.Seek(m.large, pos, field, nil) {
		return false
	}
	c.Put(field, nil, value, nil)
	m.bytes += cost(len(field), len(value))
	return true
}

func (l *Loader) small(part []byte) error {
	n, ok := pack.Seq(part).Count()
	if !ok || n%2 != 0 {
		return fmt.Errorf("small hash that is none")
	}
	l.m.small, l.m.n = bytes.Clone(part), n/2
	seen := dict.New[dict.None]() // the built-in map is not for the state machine
	var c dict.Cursor[dict.None]
	again := false
	l.m.Each(func(field, _ []byte) bool {
		again = c.Seek(seen, 0, field, nil)
		if !again {
			c.Put(field, nil, nil, nil)
		}
		return !again
	})
	if again {
		return fmt.Errorf("hash with the same field twice")
	}
	return nil
}

// Done returns the hash.
func (l *Loader) Done() (*Map, error) {
	if l.kind == 0 || l.kind == kindSmall && !l.done || l.m.Len() == 0 {
		return nil, fmt.Errorf("hash without fields")
	}
	return l.m, nil
}
