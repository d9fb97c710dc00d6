package dict

import "slices"

// Delete removes the element at pos with that key and returns it.
func (t *Table[E]) Delete(pos uint64, key []byte) (old E, ok bool) {
	t.mustBeWritable()
	var p path[E]
	if !find(t, &p, pos, key) {
		return old, false
	}
	t.own(&p)
	old = p.leaf.slots[p.i].e
	p.leaf.slots = slices.Delete(p.leaf.slots, p.i, p.i+1) // clears the freed slot
	t.size--
	for _, s := range p.steps[:p.depth] {
		s.n.in.counts[s.i]--
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
		t.level(parent.in, i)
		n, least = parent, minInner
	}
	switch { // n is the root
	case n.in != nil && len(n.in.kids) == 1:
		*n = n.in.kids[0]
	case n.in == nil && len(n.slots) == 0:
		*n = node[E]{}
	}
}

// width is the number of elements of a leaf, or of children of an inner node.
func (n *node[E]) width() int {
	if n.in == nil {
		return len(n.slots)
	}
	return len(n.in.kids)
}

// level mends the children i and i+1 of parent, one of which is too empty: it
// merges them, or shares out evenly when together they are too many.
func (t *Table[E]) level(parent *inner[E], i int) {
	left, right := &parent.kids[i], &parent.kids[i+1]
	left.own(t.epoch)
	total := left.width() + right.width()
	if left.in == nil {
		left.slots = append(left.slots, right.slots...)
		if total <= maxLeaf*3/4 { // leaves room, so that the next insert doesn't split again
			parent.drop(i + 1)
			return
		}
		*right = node[E]{epoch: t.epoch, slots: cutTail(&left.slots, total/2)}
		parent.pos[i+1], parent.keys[i+1] = separator(left.slots, right.slots)
	} else {
		at := len(left.in.kids)
		left.in.append(right.in)
		// Separator 0 said nothing in its own node; now it must.
		left.in.pos[at], left.in.keys[at] = parent.pos[i+1], parent.keys[i+1]
		if total <= maxInner*3/4 {
			parent.drop(i + 1)
			return
		}
		parent.pos[i+1], parent.keys[i+1] = left.in.pos[total/2], left.in.keys[total/2]
		*right = node[E]{epoch: t.epoch, in: left.in.cutTail(total / 2)}
	}
	parent.counts[i], parent.counts[i+1] = left.size(), right.size()
}

// append adds the children of right, which must not be used afterwards.
func (n *inner[E]) append(right *inner[E]) {
	n.kids = append(n.kids, right.kids...)
	n.pos = append(n.pos, right.pos...)
	n.keys = append(n.keys, right.keys...)
	n.counts = append(n.counts, right.counts...)
}

// drop takes out child i, whose elements its left neighbour has taken over.
func (n *inner[E]) drop(i int) {
	n.counts[i-1] += n.counts[i]
	n.kids = slices.Delete(n.kids, i, i+1)
	n.pos = slices.Delete(n.pos, i, i+1)
	n.keys = slices.Delete(n.keys, i, i+1)
	n.counts = slices.Delete(n.counts, i, i+1)
}
