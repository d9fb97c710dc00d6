package fsm

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/resp/spec"
)

// TestGrowthIsABound runs generated writes one by one: none may add more to the
// keyspace than was foretold, and only those flagged DenyOOM may add more than a
// key's stamps; but SMOVE, which Redis does not flag either, may make a small set, and
// so may what makes entries pending, or a consumer.
func TestGrowthIsABound(t *testing.T) {
	const few = 64 // an expiry time, which EXPIRE adds, and its place in the index
	g, m := newGenerator(8), New()
	grown := map[string]bool{}
	for i := range 100_000 {
		cmd := g.command()
		decl, err := m.Lookup(cmd.Args)
		if err != nil || cmd.Read {
			continue
		}
		most, before := m.Growth(0, cmd.Args), m.Stats().Bytes
		b := &entry.Batch{Version: entry.Version, ID: g.Uint64(), Now: start, Proposals: []entry.Proposal{{Commands: []entry.Command{cmd}}}}
		m.Apply(Position{uint64(i + 1), 1}, b, nil)
		got := m.Stats().Bytes - before
		if got != m.Bytes()-before {
			t.Fatalf("%.80q: Bytes says %d, Stats %d", bytes.Join(cmd.Args, []byte(" ")), m.Bytes(), m.Stats().Bytes)
		}
		if got > most {
			t.Errorf("%.80q added %d bytes, %d were foretold", bytes.Join(cmd.Args, []byte(" ")), got, most)
		}
		if got > few && decl.Flags&spec.DenyOOM == 0 && decl.Name != "SMOVE" && !makesPending(decl.Name) {
			t.Errorf("%.80q added %d bytes and is not flagged DenyOOM", bytes.Join(cmd.Args, []byte(" ")), got)
		}
		grown[decl.Name] = grown[decl.Name] || got > few
	}
	for _, name := range []string{
		"COPY", "SETRANGE", "APPEND", "MSET", "SET", "HSET", "HSETNX", "HINCRBY", "HINCRBYFLOAT", "HEXPIRE", "HPEXPIREAT",
		"SADD", "SUNIONSTORE", "SDIFFSTORE", "SETBIT", "BITFIELD", "BITOP", "PFADD", "PFMERGE",
		"LPUSH", "RPUSHX", "LSET", "LINSERT", "LMOVE", "SORT",
		"ZADD", "ZINCRBY", "ZUNIONSTORE", "ZRANGESTORE", "ZINTERSTORE", "ZDIFFSTORE", "GEOADD", "GEOSEARCHSTORE", "GEORADIUS",
		"XADD", "CREATE", "CREATECONSUMER", "XREADGROUP", "RESTORE", "RESTORE-ASKING",
	} {
		if !grown[name] {
			t.Errorf("%s never added anything: the test shows nothing", name)
		}
	}
}

func makesPending(name string) bool {
	return name == "XREADGROUP" || name == "XCLAIM" || name == "XAUTOCLAIM"
}

// What cannot be seen in the arguments: the gap before an offset, the size of a
// copy's source, the digits of a sum.
func TestGrowthBeyondArguments(t *testing.T) {
	for _, tt := range []struct {
		name        string
		before, cmd []string
		least       int64
	}{
		{"a gap", nil, []string{"SETRANGE", "k", "536870000", "x"}, 536870000},
		{"a short gap", nil, []string{"SETRANGE", "k", "100", "x"}, 100},
		{"the longest gap in an entry", nil, []string{"SETRANGE", "k", "4090", "x"}, 4090},
		{"a gap of bits", nil, []string{"SETBIT", "k", "32700", "1"}, 4080},
		{"a long gap of bits", nil, []string{"SETBIT", "k", "4294967295", "1"}, 512 << 20},
		{"a gap before a field", nil, []string{"BITFIELD", "k", "SET", "u8", "#1000000", "1"}, 1_000_000},
		{"no gap before a field that is read", nil, []string{"BITFIELD", "k", "GET", "u8", "#1000000"}, 0},
		{"a long string", []string{"SETRANGE", "a", "10000000", "x"}, []string{"BITOP", "NOT", "b", "a"}, 10_000_000},
		{"a dense HyperLogLog", []string{"PFADD", "a", "x"}, []string{"PFDEBUG", "TODENSE", "a"}, 12_000},
		{"a sum of sets", integers("SADD", "a", 1000), []string{"SUNIONSTORE", "b", "a"}, 20_000},
		{"a difference of sets", integers("SADD", "a", 1000), []string{"SDIFFSTORE", "b", "a", "c"}, 20_000},
		{"an intersection of sets", integers("SADD", "a", 1000), []string{"SINTERSTORE", "b", "a", "a"}, 20_000},
		{"another form of a set", integers("SADD", "a", 512), []string{"SADD", "a", "x"}, 10_000},
		{"a copy", []string{"SETRANGE", "a", "10000000", "x"}, []string{"COPY", "a", "b"}, 10_000_000},
		{"a copy to another database", []string{"SETRANGE", "a", "10000000", "x"}, []string{"COPY", "a", "a", "DB", "3"}, 10_000_000},
		{"a sum", []string{"SET", "a", "1e4900"}, []string{"INCRBYFLOAT", "a", "1e-10"}, 4000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New()
			at := Position{0, 1}
			apply := func(words []string) {
				at.Index++
				var args [][]byte
				for _, word := range words {
					args = append(args, []byte(word))
				}
				m.Apply(at, &entry.Batch{Version: entry.Version, Now: start, Proposals: []entry.Proposal{{Commands: []entry.Command{{Args: args}}}}}, nil)
			}
			if tt.before != nil {
				apply(tt.before)
			}
			var args [][]byte
			for _, word := range tt.cmd {
				args = append(args, []byte(word))
			}
			before, most := m.Bytes(), m.Growth(0, args)
			apply(tt.cmd)
			got := m.Bytes() - before
			if got < tt.least || got > most || most > 2*got+10_000 {
				t.Errorf("%d bytes were added, at least %d expected, at most %d foretold", got, tt.least, most)
			}
		})
	}
}

