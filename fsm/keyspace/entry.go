package keyspace

import (
	"encoding/binary"

	"github.com/raftkv/raftkv/fsm/dict"
)

// Entry is one key with what belongs to it, as it lies in the table: short strings
// in the record itself, everything else behind a pointer. It is a view: it is valid
// until the next change of its database. The zero Entry is no key.
type Entry struct {
	key []byte
	// data is the stamp (8 bytes), the expiry time if the stamp has its flag (8), the
	// times of a hash's fields if it has theirs (16), and, where obj is nil, the bytes of
	// the string that is the value.
	data []byte
	obj  *object
}

// object is a value outside the table's pages.
type object struct {
	value Value
	// epoch is the space's epoch in which this object was made: it says whether the
	// value may be changed in place (dict.Epochs).
	epoch uint64
	// size is value.Size() as it was last counted into the database's bytes.
	size int
}

// The stamp is the version above a byte of flags, little-endian, of a fixed size: so
// a write of a value of the same length takes the old one's place.
const (
	stampSize  = 8
	timeSize   = 8
	hasExpiry  = 1
	hasFields  = 2 // it is a hash of which fields expire
	flagBits   = 8
	maxVersion = 1<<(64-flagBits) - 1
)

// InlineMax is the length in bytes of the longest string that lives in its entry. A change of an inline
// string moves what lies in its page, or copies it, so this also bounds what that costs.
const InlineMax = 4096

// meta is what an entry says of its key beside the value.
type meta struct {
	version  uint64
	expireAt int64 // Unix milliseconds, 0 for none
	// Of a hash of which fields expire: when the first one does, and when the last one
	// goes, 0 where one stays. They follow from the value: put sees to them.
	first, last int64
}

// end is the time at which the key goes, 0 for none.
func (m *meta) end() int64 {
	if m.expireAt != 0 && (m.last == 0 || m.expireAt < m.last) {
		return m.expireAt
	}
	return m.last
}

// head is the form in which a meta stands before the value.
type head struct {
	buf [stampSize + 3*timeSize]byte
	n   int
}

func (h *head) set(m meta) []byte {
	stamp := m.version << flagBits
	h.n = stampSize
	if m.expireAt != 0 {
		stamp |= hasExpiry
		h.time(m.expireAt)
	}
	if m.first != 0 {
		stamp |= hasFields
		h.time(m.first)
		h.time(m.last)
	}
	binary.LittleEndian.PutUint64(h.buf[:], stamp)
	return h.buf[:h.n]
}

func (h *head) time(ms int64) {
	binary.LittleEndian.PutUint64(h.buf[h.n:], uint64(ms))
	h.n += timeSize
}

// entryOf is the entry that a record of the table holds.
func entryOf(r dict.Record[object]) Entry { return Entry{key: r.Key, data: r.Data, obj: r.Ref} }

// head reads what the entry says beside the value.
func (e Entry) head() meta { return metaOf(e.data) }

// Version is that of the value: no other one of the keyspace has it, nor had.
func (e Entry) Version() uint64 { return e.head().version }

func metaOf(data []byte) (m meta) {
	stamp := binary.LittleEndian.Uint64(data)
	m.version = stamp >> flagBits
	at := stampSize
	if stamp&hasExpiry != 0 {
		m.expireAt = int64(binary.LittleEndian.Uint64(data[at:]))
		at += timeSize
	}
	if stamp&hasFields != 0 {
		m.first = int64(binary.LittleEndian.Uint64(data[at:]))
		m.last = int64(binary.LittleEndian.Uint64(data[at+timeSize:]))
	}
	return m
}

// end is the time at which the key goes, 0 for none: that of its expiry, or that at
// which the last of its fields expires.
func (e Entry) end() int64 {
	if e.data[0]&(hasExpiry|hasFields) == 0 {
		return 0
	}
	m := e.head()
	return m.end()
}

// Key is the key's bytes.
func (e Entry) Key() []byte { return e.key }

// ExpireAt is the time the key expires, Unix milliseconds; 0 means never.
func (e Entry) ExpireAt() int64 {
	if len(e.data) == 0 || e.data[0]&hasExpiry == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(e.data[stampSize:]))
}

// inline is the value of a short string.
func (e Entry) inline() []byte {
	if e.data[0]&hasExpiry != 0 {
		return e.data[stampSize+timeSize:]
	}
	return e.data[stampSize:]
}

// Type is the type of the value.
func (e Entry) Type() Type {
	if e.obj == nil {
		return String
	}
	return e.obj.value.Type()
}

// Value is the value where it is not a short string; otherwise nil.
func (e Entry) Value() Value {
	if e.obj == nil {
		return nil
	}
	return e.obj.value
}

// Text is the value of a string; ok is false for other types.
func (e Entry) Text() (t Text, ok bool) {
	if e.obj == nil {
		return Text{short: e.inline()}, true
	}
	r, ok := e.obj.value.(*rope)
	return Text{long: r}, ok
}

// Encoding is the name of the value's representation, as OBJECT ENCODING tells
// it: always a function of the content, never of history, so that every replica
// tells the same before and after a snapshot.
func (e Entry) Encoding() string {
	if e.obj != nil {
		return e.obj.value.Encoding()
	}
	t, _ := e.Text()
	return t.encoding()
}

// Size is the memory the key takes with its value, in bytes: an estimate that is
// the same on every replica.
func (e Entry) Size() int { return sizeOf(len(e.key), len(e.data), e.obj) }

func sizeOf(key, data int, obj *object) int {
	n := key + data + dict.RecordCost(key, data)
	if obj != nil {
		n += objectCost + obj.size
	}
	return n
}

// objectCost is an object struct with the interface's pointee rounded up, and its
// pointer.
const objectCost = 40
