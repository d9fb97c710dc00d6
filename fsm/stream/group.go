package stream

import (
	"bytes"
	"encoding/binary"

	"github.com/raftkv/raftkv/fsm/dict"
)

// Group is a consumer group, for reading: an Editor changes it. Its zero value is none.
type Group struct {
	epoch     uint64 // the stream's when this was made
	last      ID
	read      int64                  // entries read up to last, Unknown where that can't be told
	consumers *dict.Table[Consumer]  // by their numbers
	names     *dict.Table[dict.None] // the numbers by names
	pending   *dict.Table[dict.None] // what was delivered and not acknowledged, by ID
	numbered  uint64                 // the last number given out
	bytes     int
}

// Consumer is a member of a group.
type Consumer struct {
	epoch  uint64
	number uint64
	name   []byte
	own    *dict.Table[dict.None] // the IDs that are pending with it
	held   int                    // the memory that those take

	// Seen is when it last asked for entries, whether it got any or not; Active when it
	// last got one that is pending with it from then on, Never before it did. Both are in
	// Unix milliseconds (Redis 7.2). Only Editor.Own's may be changed.
	Seen, Active int64
}

const (
	// Unknown is what Group.Read tells where it cannot be told.
	Unknown = -1
	// Never is Consumer.Active before it got an entry.
	Never = -1
	// GroupSize and ConsumerSize are what an empty group and a consumer take, beside
	// their names.
	GroupSize, ConsumerSize = 600, 300
	// PendingSize is the most that a pending entry takes.
	PendingSize = 100
)

// Pending is an entry that was delivered to a consumer and not acknowledged.
type Pending struct {
	ID       ID
	consumer uint64
	// Time is that of the last delivery, in Unix milliseconds, Count the number of
	// deliveries.
	Time, Count int64
}

const pendingData = 24

// namePosition orders names as their bytes do: it is the first eight.
func namePosition(name []byte) uint64 {
	var b [8]byte
	copy(b[:], name)
	return binary.BigEndian.Uint64(b[:])
}

// Groups is the number of groups.
func (s *Stream) Groups() int {
	if s.groups == nil {
		return 0
	}
	return s.groups.Len()
}

// Group returns the group of that name.
func (s *Stream) Group(name []byte) (g *Group, ok bool) {
	if s.groups == nil {
		return nil, false
	}
	r, ok := s.groups.Get(namePosition(name), name)
	return r.Ref, ok
}

// EachGroup calls fn for every group, in the order of their names.
func (s *Stream) EachGroup(fn func(name []byte, g *Group)) {
	if s.groups != nil {
		s.groups.Ascend(0, func(_ uint64, r dict.Record[Group]) bool {
			fn(r.Key, r.Ref)
			return true
		})
	}
}

// Last is the ID of the last entry that the group delivered.
func (g *Group) Last() ID { return g.last }

// Read is how many entries the group has read, Unknown where that cannot be told.
func (g *Group) Read() int64 { return g.read }

// Consumers is the number of consumers.
func (g *Group) Consumers() int { return g.consumers.Len() }

// Pending is the number of pending entries.
func (g *Group) Pending() int { return g.pending.Len() }

// Consumer returns the consumer of that name.
func (g *Group) Consumer(name []byte) (c *Consumer, ok bool) {
	r, ok := g.names.Get(namePosition(name), name)
	if !ok {
		return nil, false
	}
	return g.numbers(binary.LittleEndian.Uint64(r.Data)), true
}

// numbers returns the consumer of that number, which must be there.
func (g *Group) numbers(number uint64) *Consumer {
	r, _ := g.consumers.Get(number, nil)
	return r.Ref
}

// EachConsumer calls fn for every consumer, in the order of their names, until fn returns
// false.
func (g *Group) EachConsumer(fn func(c *Consumer) bool) {
	g.names.Ascend(0, func(_ uint64, r dict.Record[dict.None]) bool {
		return fn(g.numbers(binary.LittleEndian.Uint64(r.Data)))
	})
}

// Name is the consumer's name.
func (c *Consumer) Name() []byte { return c.name }

// Pending is the number of entries that are pending with the consumer.
func (c *Consumer) Pending() int { return c.own.Len() }

// PendingFrom is the number of those with that ID or a higher one.
func (c *Consumer) PendingFrom(from ID) int { return c.own.Len() - rank(c.own, from) }

// Find returns the pending entry of that ID.
func (g *Group) Find(id ID) (p Pending, ok bool) {
	var buf [maxKey]byte
	r, ok := g.pending.Get(id.MS, id.key(&buf))
	if ok {
		p = readPending(id, r.Data)
	}
	return p, ok
}

