package snapshot

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/raftkv/raftkv/fsm/keyspace"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes a state and returns the number of bytes written. Equal states have
// equal bytes.
func Write(w io.Writer, s *Frozen) (int64, error) {
	c := &chunkWriter{w: w, buf: make([]byte, chunkHead, chunkHead+chunkPayload+4)}
	c.opening()
	c.header(s)
	c.members(s)
	c.departed(s)
	c.tokens(s)
	c.users(s)
	c.settings(s)
	for _, db := range s.Keys.Databases() {
		c.database(s.Keys, db)
		c.created(s.Keys, db)
	}
	c.begin(secEnd)
	c.end()
	return c.written, c.err
}

// chunkWriter cuts sections into chunks. After the first error it does nothing.
type chunkWriter struct {
	w       io.Writer
	buf     []byte // the head's room, then the payload so far
	crc     uint32 // over all chunks so far
	tag     byte
	written int64
	err     error
}

func (c *chunkWriter) opening() {
	head := binary.LittleEndian.AppendUint16([]byte(magic), Format)
	c.crc = crc32.Update(0, castagnoli, head)
	c.emit(head)
}

func (c *chunkWriter) emit(b []byte) {
	if c.err == nil {
		var n int
		n, c.err = c.w.Write(b)
		c.written += int64(n)
	}
}

// begin opens a section.
func (c *chunkWriter) begin(tag byte) { c.tag, c.buf = tag, c.buf[:chunkHead] }

// end closes the section.
func (c *chunkWriter) end() { c.flush(flagLast) }

// flush writes the payload so far as a chunk.
func (c *chunkWriter) flush(flags byte) {
	c.buf[0], c.buf[1] = c.tag, flags
	binary.LittleEndian.PutUint32(c.buf[2:], uint32(len(c.buf)-chunkHead))
	c.crc = crc32.Update(c.crc, castagnoli, c.buf)
	c.emit(binary.LittleEndian.AppendUint32(c.buf, c.crc))
	c.buf = c.buf[:chunkHead]
}

// room makes sure that n small bytes fit the chunk.
func (c *chunkWriter) room(n int) {
	if len(c.buf)+n > chunkHead+chunkPayload {
		c.flush(0)
	}
}

func (c *chunkWriter) number(v uint64) {
	c.room(binary.MaxVarintLen64)
	c.buf = binary.AppendUvarint(c.buf, v)
}

func (c *chunkWriter) signed(v int64) {
	c.room(binary.MaxVarintLen64)
	c.buf = binary.AppendVarint(c.buf, v)
}

func (c *chunkWriter) byte(b byte) {
	c.room(1)
	c.buf = append(c.buf, b)
}

// put writes a length and so many bytes.
func put[T ~string | ~[]byte](c *chunkWriter, b T) {
	c.number(uint64(len(b)))
	fill(c, b)
}

// fill writes bytes, over as many chunks as it takes.
func fill[T ~string | ~[]byte](c *chunkWriter, b T) {
	for len(b) > 0 {
		c.room(1)
		n := min(len(b), chunkHead+chunkPayload-len(c.buf))
		c.buf = append(c.buf, b[:n]...)
		b = b[n:]
	}
}

func (c *chunkWriter) header(s *Frozen) {
	c.begin(secHeader)
	c.number(s.System.Version())
	put(c, s.System.ClusterID())
	c.number(s.Index)
	c.number(s.Term)
	c.signed(s.Now)
	c.number(s.Keys.Counter())
	c.end()
}

func (c *chunkWriter) members(s *Frozen) {
	c.begin(secMembers)
	members := s.System.Members()
	c.number(uint64(len(members)))
	for _, m := range members {
		var flags byte
		if m.Learner {
			flags = flagLearner
		}
		c.byte(flags)
		put(c, m.ID)
		put(c, m.Raft)
		put(c, m.RESP)
		put(c, m.HTTP)
		put(c, m.Dir)
	}
	c.end()
}

// departed writes the former members, if there are any. The section is not optional:
// a program that passed over it would take their ids for unused.
func (c *chunkWriter) departed(s *Frozen) {
	departed := s.System.Departures()
	if len(departed) == 0 {
		return
	}
	c.begin(secDeparted)
	c.number(uint64(len(departed)))
	for _, d := range departed {
		put(c, d.ID)
		put(c, d.Dir)
	}
	c.end()
}

// tokens writes the join tokens, if there were ever any. The section is not optional:
// a program that passed over it would let everybody join.
func (c *chunkWriter) tokens(s *Frozen) {
	open, required := s.System.Tokens()
	if len(open) == 0 && !required {
		return
	}
	var flags byte
	if required {
		flags = flagNeeded
	}
	c.begin(secTokens)
	c.byte(flags)
	c.number(uint64(len(open)))
	for _, t := range open {
		put(c, t.Hash)
		c.signed(t.Expires)
	}
	c.end()
}

// users writes the users, if one was ever changed. The section is not optional: a
// program that passed over it would let anybody in.
func (c *chunkWriter) users(s *Frozen) {
	users := s.System.Users()
	if users == nil {
		return
	}
	c.begin(secUsers)
	c.number(users.Revision)
	c.number(uint64(len(users.List)))
	for _, u := range users.List {
		put(c, u.Name)
		put(c, u.Rules)
		c.number(u.Born)
	}
	c.end()
}

// settings writes the settings that were ever set, if there are any. The section is not
// optional: a program that passed over it would keep values in other forms.
func (c *chunkWriter) settings(s *Frozen) {
	values := s.System.Changed()
	if len(values) == 0 {
		return
	}
	c.begin(secSettings)
	c.number(uint64(len(values)))
	for _, v := range values {
		put(c, v.Name)
		c.signed(v.N)
	}
	c.end()
}

func (c *chunkWriter) database(keys *keyspace.Snapshot, db int) {
	c.begin(secDatabase)
	c.number(uint64(db))
	c.number(uint64(keys.Len(db)))
	err := keys.Each(db, func(it keyspace.Item) error {
		c.item(it)
		return c.err // stops early where nothing can be written any more
	})
	if c.err == nil {
		c.err = err
	}
	c.end()
}

// item writes one key: type, flags, version, the expiry time if flagged, key, value.
func (c *chunkWriter) item(it keyspace.Item) {
	var flags byte
	if it.ExpireAt != 0 {
		flags = flagExpiry
	}
	c.byte(it.Type)
	c.byte(flags)
	c.number(it.Version)
	if it.ExpireAt != 0 {
		c.number(uint64(it.ExpireAt))
	}
	put(c, it.Key)
	switch n := it.Long.Len(); {
	case it.Members != nil:
		c.collection(it.Members)
	case n > 0:
		c.number(uint64(n))
		it.Long.Each(func(piece []byte) { fill(c, piece) })
	default:
		put(c, it.Value)
	}
}

// collection writes the pieces of a collection's form and an empty one.
func (c *chunkWriter) collection(members keyspace.Collection) {
	err := members.Parts(func(part []byte) error {
		put(c, part)
		return c.err
	})
	if c.err == nil {
		c.err = err
	}
	c.number(0)
}

func (c *chunkWriter) created(keys *keyspace.Snapshot, db int) {
	c.begin(secCreated)
	c.number(uint64(db))
	err := keys.EachCreation(db, func(bucket int, version uint64) error {
		c.number(uint64(bucket - keyspace.WholeDatabase))
		c.number(version)
		return c.err
	})
	if c.err == nil {
		c.err = err
	}
	c.end()
}
