package fsm

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

func TestRead(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  string
	}{
		{"value", []string{"GET k"}, "$1 v"},
		{"several", []string{"GET k", "GET absent", "STRLEN k"}, "$1 v $-1 :1"},
		{"error between", []string{"GET k", "NOSUCH", "GETRANGE k a b", "GET k"},
			"$1 v -ERR unknown command 'NOSUCH', with args beginning with:  -ERR value is not an integer or out of range $1 v"},
		{"time to live by the reader's clock", []string{"PTTL e", "PEXPIRETIME e"}, ":700 :1700000001000"},
		{"counts", []string{"DBSIZE", "EXISTS k e k"}, ":2 :3"},
	}
	r := newRig(t)
	r.do("SET k v", "SET e v PX 1000")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := r.read(start+300, tt.lines...)
			if err != nil {
				t.Fatal(err)
			}
			r.want(tt.name, got, tt.want)
		})
	}
	if got, _ := r.read(start-5000, "PTTL e"); got != ":1000" {
		t.Errorf("a clock before the logged one: PTTL %s, want :1000", got)
	}
}

func TestReadAtomic(t *testing.T) {
	r := newRig(t)
	r.do("SET k v")
	w := resp.NewWriter(3, nil)
	p := entry.Proposal{Atomic: true, Watches: r.watch(0, "k"), Commands: writes("GET k", "GET absent")}
	if err := r.m.Read(&p, start, w); err != nil || short(w) != "*2 $1 v _" {
		t.Errorf("got %q, %v", short(w), err)
	}
	r.do("SET k w")
	w.Reset(3)
	if err := r.m.Read(&p, start, w); err != nil || short(w) != "_" {
		t.Errorf("after a change: got %q, %v", short(w), err)
	}
	w.Reset(2)
	if err := r.m.Read(&entry.Proposal{DB: 16, Commands: writes("GET k")}, start, w); err != nil || short(w) != "-ERR DB index is out of range" {
		t.Errorf("database 16: got %q, %v", short(w), err)
	}
}

