package stream

import (
	"encoding/binary"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Entry is an entry of a stream.
type Entry struct {
	ID    ID
	pairs int
	names pack.Seq // of the node; nil where items has the entry's own
	items pack.Seq
}

// Len is the number of fields.
func (e *Entry) Len() int { return e.pairs }

// Same says whether it has the fields of the entry that its node began with.
func (e *Entry) Same() bool { return e.names != nil }

// Each calls fn for every field with its value, in the order in which they were given.
func (e *Entry) Each(fn func(field, value []byte)) {
	at, nameAt := 0, 0
	for range e.pairs {
		var field, value []byte
		if e.names != nil {
			field, nameAt = e.names.Next(nameAt)
		} else {
			field, at = e.items.Next(at)
		}
		value, at = e.items.Next(at)
		fn(field, value)
	}
}

// decode makes the entry of a record.
func decode(id ID, data []byte, names pack.Seq) Entry {
	head, n := binary.Uvarint(data)
	e := Entry{ID: id, pairs: int(head >> 1), items: data[n:]}
	if head&sameNames != 0 {
		e.names = names
	}
	return e
}

// Get returns an entry.
func (s *Stream) Get(id ID) (e Entry, ok bool) {
	var buf [maxKey]byte
	r, ok := s.entries.Get(id.MS, id.key(&buf))
	if !ok {
		return e, false
	}
	n, _ := s.nodeOf(id)
	return decode(id, r.Data, n.names), true
}

// Has says whether there is such an entry.
func (s *Stream) Has(id ID) bool {
	var buf [maxKey]byte
	_, ok := s.entries.Get(id.MS, id.key(&buf))
	return ok
}

// Count is the number of entries from one ID to another, both included.
func (s *Stream) Count(from, to ID) int {
	if to.Less(from) {
		return 0
	}
	return s.rankAbove(to) - s.rank(from)
}

// rank is the number of entries below an ID.
func (s *Stream) rank(id ID) int { return rank(s.entries, id) }

func rank(t *dict.Table[dict.None], id ID) int {
	var buf [maxKey]byte
	n, _ := t.Rank(id.MS, id.key(&buf))
	return n
}

// rankAbove is the number of entries not above an ID.
func (s *Stream) rankAbove(id ID) int {
	if next, ok := id.Next(); ok {
		return s.rank(next)
	}
	return s.Len()
}

// Ascend calls fn for the entries from an ID on, until fn returns false. fn may change
// the stream's groups, and nothing else of it.
func (s *Stream) Ascend(from ID, fn func(Entry) bool) {
	var names pack.Seq
	var end ID // that the node behind begins with
	known := false
	s.entries.AscendAt(s.rank(from), func(pos uint64, r dict.Record[dict.None]) bool {
		id := idAt(pos, r.Key)
		if !known || !id.Less(end) {
			var n node
			n, end = s.nodeOf(id)
			names, known = n.names, true
		}
		return fn(decode(id, r.Data, names))
	})
}

// Descend is Ascend the other way: the entry with that ID or the next one below it comes
// first.
func (s *Stream) Descend(from ID, fn func(Entry) bool) {
	var n node
	known := false
	s.entries.DescendAt(s.rankAbove(from)-1, func(pos uint64, r dict.Record[dict.None]) bool {
		id := idAt(pos, r.Key)
		if !known || id.Less(n.first) {
			n, _ = s.nodeOf(id)
			known = true
		}
		return fn(decode(id, r.Data, n.names))
	})
}
