package commands

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
)

// zsetGenerator makes commands on sorted sets. Which key is which: z1 and z2 stay small
// and have all kinds of scores, big is large; lex and lexbig have one score each; d is
// where results go.
type zsetGenerator struct{ generator }

func (g zsetGenerator) zkey() string {
	if g.IntN(40) == 0 {
		return g.pick("none", "string")
	}
	return g.pick("z1", "z2", "z1", "z2", "big", "d", "lex", "lexbig")
}

func (g zsetGenerator) member() string {
	if g.IntN(30) == 0 {
		return g.pick("", "\x00", "\xff\xfe", "m\x001", "12", "-5")
	}
	return "m" + strconv.Itoa(g.IntN(40))
}

func (g zsetGenerator) score() string {
	switch g.IntN(10) {
	case 0:
		return g.pick("inf", "-inf", "+inf", "Infinity", "-0", "0", "1e308", "-1e308", "5e-324", "0.1", "3.0000000000000004")
	case 1:
		return g.pick("nan", "abc", "", " 1", "1 ", "0x10", "0x1.8p1", "1e", "1e400", "1e-400", "1_0", ".5", "5.", "+3", "--3", "1e5000")
	case 2:
		return strconv.FormatFloat(g.NormFloat64()*1000, 'g', -1, 64)
	}
	return strconv.Itoa(g.IntN(20) - 10)
}

func (g zsetGenerator) bound() string {
	if g.IntN(20) == 0 {
		return g.pick("", "(", "(abc", "((1", "[1", "1\x00x", "(-inf", "(inf", "nan", " 1", "( 1")
	}
	return g.pick("", "", "(") + g.score()
}

func (g zsetGenerator) lexBound() string {
	if g.IntN(20) == 0 {
		return g.pick("", "m1", "-x", "+x", "-\x00", "[", "(")
	}
	return g.pick("-", "+", "["+g.member(), "("+g.member(), "["+g.member(), "["+g.member())
}

func (g zsetGenerator) rank() string {
	if g.IntN(30) == 0 {
		return g.integer()
	}
	return strconv.Itoa(g.IntN(60) - 30)
}

// members are pairs for ZADD, of the score that the key has only.
func (g zsetGenerator) members(key string) (pairs []string) {
	for range 1 + g.IntN(4) {
		score := g.score()
		if strings.HasPrefix(key, "lex") {
			score = "7"
		}
		pairs = append(pairs, score, g.member())
	}
	return pairs
}

func (g zsetGenerator) maybe(args []string, option ...string) []string {
	if g.IntN(3) == 0 {
		return append(args, option...)
	}
	return args
}

// lexKey is one whose ranges by member are defined: of one score, or small.
func (g zsetGenerator) lexKey() string { return g.pick("z1", "z2", "lex", "lexbig", "none", "string") }

func (g zsetGenerator) limit(args []string) []string {
	return g.maybe(args, g.pick("LIMIT", "limit"), g.pick("0", "1", "5", g.rank()), g.pick("0", "1", "3", "-1", g.rank()))
}

// lexLimit is limit, of sets of one score alone: where scores differ Redis skips members
// that are outside of the range.
func (g zsetGenerator) lexLimit(args []string) []string {
	if strings.HasPrefix(args[1], "lex") {
		return g.limit(args)
	}
	return args
}

func (g zsetGenerator) inputs() (args []string) {
	n := 1 + g.IntN(3)
	for range n {
		args = append(args, g.zkey())
	}
	count := strconv.Itoa(n)
	if g.IntN(30) == 0 {
		count = g.pick("0", "-1", "5", "abc")
	}
	return append([]string{count}, args...)
}

func (g zsetGenerator) weights(args []string, n int) []string {
	if g.IntN(3) == 0 {
		args = append(args, "WEIGHTS")
		for range n {
			args = append(args, g.pick("1", "2", "0", "-1.5", "inf", g.score()))
		}
	}
	return g.maybe(args, "AGGREGATE", g.pick("SUM", "MIN", "MAX", "max", "FOO"))
}

