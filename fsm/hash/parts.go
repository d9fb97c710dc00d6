package hash

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// The kinds of a hash in a snapshot.
const (
	kindSmall = 1
	kindLarge = 2
	kindTimed = 3 // a small one with times
)

// Parts calls fn with the snapshot form in pieces, until fn returns an error, which it
// returns: the kind, with the latest time at which a field expired if one did; then all
// fields of a small hash in one piece, or name, value and time if it has one of each
// field of a large hash.
func (m *Map) Parts(fn func(part []byte) error) error {
	kind := []byte{kindLarge}
	switch {
	case m.large != nil:
	case m.timed:
		kind[0] = kindTimed
	default:
		kind[0] = kindSmall
	}
	if m.expired != 0 {
		kind = binary.LittleEndian.AppendUint64(kind, uint64(m.expired))
	}
	err := fn(kind)
	if m.large == nil {
		if err == nil {
			err = fn(m.small)
		}
		return err
	}
	var part pack.Seq
	m.all(func(f Field) bool {
		if err == nil {
			part = part[:0].Append(f.Name, f.Value)
			if f.Expires != 0 {
				var buf [timeSize]byte
				part = part.Append(stamp(f.Expires, &buf))
			}
			err = fn(part)
		}
		return err == nil
	})
	return err
}

// Loader makes a hash from the pieces of Parts, which may come from anywhere.
type Loader struct {
	m    *Map
	kind byte
	done bool // a small one's fields are there
}

// NewLoader returns a Loader.
func NewLoader(kit *dict.Kit) *Loader { return &Loader{m: New(kit)} }

// Add takes the next piece, which it does not keep.
func (l *Loader) Add(part []byte) error {
	switch l.kind {
	case 0:
		return l.head(part)
	case kindLarge:
		return l.m.load(part)
	}
	if l.done {
		return fmt.Errorf("small hash in two pieces")
	}
	l.done = true
	return l.m.loadSmall(part)
}

// head takes the first piece.
func (l *Loader) head(part []byte) error {
	if n := len(part); n != 1 && n != 1+timeSize || part[0] < kindSmall || part[0] > kindTimed || part[0] == kindSmall && n != 1 {
		return fmt.Errorf("hash of kind %x", part)
	}
	l.kind = part[0]
	l.m.timed = l.kind == kindTimed
	if l.kind == kindLarge {
		l.m.large = dict.New[dict.None]()
	}
	if len(part) == 1 {
		return nil
	}
	var ok bool
	l.m.expired, ok = readTime(part[1:])
	return mustBe(ok, "hash of which a field expired at no time")
}

func mustBe(ok bool, what string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%s", what)
}

// readTime reads a time, which must be one.
func readTime(b []byte) (ms int64, ok bool) {
	if len(b) != timeSize {
		return 0, false
	}
	ms = int64(binary.LittleEndian.Uint64(b))
	return ms, ms > 0
}

// load adds a field to a large one, from a piece. Fields mostly come in the table's own
// order: in another one where the cluster has got another hash.
func (m *Map) load(part pack.Seq) error {
	n, ok := part.Count()
	if !ok || n != 2 && n != 3 {
		return fmt.Errorf("field of a hash that is none")
	}
	var f Field
	at := 0
	f.Name, at = part.Next(at)
	f.Value, at = part.Next(at)
	c, pos := &m.kit.Cursor, m.kit.Position(f.Name)
	if n == 3 {
		t, _ := part.Next(at)
		if f.Expires, ok = readTime(t); !ok {
			return fmt.Errorf("field of a hash that expires at no time")
		}
		if _, there := m.fetch(f.Name); there {
			return errTwice
		}
		m.putFading(f)
		return nil
	}
	if m.fading != nil {
		if _, there := m.fetch(f.Name); there {
			return errTwice
		}
	}
	if !c.SeekEnd(m.large, pos, f.Name) && c.Seek(m.large, pos, f.Name, nil) {
		return errTwice
	}
	c.Put(f.Name, nil, f.Value, nil)
	m.bytes += cost(len(f.Name), len(f.Value))
	return nil
}

var errTwice = fmt.Errorf("hash with the same field twice")

// loadSmall makes the fields of a small one from its piece.
func (m *Map) loadSmall(part pack.Seq) error {
	n, ok := part.Count()
	if !ok || n%m.stride() != 0 {
		return fmt.Errorf("small hash that is none")
	}
	m.small, m.n = bytes.Clone(part), n/m.stride()
	seen := dict.New[dict.None]() // the built-in map is not for the state machine
	var c dict.Cursor[dict.None]
	for at := 0; at < len(part); {
		name, end := part.Next(at)
		_, end = part.Next(end)
		if m.timed {
			var t []byte
			if t, end = part.Next(end); len(t) > 0 {
				if _, ok := readTime(t); !ok {
					return fmt.Errorf("field of a hash that expires at no time")
				}
			}
		}
		if c.Seek(seen, 0, name, nil) {
			return errTwice
		}
		c.Put(name, nil, nil, nil)
		at = end
	}
	return nil
}

// Done returns the hash.
func (l *Loader) Done() (*Map, error) {
	if l.kind == 0 || l.kind != kindLarge && !l.done || l.m.Len() == 0 {
		return nil, fmt.Errorf("hash without fields")
	}
	return l.m, nil
}
