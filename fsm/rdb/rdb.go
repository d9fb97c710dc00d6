// Package rdb is the form in which DUMP shows a value and RESTORE takes it: Redis's own
// encoding of values in RDB files, with a version and a checksum. It is written as Redis
// 7.0 writes it, so that 7.0 and later take it, and read as all versions up to 7.4 write
// it. A type's forms are a file of this package. It knows no keys and none of our structures: a
// value is told to it piece by piece, and comes out of it as plain content.
package rdb

import (
	"encoding/binary"
	"errors"
	"hash/crc64"
)

// The versions of the encoding.
const (
	// Version is what is written: Redis 7.0's.
	Version = 10
	// newest is the latest that is read: Redis 7.4's.
	newest = 12
)

// ErrPayload says that a payload is none of a known version, or has another checksum.
var ErrPayload = errors.New("version or checksum of a payload are wrong")

// ErrFormat says that what a payload holds is no value.
var ErrFormat = errors.New("payload that holds no value")

// Kind is a type of values.
type Kind byte

// The types of Redis.
const (
	String Kind = iota
	List
	Set
	ZSet
	Hash
	Stream
)

// Object is a value as plain content. Its bytes may be the payload's.
type Object struct {
	Kind Kind
	// Items are the bytes of a string; the elements of a list in order; the members of a
	// set or sorted set; the fields of a hash, each before its value.
	Items [][]byte
	// Scores are the scores of a sorted set's members.
	Scores []float64
	// Expires are, of a hash some of whose fields expire, the times of all, Unix
	// milliseconds, 0 for never.
	Expires []int64
	// Packed says that it was in a small form of Redis's, so that it is one there
	// however long its items are.
	Packed bool
	// Stream is a stream's content.
	Stream *StreamObject
}

// The numbers that stand for forms of values. Source: redis/src/rdb.h.
const (
	formString        = 0
	formList          = 1
	formSet           = 2
	formZSet          = 3
	formHash          = 4
	formZSet2         = 5
	formZipmap        = 9
	formListZiplist   = 10
	formIntset        = 11
	formZSetZiplist   = 12
	formHashZiplist   = 13
	formQuicklist     = 14
	formStream        = 15
	formHashListpack  = 16
	formZSetListpack  = 17
	formQuicklist2    = 18
	formStream2       = 19
	formSetListpack   = 20
	formStream3       = 21
	formHashMetadata  = 24
	formHashListpackX = 25
)

// jones is the polynomial of the checksum, reflected; it has neither of the inversions
// that package crc64 makes.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

func checksum(b []byte) uint64 { return ^crc64.Update(^uint64(0), jones, b) }

// footer is the length of version and checksum.
const footer = 2 + 8

// Seal returns a payload: what it holds, closed by a version and the checksum.
func Seal(b []byte, version uint16) []byte {
	b = binary.LittleEndian.AppendUint16(b, version)
	return binary.LittleEndian.AppendUint64(b, checksum(b))
}

// Check says whether a payload is whole, and of a known version: nil or ErrPayload.
func Check(payload []byte) error {
	n := len(payload) - footer
	if n < 0 {
		return ErrPayload
	}
	version := binary.LittleEndian.Uint16(payload[n:])
	if version > newest || binary.LittleEndian.Uint64(payload[n+2:]) != checksum(payload[:n+2]) {
		return ErrPayload
	}
	return nil
}

// Decode returns the value of a payload that Check has found whole. The error is
// ErrFormat. What it allocates is bounded by most bytes.
func Decode(payload []byte, most int) (*Object, error) {
	n := len(payload) - footer
	if n < 1 {
		return nil, ErrFormat
	}
	r := &reader{rest: payload[1:n], room: most}
	o := &Object{}
	r.object(payload[0], o)
	o.Packed = isPacked(payload[0])
	if r.bad || len(r.rest) > 0 || o.Kind != String && o.Kind != Stream && len(o.Items) == 0 {
		return nil, ErrFormat
	}
	return o, nil
}

// isPacked says whether a form is a small one that Redis keeps as it is, up to the number
// of items that is set: it does not look at their lengths.
func isPacked(form byte) bool {
	switch form {
	case formZSetZiplist, formHashZiplist, formHashListpack, formZSetListpack, formSetListpack, formHashListpackX:
		return true
	}
	return false
}

// object reads a value of one form.
func (r *reader) object(form byte, o *Object) {
	switch form {
	case formString:
		o.Items = [][]byte{r.string()}
	case formList, formListZiplist, formQuicklist, formQuicklist2:
		o.Kind = List
		r.list(form, o)
	case formSet, formIntset, formSetListpack:
		o.Kind = Set
		r.set(form, o)
	case formZSet, formZSet2, formZSetZiplist, formZSetListpack:
		o.Kind = ZSet
		r.zset(form, o)
	case formHash, formZipmap, formHashZiplist, formHashListpack, formHashMetadata, formHashListpackX:
		o.Kind = Hash
		r.hash(form, o)
	case formStream, formStream2, formStream3:
		o.Kind = Stream
		o.Stream = r.stream(form)
	default:
		r.bad = true
	}
}

// AppendString appends the payload of a string.
func AppendString(dst, s []byte) []byte {
	w := newWriter(dst, formString)
	w.string(s)
	return w.end(Version)
}
