package stream

import (
	"encoding/binary"
	"math"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// node is a run of entries that Redis would keep in one listpack.
type node struct {
	first ID  // of the entry that it began with, whether that is there or not
	last  ID  // of the entry that came last
	live  int // entries that are there
	total int // those that were deleted included
	size  int // bytes of Redis's listpack, without the counts of live and deleted entries
	cost  int // memory of the live entries
	n     int // fields of the entry that it began with
	names pack.Seq
}

// nodeHead is the length of what stands before the names in a node's record.
const nodeHead = 44

// newNode is a node that begins with that entry, which is not in it yet.
func newNode(id ID, pairs [][]byte) node {
	n := node{first: id, n: len(pairs) / 2}
	// The listpack's header and end, and what Redis calls the master entry.
	n.size = 6 + 1 + listpackInt(int64(n.n)) + listpackInt(0)
	for i := 0; i < len(pairs); i += 2 {
		n.names = n.names.Append(pairs[i])
		n.size += listpackString(pairs[i])
	}
	return n
}

// sameNames says whether an entry has the fields of the node.
func (n *node) sameNames(pairs [][]byte) bool {
	return len(pairs) == 2*n.n && equalNames(n.names, pairs)
}

// full says whether Redis would begin another node for an entry.
// Source: redis/src/t_stream.c:streamAppendItem.
func (n *node) full(pairs [][]byte, limits Limits) bool {
	const most = 1 << 30 // of a listpack
	limit := limits.Bytes
	if limit <= 0 || limit > most {
		limit = most
	}
	add := 0
	for _, item := range pairs {
		add += len(item)
	}
	size := n.size + listpackInt(int64(n.live)) + listpackInt(int64(n.total-n.live))
	return size+add >= limit || limits.Entries > 0 && n.total >= limits.Entries
}

// recordCost is the memory that the node itself takes.
func (n *node) recordCost() int {
	var buf [maxKey]byte
	return entryCost(len(n.first.key(&buf)), nodeHead+len(n.names))
}

// storeNode writes a node, which is not the last one, to its record.
func (s *Stream) storeNode(n node) {
	var buf [maxKey]byte
	key := n.first.key(&buf)
	c := &s.kit.Cursor
	if !c.SeekEnd(s.nodes, n.first.MS, key) {
		c.Seek(s.nodes, n.first.MS, key, nil)
	}
	var head [nodeHead]byte
	b := binary.LittleEndian.AppendUint64(head[:0], n.last.MS)
	b = binary.LittleEndian.AppendUint64(b, n.last.Seq)
	b = binary.LittleEndian.AppendUint32(b, uint32(n.live))
	b = binary.LittleEndian.AppendUint32(b, uint32(n.total))
	b = binary.LittleEndian.AppendUint64(b, uint64(n.size))
	b = binary.LittleEndian.AppendUint64(b, uint64(n.cost))
	b = binary.LittleEndian.AppendUint32(b, uint32(n.n))
	c.Put(key, b, append(pack.Seq(nil), n.names...), nil) // names may lie in the table
}

// readNode is the node that a record holds.
func readNode(pos uint64, r dict.Record[dict.None]) node {
	b := r.Data
	return node{
		first: idAt(pos, r.Key),
		last:  ID{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])},
		live:  int(binary.LittleEndian.Uint32(b[16:])),
		total: int(binary.LittleEndian.Uint32(b[20:])),
		size:  int(binary.LittleEndian.Uint64(b[24:])),
		cost:  int(binary.LittleEndian.Uint64(b[32:])),
		n:     int(binary.LittleEndian.Uint32(b[40:])),
		names: b[nodeHead:],
	}
}

