package dict

import (
	"bytes"
	"slices"
)

// Cursor is a writer's finger on one place of a table: where a record is, or where it
// belongs. Seek puts it there; what is then read and written costs no second search.
// The zero value is ready for use. It is large, so it is to be kept.
type Cursor[P any] struct {
	t      *Table[P]
	pos    uint64
	writes uint64 // the table's, when the cursor was put here
	found  bool
	// lone says that no record has this position, so that a key belongs here whatever
	// it is.
	lone bool

	steps [maxDepth]step[P]
	depth int // of steps; noPath where the way to the leaf is not known
	leaf  *node[P]
	i     int  // in the leaf: where the record is, or belongs
	pages pool // of this cursor's table, or another one's: it makes no difference
}

// noPath is the depth of a cursor that a Probe brought to its leaf.
const noPath = -1

// step is one inner node of the way from the root, and the child taken there.
type step[P any] struct {
	n *node[P]
	i int
}

// Seek puts the cursor to (pos, key) and says whether a record is there. Where the
// cursor is at this place already, it costs nothing. p is a probe of that place which
// has been warmed, or nil.
func (c *Cursor[P]) Seek(t *Table[P], pos uint64, key []byte, p *Probe[P]) (ok bool) {
	switch {
	case c.t == t && c.writes == t.writes && c.pos == pos && c.stays(key):
	case p.leads(t, pos, key):
		c.t, c.pos, c.writes = t, pos, t.writes
		c.leaf, c.i, c.found, c.lone, c.depth = p.node, p.i, true, false, noPath
	default:
		c.t = t
		c.seek(pos, key)
	}
	return c.found
}

// Record is the record at the cursor's place; there must be one.
func (c *Cursor[P]) Record() Record[P] { return c.leaf.record(c.i) }

// Data is the data of that record, and its pointer.
func (c *Cursor[P]) Data() ([]byte, *P) {
	n := c.leaf
	b := n.raw(c.i)
	head, k, d := lengths(b)
	if n.refs != nil {
		return b[head+k : head+k+d], n.refs.of[c.i]
	}
	return b[head+k : head+k+d], nil
}

// stays says whether a key of the cursor's own position belongs where it is.
func (c *Cursor[P]) stays(key []byte) bool {
	if c.found {
		return bytes.Equal(c.leaf.key(c.i), key)
	}
	return c.lone
}

func (c *Cursor[P]) seek(pos uint64, key []byte) {
	n, s, d := &c.t.root, everything, 0
	for n.in != nil {
		i := n.in.child(pos, key, &s)
		c.steps[d] = step[P]{n, i}
		d++
		n = &n.in.kids[i]
	}
	c.leaf, c.depth = n, d
	c.pos, c.writes = pos, c.t.writes
	c.i, c.found = n.find(pos, key, s)
	// Neighbours in other leaves may share the position only if a separator does.
	c.lone = !c.found && s.lo < pos && pos < s.hi &&
		(c.i == 0 || n.pos(c.i-1) != pos) && (c.i == int(n.n) || n.pos(c.i) != pos)
}

// Put stores a record at the cursor's place, in place of the one that is there. Its
// data are head and data, one behind the other. key must be the one that was sought.
// What data points to must not be the table's own memory.
func (c *Cursor[P]) Put(key, head, data []byte, ref *P) {
	c.own()
	c.t.writes++
	if !c.found {
		c.insert(key, head, data, ref)
		return
	}
	c.writes = c.t.writes
	n := c.leaf
	if n.overwrite(c.i, head, data) {
		n.setRef(c.i, ref)
		return
	}
	switch size := recordSize(len(key), len(head)+len(data)); {
	case n.n == 1 || n.used()-n.sizeOf(c.i)+size <= fullPage:
		c.replace(key, head, data, ref)
	default: // the page has to be split
		c.findPath()
		n.remove(c.i)
		c.count(-1)
		c.found = false
		c.insert(key, head, data, ref)
	}
}

// replace writes the record anew, with data of another length.
func (c *Cursor[P]) replace(key, head, data []byte, ref *P) {
	n := c.leaf
	longer := recordSize(len(key), len(head)+len(data)) - n.sizeOf(c.i)
	n.makeRoom(longer, (n.used()+longer)/8, &c.pages)
	n.writeAt(n.shift(c.i, longer), key, head, data)
	n.setRef(c.i, ref)
	n.trim(&c.pages)
}

