package stream

import (
	"bytes"
	"encoding/binary"

	"github.com/raftkv/raftkv/fsm/dict"
)

// Editor changes a group.
type Editor struct {
	*Group
	s *Stream
}

// Edit returns the Editor of a group.
func (s *Stream) Edit(name []byte) (e Editor, ok bool) {
	g, ok := s.Group(name)
	if !ok {
		return e, false
	}
	if g.epoch != s.epoch { // another stream has it too
		own := *g
		own.epoch = s.epoch
		own.consumers, own.names, own.pending = g.consumers.Fork(), g.names.Fork(), g.pending.Fork()
		g = &own
		put(s.groups, namePosition(name), name, g)
	}
	return Editor{g, s}, true
}

func (e Editor) grow(n int) {
	e.bytes += n
	e.s.bytes += n
}

// SetLast sets what Last and Read tell.
func (e Editor) SetLast(id ID, read int64) { e.last, e.read = id, read }

// Raise sets Last where the ID is above it, and leaves Read.
func (e Editor) Raise(id ID) bool {
	if !e.last.Less(id) {
		return false
	}
	e.last = id
	return true
}

// Deliver notes that the group delivers an entry: it becomes the last one if it is above
// that, and Read goes on. Source: redis/src/t_stream.c:streamReplyWithRange (7.0).
func (e Editor) Deliver(id ID) {
	if !e.last.Less(id) {
		return
	}
	if e.read != Unknown && !e.s.deletedFrom(id) {
		e.read++
	} else if e.s.added > 0 {
		e.read = e.s.ReadUpTo(id)
	}
	e.last = id
}

// Own returns a consumer of the group for changing it.
func (e Editor) Own(c *Consumer) *Consumer {
	if c.epoch == e.s.epoch {
		return c
	}
	own := *c
	own.epoch, own.own = e.s.epoch, c.own.Fork()
	put(e.consumers, c.number, nil, &own)
	return &own
}

// Create makes a consumer, which must not be there yet, that was seen at that time.
func (e Editor) Create(name []byte, now int64) *Consumer {
	e.numbered++
	c := &Consumer{
		epoch: e.s.epoch, number: e.numbered, name: bytes.Clone(name), own: dict.New[dict.None](), Seen: now, Active: Never,
	}
	put(e.consumers, c.number, nil, c)
	number := binary.LittleEndian.AppendUint64(nil, c.number)
	cursor := &e.s.kit.Cursor
	cursor.Seek(e.names, namePosition(name), name, nil)
	cursor.Put(name, nil, number, nil)
	e.grow(consumerCost(name))
	return c
}

// consumerCost is the memory that a consumer takes.
func consumerCost(name []byte) int {
	return ConsumerSize + 2*len(name) + dict.RecordCost(len(name), 8)
}

// Remove removes a consumer with what is pending with it.
func (e Editor) Remove(c *Consumer) {
	e.forget(c)
	remove(e.consumers, c.number, nil)
	remove(e.names, namePosition(c.name), c.name)
	e.grow(-consumerCost(c.name) - c.held)
}

// forget takes what is pending with a consumer from the group's. Where that is most of
// it, what stays is put together anew, which takes less time.
func (e Editor) forget(c *Consumer) {
	cursor := &e.s.kit.Cursor
	if 2*c.own.Len() < e.pending.Len() {
		c.own.AscendAt(0, func(pos uint64, r dict.Record[dict.None]) bool {
			cursor.Seek(e.pending, pos, r.Key, nil)
			return cursor.Delete()
		})
		return
	}
	left := dict.New[dict.None]()
	if c.own.Len() < e.pending.Len() {
		e.pending.AscendAt(0, func(pos uint64, r dict.Record[dict.None]) bool {
			if readPending(ID{}, r.Data).consumer != c.number {
				cursor.SeekEnd(left, pos, r.Key)
				cursor.Put(r.Key, nil, r.Data, nil)
			}
			return true
		})
	}
	e.pending = left
}

// pendingCost is the memory that a pending entry with such a key takes.
func pendingCost(key int) int { return entryCost(key, pendingData) + entryCost(key, 0) }

// Assign makes an entry pending with a consumer, which must be Own's, whether it was
// pending before or not.
func (e Editor) Assign(p Pending, to *Consumer) {
	var buf [maxKey]byte
	key := p.ID.key(&buf)
	old, there := e.Find(p.ID)
	if there && old.consumer != to.number {
		e.unlink(p.ID, key, old.consumer)
	}
	p.consumer = to.number
	e.Update(p)
	if there && old.consumer == to.number {
		return
	}
	c := &e.s.kit.Cursor
	if !c.SeekEnd(to.own, p.ID.MS, key) {
		c.Seek(to.own, p.ID.MS, key, nil)
	}
	c.Put(key, nil, nil, nil)
	to.held += pendingCost(len(key))
	if !there {
		e.grow(pendingCost(len(key)))
	}
}

// Update stores the time and count of what is pending, or is being made so.
func (e Editor) Update(p Pending) {
	var buf [maxKey]byte
	key := p.ID.key(&buf)
	var data [pendingData]byte
	b := binary.LittleEndian.AppendUint64(data[:0], p.consumer)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Time))
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Count))
	c := &e.s.kit.Cursor
	if !c.SeekEnd(e.pending, p.ID.MS, key) {
		c.Seek(e.pending, p.ID.MS, key, nil)
	}
	c.Put(key, nil, b, nil)
}

// unlink takes an ID from a consumer's own.
func (e Editor) unlink(id ID, key []byte, consumer uint64) {
	from := e.Own(e.numbers(consumer))
	c := &e.s.kit.Cursor
	c.Seek(from.own, id.MS, key, nil)
	c.Delete()
	from.held -= pendingCost(len(key))
}

// Ack ends that an entry is pending, and says whether it was.
func (e Editor) Ack(id ID) bool {
	p, ok := e.Find(id)
	if !ok {
		return false
	}
	var buf [maxKey]byte
	key := id.key(&buf)
	e.unlink(id, key, p.consumer)
	c := &e.s.kit.Cursor
	c.Seek(e.pending, id.MS, key, nil)
	c.Delete()
	e.grow(-pendingCost(len(key)))
	return true
}
