package dict

// Delete removes the record at the cursor's place, if there is one.
func (c *Cursor[P]) Delete() (ok bool) {
	if !c.found || c.writes != c.t.writes {
		return false
	}
	c.own()
	c.findPath()
	c.t.writes++ // the cursor stands nowhere now
	c.leaf.remove(c.i)
	c.count(-1)
	c.shrink()
	return true
}

// shrink mends, from the leaf up, what has become too empty.
func (c *Cursor[P]) shrink() {
	n := c.leaf
	n.trim(&c.pages)
	d := c.depth - 1
	if d >= 0 && n.used() < minPage {
		c.t.moves++
		parent := c.steps[d].n
		if !c.joinLeaf(parent.in, c.steps[d].i) {
			return
		}
		n = parent
		for d--; d >= 0 && len(n.in.kids) < minInner; d-- {
			parent, i := c.steps[d].n, c.steps[d].i
			if i > 0 {
				i-- // with the left neighbour, or the right one of the first child
			}
			c.t.level(parent.in, i)
			n = parent
		}
	}
	root := &c.t.root
	for root.in != nil && len(root.in.kids) == 1 {
		*root = root.in.kids[0]
	}
	if root.in == nil && root.n == 0 {
		*root = node[P]{}
	}
}

// joinLeaf merges leaf i, which is nearly empty, with a neighbour where one has room,
// and says whether it could. What stays apart is together more than mergePage, so
// the leaves of a table are never mostly empty.
func (c *Cursor[P]) joinLeaf(parent *inner[P], i int) bool {
	kids := parent.kids
	if kids[i].n == 0 && len(kids) > 1 {
		parent.drop(i)
		return true
	}
	used := kids[i].used()
	switch {
	case i > 0 && kids[i-1].used()+used <= mergePage:
		i--
	case i+1 < len(kids) && kids[i+1].used()+used <= mergePage:
	default:
		return false
	}
	kids[i].join(&kids[i+1], &c.pages)
	kids[i].epoch = c.t.epochs.now
	parent.counts[i] += parent.counts[i+1]
	parent.drop(i + 1)
	return true
}

// level mends the inner nodes i and i+1 of parent, one of which has too few children:
// it merges them, or shares out evenly when together they are too many.
func (t *Table[P]) level(parent *inner[P], i int) {
	left, right := &parent.kids[i], &parent.kids[i+1]
	left.own(&t.epochs)
	at := len(left.in.kids)
	total := at + len(right.in.kids)
	left.in.append(right.in)
	// Separator 0 said nothing in its own node; now it must.
	left.in.pos[at], left.in.keys[at] = parent.pos[i+1], parent.keys[i+1]
	if total <= maxInner*3/4 { // leaves room, so that the next insert doesn't split again
		parent.counts[i] += parent.counts[i+1]
		parent.drop(i + 1)
		return
	}
	parent.pos[i+1], parent.keys[i+1] = left.in.pos[total/2], left.in.keys[total/2]
	*right = node[P]{epoch: t.epochs.now, in: left.in.cutTail(total / 2)}
	parent.counts[i], parent.counts[i+1] = left.size(), right.size()
}