// Append puts tail behind the data of the record at the cursor's place, and head in place
// of as many bytes at their beginning, without a copy of the others unless its page is
// full. There must be a record, with key as its key and data no shorter than head. None of
// the three may be the table's own memory.
func (c *Cursor[P]) Append(key, head, tail []byte) {
	c.own()
	n := c.leaf
	old, ref := c.Data()
	longer := recordSize(len(key), len(old)+len(tail)) - recordSize(len(key), len(old))
	if n.n > 1 && n.used()+longer > fullPage { // the page has to be split
		c.Put(key, head, slices.Concat(old[len(head):], tail), ref)
		return
	}
	c.t.writes++
	c.writes = c.t.writes
	n.makeRoom(longer, (n.used()+longer)/8, &c.pages)
	n.extend(c.i, longer, head, tail)
}

// Patch puts other bytes into the data of the record at the cursor's place: head at their
// beginning, and part at an offset. There must be a record, and both must lie in its data;
// neither may be the table's own memory.
func (c *Cursor[P]) Patch(head []byte, at int, part []byte) {
	c.own()
	c.t.writes++
	c.writes = c.t.writes
	data, _ := c.Data()
	copy(data, head)
	copy(data[at:], part)
}

// SeekEnd puts the cursor to where (pos, key) belongs, behind all records of the
// table, and says whether it belongs there: if not, the cursor is of no use. With Put
// it is the fast way to build a table from records that come in order.
func (c *Cursor[P]) SeekEnd(t *Table[P], pos uint64, key []byte) bool {
	if c.t != t || c.writes != t.writes || c.depth == noPath || c.i != int(c.leaf.n)-1 || !c.rightmost() {
		c.t = t
		c.seekLast()
	}
	if n := c.leaf; c.i >= 0 {
		if last := n.pos(c.i); pos < last || pos == last && bytes.Compare(key, n.key(c.i)) <= 0 {
			return false
		}
	}
	c.pos, c.found, c.lone, c.i = pos, false, false, c.i+1
	return true
}

// seekLast puts the cursor to the last record; in an empty table before all.
func (c *Cursor[P]) seekLast() {
	n, d := &c.t.root, 0
	for n.in != nil {
		i := len(n.in.kids) - 1
		c.steps[d] = step[P]{n, i}
		d++
		n = &n.in.kids[i]
	}
	c.leaf, c.depth, c.i = n, d, int(n.n)-1
	c.found, c.lone, c.writes = false, false, c.t.writes
	if c.i >= 0 {
		c.pos, c.found = n.pos(c.i), true
	}
}

// own makes all that the cursor stands on writable: what a snapshot may hold is
// replaced by copies.
func (c *Cursor[P]) own() {
	t := c.t
	if t.frozen {
		panic("dict: write to a snapshot")
	}
	if c.leaf.epoch == t.epochs.now { // no node is older than those below it
		return
	}
	c.findPath()
	t.moves++
	n := &t.root
	for d := range c.steps[:c.depth] {
		s := &c.steps[d]
		s.n = n
		n.own(&t.epochs)
		n = &n.in.kids[s.i]
	}
	n.own(&t.epochs)
	c.leaf = n
}

// findPath finds the way to the record where the cursor is, if it is not known.
func (c *Cursor[P]) findPath() {
	if c.depth == noPath {
		c.seek(c.pos, c.leaf.key(c.i))
	}
}

// count notes that the cursor's leaf got or lost a record.
func (c *Cursor[P]) count(by int) {
	c.t.size += by
	for _, s := range c.steps[:c.depth] {
		s.n.in.counts[s.i] += by
	}
}

