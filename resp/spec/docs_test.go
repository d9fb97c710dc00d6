package spec_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// wire is what write writes, without the length before each bulk string and
// with spaces for the ends of lines.
func wire(proto int, write func(spec.Reply)) string {
	w := resp.NewWriter(proto, nil)
	write(w)
	lines := strings.Split(strings.TrimSuffix(string(w.Bytes()), "\r\n"), "\r\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "$") })
	return strings.Join(lines, " ")
}

// zadd and the texts wanted for it are what redis-server 7.0.15 replies.
var zadd = spec.Command{
	Name: "ZADD", Syntax: "key [NX | XX] [CH] score member [score member ...]", Kind: spec.Write, Group: spec.SortedSet,
	Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast, Since: "1.2.0", Cost: "O(log(N))", Summary: "Adds.",
}

func TestWriteInfo(t *testing.T) {
	want := map[int]string{
		2: "*10 zadd :-4 *3 +write +denyoom +fast :1 :1 :1 *3 +@write +@sortedset +@fast *0 *1 *6 flags *2 +RW +update " +
			"begin_search *4 type index spec *2 index :1 find_keys *4 type range spec *6 lastkey :0 keystep :1 limit :0 *0",
		3: "*10 zadd :-4 ~3 +write +denyoom +fast :1 :1 :1 ~3 +@write +@sortedset +@fast ~0 ~1 %3 flags ~2 +RW +update " +
			"begin_search %2 type index spec %1 index :1 find_keys %2 type range spec %3 lastkey :0 keystep :1 limit :0 ~0",
	}
	for proto, want := range want {
		if got := wire(proto, func(w spec.Reply) { spec.WriteInfo(w, &zadd) }); got != want {
			t.Errorf("RESP%d:\ngot  %s\nwant %s", proto, got, want)
		}
	}
}

// object is a container; only its own entry and the form of its subcommands
// come from Redis.
func object() *spec.Command {
	c := &spec.Command{
		Name: "OBJECT", Group: spec.Generic, Since: "2.2.3", Summary: "Looks inside.", Cost: "O(1)",
		Subcommands: []spec.Command{
			{
				Name: "ENCODING", Syntax: "key", Group: spec.Generic, Kind: spec.Read, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RO)},
				Tips: []string{"nondeterministic_output"}, Since: "2.2.3", Cost: "O(1)", Summary: "Tells how a value is stored.",
			},
			{Name: "HELP", Group: spec.Generic, Flags: spec.Loading | spec.Stale, Since: "6.2.0", Cost: "O(1)", Summary: "Helps."},
		},
	}
	if err := c.Resolve(); err != nil {
		panic(err)
	}
	return c
}

