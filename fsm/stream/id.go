package stream

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// ID names an entry: a time in Unix milliseconds, and a number among those of the same
// time. Entries stand in the order of their IDs.
type ID struct{ MS, Seq uint64 }

// MaxID is the highest ID. The zero ID is the lowest, which no entry has.
var MaxID = ID{math.MaxUint64, math.MaxUint64}

// Compare is negative where a is below b, positive where it is above.
func (a ID) Compare(b ID) int {
	if a.MS != b.MS {
		return cmp.Compare(a.MS, b.MS)
	}
	return cmp.Compare(a.Seq, b.Seq)
}

// Less says whether a is below b.
func (a ID) Less(b ID) bool { return a.Compare(b) < 0 }

// Next is the ID behind a; ok is false where there is none.
func (a ID) Next() (next ID, ok bool) {
	switch {
	case a.Seq < math.MaxUint64:
		return ID{a.MS, a.Seq + 1}, true
	case a.MS < math.MaxUint64:
		return ID{a.MS + 1, 0}, true
	}
	return ID{}, false
}

// Prev is the ID before a; ok is false where there is none.
func (a ID) Prev() (prev ID, ok bool) {
	switch {
	case a.Seq > 0:
		return ID{a.MS, a.Seq - 1}, true
	case a.MS > 0:
		return ID{a.MS - 1, math.MaxUint64}, true
	}
	return MaxID, false
}

// Append appends the ID's text, "ms-seq".
func (a ID) Append(b []byte) []byte {
	b = strconv.AppendUint(b, a.MS, 10)
	return strconv.AppendUint(append(b, '-'), a.Seq, 10)
}

// maxKey is the longest key of an ID.
const maxKey = 9

// key is the key of an ID in a table, whose position is MS. Mostly Seq is small, so its
// bytes are as few as it needs, behind their number; for 0 there is none at all. The
// order is that of the numbers.
func (a ID) key(buf *[maxKey]byte) []byte {
	n := (bits.Len64(a.Seq) + 7) / 8
	if n == 0 {
		return buf[:0]
	}
	buf[0] = byte(n)
	for i := range n {
		buf[1+i] = byte(a.Seq >> (8 * (n - 1 - i)))
	}
	return buf[:1+n]
}

// idAt is the ID that has this position and key.
func idAt(pos uint64, key []byte) ID {
	id := ID{MS: pos}
	for i := 1; i < len(key); i++ {
		id.Seq = id.Seq<<8 | uint64(key[i])
	}
	return id
}

func appendID(b []byte, id ID) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, id.MS), id.Seq)
}
