package list

import "slices"

const (
	// maxKids is the most children of an inner node. One of less than minKids is joined
	// with a neighbour where both together have at most joinKids.
	maxKids           = 64
	minKids, joinKids = maxKids / 4, maxKids * 3 / 4
)

// node is a leaf, which is a page (in == nil), or leads to an inner node. Nodes lie in
// their parent's array. What a node refers to may be changed in place only where the
// node carries its list's epoch; no array is ever shared by two lists of one epoch.
type node struct {
	in    *inner
	epoch uint64
	page  // of a leaf
}

// inner is an inner node: two slices of the same length, not empty.
type inner struct {
	kids   []node
	counts []int // elements below each
}

// size is the number of elements at and below n.
func (n *node) size() int {
	if n.in == nil {
		return int(n.n)
	}
	sum := 0
	for _, c := range n.in.counts {
		sum += c
	}
	return sum
}

// own makes what n refers to writable. n itself must be already: it is the root, or
// lies in an array of a node that is owned.
func (l *List) own(n *node) {
	if n.epoch == l.epoch {
		return
	}
	n.epoch = l.epoch
	switch {
	case n.in != nil:
		n.in = &inner{kids: slices.Clone(n.in.kids), counts: slices.Clone(n.in.counts)}
	case !n.large:
		buf := make([]byte, len(n.buf))
		copy(buf[n.lo:], n.buf[n.lo:n.hi])
		n.buf = buf
	}
}

// child is the index of the child that has element i, and the element's index there.
// Behind the last element of a child comes the first of the next; as is that index
// itself, where it is the end of a child, if left is set.
func (in *inner) child(i, size int, left bool) (k, at int) {
	if i > size/2 { // both ends are near
		k = len(in.counts) - 1
		rest := size - in.counts[k]
		for i < rest || left && i == rest && k > 0 {
			k--
			rest -= in.counts[k]
		}
		return k, i - rest
	}
	for k < len(in.counts)-1 && (i > in.counts[k] || !left && i == in.counts[k]) {
		i -= in.counts[k]
		k++
	}
	return k, i
}

// leaf finds the leaf that has element i, and the index there, as child does.
func (l *List) leaf(i int, left bool) (n *node, at int) {
	n, size := &l.root, l.n
	for n.in != nil {
		var k int
		k, i = n.in.child(i, size, left)
		size = n.in.counts[k]
		n = &n.in.kids[k]
	}
	return n, i
}

// edit is leaf for changing it, by so many elements.
func (l *List) edit(i int, left bool, change int) (n *node, at int) {
	n, size := &l.root, l.n
	l.own(n)
	for n.in != nil {
		var k int
		k, i = n.in.child(i, size, left)
		size = n.in.counts[k]
		n.in.counts[k] += change
		n = &n.in.kids[k]
		l.own(n)
	}
	l.n += change
	return n, i
}

// place puts an element before element i in a leaf that has no room: into a new one.
func (l *List) place(i int, v []byte) {
	l.own(&l.root)
	more := l.placeBelow(&l.root, i, l.n, v)
	for len(more) > 0 {
		old := l.root
		l.root = node{epoch: l.epoch, in: &inner{kids: []node{old}, counts: []int{old.size()}}}
		more = l.adopt(&l.root, 0, more)
	}
	l.n++
}

// placeBelow does so below an owned node of that size, and returns the nodes that must
// stand behind it.
func (l *List) placeBelow(n *node, i, size int, v []byte) (more []node) {
	if n.in == nil {
		return l.placeInLeaf(n, i, v)
	}
	k, at := n.in.child(i, size, true)
	kid := &n.in.kids[k]
	l.own(kid)
	more = l.placeBelow(kid, at, n.in.counts[k], v)
	n.in.counts[k] = kid.size()
	return l.adopt(n, k, more)
}

// placeInLeaf splits an owned leaf for an element.
func (l *List) placeInLeaf(n *node, i int, v []byte) (more []node) {
	fresh := node{epoch: l.epoch}
	if len(v) > maxPacked {
		fresh.page = largePage(v)
	} else {
		fresh.insert(0, v)
	}
	switch i {
	case int(n.n):
		if i > 0 {
			return []node{fresh}
		}
		*n = fresh
		return nil
	case 0:
		old := *n
		*n = fresh
		return []node{old}
	}
	tail := node{epoch: l.epoch, page: n.cutTail(i)}
	switch {
	case n.fits(v):
		n.insert(i, v)
	case tail.fits(v):
		tail.insert(0, v)
	default:
		return []node{fresh, tail}
	}
	return []node{tail}
}

// adopt puts nodes behind child k of an owned node, and returns what it must be split
// off then.
func (l *List) adopt(n *node, k int, more []node) []node {
	if len(more) == 0 {
		return nil
	}
	in := n.in
	counts := make([]int, len(more))
	for i := range more {
		counts[i] = more[i].size()
	}
	in.kids = slices.Insert(in.kids, k+1, more...)
	in.counts = slices.Insert(in.counts, k+1, counts...)
	if len(in.kids) <= maxKids {
		return nil
	}
	// At either end the full part stays full, so that pushes fill the nodes.
	at := len(in.kids) / 2
	switch k + 1 + len(more) {
	case len(in.kids):
		at = maxKids
	case 1 + len(more):
		at = len(in.kids) - maxKids
	}
	right := node{epoch: l.epoch, in: &inner{kids: slices.Clone(in.kids[at:]), counts: slices.Clone(in.counts[at:])}}
	clear(in.kids[at:]) // for the collector
	in.kids, in.counts = in.kids[:at], in.counts[:at]
	return []node{right}
}