// TestReadNeedsTick: what is due by the leader's clock but not by the logged one
// is neither there nor gone until an entry says so.
func TestReadNeedsTick(t *testing.T) {
	tests := []struct {
		line string
		tick bool
		want string // after the tick
	}{
		{"GET e", true, "$-1"},
		{"TTL e", true, ":-2"},
		{"EXISTS k e", true, ":1"},
		{"MGET k e", true, "*2 $1 v $-1"},
		{"DBSIZE", true, ":1"},
		{"KEYS *", true, "*1 $1 k"},
		{"RANDOMKEY", true, "$1 k"},
		{"SCAN 0", true, "*2 $1 0 *1 $1 k"},
		{"GET k", false, "$1 v"},
		{"GET absent", false, "$-1"},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			r := newRig(t)
			r.do("SET k v", "SET e v PX 100")
			w := resp.NewWriter(2, nil)
			w.OK()
			err := r.m.Read(&entry.Proposal{Commands: writes("GET k", tt.line)}, start+100, w)
			if tick := errors.Is(err, system.ErrTickNeeded); tick != tt.tick || err != nil && !tick {
				t.Fatalf("got error %v, want a tick: %v", err, tt.tick)
			}
			if err != nil && short(w) != "+OK" {
				t.Errorf("the reply was left at %q", short(w))
			}
			r.now += 100
			r.apply()
			got, err := r.read(r.now, tt.line)
			if err != nil || got != tt.want {
				t.Errorf("after the tick: got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestReadWatchNeedsTick(t *testing.T) {
	r := newRig(t)
	r.do("SET k v", "SET e v PX 100")
	p := entry.Proposal{Atomic: true, Watches: r.watch(0, "e"), Commands: writes("GET k")}
	if err := r.m.Read(&p, start+100, resp.NewWriter(2, nil)); !errors.Is(err, system.ErrTickNeeded) {
		t.Errorf("got error %v", err)
	}
}

// TestRandomKeyVaries: two reads of one state need not pick the same.
func TestRandomKeyVaries(t *testing.T) {
	r := newRig(t)
	r.do("MSET a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1")
	first, _ := r.read(start, "RANDOMKEY")
	for range 200 {
		if got, _ := r.read(start, "RANDOMKEY"); got != first {
			return
		}
	}
	t.Errorf("200 reads picked %q", first)
}

func TestLookup(t *testing.T) {
	tests := []struct{ line, name, err string }{
		{"get k", "get", ""},
		{"SET k v EX 5", "set", ""},
		{"object encoding k", "object|encoding", ""},
		{"nosuch", "", "ERR unknown command 'nosuch', with args beginning with: "},
		{"NoSuch a b", "", "ERR unknown command 'NoSuch', with args beginning with: 'a' 'b' "},
		{"GET", "", "ERR wrong number of arguments for 'get' command"},
		{"Get a b", "", "ERR wrong number of arguments for 'get' command"},
		{"SET k", "", "ERR wrong number of arguments for 'set' command"},
		{"OBJECT", "", "ERR wrong number of arguments for 'object' command"},
		{"object foo k", "", "ERR unknown subcommand 'foo'. Try OBJECT HELP."},
		{"OBJECT ENCODING", "", "ERR wrong number of arguments for 'object|encoding' command"},
		{"OBJECT ENCODING a b", "", "ERR wrong number of arguments for 'object|encoding' command"},
		{"", "", "ERR unknown command '', with args beginning with: "},
	}
	m := New()
	for _, tt := range tests {
		c, err := m.Lookup(words(tt.line))
		var reply resp.Error
		switch {
		case tt.err == "" && (err != nil || c.FullName() != tt.name):
			t.Errorf("%q: got %v, %v", tt.line, c, err)
		case tt.err != "" && (!errors.As(err, &reply) || string(reply) != tt.err):
			t.Errorf("%q: got error %v, want %s", tt.line, err, tt.err)
		}
	}
	if len(m.Specs()) == 0 {
		t.Error("no declarations")
	}
}

// TestLookupQuotes: how Redis 7.0.15 itself quotes what it does not know.
func TestLookupQuotes(t *testing.T) {
	x := strings.Repeat
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"nosuch", x("x", 200), "y"}, "-ERR unknown command 'nosuch', with args beginning with: '" + x("x", 128) + "' "},
		{[]string{"nosuch", x("x", 120), x("y", 16), "z"}, "-ERR unknown command 'nosuch', with args beginning with: '" + x("x", 120) + "' 'yyyyy' "},
		{[]string{x("n", 300), "a"}, "-ERR unknown command '" + x("n", 128) + "', with args beginning with: 'a' "},
		{[]string{"no\r\nsuch", "a\nb"}, "-ERR unknown command 'no  such', with args beginning with: 'a b' "},
		{[]string{"no\x00such", "a\x00b", "c"}, "-ERR unknown command 'no', with args beginning with: 'a' 'c' "},
		{[]string{"get\x00", "a"}, "-ERR unknown command 'get', with args beginning with: 'a' "},
		{[]string{"object", x("f", 200)}, "-ERR unknown subcommand '" + x("f", 128) + "'. Try OBJECT HELP."},
	}
	for _, tt := range tests {
		var cmd entry.Command
		for _, arg := range tt.args {
			cmd.Args = append(cmd.Args, []byte(arg))
		}
		w := resp.NewWriter(2, nil)
		if err := New().Read(&entry.Proposal{Commands: []entry.Command{cmd}}, start, w); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(string(w.Bytes()), "\r\n"); got != tt.want {
			t.Errorf("%q:\ngot  %q\nwant %q", tt.args, got, tt.want)
		}
	}
}

