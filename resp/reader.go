package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// The bounds of a Reader: what a well-behaved server stays far below.
const (
	// MaxDepth is how deeply aggregates may be nested.
	MaxDepth = 32
	// MaxBulk is the longest bulk string that is read, in bytes.
	MaxBulk = 512 << 20
	// MaxLine is the longest simple string, error or number, in bytes.
	MaxLine = 1 << 20
	// MaxElems is the largest number of elements of one aggregate.
	MaxElems = 1 << 28
)

// ErrProtocol is wrapped by every error that says that what was read is not
// RESP. What follows in the stream cannot be trusted.
var ErrProtocol = errors.New("resp: malformed reply")

// Reader reads replies in RESP2 and RESP3 from a stream. What it allocates
// is bounded by the bytes that really arrived, whatever lengths the stream
// announces: about 100 bytes for each element, bulk strings as they are.
type Reader struct {
	r *bufio.Reader
}

// NewReader returns a Reader that reads from r, through a buffer of its own
// unless r is a *bufio.Reader.
func NewReader(r io.Reader) *Reader {
	if b, ok := r.(*bufio.Reader); ok {
		return &Reader{r: b}
	}
	return &Reader{r: bufio.NewReader(r)}
}

// Parse reads the one reply that b consists of.
func Parse(b []byte) (Value, error) {
	r := Reader{r: bufio.NewReaderSize(bytes.NewReader(b), min(len(b)+1, 4096))}
	v, err := r.Read()
	if err != nil {
		return Value{}, err
	}
	if _, err := r.r.ReadByte(); err == nil {
		return Value{}, malformed("bytes behind the reply")
	}
	return v, nil
}

// Buffered returns the number of bytes that have arrived but were not read yet.
func (r *Reader) Buffered() int { return r.r.Buffered() }

// Read reads one reply. It returns io.EOF if the stream ends before its first
// byte, io.ErrUnexpectedEOF if it ends within, and an error that wraps
// ErrProtocol if it is not RESP. Attributes are read and left out.
func (r *Reader) Read() (Value, error) {
	v, err := r.value(0)
	switch err {
	case errStart:
		err = io.EOF
	case io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

// errStart marks an end of stream where a reply could have begun.
var errStart = errors.New("end of stream")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

func (r *Reader) value(depth int) (Value, error) {
	if depth > MaxDepth {
		return Value{}, malformed("nested more than %d deep", MaxDepth)
	}
	for {
		if _, err := r.r.Peek(1); err != nil {
			if depth == 0 && err == io.EOF {
				err = errStart
			}
			return Value{}, err
		}
		line, err := r.line()
		if err != nil {
			return Value{}, err
		}
		if line[0] != '|' {
			return r.body(Kind(line[0]), line[1:], depth)
		}
		// An attribute: a map that stands before the reply that it is about.
		if _, err := r.aggregate(KindMap, line[1:], depth); err != nil {
			return Value{}, err
		}
		depth++ // bounds how many may follow each other; also: no end here
		if depth > MaxDepth {
			return Value{}, malformed("too many attributes")
		}
	}
}

// body reads what follows a reply's first line.
func (r *Reader) body(kind Kind, text []byte, depth int) (Value, error) {
	switch kind {
	case KindSimple, KindError:
		return Value{Kind: kind, Str: text}, nil
	case KindInt:
		n, err := parseInt(text)
		return Value{Kind: kind, Int: n}, err
	case KindDouble:
		f, err := parseWireDouble(text)
		return Value{Kind: kind, Str: text, Double: f}, err
	case KindBigNumber:
		if !isBigNumber(text) {
			return Value{}, malformed("big number %.40q", text)
		}
		return Value{Kind: kind, Str: text}, nil
	case KindBool:
		if len(text) != 1 || text[0] != 't' && text[0] != 'f' {
			return Value{}, malformed("boolean %.40q", text)
		}
		v := Value{Kind: kind}
		if text[0] == 't' {
			v.Int = 1
		}
		return v, nil
	case KindNull:
		if len(text) != 0 {
			return Value{}, malformed("null %.40q", text)
		}
		return Value{Kind: kind}, nil
	case KindBulk, KindBulkError, KindVerbatim:
		return r.bulk(kind, text)
	case KindArray, KindSet, KindPush, KindMap:
		return r.aggregate(kind, text, depth)
	}
	return Value{}, malformed("unknown type %q", byte(kind))
}

func (r *Reader) bulk(kind Kind, text []byte) (Value, error) {
	n, err := parseInt(text)
	if err != nil {
		return Value{}, err
	}
	if n == -1 && kind == KindBulk {
		return Value{Kind: KindNull}, nil
	}
	if n < 0 || n > MaxBulk {
		return Value{}, malformed("length %d", n)
	}
	data, err := r.take(int(n) + 2)
	if err != nil {
		return Value{}, err
	}
	if data[n] != '\r' || data[n+1] != '\n' {
		return Value{}, malformed("no CR LF behind %d bytes", n)
	}
	v := Value{Kind: kind, Str: data[:n:n]}
	if kind == KindVerbatim {
		if n < 4 || data[3] != ':' {
			return Value{}, malformed("verbatim string without a format")
		}
		v.Format, v.Str = string(data[:3]), v.Str[4:]
	}
	return v, nil
}

func (r *Reader) aggregate(kind Kind, text []byte, depth int) (Value, error) {
	n, err := parseInt(text)
	if err != nil {
		return Value{}, err
	}
	if n == -1 && kind == KindArray {
		return Value{Kind: KindNull}, nil
	}
	if n < 0 || n > MaxElems {
		return Value{}, malformed("length %d", n)
	}
	if kind == KindMap {
		n *= 2
	}
	v := Value{Kind: kind, Elems: make([]Value, 0, min(n, 64))}
	for range n {
		e, err := r.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		v.Elems = append(v.Elems, e)
	}
	return v, nil
}

// line reads up to CR LF and returns what stands before it, at least one byte,
// in memory of its own.
func (r *Reader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return nil, err
		}
		if len(line)+len(part) > MaxLine {
			return nil, malformed("a line of more than %d bytes", MaxLine)
		}
		line = append(line, part...)
		if err == nil {
			break
		}
	}
	n := len(line) - 2
	if n < 1 || line[n] != '\r' || bytes.IndexByte(line[:n], '\r') >= 0 {
		return nil, malformed("line %.40q", line)
	}
	return line[:n:n], nil
}

// take reads n bytes. It grows as they arrive, so that an announced length
// alone costs nothing.
func (r *Reader) take(n int) ([]byte, error) {
	const step = 64 << 10
	data := make([]byte, min(n, step))
	for got := 0; ; {
		if _, err := io.ReadFull(r.r, data[got:]); err != nil {
			if err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			return nil, err
		}
		if got = len(data); got == n {
			return data, nil
		}
		data = append(data, make([]byte, min(n-got, got))...)
	}
}

// parseInt reads a 64-bit integer in RESP's form: digits, "-" or "+" before them.
func parseInt(text []byte) (int64, error) {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, malformed("integer %.40q", text)
	}
	return n, nil
}

func parseWireDouble(text []byte) (float64, error) {
	switch string(text) {
	case "inf", "+inf":
		return math.Inf(1), nil
	case "-inf":
		return math.Inf(-1), nil
	case "nan", "-nan":
		return math.NaN(), nil
	}
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default:
			return 0, malformed("double %.40q", text)
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, malformed("double %.40q", text)
	}
	return f, nil
}