// cutBelow takes out the elements from index from up to, not including, to below an
// owned node of that size. Some are left.
func (l *List) cutBelow(n *node, from, to, size int) {
	if n.in == nil {
		l.bytes -= n.cut(from, to)
		return
	}
	in := n.in
	k, at := in.child(from, size, false)
	first, gone := k, k // children that go as a whole
	for left := to - from; left > 0; k++ {
		here := min(in.counts[k]-at, left)
		if left -= here; here == in.counts[k] {
			l.forget(&in.kids[k])
			gone = k + 1
		} else {
			if here < in.counts[k] && at > 0 {
				first, gone = k+1, k+1
			}
			kid := &in.kids[k]
			l.own(kid)
			l.cutBelow(kid, at, at+here, in.counts[k])
			in.counts[k] -= here
		}
		at = 0
	}
	in.kids = slices.Delete(in.kids, first, gone)
	in.counts = slices.Delete(in.counts, first, gone)
	l.mend(in, first)
	l.mend(in, first-1)
}

// mend joins child k of an owned node with a neighbour, if one of them is small.
func (l *List) mend(in *inner, k int) {
	for _, left := range [2]int{k, k - 1} {
		if left >= 0 && left+1 < len(in.kids) && in.kids[left].joins(&in.kids[left+1]) {
			l.join(in, left)
		}
	}
}

// joins says whether two neighbours are to be one node.
func (n *node) joins(m *node) bool {
	if n.in != nil {
		a, b := len(n.in.kids), len(m.in.kids)
		return min(a, b) < minKids && a+b <= joinKids
	}
	a, b := n.used(), m.used()
	return !n.large && !m.large && min(a, b) < minPage && a+b <= joinPage
}

// join makes one of child k and the one behind it.
func (l *List) join(in *inner, k int) {
	a, b := &in.kids[k], &in.kids[k+1]
	l.own(a)
	if a.in == nil {
		a.page.join(&b.page)
	} else {
		seam := len(a.in.kids)
		a.in.kids = append(a.in.kids, b.in.kids...)
		a.in.counts = append(a.in.counts, b.in.counts...)
		l.mend(a.in, seam)
	}
	in.counts[k] += in.counts[k+1]
	in.kids = slices.Delete(in.kids, k+1, k+2)
	in.counts = slices.Delete(in.counts, k+1, k+2)
}

// settle joins the leaf that has element i, and what is above it, with neighbours.
func (l *List) settle(i int) {
	l.own(&l.root)
	l.settleBelow(&l.root, i, l.n)
	l.lower()
}

func (l *List) settleBelow(n *node, i, size int) {
	if n.in == nil {
		return
	}
	k, at := n.in.child(i, size, false)
	kid := &n.in.kids[k]
	l.own(kid)
	l.settleBelow(kid, at, n.in.counts[k])
	l.mend(n.in, k)
}

// lower takes away roots of a single child.
func (l *List) lower() {
	for l.root.in != nil && len(l.root.in.kids) == 1 {
		l.root = l.root.in.kids[0]
	}
}

// forget takes all elements at and below n off what is counted.
func (l *List) forget(n *node) {
	if n.in == nil {
		l.bytes -= n.used()
		if n.large {
			l.large--
		}
		return
	}
	for i := range n.in.kids {
		l.forget(&n.in.kids[i])
	}
}

// ascend calls fn for the elements from index i on, until fn returns false.
func (n *node) ascend(i, size int, fn func(v []byte) bool) bool {
	if n.in == nil {
		at := n.offset(i)
		for ; i < int(n.n); i++ {
			var v []byte
			if v, at = n.next(at); !fn(v) {
				return false
			}
		}
		return true
	}
	k, at := n.in.child(i, size, false)
	for ; k < len(n.in.kids); k++ {
		if !n.in.kids[k].ascend(at, n.in.counts[k], fn) {
			return false
		}
		at = 0
	}
	return true
}

// descend calls fn for the elements before index i, the nearest first, until fn returns
// false.
func (n *node) descend(i, size int, fn func(v []byte) bool) bool {
	if n.in == nil {
		at := n.offset(i)
		for ; i > 0; i-- {
			var v []byte
			if v, at = n.prev(at); !fn(v) {
				return false
			}
		}
		return true
	}
	k, at := n.in.child(i, size, true)
	for ; k >= 0; k-- {
		if !n.in.kids[k].descend(at, n.in.counts[k], fn) {
			return false
		}
		if k > 0 {
			at = n.in.counts[k-1]
		}
	}
	return true
}

// removeIn takes elements out of the leaf that has element i, and returns how many.
func (l *List) removeIn(i int, r removal) (removed int) {
	n, at := l.leaf(i, false)
	start := i - at // of the leaf
	r.most = min(r.most, n.count(r.v, r.from, r.to))
	switch r.most {
	case 0:
	case int(n.n):
		l.Delete(start, start+r.most)
	case 1: // so nothing need be written that stays before it
		at := start + n.find(r)
		l.Delete(at, at+1)
	default:
		n, _ = l.edit(i, false, -r.most)
		n.remove(r)
		l.bytes -= r.most * itemSize(len(r.v))
		if n.used() < minPage {
			l.settle(start)
		}
	}
	return r.most
}
