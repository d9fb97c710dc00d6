// Package set is the value of a Redis set. It has three forms: integers in one sorted
// row, as Redis's intset; a few members of any kind in one piece of memory, in the order
// of their coming; and a table, in the order of the members' hashes. Which of them it
// has follows from its history, so it is part of the state: snapshots keep it, and
// replicas agree on every order. It knows no keys, no commands and no replies.
package set

import (
	"bytes"
	"strconv"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Limits say up to what size a set has which form; they are looked at when it grows.
type Limits struct {
	// Ints is how many members a set of integers may have: set-max-intset-entries.
	Ints int
	// Entries and Value are how many members, of up to how many bytes, lie in one piece
	// of memory.
	Entries, Value int
}

// The forms of a set, which are part of the snapshot's format.
const (
	formInts   = 1
	formPacked = 2
	formLarge  = 3
)

// Set is such a value. What its methods return points into it, or into memory that they
// use again, and is valid until the next call.
type Set struct {
	kit    *dict.Kit
	form   uint8
	width  uint8                  // of a set of integers: its row's
	n      int                    // members of a packed one
	bytes  int                    // of a large one: what its records take
	memory []byte                 // a row of integers, or a pack.Seq of members
	large  *dict.Table[dict.None] // nil of others
}

// New returns an empty set, which is one of integers.
func New(kit *dict.Kit) *Set { return &Set{kit: kit, form: formInts, width: 2} }

func (s *Set) ints() ints { return ints{s.memory, s.width} }

// Len is the number of members.
func (s *Set) Len() int {
	switch s.form {
	case formInts:
		return s.ints().len()
	case formPacked:
		return s.n
	}
	return s.large.Len()
}

// Ints says whether it is a sorted row of integers.
func (s *Set) Ints() bool { return s.form == formInts }

// Size is the memory it takes, in bytes: an estimate, the same on every replica.
func (s *Set) Size() int {
	const self = 64
	return self + len(s.memory) + s.bytes
}

// Lies tells where a member is looked for: in the table of a large one, or in a piece of
// memory.
func (s *Set) Lies() (large *dict.Table[dict.None], small []byte) { return s.large, s.memory }

// Has says whether it has a member.
func (s *Set) Has(member []byte) (ok bool) {
	switch s.form {
	case formInts:
		n, is := parse(member)
		if is {
			_, ok = s.ints().search(n)
		}
	case formPacked:
		_, _, ok = pack.Seq(s.memory).Find(member, 1)
	default:
		_, ok = s.large.Get(s.kit.Position(member), member)
	}
	return ok
}

// Add adds a member and says whether it is a new one. It must not be the set's own
// memory.
func (s *Set) Add(member []byte, limits Limits) (added bool) {
	switch s.form {
	case formInts:
		return s.addToInts(member, limits)
	case formPacked:
		return s.addToPacked(member, limits)
	}
	return s.put(member)
}

func (s *Set) addToInts(member []byte, limits Limits) (added bool) {
	n, ok := parse(member)
	if !ok {
		s.leaveInts(limits)
		return s.Add(member, limits)
	}
	row, added := s.ints().add(n)
	s.memory, s.width = row.row, row.width
	if added && row.len() > min(limits.Ints, mostInts) {
		s.leaveInts(limits)
	}
	return added
}

func (s *Set) addToPacked(member []byte, limits Limits) (added bool) {
	if _, _, ok := pack.Seq(s.memory).Find(member, 1); ok {
		return false
	}
	if len(member) > limits.Value || s.n >= min(limits.Entries, pack.MostMembers) || len(s.memory)+pack.Size(len(member)) > pack.Most {
		s.enlarge()
		return s.put(member)
	}
	s.memory = pack.Seq(s.memory).Append(member)
	s.n++
	return true
}

// mostInts is how many integers a row may have, whatever the limit: adding one moves those
// behind it.
const mostInts = 1 << 16

// put adds a member to a large one.
func (s *Set) put(member []byte) (added bool) {
	c := &s.kit.Cursor
	if s.kit.Seek(s.large, member) {
		return false
	}
	c.Put(member, nil, nil, nil)
	s.bytes += cost(len(member))
	return true
}

// cost is the memory that a member of a large one takes.
func cost(member int) int { return member + dict.RecordCost(member, 0) }

// leaveInts makes a set of integers one of another form.
func (s *Set) leaveInts(limits Limits) {
	row := s.ints()
	s.memory, s.width, s.form = nil, 0, formPacked
	if row.len() > min(limits.Entries, pack.MostMembers) {
		s.enlarge()
	}
	var text [longestInt]byte
	for i := range row.len() {
		s.Add(strconv.AppendInt(text[:0], row.at(i), 10), limits)
	}
}

// enlarge makes a packed one large.
func (s *Set) enlarge() {
	members := pack.Seq(s.memory)
	s.form, s.large, s.memory, s.n = formLarge, dict.New[dict.None](), nil, 0
	for at := 0; at < len(members); {
		var member []byte
		member, at = members.Next(at)
		s.put(member)
	}
}

// Enlarging is what the set's Size grows by, at the most, when it takes another form.
func (s *Set) Enlarging() int {
	switch s.form {
	case formInts:
		return s.ints().len() * cost(longestInt)
	case formPacked:
		return s.n*(dict.RecordCost(0, 0)+1) + len(s.memory)/10
	}
	return 0
}

// Delete removes a member and says whether there was one. The set keeps its form.
func (s *Set) Delete(member []byte) (ok bool) {
	switch s.form {
	case formInts:
		n, is := parse(member)
		if is {
			var row ints
			row, ok = s.ints().remove(n)
			s.memory = row.row
		}
		return ok
	case formPacked:
		from, to, ok := pack.Seq(s.memory).Find(member, 1)
		if ok {
			s.memory = pack.Seq(s.memory).Splice(from, to)
			s.n--
		}
		return ok
	}
	c := &s.kit.Cursor
	if !s.kit.Seek(s.large, member) {
		return false
	}
	s.bytes -= cost(len(member))
	return c.Delete()
}

// Each calls fn for every member, in the set's order, until fn returns false.
func (s *Set) Each(fn func(member []byte) bool) {
	switch s.form {
	case formInts:
		text := make([]byte, 0, longestInt)
		for i := range s.ints().len() {
			if !fn(strconv.AppendInt(text, s.ints().at(i), 10)) {
				return
			}
		}
	case formPacked:
		members := pack.Seq(s.memory)
		for at := 0; at < len(members); {
			var member []byte
			if member, at = members.Next(at); !fn(member) {
				return
			}
		}
	default:
		s.large.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool { return fn(r.Key) })
	}
}

