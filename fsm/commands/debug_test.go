package commands

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// debugSamples are sets of commands that make data of all types and forms.
func debugSamples() map[string][]string {
	long := strings.Repeat("x", 70_000)
	many := func(command, format string, n int) string {
		for i := range n {
			command += " " + strings.ReplaceAll(format, "#", fmt.Sprint(i))
		}
		return command
	}
	return map[string][]string{
		"nothing":      nil,
		"strings":      {"SET a 1", "SET b text", "SET c -007", "SET long " + long},
		"expiry":       {"SET a 1", "SET b 1", "EXPIRE b 1000", "HSET h f v", "PEXPIRE h 1000000"},
		"small hash":   {"HSET k f v 1 2 -3 4.5"},
		"large hash":   {many("HSET k", "f# #", 600)},
		"ints":         {"SADD k 3 -1 2 70000 5000000000"},
		"small set":    {"SADD k a b 1"},
		"large set":    {many("SADD k", "m#", 600)},
		"list":         {"RPUSH k a b c 1 2", "RPUSH l " + long, many("RPUSH m", "#", 5000)},
		"small zset":   {"ZADD k 1 a 2.5 b -0 c 0.1 d inf e -inf f 1e300 g 123456789012345678 h 3.0000000000000004 i"},
		"large zset":   {many("ZADD k", "#.1 m#", 200)},
		"stream":       {"XADD k 1-1 f v g w", "XADD k 5-3 f v", "XADD k 18446744073709551615-18446744073709551615 a b", "XGROUP CREATE k g 0"},
		"empty stream": {"XGROUP CREATE k g 0 MKSTREAM"},
		"bits":         {"SETBIT k 100 1", "PFADD p a b c"},
		"databases":    {"SET a 1", "SELECT 3", "SET a 1", "SET b 2", "SELECT 0"},
	}
}

// TestDebugDigestIsRedis: the digests are those of a real Redis with the same data.
func TestDebugDigestIsRedis(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	seen := map[string]string{}
	for name, sample := range debugSamples() {
		both := func(line string) {
			t.Helper()
			args := strings.Split(line, " ")
			if got, want := our.do(args...), real.do(args...); !bytes.Equal(got, want) {
				t.Errorf("%s: %.60s: got %.200q, want %.200q", name, line, got, want)
			}
		}
		both("FLUSHALL")
		for _, line := range sample {
			both(line)
		}
		both("DEBUG DIGEST")
		both("DEBUG DIGEST-VALUE a b c k long h l m p nosuch")
		digest := string(our.do("DEBUG", "DIGEST"))
		if other := seen[digest]; other != "" {
			t.Errorf("%s and %s have the digest %q", name, other, digest)
		}
		seen[digest] = name
	}
}

// TestDebugDigestOfFields: a field's expiry time counts, as in Redis 7.4.
func TestDebugDigestOfFields(t *testing.T) {
	our := newOurs(2)
	our.do("HSET", "k", "f", "v", "g", "w")
	before := our.do("DEBUG", "DIGEST-VALUE", "k")
	our.do("HEXPIRE", "k", "1000", "FIELDS", "1", "f")
	if after := our.do("DEBUG", "DIGEST-VALUE", "k"); bytes.Equal(before, after) {
		t.Error("it does not")
	}
	our.do("HPERSIST", "k", "FIELDS", "1", "f")
	if after := our.do("DEBUG", "DIGEST-VALUE", "k"); !bytes.Equal(before, after) {
		t.Error("without one again, the digest is another")
	}
}

// TestDebugObjectIsRedis compares all of DEBUG OBJECT but the address and the clock.
func TestDebugObjectIsRedis(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	ownWay := regexp.MustCompile(`at:0x[0-9a-f]+|lru:\d+|lru_seconds_idle:\d+`)
	for _, line := range []string{
		"SET k 1", "SET k 10000", "SET k -1", "SET k abc", "SET k " + strings.Repeat("abc", 50), "SET k " + strings.Repeat("x", 70_000),
		"RPUSH k a b c 1 2", "RPUSH k" + strings.Repeat(" element", 3000), "HSET k f v g 1", "SADD k 1 2 300", "ZADD k 1 a 2.5 b",
		"HSET k f " + strings.Repeat("x", 65), "ZADD k 1 " + strings.Repeat("x", 65),
	} {
		for _, end := range []interface{ do(...string) []byte }{real, our} {
			end.do("DEL", "k")
			end.do(strings.Split(line, " ")...)
		}
		got, want := our.do("DEBUG", "OBJECT", "k"), real.do("DEBUG", "OBJECT", "k")
		if a, b := ownWay.ReplaceAllString(string(got), ""), ownWay.ReplaceAllString(string(want), ""); a != b || !bytes.HasPrefix(got, []byte("+Value at:0x0 ")) {
			t.Errorf("%.60s:\ngot  %s\nwant %s", line, got, want)
		}
	}
	if got := our.do("DEBUG", "OBJECT", "k"); !bytes.Contains(got, []byte(" lru_seconds_idle:0")) || bytes.Contains(got, []byte("lru:0 ")) {
		t.Errorf("%s", got)
	}
}
