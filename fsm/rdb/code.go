package rdb

import (
	"encoding/binary"
	"strconv"
)

// A length stands in its first byte's two upper bits and what follows. Source:
// redis/src/rdb.h.
const (
	len6   = 0 // the other 6 bits
	len14  = 1 // those and the next byte, big-endian
	len32  = 0x80
	len64  = 0x81
	number = 3 // no length: one of the codes of a string follows in the other bits
)

// The codes of strings that are not written as they are.
const (
	codeInt8 = iota
	codeInt16
	codeInt32
	codeLZF
)

func appendLength(dst []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(dst, byte(n))
	case n < 1<<14:
		return append(dst, len14<<6|byte(n>>8), byte(n))
	case n <= 1<<32-1:
		return binary.BigEndian.AppendUint32(append(dst, len32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, len64), n)
}

// writer writes a payload behind what was there before.
type writer struct {
	b     []byte
	start int
	lzf   compressor
}

// newWriter begins a payload of that form.
func newWriter(dst []byte, form byte) *writer {
	return &writer{b: append(dst, form), start: len(dst)}
}

// end closes the payload.
func (w *writer) end(version uint16) []byte {
	return append(w.b[:w.start], Seal(w.b[w.start:], version)...)
}

func (w *writer) length(n uint64) { w.b = appendLength(w.b, n) }

// string writes a string: as a number where it spells a small one, packed where
// that makes it shorter. Source: redis/src/rdb.c:rdbSaveRawString.
func (w *writer) string(s []byte) {
	if len(s) <= 11 {
		if n, ok := integer(s); ok && n == int64(int32(n)) {
			w.b = appendInteger(w.b, n)
			return
		}
	}
	if len(s) > 20 {
		if packed := w.lzf.compress(s); packed != nil {
			w.b = append(w.b, number<<6|codeLZF)
			w.length(uint64(len(packed)))
			w.length(uint64(len(s)))
			w.b = append(w.b, packed...)
			return
		}
	}
	w.length(uint64(len(s)))
	w.b = append(w.b, s...)
}

func appendInteger(dst []byte, n int64) []byte {
	switch {
	case n == int64(int8(n)):
		return append(dst, number<<6+codeInt8, byte(n))
	case n == int64(int16(n)):
		return binary.LittleEndian.AppendUint16(append(dst, number<<6|codeInt16), uint16(n))
	}
	return binary.LittleEndian.AppendUint32(append(dst, number<<6|codeInt32), uint32(n))
}

// integer is the number that s is the one spelling of.
func integer(s []byte) (int64, bool) {
	if len(s) == 0 || len(s) > 20 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(s), 10, 64)
	var buf [20]byte
	return n, err == nil && string(strconv.AppendInt(buf[:0], n, 10)) == string(s)
}

// reader reads the inside of a payload, which may come from anywhere. After the first
// thing that cannot be it is bad, and what it returns means nothing.
type reader struct {
	rest []byte
	room int // bytes that it may still allocate
	bad  bool
	text []byte // where the texts of numbers are put
}

// refuse makes the reader bad where what it has read cannot be. What is asked may read
// itself: it is answered first, so what it finds is not lost.
func (r *reader) refuse(is bool) { r.bad = r.bad || is }

// take returns the next n bytes.
func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// lengthOr reads a length, or the code of a string.
func (r *reader) lengthOr() (n uint64, code bool) {
	first := r.byte()
	switch first >> 6 {
	case len6:
		return uint64(first), false
	case len14:
		return uint64(first&0x3f)<<8 | uint64(r.byte()), false
	case number:
		return uint64(first & 0x3f), true
	}
	switch first {
	case len32:
		if b := r.take(4); b != nil {
			return uint64(binary.BigEndian.Uint32(b)), false
		}
	case len64:
		if b := r.take(8); b != nil {
			return binary.BigEndian.Uint64(b), false
		}
	}
	r.bad = true
	return 0, false
}

func (r *reader) length() uint64 {
	n, code := r.lengthOr()
	r.refuse(code)
	return n
}

// count reads how many things follow, of at least so many bytes each, so that what is
// made for them is bounded by what is there.
func (r *reader) count(size int) int {
	n := r.length()
	if r.bad || n > uint64(len(r.rest)/size) {
		r.bad = true
		return 0
	}
	return int(n)
}

// string reads a string. It may point into the payload.
func (r *reader) string() []byte {
	n, code := r.lengthOr()
	if !code {
		return r.take(n)
	}
	var b []byte
	switch n {
	case codeInt8:
		return r.number(int64(int8(r.byte())))
	case codeInt16:
		if b = r.take(2); b != nil {
			return r.number(int64(int16(binary.LittleEndian.Uint16(b))))
		}
	case codeInt32:
		if b = r.take(4); b != nil {
			return r.number(int64(int32(binary.LittleEndian.Uint32(b))))
		}
	case codeLZF:
		packed, size := r.length(), r.length()
		if b = r.take(packed); b != nil && r.allocate(size) {
			if b = decompress(b, int(size)); b != nil {
				return b
			}
		}
	}
	r.bad = true
	return nil
}

// number is the text of a number.
func (r *reader) number(n int64) []byte {
	const longest, many = 20, 50
	if !r.allocate(longest) {
		return nil
	}
	if cap(r.text)-len(r.text) < longest {
		r.text = make([]byte, 0, longest*many)
	}
	start := len(r.text)
	r.text = strconv.AppendInt(r.text, n, 10)
	return r.text[start:len(r.text):len(r.text)]
}

// allocate takes bytes out of the room.
func (r *reader) allocate(n uint64) bool {
	if r.bad || n > uint64(r.room) {
		r.bad = true
		return false
	}
	r.room -= int(n)
	return true
}

// strings reads a number of strings, several for each of what was counted.
func (r *reader) strings(each int) (items [][]byte) {
	n := r.count(each)
	if !r.allocate(uint64(n) * uint64(each) * itemSize) {
		return nil
	}
	items = make([][]byte, 0, n*each)
	for range n * each {
		items = append(items, r.string())
	}
	return items
}

// itemSize is the memory that an item's header takes.
const itemSize = 24
