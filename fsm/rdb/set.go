package rdb

import "encoding/binary"

// AppendSet appends the payload of a set of n members, which each calls fn with; of
// integers that are kept as such in ascending order.
func AppendSet(dst []byte, integers bool, n int, each func(fn func(member []byte) bool)) []byte {
	if integers {
		w := newWriter(dst, formIntset)
		w.string(intset(n, each))
		return w.end(Version)
	}
	w := newWriter(dst, formSet)
	w.length(uint64(n))
	each(func(member []byte) bool {
		w.string(member)
		return true
	})
	return w.end(Version)
}

// intset is the size of its numbers (4), how many they are (4), and the numbers, in
// ascending order. Source: redis/src/intset.c.
func intset(n int, each func(fn func(member []byte) bool)) []byte {
	numbers, size := make([]int64, 0, n), 2
	each(func(member []byte) bool {
		v, _ := integer(member)
		numbers = append(numbers, v)
		switch {
		case v != int64(int32(v)):
			size = 8
		case v != int64(int16(v)):
			size = max(size, 4)
		}
		return true
	})
	b := binary.LittleEndian.AppendUint32(nil, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	for _, v := range numbers {
		b = append(b, binary.LittleEndian.AppendUint64(nil, uint64(v))[:size]...)
	}
	return b
}

func (r *reader) set(form byte, o *Object) {
	switch form {
	case formSet:
		o.Items = r.strings(1)
	case formSetListpack:
		o.Items = r.listpack(nil)
	case formIntset:
		o.Items = r.intset()
	}
}

func (r *reader) intset() (items [][]byte) {
	b := r.string()
	if r.bad || len(b) < 8 {
		r.bad = true
		return nil
	}
	size, n := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if size != 2 && size != 4 && size != 8 || uint64(len(b)-8) != uint64(size)*uint64(n) || !r.allocate(uint64(n)*itemSize) {
		r.bad = true
		return nil
	}
	inner := &reader{rest: b[8:]}
	items = make([][]byte, 0, n)
	last := int64(0)
	for i := range n {
		v := inner.little(int(size))
		if i > 0 && v <= last {
			r.bad = true
			return nil
		}
		items, last = append(items, r.number(v)), v
	}
	return items
}
