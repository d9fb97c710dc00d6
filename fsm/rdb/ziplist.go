package rdb

import "encoding/binary"

// ziplist reads a string that is a ziplist, the small form before listpacks, and appends
// its items: its length in bytes (4), the place of the last entry (4), the number of
// entries (2), entries, and a byte 255. An entry is the length of the one before, an
// encoding, and what that says. Source: redis/src/ziplist.c.
func (r *reader) ziplist(items [][]byte) [][]byte {
	const head = 4 + 4 + 2
	b := r.string()
	if r.bad || len(b) < head+1 || binary.LittleEndian.Uint32(b) != uint32(len(b)) || b[len(b)-1] != packEnd {
		r.bad = true
		return nil
	}
	tail, told, before := int(binary.LittleEndian.Uint32(b[4:])), int(binary.LittleEndian.Uint16(b[8:])), len(items)
	items = r.grow(items, told, len(b))
	inner := &reader{rest: b[head : len(b)-1], room: r.room, text: r.text}
	size, last := 0, tail
	for len(inner.rest) > 0 && inner.allocate(itemSize) {
		last = len(b) - 1 - len(inner.rest)
		inner.refuse(inner.sizeBefore() != size)
		items = append(items, inner.zipped())
		size = len(b) - 1 - len(inner.rest) - last
	}
	r.room, r.text = inner.room, inner.text
	if n := len(items) - before; inner.bad || told != packMany && told != n || last != tail || tail > len(b)-1 {
		r.bad = true
	}
	return items
}

// sizeBefore reads the length of the entry before. Redis takes a long form of a short
// length, too, which its own ziplists had.
func (r *reader) sizeBefore() int {
	n := r.byte()
	r.refuse(n == packEnd)
	if n == 0xfe {
		return int(uint32(r.little(4)))
	}
	return int(n)
}

// zipped reads an entry of a ziplist from its encoding on.
func (r *reader) zipped() []byte {
	first := r.byte()
	switch first >> 6 {
	case 0:
		return r.take(uint64(first))
	case 1:
		return r.take(uint64(first&0x3f)<<8 | uint64(r.byte()))
	case 2:
		if b := r.take(4); b != nil && first == 0x80 {
			return r.take(uint64(binary.BigEndian.Uint32(b)))
		}
		r.bad = true
		return nil
	}
	size := 0
	switch first {
	case 0xc0:
		size = 2
	case 0xd0:
		size = 4
	case 0xe0:
		size = 8
	case 0xf0:
		size = 3
	case 0xfe:
		size = 1
	default:
		if first < 0xf1 || first > 0xfd {
			r.bad = true
		}
		return r.number(int64(first) - 0xf1)
	}
	return r.number(r.little(size))
}

// zipmapLong says of a length in a zipmap that it follows in four bytes.
const zipmapLong = 0xfe

// zipmap reads a string that is a zipmap, the small form of hashes in Redis 2.4: a
// count, then fields and values, each behind its length, with unused bytes behind a
// value. Source: redis/src/zipmap.c.
func (r *reader) zipmap() (items [][]byte) {
	b := r.string()
	if r.bad || len(b) < 2 || b[len(b)-1] != packEnd {
		r.bad = true
		return nil
	}
	inner := &reader{rest: b[1 : len(b)-1], room: r.room}
	size := func() uint64 {
		n := inner.byte()
		if n == packEnd {
			inner.bad = true
		} else if n == zipmapLong {
			long := uint64(uint32(inner.little(4)))
			inner.refuse(long < zipmapLong) // Redis reads such a one in two ways
			return long
		}
		return uint64(n)
	}
	for len(inner.rest) > 0 && inner.allocate(2*itemSize) {
		field := inner.take(size())
		n := size()
		free := uint64(inner.byte())
		items = append(items, field, inner.take(n))
		inner.take(free)
	}
	const uncounted = zipmapLong // a zipmap never counts further
	r.room = inner.room
	r.refuse(inner.bad || b[0] != uncounted && int(b[0]) != len(items)/2)
	return items
}
