package commands

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
)

// listDirected is a session for the list commands and SORT, as directedScript is.
const listDirected = `
LPUSH l a b c
RPUSH l d e f
LRANGE l 0 -1
LRANGE l -100 100
LRANGE l 2 1
LRANGE l 3 3
LRANGE l -2 -1
LRANGE l 6 10
LRANGE l a 1
LRANGE l 1 a
LRANGE none a 1
LRANGE none 0 -1
SET s x
LRANGE s a 1
LRANGE s 0 1
LINDEX l 0
LINDEX l -1
LINDEX l -6
LINDEX l -7
LINDEX l 6
LINDEX l abc
LINDEX none abc
LINDEX s abc
LINDEX l 9223372036854775808
LINDEX l -9223372036854775808
LLEN l
LLEN none
LLEN s
LPUSHX none a
RPUSHX none a b
LPUSHX s a
RPUSHX l g h
LPUSHX l z y
LPUSH s a
LPUSH l
LRANGE l 0 -1
LINSERT l BEFORE a 1
LINSERT l after a 2
LINSERT l after h 3
LINSERT l before y 4
LINSERT l foo a 1
LINSERT s foo a 1
LINSERT s before a 1
LINSERT none before a 1
LINSERT l before nowhere 1
LRANGE l 0 -1
LSET l 0 first
LSET l -1 last
LSET l 100 x
LSET l -100 x
LSET l abc x
LSET none abc x
LSET s abc x
LREM l 1 1
LREM l abc x
LREM s abc x
LREM s 0 x
LREM none 0 x
DEL r
RPUSH r a b a b a b a
LREM r 2 a
LRANGE r 0 -1
LREM r -1 b
LRANGE r 0 -1
LREM r -9223372036854775808 b
LREM r 0 a
EXISTS r
RPUSH r a b c d e f g
LTRIM r 1 -2
LRANGE r 0 -1
LTRIM r -3 100
LRANGE r 0 -1
LTRIM r a b
LTRIM s 0 0
LTRIM none 0 0
LTRIM r 5 1
EXISTS r
RPUSH r a b c
LTRIM r 10 20
EXISTS r
RPUSH r a b c d e f
LPOP r 0
LPOP r -1
LPOP r abc
LPOP r 1 2
LPOP s 0
LPOP s abc
LPOP none
LPOP none 0
LPOP none 1
RPOP none 5
LPOP r
RPOP r
LPOP r 2
RPOP r 9223372036854775807
EXISTS r
RPUSH r a b c
RPOP r 2
RPOP r 9223372036854775808
OBJECT ENCODING l
TYPE l
RPUSH q a b c 1 2 3 c c
LPOS q a
LPOS q c RANK 2
LPOS q c RANK -1
LPOS q c RANK -9223372036854775808
LPOS q c RANK -9223372036854775807
LPOS q c RANK 9223372036854775807
LPOS q c RANK 0
LPOS q c COUNT 2
LPOS q c COUNT 0
LPOS q c COUNT 0 RANK -2
LPOS q c RANK 5 COUNT 0
LPOS q c RANK 5
LPOS q c MAXLEN 2
LPOS q c MAXLEN 3 COUNT 5
LPOS q c COUNT 0 MAXLEN 1 RANK -1
LPOS q c COUNT -1
LPOS q c COUNT abc
LPOS q c MAXLEN -1
LPOS q c MAXLEN abc
LPOS q c RANK abc
LPOS q c RANK
LPOS q c FOO 1
LPOS q c rank 1 rank 2
LPOS none c
LPOS none c COUNT 0
LPOS none c RANK 0
LPOS s c
LPOS s c RANK 0
LMOVE q q LEFT RIGHT
LMOVE q q2 right left
LMOVE none q LEFT LEFT
LMOVE none s LEFT LEFT
LMOVE q s LEFT LEFT
LMOVE s q LEFT LEFT
LMOVE q q FOO LEFT
LMOVE s q LEFT FOO
LRANGE q 0 -1
RPOPLPUSH q q
RPOPLPUSH q q2
RPOPLPUSH none q
RPOPLPUSH s q
RPOPLPUSH q s
LRANGE q2 0 -1
RPUSH one 1
RPOPLPUSH one one
LMOVE one one LEFT LEFT
LMOVE one other LEFT LEFT
EXISTS one other
LMPOP 1 q LEFT
LMPOP 2 none q right COUNT 2
LMPOP 2 none none LEFT
LMPOP 2 none s LEFT
LMPOP 0 q LEFT
LMPOP -1 q LEFT
LMPOP abc q LEFT
LMPOP 2 q LEFT
LMPOP 3 q LEFT
LMPOP 9223372036854775807 q LEFT
LMPOP 9223372036854775808 q LEFT
LMPOP 1 q FOO
LMPOP 1 q LEFT COUNT
LMPOP 1 q LEFT COUNT 0
LMPOP 1 q LEFT COUNT abc
LMPOP 1 q LEFT COUNT 1 COUNT 1
LMPOP 1 q LEFT FOO 1
LMPOP 1 q LEFT COUNT 100
EXISTS q
RPUSH b 1 2 3 4 5 6 7 8 9 10 11 12 13 14
BLPOP none b 0
BRPOP b none 0.5
BLPOP s b 0
BLPOP b abc
BLPOP b -1
BLPOP b -0.0001
BLPOP b 1e400
BLPOP b inf
BLPOP b -inf
BLPOP b nan
BLPOP b 0x1p3
BLPOP b 9223372036854775807
BLPOP b 1e16
BLPOP b 9223372036854775
BLPOP b 9223372036854775.807
BLPOP b 9223372036854775.8
BLPOP s -1
BLPOP s abc
BLMOVE b c LEFT RIGHT 0
BLMOVE b c FOO RIGHT abc
BLMOVE b c LEFT RIGHT abc
BLMOVE b c LEFT RIGHT -1
BLMOVE s c LEFT RIGHT 0
BLMOVE b s LEFT RIGHT 0
BRPOPLPUSH b c abc
BRPOPLPUSH b c -1
BRPOPLPUSH b s 0
BRPOPLPUSH s b 0
BRPOPLPUSH b c 1
BLMPOP 0 1 b LEFT
BLMPOP 0 2 none b RIGHT COUNT 2
BLMPOP abc 0 b LEFT
BLMPOP -1 0 b LEFT
BLMPOP 0 0 b LEFT
BLMPOP 0 2 b LEFT
BLMPOP 0 1 b FOO
BLMPOP 0 1 b LEFT COUNT 0
BLMPOP 0 1 s LEFT
LRANGE b 0 -1
LRANGE c 0 -1
FLUSHALL
RPUSH n 3 10 2 -1 2.5 1e1
SORT n
SORT n DESC
SORT n DESC ASC
SORT n ALPHA
SORT n ALPHA DESC
SORT n LIMIT 1 2
SORT n LIMIT 1 -1
SORT n LIMIT -5 2
SORT n LIMIT 100 2
SORT n LIMIT 2 100
SORT n LIMIT 0 0
SORT n LIMIT 9223372036854775807 9223372036854775807
SORT n LIMIT -9223372036854775808 -9223372036854775808
SORT n LIMIT a 1
SORT n LIMIT 1 a
SORT n LIMIT 1
SORT n FOO
SORT n BY
SORT n GET
SORT n STORE
SORT n BY nosort
SORT n BY nosort DESC
SORT n BY nosort LIMIT 1 2
SORT n BY nosort DESC LIMIT 1 2
SORT n BY nosort DESC LIMIT 10 2
SORT n BY nosort GET #
SORT n BY w*
SET w3 1
SET w10 20
SET w2 -5.5
SORT n BY w*
SORT n BY w* DESC
SORT n BY w* GET # GET w*
SORT n BY w* GET # GET w* GET nostar LIMIT 1 2
SORT n BY w* ALPHA LIMIT 5 1
SORT n GET w* STORE dst
LRANGE dst 0 -1
SORT n LIMIT 100 1 STORE dst
EXISTS dst
SORT n STORE n
LRANGE n 0 -1
SORT none
SORT none STORE w2
EXISTS w2
SORT w3
SORT w3 FOO
SORT w3 STORE none
SET w2 abc
SORT n BY w*
SORT n BY w* STORE dst
SORT n BY w* ALPHA LIMIT 5 1
SET w2  
SORT n BY w*
HSET h3 f 5 g x
HSET h10 f 1 g y
SORT n BY h*->f LIMIT 4 2
SORT n BY h*->f GET h*->g GET #
SORT n BY h*->none GET h*->f
SORT n BY h* LIMIT 0 1
SORT n GET w*->f
SORT n GET h*
SORT n GET h*-> LIMIT 0 1
SORT n GET ->* LIMIT 0 1
SORT n GET *->* LIMIT 0 1
SORT n BY w* BY nosort
SORT n BY nosort BY w*
SORT n STORE a STORE dst2
EXISTS a dst2
SORT_RO n
SORT_RO n DESC LIMIT 0 2
SORT_RO n STORE x
SORT_RO n BY h*->f GET h*->g
SORT_RO w3
SORT_RO none
SORT
SORT_RO
RPUSH m a b
SORT m
SORT m ALPHA
SORT m GET # GET #
RPUSH bad 1 2x
SORT bad
SORT bad DESC STORE dst
RPUSH bad2 1 nan
SORT bad2
RPUSH inf inf -inf 0x10 12 +3 .5
SORT inf
EXPIRE dst 100
SORT n STORE dst
TTL dst
COPY n n3
SORT n3 DESC
RENAME n3 n4
LPUSH n4 100
LLEN n
DEL n4 n
`

