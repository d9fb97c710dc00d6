package dict

import (
	"slices"
	"strings"
)

// Put stores e at pos and returns the element with the same key that was there.
func (t *Table[E]) Put(pos uint64, e E) (old E, replaced bool) {
	t.mustBeWritable()
	var p path[E]
	found := find(t, &p, pos, e.Key())
	t.own(&p)
	if found {
		s := &p.leaf.slots[p.i]
		old, s.e = s.e, e
		return old, true
	}
	t.size++
	for _, s := range p.steps[:p.depth] {
		s.n.in.counts[s.i]++
	}
	if s := (slot[E]{pos, e}); len(p.leaf.slots) < maxLeaf {
		p.leaf.slots = insertAt(p.leaf.slots, p.i, s)
	} else {
		t.splitLeaf(&p, s)
	}
	return old, false
}

func (t *Table[E]) mustBeWritable() {
	if t.frozen {
		panic("dict: write to a snapshot")
	}
}

// insertAt is slices.Insert with growth by a quarter, not to double: leaves would
// be half empty, and they are most of the memory.
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

// splitLeaf inserts into a full leaf.
func (t *Table[E]) splitLeaf(p *path[E], s slot[E]) {
	left := p.leaf
	at := p.cut(len(left.slots))
	right := node[E]{epoch: t.epoch, slots: cutTail(&left.slots, at)}
	if p.i < at || at == 0 {
		left.slots = insertAt(left.slots, p.i, s)
	} else {
		right.slots = insertAt(right.slots, p.i-at, s)
	}
	pos, key := separator(left.slots, right.slots)
	t.addSibling(p, right, pos, key)
}

// cut is where to split a full leaf: in the middle, but at the ends of the table
// beside the new element, so that ascending or descending inserts leave full leaves.
func (p *path[E]) cut(n int) int {
	first, last := p.i == 0, p.i == n
	for _, s := range p.steps[:p.depth] {
		first = first && s.i == 0
		last = last && s.i == len(s.n.in.kids)-1
	}
	switch {
	case first:
		return 0
	case last:
		return n
	}
	return n / 2
}

// cutTail takes everything from index at off *s and returns it in an array of its
// own. The freed slots are cleared, for the collector.
func cutTail[T any](s *[]T, at int) []T {
	tail := slices.Clone((*s)[at:])
	clear((*s)[at:])
	*s = (*s)[:at]
	return tail
}

// separator is the bound between two neighbouring leaves.
func separator[E Element](left, right []slot[E]) (uint64, string) {
	last, first := left[len(left)-1], right[0]
	if last.pos != first.pos {
		return first.pos, ""
	}
	a, b := last.e.Key(), first.e.Key()
	n := 0 // the shortest prefix of b above a is enough, and doesn't keep b alive
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return first.pos, strings.Clone(b[:n+1])
}

// addSibling hangs a new node right beside the leaf of the path, and splits the
// inner nodes above as far as they are full.
func (t *Table[E]) addSibling(p *path[E], right node[E], pos uint64, key string) {
	for d := p.depth - 1; d >= 0; d-- {
		n, i := p.steps[d].n.in, p.steps[d].i
		n.counts[i] = n.kids[i].size()
		n.insertKid(i+1, pos, key, right)
		if len(n.kids) <= maxInner {
			return
		}
		at := len(n.kids) / 2
		if i+2 == len(n.kids) && p.rightmost(d) {
			at = len(n.kids) - minInner // ascending inserts leave full nodes behind
		}
		pos, key = n.pos[at], n.keys[at]
		right = node[E]{epoch: t.epoch, in: n.cutTail(at)}
	}
	left := t.root
	t.root = node[E]{epoch: t.epoch, in: &inner[E]{
		kids: []node[E]{left, right}, pos: []uint64{0, pos}, keys: []string{"", key},
		counts: []int{left.size(), right.size()},
	}}
}

// cutTail takes the children from index at off n.
func (n *inner[E]) cutTail(at int) *inner[E] {
	tail := &inner[E]{
		kids: cutTail(&n.kids, at), pos: cutTail(&n.pos, at),
		keys: cutTail(&n.keys, at), counts: cutTail(&n.counts, at),
	}
	tail.keys[0] = ""
	return tail
}

// rightmost says whether the inner node at depth d is the last one of its level.
func (p *path[E]) rightmost(d int) bool {
	for _, s := range p.steps[:d] {
		if s.i != len(s.n.in.kids)-1 {
			return false
		}
	}
	return true
}

// insertKid puts a child and its separator into an inner node.
func (n *inner[E]) insertKid(i int, pos uint64, key string, kid node[E]) {
	n.pos = insertAt(n.pos, i, pos)
	n.keys = insertAt(n.keys, i, key)
	n.kids = insertAt(n.kids, i, kid)
	n.counts = insertAt(n.counts, i, kid.size())
}
