package spec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// describe renders a tree with everything that COMMAND DOCS would show.
func describe(args []Argument) string {
	parts := make([]string, len(args))
	for i, a := range args {
		s := a.Name + ":" + string(a.Type)
		if a.KeySpec > 0 {
			s += fmt.Sprintf("#%d", a.KeySpec-1)
		}
		if a.Token != "" {
			s += "=" + a.Token
		}
		for _, flag := range a.flagNames() {
			s += "!" + flag
		}
		if len(a.Arguments) > 0 {
			s += "(" + describe(a.Arguments) + ")"
		}
		parts[i] = s
	}
	return strings.Join(parts, " ")
}

func TestParseSyntax(t *testing.T) {
	tests := []struct{ syntax, want string }{
		{"", ""},
		{"key value", "key:string value:string"},
		{"count", "count:integer"},
		{"key [key ...]", "key:string!multiple"},
		{"[key [key ...]]", "key:string!optional!multiple"},
		{"[arg ...]", "arg:string!optional!multiple"},
		{"key value [key value ...]", "key_value:block!multiple(key:string value:string)"},
		{"[NX | XX]", "nx_or_xx:oneof!optional(nx:pure-token=NX xx:pure-token=XX)"},
		{"[GET]", "get:pure-token=GET!optional"},
		{"[EX seconds | KEEPTTL]", "seconds_or_keepttl:oneof!optional(seconds:integer=EX keepttl:pure-token=KEEPTTL)"},
		{"[LIMIT offset count]", "offset_count:block=LIMIT!optional(offset:integer count:integer)"},
		{"[BY pattern] [ALPHA]", "pattern:pattern=BY!optional sorting:pure-token=ALPHA!optional"},
		{"[GET pattern [GET pattern ...]]", "pattern:pattern=GET!optional!multiple!multiple_token"},
		{"[WEIGHTS weight [weight ...]]", "weight:double=WEIGHTS!optional!multiple"},
		{"[AGGREGATE <SUM | MIN>]", "sum_or_min:oneof=AGGREGATE!optional(sum:pure-token=SUM min:pure-token=MIN)"},
		{"key start [end]", "key:string start:integer end:integer!optional"},
		{"[COUNT count [ANY]]", "count_any:block!optional(count:integer=COUNT any:pure-token=ANY!optional)"},
		{"[start end [BYTE | BIT]]", "start_end_byte_or_bit:block!optional(start:integer end:integer byte_or_bit:oneof!optional(byte:pure-token=BYTE bit:pure-token=BIT))"},
		{"STREAMS key [key ...] id [id ...]", "key_id:block=STREAMS(key:string!multiple id:string!multiple)"},
		{"<* | id>", "auto_id_or_id:oneof(auto_id:pure-token=* id:string)"},
		{`<key | "">`, `key_or_empty_string:oneof(key:string empty_string:pure-token="")`},
		{"a | b c", "a_or_b_c:oneof(a:string b_c:block(b:string c:string))"},
		{"[A x | B [A x | B ...]]", "x_or_b:oneof!optional!multiple(x:string=A b:pure-token=B)"},
		{"unix-time-seconds", "unix-time-seconds:unix-time"},
		{"<A x y>", "x_y:block=A(x:string y:string)"},
	}
	for _, tt := range tests {
		args, err := ParseSyntax(tt.syntax)
		if err != nil {
			t.Errorf("%s: %v", tt.syntax, err)
		} else if got := describe(args); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.syntax, got, tt.want)
		}
	}
}

func TestParseSyntaxRefuses(t *testing.T) {
	tests := map[string]error{
		"[": errUnbalanced, "]": errUnbalanced, "<a]": errUnbalanced, "[a": errUnbalanced, "a >": errUnbalanced,
		"[]": errEmpty, "<a |>": errEmpty, "| a": errEmpty, "a |": errEmpty, "[...]": errEmpty,
		"a ...": errDots, "<a ...>": errDots, "[a ... b]": errDots, "[a ... ...]": errDots,
		strings.Repeat("[", 40) + "a" + strings.Repeat("]", 40): errDepth,
	}
	for syntax, want := range tests {
		if _, err := ParseSyntax(syntax); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", syntax, err, want)
		}
	}
}

