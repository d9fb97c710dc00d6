// Package dict is the ordered table that holds keys: records of bytes in the order
// of (position, key), where the caller computes the position, with point-in-time
// copies that cost nothing to take. It is a copy-on-write B+tree whose leaves are
// pages of bytes, so that the collector has next to nothing to follow; DESIGN.md
// says why. It knows nothing of what a key, a position or the data mean.
package dict

// Record is what a table holds under a position: a key, data, and where that is not
// enough a pointer. The slices are a view of the table's own memory: they must not
// be changed, and are valid until the table's next write.
type Record[P any] struct {
	Key, Data []byte
	Ref       *P
}

// Table is an ordered set of records, at most one for each (position, key). The
// zero value is an empty table. One goroutine may use a table, or several that only
// read; a Snapshot of it may be read by others meanwhile. A Table must not be copied
// by assignment.
type Table[P any] struct {
	root   node[P]
	size   int
	epochs Epochs
	writes uint64 // counts the writes: a cursor's place is good until the next one
	moves  uint64 // counts those that moved nodes: a probe's leaf is good until the next one

	// Of a snapshot: whose it is, nil of others and once it is released, and the last
	// epoch that it shows.
	frozen bool // writing it is a broken invariant
	of     *Table[P]
	last   uint64
}

// New gives an empty table.
func New[P any]() *Table[P] { return &Table[P]{} }

// Get returns the record at pos with that key. It allocates nothing.
func (t *Table[P]) Get(pos uint64, key []byte) (r Record[P], ok bool) {
	n, s := &t.root, everything
	for n.in != nil {
		n = &n.in.kids[n.in.child(pos, key, &s)]
	}
	i, ok := n.find(pos, key, s)
	if ok {
		r = n.record(i)
	}
	return r, ok
}

// Len is the number of records.
func (t *Table[P]) Len() int { return t.size }

// Snapshot returns the table as it is now, in constant time. The snapshot never
// changes, must not be written (that panics), and may be read by any goroutine
// while t is written. Until it is released, t copies each node before its first
// change; without a release for ever, though what only the snapshot holds is freed
// with it.
func (t *Table[P]) Snapshot() *Table[P] {
	if t.frozen { // it could not be told when the first one may go
		panic("dict: snapshot of a snapshot")
	}
	return &Table[P]{root: t.root, size: t.size, frozen: true, of: t, last: t.epochs.Copy()}
}

// Release says that nobody reads the snapshot any more: what it shows may be changed.
// It may be called where its table may be written. A second call does nothing.
func (t *Table[P]) Release() {
	if t.of != nil {
		t.of.epochs.Release(t.last)
		t.of, t.root, t.size = nil, node[P]{}, 0
	}
}

// Ascend calls fn for each record with a position of at least from, in order, until
// fn returns false. fn must not write the table.
func (t *Table[P]) Ascend(from uint64, fn func(pos uint64, r Record[P]) bool) {
	t.root.ascend(from, everything, fn)
}

func (n *node[P]) ascend(from uint64, s span, fn func(pos uint64, r Record[P]) bool) bool {
	if n.in == nil {
		for i := n.firstSlot(from, s); i < int(n.n); i++ {
			if !fn(n.pos(i), n.record(i)) {
				return false
			}
		}
		return true
	}
	for i := n.in.child(from, nil, &s); i < len(n.in.kids); i++ {
		if !n.in.kids[i].ascend(from, s, fn) {
			return false
		}
	}
	return true
}

// CountRange is the number of records with from <= position < to, in O(log n).
func (t *Table[P]) CountRange(from, to uint64) int {
	if to <= from {
		return 0
	}
	return t.rank(to) - t.rank(from)
}

// rank is the number of records with a position below pos.
func (t *Table[P]) rank(pos uint64) int {
	n, before, s := &t.root, 0, everything
	for n.in != nil {
		i := n.in.child(pos, nil, &s)
		for _, c := range n.in.counts[:i] {
			before += c
		}
		n = &n.in.kids[i]
	}
	return before + n.firstSlot(pos, s)
}

// At returns the record of that rank, counted from 0, in O(log n). With a random
// rank it is an even pick among all records.
func (t *Table[P]) At(rank int) (pos uint64, r Record[P], ok bool) {
	if rank < 0 || rank >= t.size {
		return 0, r, false
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
	return n.pos(rank), n.record(rank), true
}

// Min returns the first record.
func (t *Table[P]) Min() (pos uint64, r Record[P], ok bool) { return t.At(0) }
