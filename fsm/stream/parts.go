package stream

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/pack"
)

// The pieces of a snapshot begin with what they are. The stream comes first, then each
// node before its entries, then each group before its consumers, each of those before
// what is pending with it.
const (
	partStream   = 1
	partNode     = 2
	partEntry    = 3
	partGroup    = 4
	partConsumer = 5
	partPending  = 6
)

// Parts calls fn with the snapshot form in pieces, until fn returns an error, which it
// returns.
func (s *Stream) Parts(fn func(part []byte) error) error {
	b := appendID(appendID([]byte{partStream}, s.last), s.maxDeleted)
	err := fn(binary.AppendUvarint(b, s.added))
	at := 0
	node := func(n node) bool {
		if err == nil {
			err = fn(n.part(b[:0]))
		}
		if err == nil {
			err = s.entryParts(at, n.live, fn)
		}
		at += n.live
		return err == nil
	}
	s.nodes.AscendAt(0, func(pos uint64, r dict.Record[dict.None]) bool { return node(readNode(pos, r)) })
	if err == nil && s.tail.n > 0 {
		node(s.tail)
	}
	s.EachGroup(func(name []byte, g *Group) {
		if err == nil {
			err = g.parts(name, fn)
		}
	})
	return err
}

func (n *node) part(b []byte) []byte {
	b = appendID(appendID(append(b, partNode), n.first), n.last)
	b = binary.AppendUvarint(b, uint64(n.total))
	b = binary.AppendUvarint(b, uint64(n.size))
	return append(b, n.names...)
}

// entryParts is Parts for n entries from that rank on.
func (s *Stream) entryParts(rank, n int, fn func(part []byte) error) (err error) {
	if n == 0 {
		return nil
	}
	var b []byte
	s.entries.AscendAt(rank, func(pos uint64, r dict.Record[dict.None]) bool {
		b = append(appendID(append(b[:0], partEntry), idAt(pos, r.Key)), r.Data...)
		err = fn(b)
		n--
		return err == nil && n > 0
	})
	return err
}

func (g *Group) parts(name []byte, fn func(part []byte) error) error {
	b := appendID([]byte{partGroup}, g.last)
	b = binary.AppendVarint(b, g.read)
	err := fn(append(b, name...))
	g.EachConsumer(func(c *Consumer) bool {
		if err == nil {
			b = binary.AppendVarint(append(b[:0], partConsumer), c.Seen)
			b = binary.AppendVarint(b, c.Active)
			err = fn(append(b, c.name...))
		}
		if err == nil {
			g.AscendOf(c, ID{}, func(p Pending) bool {
				b = appendID(append(b[:0], partPending), p.ID)
				b = binary.AppendVarint(b, p.Time)
				err = fn(binary.AppendVarint(b, p.Count))
				return err == nil
			})
		}
		return err == nil
	})
	return err
}

// Loader makes a stream from the pieces of Parts, which may come from anywhere.
type Loader struct {
	b       *Builder
	s       *Stream // the Builder's
	started bool
	group   *Editor
	name    []byte // of the last group
	owner   *Consumer
}

// NewLoader returns a Loader.
func NewLoader(kit *dict.Kit) *Loader {
	b := NewBuilder(kit)
	return &Loader{b: b, s: b.s}
}

// Add takes the next piece, which it does not keep.
func (l *Loader) Add(part []byte) error {
	if len(part) == 0 || l.started == (part[0] == partStream) {
		return fmt.Errorf("a piece of a stream where it does not belong")
	}
	r := reader{b: part[1:]}
	var err error
	switch part[0] {
	case partStream:
		l.started = true
		l.s.last, l.s.maxDeleted, l.s.added = r.id(), r.id(), r.uint()
		if len(r.b) > 0 {
			err = fmt.Errorf("a stream with something behind it")
		}
	case partNode:
		err = l.node(&r)
	case partEntry:
		err = l.addEntry(&r)
	case partGroup:
		err = l.addGroup(&r)
	case partConsumer:
		err = l.consumer(&r)
	case partPending:
		err = l.pending(&r)
	default:
		err = fmt.Errorf("a piece of a stream of kind %d", part[0])
	}
	if r.bad {
		return fmt.Errorf("a piece of a stream that is none")
	}
	return err
}

