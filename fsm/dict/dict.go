// Package dict is the ordered table that holds keys: elements in the order of
// (position, key), where the caller computes the position, with point-in-time
// copies that cost nothing to take. It is a copy-on-write B+tree; DESIGN.md says
// why. It knows nothing of what a key or a position means.
package dict

// Element is what a Table holds: a value that knows its key. The key must never
// change while the element is in a table.
type Element interface{ Key() string }

// Table is an ordered set of elements, at most one for each (position, key). The
// zero value is an empty table. One goroutine may use a table; a Snapshot of it may
// be read by others meanwhile. A Table must not be copied by assignment.
type Table[E Element] struct {
	root node[E]
	size int
	// epoch counts the snapshots taken. What was made in this epoch is ours alone and
	// may be changed in place; whatever is older may be reachable from a snapshot.
	epoch  uint64
	frozen bool // a snapshot: writing it is a broken invariant
}

// New gives an empty table.
func New[E Element]() *Table[E] { return &Table[E]{} }

// Get returns the element at pos with that key. It allocates nothing.
func (t *Table[E]) Get(pos uint64, key []byte) (e E, ok bool) {
	n, s := &t.root, everything
	for n.in != nil {
		n = &n.in.kids[childIndex(n.in, pos, key, &s)]
	}
	i, ok := elemIndex(n, pos, key, s)
	if ok {
		e = n.slots[i].e
	}
	return e, ok
}

// Len is the number of elements.
func (t *Table[E]) Len() int { return t.size }

// Epoch is the number of snapshots taken so far. What an element points to may be
// changed in place only if it was made in the present epoch; what is older may be
// seen by a snapshot.
func (t *Table[E]) Epoch() uint64 { return t.epoch }

// Snapshot returns the table as it is now, in constant time. The snapshot never
// changes, must not be written (that panics), and may be read by any goroutine
// while t is written. It needs no release: what only it holds is freed with it.
func (t *Table[E]) Snapshot() *Table[E] {
	s := &Table[E]{root: t.root, size: t.size, epoch: t.epoch, frozen: true}
	if !t.frozen { // a snapshot of a snapshot only shares: readers of t may be at work
		t.epoch++
	}
	return s
}

// Ascend calls fn for each element with a position of at least from, in order,
// until fn returns false. fn must not write the table.
func (t *Table[E]) Ascend(from uint64, fn func(pos uint64, e E) bool) {
	t.root.ascend(from, everything, fn)
}

func (n *node[E]) ascend(from uint64, s span, fn func(pos uint64, e E) bool) bool {
	if n.in == nil {
		for i := n.firstSlot(from, s); i < len(n.slots); i++ {
			if !fn(n.slots[i].pos, n.slots[i].e) {
				return false
			}
		}
		return true
	}
	for i := childIndex(n.in, from, "", &s); i < len(n.in.kids); i++ {
		if !n.in.kids[i].ascend(from, s, fn) {
			return false
		}
	}
	return true
}

// CountRange is the number of elements with from <= position < to, in O(log n).
func (t *Table[E]) CountRange(from, to uint64) int {
	if to <= from {
		return 0
	}
	return t.rank(to) - t.rank(from)
}

// rank is the number of elements with a position below pos.
func (t *Table[E]) rank(pos uint64) int {
	n, before, s := &t.root, 0, everything
	for n.in != nil {
		i := childIndex(n.in, pos, "", &s)
		for _, c := range n.in.counts[:i] {
			before += c
		}
		n = &n.in.kids[i]
	}
	return before + n.firstSlot(pos, s)
}

// At returns the element of that rank, counted from 0, in O(log n). With a random
// rank it is an even pick among all elements.
func (t *Table[E]) At(rank int) (pos uint64, e E, ok bool) {
	if rank < 0 || rank >= t.size {
		return 0, e, false
	}
	n := &t.root
	for n.in != nil {
		i := 0
		for rank >= n.in.counts[i] {
			rank -= n.in.counts[i]
			i++
		}
		n = &n.in.kids[i]
	}
	return n.slots[rank].pos, n.slots[rank].e, true
}

// Min returns the first element.
func (t *Table[E]) Min() (pos uint64, e E, ok bool) { return t.At(0) }
