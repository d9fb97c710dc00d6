package set

import (
	"bytes"
	"fmt"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Parts calls fn with the snapshot form in pieces, until fn returns an error, which it
// returns: the form, then all members of a set that is not large in one piece, or each
// of a large one. Behind the form of a row of integers stands its width.
func (s *Set) Parts(fn func(part []byte) error) error {
	head := []byte{s.form}
	if s.form == formInts {
		head = append(head, s.width)
	}
	err := fn(head)
	if s.form != formLarge {
		if err == nil {
			err = fn(s.memory)
		}
		return err
	}
	var part pack.Seq
	s.Each(func(member []byte) bool {
		if err == nil {
			part = part[:0].Append(member) // an empty member is a piece, too
			err = fn(part)
		}
		return err == nil
	})
	return err
}

// Loader makes a set from the pieces of Parts, which may come from anywhere.
type Loader struct {
	s     *Set
	ready bool // its form is known
}

// NewLoader returns a Loader.
func NewLoader(kit *dict.Kit) *Loader { return &Loader{s: New(kit)} }

// Add takes the next piece, which it does not keep.
func (l *Loader) Add(part []byte) error {
	s := l.s
	switch {
	case !l.ready:
		return l.head(part)
	case s.form != formLarge && s.memory != nil:
		return fmt.Errorf("small set in two pieces")
	case s.form == formInts:
		s.memory = bytes.Clone(part)
		if !s.ints().sound() {
			return fmt.Errorf("row of integers that is none")
		}
		return nil
	case s.form == formPacked:
		return s.loadPacked(part)
	}
	if n, ok := pack.Seq(part).Count(); !ok || n != 1 {
		return fmt.Errorf("member of a set that is none")
	}
	member, _ := pack.Seq(part).Next(0)
	return s.load(member)
}

// head takes the first piece.
func (l *Loader) head(part []byte) error {
	s := l.s
	switch {
	case len(part) == 2 && part[0] == formInts:
		s.width = part[1]
	case len(part) == 1 && part[0] == formPacked:
		s.form, s.width = formPacked, 0
	case len(part) == 1 && part[0] == formLarge:
		s.form, s.width, s.large = formLarge, 0, dict.New[dict.None]()
	default:
		return fmt.Errorf("set of the form %x", part)
	}
	l.ready = true
	return nil
}

// load is put for new members that mostly come in the table's own order: in another one
// where the cluster has got another hash.
func (s *Set) load(member []byte) error {
	c, pos := &s.kit.Cursor, s.kit.Position(member)
	if !c.SeekEnd(s.large, pos, member) && c.Seek(s.large, pos, member, nil) {
		return fmt.Errorf("set with the same member twice")
	}
	c.Put(member, nil, nil, nil)
	s.bytes += cost(len(member))
	return nil
}

func (s *Set) loadPacked(part []byte) error {
	n, ok := pack.Seq(part).Count()
	if !ok {
		return fmt.Errorf("small set that is none")
	}
	s.memory, s.n = bytes.Clone(part), n
	seen := dict.New[dict.None]() // the built-in map is not for the state machine
	var c dict.Cursor[dict.None]
	again := false
	s.Each(func(member []byte) bool {
		if again = c.Seek(seen, 0, member, nil); !again {
			c.Put(member, nil, nil, nil)
		}
		return !again
	})
	if again {
		return fmt.Errorf("set with the same member twice")
	}
	return nil
}

// Done returns the set.
func (l *Loader) Done() (*Set, error) {
	if !l.ready || l.s.form == formInts && !l.s.ints().sound() || l.s.Len() == 0 {
		return nil, fmt.Errorf("set without members")
	}
	return l.s, nil
}
