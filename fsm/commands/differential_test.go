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
)

// The differential tests run the same commands on the real redis-server and on
// our handlers, and compare the replies byte by byte.

// compareReplies says whether two replies are as equal as they can be: remaining
// times may differ by what the clocks have moved, and the order of keys is free.
func compareReplies(args []string, got, want []byte) bool {
	if bytes.Equal(got, want) {
		return true
	}
	switch strings.ToUpper(args[0]) {
	case "TTL", "EXPIRETIME":
		return near(got, want, 2)
	case "PTTL", "PEXPIRETIME":
		return near(got, want, 3000)
	case "KEYS":
		return slices.Equal(sortedLines(got), sortedLines(want))
	case "MEMORY":
		// The real one also tells of keys whose time has come, until they are removed.
		return want[0] == ':' && (got[0] == ':' || string(got) == "$-1\r\n" || string(got) == "_\r\n")
	case "RANDOMKEY":
		return got[0] == '$' && want[0] == '$' && (string(got) == "$-1\r\n") == (string(want) == "$-1\r\n")
	}
	return false
}

func near(got, want []byte, within int64) bool {
	if got[0] != ':' || want[0] != ':' {
		return false
	}
	a, _ := strconv.ParseInt(strings.TrimSpace(string(got[1:])), 10, 64)
	b, _ := strconv.ParseInt(strings.TrimSpace(string(want[1:])), 10, 64)
	return a >= 0 && b >= 0 && a-b <= within && b-a <= within
}

func sortedLines(b []byte) []string {
	lines := strings.Split(string(b), "\r\n")
	slices.Sort(lines)
	return lines
}

// TestSameAsRedisDirected replays the replies that need a special state or an
// unlikely argument.
func TestSameAsRedisDirected(t *testing.T) {
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		for _, line := range strings.Split(strings.TrimPrefix(strings.TrimSuffix(directedScript, "\n"), "\n"), "\n") {
			args := strings.Split(line, " ")
			if got, want := our.do(args...), real.do(args...); !compareReplies(args, got, want) {
				t.Errorf("%s\n got %q\nwant %q", line, got, want)
			}
		}
	})
}

// TestSameAsRedisFloats compares INCRBYFLOAT on many texts of numbers.
func TestSameAsRedisFloats(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	rnd := rand.New(rand.NewPCG(1, 2))
	texts := []string{
		"1.5", "-0", "0", "-0.0", "1e4932", "-1e4932", "1.18e4932", "1.19e4932", "1.2e4932", "1e4933", "1e5000",
		"1e-4932", "1e-4950", "1e-4951", "1.8e-4951", "1.9e-4951", "3e-4951", "1e-4952", "1e-5000", "-1e-4951", "0e99999999", "0x0p99999",
		"0x1p3", "0X1P-3", "0x.8p1", "0x1.8", "0x8.p-1", "0x", "0x.", "0x.p1", "0xp1", "0x1p", "0x1p+", "0x1p-16445", "0x1p-16446", "0x1.1p-16446", "0x1p16383", "0x1p16384",
		"0x1.ffffffffffffffffp16383", "0x1.fffffffffffffffe8p0", "0x1.fffffffffffffffp16383", "0x1.fffffffffffffffffp16383",
		"inf", "-inf", "+inf", "INF", "infinity", "Infinity", "infinit", "nan", "NAN", "nan(1)", "-nan",
		" 1", "1 ", "\t1", "1\x00", "", "+", "-", ".", "e5", ".e5", "1e", "1e+", "1e-", "1.e1", ".5", "5.", "+1", "++1", "+-1", "1_0", "1d", "1f", "0b1", "0o7", "010", "1..2", "1,5",
		"3.14159265358979323846264338327950288", "2.71828182845904523536", "0.1", "0.2", "0.3", "1.0000000000000000001", "5e-18", "4.99999e-18", "1e-17", "9.999999999999999995", "0.000000000000000005",
		"123456789012345678901234567890", "18446744073709551615", "18446744073709551616", "18446744073709551617", "9007199254740993", "36893488147419103233", "36893488147419103235",
		"-1e-20", "1e20", "1e300", "1e1000", strings.Repeat("9", 5119), strings.Repeat("9", 400), "0." + strings.Repeat("0", 4000) + "1", strings.Repeat("1", 5119), strings.Repeat("1", 5120), "0." + strings.Repeat("0", 5117), "0." + strings.Repeat("0", 5118), strings.Repeat("0", 5118) + "1",
		"1" + strings.Repeat("0", 4000) + "e-4000", "0." + strings.Repeat("0", 3999) + "1e4000",
	}
	for range 500 {
		digits := strconv.FormatUint(rnd.Uint64(), 10) + strconv.FormatUint(rnd.Uint64(), 10)
		cut := rnd.IntN(len(digits) + 1)
		texts = append(texts,
			digits[:cut]+"."+digits[cut:],
			fmt.Sprintf("%s.%se%d", digits[:1], digits[1:1+rnd.IntN(25)], rnd.IntN(80)-40),
			fmt.Sprintf("0x%x.%xp%d", rnd.Uint64(), rnd.Uint64()>>(rnd.IntN(64)), rnd.IntN(200)-100))
	}
	check := func(args ...string) {
		t.Helper()
		if got, want := our.do(args...), real.do(args...); !bytes.Equal(got, want) {
			t.Errorf("%.200q\n got %.300q\nwant %.300q", args, got, want)
		}
	}
	for _, text := range texts {
		our.do("DEL", "k")
		real.do("DEL", "k")
		check("INCRBYFLOAT", "k", text)
		for range 3 {
			check("SET", "k", text)
			check("INCRBYFLOAT", "k", texts[rnd.IntN(len(texts))])
			check("INCRBYFLOAT", "k", texts[rnd.IntN(len(texts))])
			check("GET", "k")
		}
	}
}

