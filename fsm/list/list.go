// Package list is the value of a Redis list: elements by their index. They lie in
// packed pages below a counted tree that copies what it changes, so that a list of any
// length is cloned in constant time and both its ends are near. DESIGN.md says why. It
// knows no keys, no commands and no replies.
package list

// List is such a value; the zero List is empty and ready for use. What its methods
// return points into it and is valid until the next change. Indexes count from 0 and
// must be those of elements, or the end where an element is put before one. What is put
// in is copied.
type List struct {
	root  node
	n     int
	epoch uint64 // of what may be changed in place
	bytes int    // what the elements take
	large int    // elements with a page of their own
}

// Len is the number of elements.
func (l *List) Len() int { return l.n }

// Size is the memory it takes, in bytes: an estimate that follows from the elements
// alone, so that it is the same on every replica.
func (l *List) Size() int {
	const self, ofLarge = 112, 72
	return self + l.bytes + l.bytes/8 + l.large*ofLarge
}

// Cost is the most that an element of n bytes adds to Size.
func Cost(n int) int { return n + n/8 + 74 }

// Ends is the memory at both ends of a short list, for who wants to look at it ahead.
func (l *List) Ends() (front, back []byte) {
	p := &l.root.page
	if l.root.in != nil || p.large {
		return nil, nil
	}
	const line = 64
	return p.buf[p.lo:min(p.lo+line, p.hi)], p.buf[max(p.lo, p.hi-line):p.hi]
}

// At returns element i.
func (l *List) At(i int) []byte {
	n, at := l.leaf(i, false)
	return n.at(at)
}

// PushFront puts an element before all others.
func (l *List) PushFront(v []byte) { l.Insert(0, v) }

// PushBack puts an element behind all others.
func (l *List) PushBack(v []byte) { l.Insert(l.n, v) }

// Insert puts an element before element i, or at the end.
func (l *List) Insert(i int, v []byte) {
	l.remember(v)
	n, at := l.leaf(i, true)
	left := n.fits(v)
	if !left && at == int(n.n) && i < l.n { // it may as well be the first of the next leaf
		n, _ = l.leaf(i, false)
	}
	if !n.fits(v) {
		l.place(i, v)
		return
	}
	n, at = l.edit(i, left, 1)
	n.insert(at, v)
}

// remember counts what an element takes.
func (l *List) remember(v []byte) {
	if len(v) > maxPacked {
		l.large++
		l.bytes += len(v)
	} else {
		l.bytes += itemSize(len(v))
	}
}

// Set puts another element in place of element i.
func (l *List) Set(i int, v []byte) {
	n, at := l.leaf(i, false)
	old := n.at(at)
	more := itemSize(len(v)) - itemSize(len(old))
	if n.large || len(v) > maxPacked || n.used()+more > maxPage {
		l.Delete(i, i+1)
		l.Insert(i, v)
		return
	}
	n, at = l.edit(i, false, 0)
	n.replace(at, v)
	l.bytes += more
}

// Delete takes out the elements from index from up to, not including, to.
func (l *List) Delete(from, to int) {
	switch {
	case from >= to:
		return
	case to-from == l.n:
		*l = List{epoch: l.epoch, root: node{epoch: l.epoch}}
		return
	}
	l.own(&l.root)
	l.cutBelow(&l.root, from, to, l.n)
	l.n -= to - from
	l.lower()
}

// Remove takes out elements equal to v and returns how many: most, or all if most is
// negative; the first ones, or the last ones if last is set.
func (l *List) Remove(v []byte, most int, last bool) (removed int) {
	if most < 0 {
		most = l.n
	}
	if last {
		for i := l.n; i > 0 && removed < most; {
			_, at := l.leaf(i-1, false)
			i -= at + 1
			removed += l.removeIn(i, removal{v, 0, at + 1, most - removed, true})
		}
		return removed
	}
	for i := 0; i < l.n && removed < most; {
		n, at := l.leaf(i, false)
		end := int(n.n)
		gone := l.removeIn(i, removal{v, at, end, most - removed, false})
		i += end - at - gone
		removed += gone
	}
	return removed
}

// Ascend calls fn for the elements from index i on, in order, until fn returns false.
func (l *List) Ascend(i int, fn func(v []byte) bool) {
	if i < l.n {
		l.root.ascend(i, l.n, fn)
	}
}

// Descend calls fn for element i and those before it, the last one first, until fn
// returns false.
func (l *List) Descend(i int, fn func(v []byte) bool) {
	if i >= 0 {
		l.root.descend(i+1, l.n, fn)
	}
}

// Clone returns an equal list that may be changed without the receiver's seeing it. The
// receiver must not be changed any more. It takes constant time: the clone copies each
// page before its first change.
func (l *List) Clone() *List {
	c := *l
	c.epoch++
	return &c
}
