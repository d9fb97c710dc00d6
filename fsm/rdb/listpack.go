package rdb

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// A listpack is its length in bytes (4), the number of its entries (2, 65535 for "count
// them"), entries, and a byte 255. An entry is an encoding byte, what that says, and the
// length of both backwards, 7 bits in a byte. Source: redis/src/listpack.c.
const (
	packHead = 6
	packEnd  = 0xff
	packMany = 1<<16 - 1
)

// listpack is one in the making.
type listpack struct {
	buf []byte
	n   int
}

// add appends an item, as a number where it is the spelling of one.
func (l *listpack) add(item []byte) {
	if n, ok := integer(item); ok {
		l.integer(n)
		return
	}
	l.begin()
	start := len(l.buf)
	switch n := len(item); {
	case n < 1<<6:
		l.buf = append(l.buf, 0x80|byte(n))
	case n < 1<<12:
		l.buf = append(l.buf, 0xe0|byte(n>>8), byte(n))
	default:
		l.buf = binary.LittleEndian.AppendUint32(append(l.buf, 0xf0), uint32(n))
	}
	l.buf = append(l.buf, item...)
	l.close(start)
}

func (l *listpack) integer(n int64) {
	l.begin()
	start := len(l.buf)
	u := uint64(n)
	switch {
	case 0 <= n && n < 1<<7:
		l.buf = append(l.buf, byte(n))
	case -1<<12 <= n && n < 1<<12:
		l.buf = append(l.buf, 0xc0|byte(u>>8)&0x1f, byte(n))
	case n == int64(int16(n)):
		l.buf = append(l.buf, 0xf1, byte(u), byte(u>>8))
	case -1<<23 <= n && n < 1<<23:
		l.buf = append(l.buf, 0xf2, byte(u), byte(u>>8), byte(u>>16))
	case n == int64(int32(n)):
		l.buf = binary.LittleEndian.AppendUint32(append(l.buf, 0xf3), uint32(n))
	default:
		l.buf = binary.LittleEndian.AppendUint64(append(l.buf, 0xf4), u)
	}
	l.close(start)
}

func (l *listpack) begin() {
	if l.n == 0 {
		l.buf = append(l.buf[:0], make([]byte, packHead)...)
	}
	l.n++
}

// close writes the length of an entry behind it.
func (l *listpack) close(start int) { l.buf = appendBack(l.buf, len(l.buf)-start) }

// appendBack appends a length backwards: so that it is read from its end, all bytes but
// the first have the upper bit. Redis takes a byte more than is needed for lengths that
// are all ones, but for 127. Source: redis/src/listpack.c:lpEncodeBacklen.
func appendBack(b []byte, size int) []byte {
	n := 1
	for ; size > 127 && size >= 1<<(7*n)-1; n++ {
	}
	for i := n - 1; i >= 0; i-- {
		c := byte(size>>(7*i)) & 0x7f
		if i < n-1 {
			c |= 0x80
		}
		b = append(b, c)
	}
	return b
}

// bytes is the whole listpack.
func (l *listpack) bytes() []byte {
	if l.n == 0 {
		l.buf = append(l.buf[:0], make([]byte, packHead)...)
	}
	l.buf = append(l.buf, packEnd)
	binary.LittleEndian.PutUint32(l.buf, uint32(len(l.buf)))
	binary.LittleEndian.PutUint16(l.buf[4:], uint16(min(l.n, packMany)))
	return l.buf
}

// size is how long the listpack is so far.
func (l *listpack) size() int {
	if l.n == 0 {
		return packHead + 1
	}
	return len(l.buf) + 1
}

// textSize is what a text of n bytes takes that spells no number.
func textSize(n int) int {
	var buf [5]byte
	switch {
	case n < 1<<6:
		n++
	case n < 1<<12:
		n += 2
	default:
		n += 5
	}
	return n + len(appendBack(buf[:0], n))
}

// integerSize is what a number takes.
func integerSize(n int64) int {
	var l listpack
	l.integer(n)
	return len(l.buf) - packHead
}

// listpack reads a string that is a listpack, and appends its items.
func (r *reader) listpack(items [][]byte) [][]byte { return r.unpack(r.string(), items) }

// unpack appends the items of a listpack.
func (r *reader) unpack(b []byte, items [][]byte) [][]byte {
	if r.bad || len(b) < packHead+1 || binary.LittleEndian.Uint32(b) != uint32(len(b)) || b[len(b)-1] != packEnd {
		r.bad = true
		return nil
	}
	told, before := int(binary.LittleEndian.Uint16(b[4:])), len(items)
	items = r.grow(items, told, len(b))
	inner := &reader{rest: b[packHead : len(b)-1], room: r.room, text: r.text}
	for len(inner.rest) > 0 && inner.allocate(itemSize) {
		items = append(items, inner.packed())
	}
	r.room, r.text = inner.room, inner.text
	if n := len(items) - before; inner.bad || told != packMany && told != n {
		r.bad = true
	}
	return items
}

// grow makes room for as many items as a listpack or ziplist of size bytes says that it
// has, where it can have them.
func (r *reader) grow(items [][]byte, told, size int) [][]byte {
	if told == packMany || told > size/2 || told*itemSize > r.room {
		return items
	}
	return slices.Grow(items, told)
}

// packed reads an entry of a listpack.
func (r *reader) packed() (item []byte) {
	whole := len(r.rest)
	switch first := r.byte(); {
	case first < 0x80:
		item = r.number(int64(first))
	case first < 0xc0:
		item = r.take(uint64(first & 0x3f))
	case first < 0xe0:
		n := int64(first&0x1f)<<8 | int64(r.byte())
		if n >= 1<<12 {
			n -= 1 << 13
		}
		item = r.number(n)
	case first < 0xf0:
		item = r.take(uint64(first&0xf)<<8 | uint64(r.byte()))
	case first == 0xf0:
		item = r.take(uint64(r.little(4)))
	case first <= 0xf3:
		item = r.number(r.little(int(first) - 0xf1 + 2))
	case first == 0xf4:
		item = r.number(r.little(8))
	default:
		r.bad = true
	}
	var buf [5]byte
	back := appendBack(buf[:0], whole-len(r.rest))
	r.refuse(!bytes.Equal(r.take(uint64(len(back))), back))
	return item
}

// little reads a signed little-endian number of so many bytes; of 4 bytes that are a
// length it is not negative where r.take would take it.
func (r *reader) little(size int) int64 {
	var v uint64
	for i, c := range r.take(uint64(size)) {
		v |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*size
	return int64(v<<shift) >> shift
}
