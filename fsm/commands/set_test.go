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

// sortedElements is a reply with its elements sorted, where the reply is a collection;
// of SSCAN the elements' list.
func sortedElements(t *testing.T, reply []byte) string {
	t.Helper()
	v, err := resp.Parse(reply)
	if err != nil {
		t.Fatal(err)
	}
	list := v.Elems
	if len(list) == 2 && len(list[1].Elems) > 0 {
		list = list[1].Elems
	}
	slices.SortFunc(list, func(a, b resp.Value) int { return bytes.Compare(a.Str, b.Str) })
	return string(reply[:1]) + resp.FormatCLI(v)
}

// sameSetReply compares what a set command answers: the order is free where Redis's is
// a hash table's, and so is what was picked.
func sameSetReply(t *testing.T, args []string, got, want []byte) bool {
	t.Helper()
	if bytes.Equal(got, want) {
		return true
	}
	if got[0] == '-' || want[0] == '-' {
		return false
	}
	switch args[0] {
	case "SMEMBERS", "SUNION", "SINTER", "SDIFF":
		return sortedElements(t, got) == sortedElements(t, want)
	case "SPOP", "SRANDMEMBER":
		if len(args) == 2 {
			return got[0] == want[0] && (string(got) == "$-1\r\n") == (string(want) == "$-1\r\n")
		}
		end := bytes.IndexByte(got, '\n')
		return bytes.HasPrefix(want, got[:end+1])
	case "SSCAN": // of a hash table Redis may show a part, where we show all
		return got[0] == want[0]
	}
	return false
}

// setMember is one of a pool in which integers of all widths, texts that look like some,
// and others meet.
func (g generator) setMember(kind int) string {
	switch {
	case kind == 0 || kind == 1 && g.IntN(30) > 0:
		return strconv.Itoa(g.IntN(60) - 20)
	case kind == 2 && g.IntN(3) > 0:
		return "m" + strconv.Itoa(g.IntN(200))
	case g.IntN(20) == 0:
		return strings.Repeat("x", 60+g.IntN(8))
	}
	return g.pick("32768", "-32769", "2147483648", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-0", "+1", "01", "", " 1", "a\x00b", "x", "y")
}

func (g generator) setKey() string {
	if g.IntN(40) == 0 {
		return "string"
	}
	return "s" + strconv.Itoa(g.IntN(6))
}

func (g generator) some(args []string, one func() string) []string {
	for range 1 + g.IntN(4)*g.IntN(3) {
		args = append(args, one())
	}
	return args
}

func (g generator) setCommand() []string {
	k, kind := g.setKey(), g.IntN(4)
	member := func() string { return g.setMember(kind) }
	switch g.IntN(24) {
	case 0, 1, 2, 3, 4:
		return g.some([]string{"SADD", k}, member)
	case 5:
		args := []string{"SADD", k}
		from, n := g.IntN(500), g.IntN(300)
		for i := range n {
			args = append(args, g.pick("", "", "", "n")+strconv.Itoa(from+i))
		}
		return append(args, "7")
	case 6, 7:
		return g.some([]string{"SREM", k}, member)
	case 8:
		return g.some([]string{"SMISMEMBER", k}, member)
	case 9:
		return []string{"SISMEMBER", k, member()}
	case 10:
		return []string{g.pick("SCARD", "SMEMBERS"), k}
	case 11, 12:
		return []string{"SMOVE", k, g.setKey(), member()}
	case 13, 14:
		return g.some([]string{g.pick("SUNION", "SINTER", "SDIFF")}, g.setKey)
	case 15, 16, 17:
		return g.some([]string{g.pick("SUNIONSTORE", "SINTERSTORE", "SDIFFSTORE"), k}, g.setKey)
	case 18:
		args := append([]string{"SINTERCARD", g.pick("1", "2", "2", "3", "0", "x")}, k, g.setKey())
		return g.with(args, "LIMIT", "limit", "0", "2", "-1", "x")
	case 19:
		return []string{g.pick("SPOP", "SRANDMEMBER"), k}
	case 20:
		return []string{"SPOP", k, g.pick("0", "1", "3", "50", "300", "10000", g.integer())}
	case 21:
		return []string{"SRANDMEMBER", k, g.pick("0", "1", "3", "100", "10000", "-1", "-50", "-9223372036854775808", "x")}
	case 22:
		return g.with([]string{"SSCAN", k, "0"}, "MATCH", "*", "COUNT", "100", "TYPE", "x")
	}
	return []string{g.pick("DEL", "TYPE"), "s" + strconv.Itoa(g.IntN(6))}
}

// TestSameAsRedisSets runs random sequences of set commands, and compares members and
// encodings of all keys now and then.
func TestSameAsRedisSets(t *testing.T) {
	steps := 12000
	if testing.Short() {
		steps = 3000
	}
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		g := generator{rand.New(rand.NewPCG(uint64(our.w.Proto()), 5))}
		var last []string
		check := func(args ...string) {
			t.Helper()
			last = append(last[max(0, len(last)-8):], fmt.Sprintf("%.90q", args))
			if got, want := our.do(args...), real.do(args...); !sameSetReply(t, args, got, want) {
				t.Fatalf("after %s\n got %.300q\nwant %.300q", strings.Join(last, "\n"), got, want)
			}
		}
		check("SET", "string", "x")
		for step := range steps {
			args := g.setCommand()
			check(args...)
			if args[0] == "SPOP" { // what was picked differs
				check("SCARD", args[1])
				check("DEL", args[1])
				check("SET", "string", "x")
			}
			if step%20 == 0 {
				for i := range 6 {
					check("OBJECT", "ENCODING", "s"+strconv.Itoa(i))
					check("SMEMBERS", "s"+strconv.Itoa(i))
				}
			}
			if step%500 == 0 {
				our.space.Snapshot() // from here on values in place are shared
			}
		}
	})
}

