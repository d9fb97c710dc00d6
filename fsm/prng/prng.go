// Package prng is the one source of chance in replicated state: a small generator
// that gives every replica the same numbers from the same seed. It is no
// cryptography.
package prng

import (
	"math/bits"
	"slices"
)

// Source is xoshiro256** (Blackman and Vigna, 2018), its state filled from the
// seed by SplitMix64 as its authors advise. The zero value is not ready.
type Source struct{ s [4]uint64 }

// New returns a generator for a seed; equal seeds give equal sequences.
func New(seed uint64) *Source {
	var src Source
	for i := range src.s {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		src.s[i] = z ^ z>>31
	}
	return &src
}

// Uint64 returns the next 64 random bits.
func (r *Source) Uint64() uint64 {
	s := &r.s
	result := bits.RotateLeft64(s[1]*5, 7) * 9
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return result
}

// Below returns an even pick of 0 to n-1; n must not be 0. It is Lemire's method
// (2019), which discards the few products that would make some picks likelier.
func (r *Source) Below(n uint64) uint64 {
	hi, lo := bits.Mul64(r.Uint64(), n)
	if lo < n {
		for least := -n % n; lo < least; {
			hi, lo = bits.Mul64(r.Uint64(), n)
		}
	}
	return hi
}

// Distinct returns k different numbers of 0 to n-1, ascending; each choice is as likely
// as any other. k must not exceed n.
func (r *Source) Distinct(k, n int) []int {
	picked := make([]int, 0, max(k, 0))
	if 2*k > n { // most of them: pick those to leave out
		out := r.Distinct(n-k, n)
		for i := range n {
			if len(out) > 0 && out[0] == i {
				out = out[1:]
			} else {
				picked = append(picked, i)
			}
		}
		return picked
	}
	for len(picked) < k { // none is drawn beyond the k-th different one
		for range k - len(picked) {
			picked = append(picked, int(r.Below(uint64(n))))
		}
		slices.Sort(picked)
		picked = slices.Compact(picked)
	}
	return picked
}