// insert makes a record at the cursor's place, which it owns.
func (c *Cursor[P]) insert(key, head, data []byte, ref *P) {
	size := recordSize(len(key), len(head)+len(data))
	for {
		n := c.leaf
		total, last := n.used()+slotSize+size, c.i == int(n.n)
		atEnd := last && c.rightmost() // more will come here
		if n.n == 0 || total <= fullPage || atEnd && total <= maxPage {
			spare := total / 8
			if atEnd {
				spare = total
			}
			n.makeRoom(slotSize+size, spare, &c.pages)
			n.insert(c.i, c.pos, n.write(key, head, data), ref)
			c.count(1)
			c.found, c.lone, c.writes = true, false, c.t.writes
			return
		}
		big := size > maxPage/4 // one that would split again what is halved
		switch {
		case n.n == 1, atEnd, c.i == 0 && c.leftmost(), big && (last || c.i == 0):
			c.insertAside(key, head, data, ref)
			return
		case big:
			c.split(c.i)
		default:
			c.split(n.middle())
		}
		c.seek(c.pos, key)
	}
}

// split cuts the cursor's leaf in two, before record i.
func (c *Cursor[P]) split(i int) {
	left := c.leaf
	right := left.split(i, &c.pages)
	last := int(left.n) - 1
	pos, sep := separator(left.pos(last), left.key(last), right.pos(0), right.key(0))
	c.addSibling(right, pos, sep)
}

// insertAside gives the record a leaf of its own beside the cursor's, which is full:
// ascending and descending inserts leave full leaves behind.
func (c *Cursor[P]) insertAside(key, head, data []byte, ref *P) {
	n := c.leaf
	fresh := node[P]{epoch: c.t.epochs.now}
	size := recordSize(len(key), len(head)+len(data))
	fresh.makeRoom(slotSize+size, size/8, &c.pages)
	fresh.insert(0, c.pos, fresh.write(key, head, data), ref)
	c.t.size++
	var pos uint64
	var sep string
	if c.i > 0 {
		pos, sep = separator(n.pos(int(n.n)-1), n.key(int(n.n)-1), c.pos, key)
	} else {
		pos, sep = separator(c.pos, key, n.pos(0), n.key(0))
		*n, fresh = fresh, *n
	}
	for _, s := range c.steps[:max(c.depth-1, 0)] { // the last one counts its children anew
		s.n.in.counts[s.i]++
	}
	c.addSibling(fresh, pos, sep)
	c.t.writes++ // the cursor stands nowhere now
}

// rightmost says whether the cursor's leaf is the last one.
func (c *Cursor[P]) rightmost() bool { return c.outermost(c.depth, true) }

// leftmost says whether the cursor's leaf is the first one.
func (c *Cursor[P]) leftmost() bool { return c.outermost(c.depth, false) }

// outermost says whether the node at that depth is the last of its level, or the
// first one.
func (c *Cursor[P]) outermost(depth int, last bool) bool {
	for _, s := range c.steps[:depth] {
		if last && s.i != len(s.n.in.kids)-1 || !last && s.i != 0 {
			return false
		}
	}
	return true
}

// separator is the bound between two neighbouring leaves: where they share a
// position, the shortest prefix of the second one's first key that is above the
// first one's last key. It is a copy, so it keeps no page alive.
func separator(lastPos uint64, last []byte, pos uint64, key []byte) (uint64, string) {
	if lastPos != pos {
		return pos, ""
	}
	n := 0
	for n < len(last) && last[n] == key[n] {
		n++
	}
	return pos, string(key[:n+1])
}

// addSibling hangs a new node right beside the cursor's leaf, and splits the inner
// nodes above as far as they are full.
func (c *Cursor[P]) addSibling(right node[P], pos uint64, sep string) {
	t := c.t
	t.moves++
	for d := c.depth - 1; d >= 0; d-- {
		n, i := c.steps[d].n.in, c.steps[d].i
		n.counts[i] = n.kids[i].size()
		n.insertKid(i+1, pos, sep, right)
		if len(n.kids) <= maxInner {
			return
		}
		at := len(n.kids) / 2
		if i+2 == len(n.kids) && c.outermost(d, true) {
			at = len(n.kids) - minInner // ascending inserts leave full nodes behind
		}
		pos, sep = n.pos[at], n.keys[at]
		right = node[P]{epoch: t.epochs.now, in: n.cutTail(at)}
	}
	left := t.root
	t.root = node[P]{epoch: t.epochs.now, in: &inner[P]{
		kids: []node[P]{left, right}, pos: []uint64{0, pos}, keys: []string{"", sep},
		counts: []int{left.size(), right.size()},
	}}
}
