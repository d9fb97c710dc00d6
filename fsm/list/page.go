package list

import (
	"bytes"
	"encoding/binary"
	"slices"
)

const (
	// maxPage is how many bytes a page of several elements may take: Redis's default
	// of list-max-listpack-size, -2, means 8 KiB.
	maxPage = 8 << 10
	// A page of less than minPage is joined with a neighbour where both together take
	// at most joinPage: with room left, so that inserts and deletes in turn don't split
	// and join all the time.
	minPage, joinPage = maxPage / 4, maxPage * 3 / 4
	// maxPacked is the longest element that shares a page. A longer one has a page of
	// its own, which is never changed in place: no copy of a page copies it.
	maxPacked = maxPage / 2
)

// page is a run of elements. Those of a packed one lie in buf[lo:hi], each as its
// length (a varint), its bytes, and how many bytes these two take (a varint from right
// to left), so that it can be walked from both ends. Around them is room to grow: at
// both ends, so that a push moves nothing but now and then. The zero page is empty.
type page struct {
	buf    []byte
	lo, hi int32
	n      int32
	large  bool // buf is the only element, and is never changed
}

// largePage returns the page of one long element.
func largePage(v []byte) page {
	return page{buf: bytes.Clone(v), hi: int32(len(v)), n: 1, large: true}
}

// used is the bytes that the elements take.
func (p *page) used() int { return int(p.hi - p.lo) }

// fits says whether an element may join those of the page.
func (p *page) fits(v []byte) bool {
	return len(v) <= maxPacked && !p.large && p.used()+itemSize(len(v)) <= maxPage
}

// itemSize is what an element of n bytes takes in a packed page.
func itemSize(n int) int {
	head := varintSize(n) + n
	return head + varintSize(head)
}

