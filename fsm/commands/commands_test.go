package commands

import (
	"fmt"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
)

// TestTTLsFollowNow checks which of a view's two times each command goes by.
func TestTTLsFollowNow(t *testing.T) {
	o := newOurs(2)
	o.now = 1000
	o.do("SET", "k", "v", "PXAT", "10000")
	for _, tc := range []struct {
		logged, now int64
		want        map[string]string
	}{
		{1000, 1000, map[string]string{"PTTL": ":9000", "TTL": ":9", "PEXPIRETIME": ":10000", "EXISTS": ":1"}},
		{1000, 3600, map[string]string{"PTTL": ":6400", "TTL": ":6", "PEXPIRETIME": ":10000", "EXISTS": ":1"}},
		{9999, 99999, map[string]string{"PTTL": ":0", "TTL": ":0", "EXPIRETIME": ":10", "EXISTS": ":1"}},
		{10000, 10000, map[string]string{"PTTL": ":-2", "TTL": ":-2", "EXPIRETIME": ":-2", "EXISTS": ":0"}},
	} {
		for name, want := range tc.want {
			c, _ := o.table.Get([]byte(name))
			v := o.space.View(0, keyspace.Instant{Logged: tc.logged, Now: tc.now})
			var w resp.Writer
			if err := c.Read(v, Args{[]byte(name), []byte("k")}, &w); err != nil || string(w.Bytes()) != want+"\r\n" {
				t.Errorf("%s at %d, %d: %q, %v; want %s", name, tc.logged, tc.now, w.Bytes(), err, want)
			}
			if wantTick := tc.logged < 10000 && tc.now >= 10000; v.TickNeeded() != wantTick {
				t.Errorf("%s at %d, %d: TickNeeded = %v", name, tc.logged, tc.now, v.TickNeeded())
			}
		}
	}
}

// TestEncodingIgnoresHistory checks that equal content has one encoding, however
// it came about.
func TestEncodingIgnoresHistory(t *testing.T) {
	o := newOurs(2)
	for _, tc := range []struct {
		setup []string
		want  string
	}{
		{[]string{"SET k 12"}, "int"},
		{[]string{"SET k 1", "APPEND k 2"}, "int"},
		{[]string{"SET k abc", "SETRANGE k 1 x"}, "embstr"},
		{[]string{"INCRBYFLOAT k 2.0"}, "int"},
		{[]string{"INCRBYFLOAT k 2.5"}, "embstr"},
		{[]string{"SET k " + strings.Repeat("x", 45)}, "raw"},
		{[]string{"SET k " + strings.Repeat("x", 100000)}, "raw"},
	} {
		o.do("DEL", "k")
		for _, line := range tc.setup {
			o.do(strings.Fields(line)...)
		}
		want := fmt.Sprintf("$%d\r\n%s\r\n", len(tc.want), tc.want)
		if got := o.do("OBJECT", "ENCODING", "k"); string(got) != want {
			t.Errorf("%.50q: %q, want %q", tc.setup, got, tc.want)
		}
	}
}

func TestHelpListsWhatThereIs(t *testing.T) {
	o := newOurs(2)
	for container, words := range map[string][]string{
		"OBJECT": {"ENCODING <key>", "FREQ <key>", "IDLETIME <key>", "REFCOUNT <key>", "HELP"},
		"MEMORY": {"USAGE <key> [SAMPLES <count>]", "HELP"},
	} {
		got := string(o.do(container, "HELP"))
		for _, word := range words {
			if !strings.Contains(got, "+"+word+"\r\n") {
				t.Errorf("%s HELP lacks %q: %q", container, word, got)
			}
		}
	}
}

