package zset

import (
	"bytes"
	"fmt"
	"math"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// The kinds of a sorted set in a snapshot.
const (
	kindSmall = 1
	kindLarge = 2
)

// Parts calls fn with the snapshot form in pieces, until fn returns an error, which it
// returns: the kind, then all members of a small set in one piece, or each member of a
// large one with its score, in the set's order.
func (s *Set) Parts(fn func(part []byte) error) error {
	if s.byMember == nil {
		if err := fn([]byte{kindSmall}); err != nil {
			return err
		}
		return fn(s.small)
	}
	err := fn([]byte{kindLarge})
	var part pack.Seq
	s.Each(func(member []byte, score float64) bool {
		if err == nil {
			data := encode(score)
			part = part[:0].Append(member, data[:])
			err = fn(part)
		}
		return err == nil
	})
	return err
}

// Loader makes a sorted set from the pieces of Parts, which may come from anywhere.
type Loader struct {
	s    *Set
	kind byte
	done bool // a small one's members are there

	last      []byte // the member that came last, and its score
	lastScore float64
}

// NewLoader returns a Loader.
func NewLoader(kit *dict.Kit) *Loader { return &Loader{s: New(kit)} }

// Add takes the next piece, which it does not keep.
func (l *Loader) Add(part []byte) error {
	switch {
	case l.kind == 0:
		if len(part) != 1 || part[0] != kindSmall && part[0] != kindLarge {
			return fmt.Errorf("sorted set of kind %x", part)
		}
		if l.kind = part[0]; l.kind == kindLarge {
			l.s.byMember, l.s.byScore = dict.New[dict.None](), dict.New[dict.None]()
		}
		return nil
	case l.kind == kindSmall:
		if l.done {
			return fmt.Errorf("small sorted set in two pieces")
		}
		l.done = true
		return l.small(part)
	}
	if n, ok := pack.Seq(part).Count(); !ok || n != 2 {
		return fmt.Errorf("member of a sorted set that is none")
	}
	member, score, _, err := pair(part, 0)
	if err != nil {
		return err
	}
	if err := l.follows(member, score, l.s.Len() == 0); err != nil {
		return err
	}
	l.last, l.lastScore = append(l.last[:0], member...), score
	return l.s.load(member, score)
}

// pair reads a member and its score.
func pair(seq pack.Seq, at int) (member []byte, score float64, next int, err error) {
	member, next = seq.Next(at)
	data, next := seq.Next(next)
	if len(data) != scoreSize {
		return nil, 0, 0, fmt.Errorf("score of %d bytes", len(data))
	}
	if score = decode(data); math.IsNaN(score) {
		return nil, 0, 0, fmt.Errorf("score that is no number")
	}
	return member, score, next, nil
}

// follows refuses a member that does not come behind the last one.
func (l *Loader) follows(member []byte, score float64, first bool) error {
	if !first && compare(l.lastScore, l.last, score, member) >= 0 {
		return fmt.Errorf("sorted set that is not sorted")
	}
	return nil
}

// load is put for new members that come in order.
func (s *Set) load(member []byte, score float64) error {
	c, pos, data := &s.kit.Cursor, s.kit.Position(member), encode(score)
	if c.Seek(s.byMember, pos, member, nil) {
		return fmt.Errorf("sorted set with the same member twice")
	}
	c.Put(member, nil, data[:], nil)
	s.bytes += memberCost(len(member))
	s.putScore(member, score)
	return nil
}

func (l *Loader) small(part []byte) error {
	n, ok := pack.Seq(part).Count()
	if !ok || n%2 != 0 {
		return fmt.Errorf("small sorted set that is none")
	}
	seen := dict.New[dict.None]() // the built-in map is not for the state machine
	var c dict.Cursor[dict.None]
	for at := 0; at < len(part); {
		member, score, next, err := pair(part, at)
		if err == nil && score == 0 && math.Signbit(score) {
			err = fmt.Errorf("small sorted set with a negative zero") // none is ever made
		}
		if err == nil {
			err = l.follows(member, score, at == 0)
		}
		if err != nil {
			return err
		}
		if c.Seek(seen, 0, member, nil) {
			return fmt.Errorf("sorted set with the same member twice")
		}
		c.Put(member, nil, nil, nil)
		l.last, l.lastScore, at = member, score, next
	}
	l.s.small, l.s.n = bytes.Clone(part), n/2
	return nil
}

// Done returns the sorted set.
func (l *Loader) Done() (*Set, error) {
	if l.kind == 0 || l.kind == kindSmall && !l.done || l.s.Len() == 0 {
		return nil, fmt.Errorf("sorted set without members")
	}
	return l.s, nil
}
