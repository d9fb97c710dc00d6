package commands

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
)

// hashScript is a session of special states and unlikely arguments; replies must be
// Redis's byte by byte.
const hashScript = `
HSET h a 1
HSET h a 2 b 3 a 4
HSET h a
HSET h a 1 b
HSET h
HMSET h a 1 b
HMSET h a 5 c
HMSET h a 5 c 6
HGETALL h
HKEYS h
HVALS h
HLEN h
HGET h a
HGET h none
HGET none a
HGET h
HMGET h a none c
HMGET none a b
HMGET h
HEXISTS h a
HEXISTS h none
HEXISTS none a
HSTRLEN h a
HSTRLEN h none
HSTRLEN none a
HSETNX h a 9
HSETNX h d 9
HSETNX fresh d 9
HGETALL fresh
HGETALL none
HKEYS none
HVALS none
HLEN none
HDEL h none
HDEL h d d none
HDEL none a
HDEL fresh d
EXISTS fresh
TYPE h
OBJECT ENCODING h
HINCRBY h n 5
HINCRBY h n -7
HINCRBY h n 9223372036854775807
HINCRBY h n 1
HINCRBY h n 9223372036854775807
HINCRBY h n abc
HINCRBY h n 9223372036854775808
HINCRBY h n 1.5
HSET h s abc e  p +1 z 01 m -0
HINCRBY h s 1
HINCRBY h e 1
HINCRBY h p 1
HINCRBY h z 1
HINCRBY h m 1
HINCRBY new n abc
EXISTS new
HINCRBYFLOAT new n abc
EXISTS new
HINCRBYFLOAT h f 1.5
HINCRBYFLOAT h f -1.25
HINCRBYFLOAT h f 1e3
HINCRBYFLOAT h f inf
HINCRBYFLOAT h f -inf
HINCRBYFLOAT h f nan
HINCRBYFLOAT h f 1e5000
HINCRBYFLOAT h f 
HINCRBYFLOAT h s 1
HINCRBYFLOAT h e 1
HINCRBYFLOAT h p 1
HINCRBYFLOAT h z 1
HINCRBYFLOAT h m 0
HSET h f inf
HINCRBYFLOAT h f 1
HSET h f 1e4932
HINCRBYFLOAT h f 1e4932
HINCRBYFLOAT h x 3.0e3
HSET h x 5.0e3
HINCRBYFLOAT h x 2.0e2
OBJECT ENCODING h
SET str v
HSET str a 1
HSET str a
HMSET str a 1
HSETNX str a 1
HGET str a
HMGET str a b
HGETALL str
HKEYS str
HVALS str
HLEN str
HEXISTS str a
HSTRLEN str a
HDEL str a
HINCRBY str a 1
HINCRBY str a x
HINCRBYFLOAT str a 1
HINCRBYFLOAT str a x
HINCRBYFLOAT str a inf
HRANDFIELD str
HRANDFIELD str 1
HRANDFIELD str 0
HRANDFIELD str x
HRANDFIELD str 1 FOO
HSCAN str 0
HSCAN str x
HSCAN str 0 FOO
GET h
HRANDFIELD none
HRANDFIELD none 1
HRANDFIELD none -1
HRANDFIELD none 1 WITHVALUES
HRANDFIELD none 1 FOO
HRANDFIELD none x
HRANDFIELD none -9223372036854775808
DEL h
HSET h a 1
HRANDFIELD h
HRANDFIELD h 0
HRANDFIELD h 0 WITHVALUES
HRANDFIELD h 1
HRANDFIELD h 1 WITHVALUES
HRANDFIELD h 1 withvalues
HRANDFIELD h 5
HRANDFIELD h 5 WITHVALUES
HRANDFIELD h -3
HRANDFIELD h -3 WITHVALUES
HRANDFIELD h 1 FOO
HRANDFIELD h 1 WITHVALUES FOO
HRANDFIELD h 9223372036854775807
HRANDFIELD h 9223372036854775808
HRANDFIELD h -9223372036854775808
HRANDFIELD h 9223372036854775807 WITHVALUES
HRANDFIELD h 4611686018427387903 WITHVALUES
HRANDFIELD h 4611686018427387904 WITHVALUES
HRANDFIELD h -4611686018427387904 WITHVALUES
HRANDFIELD h 9223372036854775807 FOO
HSET h b 2 c 3
HRANDFIELD h 3
HRANDFIELD h 3 WITHVALUES
HSCAN h 0
HSCAN h 0 COUNT 1
HSCAN h 17 COUNT 1
HSCAN h 0 MATCH [ab]
HSCAN h 0 MATCH *
HSCAN h 0 MATCH none COUNT 100
HSCAN h 0 COUNT 0
HSCAN h 0 COUNT -1
HSCAN h 0 COUNT x
HSCAN h 0 COUNT
HSCAN h 0 MATCH
HSCAN h 0 TYPE hash
HSCAN h 0 TYPE hash COUNT x
HSCAN h 0 COUNT x TYPE hash
HSCAN h 0 NOVALUES
HSCAN h x
HSCAN h -1
HSCAN h
HSCAN none 0
HSCAN none 0 FOO
HSCAN none 0 COUNT 0
HSCAN none x
EXPIRE h 100
HSET h a 2
TTL h
HDEL h a b c
TTL h
COPY str h
HSET h a 1
DEL h
HSET h a 1
COPY h copy
HSET h b 2
HGETALL copy
RENAME copy h
HGETALL h
HSET long 0123456789012345678901234567890123456789012345678901234567890123 v
OBJECT ENCODING long
HSETNX long 0123456789012345678901234567890123456789012345678901234567890123 01234567890123456789012345678901234567890123456789012345678901234
OBJECT ENCODING long
HSET long 0123456789012345678901234567890123456789012345678901234567890123 01234567890123456789012345678901234567890123456789012345678901234
OBJECT ENCODING long
HDEL long 0123456789012345678901234567890123456789012345678901234567890123
EXISTS long
HSET  a 1
HGETALL 
HSET h  empty
HGETALL h
`