// TestScanWalksEverything goes through SCAN as a client does.
func TestScanWalksEverything(t *testing.T) {
	o := newOurs(2)
	for i := range 1000 {
		o.do("SET", fmt.Sprintf("key:%d", i), "v")
	}
	for _, tc := range []struct {
		options []string
		want    int
	}{
		{nil, 1000},
		{[]string{"COUNT", "1"}, 1000},
		{[]string{"COUNT", "100000"}, 1000},
		{[]string{"MATCH", "key:1*"}, 111},
		{[]string{"TYPE", "String", "MATCH", "*9"}, 100},
		{[]string{"TYPE", "hash"}, 0},
	} {
		seen := map[string]bool{}
		for cursor := "0"; ; {
			reply, _ := parseReply(t, o.do(append([]string{"SCAN", cursor}, tc.options...)...))
			cursor = reply.([]any)[0].(string)
			for _, key := range reply.([]any)[1].([]any) {
				if seen[key.(string)] {
					t.Errorf("%v: %s twice", tc.options, key)
				}
				seen[key.(string)] = true
			}
			if cursor == "0" {
				break
			}
		}
		if len(seen) != tc.want {
			t.Errorf("SCAN %v saw %d keys, want %d", tc.options, len(seen), tc.want)
		}
	}
}

func TestRandomKeyComesFromTheSeed(t *testing.T) {
	o := newOurs(2)
	for i := range 100 {
		o.do("SET", fmt.Sprint(i), "v")
	}
	c, _ := o.table.Get([]byte("randomkey"))
	pick := func(seed uint64) string {
		v := o.space.View(0, keyspace.Instant{Logged: o.now, Now: o.now})
		v.Seed = seed
		var w resp.Writer
		_ = c.Read(v, Args{[]byte("RANDOMKEY")}, &w)
		return string(w.Bytes())
	}
	different := map[string]bool{}
	for seed := range uint64(200) {
		key := pick(seed)
		if again := pick(seed); again != key {
			t.Fatalf("one seed, two keys: %q and %q", key, again)
		}
		different[key] = true
	}
	if len(different) < 50 {
		t.Errorf("200 seeds gave %d keys of 100", len(different))
	}
}

// TestNilWriter runs every write without a Writer, as followers do, and compares
// the state with that of a run with one.
func TestNilWriter(t *testing.T) {
	with, without := newOurs(3), newOurs(3)
	without.now, without.w = with.now, nil
	script := `SET k v EX 100|APPEND k w|SETRANGE k 5 x|GETSET k 1|INCR k|INCRBYFLOAT k 1.5|DECRBY k x
MSET a 1 b 2|MSETNX a 1 c 2|GETDEL a|GETEX b EX 10|SETNX d 4|PSETEX e 100 v|SETEX f 100 v
DEL b|COPY d g|MOVE d 1|RENAME e h|EXPIRE f 5|PERSIST f|SWAPDB 0 1|FLUSHDB|SET z 1|DECR z|OBJECT HELP
ZADD s 1 a 2 b 3 c|ZADD s INCR 1 a|ZINCRBY s 1 a|ZUNIONSTORE u 2 s s WEIGHTS 2 3|ZINTERSTORE i 2 s u|ZDIFFSTORE f 2 s i|ZRANGESTORE r s 0 -1
ZPOPMIN s|ZPOPMAX u 2|ZMPOP 1 r MAX|BZPOPMIN r 0|BZMPOP 0 1 i MIN|BZPOPMAX none 0|ZREMRANGEBYRANK i 0 0|ZREM s b
GEOADD g 13 38 a 15 37 b|GEORADIUS g 15 37 200 km STORE h|GEORADIUS g 15 37 200 km|GEOSEARCHSTORE j g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST`
	for _, line := range strings.FieldsFunc(script, func(r rune) bool { return r == '|' || r == '\n' }) {
		with.do(strings.Fields(line)...)
		without.do(strings.Fields(line)...)
	}
	dump := func(o *ours) string {
		var b strings.Builder
		snap := o.space.Snapshot()
		for _, db := range snap.Databases() {
			_ = snap.Each(db, func(it keyspace.Item) error {
				fmt.Fprintf(&b, "%d %q %q %d %d\n", db, it.Key, it.Value, it.ExpireAt, it.Version)
				if it.Members != nil {
					_ = it.Members.Parts(func(part []byte) error {
						fmt.Fprintf(&b, "%x\n", part)
						return nil
					})
				}
				return nil
			})
		}
		return b.String()
	}
	if a, b := dump(with), dump(without); a != b {
		t.Errorf("with a Writer:\n%s\nwithout:\n%s", a, b)
	}
}
