package resp

import (
	"math"
	"testing"
)

func TestWriter(t *testing.T) {
	tests := []struct {
		name         string
		write        func(*Writer)
		resp2, resp3 string
	}{
		{"simple", func(w *Writer) { w.OK() }, "+OK\r\n", "+OK\r\n"},
		{"error", func(w *Writer) { w.Error("ERR a\r\nb") }, "-ERR a  b\r\n", "-ERR a  b\r\n"},
		{"error's end", func(w *Writer) { w.Error("ERR option \r\n\n") }, "-ERR option \r\n", "-ERR option \r\n"},
		{"int", func(w *Writer) { w.Int(-5) }, ":-5\r\n", ":-5\r\n"},
		{"true", func(w *Writer) { w.Bool(true) }, ":1\r\n", "#t\r\n"},
		{"false", func(w *Writer) { w.Bool(false) }, ":0\r\n", "#f\r\n"},
		{"bulk", func(w *Writer) { w.Bulk([]byte("a\r\n")) }, "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n"},
		{"bulk string", func(w *Writer) { w.BulkString("") }, "$0\r\n\r\n", "$0\r\n\r\n"},
		{"bulk int", func(w *Writer) { w.BulkInt(math.MinInt64) }, "$20\r\n-9223372036854775808\r\n", "$20\r\n-9223372036854775808\r\n"},
		{"verbatim", func(w *Writer) { w.Verbatim("txt", "hi") }, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
		{"double", func(w *Writer) { w.Double(3.1) }, "$18\r\n3.1000000000000001\r\n", ",3.1000000000000001\r\n"},
		{"null", func(w *Writer) { w.Null() }, "$-1\r\n", "_\r\n"},
		{"null array", func(w *Writer) { w.NullArray() }, "*-1\r\n", "_\r\n"},
		{"array", func(w *Writer) { w.Array(3) }, "*3\r\n", "*3\r\n"},
		{"map", func(w *Writer) { w.Map(3) }, "*6\r\n", "%3\r\n"},
		{"set", func(w *Writer) { w.Set(3) }, "*3\r\n", "~3\r\n"},
		{"push", func(w *Writer) { w.Push(3) }, "*3\r\n", ">3\r\n"},
		{"truncated", func(w *Writer) { w.OK(); m := w.Mark(); w.Int(1); w.Truncate(m) }, "+OK\r\n", "+OK\r\n"},
		{"raw", func(w *Writer) { w.Raw([]byte(":1\r\n")) }, ":1\r\n", ":1\r\n"},
	}
	for _, tt := range tests {
		for proto, want := range map[int]string{2: tt.resp2, 3: tt.resp3} {
			w := NewWriter(proto, nil)
			tt.write(w)
			if got := string(w.Bytes()); got != want {
				t.Errorf("%s in RESP%d: got %q, want %q", tt.name, proto, got, want)
			}
		}
		var none *Writer
		tt.write(none) // must do nothing
		if none.Bytes() != nil {
			t.Errorf("%s: a nil Writer kept something", tt.name)
		}
	}
}

// The texts are what redis-server 7.0.15 replies to ZSCORE.
func TestAppendDouble(t *testing.T) {
	tests := []struct {
		f    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "-0"}, {1, "1"}, {-1, "-1"}, {0.1, "0.10000000000000001"}, {3.1, "3.1000000000000001"},
		{0.5, "0.5"}, {1.5e-4, "0.00014999999999999999"}, {1e-4, "0.0001"}, {1e-5, "1.0000000000000001e-05"},
		{1e16, "10000000000000000"}, {1e17, "1e+17"}, {-1e17, "-1e+17"}, {1e100, "1e+100"}, {1 << 52, "4503599627370496"},
		{1<<53 + 2, "9007199254740994"}, {123456789012345680, "1.2345678901234568e+17"}, {12345678901234568, "12345678901234568"},
		{5e-324, "4.9406564584124654e-324"}, {math.MaxFloat64, "1.7976931348623157e+308"}, {99999999999999999, "1e+17"},
		{2.5, "2.5"}, {100, "100"}, {1234.5678, "1234.5678"}, {math.Inf(1), "inf"}, {math.Inf(-1), "-inf"}, {math.NaN(), "nan"},
	}
	for _, tt := range tests {
		if got := string(AppendDouble(nil, tt.f)); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.f, got, tt.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { AppendDouble(make([]byte, 0, 32), 3.1) }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