// A string that is long enough already grows by nothing, however far behind its
// beginning a bit is set.
func TestNoGrowthWithin(t *testing.T) {
	m := New()
	m.Apply(Position{1, 1}, &entry.Batch{Version: entry.Version, Now: start, Proposals: []entry.Proposal{
		{Commands: []entry.Command{{Args: words("SETBIT k 80000000 1")}}},
	}}, nil)
	for _, line := range []string{"SETBIT k 80000000 1", "SETRANGE k 9999990 x", "BITFIELD k SET u8 79999990 1", "SETBIT k 80000015 1"} {
		if n := m.Growth(0, words(line)); n > 1000 {
			t.Errorf("%s: %d bytes foretold", line, n)
		}
	}
}

// integers are a command with n integers behind its key.
func integers(name, key string, n int) []string {
	list := []string{name, key}
	for i := range n {
		list = append(list, strconv.Itoa(i))
	}
	return list
}

// What XREADGROUP and XCLAIM make pending, and the names of consumers.
func TestGrowthOfPending(t *testing.T) {
	m := New()
	at := Position{0, 1}
	run := func(words ...string) (foretold, added int64) {
		at.Index++
		var args [][]byte
		for _, word := range words {
			args = append(args, []byte(word))
		}
		before, most := m.Bytes(), m.Growth(0, args)
		m.Apply(at, &entry.Batch{Version: entry.Version, Now: start, Proposals: []entry.Proposal{{Commands: []entry.Command{{Args: args}}}}}, nil)
		if got := m.Bytes() - before; got > most {
			t.Errorf("%.80q added %d bytes, %d were foretold", words, got, most)
		}
		return most, m.Bytes() - before
	}
	claim := []string{"XCLAIM", "s", "h", strings.Repeat("name", 1000), "0"}
	for i := range 1000 {
		id := strconv.Itoa(i + 1)
		run("XADD", "s", id, "field", "value")
		claim = append(claim, id)
	}
	run("XGROUP", "CREATE", "s", "g", "0")
	run("XGROUP", "CREATE", "s", "h", "0")
	run("XGROUP", "CREATE", "s", "i", "0")
	for _, tt := range []struct {
		words []string
		least int64
	}{
		{[]string{"XREADGROUP", "GROUP", "g", "c", "COUNT", "100", "STREAMS", "s", ">"}, 5000},
		{[]string{"XREADGROUP", "GROUP", "g", strings.Repeat("name", 1000), "STREAMS", "s", ">"}, 50_000},
		{[]string{"XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "0"}, 0},
		{[]string{"XREADGROUP", "GROUP", "i", "c", "STREAMS", "s", "18446744073709551615-18446744073709551615"}, 50_000}, // as ">"
		{append(claim, "FORCE"), 50_000},
		{[]string{"XAUTOCLAIM", "s", "h", strings.Repeat("else", 1000), "0", "0"}, 8000},
	} {
		if foretold, added := run(tt.words...); added < tt.least || foretold > 3*added+10_000 {
			t.Errorf("%.60q: %d bytes were added, at least %d expected, %d foretold", tt.words, added, tt.least, foretold)
		}
	}
}
