// Package zset is the value of a Redis sorted set: members with a score each, in the
// order of their scores, and of their bytes where scores are equal. A small one is one
// piece of memory in that order; a large one is two tables, by member and by score.
// Which of the two it is follows from its history, so it is part of the state. It knows
// no keys, no commands and no replies.
package zset

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Limits say up to what size a sorted set is a small one: zset-max-listpack-entries,
// and zset-max-listpack-value in bytes. They are looked at when it grows.
type Limits struct{ Entries, Value int }

// Set is such a value. No score is NaN. What its methods return points into it and is
// valid until the next change.
type Set struct {
	kit   *dict.Kit
	small pack.Seq // member, score, member, score … in order; nil of a large one
	n     int      // members of a small one

	// Of a large one. byMember has a member's score as data, under the member's hash;
	// byScore has no data but a mark for negative zeros, whose place is that of 0.
	byMember, byScore *dict.Table[dict.None]
	bytes             int // what the records take
}

// New returns an empty sorted set, which is a small one.
func New(kit *dict.Kit) *Set { return &Set{kit: kit} }

// Len is the number of members.
func (s *Set) Len() int {
	if s.byMember != nil {
		return s.byMember.Len()
	}
	return s.n
}

// Small says whether it is a small one.
func (s *Set) Small() bool { return s.byMember == nil }

// Size is the memory it takes, in bytes: an estimate, the same on every replica.
func (s *Set) Size() int { return emptySize + len(s.small) + s.bytes }

const emptySize = 128

// Lies tells where a member is looked for: in the table of a large one, or in the memory
// of a small one.
func (s *Set) Lies() (large *dict.Table[dict.None], small []byte) { return s.byMember, s.small }

// Score returns the score of a member.
func (s *Set) Score(member []byte) (score float64, ok bool) {
	if s.byMember != nil {
		r, ok := s.byMember.Get(s.kit.Position(member), member)
		if !ok {
			return 0, false
		}
		return decode(r.Data), true
	}
	_, at, ok := s.small.Find(member, 2)
	if !ok {
		return 0, false
	}
	data, _ := s.small.Next(at)
	return decode(data), true
}

// Set gives a member a score, which is not NaN, and says whether it is a new member. A
// score that is equal to the old one changes nothing: 0 does not replace -0. A small set
// makes 0 of -0, as Redis does. The member
// must not be the set's own memory.
func (s *Set) Set(member []byte, score float64, limits Limits) (created bool) {
	return s.SetAt(s.Find(member), member, score, limits)
}

// Place is where a member stands in a set, or that it is not there, until the next change.
type Place struct {
	Score    float64 // of a member that is there
	Found    bool
	from, to int    // in a small one: its item and its score's
	pos      uint64 // in a large one
}

// Find looks for a member that is about to be changed. Only who may write may call it.
func (s *Set) Find(member []byte) (p Place) {
	if s.byMember == nil {
		if p.from, p.to, p.Found = s.small.Find(member, 2); p.Found {
			var data []byte
			data, p.to = s.small.Next(p.to)
			p.Score = decode(data)
		}
		return p
	}
	p.pos = s.kit.Position(member)
	if p.Found = s.kit.Seek(s.byMember, member); p.Found {
		data, _ := s.kit.Cursor.Data()
		p.Score = decode(data)
	}
	return p
}

// SetAt is Set for a member that Find has just looked for.
func (s *Set) SetAt(p Place, member []byte, score float64, limits Limits) (created bool) {
	switch {
	case s.byMember != nil:
		return s.put(p.pos, member, score)
	case p.Found && p.Score == score:
		return false
	case p.Found:
		s.small = s.small.Splice(p.from, p.to)
	case s.n+1 > min(limits.Entries, pack.MostMembers) || len(member) > limits.Value || len(s.small)+smallSize(len(member)) > pack.Most:
		s.enlarge()
		return s.put(s.kit.Position(member), member, score)
	default:
		s.n++
	}
	s.insert(member, score)
	return !p.Found
}

// insert puts a member that is not there into a small one.
func (s *Set) insert(member []byte, score float64) {
	at := 0
	for at < len(s.small) {
		m, next := s.small.Next(at)
		data := s.small[next+1 : next+1+scoreSize] // its length takes a byte
		if other := decode(data); other > score || other == score && bytes.Compare(m, member) > 0 {
			break
		}
		at = next + 1 + scoreSize
	}
	data := smallScore(score)
	s.small = s.small.Splice(at, at, member, data[:])
}

// append is insert of a member that comes behind all others; it counts it, too.
func (s *Set) append(member []byte, score float64) {
	data := smallScore(score)
	s.small = s.small.Append(member, data[:])
	s.n++
}

// smallScore is a score as small sets keep it: without a negative zero. Redis's have
// none, as they keep integers as such.
func smallScore(score float64) [scoreSize]byte {
	if score == 0 {
		score = 0
	}
	return encode(score)
}

// smallSize is what a member of that length takes in a small one.
func smallSize(member int) int { return pack.Size(member) + pack.Size(scoreSize) }

// put gives a member of a large one a score. pos is the member's position.
func (s *Set) put(pos uint64, member []byte, score float64) (created bool) {
	c := &s.kit.Cursor
	if c.Seek(s.byMember, pos, member, nil) {
		data, _ := c.Data()
		old := decode(data)
		if old == score {
			return false
		}
		fresh := encode(score)
		c.Put(member, nil, fresh[:], nil)
		s.dropScore(member, old)
	} else {
		data := encode(score)
		c.Put(member, nil, data[:], nil)
		s.bytes += memberCost(len(member))
		created = true
	}
	s.putScore(member, score)
	return created
}

