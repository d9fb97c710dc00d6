package stream

import (
	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// Trim says what Stream.Trim removes: the first entries, so that MaxLen are left, or
// those below MinID.
type Trim struct {
	ByID   bool // MinID counts, otherwise MaxLen
	MaxLen uint64
	MinID  ID
	// Whole lets only whole nodes go, so that more may be left, and of those so many
	// that no more than Limit entries go; 0 is without a limit.
	Whole bool
	Limit int
}

// Trim removes entries and returns how many. Deleted entries count as Redis has it: a
// node is gone with the last of its entries that is left, but not if Trim took some of
// its entries and Delete the others. Source: redis/src/t_stream.c:streamTrim.
func (s *Stream) Trim(t Trim) (removed int) {
	c := cut{Trim: t, left: uint64(s.Len())}
	s.nodes.AscendAt(0, func(pos uint64, r dict.Record[dict.None]) bool { return c.take(readNode(pos, r)) })
	if !c.stopped && s.tail.n > 0 {
		c.take(s.tail)
	}
	s.bytes -= c.cost
	cursor := &s.kit.Cursor
	if c.nodes > s.nodes.Len() {
		s.tail = node{}
	}
	cursor.DropFirst(s.nodes, c.nodes)
	cursor.DropFirst(s.entries, c.entries)
	removed = c.entries
	if c.stopped && !t.Whole {
		removed += s.trimWithin(&c)
	}
	return removed
}

// cut is what a Trim has found to be removed so far.
type cut struct {
	Trim
	left           uint64 // entries that stay
	nodes, entries int
	cost           int
	stopped        bool // at the first node that stays
	first          node // that one
}

// take looks at the next node and says whether it goes.
func (c *cut) take(n node) bool {
	switch {
	case !c.ByID && c.left <= c.MaxLen,
		c.Limit > 0 && c.entries+n.live > c.Limit,
		!c.ByID && c.left-uint64(n.live) < c.MaxLen,
		c.ByID && !n.last.Less(c.MinID):
		c.stopped, c.first = true, n
		c.first.names = append(pack.Seq(nil), n.names...) // the table is about to change
		return false
	}
	c.nodes++
	c.entries += n.live
	c.left -= uint64(n.live)
	c.cost += n.cost + n.recordCost()
	return true
}

// trimWithin removes what is to go of the first node that stays.
func (s *Stream) trimWithin(c *cut) int {
	n, k := c.first, 0
	if c.ByID {
		k = s.rank(c.MinID)
	} else if c.left > c.MaxLen {
		k = int(c.left - c.MaxLen)
	}
	if k = min(k, n.live); k == 0 {
		return 0
	}
	cost, seen := 0, 0
	s.entries.AscendAt(0, func(_ uint64, r dict.Record[dict.None]) bool {
		cost += entryCost(len(r.Key), len(r.Data))
		seen++
		return seen < k
	})
	s.kit.Cursor.DropFirst(s.entries, k)
	s.bytes -= cost
	n.live -= k
	n.cost -= cost
	if n.first == s.tail.first {
		s.tail.live, s.tail.cost = n.live, n.cost
	} else {
		s.storeNode(n)
	}
	return k
}
