package hash

import (
	"encoding/binary"

	"github.com/raftkv/raftkv/fsm/pack"
)

// timeSize is the length of an expiry time among the members of a hash.
const timeSize = 8

// stride is how many items of a small one make a field.
func (m *Map) stride() int {
	if m.timed {
		return 3
	}
	return 2
}

// next returns the field at an offset of a small one, and the offset behind it.
func (m *Map) next(at int) (f Field, end int) {
	f.Name, at = m.small.Next(at)
	f.Value, at = m.small.Next(at)
	if m.timed {
		var t []byte
		if t, at = m.small.Next(at); len(t) == timeSize {
			f.Expires = int64(binary.LittleEndian.Uint64(t))
		}
	}
	return f, at
}

// stamp is a time in the form in which a small one has it.
func stamp(expires int64, buf *[timeSize]byte) []byte {
	if expires == 0 {
		return nil
	}
	binary.LittleEndian.PutUint64(buf[:], uint64(expires))
	return buf[:]
}

// appendSmall adds a field to the end of a sequence of a small one's form.
func (m *Map) appendSmall(s pack.Seq, f Field) pack.Seq {
	if !m.timed {
		return s.Append(f.Name, f.Value)
	}
	var buf [timeSize]byte
	return s.Append(f.Name, f.Value, stamp(f.Expires, &buf))
}

// setSmall sets a field of a small one. One whose time has come makes room for the new
// one, which stands at the end like any other.
func (m *Map) setSmall(f Field, now int64) (created bool) {
	if f.Expires != 0 {
		m.addTimes()
	}
	at, value, found := m.small.Find(f.Name, m.stride())
	if found {
		old, end := m.next(at)
		switch {
		case !old.alive(now):
			m.expired = max(m.expired, old.Expires)
			m.small = m.small.Splice(at, end)
			m.n--
		case m.timed:
			var buf [timeSize]byte
			m.small = m.small.Splice(value, end, f.Value, stamp(f.Expires, &buf))
			return false
		default:
			m.small = m.small.Splice(value, end, f.Value)
			return false
		}
	}
	m.small = m.appendSmall(m.small, f)
	m.n++
	return true
}

// addTimes gives each field of a small one the place of an expiry time.
func (m *Map) addTimes() {
	if m.timed {
		return
	}
	old := *m
	m.timed = true
	m.small = make(pack.Seq, 0, len(old.small)+m.n+timeSize)
	for at := 0; at < len(old.small); {
		var f Field
		f, at = old.next(at)
		m.small = m.appendSmall(m.small, f)
	}
}

// Timing is what the hash's Size grows by when its first field gets an expiry time,
// beside that time's own bytes.
func (m *Map) Timing() int {
	if m.large != nil || m.timed {
		return 0
	}
	return m.n
}
