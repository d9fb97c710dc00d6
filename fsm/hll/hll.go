// Package hll is the HyperLogLog of Redis, in Redis's own representation, byte for byte:
// a string with a header, and 16384 registers of six bits in a row (dense) or as runs of
// equal ones (sparse). It works on such strings, which may come from anywhere, and knows
// no keys, no commands and no replies.
//
// The header has a place for the cardinality as it was last computed. Here no read
// writes, so nothing is ever put there; one that came with a string from a Redis is used
// until the string changes. Whoever compares with a Redis where PFCOUNT has been run
// finds these eight bytes different, and no others.
//
// Source: redis/src/hyperloglog.c (7.0); Flajolet et al., 2007; Heule, Nunkesser and
// Hall, 2013; Ertl, 2017.
package hll

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

const (
	indexBits = 14 // of a hash: the register
	rankBits  = 50 // of it: where the first 1 is looked for
	registers = 1 << indexBits

	header    = 16
	encodedAt = 4 // the byte that says dense or sparse
	cachedAt  = 8 // the cardinality, little-endian
	stale     = 1 << 63

	dense  = 0
	sparse = 1

	magic = "HYLL"
)

// DenseSize is the length of a dense one.
const DenseSize = header + registers*6/8

// ErrCorrupt is the error for a string whose runs are not 16384 registers.
var ErrCorrupt = errors.New("corrupt HyperLogLog")

// New returns an empty one, which is sparse.
func New() []byte {
	b := append(make([]byte, 0, header+2), magic...)
	b = append(b, sparse, 0, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, stale)
	return appendZeros(b, registers)
}

// Valid says whether a string is one, as far as its header tells. size is its length,
// of which b may be the beginning only.
func Valid(b []byte, size int) bool {
	return len(b) >= header && string(b[:len(magic)]) == magic && b[encodedAt] <= sparse &&
		(b[encodedAt] != dense || size == DenseSize)
}

// Dense says whether a valid one is dense.
func Dense(b []byte) bool { return b[encodedAt] == dense }

// Place returns the register that an element belongs to, and the rank that it gives it:
// where the first 1 of its hash is, counted from 1.
func Place(element []byte) (register int, rank uint8) {
	h := hash(element)
	return int(h % registers), uint8(bits.TrailingZeros64(h>>indexBits|1<<rankBits)) + 1
}

// MaxSparseRank is the highest rank that a sparse one can hold.
const MaxSparseRank = 32

// MaxSparseGrowth is by how many bytes, at the most, an element makes a sparse one longer.
const MaxSparseGrowth = 3

// Add adds an element, and says whether that changed anything; the cached cardinality
// then counts as stale. A sparse one that would become longer than sparseMax bytes
// becomes a dense one. Like append it may use up b.
func Add(b []byte, element []byte, sparseMax int) (sum []byte, changed bool, err error) {
	register, rank := Place(element)
	if Dense(b) {
		changed = setDense(b[header:], register, rank)
	} else {
		b, changed, err = setSparse(b, register, rank, sparseMax)
	}
	if changed {
		Stale(b)
	}
	return b, changed, err
}

// Stale notes that the cached cardinality is not right any more.
func Stale(b []byte) { b[header-1] |= stale >> 56 }

// cached returns the cardinality from the header.
func cached(b []byte) (n uint64, ok bool) {
	n = binary.LittleEndian.Uint64(b[cachedAt:])
	return n, n&stale == 0
}

// Count estimates how many different elements were added.
func Count(b []byte) (n uint64, err error) {
	if n, ok := cached(b); ok {
		return n, nil
	}
	if Dense(b) {
		var t tally
		four(b[header:], func(_ int, a, b, c, d uint8) { t.add(a, b, c, d) })
		return estimate(t.ranks()), nil
	}
	var ranks [64]int
	err = eachRun(b, func(_ int, length int, rank uint8) { ranks[rank] += length })
	if err != nil {
		return 0, err
	}
	return estimate(&ranks), nil
}

// Union is several together: the highest rank of each register.
type Union struct {
	ranks [registers]uint8
	dense bool
}

// Merge adds one.
func (u *Union) Merge(b []byte) error {
	if Dense(b) {
		u.dense = true
		four(b[header:], func(i int, a, b, c, d uint8) {
			r := u.ranks[i : i+4 : i+4]
			r[0], r[1], r[2], r[3] = max(r[0], a), max(r[1], b), max(r[2], c), max(r[3], d)
		})
		return nil
	}
	return eachRun(b, func(first, length int, rank uint8) {
		if rank > 0 {
			for i := first; i < first+length; i++ {
				u.ranks[i] = max(u.ranks[i], rank)
			}
		}
	})
}

// Count estimates how many different elements all together have.
func (u *Union) Count() uint64 {
	var t tally
	for r := u.ranks[:]; len(r) >= 4; r = r[4:] {
		t.add(r[0], r[1], r[2], r[3])
	}
	return estimate(t.ranks())
}

// Into adds the union to one, which becomes dense where one that was merged is, or where
// it would be longer than sparseMax. Like append it may use up b.
func (u *Union) Into(b []byte, sparseMax int) (sum []byte, err error) {
	if u.dense {
		if b, err = ToDense(b); err != nil {
			return nil, err
		}
	}
	var from place
	for register, rank := range u.ranks[:] {
		switch {
		case rank == 0:
		case Dense(b):
			setDense(b[header:], register, rank)
		default:
			if b, _, err = from.setSparse(b, register, rank, sparseMax); err != nil {
				return nil, err
			}
		}
	}
	Stale(b)
	return b, nil
}

// Registers returns the ranks of all registers.
func Registers(b []byte) ([]uint8, error) {
	var u Union
	err := u.Merge(b)
	return u.ranks[:], err
}