// TestSameAsRedisHashesDirected replays hashScript.
func TestSameAsRedisHashesDirected(t *testing.T) {
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		for _, line := range strings.Split(strings.TrimPrefix(strings.TrimSuffix(hashScript, "\n"), "\n"), "\n") {
			args := strings.Split(line, " ")
			if got, want := our.do(args...), real.do(args...); !bytes.Equal(got, want) {
				t.Errorf("%s\n got %q\nwant %q", line, got, want)
			}
		}
	})
}

// hashCommand makes a command for hashes, some of which become large ones.
func (g generator) hashCommand() []string {
	key := g.pick("h1", "h2", "h3", "large")
	field := func() string { return "f" + strconv.Itoa(g.IntN(12)) }
	if key == "large" {
		field = func() string { return "field:" + strconv.Itoa(g.IntN(2000)) }
	}
	value := func() string {
		switch g.IntN(30) {
		case 0:
			return strings.Repeat("v", 60+g.IntN(8))
		case 1:
			return strings.Repeat("v", g.IntN(20_000))
		}
		return g.pick(g.integer(), "1.5", "", "text")
	}
	several := func(args ...string) []string {
		for range 1 + g.IntN(4) {
			args = append(args, field())
		}
		return args
	}
	switch g.IntN(24) {
	case 0, 1, 2, 3:
		args := []string{g.pick("HSET", "HMSET"), key}
		for range 1 + g.IntN(40) {
			args = append(args, field(), value())
		}
		return args[:len(args)-g.IntN(20)/19]
	case 4, 5:
		return several("HDEL", key)
	case 6:
		return several("HMGET", key)
	case 7:
		return []string{g.pick("HGET", "HEXISTS", "HSTRLEN"), key, field()}
	case 8:
		return []string{g.pick("HGETALL", "HKEYS", "HVALS", "HLEN", "TYPE"), key}
	case 9, 10:
		return []string{"HSETNX", key, field(), value()}
	case 11, 12:
		return []string{"HINCRBY", key, field(), g.integer()}
	case 13:
		return []string{"HINCRBYFLOAT", key, field(), g.pick("1.5", "-0.1", "1e3", "abc", g.integer(), "1e60")}
	case 14:
		return []string{"HRANDFIELD", key, g.pick("100000", "5", "-5", "0", "1", g.integer())}
	case 15:
		return []string{"HRANDFIELD", key, g.pick("100000", "5", "-5", "0", "1", g.integer()), g.pick("WITHVALUES", "withvalues", "FOO")}
	case 16:
		return g.with([]string{"HSCAN", key, g.pick("0", "0", "x", "-1"), "COUNT", "100000"}, "MATCH", "*1", "FOO", "COUNT", "99999")
	case 17:
		return []string{"OBJECT", "ENCODING", key}
	case 18:
		return []string{g.pick("RENAME", "COPY"), key, g.pick("h1", "h2", "h3")}
	case 19:
		return []string{"COPY", key, g.pick("h1", "h2", "h3"), "REPLACE"}
	case 20:
		if g.IntN(10) == 0 {
			return []string{"DEL", key}
		}
		return []string{"HRANDFIELD", key}
	case 21:
		if g.IntN(10) == 0 {
			return []string{"SET", key, "v"}
		}
	}
	return []string{"HLEN", key}
}

