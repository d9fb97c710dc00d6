package dict

import (
	"encoding/binary"
	"math/bits"
)

// Hasher is SipHash-1-3 (Aumasson and Bernstein, 2012, with one compression and
// three finalisation rounds) under a 128-bit key. Who doesn't know the key can't
// choose keys that share a position.
type Hasher struct{ k0, k1 uint64 }

// NewHasher gives a Hasher for a key.
func NewHasher(key [16]byte) Hasher {
	return Hasher{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
}

// Hash is the 64-bit hash of data.
func (h Hasher) Hash(data []byte) uint64 {
	s := sipState{
		h.k0 ^ 0x736f6d6570736575,
		h.k1 ^ 0x646f72616e646f6d,
		h.k0 ^ 0x6c7967656e657261,
		h.k1 ^ 0x7465646279746573,
	}
	last := uint64(len(data)) << 56
	for ; len(data) >= 8; data = data[8:] {
		m := binary.LittleEndian.Uint64(data)
		s.v3 ^= m
		s.round()
		s.v0 ^= m
	}
	for i, b := range data {
		last |= uint64(b) << (8 * i)
	}
	s.v3 ^= last
	s.round()
	s.v0 ^= last
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

type sipState struct{ v0, v1, v2, v3 uint64 }

func (s *sipState) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