func (g zsetGenerator) next() []string {
	k := g.zkey()
	switch g.IntN(34) {
	case 0, 1, 2, 3, 4, 5:
		args := []string{"ZADD", k}
		args = g.with(args, "NX", "XX", "GT", "LT", "CH", "ch", "gt")
		pairs := g.members(k)
		if g.IntN(8) == 0 && !strings.HasPrefix(k, "lex") {
			args = append(args, "INCR")
			pairs = pairs[:2]
		}
		return append(args, pairs...)
	case 6:
		return append([]string{"ZREM", k}, g.member(), g.member(), g.member())
	case 7:
		if strings.HasPrefix(k, "lex") {
			k = "z1"
		}
		return []string{"ZINCRBY", k, g.score(), g.member()}
	case 8:
		return []string{g.pick("ZSCORE", "ZRANK", "ZREVRANK"), k, g.member()}
	case 9:
		return []string{"ZMSCORE", k, g.member(), g.member()}
	case 10:
		return []string{g.pick("ZCARD", "TYPE"), k}
	case 11:
		return []string{"ZCOUNT", k, g.bound(), g.bound()}
	case 12:
		return []string{"ZLEXCOUNT", g.lexKey(), g.lexBound(), g.lexBound()}
	case 13, 14:
		args := []string{"ZRANGE", k, g.rank(), g.rank()}
		args = g.maybe(g.maybe(args, "REV"), "WITHSCORES")
		return g.with(args, "REV", "rev", "WITHSCORES", "FOO")
	case 15, 16:
		args := g.maybe([]string{"ZRANGE", k, g.bound(), g.bound(), "BYSCORE"}, "REV")
		return g.maybe(g.limit(args), "WITHSCORES")
	case 17:
		return g.lexLimit(g.maybe([]string{"ZRANGE", g.lexKey(), g.lexBound(), g.lexBound(), "bylex"}, "REV"))
	case 18:
		return g.with([]string{"ZRANGE", k, g.rank(), g.rank()}, "BYSCORE", "BYLEX", "REV", "LIMIT", "0", "1", "WITHSCORES")
	case 19:
		return g.limit(g.maybe([]string{g.pick("ZRANGEBYSCORE", "ZREVRANGEBYSCORE"), k, g.bound(), g.bound()}, "WITHSCORES"))
	case 20:
		return g.lexLimit([]string{g.pick("ZRANGEBYLEX", "ZREVRANGEBYLEX"), g.lexKey(), g.lexBound(), g.lexBound()})
	case 21:
		return g.maybe([]string{"ZREVRANGE", k, g.rank(), g.rank()}, g.pick("WITHSCORES", "FOO", "REV"))
	case 22:
		return g.limit(g.maybe([]string{"ZRANGESTORE", "d", k, g.rank(), g.rank()}, g.pick("REV", "WITHSCORES", "BYSCORE")))
	case 23:
		args := g.maybe([]string{"ZRANGESTORE", "d", g.lexKey(), g.lexBound(), g.lexBound(), "BYLEX"}, "REV")
		if strings.HasPrefix(args[2], "lex") {
			return g.limit(args)
		}
		return args
	case 24:
		return []string{"ZREMRANGEBYSCORE", g.pick(k, "d"), g.bound(), g.bound()}
	case 25:
		return []string{"ZREMRANGEBYLEX", g.lexKey(), g.lexBound(), g.lexBound()}
	case 26:
		start := g.rank()
		return []string{"ZREMRANGEBYRANK", g.pick(k, "d"), start, g.pick(start, g.rank())}
	case 27, 28:
		in := g.inputs()
		name := g.pick("ZUNION", "ZINTER", "ZDIFF")
		if g.IntN(2) == 0 {
			return g.weights(append([]string{name + "STORE", "d"}, in...), len(in)-1)
		}
		return g.maybe(g.weights(append([]string{name}, in...), len(in)-1), "WITHSCORES")
	case 29:
		return g.maybe(append([]string{"ZINTERCARD"}, g.inputs()...), "LIMIT", g.pick("0", "1", "3", "-1", "abc"))
	case 30:
		return g.maybe([]string{g.pick("ZPOPMIN", "ZPOPMAX"), k}, g.pick("0", "1", "3", "-1", "abc", "100"))
	case 31:
		in := g.inputs()
		args := append(append([]string{"ZMPOP"}, in...), g.pick("MIN", "MAX", "max", "FOO"))
		return g.maybe(args, "COUNT", g.pick("1", "2", "0", "-1", "abc"))
	case 32:
		args := g.maybe([]string{"ZRANDMEMBER", k}, g.pick("0", "1", "5", "-5", "100", "-9223372036854775808", "abc"))
		return g.maybe(args, g.pick("WITHSCORES", "FOO"))
	}
	args := []string{"ZSCAN", k, g.pick("0", "0", "0", "abc"), "COUNT", g.pick("10000", "10000", "10000", "0", "abc")}
	return g.maybe(args, g.pick("MATCH", "TYPE", "COUNT"), g.pick("m1*", "*", "zset", "10000"))
}

