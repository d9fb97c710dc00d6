package hll

import "bytes"

// In a dense one, register i has the bits 6i to 6i+5, counted from the lowest bit of
// the first byte.

func getDense(row []byte, i int) uint8 {
	at, shift := i*6/8, i*6%8
	v := uint(row[at])
	if shift > 2 {
		v |= uint(row[at+1]) << 8
	}
	return uint8(v >> shift & 63)
}

// setDense raises a register, and says whether it was lower.
func setDense(row []byte, i int, rank uint8) bool {
	if getDense(row, i) >= rank {
		return false
	}
	put(row[i*6/8:], i*6%8, rank)
	return true
}

// put writes a register into the one or two bytes that it lies in.
func put(b []byte, shift int, rank uint8) {
	b[0] = b[0]&^(63<<shift) | rank<<shift
	if shift > 2 {
		b[1] = b[1]&^(63>>(8-shift)) | rank>>(8-shift)
	}
}

// four calls fn with the ranks of each four registers, which lie in three bytes.
func four(row []byte, fn func(i int, a, b, c, d uint8)) {
	for i := 0; i < registers; i += 4 {
		v := uint(row[0]) | uint(row[1])<<8 | uint(row[2])<<16
		fn(i, uint8(v&63), uint8(v>>6&63), uint8(v>>12&63), uint8(v>>18&63))
		row = row[3:]
	}
}

// tally counts how many registers have which rank; in four rows, because neighbours
// mostly have the same one, and each count would wait for the one before.
type tally [4][64]int

func (t *tally) add(a, b, c, d uint8) {
	t[0][a&63]++
	t[1][b&63]++
	t[2][c&63]++
	t[3][d&63]++
}

func (t *tally) ranks() *[64]int {
	for rank := range t[0] {
		t[0][rank] += t[1][rank] + t[2][rank] + t[3][rank]
	}
	return &t[0]
}

// Patch is a change of a dense one: what its bytes are, from an offset on.
type Patch struct {
	Offset int
	Bytes  []byte
}

// Raise returns the change that an element makes to a dense one, which it leaves as it
// is; ok is false where it makes none. What else it changes is the Header.
func Raise(b, element []byte) (p Patch, ok bool) {
	register, rank := Place(element)
	row := b[header:]
	if getDense(row, register) >= rank {
		return p, false
	}
	at := register * 6 / 8
	p = Patch{header + at, bytes.Clone(row[at:min(at+2, len(row))])}
	put(p.Bytes, register*6%8, rank)
	return p, true
}

// Invalidate returns the change of the header that belongs to a change of a register.
func Invalidate(b []byte) Patch {
	return Patch{header - 1, []byte{b[header-1] | stale>>56}}
}

// ToDense returns a dense one with the same registers and the same header otherwise; b
// itself if it is one.
func ToDense(b []byte) ([]byte, error) {
	if Dense(b) {
		return b, nil
	}
	wide := make([]byte, DenseSize)
	copy(wide, b[:header])
	wide[encodedAt] = dense
	err := eachRun(b, func(first, length int, rank uint8) {
		if rank > 0 {
			for i := first; i < first+length; i++ {
				setDense(wide[header:], i, rank)
			}
		}
	})
	return wide, err
}
