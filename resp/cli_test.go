package resp

import (
	"strings"
	"testing"
)

// The texts are what redis-cli 7.0.15 --no-raw prints for these replies.
func TestFormatCLI(t *testing.T) {
	tests := []struct{ wire, want string }{
		{"+OK\r\n", "OK"},
		{"-ERR foo\r\n", "(error) ERR foo"},
		{":12\r\n", "(integer) 12"},
		{"$-1\r\n", "(nil)"},
		{"*-1\r\n", "(nil)"},
		{"_\r\n", "(nil)"},
		{"$3\r\na\"b\r\n", `"a\"b"`},
		{"$0\r\n\r\n", `""`},
		{"$7\r\n\x00\xff\n\r\t\a\\\r\n", `"\x00\xff\n\r\t\a\\"`},
		{"*0\r\n", "(empty array)"},
		{"%0\r\n", "(empty hash)"},
		{"~0\r\n", "(empty set)"},
		{",3.10\r\n", "(double) 3.10"},
		{",inf\r\n", "(double) inf"},
		{"#t\r\n", "(true)"},
		{"#f\r\n", "(false)"},
		{"=8\r\ntxt:a\nbc\r\n", "a\nbc"},
		{"~2\r\n$1\r\na\r\n:2\r\n", "1~ \"a\"\n2~ (integer) 2"},
		{"*1\r\n*1\r\n*1\r\n-ERR x\r\n", "1) 1) 1) (error) ERR x"},
		{
			"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*1\r\n:5\r\n*0\r\n",
			"1) (integer) 1\n2) 1) \"a\"\n   2) 1) (integer) 5\n3) (empty array)",
		},
		{
			"%2\r\n$1\r\nk\r\n$1\r\nv\r\n$1\r\nl\r\n%1\r\n:1\r\n*2\r\n:1\r\n:2\r\n",
			"1# \"k\" => \"v\"\n2# \"l\" => \n   1# (integer) 1 => \n      1) (integer) 1\n      2) (integer) 2",
		},
		{
			"*2\r\n%1\r\n+a\r\n~1\r\n+b\r\n%1\r\n*2\r\n:1\r\n:2\r\n:3\r\n",
			"1) 1# a => 1~ b\n2) 1# 1) (integer) 1\n      2) (integer) 2 => (integer) 3",
		},
		{
			"*11\r\n*2\r\n:1\r\n*2\r\n:5\r\n:6\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n:8\r\n:9\r\n:10\r\n*2\r\n:1\r\n:2\r\n",
			" 1) 1) (integer) 1\n    2) 1) (integer) 5\n       2) (integer) 6\n 2) (integer) 2\n 3) (integer) 3\n" +
				" 4) (integer) 4\n 5) (integer) 5\n 6) (integer) 6\n 7) (integer) 7\n 8) (integer) 8\n 9) (integer) 9\n" +
				"10) (integer) 10\n11) 1) (integer) 1\n    2) (integer) 2",
		},
		// These two redis-cli cannot show; the form is our own.
		{"(12345678901234567890\r\n", "12345678901234567890"},
		{"!5\r\nERR x\r\n", "(error) ERR x"},
		{">2\r\n+message\r\n+x\r\n", "1) message\n2) x"},
		{">0\r\n", "(empty push)"},
	}
	for _, tt := range tests {
		v, err := Parse([]byte(tt.wire))
		if err != nil {
			t.Errorf("%q: %v", tt.wire, err)
			continue
		}
		if got := FormatCLI(v); got != tt.want {
			t.Errorf("%q: got\n%s\nwant\n%s", tt.wire, got, tt.want)
		}
	}
}

func TestAppendQuotedEscapesAllControlBytes(t *testing.T) {
	for c := range 256 {
		got := string(AppendQuoted(nil, []byte{byte(c)}))
		if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) || len(got) < 3 {
			t.Errorf("byte %d: got %q", c, got)
		}
	}
}
