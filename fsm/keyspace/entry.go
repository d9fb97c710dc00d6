package keyspace

import "encoding/binary"

// Entry is one key with what belongs to it. It is what the table stores, three
// words of which the collector follows two: short strings live whole in the blob
// and cost one allocation, everything else hangs on the pointer. An Entry never
// changes; a change puts a new one in its place. The zero Entry is no key.
type Entry struct {
	// blob is a flags byte, the version and (if flagged) the expiry time as
	// varints, the key's length as varint, the key, and, where obj is nil, the
	// bytes of the string that is the value.
	blob string
	obj  *object
}

// object is a value outside the blob.
type object struct {
	value Value
	// epoch is the space's epoch in which this object was made. Only in that epoch
	// may the value be changed in place: an older one may be seen by a snapshot.
	epoch uint64
	// size is value.Size() as it was last counted into the database's bytes.
	size int
}

const hasExpiry = 1 // the flag in a blob's first byte

// InlineMax is the length in bytes of the longest string that lives in a blob. A change of an inline
// string copies it, so this also bounds what such a change costs.
const InlineMax = 4096

// meta is what stands before the key in a blob.
type meta struct {
	version  uint64
	expireAt int64 // Unix milliseconds, 0 for none
}

// newEntry builds an entry in the space's scratch buffer. inline is the value's
// bytes where obj is nil.
func (s *Space) newEntry(m meta, key []byte, inline []byte, obj *object) Entry {
	b := appendHead(s.scratch[:0], m, len(key))
	b = append(b, key...)
	b = append(b, inline...)
	s.scratch = b
	if cap(b) > 2*InlineMax {
		s.scratch = nil
	}
	return Entry{blob: string(b), obj: obj}
}

// restamp is e with another head; key and value stay.
func (s *Space) restamp(e Entry, m meta) Entry {
	start, n := e.keyAt()
	b := appendHead(s.scratch[:0], m, n)
	b = append(b, e.blob[start:]...)
	s.scratch = b
	return Entry{blob: string(b), obj: e.obj}
}

func appendHead(b []byte, m meta, keyLen int) []byte {
	var flags byte
	if m.expireAt != 0 {
		flags |= hasExpiry
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, m.version)
	if m.expireAt != 0 {
		b = binary.AppendUvarint(b, uint64(m.expireAt))
	}
	return binary.AppendUvarint(b, uint64(keyLen))
}

// uvarint reads a varint of a blob at i and returns the index behind it.
func uvarint(b string, i int) (uint64, int) {
	var v uint64
	for shift := 0; ; shift += 7 {
		c := b[i]
		i++
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v, i
		}
	}
}

// skip returns the index behind the varint at i.
func skip(b string, i int) int {
	for b[i] >= 0x80 {
		i++
	}
	return i + 1
}

// keyAt says where the key starts in the blob, and its length.
func (e Entry) keyAt() (start, n int) {
	i := skip(e.blob, 1)
	if e.blob[0]&hasExpiry != 0 {
		i = skip(e.blob, i)
	}
	length, i := uvarint(e.blob, i)
	return i, int(length)
}

// head reads version and expiry time.
func (e Entry) head() meta {
	v, i := uvarint(e.blob, 1)
	m := meta{version: v}
	if e.blob[0]&hasExpiry != 0 {
		at, _ := uvarint(e.blob, i)
		m.expireAt = int64(at)
	}
	return m
}

// Key is the key's bytes.
func (e Entry) Key() string {
	start, n := e.keyAt()
	return e.blob[start : start+n]
}

// ExpireAt is the time the key expires, Unix milliseconds; 0 means never.
func (e Entry) ExpireAt() int64 {
	if e.blob[0]&hasExpiry == 0 {
		return 0
	}
	return e.head().expireAt
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
		start, n := e.keyAt()
		return Text{short: e.blob[start+n:]}, true
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

// slotCost is what an entry takes in the table at the usual fill of its nodes:
// 24 bytes and 8 of position at 7/10.
const slotCost = 46

// Size is the memory the key takes with its value, in bytes: an estimate that is
// the same on every replica.
func (e Entry) Size() int {
	n := slotCost + (len(e.blob)+15)&^15
	if e.obj != nil {
		n += objectCost + e.obj.size
	}
	return n
}

// objectCost is an object struct with the interface's pointee rounded up.
const objectCost = 32
