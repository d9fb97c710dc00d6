package spec

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	type item struct {
		Command
		n int
	}
	items := []item{
		{Command{Name: "GET", Syntax: "key"}, 1}, {Command{Name: "SET", Syntax: "key value [NX]"}, 2}, {Command{Name: "RAFT.JOIN"}, 3},
	}
	table := NewTable(items, func(i *item) *Command { return &i.Command })
	for name, want := range map[string]int{"get": 1, "GET": 1, "gEt": 1, "SET": 2, "raft.join": 3, "": 0, "gett": 0, strings.Repeat("x", 100): 0, "ge\xd4": 0} {
		got, ok := table.Get([]byte(name))
		if ok != (want != 0) || ok && got.n != want {
			t.Errorf("%q: got %+v, %v, want %d", name, got, ok, want)
		}
	}
	if table.Len() != 3 || table.All()[1].Arity != -3 {
		t.Errorf("got %+v", table.All())
	}
	name := []byte("Set")
	if n := testing.AllocsPerRun(100, func() { table.Get(name) }); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
}

func TestTablePanics(t *testing.T) {
	tests := map[string][]Command{
		"declared twice": {{Name: "GET"}, {Name: "get"}},
		"brackets":       {{Name: "GET", Syntax: "key ["}},
		"characters":     {{Name: ""}},
		"SUB":            {{Name: "A", Subcommands: []Command{{Name: "SUB", Syntax: "]"}}}},
	}
	for want, items := range tests {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, want) {
					t.Errorf("got panic %q, want one about %q", text, want)
				}
			}()
			NewTable(items, func(c *Command) *Command { return c })
		}()
	}
}

// TestArity compares with the arities of Redis 7.0.15.
func TestArity(t *testing.T) {
	tests := []struct {
		name, syntax string
		want         int
	}{
		{"PING", "[message]", -1},
		{"TIME", "", 1},
		{"GET", "key", 2},
		{"SET", "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | KEEPTTL]", -3},
		{"MSET", "key value [key value ...]", -3},
		{"DEL", "key [key ...]", -2},
		{"BITOP", "operation destkey key [key ...]", -4},
		{"BITOP", "<AND | OR | XOR | NOT> destkey key [key ...]", -4},
		{"BITCOUNT", "key [start end [BYTE | BIT]]", -2},
		{"HELLO", "[protover [AUTH username password] [SETNAME clientname]]", -1},
		{"LINSERT", "key <BEFORE | AFTER> pivot element", 5},
		{"EVAL", "script numkeys [key [key ...]] [arg [arg ...]]", -3},
		{"XREAD", "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]", -4},
		{"XREADGROUP", "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]", -7},
		{"XADD", "key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]", -5},
		{"XTRIM", "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]", -4},
		{"GEOSEARCH", "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]", -7},
		{"BITFIELD", "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> ...]]", -2},
		{"ZUNIONSTORE", "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX>]", -4},
		{"SORT", "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]", -2},
		{"MIGRATE", `host port <key | ""> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key [key ...]]`, -6},
		{"SHUTDOWN", "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", -1},
		{"COPY", "source destination [DB destination-db] [REPLACE]", -3},
		{"WAIT", "numreplicas timeout", 3},
	}
	for _, tt := range tests {
		c := Command{Name: tt.name, Syntax: tt.syntax}
		if got := Arity(&c); got != tt.want {
			t.Errorf("%s %s: got %d, want %d", tt.name, tt.syntax, got, tt.want)
		}
	}
	kill := Command{Name: "CLIENT", Subcommands: []Command{
		{Name: "KILL", Syntax: "<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] | [SKIPME yes/no] [[ID client-id] | [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] | [SKIPME yes/no] ...]>>", Arity: -3},
		{Name: "ID"}, {Name: "REPLY", Syntax: "<ON | OFF | SKIP>"}, {Name: "PAUSE", Syntax: "timeout [WRITE | ALL]"},
	}}
	if err := kill.Resolve(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{-3, 2, 3, -3} {
		if got := kill.Subcommands[i].Arity; got != want {
			t.Errorf("%s: got %d, want %d", kill.Subcommands[i].FullName(), got, want)
		}
	}
	if kill.Arity != -2 {
		t.Errorf("a container: got %d, want -2", kill.Arity)
	}
}

func TestAccepts(t *testing.T) {
	exact, least := Command{Name: "GET", Arity: 2}, Command{Name: "SET", Arity: -3}
	for argc := range 6 {
		if got, want := exact.Accepts(argc), argc == 2; got != want {
			t.Errorf("exactly 2, %d given: got %v", argc, got)
		}
		if got, want := least.Accepts(argc), argc >= 3; got != want {
			t.Errorf("at least 3, %d given: got %v", argc, got)
		}
	}
}
