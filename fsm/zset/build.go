package zset

import (
	"slices"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Builder makes a set whose members come in any order and whose scores change on the
// way, as a union's do.
type Builder struct {
	kit     *dict.Kit
	scores  *dict.Table[dict.None] // by member, as Set.byMember
	longest int                    // the longest member that ever came
	bytes   int
}

// NewBuilder returns a Builder of an empty set. The kit must be the caller's alone
// until Done.
func NewBuilder(kit *dict.Kit) *Builder { return &Builder{kit: kit, scores: dict.New[dict.None]()} }

// Len is the number of members.
func (b *Builder) Len() int { return b.scores.Len() }

// Score returns the score that a member has so far.
func (b *Builder) Score(member []byte) (score float64, ok bool) {
	c := &b.kit.Cursor
	if !c.Seek(b.scores, b.kit.Position(member), member, nil) {
		return 0, false
	}
	data, _ := c.Data()
	return decode(data), true
}

// Set gives a member a score. The member must not be the Builder's own memory.
func (b *Builder) Set(member []byte, score float64) {
	c := &b.kit.Cursor
	if !c.Seek(b.scores, b.kit.Position(member), member, nil) {
		b.bytes += memberCost(len(member))
	}
	data := encode(score)
	c.Put(member, nil, data[:], nil)
	b.longest = max(b.longest, len(member))
}

// Delete removes a member.
func (b *Builder) Delete(member []byte) {
	c := &b.kit.Cursor
	if c.Seek(b.scores, b.kit.Position(member), member, nil) {
		c.Delete()
		b.bytes -= memberCost(len(member))
	}
}

// Done returns the set, a small one if it is within the limits. The Builder must not be
// used any more.
func (b *Builder) Done(limits Limits) *Set {
	s := New(b.kit)
	if b.Len() <= min(limits.Entries, pack.MostMembers) && b.within(limits.Value) && b.packed() <= pack.Most {
		b.fill(s)
		return s
	}
	s.byMember, s.byScore, s.bytes = b.scores, dict.New[dict.None](), b.bytes
	b.scores.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool {
		s.putScore(r.Key, decode(r.Data))
		return true
	})
	return s
}

// fill puts the members into an empty small set.
func (b *Builder) fill(s *Set) {
	type scored struct {
		member []byte
		score  float64
	}
	list := make([]scored, 0, b.Len())
	b.scores.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool {
		list = append(list, scored{r.Key, decode(r.Data)})
		return true
	})
	slices.SortFunc(list, func(x, y scored) int { return compare(x.score, x.member, y.score, y.member) })
	for _, x := range list {
		s.append(x.member, x.score)
	}
}

// packed is how many bytes a small one would take; what is more than there may be is not
// counted to its end.
func (b *Builder) packed() (n int) {
	b.scores.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool {
		n += smallSize(len(r.Key))
		return n <= pack.Most
	})
	return n
}

// within says whether all members are at most that long.
func (b *Builder) within(n int) bool {
	if b.longest <= n {
		return true
	}
	longest := 0 // of those that are still there
	b.scores.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool {
		longest = max(longest, len(r.Key))
		return longest <= n
	})
	return longest <= n
}
