// Package pack is a sequence of byte strings in one piece of memory, for small
// collections: each item is its length and its bytes. Finding one means looking at
// those before it, so whoever uses it keeps it short. It knows nothing of what the
// items mean.
package pack

import (
	"bytes"
	"encoding/binary"
)

// Seq is such a sequence; nil is the empty one. What its methods return points into it
// and is valid until the next change. Like append, the methods that change it return
// the result and may use up the receiver.
type Seq []byte

// Most is how many bytes a collection may keep in one Seq, and MostMembers how many
// members (or fields, with their values), whatever the limits that it was given: each
// change looks at the members one after the other and moves the bytes behind it, so
// that at these bounds it takes a tenth or two of a millisecond.
const (
	Most        = 1 << 20
	MostMembers = 1 << 13
)

// Next returns the item at an offset, and the offset behind it. The first item is at
// offset 0, and at offset len(s) there is none.
func (s Seq) Next(at int) (item []byte, next int) {
	if size := s[at]; size < 0x80 { // the most, by far
		next = at + 1 + int(size)
		return s[at+1 : next], next
	}
	return s.long(at)
}

// long is Next for an item whose length has more than one byte.
func (s Seq) long(at int) (item []byte, next int) {
	size, n := binary.Uvarint(s[at:])
	from := at + n
	return s[from : from+int(size)], from + int(size)
}

// Append adds items to the end.
func (s Seq) Append(items ...[]byte) Seq {
	for _, item := range items {
		s = append(binary.AppendUvarint(s, uint64(len(item))), item...)
	}
	return s
}

// Splice puts items in place of what lies between two offsets. They must not be the
// sequence's own memory.
func (s Seq) Splice(from, to int, items ...[]byte) Seq {
	var size int
	for _, item := range items {
		size += Size(len(item))
	}
	tail := len(s) - to
	if grow := from + size + tail - len(s); grow > 0 {
		s = append(s, make([]byte, grow)...)
	}
	copy(s[from+size:], s[to:to+tail])
	Seq(s[:from]).Append(items...)
	return s[:from+size+tail]
}

// Find returns the offset of the first item that equals want, of those at every
// stride-th place (1 looks at all), and the offset behind it.
func (s Seq) Find(want []byte, stride int) (at, next int, ok bool) {
	// Items of one length mostly have their beginnings in common, so their last bytes
	// are compared first: a call for each item would be most of the time.
	const word = 8
	if len(want) < word || len(want) >= 0x80 {
		return s.find(want, stride)
	}
	end := binary.LittleEndian.Uint64(want[len(want)-word:])
	for at < len(s) {
		size := int(s[at])
		if size >= 0x80 {
			_, next = s.long(at)
		} else if next = at + 1 + size; size == len(want) && binary.LittleEndian.Uint64(s[next-word:]) == end && bytes.Equal(s[at+1:next], want) {
			return at, next, true
		}
		at = next
		for skip := 1; skip < stride && at < len(s); skip++ {
			_, at = s.Next(at)
		}
	}
	return 0, 0, false
}

// find is Find for items that are short, or long.
func (s Seq) find(want []byte, stride int) (at, next int, ok bool) {
	for skip := 0; at < len(s); skip-- {
		item, next := s.Next(at)
		if skip == 0 {
			if bytes.Equal(item, want) {
				return at, next, true
			}
			skip = stride
		}
		at = next
	}
	return 0, 0, false
}

// Size is what an item of n bytes takes.
func Size(n int) int {
	size := n + 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// Count is the number of items in bytes that may come from anywhere; ok is false where
// they are no sequence.
func (s Seq) Count() (items int, ok bool) {
	for at := 0; at < len(s); items++ {
		size, n := binary.Uvarint(s[at:])
		if n <= 0 || size > uint64(len(s)-at-n) || Size(int(size)) != n+int(size) {
			return 0, false
		}
		at += n + int(size)
	}
	return items, true
}