func readPending(id ID, b []byte) Pending {
	return Pending{
		ID: id, consumer: binary.LittleEndian.Uint64(b),
		Time: int64(binary.LittleEndian.Uint64(b[8:])), Count: int64(binary.LittleEndian.Uint64(b[16:])),
	}
}

// Owner is the consumer of a pending entry.
func (g *Group) Owner(p Pending) *Consumer { return g.numbers(p.consumer) }

// Edge is the ID of the first pending entry, or of the last one; there must be one.
func (g *Group) Edge(last bool) ID {
	rank := 0
	if last {
		rank = g.pending.Len() - 1
	}
	pos, r, _ := g.pending.At(rank)
	return idAt(pos, r.Key)
}

// Ascend calls fn for the pending entries from an ID on, until fn returns false.
func (g *Group) Ascend(from ID, fn func(Pending) bool) {
	g.pending.AscendAt(rank(g.pending, from), func(pos uint64, r dict.Record[dict.None]) bool {
		return fn(readPending(idAt(pos, r.Key), r.Data))
	})
}

// AscendOf is Ascend for those of one consumer. fn may change the pending entries, but
// not whose they are.
func (g *Group) AscendOf(c *Consumer, from ID, fn func(Pending) bool) {
	c.own.AscendAt(rank(c.own, from), func(pos uint64, r dict.Record[dict.None]) bool {
		p, _ := g.Find(idAt(pos, r.Key))
		return fn(p)
	})
}

// deletedFrom says whether an entry was deleted between that ID and the end, behind the
// first one that is there. Source: redis/src/t_stream.c:streamRangeHasTombstones (7.0.15).
func (s *Stream) deletedFrom(id ID) bool {
	return s.Len() > 0 && s.maxDeleted != ID{} && !s.maxDeleted.Less(s.First()) && !s.maxDeleted.Less(id)
}

// ReadUpTo is how many entries were added up to that ID, Unknown where that cannot be
// told. Source: redis/src/t_stream.c:streamEstimateDistanceFromFirstEverEntry (7.0).
func (s *Stream) ReadUpTo(id ID) int64 {
	switch {
	case s.added == 0:
		return 0
	case s.Len() == 0 && !s.last.Less(id), id == s.last:
		return int64(s.added)
	case s.last.Less(id):
		return Unknown
	}
	first := s.First()
	if (s.maxDeleted == ID{}) || s.maxDeleted.Less(first) {
		switch {
		case id.Less(first):
			return int64(s.added) - int64(s.Len())
		case id == first:
			return int64(s.added) - int64(s.Len()) + 1
		}
	}
	return Unknown
}

// Lag is how many entries the group has not read yet; ok is false where that cannot be
// told. Source: redis/src/t_stream.c:streamReplyWithCGLag (7.0).
func (s *Stream) Lag(g *Group) (n int64, ok bool) {
	if s.added == 0 {
		return 0, true
	}
	if g.read != Unknown && !s.deletedFrom(g.last) {
		return int64(s.added) - g.read, true
	}
	if read := s.ReadUpTo(g.last); read != Unknown {
		return int64(s.added) - read, true
	}
	return 0, false
}

// put stores a record of any table.
func put[P any](t *dict.Table[P], pos uint64, key []byte, ref *P) {
	var c dict.Cursor[P]
	c.Seek(t, pos, key, nil)
	c.Put(key, nil, nil, ref)
}

// remove deletes a record of any table.
func remove[P any](t *dict.Table[P], pos uint64, key []byte) {
	var c dict.Cursor[P]
	c.Seek(t, pos, key, nil)
	c.Delete()
}

// Create makes a group and says whether there was none of that name.
func (s *Stream) Create(name []byte, last ID, read int64) bool {
	if _, ok := s.Group(name); ok {
		return false
	}
	if s.groups == nil {
		s.groups = dict.New[Group]()
	}
	g := &Group{
		epoch: s.epoch, last: last, read: read, bytes: GroupSize + len(name) + dict.RecordCost(len(name), 0),
		consumers: dict.New[Consumer](), names: dict.New[dict.None](), pending: dict.New[dict.None](),
	}
	put(s.groups, namePosition(name), bytes.Clone(name), g)
	s.bytes += g.bytes
	return true
}

// Destroy removes a group and says whether there was one. It takes no time for what is
// pending.
func (s *Stream) Destroy(name []byte) bool {
	g, ok := s.Group(name)
	if ok {
		s.bytes -= g.bytes
		remove(s.groups, namePosition(name), name)
	}
	return ok
}