// TestSameAsRedisOddNumbers gives texts that Go or C reads as numbers, and Redis not always,
// to commands that want one. Scores and INCRBYFLOAT have more of them in tests of their own.
func TestSameAsRedisOddNumbers(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	for _, text := range []string{
		"1_0", "1__0", "_1", "1_", "0x1_0", "1_0.5", "1e1_0", "0x10", "0X1p-2", "0x1p-2", "-0x1", "0b1", "0o7", "010", "+1", "+0", "-0", "-0.0", "1e1", "1.", ".5", "1.5",
		"inf", "-inf", "+inf", "Infinity", "nan", "-nan", "nan(1)", " 1", "1 ", "\t1", "1\x00", "", "１", "9223372036854775808", "1e-400", "1e400", "1e-5000", "1e5000",
	} {
		for _, args := range [][]string{
			{"FLUSHALL"}, {"HSET", "h", "f", text}, {"HINCRBYFLOAT", "h", "f", "1"}, {"HINCRBYFLOAT", "h", "g", text}, {"HINCRBY", "h", "f", "1"}, {"HINCRBY", "h", "i", text}, {"HGET", "h", "f"}, {"HGET", "h", "g"},
			{"GEOADD", "p", text, "1", "a"}, {"GEOADD", "p", "1", text, "b"}, {"GEOPOS", "p", "a", "b"}, {"GEOADD", "p", "1", "1", "c"},
			{"GEOSEARCH", "p", "FROMLONLAT", "1", text, "BYRADIUS", "9000", "km", "ASC"}, {"GEOSEARCH", "p", "FROMLONLAT", "1", "1", "BYRADIUS", text, "km", "COUNT", text},
			{"GEOSEARCH", "p", "FROMMEMBER", "c", "BYBOX", text, text, "km", "ASC"}, {"GEORADIUS", "p", "1", "1", text, "m"},
			{"RPUSH", "l", "3", "x", text, "2"}, {"SORT", "l"}, {"SORT", "l", "ALPHA", "LIMIT", text, text}, {"LRANGE", "l", text, "-1"}, {"LINDEX", "l", text}, {"LPOP", "l", text},
			{"BLPOP", "l", text}, {"BLMOVE", "l", "l", "LEFT", "RIGHT", text}, {"BLMPOP", text, "1", "l", "LEFT"},
			{"ZADD", "z", "1", "a", "2", "b"}, {"ZRANGEBYSCORE", "z", "(" + text, "inf"}, {"ZRANGE", "z", "-inf", text, "BYSCORE", "LIMIT", text, text}, {"ZRANGE", "z", text, text},
			{"ZREMRANGEBYSCORE", "z", text, "(" + text}, {"ZINTER", "1", "z", "WEIGHTS", text, "WITHSCORES"}, {"ZINTER", text, "z"}, {"BZMPOP", text, "1", "z", "MAX"},
			{"SET", "s", text}, {"INCR", "s"}, {"SET", "i", "1"}, {"INCRBY", "i", text}, {"DECRBY", "i", text}, {"SETRANGE", "i", text, "v"}, {"GETRANGE", "i", text, text}, {"GET", "i"},
			{"SETBIT", "b", text, "1"}, {"GETBIT", "b", text}, {"BITFIELD", "b", "INCRBY", "u8", "#" + text, text}, {"BITCOUNT", "b", text, text}, {"GET", "b"},
			{"XADD", "x", text + "-1", "f", "v"}, {"XADD", "x", "99-" + text, "f", "v"}, {"XRANGE", "x", text, "+", "COUNT", text}, {"XTRIM", "x", "MAXLEN", text}, {"XLEN", "x"},
			{"SCAN", text, "COUNT", "100"}, {"EXPIRE", "absent", text}, {"SET", "t", "v", "PX", text + "000000"}, {"EXISTS", "t"}, {"SPOP", "absent", text}, {"SRANDMEMBER", "absent", text},
			{"LCS", "s", "i", "IDX", "MINMATCHLEN", text}, {"OBJECT", "FREQ", text}, {"COPY", "s", "s2", "DB", text}, {"RESTORE", "r", text, "x"},
		} {
			got, want := our.do(args...), real.do(args...)
			if args[0] == "SCAN" && got[0] == '*' && want[0] == '*' { // their cursors are their own
				continue
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%.200q\n got %.300q\nwant %.300q", args, got, want)
			}
		}
	}
}