// compareHashes is compareReplies for hashes, of which a large one has another order.
func compareHashes(args []string, got, want []byte) bool {
	if bytes.Equal(got, want) {
		return true
	}
	switch args[0] {
	case "HGETALL", "HKEYS", "HVALS":
		return slices.Equal(sortedLines(got), sortedLines(want))
	case "HSCAN":
		// A Redis that makes its table larger shows parts of it twice; ours goes on.
		return got[0] == '*' && want[0] == '*'
	case "HRANDFIELD":
		if len(args) > 2 && args[2] == "100000" {
			return slices.Equal(sortedLines(got), sortedLines(want))
		}
		return got[0] == want[0] && bytes.Count(got, []byte("\r\n$")) == bytes.Count(want, []byte("\r\n$"))
	}
	return false
}

// TestSameAsRedisHashesRandom runs random sequences.
func TestSameAsRedisHashesRandom(t *testing.T) {
	steps := 20000
	if testing.Short() {
		steps = 3000
	}
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		g := generator{rand.New(rand.NewPCG(uint64(our.w.Proto()), 17))}
		both := func(args ...string) {
			t.Helper()
			our.now = time.Now().UnixMilli()
			if got, want := our.do(args...), real.do(args...); !compareHashes(args, got, want) {
				t.Fatalf("%.200q\n got %.300q\nwant %.300q", args, got, want)
			}
		}
		large := 0
		for step := range steps {
			both(g.hashCommand()...)
			if step%100 == 0 {
				for _, key := range []string{"h1", "h2", "h3", "large"} {
					both("OBJECT", "ENCODING", key)
					both("HGETALL", key)
					if bytes.Contains(our.do("OBJECT", "ENCODING", key), []byte("hashtable")) {
						large++
					}
				}
			}
			if step%300 == 0 {
				our.space.Snapshot() // from here on values in place are shared
			}
		}
		if large < 10 {
			t.Errorf("%d large hashes only", large)
		}
	})
}

