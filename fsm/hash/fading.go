package hash

import (
	"bytes"
	"encoding/binary"

	"github.com/raftkv/raftkv/fsm/dict"
)

// fadingField is the field that a record of fading holds.
func fadingField(r dict.Record[dict.None]) Field {
	return Field{Name: r.Key, Value: r.Data[timeSize:], Expires: int64(binary.LittleEndian.Uint64(r.Data))}
}

// putFading adds a field that expires to a large one, which has none of its name.
func (m *Map) putFading(f Field) {
	if m.due == nil {
		m.fading, m.due = dict.New[dict.None](), dict.New[dict.None]()
	}
	c := &m.kit.Cursor
	var buf [timeSize]byte
	c.Seek(m.fading, m.kit.Position(f.Name), f.Name, nil)
	c.Put(f.Name, stamp(f.Expires, &buf), f.Value, nil)
	c.Seek(m.due, uint64(f.Expires), f.Name, nil)
	c.Put(f.Name, nil, nil, nil)
	m.bytes += fadingCost(len(f.Name), len(f.Value))
}

func fadingCost(name, value int) int { return cost(name, timeSize+value) + cost(name, 0) }

// takeFading removes a field that expires from a large one, if it is there, and returns
// what is left of it: its expiry time.
func (m *Map) takeFading(name []byte) (f Field, ok bool) {
	if m.due == nil {
		return Field{}, false
	}
	c := &m.kit.Cursor
	if !c.Seek(m.fading, m.kit.Position(name), name, nil) {
		return Field{}, false
	}
	f = fadingField(c.Record())
	m.bytes -= fadingCost(len(name), len(f.Value))
	f = Field{Expires: f.Expires}
	c.Delete()
	c.Seek(m.due, uint64(f.Expires), name, nil)
	c.Delete()
	if m.due.Len() == 0 {
		m.fading, m.due = nil, nil
	}
	return f, true
}

// SetExpiry gives a field that is there an expiry time above now, or 0 for none.
func (m *Map) SetExpiry(name []byte, expires, now int64) {
	f, ok := m.Get(name, now)
	if !ok || f.Expires == expires {
		return
	}
	f = Field{Name: name, Value: bytes.Clone(f.Value), Expires: expires}
	if m.large != nil {
		m.put(f, now)
	} else {
		m.setSmall(f, now)
	}
}

// Times returns the earliest expiry time of any field stored, 0 if none expires, and
// the time at which the last one goes, 0 if one stays.
func (m *Map) Times() (first, last int64) {
	if m.large != nil {
		if m.due == nil {
			return 0, 0
		}
		at, _, _ := m.due.Min()
		first = int64(at)
		if m.large.Len() == 0 {
			at, _, _ = m.due.At(m.due.Len() - 1)
			last = int64(at)
		}
		return first, last
	}
	stays := false
	m.eachTime(func(expires int64) {
		switch {
		case expires == 0:
			stays = true
		case first == 0:
			first, last = expires, expires
		default:
			first, last = min(first, expires), max(last, expires)
		}
	})
	if stays {
		last = 0
	}
	return first, last
}

// eachTime calls fn for the expiry time of each field of a small one, if any expires.
func (m *Map) eachTime(fn func(expires int64)) {
	for at := 0; m.timed && at < len(m.small); {
		var f Field
		f, at = m.next(at)
		fn(f.Expires)
	}
}

// Fading is how many of the fields stored expire.
func (m *Map) Fading() (n int) {
	if m.due != nil {
		return m.due.Len()
	}
	m.eachTime(func(expires int64) {
		if expires != 0 {
			n++
		}
	})
	return n
}

// Due says whether the time of any field stored is above after and not above until.
func (m *Map) Due(after, until int64) (any bool) {
	if m.large != nil {
		return m.due != nil && m.due.CountRange(uint64(after)+1, uint64(until)+1) > 0
	}
	m.eachTime(func(expires int64) { any = any || after < expires && expires <= until })
	return any
}

// Expired is the latest expiry time, up to now, of all fields that have expired: it
// moves when one does, and not when that is removed.
func (m *Map) Expired(now int64) (latest int64) {
	latest = m.expired
	if n := m.dead(now); n > 0 {
		at, _, _ := m.due.At(n - 1)
		latest = max(latest, int64(at))
	}
	m.eachTime(func(expires int64) {
		if expires <= now {
			latest = max(latest, expires)
		}
	})
	return latest
}

// RemoveDue takes out up to most of the fields whose time has come, the earliest first
// in a large one, and returns how many it took.
func (m *Map) RemoveDue(now int64, most int) (removed int) {
	if m.large == nil {
		return m.removeSmall(now, most)
	}
	for ; removed < most && m.due != nil; removed++ {
		at, r, _ := m.due.Min()
		if int64(at) > now {
			break
		}
		m.takeFading(bytes.Clone(r.Key))
		m.expired = max(m.expired, int64(at))
	}
	return removed
}

func (m *Map) removeSmall(now int64, most int) (removed int) {
	for at := 0; m.timed && at < len(m.small) && removed < most; {
		f, end := m.next(at)
		if f.alive(now) {
			at = end
			continue
		}
		m.expired = max(m.expired, f.Expires)
		m.small = m.small.Splice(at, end)
		m.n--
		removed++
	}
	return removed
}