// TestSameAsRedisLCS compares LCS on random strings of few letters, which have many
// longest common subsequences, and at the limit of its memory.
func TestSameAsRedisLCS(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	rnd := rand.New(rand.NewPCG(7, 8))
	text := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "abc"[rnd.IntN(3)]
		}
		return string(b)
	}
	check := func(args ...string) {
		t.Helper()
		if got, want := our.do(args...), real.do(args...); !bytes.Equal(got, want) {
			t.Fatalf("%.100q\n got %.300q\nwant %.300q", args, got, want)
		}
	}
	for round := range 300 {
		limit := 40
		if round%30 == 0 {
			limit = 800
		}
		check("MSET", "a", text(rnd.IntN(limit)), "b", text(rnd.IntN(limit)))
		check("LCS", "a", "b")
		check("LCS", "a", "b", "LEN")
		check("LCS", "a", "b", "IDX", "WITHMATCHLEN", "MINMATCHLEN", strconv.Itoa(rnd.IntN(4)))
	}
	check("MSET", "a", text(11584), "b", text(11584))
	check("LCS", "a", "b", "LEN")
	check("SET", "b", text(11586))
	check("LCS", "a", "b")
}

// TestSameAsRedisGlob compares KEYS on random patterns.
func TestSameAsRedisGlob(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	rnd := rand.New(rand.NewPCG(3, 4))
	const alphabet = `ab*?[]^-\c` + "\x00\xff"
	text := func(n int) string {
		b := make([]byte, rnd.IntN(n))
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return string(b)
	}
	for range 300 {
		key := text(5)
		our.do("SET", key, "1")
		real.do("SET", key, "1")
	}
	for range 3000 {
		args := []string{"KEYS", text(9)}
		if got, want := our.do(args...), real.do(args...); !compareReplies(args, got, want) {
			t.Errorf("%q\n got %q\nwant %q", args, got, want)
		}
	}
}