func (l *Loader) node(r *reader) error {
	n := node{first: r.id(), last: r.id(), total: r.count(), size: r.count()}
	var err error
	if n.names, n.n, err = namesOf(r.b); r.bad || err != nil {
		return err
	}
	if l.group != nil {
		return fmt.Errorf("nodes of a stream out of order")
	}
	return l.b.begin(n)
}

func (l *Loader) addEntry(r *reader) error {
	id := r.id()
	if !decodable(r.b, l.s.tail.n) {
		return fmt.Errorf("an entry of a stream that is none")
	}
	if l.group != nil || l.s.last.Less(id) {
		return fmt.Errorf("entries of a stream out of order")
	}
	return l.b.put(id, r.b)
}

// decodable says whether an entry's data are sound in a node with so many fields.
func decodable(data []byte, names int) bool {
	head, at := binary.Uvarint(data)
	if at <= 0 || at != len(binary.AppendUvarint(nil, head)) {
		return false
	}
	items, ok := pack.Seq(data[at:]).Count()
	pairs := head >> 1
	if head&sameNames != 0 {
		return ok && pairs == uint64(items) && items == names
	}
	return ok && pairs > 0 && pairs <= uint64(items) && 2*pairs == uint64(items)
}

func (l *Loader) addGroup(r *reader) error {
	last, read := r.id(), r.int()
	if r.bad { // read may be any number: it wraps, as in Redis
		return fmt.Errorf("a group of a stream that is none")
	}
	if l.group != nil && bytes.Compare(l.name, r.b) >= 0 {
		return fmt.Errorf("groups of a stream out of order")
	}
	l.s.Create(r.b, last, read)
	e, _ := l.s.Edit(r.b)
	l.group, l.name, l.owner = &e, bytes.Clone(r.b), nil
	return nil
}

func (l *Loader) consumer(r *reader) error {
	seen, active := r.int(), r.int()
	if r.bad || l.group == nil || l.owner != nil && bytes.Compare(l.owner.name, r.b) >= 0 {
		return fmt.Errorf("consumers of a stream out of order")
	}
	l.owner = l.group.Create(r.b, seen)
	l.owner.Active = active
	return nil
}

func (l *Loader) pending(r *reader) error {
	p := Pending{ID: r.id(), Time: r.int(), Count: r.int()}
	if r.bad || l.owner == nil || len(r.b) > 0 {
		return fmt.Errorf("a pending entry of a stream where it does not belong")
	}
	if _, there := l.group.Find(p.ID); there {
		return fmt.Errorf("an entry of a stream that is pending twice")
	}
	if n := l.owner.Pending(); n > 0 {
		if pos, rec, _ := l.owner.own.At(n - 1); !idAt(pos, rec.Key).Less(p.ID) {
			return fmt.Errorf("pending entries of a stream out of order")
		}
	}
	l.group.Assign(p, l.owner)
	return nil
}

// Done returns the stream.
func (l *Loader) Done() (*Stream, error) {
	if !l.started {
		return nil, fmt.Errorf("a stream without a beginning")
	}
	return l.s, l.b.checkTail()
}

// reader reads numbers; bad says that one was none.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	return take(r, v, n)
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	return take(r, v, n)
}

func take[T uint64 | int64](r *reader, v T, n int) T {
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count is a number that fits 32 bits.
func (r *reader) count() int {
	v := r.uint()
	r.bad = r.bad || v > math.MaxUint32
	return int(v)
}

func (r *reader) id() ID { return ID{r.uint(), r.uint()} }