func TestSameAsRedisLists(t *testing.T) {
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		for _, line := range strings.Split(strings.Trim(listDirected, "\n"), "\n") {
			args := strings.Split(line, " ")
			if got, want := our.do(args...), real.do(args...); !compareReplies(args, got, want) {
				t.Errorf("%s\n got %q\nwant %q", line, got, want)
			}
		}
	})
}

// TestListsWithoutWriter runs a session as followers do: what it leaves is the same.
func TestListsWithoutWriter(t *testing.T) {
	with, without := newOurs(2), newOurs(2)
	without.now, without.w = with.now, nil
	state := func(o *ours) string {
		var b strings.Builder
		snap := o.space.Snapshot()
		_ = snap.Each(0, func(it keyspace.Item) error {
			fmt.Fprintf(&b, "%q %q %d\n", it.Key, it.Value, it.ExpireAt)
			if it.Members != nil {
				_ = it.Members.Parts(func(part []byte) error {
					fmt.Fprintf(&b, "%q\n", part)
					return nil
				})
			}
			return nil
		})
		return b.String()
	}
	for _, line := range strings.Split(strings.Trim(listDirected, "\n"), "\n") {
		args := strings.Split(line, " ")
		with.do(args...)
		without.do(args...)
		if a, b := state(with), state(without); a != b {
			t.Fatalf("after %s\nwith a Writer:\n%s\nwithout:\n%s", line, a, b)
		}
	}
}

