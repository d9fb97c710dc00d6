package dict

// DropFirst removes the first n records of a table. It takes no time for each of them:
// whole subtrees are let go, O(log n) nodes are mended. The cursor stands nowhere
// afterwards.
func (c *Cursor[P]) DropFirst(t *Table[P], n int) {
	if t.frozen {
		panic("dict: write to a snapshot")
	}
	if n <= 0 {
		return
	}
	t.writes++
	t.moves++
	if n >= t.size {
		t.root, t.size = node[P]{}, 0
		return
	}
	t.size -= n
	t.root.dropFirst(n, &t.epochs)
	c.t, c.writes, c.found = t, t.writes-1, false
	c.mendFirst()
}

// dropFirst removes the first k records at and below n, which has more of them.
func (n *node[P]) dropFirst(k int, epochs *Epochs) {
	n.own(epochs)
	if n.in == nil {
		n.removeFirst(k)
		return
	}
	i := 0
	for ; k >= n.in.counts[i]; i++ {
		k -= n.in.counts[i]
	}
	if i > 0 {
		n.in = n.in.cutTail(i) // in arrays of its own: the old ones may be large
	}
	if k > 0 {
		n.in.kids[0].dropFirst(k, epochs)
		n.in.counts[0] -= k
	}
}

// removeFirst takes the first k records out of a leaf.
func (n *node[P]) removeFirst(k int) {
	for i := range k {
		n.dead += uint32(n.sizeOf(i))
	}
	copy(n.page, n.page[k*slotSize:int(n.n)*slotSize])
	n.n -= uint32(k)
	if n.refs != nil {
		n.refs = &refs[P]{of: append([]*P(nil), n.refs.of[k:]...)}
	}
}

// mendFirst mends what DropFirst left too empty: only the first node of each level can
// be. What is mended from above may leave its parent too few children, so it begins
// again after each change.
func (c *Cursor[P]) mendFirst() {
	root := &c.t.root
	for again := true; again; {
		again = false
		for root.in != nil && len(root.in.kids) == 1 {
			*root = root.in.kids[0]
		}
		n := root
		for ; n.in != nil && !again; n = &n.in.kids[0] {
			n.own(&c.t.epochs)
			kid := &n.in.kids[0]
			kid.own(&c.t.epochs)
			switch {
			case kid.in != nil && len(kid.in.kids) < minInner:
				c.t.level(n.in, 0)
				again = true
			case kid.in == nil:
				kid.trim(&c.pages)
				again = kid.used() < minPage && c.joinLeaf(n.in, 0)
			}
		}
		if root.in == nil {
			root.own(&c.t.epochs)
			root.trim(&c.pages)
		}
	}
}
