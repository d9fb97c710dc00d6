package rdb

import "encoding/binary"

// Pairs calls fn for every field of a hash with its value, until fn returns false.
type Pairs func(fn func(field, value []byte) bool)

// AppendHash appends the payload of a hash of n fields.
func AppendHash(dst []byte, small bool, n int, each Pairs) []byte {
	if small {
		var l listpack
		each(func(field, value []byte) bool {
			l.add(field)
			l.add(value)
			return true
		})
		w := newWriter(dst, formHashListpack)
		w.string(l.bytes())
		return w.end(Version)
	}
	w := newWriter(dst, formHash)
	w.length(uint64(n))
	each(func(field, value []byte) bool {
		w.string(field)
		w.string(value)
		return true
	})
	return w.end(Version)
}

// Timed calls fn for every field of a hash with its value and the time at which it
// expires, Unix milliseconds, 0 for never.
type Timed func(fn func(field, value []byte, expires int64))

// AppendTimedHash appends the payload of a hash of n fields some of which expire: a form
// that Redis knows since 7.4.
func AppendTimedHash(dst []byte, n int, each Timed) []byte {
	first := int64(0)
	each(func(_, _ []byte, at int64) {
		if at != 0 && (first == 0 || at < first) {
			first = at
		}
	})
	w := newWriter(dst, formHashMetadata)
	w.b = binary.LittleEndian.AppendUint64(w.b, uint64(first))
	w.length(uint64(n))
	each(func(field, value []byte, at int64) {
		if at != 0 {
			at = at - first + 1 // counted from the earliest, which is 1
		}
		w.length(uint64(at))
		w.string(field)
		w.string(value)
	})
	return w.end(newest)
}

func (r *reader) hash(form byte, o *Object) {
	switch form {
	case formHash:
		o.Items = r.strings(2)
	case formZipmap:
		o.Items = r.zipmap()
	case formHashZiplist:
		o.Items = r.ziplist(nil)
	case formHashListpack:
		o.Items = r.listpack(nil)
	case formHashMetadata:
		r.hashMetadata(o)
	case formHashListpackX:
		r.hashListpackX(o)
	}
	r.refuse(len(o.Items)%2 != 0)
}

// hashMetadata reads fields with times that count from the earliest, less one.
func (r *reader) hashMetadata(o *Object) {
	first := r.little(8)
	n := r.count(3)
	for range n {
		if !r.allocate(3 * itemSize) {
			return
		}
		at := int64(r.length())
		if at != 0 {
			at += first - 1
		}
		r.refuse(at < 0)
		o.Items = append(o.Items, r.string(), r.string())
		o.Expires = append(o.Expires, at)
	}
}

// hashListpackX reads a listpack of field, value, time.
func (r *reader) hashListpackX(o *Object) {
	r.take(8) // the earliest time
	items := r.listpack(nil)
	if r.bad || len(items)%3 != 0 {
		r.bad = true
		return
	}
	for i := 0; i < len(items); i += 3 {
		at, ok := integer(items[i+2])
		r.refuse(!ok || at < 0)
		o.Items = append(o.Items, items[i], items[i+1])
		o.Expires = append(o.Expires, at)
	}
}