// sameZSetReply compares a reply, of a random pick by its shape, and of a scan without
// regard to the order.
func sameZSetReply(args []string, got, want []byte) bool {
	switch {
	case bytes.Equal(got, want):
		return true
	case args[0] == "ZSCAN":
		return slices.Equal(sortedLines(got), sortedLines(want))
	case args[0] == "ZRANDMEMBER" && got[0] == want[0]:
		return got[0] == '$' || got[0] == '*' && bytes.Count(got, []byte("\r\n")) == bytes.Count(want, []byte("\r\n"))
	}
	return false
}

// TestSameAsRedisSortedSets runs random sequences.
func TestSameAsRedisSortedSets(t *testing.T) {
	steps := 40000
	if testing.Short() {
		steps = 4000
	}
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		g := zsetGenerator{generator{rand.New(rand.NewPCG(uint64(our.w.Proto()), 77))}}
		var last []string
		check := func(args ...string) {
			t.Helper()
			last = append(last[max(0, len(last)-8):], fmt.Sprintf("%.200q", args))
			if got, want := our.do(args...), real.do(args...); !sameZSetReply(args, got, want) {
				t.Fatalf("after %s\n got %.400q\nwant %.400q", strings.Join(last, "\n"), got, want)
			}
		}
		check("SET", "string", "x")
		for step := range steps {
			if step%500 == 0 {
				our.space.Snapshot() // from here on values in place are shared
				for i := range 200 {
					check("ZADD", "big", strconv.Itoa(i/3), "m"+strconv.Itoa(i))
					check("ZADD", "lexbig", "7", "m"+strconv.Itoa(i))
				}
			}
			check(g.next()...)
			if step%100 == 0 {
				for _, key := range []string{"z1", "z2", "big", "lex", "lexbig", "d"} {
					check("ZRANGE", key, "0", "-1", "WITHSCORES")
					check("OBJECT", "ENCODING", key)
				}
			}
		}
	})
}