func varintSize(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// putItem writes an element to the start of dst, which has room for it.
func putItem(dst, v []byte) {
	n := binary.PutUvarint(dst, uint64(len(v)))
	n += copy(dst[n:], v)
	at := n + varintSize(n) - 1
	for ; n >= 0x80; n >>= 7 {
		dst[at] = byte(n) | 0x80
		at--
	}
	dst[at] = byte(n)
}

// next returns the element at an offset, and the offset behind it.
func (p *page) next(at int) (v []byte, end int) {
	if p.large {
		return p.buf, len(p.buf)
	}
	size, head := int(p.buf[at]), 1
	if size >= 0x80 {
		u, n := binary.Uvarint(p.buf[at:])
		size, head = int(u), n
	}
	end = at + head + size
	return p.buf[at+head : end : end], end + varintSize(head+size)
}

// prev returns the element that ends before an offset, and its own offset.
func (p *page) prev(at int) (v []byte, start int) {
	if p.large {
		return p.buf, 0
	}
	at--
	size := int(p.buf[at] & 0x7f)
	for shift := 7; p.buf[at] >= 0x80; shift += 7 {
		at--
		size |= int(p.buf[at]&0x7f) << shift
	}
	start = at - size
	v, _ = p.next(start)
	return v, start
}

// offset is where element i begins; n elements are before the end.
func (p *page) offset(i int) int {
	if i <= int(p.n)/2 {
		at := int(p.lo)
		for ; i > 0; i-- {
			_, at = p.next(at)
		}
		return at
	}
	at := int(p.hi)
	for left := int(p.n) - i; left > 0; left-- {
		_, at = p.prev(at)
	}
	return at
}

// at returns element i.
func (p *page) at(i int) []byte {
	v, _ := p.next(p.offset(i))
	return v
}

// insert puts an element that fits before element i of a page that may be changed.
func (p *page) insert(i int, v []byte) {
	size := itemSize(len(v))
	at := p.open(p.offset(i), size)
	putItem(p.buf[at:], v)
	p.n++
}

// replace puts another element in place of element i, in a packed page that has room.
func (p *page) replace(i int, v []byte) {
	from := p.offset(i)
	_, to := p.next(from)
	size := itemSize(len(v))
	switch more := size - (to - from); {
	case more > 0:
		from = p.open(from, more)
	case more < 0:
		from = p.close(from, from-more)
	}
	putItem(p.buf[from:], v)
	p.shrink()
}

// cut takes out the elements from index i up to, not including, j, and returns the bytes
// that they took.
func (p *page) cut(i, j int) (size int) {
	from := p.offset(i)
	to := from
	if j-i > 1 {
		to = p.offset(j)
	} else if j > i {
		_, to = p.next(from)
	}
	p.close(from, to)
	p.n -= int32(j - i)
	p.shrink()
	return to - from
}

// cutTail takes the elements from index i on off the page and returns them.
func (p *page) cutTail(i int) page {
	at := p.offset(i)
	tail := packed(p.buf[at:p.hi], p.n-int32(i))
	p.hi, p.n = int32(at), int32(i)
	p.shrink()
	return tail
}

// packed returns a page of n elements that lie in b, which is copied.
func packed(b []byte, n int32) page {
	return page{buf: bytes.Clone(b), hi: int32(len(b)), n: n}
}

// join adds the elements of another page, for which there is room.
func (p *page) join(q *page) {
	at := p.open(int(p.hi), q.used())
	copy(p.buf[at:], q.buf[q.lo:q.hi])
	p.n += q.n
}

// open makes size bytes of room at an offset, and returns where that is now. The
// shorter side moves.
func (p *page) open(at, size int) int {
	left, right := at-int(p.lo), int(p.hi)-at
	front := left < right || left == 0 && right == 0 && p.lo > 0
	if front && int(p.lo) < size || !front && len(p.buf)-int(p.hi) < size {
		at += p.slide(size, front)
	}
	if front {
		copy(p.buf[int(p.lo)-size:], p.buf[p.lo:at])
		p.lo -= int32(size)
		return at - size
	}
	copy(p.buf[at+size:], p.buf[at:p.hi])
	p.hi += int32(size)
	return at
}

// close takes out the bytes between two offsets, and returns where the first is now.
func (p *page) close(from, to int) int {
	size := to - from
	if from-int(p.lo) < int(p.hi)-to {
		copy(p.buf[int(p.lo)+size:], p.buf[p.lo:from])
		p.lo += int32(size)
		return to
	}
	copy(p.buf[from:], p.buf[to:p.hi])
	p.hi -= int32(size)
	return from
}

// slide moves the elements so that there are size bytes of room before or behind them,
// into a larger buffer if need be, and returns by how much offsets change.
func (p *page) slide(size int, front bool) (by int) {
	used := p.used()
	buf, lo := p.buf, 0
	if free := len(buf) - used - size; free >= 0 {
		lo = free / 2 // the rest of the room is shared between both ends
		if front {
			lo += size
		}
	} else {
		buf = room(used+size, (used+size)/2)
		if front {
			lo = len(buf) - used
		}
	}
	copy(buf[lo:], p.buf[p.lo:p.hi])
	by = lo - int(p.lo)
	p.buf, p.lo, p.hi = buf, int32(lo), int32(lo+used)
	return by
}

// room returns a buffer for used bytes, and some more if they don't fill a page.
func room(used, more int) []byte {
	want := used
	if used < maxPage {
		want = min(used+more, maxPage)
	}
	b := slices.Grow([]byte(nil), max(want, 32))
	return b[:cap(b)]
}

// shrink gives memory back if most of it is not used any more.
func (p *page) shrink() {
	used := p.used()
	if len(p.buf) <= 64 || used*4 > len(p.buf) {
		return
	}
	buf := room(used, used/2)
	lo := (len(buf) - used) / 2
	copy(buf[lo:], p.buf[p.lo:p.hi])
	p.buf, p.lo, p.hi = buf, int32(lo), int32(lo+used)
}

// count counts the elements equal to v between two indexes.
func (p *page) count(v []byte, i, j int) (n int) {
	at := p.offset(i)
	for ; i < j; i++ {
		var item []byte
		item, at = p.next(at)
		if bytes.Equal(item, v) {
			n++
		}
	}
	return n
}

// removal says which elements of a page go: of those that equal v, between two indexes,
// the first ones, or the last ones if last is set, and how many at the most.
type removal struct {
	v              []byte
	from, to, most int
	last           bool
}

// remove takes out elements. There are as many as r says, and others stay.
func (p *page) remove(r removal) {
	keep := 0 // matches before those that go
	if r.last {
		keep = p.count(r.v, r.from, r.to) - r.most
	}
	at := p.offset(r.from)
	to := at // what stays is moved to here
	for left := r.most; left > 0; {
		item, end := p.next(at)
		if bytes.Equal(item, r.v) {
			if keep--; keep < 0 {
				left--
				p.n--
				at = end
				continue
			}
		}
		to += copy(p.buf[to:], p.buf[at:end])
		at = end
	}
	to += copy(p.buf[to:], p.buf[at:p.hi])
	p.hi = int32(to)
	p.shrink()
}

// find returns the index of the first element that r says, or of the last; there is one.
func (p *page) find(r removal) int {
	if r.last {
		at := p.offset(r.to)
		for i := r.to - 1; ; i-- {
			var item []byte
			if item, at = p.prev(at); bytes.Equal(item, r.v) {
				return i
			}
		}
	}
	at := p.offset(r.from)
	for i := r.from; ; i++ {
		var item []byte
		if item, at = p.next(at); bytes.Equal(item, r.v) {
			return i
		}
	}
}
