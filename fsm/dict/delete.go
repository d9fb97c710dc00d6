package dict

import "slices"

// Delete removes the element at pos with that key and returns it.
func (t *Table[E]) Delete(pos uint64, key []byte) (old E, ok bool) {
	t.mustBeWritable()
	if t.root == nil {
		return old, false
	}
	var p path[E]
	if !find(t, &p, pos, key) {
		return old, false
	}
	t.own(&p)
	old = p.leaf.slots[p.i].e
	p.leaf.slots = slices.Delete(p.leaf.slots, p.i, p.i+1) // clears the freed slot
	t.size--
	for _, s := range p.steps[:p.depth] {
		s.n.counts[s.i]--
	}
	t.shrink(&p)
	return old, true
}

// shrink mends, from the leaf up, what has become too empty.
func (t *Table[E]) shrink(p *path[E]) {
	n, least := p.leaf, minLeaf
	for d := p.depth - 1; d >= 0; d-- {
		if n.width() >= least {
			return
		}
		parent, i := p.steps[d].n, p.steps[d].i
		if i > 0 {
			i-- // with the left neighbour, or the right one of the first child
		}
		t.level(parent, i)
		n, least = parent, minInner
	}
	switch { // n is the root
	case n.kids != nil && len(n.kids) == 1:
		t.root = n.kids[0]
	case n.kids == nil && len(n.slots) == 0:
		t.root = nil
	}
}

// width is the number of elements of a leaf, or of children of an inner node.
func (n *node[E]) width() int { return len(n.slots) + len(n.kids) }

// level mends the children i and i+1 of parent, one of which is too empty: it
// merges them, or shares out evenly when together they are too many.
func (t *Table[E]) level(parent *node[E], i int) {
	left, right := t.owned(&parent.kids[i]), t.owned(&parent.kids[i+1])
	most := maxLeaf
	if left.kids != nil {
		most = maxInner
		// Separator 0 says nothing inside its node, but does after the merge.
		right.pos[0], right.keys[0] = parent.pos[i+1], parent.keys[i+1]
	}
	total := left.width() + right.width()
	left.take(right)
	if total <= most*3/4 { // leaves room, so that the next insert doesn't split again
		parent.removeKid(i + 1)
		parent.counts[i] = left.size()
		return
	}
	right.refill(left, total/2)
	if left.kids == nil {
		parent.pos[i+1], parent.keys[i+1] = separator(left, right)
	} else {
		parent.pos[i+1], parent.keys[i+1] = right.pos[0], right.keys[0]
		right.keys[0] = ""
	}
	parent.counts[i], parent.counts[i+1] = left.size(), right.size()
}

// take appends all that right holds; right is dropped or refilled afterwards.
func (n *node[E]) take(right *node[E]) {
	n.pos = append(n.pos, right.pos...)
	n.slots = append(n.slots, right.slots...)
	n.kids = append(n.kids, right.kids...)
	n.keys = append(n.keys, right.keys...)
	n.counts = append(n.counts, right.counts...)
}

// refill makes n hold what stands in left from index at, and only that.
func (n *node[E]) refill(left *node[E], at int) {
	if left.kids == nil {
		n.slots = cutTail(&left.slots, at)
		return
	}
	n.kids, n.pos = cutTail(&left.kids, at), cutTail(&left.pos, at)
	n.keys, n.counts = cutTail(&left.keys, at), cutTail(&left.counts, at)
}

// removeKid takes a child and its separator out of an inner node.
func (n *node[E]) removeKid(i int) {
	n.pos = slices.Delete(n.pos, i, i+1)
	n.keys = slices.Delete(n.keys, i, i+1)
	n.kids = slices.Delete(n.kids, i, i+1)
	n.counts = slices.Delete(n.counts, i, i+1)
}