// TestSameAsRedisRandom runs random sequences.
func TestSameAsRedisRandom(t *testing.T) {
	steps := 15000
	if testing.Short() {
		steps = 3000
	}
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		g := generator{rand.New(rand.NewPCG(uint64(our.w.Proto()), 99))}
		var last []string
		for step := range steps {
			args := g.command()
			last = append(last[max(0, len(last)-8):], fmt.Sprintf("%.60q", args))
			our.now = time.Now().UnixMilli()
			if got, want := our.do(args...), real.do(args...); !compareReplies(args, got, want) {
				t.Fatalf("step %d, after %s\n got %.200q\nwant %.200q", step, strings.Join(last, "\n"), got, want)
			}
			if step%50 == 0 {
				compareState(t, our, real)
			}
			if step%500 == 0 {
				our.space.Snapshot() // from here on values in place are shared
			}
			our.space.RemoveDue(our.now, 1)
		}
	})
}

// compareState looks at every key of the database.
func compareState(t *testing.T, our *ours, real *realRedis) {
	t.Helper()
	for _, key := range keyPool {
		for _, args := range [][]string{{"GET", key}, {"PEXPIRETIME", key}, {"STRLEN", key}} {
			if got, want := our.do(args...), real.do(args...); !compareReplies(args, got, want) {
				t.Fatalf("state: %q\n got %.200q\nwant %.200q", args, got, want)
			}
		}
	}
	// Only now, as the real one counts expired keys until somebody looks at them.
	if got, want := our.do("DBSIZE"), real.do("DBSIZE"); !bytes.Equal(got, want) {
		t.Fatalf("DBSIZE: got %q want %q", got, want)
	}
}

var keyPool = []string{"a", "b", "c", "{a}1", "{a}2", "", "k\x00", "long"}

// generator makes commands that are well formed more often than not.
type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) key() string { return g.pick(keyPool...) }

func (g generator) integer() string {
	if g.IntN(3) > 0 {
		return strconv.Itoa(g.IntN(40) - 20)
	}
	return g.pick("9223372036854775807", "-9223372036854775808", "9223372036854775808", "-0", "+1", "01", " 1", "", "abc", "4294967296", "1.5")
}

func (g generator) value() string {
	switch g.IntN(8) {
	case 0:
		return ""
	case 1:
		return strings.Repeat(g.pick("x", "yz", "\x00"), g.IntN(3000))
	case 2:
		return strings.Repeat("long", g.IntN(50000))
	case 3, 4:
		return g.integer()
	case 5:
		return g.pick("1.5", "-3.25e2", "0.1", "3.0")
	}
	return g.pick("abc", "abcabc", "xaybzc", "hello world")
}

// seconds are so far apart that the two clocks can't change their order.
func (g generator) seconds() string {
	return g.pick(strconv.Itoa(1000+10*g.IntN(1e6)), "0", "-1", "abc", "9223372036854775807", "-9223372036854775808")
}

func (g generator) milliseconds() string { return strconv.Itoa(1000000 + 10000*g.IntN(1e6)) }

func (g generator) life() []string {
	switch g.IntN(7) {
	case 0:
		return []string{g.pick("EX", "ex"), g.seconds()}
	case 1:
		return []string{"PX", g.pick(g.milliseconds(), g.milliseconds(), "0", "-7", "abc")}
	case 2:
		return []string{"EXAT", g.pick("1", "4000000000", "5000000000", "0", g.integer())}
	case 3:
		return []string{"pxat", g.pick("1", "4000000000000", "0", "-1")}
	case 4:
		return []string{g.pick("KEEPTTL", "PERSIST", "keepttl\x00x")}
	}
	return nil
}

func (g generator) with(args []string, options ...string) []string {
	for range g.IntN(3) {
		args = append(args, g.pick(options...))
	}
	return args
}