// TestHScanWalksEverything goes through HSCAN as a client does.
func TestHScanWalksEverything(t *testing.T) {
	o := newOurs(2)
	for i := range 3000 {
		o.do("HSET", "h", fmt.Sprintf("field:%d", i), strconv.Itoa(i))
	}
	for i := range 1000 { // these move to another table
		o.do("HEXPIRE", "h", "100", "FIELDS", "1", fmt.Sprintf("field:%d", i*3))
	}
	for _, tc := range []struct {
		options []string
		want    int
	}{
		{nil, 3000},
		{[]string{"COUNT", "1"}, 3000},
		{[]string{"COUNT", "100000"}, 3000},
		{[]string{"MATCH", "field:1*"}, 1111},
	} {
		seen, calls := map[string]bool{}, 0
		for cursor := "0"; ; calls++ {
			reply, _ := parseReply(t, o.do(append([]string{"HSCAN", "h", cursor}, tc.options...)...))
			cursor = reply.([]any)[0].(string)
			pairs := reply.([]any)[1].([]any)
			for i := 0; i < len(pairs); i += 2 {
				name := pairs[i].(string)
				if seen[name] || name != "field:"+pairs[i+1].(string) {
					t.Errorf("%v: %s = %s, seen before: %v", tc.options, name, pairs[i+1], seen[name])
				}
				seen[name] = true
			}
			if cursor == "0" {
				break
			}
		}
		if len(seen) != tc.want || len(tc.options) > 0 && tc.options[0] == "MATCH" && calls < 100 {
			t.Errorf("HSCAN %v saw %d fields in %d calls, want %d", tc.options, len(seen), calls, tc.want)
		}
	}
}

// TestHRandFieldIsEven counts how often each field is picked: of a small hash and of a
// large one, with expiry times, and in each form of the command.
func TestHRandFieldIsEven(t *testing.T) {
	for _, large := range []bool{false, true} {
		o := newOurs(2)
		const fields = 30
		for i := range fields {
			o.do("HSET", "h", strconv.Itoa(i), "v", "gone"+strconv.Itoa(i), "v")
			o.do("HPEXPIRE", "h", "10", "FIELDS", "1", "gone"+strconv.Itoa(i))
			if i%2 == 0 {
				o.do("HEXPIRE", "h", strconv.Itoa(100+i), "FIELDS", "1", strconv.Itoa(i))
			}
		}
		if large {
			o.do("HSET", "h", "x", strings.Repeat("v", 65))
			o.do("HDEL", "h", "x")
		}
		o.now += 10
		for _, count := range []string{"", "1", "7", "20", "-7"} {
			seen, all := map[string]int{}, 0
			for range 3000 {
				args := []string{"HRANDFIELD", "h", count}
				if count == "" {
					args = args[:2]
				}
				reply, _ := parseReply(t, o.do(args...))
				list, ok := reply.([]any)
				if !ok {
					list = []any{reply}
				}
				once := map[any]bool{}
				for _, name := range list {
					if once[name] && count != "-7" {
						t.Fatalf("%s came twice", name)
					}
					once[name] = true
					seen[name.(string)]++
					all++
				}
			}
			for name, n := range seen {
				if n < all/fields*6/10 || n > all/fields*14/10 {
					t.Errorf("large %v, count %q: %q was picked %d times of %d among %d", large, count, name, n, all, fields)
				}
			}
			if len(seen) != fields {
				t.Errorf("large %v, count %q: %d fields were picked of %d", large, count, len(seen), fields)
			}
		}
	}
}

// TestRandomFieldsStop: a reply that could have any length ends.
func TestRandomFieldsStop(t *testing.T) {
	o := newOurs(2)
	o.do("HSET", "h", "f", strings.Repeat("v", 1000))
	v := o.space.View(0, keyspace.Instant{Logged: o.now, Now: o.now})
	h, err := keyspace.FindHash(v, []byte("h"))
	if err != nil {
		t.Fatal(err)
	}
	for count, want := range map[int64]error{-2: nil, -12: resp.ErrReplyTooLong, -1 << 62: resp.ErrReplyTooLong} {
		var w resp.Writer
		if got := randomFields(v, h, count, fieldWriter{&w, true, 10_000}); got != want || w.Mark() > 20_000 {
			t.Errorf("%d: %v, %d bytes", count, got, w.Mark())
		}
	}
	if err := randomFields(v, h, -5, fieldWriter{nil, true, 10_000}); err != nil {
		t.Error(err)
	}
}
