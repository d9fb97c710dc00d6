package scripts

import (
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/resp"
)

func TestSplit(t *testing.T) {
	cases := []struct {
		line string
		want []string
	}{
		{`SET k v`, []string{"SET", "k", "v"}},
		{`  GET   k  `, []string{"GET", "k"}},
		{`GET ""`, []string{"GET", ""}},
		{`""`, []string{""}},
		{`"a b" 'c d'`, []string{"a b", "c d"}},
		{`"\x00\xFf\n\r\t\a\b\\\"\q"`, []string{"\x00\xff\n\r\t\a\b\\\"q"}},
		{`'\x00 \' \n'`, []string{`\x00 ' \n`}},
		{`a\*b a"b c"`, []string{`a\*b`, "ab c"}},
		{`"\x0"`, []string{"x0"}},
	}
	for _, c := range cases {
		if got, err := split(c.line); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("split(%s) = %q, %v, want %q", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{`"a`, `'a`, `"a"b`, `'a'b`} {
		if got, err := split(line); err == nil {
			t.Errorf("split(%s) = %q, want an error", line, got)
		}
	}
}

func TestParse(t *testing.T) {
	const text = `# What it shows.
# @session it has to

SET k v
OK

# b looks
b> !3 @sorted KEYS *
1) "k"

@until EXISTS k
~ \(integer\) [01]

GET nothing
`
	s, err := parse("x/y.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(s.format()); got != text {
		t.Errorf("format gives another text:\n%s", got)
	}
	if !s.has("session") || s.has("pinned") || s.marks["session"] != "it has to" {
		t.Errorf("marks = %v", s.marks)
	}
	steps := s.steps()
	if len(steps) != 4 {
		t.Fatalf("%d steps, want 4", len(steps))
	}
	if st := steps[1]; st.client != "b" || st.proto != 3 || !st.sorted || st.line != 8 || !slices.Equal(st.args, []string{"KEYS", "*"}) {
		t.Errorf("step 2 = %+v", st)
	}
	if st := steps[2]; st.client != "a" || !st.until || !st.matches("(integer) 1") || st.matches("(integer) 10") {
		t.Errorf("step 3 = %+v", st)
	}
	if st := steps[3]; st.reply != "" || st.matches("(nil)") {
		t.Errorf("a step without a reply matches: %+v", st)
	}
	for _, bad := range []string{"# @nosuch mark", `SET "k`, "b> !3", "GET k\n~ ("} {
		if _, err := parse("x/y.txt", bad); err == nil {
			t.Errorf("parse(%q) gives no error", bad)
		}
	}
}

func TestSorted(t *testing.T) {
	v, err := resp.Parse([]byte("*2\r\n$1\r\n0\r\n*3\r\n$1\r\nc\r\n$1\r\na\r\n$1\r\nb\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	st := &step{sorted: true}
	if got, want := st.show(v), "1) \"0\"\n2) 1) \"a\"\n   2) \"b\"\n   3) \"c\""; got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Every script says what it shows, why it is not for all runners, and what each
// step's reply is; every data command is in one of them.
func TestCorpusIsWhole(t *testing.T) {
	used := map[string]bool{}
	for _, s := range corpus(t) {
		if len(s.items) == 0 || !strings.HasPrefix(s.items[0].text, "# ") || strings.HasPrefix(s.items[0].text, "# @") {
			t.Errorf("%s does not say what it shows", s.path)
		}
		if s.marks["differs"] == "" && s.has("differs") {
			t.Errorf("%s differs from Redis, but does not say why", s.path)
		}
		for _, st := range s.steps() {
			if st.reply == "" {
				t.Errorf("%s:%d: no reply (record it with -rewrite)", s.path, st.line)
			}
			used[strings.ToUpper(st.args[0])] = true
			if len(st.args) > 1 {
				used[strings.ToUpper(st.args[0]+" "+st.args[1])] = true
			}
		}
	}
	for _, c := range fsm.New().Specs() {
		if !used[c.Name] {
			t.Errorf("no script uses %s", c.Name)
		}
		for _, sub := range c.Subcommands {
			if !used[c.Name+" "+sub.Name] {
				t.Errorf("no script uses %s %s", c.Name, sub.Name)
			}
		}
	}
}
