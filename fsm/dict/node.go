package dict

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	// maxInner is the most children of an inner node.
	maxInner = 256
	// Below a quarter a node is merged or filled up from its neighbour.
	minInner = maxInner / 4
	// maxDepth holds more than 2^63 records: every inner node but the root has at
	// least minInner children.
	maxDepth = 12
	// window is the number of positions that a search looks at around its guess.
	window = 8
)

// inner is an inner node: four slices of the same length. All records below kids[i]
// are at or above the separator (pos[i], keys[i]) and below the next one.
type inner[P any] struct {
	kids []node[P]
	// pos and keys are the separators; the first is never looked at. A key is empty
	// unless records on both sides share the position.
	pos    []uint64
	keys   []string
	counts []int // records below each child
}

// size is the number of records at and below n.
func (n *node[P]) size() int {
	if n.in == nil {
		return int(n.n)
	}
	sum := 0
	for _, c := range n.in.counts {
		sum += c
	}
	return sum
}

// own makes what n refers to writable. n itself must be already: it is the root, or
// lies in an array of a node that is owned.
func (n *node[P]) own(epochs *Epochs) {
	owned := epochs.Owns(n.epoch)
	n.epoch = epochs.now // which no node below exceeds
	if owned {
		return
	}
	if n.in != nil {
		n.in = &inner[P]{
			kids: slices.Clone(n.in.kids), pos: slices.Clone(n.in.pos),
			keys: slices.Clone(n.in.keys), counts: slices.Clone(n.in.counts),
		}
		return
	}
	n.page = append([]byte(nil), n.page...)
	if n.refs != nil {
		n.refs = &refs[P]{of: slices.Clone(n.refs.of)}
	}
}

// span is what the separators on the way down say about a node's positions:
// lo <= position <= hi.
type span struct{ lo, hi uint64 }

var everything = span{0, ^uint64(0)}

// guess is where to begin a window among n positions: around the place of x if they
// are spread evenly, as hashes are. n is at least window, and below 2^20.
func (s span) guess(x uint64, n int) int {
	// Twelve bits of the distances are enough for a guess, and a short division takes
	// half the time of a long one.
	shift := uint(max(bits.Len64(s.hi-s.lo), 12) - 12)
	g := int(uint32((x-s.lo)>>(shift&63))*uint32(n)/(uint32((s.hi-s.lo)>>(shift&63))|1)) - window/2
	return max(0, min(g, n-window))
}

// below is 1 where position a is below x, computed without a branch.
func below(a, x uint64) int {
	_, borrow := bits.Sub64(a, x, 0)
	return int(borrow)
}

// firstSlot is the index of the first slot at or above position x. It counts those
// below x in a window around the guess, without a branch, so that the processor
// fetches all lines of the window at once; halving from the middle would wait for
// several lines of memory one after the other.
func (n *node[P]) firstSlot(x uint64, s span) int {
	lo, hi := 0, int(n.n)
	if hi > window {
		at := s.guess(x, hi)
		near := (*[window * slotSize]byte)(n.page[at*slotSize:])
		count := 0
		for i := range window {
			count += below(binary.LittleEndian.Uint64(near[i*slotSize:i*slotSize+8]), x)
		}
		switch i := at + count; count {
		case 0:
			hi = i
		case window:
			lo = i
		default:
			return i
		}
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.pos(mid) < x {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// firstAt is the index of the first separator at or above position x, from index 1
// on. Inner nodes stay in the cache, so that a branch mispredicted every other time
// would be the larger cost: there is none that depends on a separator.
func (n *inner[P]) firstAt(x uint64) int {
	p := n.pos
	base, left := 1, len(p)-1
	for left > 0 {
		half := (left + 1) >> 1
		base += half & -below(p[base+half-1], x)
		left -= half
	}
	return base
}

// child is the index of the child that (pos, key) belongs to. It narrows s to what
// the separators say about that child.
func (n *inner[P]) child(pos uint64, key []byte, s *span) int {
	i := n.firstAt(pos) // the first separator at or above pos
	if i < len(n.pos) && n.pos[i] == pos {
		i = n.afterKey(i, key)
	}
	if i < len(n.pos) {
		s.hi = n.pos[i]
	}
	if i > 1 {
		s.lo = n.pos[i-1]
	}
	return i - 1
}

// afterKey is the index of the first separator above (pos[i], key), where i is the
// first separator of that position.
func (n *inner[P]) afterKey(i int, key []byte) int {
	lo, hi := i, i+1
	for hi < len(n.pos) && n.pos[hi] == n.pos[i] {
		hi++
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.keys[mid] <= string(key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// append adds the children of right, which must not be used afterwards.
func (n *inner[P]) append(right *inner[P]) {
	n.kids = append(n.kids, right.kids...)
	n.pos = append(n.pos, right.pos...)
	n.keys = append(n.keys, right.keys...)
	n.counts = append(n.counts, right.counts...)
}

// insertKid puts a child and its separator into an inner node.
func (n *inner[P]) insertKid(i int, pos uint64, key string, kid node[P]) {
	n.pos = insertAt(n.pos, i, pos)
	n.keys = insertAt(n.keys, i, key)
	n.kids = insertAt(n.kids, i, kid)
	n.counts = insertAt(n.counts, i, kid.size())
}

// drop takes out child i, which is empty or has given its records away.
func (n *inner[P]) drop(i int) {
	n.kids = slices.Delete(n.kids, i, i+1)
	n.pos = slices.Delete(n.pos, i, i+1)
	n.keys = slices.Delete(n.keys, i, i+1)
	n.counts = slices.Delete(n.counts, i, i+1)
	n.keys[0] = "" // the first separator says nothing
}

// cutTail takes the children from index at off n.
func (n *inner[P]) cutTail(at int) *inner[P] {
	tail := &inner[P]{
		kids: cutTail(&n.kids, at), pos: cutTail(&n.pos, at),
		keys: cutTail(&n.keys, at), counts: cutTail(&n.counts, at),
	}
	tail.keys[0] = ""
	return tail
}

// insertAt is slices.Insert with growth by a quarter, not to double: nodes would be
// half empty.
func insertAt[T any](s []T, i int, v T) []T {
	if len(s) == cap(s) {
		grown := slices.Grow([]T(nil), len(s)+len(s)/4+2)
		s = append(grown, s...)
	}
	s = s[:len(s)+1]
	copy(s[i+1:], s[i:])
	s[i] = v
	return s
}

// cutTail takes everything from index at off *s and returns it in an array of its
// own. The freed slots are cleared, for the collector.
func cutTail[T any](s *[]T, at int) []T {
	tail := slices.Clone((*s)[at:])
	clear((*s)[at:])
	*s = (*s)[:at]
	return tail
}