func TestArgumentsFindKeys(t *testing.T) {
	tests := []struct {
		name, syntax string
		keys         []KeySpec
		flags        Flags
		want         string
	}{
		{"GET", "key", OneKey(RO), 0, "key:key#0"},
		{"RENAME", "key newkey", []KeySpec{KeyAt(1, RW), KeyAt(2, OW)}, 0, "key:key#0 newkey:key#1"},
		{"LCS", "key1 key2 [LEN]", []KeySpec{{Index: 1, Last: 1, Step: 1}}, 0, "key1:key#0 key2:key#0 len:pure-token=LEN!optional"},
		{"MSET", "key value [key value ...]", []KeySpec{{Index: 1, Last: -1, Step: 2}}, 0, "key_value:block!multiple(key:key#0 value:string)"},
		{
			"BITOP", "<AND | OR> destkey key [key ...]",
			[]KeySpec{KeyAt(2, OW), {Index: 3, Last: -1, Step: 1}}, 0,
			"and_or_or:oneof(and:pure-token=AND or:pure-token=OR) destkey:key#0 key:key#1!multiple",
		},
		{"ZUNION", "numkeys key [key ...]", []KeySpec{{Index: 1, KeyCount: true, FirstKey: 1}}, 0, "numkeys:integer key:key#0!multiple"},
		{
			"XREAD", "[COUNT count] STREAMS key [key ...] id [id ...]", []KeySpec{{Keyword: "STREAMS", StartFrom: 1, Last: -1, Limit: 2}}, 0,
			"count:integer=COUNT!optional key_id:block=STREAMS(key:key#0!multiple id:string!multiple)",
		},
		{"SORT", "key [STORE destination]", []KeySpec{KeyAt(1, RO), {Unknown: true}}, 0, "key:key#0 destination:string=STORE!optional"},
		{"INCRBYFLOAT", "key increment", OneKey(RW), 0, "key:key#0 increment:double"},
		{"BLPOP", "key [key ...] timeout", []KeySpec{{Index: 1, Last: -2, Step: 1}}, Blocking, "key:key#0!multiple timeout:double"},
	}
	for _, tt := range tests {
		c := Command{Name: tt.name, Syntax: tt.syntax, Keys: tt.keys, Flags: tt.flags}
		if got := describe(c.Arguments()); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, got, tt.want)
		}
	}
	sub := Command{Container: "OBJECT", Name: "ENCODING", Syntax: "key", Keys: []KeySpec{KeyAt(2, RO)}}
	if got, want := describe(sub.Arguments()), "key:key#0"; got != want {
		t.Errorf("OBJECT ENCODING: got %s, want %s", got, want)
	}
}

// FuzzParseSyntax shows that the parser never panics, and that what it
// understood, written back in the same notation, means the same.
func FuzzParseSyntax(f *testing.F) {
	for _, seed := range []string{
		"key value [NX | XX] [GET] [EX seconds | PX milliseconds | KEEPTTL]", "key [key ...]", "[a [a ...]]", "<a | b c>",
		"[GET pattern [GET pattern ...]]", "[WEIGHTS weight [weight ...]]", "STREAMS key [key ...] id [id ...]", "[[[a]]]", "[a | b ...]",
		"key [A x | [B <C | D>] <E y | F z> [A x | [B <C | D>] <E y | F z> ...]]", "< a | [b] >", "A B [C] d", "[", "a ...",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, syntax string) {
		args, err := ParseSyntax(syntax)
		if err != nil {
			return
		}
		n, exact := count(args)
		parts := make([]string, len(args))
		for i, a := range args {
			parts[i] = a.String()
		}
		again, err := ParseSyntax(strings.Join(parts, " "))
		if err != nil {
			t.Fatalf("%q was written as %q, which is refused: %v", syntax, parts, err)
		}
		if m, e := count(again); m != n || e != exact {
			t.Fatalf("%q takes %d words (exactly: %v), written as %q it takes %d (%v)", syntax, n, exact, parts, m, e)
		}
	})
}

// Redis's own names for blocks, of which a syntax line knows nothing.
func TestBlockNames(t *testing.T) {
	c := Command{
		Name: "X", Syntax: "key [start end [BYTE | BIT]]", Group: Bitmap, Keys: OneKey(RO),
		BlockNames: [][2]string{{"start_end_byte_or_bit", "index"}, {"key", "not a block"}},
	}
	want := "key:key#0 index:block!optional(start:integer end:integer byte_or_bit:oneof!optional(byte:pure-token=BYTE bit:pure-token=BIT))"
	if got := describe(c.Arguments()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