func TestWriteInfoOfContainer(t *testing.T) {
	want := "*10 object :-2 ~0 :0 :0 :0 ~1 +@slow ~0 ~0 *2 " +
		"*10 object|encoding :3 ~1 +readonly :2 :2 :1 ~3 +@keyspace +@read +@slow ~1 nondeterministic_output ~1 %3 flags ~1 +RO " +
		"begin_search %2 type index spec %1 index :2 find_keys %2 type range spec %3 lastkey :0 keystep :1 limit :0 ~0 " +
		"*10 object|help :2 ~2 +loading +stale :0 :0 :0 ~2 +@keyspace +@slow ~0 ~0 ~0"
	if got := wire(3, func(w spec.Reply) { spec.WriteInfo(w, object()) }); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestWriteDocs(t *testing.T) {
	want := map[int]string{
		3: "%5 summary Adds. since 1.2.0 group sorted-set complexity O(log(N)) arguments *4 " +
			"%3 name key type key key_spec_index :0 " +
			"%4 name nx_or_xx type oneof flags ~1 +optional arguments *2 %3 name nx type pure-token token NX %3 name xx type pure-token token XX " +
			"%4 name ch type pure-token token CH flags ~1 +optional " +
			"%4 name score_member type block flags ~1 +multiple arguments *2 %2 name score type double %2 name member type string",
		2: "*10 summary Adds. since 1.2.0 group sorted-set complexity O(log(N)) arguments *4 " +
			"*6 name key type key key_spec_index :0 " +
			"*8 name nx_or_xx type oneof flags *1 +optional arguments *2 *6 name nx type pure-token token NX *6 name xx type pure-token token XX " +
			"*8 name ch type pure-token token CH flags *1 +optional " +
			"*8 name score_member type block flags *1 +multiple arguments *2 *4 name score type double *4 name member type string",
	}
	for proto, want := range want {
		if got := wire(proto, func(w spec.Reply) { spec.WriteDocs(w, &zadd) }); got != want {
			t.Errorf("RESP%d:\ngot  %s\nwant %s", proto, got, want)
		}
	}
}

func TestWriteDocsOfDeprecatedAndContainer(t *testing.T) {
	getset := spec.Command{Name: "GETSET", Group: spec.String, Summary: "S.", Since: "1.0.0", Deprecated: "6.2.0; `SET` with the `GET` argument"}
	want := "%6 summary S. since 1.0.0 group string doc_flags ~1 +deprecated deprecated_since 6.2.0 replaced_by `SET` with the `GET` argument"
	if got := wire(3, func(w spec.Reply) { spec.WriteDocs(w, &getset) }); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
	want = "%5 summary Looks inside. since 2.2.3 group generic complexity O(1) subcommands %2 " +
		"object|encoding %5 summary Tells how a value is stored. since 2.2.3 group generic complexity O(1) arguments *1 %3 name key type key key_spec_index :0 " +
		"object|help %4 summary Helps. since 6.2.0 group generic complexity O(1)"
	if got := wire(3, func(w spec.Reply) { spec.WriteDocs(w, object()) }); got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// TestDocsAreWellFormed wants a reply of one map from each syntax.
func TestDocsAreWellFormed(t *testing.T) {
	for _, syntax := range []string{
		"", "key", `<key | ""> [A b c [d ...]]`, "[A <B | C>] [D e [D e ...]]", "STREAMS key [key ...] id [id ...]", "<A b | [C d] e f>",
	} {
		c := spec.Command{Name: "X", Syntax: syntax, Summary: "S."}
		for _, proto := range []int{2, 3} {
			w := resp.NewWriter(proto, nil)
			spec.WriteDocs(w, &c)
			if v, err := resp.Parse(w.Bytes()); err != nil {
				t.Errorf("%q in RESP%d: %v", syntax, proto, err)
			} else if s, ok := v.Lookup("summary"); !ok || s.Text() != "S." {
				t.Errorf("%q in RESP%d: got %s", syntax, proto, resp.FormatCLI(v))
			}
		}
	}
}

func TestHelp(t *testing.T) {
	c := spec.Command{Name: "CLIENT", Subcommands: []spec.Command{
		{Name: "HELP", Summary: "ignored"},
		{Name: "ID", Summary: "Tells the connection's number."},
		{Name: "LIST", Syntax: "[TYPE <NORMAL | PUBSUB>] [ID client-id [client-id ...]]", Summary: strings.Repeat("word ", 20)},
		{Name: "REPLY", Syntax: "<ON | OFF>"},
		{Name: "PAUSE", Syntax: "timeout [WRITE | ALL]"},
	}}
	want := []string{
		"CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
		"ID",
		"    Tells the connection's number.",
		"LIST [TYPE (NORMAL|PUBSUB)] [ID <client-id> [<client-id> ...]]",
		"    word word word word word word word word word word word word word word word",
		"    word word word word word",
		"REPLY (ON|OFF)",
		"PAUSE <timeout> [WRITE|ALL]",
		"HELP",
		"    Prints this help.",
	}
	if got := spec.HelpLines(&c); !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if got, want := wire(2, func(w spec.Reply) { spec.WriteHelp(w, &c) }), "*10 +CLIENT "; !strings.HasPrefix(got, want) {
		t.Errorf("got %s, want it to begin with %s", got, want)
	}
}
