package zset

import (
	"bytes"

	"github.com/raftkv/raftkv/fsm/dict"
)

// Rank returns how many members come before one, and its score.
func (s *Set) Rank(member []byte) (rank int, score float64, ok bool) {
	if s.byMember != nil {
		if score, ok = s.Score(member); !ok {
			return 0, 0, false
		}
		rank, _ = s.byScore.Rank(order(score), member)
		return rank, score, true
	}
	s.Each(func(m []byte, f float64) bool {
		if bytes.Equal(m, member) {
			score, ok = f, true
			return false
		}
		rank++
		return true
	})
	return rank, score, ok
}

// At returns the member of that rank, counted from 0, and its score.
func (s *Set) At(rank int) (member []byte, score float64, ok bool) {
	if s.byMember != nil {
		pos, r, ok := s.byScore.At(rank)
		if !ok {
			return nil, 0, false
		}
		return r.Key, scoreOf(pos, r.Data), true
	}
	if rank < 0 || rank >= s.n {
		return nil, 0, false
	}
	member, next := s.small.Next(s.offset(0, rank))
	data, _ := s.small.Next(next)
	return member, decode(data), true
}

// Each calls fn for every member, in order, until fn returns false.
func (s *Set) Each(fn func(member []byte, score float64) bool) { s.Ascend(0, s.Len(), fn) }

// Ascend calls fn for the members from one rank up to, not including, another one, in
// order, until fn returns false.
func (s *Set) Ascend(from, to int, fn func(member []byte, score float64) bool) {
	from, to = max(from, 0), min(to, s.Len())
	if from >= to {
		return
	}
	if s.byMember != nil {
		n := to - from
		s.byScore.AscendAt(from, func(pos uint64, r dict.Record[dict.None]) bool {
			n--
			return fn(r.Key, scoreOf(pos, r.Data)) && n > 0
		})
		return
	}
	at := s.offset(0, from)
	for range to - from {
		var member, data []byte
		member, at = s.small.Next(at)
		data, at = s.small.Next(at)
		if !fn(member, decode(data)) {
			return
		}
	}
}

// Descend is Ascend the other way: it begins with the member before to and ends with
// the one at from.
func (s *Set) Descend(from, to int, fn func(member []byte, score float64) bool) {
	from, to = max(from, 0), min(to, s.Len())
	if from >= to {
		return
	}
	if s.byMember != nil {
		n := to - from
		s.byScore.DescendAt(to-1, func(pos uint64, r dict.Record[dict.None]) bool {
			n--
			return fn(r.Key, scoreOf(pos, r.Data)) && n > 0
		})
		return
	}
	var few [128]int
	starts := few[:0]
	for at, n := s.offset(0, from), to-from; n > 0; n-- {
		starts = append(starts, at)
		at = s.offset(at, 1)
	}
	for i := len(starts) - 1; i >= 0; i-- {
		member, next := s.small.Next(starts[i])
		data, _ := s.small.Next(next)
		if !fn(member, decode(data)) {
			return
		}
	}
}

// Bound is an end of a range of scores. Open means that the score itself is outside.
type Bound struct {
	Score float64
	Open  bool
}

// Between returns the ranks of the members with scores between two bounds, from the
// first one up to, not including, the second. Where there are none they are equal.
func (s *Set) Between(low, high Bound) (from, to int) {
	from, to = s.below(low.Score, low.Open), s.below(high.Score, !high.Open)
	return from, max(from, to)
}

// below is the number of members with a score below one, or at most as large.
func (s *Set) below(score float64, orEqual bool) (n int) {
	if s.byMember != nil {
		end := order(score)
		if orEqual {
			end++
		}
		return s.byScore.CountRange(0, end)
	}
	s.Each(func(_ []byte, f float64) bool {
		if f > score || f == score && !orEqual {
			return false
		}
		n++
		return true
	})
	return n
}

