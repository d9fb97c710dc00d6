package spec

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func split(line string) [][]byte { return bytes.Fields([]byte(line)) }

// The answers are what COMMAND GETKEYS of redis-server 7.0.15 replies; "!" is
// "Invalid arguments specified for command".
func TestKeys(t *testing.T) {
	keynum := func(index int, f KeyFlags) []KeySpec {
		return []KeySpec{{Index: index, Flags: f, KeyCount: true, FirstKey: 1, Step: 1}}
	}
	get := &Command{Name: "GET", Keys: OneKey(RO | Access)}
	mset := &Command{Name: "MSET", Keys: []KeySpec{{Index: 1, Last: -1, Step: 2, Flags: OW | Update}}}
	rename := &Command{Name: "RENAME", Keys: []KeySpec{KeyAt(1, RW|Access|Delete), KeyAt(2, OW|Update)}}
	eval := &Command{Name: "EVAL", Keys: keynum(2, RW), Flags: NoMandatoryKeys}
	zunion := &Command{Name: "ZUNION", Keys: keynum(1, RO)}
	store := &Command{Name: "ZUNIONSTORE", Keys: append([]KeySpec{KeyAt(1, OW)}, keynum(2, RO)...)}
	blpop := &Command{Name: "BLPOP", Keys: []KeySpec{{Index: 1, Last: -2, Step: 1}}}
	xread := &Command{Name: "XREAD", Keys: []KeySpec{{Keyword: "STREAMS", StartFrom: 1, Last: -1, Step: 1, Limit: 2}}}
	migrate := &Command{Name: "MIGRATE", Keys: []KeySpec{KeyAt(3, RW), {Keyword: "KEYS", StartFrom: -2, Last: -1, Step: 1}}}
	sub := &Command{Container: "OBJECT", Name: "ENCODING", Keys: []KeySpec{KeyAt(2, RO)}}
	publish := &Command{Name: "SPUBLISH", Keys: []KeySpec{KeyAt(1, NotKey)}}
	found := &Command{
		Name: "FOUND", Keys: []KeySpec{KeyAt(1, RO), {Unknown: true}},
		CallKeys: func([][]byte) []KeyPos { return []KeyPos{{Pos: 1}, {Pos: 3}} },
	}
	sort := &Command{Name: "SORT", Keys: []KeySpec{KeyAt(1, RO), {Unknown: true, Flags: Incomplete}}}
	tests := []struct {
		command    *Command
		line, want string
	}{
		{get, "GET a", "a"},
		{get, "GET", "!"},
		{mset, "MSET a b c d", "a c"},
		{mset, "MSET a b c d e", "a c e"},
		{mset, "MSET", "!"},
		{rename, "RENAME a b", "a b"},
		{rename, "RENAME a", "!"},
		{eval, "EVAL x 0", ""},
		{eval, "EVAL x 2 a b c", "a b"},
		{eval, "EVAL x 5 a", ""},
		{eval, "EVAL x y a", ""},
		{zunion, "ZUNION 2 a b WEIGHTS 1 2", "a b"},
		{zunion, "ZUNION 0 a b", "!"},
		{zunion, "ZUNION 3 a b", "!"},
		{zunion, "ZUNION -1 a b", "!"},
		{zunion, "ZUNION 99999999999999999999 a b", "!"},
		{zunion, "ZUNION", "!"},
		{store, "ZUNIONSTORE d 2 a b", "d a b"},
		{store, "ZUNIONSTORE d 3 a b", "!"},
		{blpop, "BLPOP a b 0", "a b"},
		{blpop, "BLPOP a", "!"},
		{xread, "XREAD COUNT 5 streams a b 0 0", "a b"},
		{xread, "XREAD COUNT 5 a b", "!"},
		{xread, "XREAD STREAMS\x00x a streams 0 0", "a streams"},
		{migrate, "MIGRATE h 1 k 0 9 COPY KEYS a b", "k a b"},
		{migrate, "MIGRATE h 1 k 0 9 COPY", "k"},
		{sub, "OBJECT ENCODING a", "a"},
		{publish, "SPUBLISH c m", ""},
		{sort, "SORT a STORE b", "!"},
		{found, "FOUND a x b", "a b"},
	}
	for _, tt := range tests {
		args := split(tt.line)
		got := "!"
		if keys, ok := Keys(nil, tt.command, args); ok {
			var words []string
			for _, k := range keys {
				words = append(words, string(args[k.Pos]))
			}
			got = strings.Join(words, " ")
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestKeysFlags(t *testing.T) {
	set := &Command{
		Name: "SET", Keys: []KeySpec{KeyAt(1, RW|Access|Update|VariableFlags)},
		CallFlags: func(args [][]byte) KeyFlags {
			if slices.ContainsFunc(args[3:], func(a []byte) bool { return string(a) == "GET" }) {
				return RW | Access | Update
			}
			return OW | Update
		},
	}
	for line, want := range map[string]string{"SET a b": "OW update", "SET a b GET": "RW access update"} {
		keys, ok := Keys(nil, set, split(line))
		if !ok || len(keys) != 1 || strings.Join(keys[0].Flags.Names(), " ") != want {
			t.Errorf("%s: got %+v, %v, want %s", line, keys, ok, want)
		}
	}
}

func TestFirstKey(t *testing.T) {
	zunion := &Command{Name: "ZUNION", Keys: []KeySpec{{Index: 1, KeyCount: true, FirstKey: 1}}}
	channel := &Command{Name: "SPUBLISH", Keys: []KeySpec{KeyAt(1, NotKey)}}
	tests := []struct {
		command    *Command
		line, want string
	}{
		{zunion, "ZUNION 2 a b", "a"}, {zunion, "ZUNION 0 a", ""}, {zunion, "ZUNION 9 a", ""}, {channel, "SPUBLISH a", ""}, {&Command{}, "PING a", ""},
	}
	for _, tt := range tests {
		if got, ok := FirstKey(tt.command, split(tt.line)); string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %v, want %q", tt.line, got, ok, tt.want)
		}
	}
	args, dst := split("ZUNION 2 a b"), make([]KeyPos, 0, 4)
	if n := testing.AllocsPerRun(100, func() { FirstKey(zunion, args); Keys(dst, zunion, args) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if zunion.HasKeys() != true || channel.HasKeys() != false {
		t.Error("HasKeys is wrong")
	}
}
