package dict

import (
	"math/bits"
	"slices"
)

const (
	// maxLeaf fills a size class of the allocator with 24-byte elements (63*32 and
	// the collector's 8 bytes are 2024 of 2048); DESIGN.md has other sizes' costs.
	maxLeaf = 63
	// maxInner is the most children of an inner node.
	maxInner = 64
	// Below a quarter a node is merged or filled up from its neighbour. A higher
	// mark would make deletes and inserts in turn split and merge all the time.
	minLeaf, minInner = maxLeaf / 4, maxInner / 4
	// maxDepth holds more than 2^63 elements: every inner node but the root has at
	// least minInner children.
	maxDepth = 18
	// window is the number of slots that a search looks at around its guess.
	window = 16
)

// slot is an element and its position, side by side because a lookup in a large
// table costs what it misses in the cache: both are on the same line.
type slot[E Element] struct {
	pos uint64
	e   E
}

// node is a leaf (kids == nil) or an inner node. Its slices are its own: two nodes
// never share an array, so that changing one in place can't be seen in a copy.
type node[E Element] struct {
	epoch uint64
	slots []slot[E] // leaf only
	// Inner only. All elements below kids[i] are at or above the separator
	// (pos[i], keys[i]) and below the next one. Separator 0 is never looked at. A
	// key is empty unless elements on both sides share the position, and never
	// aliases an element's, which would keep a deleted value alive.
	kids   []*node[E]
	pos    []uint64
	keys   []string
	counts []int // elements below each child
}

// size is the number of elements at and below n.
func (n *node[E]) size() int {
	if n.kids == nil {
		return len(n.slots)
	}
	sum := 0
	for _, c := range n.counts {
		sum += c
	}
	return sum
}

// clone is a copy of n that shares no array with it.
func (n *node[E]) clone(epoch uint64) *node[E] {
	if n.kids == nil {
		return &node[E]{epoch: epoch, slots: slices.Clone(n.slots)}
	}
	return &node[E]{
		epoch: epoch, kids: slices.Clone(n.kids), pos: slices.Clone(n.pos),
		keys: slices.Clone(n.keys), counts: slices.Clone(n.counts),
	}
}

// bytesOrString lets Get compare its []byte with keys without making a string.
type bytesOrString interface{ ~string | ~[]byte }

// span is what the separators on the way down say about a leaf's positions:
// lo <= position <= hi.
type span struct{ lo, hi uint64 }

var everything = span{0, ^uint64(0)}

// guess is where x stands among n positions if they are spread evenly, as hashes are.
func (s span) guess(x uint64, n int) int {
	g := int(float64(x-s.lo) / float64(s.hi-s.lo) * float64(n))
	return max(0, min(g, n-1)) // also what an empty span gives
}

// firstSlot is the index of the first slot at or above position x. It counts those
// below x in a window around the guess, without a branch, so that the processor
// fetches all lines of the window at once; halving from the middle would wait for
// several lines of memory one after the other.
func (n *node[E]) firstSlot(x uint64, s span) int {
	p := n.slots
	lo, hi := 0, len(p)
	if hi > window {
		at := max(0, min(s.guess(x, hi)-window/2, hi-window))
		below := uint64(0)
		for _, sl := range p[at : at+window] {
			_, borrow := bits.Sub64(sl.pos, x, 0)
			below += borrow
		}
		switch i := at + int(below); {
		case below == 0:
			hi = i
		case below == window:
			lo = i
		default:
			return i
		}
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if p[mid].pos < x {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// firstAt is the index of the first position in p that is not below x. The loop
// compiles to a conditional move; inner nodes stay in the cache, so that a branch
// mispredicted every other time would be the larger cost.
func firstAt(p []uint64, x uint64) int {
	base, n := 0, len(p)
	for n > 1 {
		half := n >> 1
		if p[base+half-1] < x {
			base += half
		}
		n -= half
	}
	if n == 1 && p[base] < x {
		base++
	}
	return base
}

// elemIndex finds (pos, key) in a leaf, or where it would have to be inserted.
func elemIndex[E Element, K bytesOrString](n *node[E], pos uint64, key K, s span) (int, bool) {
	lo := n.firstSlot(pos, s)
	if lo == len(n.slots) || n.slots[lo].pos != pos {
		return lo, false
	}
	if n.slots[lo].e.Key() == string(key) {
		return lo, true
	}
	hi := lo + 1 // a run of equal positions is short, unless the caller wants it long
	for hi < len(n.slots) && n.slots[hi].pos == pos {
		hi++
	}
	end := hi
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.slots[mid].e.Key() < string(key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < end && n.slots[lo].e.Key() == string(key)
}

// childIndex is the index of the child that (pos, key) belongs to. It narrows s to
// what the separators say about that child.
func childIndex[E Element, K bytesOrString](n *node[E], pos uint64, key K, s *span) int {
	i := firstAt(n.pos[1:], pos) + 1 // the first separator at or above pos
	if i < len(n.pos) && n.pos[i] == pos {
		i = afterKey(n, i, string(key))
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
func afterKey[E Element](n *node[E], i int, key string) int {
	lo, hi := i, i+1
	for hi < len(n.pos) && n.pos[hi] == n.pos[i] {
		hi++
	}
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.keys[mid] <= key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// step is one inner node of a path from the root, and the child taken there.
type step[E Element] struct {
	n *node[E]
	i int
}

// path is the way from the root to a leaf.
type path[E Element] struct {
	steps [maxDepth]step[E]
	depth int
	leaf  *node[E]
	i     int // in the leaf: where the element is, or belongs
}

// find follows (pos, key) down from the root, which must not be nil.
func find[E Element, K bytesOrString](t *Table[E], p *path[E], pos uint64, key K) (found bool) {
	n, s := t.root, everything
	for n.kids != nil {
		i := childIndex(n, pos, key, &s)
		p.steps[p.depth] = step[E]{n, i}
		p.depth++
		n = n.kids[i]
	}
	p.leaf = n
	p.i, found = elemIndex(n, pos, key, s)
	return found
}

// own makes every node of the path writable: those that a snapshot may hold are
// replaced by copies.
func (t *Table[E]) own(p *path[E]) {
	if p.leaf.epoch == t.epoch {
		return // then all above it are of this epoch, too
	}
	hook := &t.root
	for d := range p.steps[:p.depth] {
		s := &p.steps[d]
		s.n = t.owned(hook)
		hook = &s.n.kids[s.i]
	}
	p.leaf = t.owned(hook)
}

// owned makes the node that hook points to writable.
func (t *Table[E]) owned(hook **node[E]) *node[E] {
	if (*hook).epoch != t.epoch {
		*hook = (*hook).clone(t.epoch)
	}
	return *hook
}