func (g generator) command() []string {
	k, k2 := g.key(), g.key()
	switch g.IntN(44) {
	case 0, 1, 2, 3:
		args := append([]string{"SET", k, g.value()}, g.life()...)
		return g.with(args, "NX", "XX", "GET", "get", "KEEPTTL", "FOO")
	case 4:
		return append([]string{"GETEX", k}, append(g.life(), g.life()...)...)
	case 5, 6:
		return []string{"APPEND", k, g.value()}
	case 7, 8:
		return []string{"SETRANGE", k, g.pick("0", "1", "100", "5000", "70000", "200000", g.integer()), g.value()}
	case 9:
		return []string{g.pick("GETRANGE", "SUBSTR"), k, g.pick("60000", "100", g.integer()), g.pick("-1", "70000", g.integer())}
	case 10:
		return []string{g.pick("INCR", "DECR"), k}
	case 11:
		return []string{g.pick("INCRBY", "DECRBY"), k, g.integer()}
	case 12:
		return []string{"INCRBYFLOAT", k, g.pick("1.5", "-0.1", "1e3", "abc", g.integer())}
	case 13:
		return []string{g.pick("GET", "STRLEN", "GETDEL", "TYPE"), k}
	case 14:
		return []string{g.pick("GETSET", "SETNX"), k, g.value()}
	case 15:
		return []string{g.pick("SETEX", "PSETEX"), k, g.pick(g.milliseconds(), "2000000", "0", "-1", "abc"), g.value()}
	case 16:
		return []string{g.pick("MSET", "MSETNX"), k, g.value(), k2, g.value()}
	case 17:
		return []string{g.pick("MSET", "MSETNX"), k, g.value(), k2}
	case 18:
		return []string{"MGET", k, k2, g.key()}
	case 19:
		our := []string{"LCS", k, k2}
		return g.with(our, "LEN", "IDX", "WITHMATCHLEN", "MINMATCHLEN", "2", "FOO")
	case 20, 21:
		return []string{g.pick("DEL", "UNLINK", "EXISTS", "TOUCH"), k, k2}
	case 22, 23:
		return g.with([]string{"EXPIRE", k, g.seconds()}, "NX", "XX", "gt", "LT", "FOO")
	case 24:
		return g.with([]string{"PEXPIRE", k, g.pick(g.milliseconds(), g.milliseconds(), "0", "-5", "abc")}, "NX", "XX", "GT", "LT")
	case 25:
		return g.with([]string{"EXPIREAT", k, g.pick("4000000000", "5000000000", "1", g.integer())}, "NX", "XX", "GT", "LT")
	case 26:
		return g.with([]string{"PEXPIREAT", k, g.pick("4000000000000", "5000000000000", g.integer())}, "NX", "XX", "GT", "LT")
	case 27, 28:
		return []string{g.pick("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), k}
	case 29:
		return []string{"PERSIST", k}
	case 30, 31:
		return []string{g.pick("RENAME", "RENAMENX"), k, k2}
	case 32, 33:
		args := []string{"COPY", k, k2}
		if g.IntN(2) == 0 {
			args = append(args, "DB", g.pick("0", "1", "2", "16", "-1", "abc"))
		}
		return g.with(args, "REPLACE", "replace", "FOO")
	case 34:
		return []string{"MOVE", k, g.pick("0", "1", "2", "16", g.integer())}
	case 35:
		return []string{"KEYS", g.pick("*", "a*", "{a}?", "[ab]", "k*")}
	case 36:
		return []string{"OBJECT", g.pick("FREQ", "IDLETIME"), "none"}
	case 37:
		return []string{"MEMORY", "USAGE", k}
	case 38:
		return []string{"SELECT", g.pick("0", "1", "2")}
	case 39:
		return []string{"SWAPDB", g.pick("0", "1", "x"), g.pick("1", "2", "16")}
	case 40:
		if g.IntN(20) == 0 {
			return []string{g.pick("FLUSHALL", "FLUSHDB"), g.pick("ASYNC", "SYNC", "FOO")}
		}
	}
	return []string{"GET", k}
}
