package dict

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// A leaf is one page of bytes, so that a million records are some ten thousand
// allocations without a pointer in them. From its start the page has a slot for each
// record, in order: position (8 bytes) and where the record begins (4), little-endian.
// From its end downwards, in any order, it has the records: the lengths of key and
// data as varints, the key, the data. What lies between is free, and so are the bytes
// of records that were taken out ("dead"), once the page is packed anew.
const (
	slotSize = 12
	// maxPage is how large a page becomes before it is split; only that of a single
	// record may be larger. DESIGN.md has other sizes' costs.
	maxPage = 4096
	// fullPage is how much of it inserts fill: one filled to the brim would be split by
	// the next record that gets longer.
	fullPage = maxPage - maxPage/16
	// A page of less than minPage in use is merged with a neighbour where both
	// together use at most mergePage: with room left, so that inserts and deletes in
	// turn don't split and merge all the time.
	minPage, mergePage = maxPage / 4, maxPage * 3 / 4
)

// node is a leaf (in == nil) or leads to an inner node. Nodes lie in their parent's
// array rather than behind pointers, which saves every lookup a miss in the cache.
// A node is as large as a line of it, but the allocator puts 8 bytes before the array,
// so that the last field is the only one on the next line.
//
// What a node refers to may be changed in place only in the epoch that it carries;
// otherwise it is copied first, and no array is ever shared by two copies.
type node[P any] struct {
	in    *inner[P]
	epoch uint64

	page []byte // this and what follows: leaf only
	refs *refs[P]
	n    uint32 // records
	low  uint32 // where the records begin: all that is used of them is in page[low:]
	dead uint32 // bytes of page[low:] that belong to no record any more
}

// refs are the records' pointers, one for each slot; a leaf without any has none.
type refs[P any] struct{ of []*P }

// pos is the position of record i.
func (n *node[P]) pos(i int) uint64 { return binary.LittleEndian.Uint64(n.page[i*slotSize:]) }

// raw is record i as it lies in the page, and behind it whatever follows.
func (n *node[P]) raw(i int) []byte {
	return n.page[binary.LittleEndian.Uint32(n.page[i*slotSize+8:]):]
}

// record is record i.
func (n *node[P]) record(i int) Record[P] {
	b := n.raw(i)
	head, k, d := lengths(b)
	b = b[head : head+k+d]
	r := Record[P]{Key: b[:k:k], Data: b[k:]}
	if n.refs != nil {
		r.Ref = n.refs.of[i]
	}
	return r
}

// key is the key of record i.
func (n *node[P]) key(i int) []byte {
	b := n.raw(i)
	head, k, _ := lengths(b)
	return b[head : head+k]
}

// lengths reads what a record begins with: the lengths of key and data, and how many
// bytes tell them.
func lengths(b []byte) (head, key, data int) {
	if b[0]|b[1] < 0x80 {
		return 2, int(b[0]), int(b[1])
	}
	k, i := binary.Uvarint(b)
	d, j := binary.Uvarint(b[i:])
	return i + j, int(k), int(d)
}

// recordSize is the bytes that a record with such lengths takes.
func recordSize(key, data int) int { return varintSize(key) + varintSize(data) + key + data }

