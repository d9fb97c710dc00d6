// Package bits counts, finds and combines the bits of byte strings, and reads and writes
// integers that lie across byte bounds in them. As in Redis, bit 0 is the highest bit of
// the first byte. It works on pieces of memory, and knows nothing of where they belong.
package bits

import (
	"encoding/binary"
	"math/bits"
)

// Count is the number of bits that are set.
func Count(b []byte) (n int) {
	for ; len(b) >= 32; b = b[32:] { // four at a time need not wait for each other
		n += bits.OnesCount64(binary.LittleEndian.Uint64(b)) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[8:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[16:])) +
			bits.OnesCount64(binary.LittleEndian.Uint64(b[24:]))
	}
	for _, c := range b {
		n += bits.OnesCount8(c)
	}
	return n
}

// Find returns the index of the first bit that is set, or where set is false of the
// first that is not; -1 if there is none.
func Find(b []byte, set bool) int {
	skip := uint64(0) // what holds no such bit
	if !set {
		skip = ^skip
	}
	at := 0
	for len(b)-at >= 8 && binary.LittleEndian.Uint64(b[at:]) == skip {
		at += 8
	}
	for ; at < len(b); at++ {
		if c := b[at] ^ byte(skip); c != 0 {
			return at*8 + bits.LeadingZeros8(c)
		}
	}
	return -1
}

// Op is a way to combine bits.
type Op byte

// The ways, Redis's: Not looks at one operand only.
const (
	And Op = iota
	Or
	Xor
	Not
)

// Combine puts the combination of a with b into a; b must be as long. Of Not it puts
// the opposite of b there.
func Combine(op Op, a, b []byte) {
	b = b[:len(a)]
	at := 0
	for ; len(a)-at >= 8; at += 8 {
		x, y := binary.LittleEndian.Uint64(a[at:]), binary.LittleEndian.Uint64(b[at:])
		binary.LittleEndian.PutUint64(a[at:], op.apply(x, y))
	}
	for ; at < len(a); at++ {
		a[at] = byte(op.apply(uint64(a[at]), uint64(b[at])))
	}
}

func (op Op) apply(a, b uint64) uint64 {
	switch op {
	case And:
		return a & b
	case Or:
		return a | b
	case Xor:
		return a ^ b
	}
	return ^b
}