// TestSameAsRedisDoubles compares how texts are read as scores and as ends of ranges.
func TestSameAsRedisDoubles(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	rnd := rand.New(rand.NewPCG(5, 6))
	texts := []string{
		"1.5", "-0", "0", "-0.0", "+0", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1.8e308", "-1.8e308", "1e309", "1e5000", "1e99999999999999999999",
		"5e-324", "2.5e-324", "2.4e-324", "1e-400", "-1e-400", "0e-400", "0e99999", "1e-99999999999999999999", "2.2250738585072011e-308", "2.2250738585072014e-308",
		"0x1p3", "0X1P-3", "0x.8p1", "0x1.8", "0x8.p-1", "0x", "0x.", "0x.p1", "0xp1", "0x1p", "0x1p+", "0x1p-1074", "0x1p-1075", "0x1.8p-1075", "0x1p-1076", "0x1p1023", "0x1p1024", "0x1.fffffffffffff8p1023", "0x1.fffffffffffff7p1023",
		"0x10", "-0x10", "0x1.00000000000008", "0x1.000000000000081", "0xg",
		"inf", "-inf", "+inf", "INF", "iNfInItY", "infinit", "infx", "nan", "NAN", "-nan", "nan(1)", "nan(", "nan()",
		" 1", "1 ", "\t1", "\v1", "1\x00", "\x00", "", "+", "-", ".", "e5", ".e5", "1e", "1e+", "1e-", "1.e1", ".5", "5.", "+1", "++1", "+-1", "1_0", "1__0", "0x1_0p0", "1d", "1f", "0b1", "0o7", "010", "1..2", "1,5", "1p3", "0x1e3",
		"3.14159265358979323846264338327950288", "9007199254740993", "9007199254740992.9999999999999999", "123456789012345678901234567890", "100000000000000000", "12345678901234567", "1e17", "1e16", "4503599627370497.5",
		"0.1", "0.30000000000000004", "1e-5", "0.0001", "0.00001234", strings.Repeat("9", 400), strings.Repeat("9", 300), "0." + strings.Repeat("0", 400) + "1e400", "1" + strings.Repeat("0", 400) + "e-400",
	}
	for range 1000 {
		digits := strconv.FormatUint(rnd.Uint64(), 10) + strconv.FormatUint(rnd.Uint64(), 10)
		cut := rnd.IntN(len(digits) + 1)
		texts = append(texts,
			digits[:1+rnd.IntN(20)],
			strings.Repeat("0", rnd.IntN(15))+digits[:rnd.IntN(17)],
			digits[:cut]+"."+digits[cut:],
			fmt.Sprintf("%s.%se%d", digits[:1], digits[1:1+rnd.IntN(25)], rnd.IntN(700)-350),
			fmt.Sprintf("0x%x.%xp%d", rnd.Uint64(), rnd.Uint64()>>(rnd.IntN(64)), rnd.IntN(2200)-1100))
	}
	for _, text := range texts {
		for _, args := range [][]string{
			{"ZADD", "k", text, "m"}, {"ZSCORE", "k", "m"}, {"ZINCRBY", "k", text, "n"}, {"ZINCRBY", "k", "1", "n"},
			{"ZCOUNT", "k", text, "(" + text}, {"ZCOUNT", "k", "(" + text, "inf"}, {"ZRANGEBYSCORE", "k", text, text, "WITHSCORES"},
			{"ZUNION", "1", "k", "WEIGHTS", text, "WITHSCORES"}, {"BZPOPMIN", "k", text}, {"DEL", "k"}, {"ZADD", "k", "0", "n"},
		} {
			if got, want := our.do(args...), real.do(args...); !bytes.Equal(got, want) {
				t.Errorf("%.200q\n got %.300q\nwant %.300q", args, got, want)
			}
		}
	}
}

// Picks without repetition are different members, with repetition any; all come up.
func TestZRandMember(t *testing.T) {
	o := newOurs(2)
	for i := range 300 {
		o.do("ZADD", "k", strconv.Itoa(i), fmt.Sprint("m", i))
	}
	for _, count := range []string{"5", "299", "300", "1000", "-50"} {
		seen := map[string]int{}
		for range 100 {
			reply, _ := parseReply(t, o.do("ZRANDMEMBER", "k", count, "WITHSCORES"))
			list := reply.([]any)
			once := map[any]bool{}
			for i := 0; i < len(list); i += 2 {
				if "m"+list[i+1].(string) != list[i] {
					t.Fatalf("%v has the score %v", list[i], list[i+1])
				}
				once[list[i]] = true
				seen[list[i].(string)]++
			}
			n, _ := strconv.Atoi(count)
			if want := min(n, 300); n > 0 && (len(once) != want || len(list) != 2*want) || n < 0 && len(list) != -2*n {
				t.Fatalf("%s: %d members, %d different ones", count, len(list)/2, len(once))
			}
		}
		if least := map[string]int{"5": 200, "-50": 290}[count]; len(seen) < least {
			t.Errorf("%s: only %d members ever came up", count, len(seen))
		}
	}
	if got := string(o.do("ZRANDMEMBER", "k", "-1000000000")); !strings.HasPrefix(got, "-"+string(resp.ErrReplyTooLong)) {
		t.Errorf("a reply that is too long: %.80q", got)
	}
}