// What SORT looks up is bounded: a short command must not fill the memory.
func TestSortIsBounded(t *testing.T) {
	o := newOurs(2)
	o.do("SETRANGE", "w1", "100000000", "x")
	o.do("RPUSH", "l", "1", "1", "1", "1", "1", "1")
	for _, args := range [][]string{{"SORT", "l", "GET", "w*", "STORE", "dst"}, {"SORT_RO", "l", "GET", "w*"}} {
		if got := string(o.do(args...)); got != "-"+string(resp.ErrReplyTooLong)+"\r\n" {
			t.Errorf("%q: %.100q", args, got)
		}
	}
	if got := string(o.do("EXISTS", "dst")); got != ":0\r\n" {
		t.Errorf("something was stored")
	}
}

// Without anything to pop the blocking commands answer as in a transaction.
func TestSameAsRedisBlockingOnNothing(t *testing.T) {
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		for _, line := range []string{
			"BLPOP none 0", "BRPOP none none2 1", "BLMOVE none x LEFT LEFT 0", "BRPOPLPUSH none x 0", "BLMPOP 0 1 none LEFT",
		} {
			args := strings.Fields(line)
			real.do("MULTI")
			real.do(args...)
			want := bytes.TrimPrefix(real.do("EXEC"), []byte("*1\r\n"))
			if got := our.do(args...); !bytes.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", line, got, want)
			}
		}
	})
}

// listGenerator makes list commands on lists of all sizes.
type listGenerator struct{ generator }

func (g listGenerator) key() string {
	return g.pick("l1", "l2", "l3", "l4", "{a}5", "text")
}

func (g listGenerator) element() string {
	switch g.IntN(12) {
	case 0:
		return strings.Repeat(g.pick("p", "q"), 1+g.IntN(9000))
	case 1:
		return g.pick("", "\xff\xfe", "-0", "9223372036854775807", "long:"+strings.Repeat("x", 300))
	}
	return strconv.Itoa(g.IntN(30))
}

func (g listGenerator) index() string { return strconv.Itoa(g.IntN(400) - 200) }

