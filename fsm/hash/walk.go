package hash

import "github.com/raftkv/raftkv/fsm/dict"

// Each calls fn for every field that is there, in the hash's order, until fn returns
// false.
func (m *Map) Each(now int64, fn func(Field) bool) {
	m.all(func(f Field) bool { return !f.alive(now) || fn(f) })
}

// all calls fn for every field stored, in the hash's order, until fn returns false.
func (m *Map) all(fn func(Field) bool) {
	if m.large == nil {
		for at := 0; at < len(m.small); {
			var f Field
			if f, at = m.next(at); !fn(f) {
				return
			}
		}
		return
	}
	more := true
	m.large.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool {
		more = fn(Field{Name: r.Key, Value: r.Data})
		return more
	})
	if more && m.fading != nil {
		m.fading.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool { return fn(fadingField(r)) })
	}
}

// Scan calls fn for about count fields from a cursor on, and returns the cursor to go on
// from, 0 at the end. Of a small hash it shows all, as Redis does. Cursors mean the same
// on every node; what is there during the whole walk is seen, also where it gets an
// expiry time on the way, or loses it.
func (m *Map) Scan(cursor uint64, count int, now int64, fn func(Field)) (next uint64) {
	if m.large == nil {
		m.Each(now, func(f Field) bool {
			fn(f)
			return true
		})
		return 0
	}
	next = pageEnd(m.large, cursor, count)
	if m.fading != nil {
		if end := pageEnd(m.fading, cursor, count); end != 0 && (next == 0 || end < next) {
			next = end
		}
	}
	below := func(pos uint64) bool { return next == 0 || pos < next }
	m.large.Ascend(cursor, func(pos uint64, r dict.Record[dict.None]) bool {
		if below(pos) {
			fn(Field{Name: r.Key, Value: r.Data})
		}
		return below(pos)
	})
	if m.fading != nil {
		m.fading.Ascend(cursor, func(pos uint64, r dict.Record[dict.None]) bool {
			if f := fadingField(r); below(pos) && f.alive(now) {
				fn(f)
			}
			return below(pos)
		})
	}
	return next
}

// pageEnd is the position behind count records from a position on, 0 where there are no
// more. What shares a position is not torn apart.
func pageEnd(t *dict.Table[dict.None], from uint64, count int) (end uint64) {
	seen, last := 0, uint64(0)
	t.Ascend(from, func(pos uint64, _ dict.Record[dict.None]) bool {
		if seen >= count && pos != last {
			end = pos
			return false
		}
		seen, last = seen+1, pos
		return true
	})
	return end
}

// Picker gives the fields that are there at one time by number, so that random numbers
// make an even pick. It is good until the next change of its hash.
type Picker struct {
	m      *Map
	now    int64
	places []int // of a small one: where they lie
	dead   int   // of a large one
}

// Pick returns the hash's Picker.
func (m *Map) Pick(now int64) Picker {
	p := Picker{m: m, now: now}
	if m.large != nil {
		p.dead = m.dead(now)
		return p
	}
	p.places = make([]int, 0, m.n)
	for at := 0; at < len(m.small); {
		f, end := m.next(at)
		if f.alive(now) {
			p.places = append(p.places, at)
		}
		at = end
	}
	return p
}

// Len is the number of fields that are there.
func (p *Picker) Len() int {
	if p.m.large != nil {
		return p.m.Len() - p.dead
	}
	return len(p.places)
}

// At returns field i, of 0 to Len()-1, in O(log n).
func (p *Picker) At(i int) Field {
	m := p.m
	if m.large == nil {
		f, _ := m.next(p.places[i])
		return f
	}
	if i < m.large.Len() {
		_, r, _ := m.large.At(i)
		return Field{Name: r.Key, Value: r.Data}
	}
	_, r, _ := m.due.At(i - m.large.Len() + p.dead) // behind those whose time has come
	f, _ := m.fetch(r.Key)
	return f
}