// nodeOf returns the node of an entry that is there, or was a moment ago, and the ID that
// the next one begins with, MaxID where there is none.
func (s *Stream) nodeOf(id ID) (n node, next ID) {
	if !id.Less(s.tail.first) {
		return s.tail, MaxID
	}
	var buf [maxKey]byte
	rank, found := s.nodes.Rank(id.MS, id.key(&buf))
	if !found {
		rank--
	}
	pos, r, _ := s.nodes.At(rank)
	n, next = readNode(pos, r), s.tail.first
	if pos, r, ok := s.nodes.At(rank + 1); ok {
		next = idAt(pos, r.Key)
	}
	return n, next
}

// closeTail puts the last node, if there is one, to the others.
func (s *Stream) closeTail() {
	if s.tail.n > 0 {
		s.storeNode(s.tail)
	}
	s.tail = node{}
}

// dropTail removes the last node, which has no entries; the one before it is the last one
// then, to which entries are appended while it has room.
func (s *Stream) dropTail() {
	s.bytes -= s.tail.recordCost()
	s.tail = node{}
	if pos, r, ok := s.nodes.At(s.nodes.Len() - 1); ok {
		n := readNode(pos, r)
		n.names = append(pack.Seq(nil), n.names...)
		s.tail = n
		s.forget(n)
	}
}

// dropNode removes a node without entries that is not the last one.
func (s *Stream) dropNode(n node) {
	s.bytes -= n.recordCost()
	s.forget(n)
}

// forget removes a node's record.
func (s *Stream) forget(n node) {
	var buf [maxKey]byte
	c := &s.kit.Cursor
	c.Seek(s.nodes, n.first.MS, n.first.key(&buf), nil)
	c.Delete()
}

// Nodes is the number of nodes.
func (s *Stream) Nodes() int {
	if s.tail.n > 0 {
		return s.nodes.Len() + 1
	}
	return 0
}

// listpackEntry is the bytes that an entry takes in Redis's listpack: flags, the distance
// of its ID from the node's first, the fields if they are not the node's, the values, and
// how many items it has. Source: redis/src/t_stream.c:streamAppendItem.
func listpackEntry(first, id ID, pairs [][]byte, same bool) int {
	n := listpackInt(0) + listpackInt(int64(id.MS-first.MS)) + listpackInt(int64(id.Seq-first.Seq))
	items := int64(len(pairs)/2 + 3)
	if !same {
		items += int64(len(pairs)/2 + 1)
		n += listpackInt(int64(len(pairs) / 2))
	}
	for i, item := range pairs {
		if i%2 == 1 || !same {
			n += listpackString(item)
		}
	}
	return n + listpackInt(items)
}

// listpackInt is the bytes that an integer takes in a listpack. Source: redis/src/listpack.c.
func listpackInt(v int64) int {
	const back = 1 // the length that follows, for walking backwards
	switch {
	case 0 <= v && v <= 127:
		return 1 + back
	case -4096 <= v && v <= 4095:
		return 2 + back
	case math.MinInt16 <= v && v <= math.MaxInt16:
		return 3 + back
	case -1<<23 <= v && v < 1<<23:
		return 4 + back
	case math.MinInt32 <= v && v <= math.MaxInt32:
		return 5 + back
	}
	return 9 + back
}

// listpackString is the bytes that a text takes in a listpack, which keeps the text of an
// integer as one.
func listpackString(b []byte) int {
	if v, ok := parseInt(b); ok {
		return listpackInt(v)
	}
	n := len(b)
	switch {
	case n < 64:
		n++
	case n < 4096:
		n += 2
	default:
		n += 5
	}
	switch {
	case n <= 127:
		return n + 1
	case n < 16383:
		return n + 2
	case n < 2097151:
		return n + 3
	case n < 268435455:
		return n + 4
	}
	return n + 5
}

// parseInt reads the one text of an integer that Redis takes for it.
func parseInt(b []byte) (v int64, ok bool) {
	digits, negative := b, len(b) > 0 && b[0] == '-'
	if negative {
		digits = b[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(b) > 1 {
		return 0, false
	}
	var u uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0') // 19 digits fit
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), true
	case !negative && u < 1<<63:
		return int64(u), true
	}
	return 0, false
}
