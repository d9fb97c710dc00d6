// Package resp is the Redis serialization protocol on the wire: a Writer for
// RESP2 and RESP3 replies, a Reader for them, every error text that a client
// can see, and the hash slot of a key. It knows no sockets and no commands.
package resp

import (
	"math"
	"slices"
	"strconv"
)

// Writer appends replies to a buffer in RESP2 or RESP3 form. A nil *Writer
// discards everything, so that followers and replays run the same handlers and
// pay nothing for replies. The zero Writer writes RESP2.
type Writer struct {
	buf   []byte
	proto int // 3, or anything else for 2
}

// NewWriter returns a Writer of protocol 2 or 3 that appends to buf[:0].
func NewWriter(proto int, buf []byte) *Writer {
	return &Writer{buf: buf[:0], proto: proto}
}

// Bytes returns what has been written. The slice is valid until the next write.
func (w *Writer) Bytes() []byte {
	if w == nil {
		return nil
	}
	return w.buf
}

// Reset empties the Writer, keeps its buffer, and sets the protocol.
func (w *Writer) Reset(proto int) {
	if w != nil {
		w.buf, w.proto = w.buf[:0], proto
	}
}

// Proto returns 3 for a RESP3 Writer and 2 otherwise.
func (w *Writer) Proto() int {
	if w != nil && w.proto == 3 {
		return 3
	}
	return 2
}

// SetProto switches what follows to RESP2 or RESP3.
func (w *Writer) SetProto(proto int) {
	if w != nil {
		w.proto = proto
	}
}

// Mark returns the position of the next write, for Truncate.
func (w *Writer) Mark() int {
	if w == nil {
		return 0
	}
	return len(w.buf)
}

// Truncate takes back everything written since Mark returned mark.
func (w *Writer) Truncate(mark int) {
	if w != nil {
		w.buf = w.buf[:mark]
	}
}

// Grow makes room for n more bytes, so that what comes in pieces is not copied
// again and again.
func (w *Writer) Grow(n int) {
	if w != nil {
		w.buf = slices.Grow(w.buf, n)
	}
}

// Raw appends bytes that are already in RESP form.
func (w *Writer) Raw(b []byte) {
	if w != nil {
		w.buf = append(w.buf, b...)
	}
}

// Simple writes a simple string; s holds no CR and no LF.
func (w *Writer) Simple(s string) {
	if w != nil {
		w.buf = append(append(append(w.buf, '+'), s...), '\r', '\n')
	}
}

// OK writes +OK.
func (w *Writer) OK() { w.Simple("OK") }

