package keyspace

import (
	"strconv"

	"github.com/raftkv/raftkv/resp"
)

// Type is the type of a value. The numbers are part of the snapshot's format.
type Type byte

// The types of Redis.
const (
	String Type = iota
	List
	Set
	ZSet
	Hash
	Stream
)

// String is the name that TYPE answers and SCAN's TYPE option takes.
func (t Type) String() string {
	names := [...]string{"string", "list", "set", "zset", "hash", "stream"}
	if int(t) < len(names) {
		return names[t]
	}
	return "unknown"
}

// Value is a value that is too large for a table entry or that changes in place: a
// Collection, or a long string.
type Value interface {
	Type() Type
	// Encoding is what OBJECT ENCODING answers; a function of the replicated state alone.
	Encoding() string
	// Size is the memory that the value takes, in bytes; it need not be exact but
	// must be the same on every replica, and cheap.
	Size() int
	// Clone returns an equal value that may be changed without the receiver's
	// seeing it. The receiver is never changed again, and may be read by another
	// goroutine while the clone is changed. A clone must cost far less than a
	// copy of everything.
	Clone() Value
}

// Text is the value of a string key. It is a view on the stored bytes: cheap to
// pass, valid until the next change of the key. The zero Text is the empty string.
type Text struct {
	short []byte
	long  *rope // nil for a short one
}

// Len is the length in bytes.
func (t Text) Len() int {
	if t.long != nil {
		return t.long.size
	}
	return len(t.short)
}

// AppendTo appends the bytes from index from up to, not including, to.
func (t Text) AppendTo(dst []byte, from, to int) []byte {
	if t.long != nil {
		return t.long.appendTo(dst, from, to)
	}
	return append(dst, t.short[from:to]...)
}

// Each calls fn with the pieces of the text in order.
func (t Text) Each(fn func(piece []byte)) {
	if t.long != nil {
		t.long.each(0, t.long.size, fn)
	} else if len(t.short) > 0 {
		fn(t.short)
	}
}

// Piece returns what lies in one piece of memory from index at on; at the end nothing.
func (t Text) Piece(at int) []byte {
	switch {
	case at >= t.Len():
		return nil
	case t.long != nil:
		return t.long.chunks[at/chunkSize].data[at%chunkSize:]
	}
	return t.short[at:]
}

// String is a copy of the whole text.
func (t Text) String() string {
	if t.long != nil {
		return string(t.long.appendTo(make([]byte, 0, t.long.size), 0, t.long.size))
	}
	return string(t.short)
}

// Bulk writes the text as a bulk string.
func (t Text) Bulk(w *resp.Writer) { t.BulkRange(w, 0, t.Len()) }

// BulkRange writes the bytes from index from up to, not including, to as a bulk
// string.
func (t Text) BulkRange(w *resp.Writer, from, to int) {
	switch {
	case w == nil:
	case t.long == nil:
		w.Bulk(t.short[from:to])
	default:
		w.Grow(to - from + 24) // the length's line and the last one
		w.Raw(append(strconv.AppendInt([]byte{'$'}, int64(to-from), 10), '\r', '\n'))
		t.long.each(from, to, w.Raw)
		w.Raw([]byte("\r\n"))
	}
}

// Int is the integer that the text spells, by Redis's strict rule (see ParseInt).
func (t Text) Int() (n int64, ok bool) {
	if t.long != nil {
		return 0, false // longer than any integer
	}
	return ParseInt(t.short)
}

// embstrMax is the longest string that Redis allocates together with its header
// (redis/src/object.c: OBJ_ENCODING_EMBSTR_SIZE_LIMIT).
const embstrMax = 44

func (t Text) encoding() string {
	if _, ok := t.Int(); ok {
		return "int"
	}
	if t.Len() <= embstrMax {
		return "embstr"
	}
	return "raw"
}

// ParseInt reads a signed decimal integer as Redis does where it must be the one
// spelling of its number: no plus, no space, no leading zero, no "-0".
// Source: redis/src/util.c:string2ll.
func ParseInt[T ~string | ~[]byte](s T) (n int64, ok bool) {
	digits := s
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		digits = s[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(s) > 1 {
		return 0, false
	}
	var u uint64
	for i := 0; i < len(digits); i++ {
		c := digits[i] - '0'
		if c > 9 {
			return 0, false
		}
		u = u*10 + uint64(c) // 19 digits fit 64 bits
	}
	switch {
	case negative && u <= 1<<63:
		return -int64(u), true
	case !negative && u < 1<<63:
		return int64(u), true
	}
	return 0, false
}
