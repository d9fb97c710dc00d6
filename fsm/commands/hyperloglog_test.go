package commands

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// hllCommand makes a command on HyperLogLogs of all sizes: of key n, elements come from
// a pool of 10^n.
func (g generator) hllCommand() []string {
	n := 1 + g.IntN(5)
	k := "h" + strconv.Itoa(n)
	pool := 1
	for range n {
		pool *= 10
	}
	element := func() string { return "element:" + strconv.Itoa(g.IntN(pool)) }
	some := func() string {
		if g.IntN(30) == 0 {
			return g.pick("text", "set", "none", "empty")
		}
		return "h" + strconv.Itoa(1+g.IntN(6))
	}
	switch g.IntN(20) {
	case 0:
		return []string{"PFADD", k}
	case 1:
		return []string{"PFADD", some(), element()}
	case 2:
		return []string{"PFADD", k, g.pick("", "a", "abcdefgh", strings.Repeat("long", 1+g.IntN(50)))}
	case 3:
		return g.some([]string{"PFMERGE", g.pick("h6", some())}, some)
	case 4:
		return g.some([]string{"PFCOUNT", some(), "none"}, some)
	case 5:
		return []string{"PFDEBUG", g.pick("GETREG", "DECODE", "decode", "ENCODING", "TODENSE", "FOO"), some()}
	case 6:
		if g.IntN(6) == 0 {
			return []string{"DEL", g.pick(k, "h6")}
		}
		return []string{"COPY", some(), g.pick("h6", "h5"), "REPLACE"}
	case 7:
		return []string{"PFCOUNT", some()}
	case 8:
		return []string{"EXPIRETIME", k}
	}
	args := []string{"PFADD", k}
	for range 1 + g.IntN(pool/20+3)%120 {
		args = append(args, element())
	}
	return args
}

// TestSameAsRedisHyperLogLogs runs random sequences and compares the strings byte by
// byte. In the first round PFCOUNT of one key is left out; in the second one it is run,
// and the eight bytes where the real one then puts the cardinality are not compared.
func TestSameAsRedisHyperLogLogs(t *testing.T) {
	steps := 6000
	if testing.Short() {
		steps = 1500
	}
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		g := generator{rand.New(rand.NewPCG(uint64(our.w.Proto()), 7))}
		cache, seen := our.w.Proto() == 3, map[string]int{}
		var last []string
		check := func(args ...string) []byte {
			t.Helper()
			last = append(last[max(0, len(last)-8):], fmt.Sprintf("%.90q", args))
			got, want := our.do(args...), real.do(args...)
			if cache && args[0] == "GET" {
				got, want = maskCache(got), maskCache(want)
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("after %s\n got %.300q\nwant %.300q", strings.Join(last, "\n"), got, want)
			}
			return got
		}
		check("SADD", "set", "x")
		check("SET", "text", "HYLL is what it begins with")
		check("SET", "empty", "")
		check("PFADD", "h3", "a")
		check("EXPIREAT", "h3", "5000000000")
		for step := range steps {
			if args := g.hllCommand(); cache || args[0] != "PFCOUNT" || len(args) > 2 {
				check(args...)
			}
			if step%3 == 0 {
				k := "h" + strconv.Itoa(1+g.IntN(6))
				check("GET", k)
				seen[string(check("PFDEBUG", "ENCODING", k))]++
			}
			if step%500 == 0 {
				our.space.Snapshot() // from here on values in place are shared
			}
		}
		for n := range 6 {
			check("PFCOUNT", "h"+strconv.Itoa(n+1))
		}
		if few := steps / 30; seen["+dense\r\n"] < few || seen["+sparse\r\n"] < few {
			t.Errorf("what was there: %v", seen)
		}
	})
}

func maskCache(reply []byte) []byte {
	if at := bytes.Index(reply, []byte("HYLL")); at >= 0 && len(reply) > at+16 {
		copy(reply[at+8:], "........")
	}
	return reply
}

// TestSameAsRedisCorruptHyperLogLogs damages them.
func TestSameAsRedisCorruptHyperLogLogs(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	g := generator{rand.New(rand.NewPCG(1, 8))}
	refused := 0
	for range 2000 {
		var last []string
		check := func(args ...string) (ok bool) {
			t.Helper()
			last = append(last, fmt.Sprintf("%q", args))
			got, want := our.do(args...), real.do(args...)
			if !bytes.Equal(got, want) {
				t.Fatalf("after %s\n got %.300q\nwant %.300q", strings.Join(last, "\n"), got, want)
			}
			if got[0] == '-' {
				refused++
			}
			return got[0] != '-'
		}
		check("DEL", "h", "d")
		args := []string{"PFADD", "h"}
		for range g.IntN(20) {
			args = append(args, "e"+strconv.Itoa(g.IntN(1000)))
		}
		check(args...)
		if g.IntN(3) == 0 {
			check("PFDEBUG", "TODENSE", "h")
		}
		switch g.IntN(3) {
		case 0:
			check("SETRANGE", "h", strconv.Itoa(g.IntN(30)), string(rune(g.IntN(128))))
		case 1:
			check("APPEND", "h", g.pick("\x00", "\x80", "x"))
		case 2:
			check("SETRANGE", "h", strconv.Itoa(16+g.IntN(30)), string(rune(g.IntN(64)))) // another run of zeros
		}
		if check("PFADD", "h", "e"+strconv.Itoa(g.IntN(1000))) {
			check("GET", "h")
		}
		check("PFCOUNT", "h", "none")
		check("PFMERGE", "d", "h")
		check("PFCOUNT", "d")
		check("PFDEBUG", "GETREG", "h")
		check("PFCOUNT", "h")
	}
	if refused < 500 {
		t.Errorf("only %d commands found what is corrupt", refused)
	}
}

// A cardinality that came with a string from a Redis is used until the string changes.
func TestCachedCardinality(t *testing.T) {
	our := newOurs(2)
	our.do("PFADD", "h", "a", "b", "c")
	our.do("SETRANGE", "h", "8", "\x2a\x00\x00\x00\x00\x00\x00\x00")
	before := our.do("GET", "h")
	for _, tt := range []struct{ line, want string }{
		{"PFCOUNT h", ":42"},
		{"PFADD h a", ":0"},
		{"PFCOUNT h", ":42"},
		{"PFCOUNT h h", ":3"},
		{"PFDEBUG TODENSE h", ":1"},
		{"PFCOUNT h", ":42"},
		{"PFADD h d", ":1"},
		{"PFCOUNT h", ":4"},
	} {
		if got := string(our.do(strings.Split(tt.line, " ")...)); got != tt.want+"\r\n" {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
	our.do("PFADD", "g", "a", "b", "c")
	our.do("PFCOUNT", "g")
	if after := our.do("GET", "g"); bytes.Equal(after, before) || !bytes.Contains(after, []byte("\x00\x80")) {
		t.Errorf("a read wrote: %q", after)
	}
}

func TestPFSelfTest(t *testing.T) {
	if got := newOurs(2).do("PFSELFTEST"); string(got) != "+OK\r\n" {
		t.Errorf("%q", got)
	}
}
