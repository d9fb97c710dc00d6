package rdb

import "bytes"

// A node of a stream is a listpack: how many entries it has and how many were deleted,
// the fields of the one that it began with behind their number, a 0; and for each entry,
// also a deleted one, its flags, two differences of its ID to the node's, its fields
// behind their number if they are not the node's, before each value, the values, and of
// how many items all that was. Source: redis/src/t_stream.c.

// Node writes a node. We don't keep what was in deleted entries, so in their places stand
// others, that take as many bytes altogether: so Redis begins its next node where it
// would have, and trims as it would have.
func (s *StreamWriter) Node(n *StreamNode) {
	s.w.string(appendRawID(nil, n.First))
	live := len(n.Entries)
	l, body := &s.pack, &s.body
	l.n, body.n = 0, 0
	l.integer(int64(live))
	l.integer(int64(n.Total - live))
	counts := len(l.buf) - packHead
	l.integer(int64(len(n.Fields)))
	for _, field := range n.Fields {
		l.add(field)
	}
	l.integer(0)
	body.begin()
	body.n-- // nothing yet
	last := n.First
	for i := range n.Entries {
		last = n.Entries[i].ID
		n.appendEntry(body, &n.Entries[i])
	}
	f := filler{node: n, left: n.Total - live}
	f.size = n.Size - (l.size() - counts) - (len(body.buf) - packHead)
	atEnd := f.left > 0 && last.less(n.Last)
	for f.left > 1 || f.left == 1 && !atEnd {
		f.append(l, n.First)
	}
	l.buf = append(l.buf, body.buf[packHead:]...)
	l.n += body.n
	if atEnd {
		f.append(l, n.Last)
	}
	s.w.string(l.bytes())
}

func (n *StreamNode) appendEntry(l *listpack, e *StreamEntry) {
	flags, items := int64(0), len(e.Items)+entryExtra
	if e.Same {
		flags = entrySame
	}
	n.appendHead(l, flags, e.ID)
	if !e.Same {
		items++
		l.integer(int64(len(e.Items) / 2))
	}
	for _, item := range e.Items {
		l.add(item)
	}
	l.integer(int64(items))
}

func (n *StreamNode) appendHead(l *listpack, flags int64, id ID) {
	l.integer(flags)
	l.integer(int64(id.MS - n.First.MS))
	l.integer(int64(id.Seq - n.First.Seq))
}

// filler are deleted entries in place of those that are not known any more.
type filler struct {
	node *StreamNode
	left int // how many are to be written
	size int // and of how many bytes altogether
}

// An entry with the node's fields is the shortest where these are few, otherwise one with
// a field of its own. The numbers in both take two bytes, but for the differences of IDs.
const (
	fewFields = 2
	sameHead  = 2 + 2 // flags, count of items
	ownHead   = sameHead + 2
)

// append writes one: the last as long as it takes, the others as short as can be. Without
// values they take what any entry takes at least.
func (f *filler) append(l *listpack, id ID) {
	n := f.node
	fields, ids := len(n.Fields), integerSize(int64(id.MS-n.First.MS))+integerSize(int64(id.Seq-n.First.Seq))
	own := fields > fewFields || f.left == 1 && f.size >= ownHead+ids+4
	rest := 0 // for fields and values
	if f.left == 1 {
		rest = f.size - ids - sameHead
		if own {
			rest = f.size - ids - ownHead
		}
	}
	start := len(l.buf)
	if own {
		n.appendHead(l, entryDeleted, id)
		l.integer(1)
		appendPadding(l, rest)
		l.integer(2 + entryExtra + 1)
	} else {
		n.appendHead(l, entryDeleted|entrySame, id)
		for i := range fields {
			l.add(blank(max(0, rest-2*fields) * (1 - min(i, 1))))
		}
		l.integer(int64(fields + entryExtra))
	}
	f.left--
	f.size -= len(l.buf) - start
}

// blank is a text that spells no number.
func blank(n int) []byte { return bytes.Repeat([]byte{'-'}, n) }

// appendPadding adds two texts that together take so many bytes, or as few as can be
// where that is less. There are lengths that a single one does not have.
func appendPadding(l *listpack, size int) {
	const longestGap, mostHead = 3, 10
	for first := range longestGap + 2 {
		rest := size - textSize(first)
		for n := max(0, rest-mostHead); n <= rest; n++ {
			if textSize(n) == rest {
				l.add(blank(first))
				l.add(blank(n))
				return
			}
		}
	}
	l.add(nil)
	l.add(nil)
}

// streamNode reads a node.
func (r *reader) streamNode() (n StreamNode) {
	key := r.string()
	if r.bad || len(key) != rawID {
		r.bad = true
		return n
	}
	n.First = (&reader{rest: key}).rawID()
	b := r.string()
	it := items{left: r.unpack(b, nil), bad: r.bad}
	live, deleted := it.count(), it.count()
	n.Total, n.Size = live+deleted, len(b)-integerSize(int64(live))-integerSize(int64(deleted))
	n.Fields = it.take(it.count())
	it.refuse(len(n.Fields) == 0 || it.integer() != 0)
	for range n.Total {
		const entrySize = 48
		if it.bad || !r.allocate(entrySize) {
			break
		}
		it.entry(&n)
	}
	if e := n.Entries; len(e) > 0 && n.Last.less(e[len(e)-1].ID) {
		n.Last = e[len(e)-1].ID
	}
	r.refuse(it.bad || len(it.left) > 0 || len(n.Entries) != live)
	return n
}

// items are the items of a listpack that are not read yet.
type items struct {
	left [][]byte
	bad  bool
}

// refuse is that of a reader.
func (it *items) refuse(is bool) { it.bad = it.bad || is }

func (it *items) take(n int) [][]byte {
	if it.bad || n > len(it.left) {
		it.bad = true
		return nil
	}
	taken := it.left[:n:n]
	it.left = it.left[n:]
	return taken
}

func (it *items) integer() int64 {
	item := it.take(1)
	if it.bad {
		return 0
	}
	n, ok := integer(item[0])
	it.refuse(!ok)
	return n
}

// count reads a number of things, which take an item each at least.
func (it *items) count() int {
	n := it.integer()
	if n < 0 || n > int64(len(it.left)) {
		it.bad = true
		return 0
	}
	return int(n)
}

// entry reads an entry of a node. Those that are there must be in order.
func (it *items) entry(n *StreamNode) {
	flags := it.integer()
	id := ID{n.First.MS + uint64(it.integer()), n.First.Seq + uint64(it.integer())}
	e := StreamEntry{ID: id, Same: flags&entrySame != 0}
	extra := entryExtra
	if fields := len(n.Fields); e.Same {
		e.Items = it.take(fields)
	} else {
		fields = it.count()
		e.Items = it.take(2 * fields)
		extra++
	}
	it.refuse(it.integer() != int64(len(e.Items)+extra) || len(e.Items) == 0)
	n.Last = id
	if flags&entryDeleted != 0 {
		return
	}
	it.refuse(id.less(n.First) || id == ID{})
	if before := len(n.Entries) - 1; before >= 0 {
		it.refuse(!n.Entries[before].ID.less(id))
	}
	n.Entries = append(n.Entries, e)
}
