package resp

// Kind is the first byte of a reply on the wire.
type Kind byte

// The kinds of RESP2 and RESP3 replies. RESP2's null bulk string and null array
// are read as KindNull, so that both protocols look the same.
const (
	KindSimple    Kind = '+'
	KindError     Kind = '-'
	KindInt       Kind = ':'
	KindBulk      Kind = '$'
	KindArray     Kind = '*'
	KindNull      Kind = '_'
	KindDouble    Kind = ','
	KindBool      Kind = '#'
	KindBigNumber Kind = '('
	KindBulkError Kind = '!'
	KindVerbatim  Kind = '='
	KindMap       Kind = '%'
	KindSet       Kind = '~'
	KindPush      Kind = '>'
)

// Value is one reply that has been read.
type Value struct {
	Kind Kind
	// Str holds the text of simple strings, errors (without "-"), bulk strings,
	// big numbers, and of doubles as the server wrote them; of a verbatim string
	// its text without the format.
	Str []byte
	// Format is a verbatim string's format ("txt").
	Format string
	Int    int64   // of an integer; 1 or 0 of a boolean
	Double float64 // of a double
	// Elems are the elements of an array, set or push; a map's are key, value,
	// key, value ...
	Elems []Value
}

// IsNull says whether the reply is a null of either protocol.
func (v Value) IsNull() bool { return v.Kind == KindNull }

// Err returns an error reply as an Error and nil for any other reply.
func (v Value) Err() error {
	if v.Kind == KindError || v.Kind == KindBulkError {
		return Error(v.Str)
	}
	return nil
}

// Text returns Str as a string: the text of the reply where it has one.
func (v Value) Text() string { return string(v.Str) }

// Lookup returns the value of a text key in a map, or in an array of pairs as
// RESP2 sends one.
func (v Value) Lookup(key string) (Value, bool) {
	for i := 0; i+1 < len(v.Elems); i += 2 {
		if string(v.Elems[i].Str) == key {
			return v.Elems[i+1], true
		}
	}
	return Value{}, false
}

// Append appends the reply to b in the form in which it came. A null takes
// RESP3's form.
func (v Value) Append(b []byte) []byte {
	w := Writer{buf: b, proto: 3}
	v.write(&w)
	return w.buf
}

func (v Value) write(w *Writer) {
	switch v.Kind {
	case KindInt:
		w.Int(v.Int)
	case KindNull:
		w.Null()
	case KindBool:
		w.Bool(v.Int != 0)
	case KindBulk, KindBulkError:
		w.header(byte(v.Kind), int64(len(v.Str)))
		w.Raw(v.Str)
		w.Raw([]byte("\r\n"))
	case KindVerbatim:
		w.Verbatim(v.Format, string(v.Str))
	case KindArray, KindSet, KindPush, KindMap:
		n := len(v.Elems)
		if v.Kind == KindMap {
			n /= 2
		}
		w.header(byte(v.Kind), int64(n))
		for i := range v.Elems {
			v.Elems[i].write(w)
		}
	default: // a line: simple string, error, double, big number
		w.buf = append(w.buf, byte(v.Kind))
		w.Raw(v.Str)
		w.Raw([]byte("\r\n"))
	}
}

// isBigNumber says whether text is a decimal number of any size.
func isBigNumber(text []byte) bool {
	if len(text) == 0 || text[0] == '+' {
		return false
	}
	for i, c := range text {
		if (c < '0' || c > '9') && !(i == 0 && c == '-' && len(text) > 1) {
			return false
		}
	}
	return true
}