// Scan calls fn for about count members from a cursor on, and returns the cursor to go
// on from, 0 at the end. Of a set that is not large it shows all, as Redis does of an
// intset. Cursors mean the same on every node; what is there during the whole walk is
// seen.
func (s *Set) Scan(cursor uint64, count int, fn func(member []byte)) (next uint64) {
	if s.form != formLarge {
		s.Each(func(member []byte) bool {
			fn(member)
			return true
		})
		return 0
	}
	seen, last := 0, uint64(0)
	s.large.Ascend(cursor, func(pos uint64, r dict.Record[dict.None]) bool {
		if seen >= count && pos != last {
			next = pos
			return false
		}
		seen, last = seen+1, pos
		fn(r.Key)
		return true
	})
	return next
}

// At returns the member of that rank in the set's order, counted from 0, which it must
// have: with a random rank an even pick, in O(log n) at most.
func (s *Set) At(rank int) (member []byte) {
	switch s.form {
	case formInts:
		return strconv.AppendInt(nil, s.ints().at(rank), 10)
	case formPacked:
		for at := 0; rank >= 0; rank-- {
			member, at = pack.Seq(s.memory).Next(at)
		}
		return member
	}
	_, r, _ := s.large.At(rank)
	return r.Key
}

// Clear removes all members, at once.
func (s *Set) Clear() { *s = *New(s.kit) }

// Clone returns an equal set that may be changed without the receiver's seeing it. The
// receiver must not be changed any more. It copies nothing of a large one.
func (s *Set) Clone() *Set {
	c := *s
	if s.form == formLarge {
		c.large = s.large.Fork()
	} else {
		c.memory = bytes.Clone(s.memory)
	}
	return &c
}