// LexBound is an end of a range of members. Edge is -1 before all members, 1 behind
// all, and 0 for the Member. Open means that the member itself is outside.
type LexBound struct {
	Edge   int
	Member []byte
	Open   bool
}

// compare gives the order of two bounds' members.
func (b *LexBound) compare(c *LexBound) int {
	if b.Edge != c.Edge {
		return b.Edge - c.Edge
	}
	if b.Edge != 0 {
		return 0
	}
	return bytes.Compare(b.Member, c.Member)
}

// above says whether a member is inside a range that this bound ends below.
func (b *LexBound) above(member []byte) bool {
	if b.Edge != 0 {
		return b.Edge < 0
	}
	c := bytes.Compare(member, b.Member)
	return c > 0 || c == 0 && !b.Open
}

// below says whether a member is inside a range that this bound ends above.
func (b *LexBound) below(member []byte) bool {
	if b.Edge != 0 {
		return b.Edge > 0
	}
	c := bytes.Compare(member, b.Member)
	return c < 0 || c == 0 && !b.Open
}

// BetweenLex returns the ranks of the members between two bounds in the order of their
// bytes, from the first one up to, not including, the second; equal where there are
// none. All scores must be the same. If they are not, what is found is of no use, but a
// small set gives what Redis gives, which depends on the direction of the search.
func (s *Set) BetweenLex(low, high *LexBound, reverse bool) (from, to int) {
	if c := low.compare(high); c > 0 || c == 0 && (low.Open || high.Open) || s.Len() == 0 {
		return 0, 0
	}
	if s.byMember != nil {
		from, to = s.lexRank(low, low.Open), s.lexRank(high, !high.Open)
		return from, max(from, to)
	}
	return s.scanLex(low, high, reverse)
}

// lexRank is the number of members before a bound, or before what comes next to it.
func (s *Set) lexRank(b *LexBound, next bool) int {
	switch {
	case b.Edge < 0:
		return 0
	case b.Edge > 0:
		return s.byScore.Len()
	}
	pos, _, _ := s.byScore.Min()
	rank, found := s.byScore.Rank(pos, b.Member)
	if found && next {
		rank++
	}
	return rank
}

// scanLex is BetweenLex of a small set. Source: redis/src/t_zset.c:zzlFirstInLexRange,
// zzlLastInLexRange.
func (s *Set) scanLex(low, high *LexBound, reverse bool) (from, to int) {
	first, _, _ := s.At(0)
	last, _, _ := s.At(s.n - 1)
	if !low.above(last) || !high.below(first) {
		return 0, 0
	}
	if reverse {
		to, from = s.n, s.n
		s.Descend(0, s.n, func(m []byte, _ float64) bool {
			switch {
			case from == to && !high.below(m):
				to, from = to-1, from-1
				return true
			case !low.above(m):
				return false
			}
			from--
			return true
		})
		return from, to
	}
	s.Each(func(m []byte, _ float64) bool {
		switch {
		case from == to && !low.above(m):
			from, to = from+1, to+1
			return true
		case !high.below(m):
			return false
		}
		to++
		return true
	})
	return from, to
}

// Scan calls fn for about count members from a cursor on, and returns the cursor to go
// on from, 0 at the end. Of a small set it shows all, as Redis does. Cursors mean the
// same on every node; what is there during the whole walk is seen.
func (s *Set) Scan(cursor uint64, count int, fn func(member []byte, score float64)) (next uint64) {
	if s.byMember == nil {
		s.Each(func(member []byte, score float64) bool {
			fn(member, score)
			return true
		})
		return 0
	}
	seen, last := 0, uint64(0)
	s.byMember.Ascend(cursor, func(pos uint64, r dict.Record[dict.None]) bool {
		if seen >= count && pos != last {
			next = pos
			return false
		}
		seen, last = seen+1, pos
		fn(r.Key, decode(r.Data))
		return true
	})
	return next
}