// Error writes an error reply. CR and LF in it become spaces, and those at its end go, as
// in Redis.
func (w *Writer) Error(e Error) {
	if w == nil {
		return
	}
	for len(e) > 0 && (e[len(e)-1] == '\r' || e[len(e)-1] == '\n') {
		e = e[:len(e)-1]
	}
	w.buf = append(w.buf, '-')
	for i := 0; i < len(e); i++ {
		c := e[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		w.buf = append(w.buf, c)
	}
	w.buf = append(w.buf, '\r', '\n')
}

// Int writes an integer.
func (w *Writer) Int(n int64) { w.header(':', n) }

// Bool writes 1 or 0 in RESP2 and #t or #f in RESP3. Few replies of Redis 7 are
// booleans; most that look so are integers.
func (w *Writer) Bool(b bool) {
	switch {
	case w == nil:
	case w.proto != 3 && b:
		w.Int(1)
	case w.proto != 3:
		w.Int(0)
	case b:
		w.buf = append(w.buf, "#t\r\n"...)
	default:
		w.buf = append(w.buf, "#f\r\n"...)
	}
}

// Bulk writes a bulk string.
func (w *Writer) Bulk(b []byte) {
	if w != nil {
		w.header('$', int64(len(b)))
		w.buf = append(append(w.buf, b...), '\r', '\n')
	}
}

// BulkString writes a bulk string.
func (w *Writer) BulkString(s string) {
	if w != nil {
		w.header('$', int64(len(s)))
		w.buf = append(append(w.buf, s...), '\r', '\n')
	}
}

// BulkInt writes the decimal text of n as a bulk string.
func (w *Writer) BulkInt(n int64) {
	if w != nil {
		var tmp [20]byte
		w.Bulk(strconv.AppendInt(tmp[:0], n, 10))
	}
}

// Verbatim writes a text with a three-letter format ("txt", "mkd"): a verbatim
// string in RESP3, a bulk string in RESP2.
func (w *Writer) Verbatim(format, s string) {
	if w == nil {
		return
	}
	if w.proto != 3 {
		w.BulkString(s)
		return
	}
	w.header('=', int64(len(s)+4))
	w.buf = append(append(append(append(w.buf, format...), ':'), s...), '\r', '\n')
}

// Double writes a double: ",3.1\r\n" in RESP3, a bulk string in RESP2, both in
// Redis's own text form.
func (w *Writer) Double(f float64) {
	if w == nil {
		return
	}
	var tmp [32]byte
	text := AppendDouble(tmp[:0], f)
	if w.proto != 3 {
		w.Bulk(text)
		return
	}
	w.buf = append(append(append(w.buf, ','), text...), '\r', '\n')
}

// BigNumber writes an integer of any size, given as its decimal text: a big number in
// RESP3, a bulk string in RESP2.
func (w *Writer) BigNumber(text string) {
	if w == nil {
		return
	}
	if w.proto != 3 {
		w.BulkString(text)
		return
	}
	w.buf = append(append(append(w.buf, '('), text...), '\r', '\n')
}

// Null writes the null of RESP3 ("_"), in RESP2 the null bulk string ("$-1").
func (w *Writer) Null() { w.null("$-1\r\n") }

// NullArray writes the null of RESP3 ("_"), in RESP2 the null array ("*-1").
func (w *Writer) NullArray() { w.null("*-1\r\n") }

func (w *Writer) null(resp2 string) {
	switch {
	case w == nil:
	case w.proto == 3:
		w.buf = append(w.buf, "_\r\n"...)
	default:
		w.buf = append(w.buf, resp2...)
	}
}

// Array announces n elements, which the caller writes next.
func (w *Writer) Array(n int) { w.header('*', int64(n)) }

// Map announces n pairs: a map in RESP3, an array of 2n in RESP2.
func (w *Writer) Map(n int) { w.aggregate('%', n, 2*n) }

// Set announces n members: a set in RESP3, an array in RESP2.
func (w *Writer) Set(n int) { w.aggregate('~', n, n) }

// Push announces an out-of-band message of n elements: a push in RESP3, an
// array in RESP2.
func (w *Writer) Push(n int) { w.aggregate('>', n, n) }

// Attribute announces n pairs that tell something about the reply that follows them.
// RESP2 has none: write it in RESP3 only.
func (w *Writer) Attribute(n int) { w.header('|', int64(n)) }

func (w *Writer) aggregate(kind byte, n, flat int) {
	if w == nil {
		return
	}
	if w.proto == 3 {
		w.header(kind, int64(n))
	} else {
		w.header('*', int64(flat))
	}
}

func (w *Writer) header(kind byte, n int64) {
	if w == nil {
		return
	}
	w.buf = append(w.buf, kind)
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.buf = append(w.buf, '\r', '\n')
}

// AppendDouble appends f as Redis 7.0 prints a double in replies and in sorted
// sets: "%.17g", which prints integers up to 10^17 without exponent or fraction;
// inf, -inf, nan. Source: redis/src/util.c:d2string, networking.c:addReplyDouble.
func AppendDouble(b []byte, f float64) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(b, "inf"...)
	case math.IsInf(f, -1):
		return append(b, "-inf"...)
	case math.IsNaN(f):
		return append(b, "nan"...)
	case f == 0:
		if math.Signbit(f) {
			return append(b, "-0"...)
		}
		return append(b, '0')
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<52 {
		return strconv.AppendInt(b, int64(f), 10)
	}
	return appendG17(b, f)
}

// appendG17 appends f as C's printf("%.17g") does.
func appendG17(b []byte, f float64) []byte {
	var tmp [32]byte
	text := strconv.AppendFloat(tmp[:0], f, 'e', 16, 64) // d.dddddddddddddddde±XX
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	exp := 0
	for _, c := range text[e+2:] {
		exp = exp*10 + int(c-'0')
	}
	if text[e+1] == '-' {
		exp = -exp
	}
	if exp < -4 || exp >= 17 {
		mantissa := trimZeros(text[:e])
		b = append(b, mantissa...)
		b = append(b, 'e')
		if exp < 0 {
			b, exp = append(b, '-'), -exp
		} else {
			b = append(b, '+')
		}
		if exp < 10 {
			b = append(b, '0')
		}
		return strconv.AppendInt(b, int64(exp), 10)
	}
	return append(b, trimZeros(strconv.AppendFloat(tmp[:0], f, 'f', 16-exp, 64))...)
}

// trimZeros drops the zeros after a decimal point, and a bare point.
func trimZeros(text []byte) []byte {
	point := false
	for _, c := range text {
		point = point || c == '.'
	}
	if !point {
		return text
	}
	for text[len(text)-1] == '0' {
		text = text[:len(text)-1]
	}
	if text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	return text
}
