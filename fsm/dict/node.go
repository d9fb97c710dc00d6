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
	window = 8
)

// slot is an element and its position, side by side because a lookup in a large
// table costs what it misses in the cache: both are on the same line.
type slot[E Element] struct {
	pos uint64
	e   E
}

// node is a leaf (in == nil) or leads to an inner node. Nodes lie in their parent's
// array rather than behind pointers, which saves every lookup a miss in the cache.
//
// What a node refers to may be changed in place only in the epoch that it carries;
// otherwise it is copied first, and no array is ever shared by two copies.
type node[E Element] struct {
	epoch uint64
	slots []slot[E] // leaf only
	in    *inner[E]
}

// inner is an inner node: four slices of the same length. All elements below
// kids[i] are at or above the separator (pos[i], keys[i]) and below the next one.
type inner[E Element] struct {
	kids []node[E]
	// pos and keys are the separators; the first is never looked at. A key is empty
	// unless elements on both sides share the position, and never aliases an
	// element's, which would keep a deleted value alive.
	pos    []uint64
	keys   []string
	counts []int // elements below each child
}

// size is the number of elements at and below n.
func (n *node[E]) size() int {
	if n.in == nil {
		return len(n.slots)
	}
	sum := 0
	for _, c := range n.in.counts {
		sum += c
	}
	return sum
}

// own makes what n refers to writable. n itself must be already: it is the root, or
// lies in an array of a node that is owned.
func (n *node[E]) own(epoch uint64) {
	if n.epoch == epoch {
		return
	}
	n.epoch = epoch
	if n.in == nil {
		n.slots = slices.Clone(n.slots)
		return
	}
	n.in = &inner[E]{
		kids: slices.Clone(n.in.kids), pos: slices.Clone(n.in.pos),
		keys: slices.Clone(n.in.keys), counts: slices.Clone(n.in.counts),
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
		near := p[at : at+window]
		for i := range near {
			_, borrow := bits.Sub64(near[i].pos, x, 0)
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
func childIndex[E Element, K bytesOrString](n *inner[E], pos uint64, key K, s *span) int {
	i := firstAt(n.pos[1:], pos) + 1 // the first separator at or above pos
	if i < len(n.pos) && n.pos[i] == pos {
		i = afterKey(n, i, key)
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
func afterKey[E Element, K bytesOrString](n *inner[E], i int, key K) int {
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

// find follows (pos, key) down from the root.
func find[E Element, K bytesOrString](t *Table[E], p *path[E], pos uint64, key K) (found bool) {
	n, s := &t.root, everything
	for n.in != nil {
		i := childIndex(n.in, pos, key, &s)
		p.steps[p.depth] = step[E]{n, i}
		p.depth++
		n = &n.in.kids[i]
	}
	p.leaf = n
	p.i, found = elemIndex(n, pos, key, s)
	return found
}

// own makes every node of the path writable: what a snapshot may hold is replaced
// by copies.
func (t *Table[E]) own(p *path[E]) {
	n := &t.root
	for d := range p.steps[:p.depth] {
		s := &p.steps[d]
		s.n = n
		n.own(t.epoch)
		n = &n.in.kids[s.i]
	}
	n.own(t.epoch)
	p.leaf = n
}