func (g listGenerator) command() []string {
	k, k2 := g.key(), g.key()
	switch g.IntN(26) {
	case 0, 1, 2, 3, 4:
		args := []string{g.pick("LPUSH", "RPUSH", "LPUSHX", "RPUSHX"), k}
		for range 1 + g.IntN(40) {
			args = append(args, g.element())
		}
		return args
	case 5, 6:
		return []string{g.pick("LPOP", "RPOP"), k}
	case 7:
		return []string{g.pick("LPOP", "RPOP"), k, strconv.Itoa(g.IntN(12) - 1)}
	case 8:
		return []string{"LRANGE", k, g.index(), g.index()}
	case 9:
		return []string{"LINDEX", k, g.index()}
	case 10, 11:
		return []string{"LSET", k, g.index(), g.element()}
	case 12, 13:
		return []string{"LINSERT", k, g.pick("BEFORE", "AFTER"), g.element(), g.element()}
	case 14, 15:
		return []string{"LREM", k, strconv.Itoa(g.IntN(9) - 4), g.element()}
	case 16:
		if g.IntN(3) == 0 {
			return []string{"LTRIM", k, strconv.Itoa(g.IntN(20)), strconv.Itoa(-g.IntN(20))}
		}
		return []string{"LPOS", k, g.element(), "COUNT", strconv.Itoa(g.IntN(5)), "RANK", g.pick("1", "2", "-1", "-3")}
	case 17:
		return []string{"LPOS", k, g.element(), "MAXLEN", strconv.Itoa(g.IntN(100)), "RANK", g.pick("1", "-1", "-2")}
	case 18, 19:
		return []string{"LMOVE", k, k2, g.pick("LEFT", "RIGHT"), g.pick("LEFT", "RIGHT")}
	case 20:
		return []string{"RPOPLPUSH", k, k2}
	case 21:
		return []string{"LMPOP", "2", k, k2, g.pick("LEFT", "RIGHT"), "COUNT", strconv.Itoa(1 + g.IntN(5))}
	case 22:
		args := []string{"SORT", k, "ALPHA", g.pick("ASC", "DESC"), "LIMIT", strconv.Itoa(g.IntN(20) - 5), strconv.Itoa(g.IntN(50) - 5)}
		return g.with(args, "STORE", "l4", "GET", "#", "BY", "nosort")
	case 23:
		return []string{"COPY", k, k2, "REPLACE"}
	case 24:
		if g.IntN(10) == 0 {
			return []string{"DEL", k}
		}
		return []string{"LLEN", k}
	}
	return []string{"LRANGE", k, "0", "-1"}
}

// TestSameAsRedisRandomLists runs random sequences, with snapshots in between.
func TestSameAsRedisRandomLists(t *testing.T) {
	steps := 12000
	if testing.Short() {
		steps = 3000
	}
	for seed := range uint64(2) {
		real, our := startRedis(t), newOurs(2)
		g := listGenerator{generator{rand.New(rand.NewPCG(seed, 5))}}
		var last []string
		for step := range steps {
			args := g.command()
			last = append(last[max(0, len(last)-8):], fmt.Sprintf("%.80q", args))
			if got, want := our.do(args...), real.do(args...); !bytes.Equal(got, want) {
				t.Fatalf("step %d, after %s\n got %.300q\nwant %.300q", step, strings.Join(last, "\n"), got, want)
			}
			if step%300 == 0 {
				our.space.Snapshot() // from here on values in place are shared
			}
		}
	}
}

// TestSameAsRedisRandomSort sorts random numbers and texts by themselves and by others.
func TestSameAsRedisRandomSort(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	g := generator{rand.New(rand.NewPCG(3, 5))}
	check := func(args ...string) {
		t.Helper()
		if got, want := our.do(args...), real.do(args...); !bytes.Equal(got, want) {
			t.Fatalf("%q\n got %.300q\nwant %.300q", args, got, want)
		}
	}
	for range 200 {
		check("DEL", "l", "d")
		for i := range g.IntN(40) {
			member := g.pick(strconv.Itoa(i), strconv.Itoa(g.IntN(20)-10), fmt.Sprint(g.NormFloat64()))
			check("RPUSH", "l", member)
			check("SET", "w"+member, g.pick("5", strconv.Itoa(g.IntN(30)), fmt.Sprint(g.Float64())))
			check("HSET", "h"+member, "f", strconv.Itoa(g.IntN(10)), "g", g.pick("a", "b", "cc"))
		}
		for range 10 {
			args := []string{"SORT", "l"}
			for range g.IntN(4) {
				switch g.IntN(7) {
				case 0:
					args = append(args, "LIMIT", strconv.Itoa(g.IntN(12)-2), strconv.Itoa(g.IntN(30)-2))
				case 1:
					args = append(args, "BY", g.pick("w*", "h*->f", "none*", "nosort"))
				case 2, 3:
					args = append(args, "GET", g.pick("#", "w*", "h*->f", "h*->g", "none*", "nostar"))
				case 4:
					args = append(args, "DESC")
				case 5: // as a whole: what is equal keeps its order then, by glibc's qsort
					if !strings.Contains(strings.Join(args, " "), "LIMIT") {
						args = append(args, "ALPHA")
						check(append(args, "BY", "h*->g")...)
					}
				case 6:
					args = append(args, "STORE", "d")
				}
			}
			if s := strings.Join(args, " "); strings.Contains(s, "ALPHA") && strings.Contains(s, "BY") && strings.Contains(s, "LIMIT") {
				continue
			}
			check(args...)
			check("LRANGE", "d", "0", "-1")
		}
	}
}