func varintSize(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// sizeOf is the bytes that record i takes, without its slot.
func (n *node[P]) sizeOf(i int) int {
	head, k, d := lengths(n.raw(i))
	return head + k + d
}

// used is the bytes that the records and their slots take.
func (n *node[P]) used() int {
	return int(n.n)*slotSize + len(n.page) - int(n.low) - int(n.dead)
}

// find finds (pos, key) in a leaf, or where it would have to be inserted.
func (n *node[P]) find(pos uint64, key []byte, s span) (int, bool) {
	lo := n.firstSlot(pos, s)
	if lo == int(n.n) || n.pos(lo) != pos {
		return lo, false
	}
	if bytes.Equal(n.key(lo), key) {
		return lo, true
	}
	hi := lo + 1 // a run of equal positions is short, unless the caller wants it long
	for hi < int(n.n) && n.pos(hi) == pos {
		hi++
	}
	end := hi
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if bytes.Compare(n.key(mid), key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < end && bytes.Equal(n.key(lo), key)
}

// makeRoom packs the page or makes it larger, so that need bytes are free in one
// piece. spare is how much more it should have where it must grow.
func (n *node[P]) makeRoom(need, spare int, pages *pool) {
	if int(n.low)-int(n.n)*slotSize >= need {
		return
	}
	if total := n.used() + need; total <= len(n.page)-len(n.page)/16 {
		pages.scratch = append(pages.scratch[:0], n.page...)
		old := *n
		old.page = pages.scratch
		n.pack(n.page, &old, 0, int(n.n))
	} else {
		old := *n
		page := pages.page(total+spare, total)
		if n.dead == 0 {
			n.move(page)
		} else {
			n.pack(page, &old, 0, int(n.n))
		}
		pages.keep(old.page)
	}
}

// move puts all that is in a page without holes into a larger one.
func (n *node[P]) move(page []byte) {
	longer := len(page) - len(n.page)
	slots := page[:copy(page, n.page[:int(n.n)*slotSize])]
	copy(page[int(n.low)+longer:], n.page[n.low:])
	for ; len(slots) >= slotSize; slots = slots[slotSize:] {
		at := slots[8:slotSize]
		binary.LittleEndian.PutUint32(at, binary.LittleEndian.Uint32(at)+uint32(longer))
	}
	n.page, n.low = page, n.low+uint32(longer)
}

// pack fills a page with the records [from, to) of src and makes it n's. refs are
// left alone.
func (n *node[P]) pack(page []byte, src *node[P], from, to int) {
	low := len(page)
	for i := from; i < to; i++ {
		b := src.raw(i)
		head, k, d := lengths(b)
		size := head + k + d
		low -= size
		copy(page[low:], b[:size])
		slot := page[(i-from)*slotSize : (i-from+1)*slotSize]
		binary.LittleEndian.PutUint64(slot, src.pos(i))
		binary.LittleEndian.PutUint32(slot[8:], uint32(low))
	}
	n.page, n.n, n.low, n.dead = page, uint32(to-from), uint32(low), 0
}

// write puts a record's bytes into the free room, which must have been made, and
// returns where they begin.
func (n *node[P]) write(key, head, data []byte) uint32 {
	n.low -= uint32(recordSize(len(key), len(head)+len(data)))
	n.writeAt(int(n.low), key, head, data)
	return n.low
}

// writeAt puts a record's bytes to where there is room for them.
func (n *node[P]) writeAt(at int, key, head, data []byte) {
	b := n.page[at:]
	i := binary.PutUvarint(b, uint64(len(key)))
	i += binary.PutUvarint(b[i:], uint64(len(head)+len(data)))
	i += copy(b[i:], key)
	i += copy(b[i:], head)
	copy(b[i:], data)
}

// shift moves the records that lie below record i, and its beginning, so that it has so
// many bytes more, for which there must be room. It returns where the record begins now.
func (n *node[P]) shift(i, longer int) (at int) {
	old := binary.LittleEndian.Uint32(n.page[i*slotSize+8:])
	copy(n.page[int(n.low)-longer:], n.page[n.low:old])
	n.low -= uint32(longer)
	slots := n.page[:int(n.n)*slotSize]
	for ; len(slots) >= slotSize; slots = slots[slotSize:] {
		if from := binary.LittleEndian.Uint32(slots[8:]); from <= old {
			binary.LittleEndian.PutUint32(slots[8:], from-uint32(longer))
		}
	}
	return int(old) - longer
}

// extend puts tail behind record i's data, and head in place of what they begin with. The
// record gets longer by so many bytes, for which there must be room.
func (n *node[P]) extend(i, longer int, head, tail []byte) {
	h, k, d := lengths(n.raw(i))
	at := n.shift(i, longer)
	b := n.page[at : at+longer+h+k+d]
	data := h + k + longer - len(tail) // where they begin now
	copy(b[data-k:], b[longer+h:])     // the key, too
	copy(b[data:], head)
	copy(b[data+d:], tail)
	binary.PutUvarint(b[binary.PutUvarint(b, uint64(k)):], uint64(d+len(tail)))
}

// insert makes what was written at that place the record with index i. There must
// be room for its slot.
func (n *node[P]) insert(i int, pos uint64, at uint32, ref *P) {
	end := int(n.n) * slotSize
	copy(n.page[(i+1)*slotSize:end+slotSize], n.page[i*slotSize:end])
	binary.LittleEndian.PutUint64(n.page[i*slotSize:], pos)
	binary.LittleEndian.PutUint32(n.page[i*slotSize+8:], at)
	n.n++
	if ref != nil && n.refs == nil {
		n.refs = &refs[P]{of: make([]*P, n.n-1)}
	}
	if n.refs != nil {
		n.refs.of = insertAt(n.refs.of, i, ref)
	}
}

// overwrite gives record i other data of the same length, in place; false where the
// length is another one.
func (n *node[P]) overwrite(i int, head, data []byte) bool {
	b := n.raw(i)
	h, k, d := lengths(b)
	if d != len(head)+len(data) {
		return false
	}
	b = b[h+k:]
	copy(b[copy(b, head):], data)
	return true
}

// setRef gives record i a pointer, or takes it away.
func (n *node[P]) setRef(i int, ref *P) {
	if ref != nil && n.refs == nil {
		n.refs = &refs[P]{of: make([]*P, n.n)}
	}
	if n.refs != nil {
		n.refs.of[i] = ref
	}
}

// remove takes record i out.
func (n *node[P]) remove(i int) {
	size := uint32(n.sizeOf(i))
	if binary.LittleEndian.Uint32(n.page[i*slotSize+8:]) == n.low {
		n.low += size
	} else {
		n.dead += size
	}
	copy(n.page[i*slotSize:], n.page[(i+1)*slotSize:int(n.n)*slotSize])
	n.n--
	if n.refs != nil {
		n.refs.of = slices.Delete(n.refs.of, i, i+1) // clears the freed one
	}
}

// trim gives memory back where less than half of the page is used, and all beyond maxPage
// once that is enough.
func (n *node[P]) trim(pages *pool) {
	const small = 256 // not worth the work
	if used := n.used(); len(n.page) > small && used < len(n.page)/2 || len(n.page) > maxPage && used <= maxPage {
		old := *n
		n.packFrom(&old, 0, int(n.n), pages)
	}
}

// middle is the index of the record before which to cut a leaf of several in two of
// about the same size.
func (n *node[P]) middle() int {
	total, first := n.used(), 0
	for i := range int(n.n) - 1 {
		if first += slotSize + n.sizeOf(i); first >= total/2 {
			return i + 1
		}
	}
	return int(n.n) - 1
}

// split cuts a leaf in two before record i, which is not the first one. n keeps the
// first part.
func (n *node[P]) split(i int, pages *pool) (right node[P]) {
	old := *n
	right.epoch = n.epoch
	right.packFrom(&old, i, int(old.n), pages)
	n.packFrom(&old, 0, i, pages)
	pages.keep(old.page)
	if old.refs != nil {
		right.refs = &refs[P]{of: slices.Clone(old.refs.of[i:])}
		n.refs = &refs[P]{of: slices.Clone(old.refs.of[:i])}
	}
	return right
}

// packFrom is pack, to a new page with room for an eighth more.
func (n *node[P]) packFrom(src *node[P], from, to int, pages *pool) {
	total := 0
	for i := from; i < to; i++ {
		total += slotSize + src.sizeOf(i)
	}
	n.pack(pages.page(total+total/8, total), src, from, to)
}

// join appends the records of right, which must not be used afterwards.
func (n *node[P]) join(right *node[P], pages *pool) {
	left := *n
	total := left.used() + right.used()
	page := pages.page(total+total/8, total)
	n.pack(page, &left, 0, int(left.n))
	moved := node[P]{}
	// Packed apart, behind the records that are there, then its slots are moved.
	moved.pack(page[int(left.n)*slotSize:n.low], right, 0, int(right.n))
	for i := range int(right.n) {
		slot := page[(int(left.n)+i)*slotSize+8:]
		binary.LittleEndian.PutUint32(slot, binary.LittleEndian.Uint32(slot)+left.n*slotSize)
	}
	n.low = left.n*slotSize + moved.low
	n.n += right.n
	if left.refs != nil || right.refs != nil {
		n.refs = &refs[P]{of: append(left.pointers(), right.pointers()...)}
	}
}

// pointers is a copy of the records' pointers.
func (n *node[P]) pointers() []*P {
	of := make([]*P, n.n)
	if n.refs != nil {
		copy(of, n.refs.of)
	}
	return of
}
