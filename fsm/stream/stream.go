// Package stream is the value of a Redis stream: entries in the order of their IDs, each
// with fields and values, and consumer groups with what was delivered and is not
// acknowledged. It knows no keys, no commands, no replies and no clock.
//
// Entries lie in a table, one record each. Over them lies a second order: nodes, runs of
// entries that Redis would keep in one piece of memory. They show in two places, which is
// why they are the same here: trimming with "~" removes whole nodes only, and XINFO
// tells their number. A node also keeps the names of its first entry's fields, so that
// entries with the same names need only have the values.
package stream

import (
	"bytes"
	"encoding/binary"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Limits say when a node is full: stream-node-max-bytes and stream-node-max-entries. 0 is
// without a limit.
type Limits struct{ Bytes, Entries int }

// Stream is such a value. What its methods return points into it and is valid until the
// next change.
type Stream struct {
	kit     *dict.Kit
	entries *dict.Table[dict.None]
	nodes   *dict.Table[dict.None] // all but the last one, by the ID that they begin with
	tail    node                   // the last one, to which entries are appended; unless n is 0
	groups  *dict.Table[Group]     // by name; nil until there is one
	// epoch counts the clones on the way here: a group or consumer of this epoch is
	// nobody else's.
	epoch uint64

	last       ID     // the highest that an entry ever had, or XSETID gave
	maxDeleted ID     // the highest of those that were deleted, not trimmed
	added      uint64 // entries ever added
	bytes      int
	scratch    []byte
}

// New returns an empty stream.
func New(kit *dict.Kit) *Stream {
	return &Stream{kit: kit, entries: dict.New[dict.None](), nodes: dict.New[dict.None]()}
}

// Len is the number of entries.
func (s *Stream) Len() int { return s.entries.Len() }

// Size is the memory that it takes, in bytes: an estimate, the same on every replica.
func (s *Stream) Size() int { return EmptySize + s.bytes }

// EmptySize is the Size of a stream without anything.
const EmptySize = 600

// Entries is the table to whose end entries go, for who wants to look at it ahead.
func (s *Stream) Entries() *dict.Table[dict.None] { return s.entries }

// Last is the highest ID that an entry ever had, or what SetLast made of it.
func (s *Stream) Last() ID { return s.last }

// MaxDeleted is the highest ID that Delete removed; the zero ID where it never did.
func (s *Stream) MaxDeleted() ID { return s.maxDeleted }

// Added is how many entries were ever added.
func (s *Stream) Added() uint64 { return s.added }

// SetLast sets what Last tells; no entry may have a higher ID.
func (s *Stream) SetLast(id ID) { s.last = id }

// SetMaxDeleted sets what MaxDeleted tells.
func (s *Stream) SetMaxDeleted(id ID) { s.maxDeleted = id }

// SetAdded sets what Added tells.
func (s *Stream) SetAdded(n uint64) { s.added = n }

// First is the ID of the first entry, the zero ID where there is none.
func (s *Stream) First() ID {
	pos, r, _ := s.entries.Min()
	return idAt(pos, r.Key)
}

// Top is the ID of the last entry, the zero ID where there is none.
func (s *Stream) Top() ID {
	pos, r, _ := s.entries.At(s.entries.Len() - 1)
	return idAt(pos, r.Key)
}

// Append adds an entry behind all others. Its ID must be above Last. pairs are fields and
// values in turn, at least one of each; they are copied.
func (s *Stream) Append(id ID, pairs [][]byte, limits Limits) {
	for s.tail.n > 0 && id.Less(s.tail.first) { // Last was set back, behind what was deleted
		s.dropTail()
	}
	if s.tail.n == 0 || s.tail.full(pairs, limits) {
		s.closeTail()
		s.tail = newNode(id, pairs)
		s.bytes += s.tail.recordCost()
	}
	n := &s.tail
	same := n.sameNames(pairs)
	n.size += listpackEntry(n.first, id, pairs, same)
	n.last = id
	n.live++
	n.total++

	data := s.encode(pairs, same)
	var buf [maxKey]byte
	key := id.key(&buf)
	c := &s.kit.Cursor
	if !c.SeekEnd(s.entries, id.MS, key) {
		panic("stream: an entry whose ID is not the highest")
	}
	c.Put(key, nil, data, nil)
	cost := entryCost(len(key), len(data))
	n.cost += cost
	s.bytes += cost
	s.last = id
	s.added++
}

// An entry's data begin with twice the number of its pairs, and 1 added where the names
// are the node's. Then come the values, or fields and values in turn.
const sameNames = 1

func (s *Stream) encode(pairs [][]byte, same bool) []byte {
	b := s.scratch[:0]
	head := uint64(len(pairs)/2) << 1
	if same {
		head |= sameNames
	}
	b = binary.AppendUvarint(b, head)
	for i, item := range pairs {
		if i%2 == 1 || !same {
			b = pack.Seq(b).Append(item)
		}
	}
	const keep = 4096
	if s.scratch = b; cap(b) > keep {
		s.scratch = nil
	}
	return b
}

// entryCost is the memory that an entry takes.
func entryCost(key, data int) int { return key + data + dict.RecordCost(key, data) }

// Delete removes an entry and says whether there was one.
func (s *Stream) Delete(id ID) bool {
	var buf [maxKey]byte
	c := &s.kit.Cursor
	if !c.Seek(s.entries, id.MS, id.key(&buf), nil) {
		return false
	}
	data, _ := c.Data()
	cost := entryCost(len(id.key(&buf)), len(data))
	c.Delete()
	s.bytes -= cost
	n, _ := s.nodeOf(id)
	n.live--
	n.cost -= cost
	switch {
	case n.first == s.tail.first && n.live == 0:
		s.dropTail()
	case n.first == s.tail.first:
		s.tail.live, s.tail.cost = n.live, n.cost
	case n.live == 0:
		s.dropNode(n)
	default:
		s.storeNode(n)
	}
	if s.maxDeleted.Less(id) {
		s.maxDeleted = id
	}
	return true
}

// Clone returns an equal stream that may be changed without the receiver's seeing it. The
// receiver must not be changed any more. It takes constant time.
func (s *Stream) Clone() *Stream {
	c := *s
	c.entries, c.nodes = s.entries.Fork(), s.nodes.Fork()
	if s.groups != nil {
		c.groups = s.groups.Fork()
	}
	c.epoch++
	c.scratch = nil
	return &c
}

// equalNames says whether the fields of pairs have these names.
func equalNames(names pack.Seq, pairs [][]byte) bool {
	at := 0
	for i := 0; i < len(pairs); i += 2 {
		var name []byte
		if name, at = names.Next(at); !bytes.Equal(name, pairs[i]) {
			return false
		}
	}
	return true
}