// putScore makes a member's record in byScore, where there is none yet.
func (s *Set) putScore(member []byte, score float64) {
	c := &s.kit.Cursor
	c.Seek(s.byScore, order(score), member, nil)
	c.Put(member, nil, sign(score), nil)
	s.bytes += scoreCost(len(member), score)
}

// dropScore takes a member's record out of byScore.
func (s *Set) dropScore(member []byte, score float64) {
	c := &s.kit.Cursor
	c.Seek(s.byScore, order(score), member, nil)
	c.Delete()
	s.bytes -= scoreCost(len(member), score)
}

// enlarge makes a small one large.
func (s *Set) enlarge() {
	small := s.small
	s.byMember, s.byScore = dict.New[dict.None](), dict.New[dict.None]()
	s.small, s.n = nil, 0
	for at := 0; at < len(small); {
		member, next := small.Next(at)
		data, next := small.Next(next)
		s.put(s.kit.Position(member), member, decode(data))
		at = next
	}
}

// Delete removes a member and says whether there was one. A large set stays large.
func (s *Set) Delete(member []byte) bool {
	if s.byMember != nil {
		c := &s.kit.Cursor
		if !s.kit.Seek(s.byMember, member) {
			return false
		}
		data, _ := c.Data()
		score := decode(data)
		c.Delete()
		s.bytes -= memberCost(len(member))
		s.dropScore(member, score)
		return true
	}
	from, at, ok := s.small.Find(member, 2)
	if ok {
		_, to := s.small.Next(at)
		s.small = s.small.Splice(from, to)
		s.n--
	}
	return ok
}

// DeleteRange removes the members from one rank up to, not including, another one.
func (s *Set) DeleteRange(from, to int) {
	switch {
	case s.byMember != nil && to-from == s.Len(): // in no time
		s.byMember, s.byScore, s.bytes = dict.New[dict.None](), dict.New[dict.None](), 0
		return
	case s.byMember == nil:
		a := s.offset(0, from)
		s.small = s.small.Splice(a, s.offset(a, to-from))
		s.n -= to - from
		return
	}
	var member []byte // a copy: deleting moves the table's memory
	for range to - from {
		_, r, _ := s.byScore.At(from)
		member = append(member[:0], r.Key...)
		s.Delete(member)
	}
}

// offset is where in a small one the member of that rank begins, counted from the one
// that begins at an offset.
func (s *Set) offset(at, rank int) int {
	for range 2 * rank {
		_, at = s.small.Next(at)
	}
	return at
}

// Clone returns an equal set that may be changed without the receiver's seeing it. The
// receiver must not be changed any more. It copies a small one and nothing of a large.
func (s *Set) Clone() *Set {
	c := *s
	if s.byMember != nil {
		c.byMember, c.byScore = s.byMember.Fork(), s.byScore.Fork()
	} else {
		c.small = bytes.Clone(s.small)
	}
	return &c
}

// Enlarging is what the set's Size grows by, at the most, when it is made a large one.
func (s *Set) Enlarging() int { return max(0, Cost(s.n, len(s.small))-len(s.small)) }

// MaxCost is the most that a set with the same members takes over an empty one.
func (s *Set) MaxCost() int { return s.Size() + s.Enlarging() }

// Cost is the most that a set takes over an empty one, with so many members of so many
// bytes together.
func Cost(members, size int) int {
	return members*(memberCost(0)+scoreCost(0, math.Copysign(0, -1))+2) + 2*size + size/5
}

// memberCost is the memory that a member takes in byMember.
func memberCost(n int) int { return n + scoreSize + dict.RecordCost(n, scoreSize) }

// scoreCost is the memory that a member takes in byScore.
func scoreCost(n int, score float64) int {
	data := len(sign(score))
	return n + data + dict.RecordCost(n, data)
}

// scoreSize is the bytes of a score as it is kept.
const scoreSize = 8

func encode(score float64) (data [scoreSize]byte) {
	binary.LittleEndian.PutUint64(data[:], math.Float64bits(score))
	return data
}

func decode(data []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(data)) }

const signBit = 1 << 63

// order is a score's place among all scores: the places are in the order of the scores,
// and both zeros have the same.
func order(score float64) uint64 {
	bits := math.Float64bits(score)
	switch {
	case score == 0:
		return signBit
	case bits&signBit != 0:
		return ^bits
	}
	return bits | signBit
}

// negativeZero is the data of a record of byScore with that score; others have none.
var negativeZero = []byte{1}

func sign(score float64) []byte {
	if score == 0 && math.Signbit(score) {
		return negativeZero
	}
	return nil
}

// scoreOf is the score of a record of byScore.
func scoreOf(pos uint64, data []byte) float64 {
	switch {
	case len(data) > 0:
		return math.Copysign(0, -1)
	case pos&signBit != 0:
		return math.Float64frombits(pos &^ signBit)
	}
	return math.Float64frombits(^pos)
}

// compare gives the order of two members: negative where the first one comes first.
func compare(score float64, member []byte, other float64, otherMember []byte) int {
	switch {
	case score < other:
		return -1
	case score > other:
		return 1
	}
	return bytes.Compare(member, otherMember)
}
