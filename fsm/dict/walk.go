package dict

// Fork returns an equal table that may be written without the receiver's seeing it.
// The receiver must never be written again, nor forked while another goroutine does
// so; it may be read by others while the fork is written. It takes constant time: the
// fork copies each node before its first change.
func (t *Table[P]) Fork() *Table[P] {
	next := t.epochs.now + 1
	return &Table[P]{root: t.root, size: t.size, epochs: Epochs{now: next, ours: next}}
}

// Rank is the number of records below (pos, key), in O(log n), and says whether a
// record is there.
func (t *Table[P]) Rank(pos uint64, key []byte) (rank int, found bool) {
	n, s := &t.root, everything
	for n.in != nil {
		i := n.in.child(pos, key, &s)
		for _, c := range n.in.counts[:i] {
			rank += c
		}
		n = &n.in.kids[i]
	}
	i, found := n.find(pos, key, s)
	return rank + i, found
}

// AscendAt calls fn for each record from that rank on, in order, until fn returns
// false. fn must not write the table.
func (t *Table[P]) AscendAt(rank int, fn func(pos uint64, r Record[P]) bool) {
	if rank < 0 || rank >= t.size {
		return
	}
	t.root.ascendAt(rank, fn)
}

func (n *node[P]) ascendAt(rank int, fn func(pos uint64, r Record[P]) bool) bool {
	if n.in == nil {
		for i := rank; i < int(n.n); i++ {
			if !fn(n.pos(i), n.record(i)) {
				return false
			}
		}
		return true
	}
	i := 0
	for ; rank >= n.in.counts[i]; i++ {
		rank -= n.in.counts[i]
	}
	for ; i < len(n.in.kids); i++ {
		if !n.in.kids[i].ascendAt(rank, fn) {
			return false
		}
		rank = 0
	}
	return true
}

// DescendAt is AscendAt the other way: it calls fn for the record of that rank, then
// for those before it.
func (t *Table[P]) DescendAt(rank int, fn func(pos uint64, r Record[P]) bool) {
	if rank < 0 || rank >= t.size {
		return
	}
	t.root.descendAt(rank, fn)
}

func (n *node[P]) descendAt(rank int, fn func(pos uint64, r Record[P]) bool) bool {
	if n.in == nil {
		for i := rank; i >= 0; i-- {
			if !fn(n.pos(i), n.record(i)) {
				return false
			}
		}
		return true
	}
	i := 0
	for ; rank >= n.in.counts[i]; i++ {
		rank -= n.in.counts[i]
	}
	for ; i >= 0; i-- {
		if !n.in.kids[i].descendAt(rank, fn) {
			return false
		}
		if i > 0 {
			rank = n.in.counts[i-1] - 1
		}
	}
	return true
}
