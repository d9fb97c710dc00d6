package dict

import "slices"

const (
	// maxLeaf fills a size class of the allocator with 24-byte elements (85*24 and
	// the collector's 8 bytes are 2048), see DESIGN.md for what other sizes cost.
	maxLeaf = 85
	// maxInner is the most children of an inner node.
	maxInner = 64
	// Below a quarter a node is merged or filled up from its neighbour. A higher
	// mark would make deletes and inserts in turn split and merge all the time.
	minLeaf, minInner = maxLeaf / 4, maxInner / 4
	// maxDepth holds more than 2^63 elements: every inner node but the root has at
	// least minInner children.
	maxDepth = 18
)

// node is a leaf (kids == nil) or an inner node. Its slices are its own: two nodes
// never share an array, so that changing one in place can't be seen in a copy.
type node[E Element] struct {
	epoch uint64
	// pos holds the elements' positions in a leaf, the separators' in an inner node.
	// They have an array of their own because a search reads nothing else.
	pos   []uint64
	elems []E // leaf only
	// Inner only. All elements below kids[i] are at or above the separator
	// (pos[i], keys[i]) and below the next one. Separator 0 is never looked at. A
	// key is empty unless elements on both sides share the position, and never
	// aliases an element's, which would keep a deleted value alive.
	kids   []*node[E]
	keys   []string
	counts []int // elements below each child
}

// size is the number of elements at and below n.
func (n *node[E]) size() int {
	if n.kids == nil {
		return len(n.elems)
	}
	sum := 0
	for _, c := range n.counts {
		sum += c
	}
	return sum
}

// clone is a copy of n that shares no array with it.
func (n *node[E]) clone(epoch uint64) *node[E] {
	c := &node[E]{epoch: epoch, pos: slices.Clone(n.pos)}
	if n.kids == nil {
		c.elems = slices.Clone(n.elems)
		return c
	}
	c.kids, c.keys, c.counts = slices.Clone(n.kids), slices.Clone(n.keys), slices.Clone(n.counts)
	return c
}

// bytesOrString lets Get compare its []byte with keys without making a string.
type bytesOrString interface{ ~string | ~[]byte }

// lowerBound is the index of the first position that is not below x. The loop
// compiles to a conditional move: positions are hashes, so that a branch would be
// mispredicted every other time.
func lowerBound(p []uint64, x uint64) int {
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
func elemIndex[E Element, K bytesOrString](n *node[E], pos uint64, key K) (int, bool) {
	lo := lowerBound(n.pos, pos)
	if lo == len(n.pos) || n.pos[lo] != pos {
		return lo, false
	}
	if n.elems[lo].Key() == string(key) {
		return lo, true
	}
	hi := lo + 1 // a run of equal positions is short, unless the caller wants it long
	for hi < len(n.pos) && n.pos[hi] == pos {
		hi++
	}
	end := hi
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if n.elems[mid].Key() < string(key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < end && n.elems[lo].Key() == string(key)
}

// childIndex is the index of the child that (pos, key) belongs to.
func childIndex[E Element, K bytesOrString](n *node[E], pos uint64, key K) int {
	i := lowerBound(n.pos[1:], pos) + 1 // the first separator at or above pos
	if i == len(n.pos) || n.pos[i] != pos {
		return i - 1
	}
	lo, hi := i, i+1
	for hi < len(n.pos) && n.pos[hi] == pos {
		hi++
	}
	for lo < hi { // the first separator above (pos, key)
		mid := int(uint(lo+hi) >> 1)
		if n.keys[mid] <= string(key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
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
	n := t.root
	for n.kids != nil {
		i := childIndex(n, pos, key)
		p.steps[p.depth] = step[E]{n, i}
		p.depth++
		n = n.kids[i]
	}
	p.leaf = n
	p.i, found = elemIndex(n, pos, key)
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
