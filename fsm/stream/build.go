package stream

import (
	"bytes"
	"fmt"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Node is a run of entries that Redis would keep in one piece of memory.
type Node struct {
	First ID       // of the entry that it began with, whether that is there or not
	Last  ID       // of the entry that came last
	Total int      // entries that it ever had
	Size  int      // bytes of Redis's listpack, without its counts of entries that are there and that are deleted
	Names [][]byte // of the fields of the entry that it began with
	// Entries are those that are there; only EachNode gives them.
	Entries []Entry
}

// EachNode calls fn for every node, in order. A node is valid during the call.
func (s *Stream) EachNode(fn func(Node)) {
	at := 0
	var entries []Entry
	each := func(n node) bool {
		all := Node{First: n.first, Last: n.last, Total: n.total, Size: n.size}
		for i := 0; i < len(n.names); {
			var name []byte
			name, i = n.names.Next(i)
			all.Names = append(all.Names, name)
		}
		entries = entries[:0]
		s.entries.AscendAt(at, func(pos uint64, r dict.Record[dict.None]) bool {
			if len(entries) < n.live {
				entries = append(entries, decode(idAt(pos, r.Key), r.Data, n.names))
			}
			return len(entries) < n.live
		})
		at += n.live
		all.Entries = entries
		fn(all)
		return true
	}
	s.nodes.AscendAt(0, func(pos uint64, r dict.Record[dict.None]) bool { return each(readNode(pos, r)) })
	if s.tail.n > 0 {
		each(s.tail)
	}
}

// Builder makes a stream of nodes and their entries, which may come from anywhere: what
// cannot be is refused.
type Builder struct {
	s     *Stream
	entry ID // the last one
}

// NewBuilder returns a Builder.
func NewBuilder(kit *dict.Kit) *Builder { return &Builder{s: New(kit)} }

// Node begins a node, whose entries come next. What it tells is not kept.
func (b *Builder) Node(n Node) error {
	next := node{first: n.First, last: n.Last, total: n.Total, size: n.Size, n: len(n.Names)}
	for _, name := range n.Names {
		next.names = next.names.Append(name)
	}
	return b.begin(next)
}

// Entry adds an entry, of fields and values in turn, which are not kept.
func (b *Builder) Entry(id ID, pairs [][]byte) error {
	if len(pairs) == 0 || len(pairs)%2 != 0 {
		return fmt.Errorf("an entry of a stream without fields")
	}
	return b.put(id, b.s.encode(pairs, b.s.tail.sameNames(pairs)))
}

// Done returns the stream, whose last ID, highest deleted ID and count of entries that
// were ever added these are.
func (b *Builder) Done(last, maxDeleted ID, added uint64) (*Stream, error) {
	s := b.s
	s.last, s.maxDeleted, s.added = last, maxDeleted, added
	if last.Less(b.entry) {
		return nil, fmt.Errorf("entries of a stream above its last ID")
	}
	return s, b.checkTail()
}

// begin begins a node.
func (b *Builder) begin(n node) error {
	s := b.s
	if n.n == 0 || n.total < 0 || n.size < 0 {
		return fmt.Errorf("a node of a stream without fields")
	}
	if s.tail.n > 0 && !(s.tail.first.Less(n.first) && b.entry.Less(n.first)) {
		return fmt.Errorf("nodes of a stream out of order")
	}
	if err := b.checkTail(); err != nil {
		return err
	}
	s.closeTail()
	s.tail = n
	s.bytes += s.tail.recordCost()
	return nil
}

func (b *Builder) checkTail() error {
	if b.s.tail.live > b.s.tail.total {
		return fmt.Errorf("a node of a stream with more entries than it ever had")
	}
	return nil
}

// put adds an entry by its data, which must be sound.
func (b *Builder) put(id ID, data []byte) error {
	s := b.s
	n := &s.tail
	if n.n == 0 || id.Less(n.first) || !b.entry.Less(id) {
		return fmt.Errorf("entries of a stream out of order")
	}
	b.entry = id
	var buf [maxKey]byte
	key := id.key(&buf)
	c := &s.kit.Cursor
	c.SeekEnd(s.entries, id.MS, key)
	c.Put(key, nil, data, nil)
	cost := entryCost(len(key), len(data))
	n.live++
	n.cost += cost
	s.bytes += cost
	return nil
}

// namesOf are the names of a node's fields.
func namesOf(b []byte) (names pack.Seq, n int, err error) {
	names = bytes.Clone(b)
	n, ok := names.Count()
	if !ok || n == 0 {
		err = fmt.Errorf("a node of a stream without fields")
	}
	return names, n, err
}