// TestHitsAndMisses: which lookups Redis 7.0.15 counts, read or logged.
func TestHitsAndMisses(t *testing.T) {
	for _, tt := range []struct {
		line         string
		hits, misses uint64
	}{
		{"GET k", 1, 0}, {"GET n", 0, 1}, {"MGET k n k", 2, 1}, {"EXISTS k n", 1, 1}, {"TTL n", 0, 1}, {"TYPE k", 1, 0},
		{"OBJECT ENCODING n", 0, 1}, {"MEMORY USAGE k", 0, 0}, {"DBSIZE", 0, 0}, {"SCAN 0", 0, 0}, {"LCS k n", 1, 1},
		{"GETEX k", 1, 0}, {"GETDEL n", 0, 1}, {"GETSET n 1", 0, 1}, {"SET k v GET", 1, 0}, {"COPY k c", 1, 0}, {"COPY n c", 0, 1},
		{"SET k v", 0, 0}, {"INCR i", 0, 0}, {"APPEND k v", 0, 0}, {"EXPIRE k 9", 0, 0}, {"RENAME k l", 0, 0}, {"DEL k n", 0, 0},
	} {
		r := newRig(t)
		r.do("SET k v")
		r.do(tt.line)
		if s := r.m.Stats(); s.Hits != tt.hits || s.Misses != tt.misses {
			t.Errorf("%s: %d hits, %d misses; want %d, %d", tt.line, s.Hits, s.Misses, tt.hits, tt.misses)
		}
	}
	r := newRig(t)
	r.do("SET k v", "SET e v PX 100")
	if _, err := r.read(start, "GET k", "GET n"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.read(start+200, "GET k", "GET e"); !errors.Is(err, system.ErrTickNeeded) {
		t.Fatalf("got %v, want to be asked again", err)
	}
	if s := r.m.Stats(); s.Hits != 1 || s.Misses != 1 {
		t.Errorf("%d hits, %d misses; want 1, 1: what must be read again does not count", s.Hits, s.Misses)
	}
	r.index++
	r.m.Apply(Position{Index: r.index, Term: 1}, &entry.Batch{Version: entry.Version, ID: 1, Now: start, Proposals: []entry.Proposal{{Commands: writes("GETEX k")}}}, nil)
	if s := r.m.Stats(); s.Hits != 1 {
		t.Error("a replica counts what another node was asked")
	}
}

// What PFCOUNT once computed must not outlive the value, nor the keyspace: another one
// gives out the same versions.
func TestPFCountRemembersOfOneValue(t *testing.T) {
	r, other := newRig(t), newRig(t)
	other.do("PFADD k a b c d e")
	r.do("PFADD k a b")
	count := func(want string) {
		t.Helper()
		for range 2 {
			if got, err := r.read(0, "PFCOUNT k"); got != want || err != nil {
				t.Errorf("PFCOUNT k = %s, %v, want %s", got, err, want)
			}
		}
	}
	count(":2")
	r.do("PFADD k c")
	count(":3")
	r.do("SET k x")
	if got, _ := r.read(0, "PFCOUNT k"); !strings.HasPrefix(got, "-WRONGTYPE") {
		t.Errorf("PFCOUNT of a string: %s", got)
	}
	r = newRig(t)
	r.do("PFADD k a b")
	count(":2")
	if err := r.m.Restore(bytes.NewReader(stream(t, other.m))); err != nil {
		t.Fatal(err)
	}
	count(":5")
}

// What PFCOUNT computed must not keep a keyspace that was replaced: a follower that gets
// a snapshot would have both in memory until somebody counts again.
func TestPFCountKeepsNoKeyspace(t *testing.T) {
	r := newRig(t)
	r.do("PFADD k a b")
	replaced := map[string]func() error{
		"Restore": func() error { return r.m.Restore(bytes.NewReader(stream(t, r.m))) },
		"Become":  func() error { r.m.Become(r.copy()); return nil },
		"Refound": func() error { return r.m.Refound("another", nil) },
	}
	for name, replace := range replaced {
		if got, err := r.read(r.now, "PFCOUNT k"); got != ":2" || err != nil {
			t.Fatalf("PFCOUNT k = %s, %v", got, err)
		}
		old := weak.Make(r.m.keys)
		if err := replace(); err != nil {
			t.Fatal(name, err)
		}
		runtime.GC()
		runtime.GC() // what rested in a sync.Pool goes with the second
		if old.Value() != nil {
			t.Errorf("%s: the old keyspace is still there", name)
		}
	}
	runtime.KeepAlive(r)
}