// TestPicks looks at what SPOP and SRANDMEMBER pick: members of the set, each about as
// often as the others, none twice where that is not asked for, and none lost.
func TestPicks(t *testing.T) {
	for _, tt := range []struct {
		name, format string
		n            int
	}{{"integers", "%d", 100}, {"packed", "m%d", 100}, {"large", "m%d", 1000}} {
		t.Run(tt.name, func(t *testing.T) {
			our := newOurs(2)
			add := []string{"SADD", "s"}
			for i := range tt.n {
				add = append(add, fmt.Sprintf(tt.format, i))
			}
			picks := map[string]int{}
			count := func(distinct bool, args ...string) {
				t.Helper()
				v, err := resp.Parse(our.do(args...))
				if err != nil {
					t.Fatal(err)
				}
				seen := map[string]bool{}
				for _, e := range v.Elems {
					member := string(e.Str)
					if distinct && seen[member] || !slices.Contains(add[2:], member) {
						t.Fatalf("%q picked %q", args, member)
					}
					seen[member] = true
					picks[member]++
				}
			}
			want := 0
			for _, part := range []int{1, tt.n / 10, tt.n / 2, tt.n - 5, tt.n - 1} {
				rounds := 400 * tt.n / 100 / max(part/10, 1)
				for range rounds {
					our.do(add...)
					count(true, "SRANDMEMBER", "s", strconv.Itoa(part))
					count(false, "SRANDMEMBER", "s", strconv.Itoa(-part))
					count(true, "SPOP", "s", strconv.Itoa(part))
					if got := string(our.do("SCARD", "s")); got != fmt.Sprintf(":%d\r\n", tt.n-part) {
						t.Fatalf("%s members are left of %d after SPOP %d", got, tt.n, part)
					}
				}
				want += rounds * part * 3
			}
			for _, member := range add[2:] {
				if mean := want / tt.n; picks[member] < mean*7/10 || picks[member] > mean*13/10 {
					t.Errorf("%s was picked %d times, %d expected", member, picks[member], mean)
				}
			}
		})
	}
}

// A pick with repetition can't make a reply without bound.
func TestPicksAreBounded(t *testing.T) {
	our := newOurs(2)
	our.do("SADD", "long", strings.Repeat("x", 1<<20))
	our.do("SADD", "short", "1")
	for _, args := range [][]string{{"long", "-9223372036854775807"}, {"long", "-520"}, {"short", "-9223372036854775807"}, {"short", "-30000000"}} {
		if got := our.do("SRANDMEMBER", args[0], args[1]); string(got) != "-"+string(resp.ErrReplyTooLong)+"\r\n" {
			t.Errorf("SRANDMEMBER %q: %.100q", args, got)
		}
	}
	if got := our.do("SRANDMEMBER", "short", "-1000000"); !bytes.HasPrefix(got, []byte("*1000000\r\n$1\r\n1\r\n")) {
		t.Errorf("a million picks: %.100q", got)
	}
}
