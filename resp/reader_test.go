package resp

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParse(t *testing.T) {
	bulk := func(s string) Value { return Value{Kind: KindBulk, Str: []byte(s)} }
	tests := []struct {
		wire string
		want Value
	}{
		{"+OK\r\n", Value{Kind: KindSimple, Str: []byte("OK")}},
		{"+\r\n", Value{Kind: KindSimple, Str: []byte("")}},
		{"-ERR no\r\n", Value{Kind: KindError, Str: []byte("ERR no")}},
		{":-9223372036854775808\r\n", Value{Kind: KindInt, Int: math.MinInt64}},
		{"$2\r\n\r\n\r\n", bulk("\r\n")},
		{"$-1\r\n", Value{Kind: KindNull}},
		{"*-1\r\n", Value{Kind: KindNull}},
		{"_\r\n", Value{Kind: KindNull}},
		{",3.5\r\n", Value{Kind: KindDouble, Str: []byte("3.5"), Double: 3.5}},
		{",-inf\r\n", Value{Kind: KindDouble, Str: []byte("-inf"), Double: math.Inf(-1)}},
		{",1e999\r\n", Value{Kind: KindDouble, Str: []byte("1e999"), Double: math.Inf(1)}},
		{"#t\r\n", Value{Kind: KindBool, Int: 1}},
		{"(-123456789012345678901\r\n", Value{Kind: KindBigNumber, Str: []byte("-123456789012345678901")}},
		{"=7\r\ntxt:abc\r\n", Value{Kind: KindVerbatim, Format: "txt", Str: []byte("abc")}},
		{"!3\r\nERR\r\n", Value{Kind: KindBulkError, Str: []byte("ERR")}},
		{"*2\r\n$1\r\na\r\n$1\r\nb\r\n", Value{Kind: KindArray, Elems: []Value{bulk("a"), bulk("b")}}},
		{"%1\r\n$1\r\na\r\n:1\r\n", Value{Kind: KindMap, Elems: []Value{bulk("a"), {Kind: KindInt, Int: 1}}}},
		{"~1\r\n$1\r\na\r\n", Value{Kind: KindSet, Elems: []Value{bulk("a")}}},
		{">1\r\n$1\r\na\r\n", Value{Kind: KindPush, Elems: []Value{bulk("a")}}},
		{"|1\r\n+ttl\r\n:1\r\n$1\r\na\r\n", bulk("a")},
		{"*1\r\n|1\r\n+ttl\r\n:1\r\n$1\r\na\r\n", Value{Kind: KindArray, Elems: []Value{bulk("a")}}},
	}
	for _, tt := range tests {
		for _, r := range []io.Reader{strings.NewReader(tt.wire), iotest.OneByteReader(strings.NewReader(tt.wire))} {
			got, err := NewReader(r).Read()
			if err != nil {
				t.Errorf("%q: %v", tt.wire, err)
			} else if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%q: got %+v, want %+v", tt.wire, got, tt.want)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	malformed := []string{
		"\r\n", "x\r\n", "+OK\n", "+O\rK\r\n", ":\r\n", ":1x\r\n", ":9223372036854775808\r\n", "$-2\r\n", "$1\r\nabc\r\n",
		"$99999999999\r\n", "*-2\r\n", "*9999999999\r\n", "%-1\r\n", "~-1\r\n", "!-1\r\n", "#x\r\n", "#\r\n", "_x\r\n", ",\r\n",
		",0x1p3\r\n", ",1.2.3\r\n", "(1.5\r\n", "(\r\n", "(-\r\n", "=3\r\ntxt\r\n", "=4\r\ntxt-\r\n", "$?\r\n", "+a\r\n+b\r\n",
		strings.Repeat("*1\r\n", MaxDepth+2) + ":1\r\n", strings.Repeat("|0\r\n", MaxDepth+2) + ":1\r\n",
		"+" + strings.Repeat("a", MaxLine) + "\r\n",
	}
	for _, wire := range malformed {
		if v, err := Parse([]byte(wire)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%.60q: got %+v, %v, want ErrProtocol", wire, v, err)
		}
	}
	cut := []string{"+OK", "$3\r\nab", "$3\r\nabc", "*2\r\n:1\r\n", "*1\r\n", "$536870912\r\nabc", "|1\r\n+a\r\n+b\r\n", "*268435456\r\n"}
	for _, wire := range cut {
		if v, err := Parse([]byte(wire)); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: got %+v, %v, want io.ErrUnexpectedEOF", wire, v, err)
		}
	}
	if _, err := Parse(nil); err != io.EOF {
		t.Errorf("nothing: got %v, want io.EOF", err)
	}
}

func TestReaderReadsOneAfterTheOther(t *testing.T) {
	r := NewReader(strings.NewReader("+a\r\n$100000\r\n" + strings.Repeat("x", 100000) + "\r\n:7\r\n"))
	var got []string
	for {
		v, err := r.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(v.Kind)+v.Text())
	}
	if want := []string{"+a", "$" + strings.Repeat("x", 100000), ":"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %d replies of %d", len(got), len(want))
	}
}

func TestValueHelpers(t *testing.T) {
	v, err := Parse([]byte("%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n-ERR x\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := v.Lookup("a"); !ok || a.Int != 1 {
		t.Errorf("a: got %+v, %v", a, ok)
	}
	if b, _ := v.Lookup("b"); b.Err() != Error("ERR x") {
		t.Errorf("b: got %v", b.Err())
	}
	if _, ok := v.Lookup("c"); ok || v.Err() != nil {
		t.Error("c is there, or the map is an error")
	}
}

// FuzzReader shows that no input makes the reader panic or read what it cannot
// write again: what was read, written and read again is the same.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"+OK\r\n", "-ERR\r\n", ":1\r\n", "$3\r\nabc\r\n", "$-1\r\n", "*-1\r\n", "*2\r\n:1\r\n*1\r\n$0\r\n\r\n", "%1\r\n+a\r\n_\r\n",
		"~1\r\n#t\r\n", ">1\r\n,3.1\r\n", "(123\r\n", "=5\r\ntxt:a\r\n", "!3\r\nERR\r\n", "|1\r\n+a\r\n+b\r\n:1\r\n", "*99999999\r\n",
		"$536870912\r\n", ",nan\r\n", "*1\r\n*1\r\n*1\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			return
		}
		wire := v.Append(nil)
		again, err := Parse(wire)
		if err != nil {
			t.Fatalf("%q was written as %q, which is refused: %v", data, wire, err)
		}
		if second := again.Append(nil); !bytes.Equal(wire, second) {
			t.Fatalf("%q was written as %q, then as %q", data, wire, second)
		}
		if FormatCLI(v) != FormatCLI(again) {
			t.Fatalf("%q looks different after writing", data)
		}
	})
}
