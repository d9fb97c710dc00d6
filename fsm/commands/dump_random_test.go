package commands

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/rdb"
)

// dumpRig is the real Redis and ours, which get the same commands with the same random
// contents, under the same random settings.
type dumpRig struct {
	*rand.Rand
	t    *testing.T
	real *realRedis
	our  *ours
}

func newDumpRig(t *testing.T, seed uint64) *dumpRig {
	r := &dumpRig{Rand: rand.New(rand.NewPCG(seed, 9)), t: t, real: startRedis(t), our: newOurs(3)}
	r.real.do("HELLO", "3")
	return r
}

func (r *dumpRig) both(args ...string) {
	r.t.Helper()
	for _, end := range []interface{ do(...string) []byte }{r.real, r.our} {
		reply := end.do(args...)
		if reply[0] == '-' {
			r.t.Fatalf("%.200q: %s", args, reply)
		}
		makeConsumer(r.real, args, reply)
	}
}

// settings gives both ends the same thresholds.
func (r *dumpRig) settings() {
	set := func(name string, choices ...int) int {
		n := choices[r.IntN(len(choices))]
		if reply := r.real.do("CONFIG", "SET", name, strconv.Itoa(n)); reply[0] != '+' {
			r.t.Fatalf("CONFIG SET %s %d: %s", name, n, reply)
		}
		return n
	}
	l := *r.our.space.View(0, r.our.instant()).Limits()
	l.Hash.Entries, l.Hash.Value = set("hash-max-listpack-entries", 0, 2, 20, 512), set("hash-max-listpack-value", 0, 5, 64, 100_000)
	l.ZSet.Entries, l.ZSet.Value = set("zset-max-listpack-entries", 0, 2, 20, 128), set("zset-max-listpack-value", 0, 5, 64, 100_000)
	l.Set.Ints = set("set-max-intset-entries", 0, 2, 20, 512)
	l.ListNode = set("list-max-listpack-size", -5, -2, -1, 1, 7, 128)
	l.Stream.Bytes, l.Stream.Entries = set("stream-node-max-bytes", 0, 1, 300, 4096, 100_000), set("stream-node-max-entries", 0, 1, 3, 10, 100)
	r.our.space.SetLimits(l)
}

// number is one near an end of the forms that numbers have.
func (r *dumpRig) number() int64 {
	n := int64(1)<<[...]int{0, 6, 7, 12, 15, 16, 23, 31, 32, 53, 62, 63}[r.IntN(12)] + int64(r.IntN(3)) - 1
	if r.IntN(2) == 0 {
		n = -n
	}
	return n
}

// words is a text of so many bytes that can be packed more or less well.
func (r *dumpRig) words(n int) string {
	b := make([]byte, n)
	letters := 1 + r.IntN(200)
	for i := range b {
		b[i] = byte(r.IntN(letters))
		if i > 9 && r.IntN(4) > 0 {
			b[i] = b[i-1-r.IntN(min(i, 9000))/(1+r.IntN(900))]
		}
	}
	return string(b)
}

func (r *dumpRig) text() string {
	switch r.IntN(12) {
	case 0, 1, 2:
		return strconv.FormatInt(r.number(), 10)
	case 3, 4:
		return r.words(r.IntN(140))
	case 5:
		return r.words([...]int{62, 63, 64, 4094, 4095, 4096, 16300, 16376, 16377, 16378, 16379, 16380, 20_000}[r.IntN(13)] + r.IntN(2))
	case 6:
		return [...]string{"", "-0", "+1", "01", "1.5", "-", "9223372036854775808", "inf"}[r.IntN(8)]
	}
	return fmt.Sprintf("%c%d", 'a'+r.IntN(26), r.IntN(1000))
}

// make makes a key k of some type on both ends, and returns the command that shows it.
func (r *dumpRig) make() (kind string, show []string) {
	kinds := [...]string{"string", "list", "set", "zset", "hash", "stream"}
	kind = kinds[r.IntN(len(kinds))]
	n := 1 + r.IntN([...]int{1, 5, 30, 300}[r.IntN(4)])
	switch kind {
	case "string":
		r.both("SET", "k", r.text())
		return kind, []string{"GET", "k"}
	case "list":
		for range n {
			r.both("RPUSH", "k", r.text())
		}
		return kind, []string{"LRANGE", "k", "0", "-1"}
	case "set":
		numbers := r.IntN(2) == 0
		for range n {
			member := r.text()
			if numbers {
				member = strconv.FormatInt(r.number()/int64(1+r.IntN(100)), 10)
			}
			r.both("SADD", "k", member)
		}
		return kind, []string{"SMEMBERS", "k"}
	case "zset":
		for range n {
			r.both("ZADD", "k", r.score(), r.text())
		}
		return kind, []string{"ZRANGE", "k", "0", "-1", "WITHSCORES"}
	case "hash":
		for range n {
			r.both("HSET", "k", r.text(), r.text())
		}
		return kind, []string{"HGETALL", "k"}
	}
	r.stream(n)
	return kind, []string{"XINFO", "STREAM", "k", "FULL", "COUNT", "0"}
}

func (r *dumpRig) score() string {
	switch r.IntN(8) {
	case 0:
		return strconv.FormatInt(r.number(), 10)
	case 1:
		return [...]string{"inf", "-inf", "0", "-0", "0.1", "-1e-300", "1e300", "4611686018427387904", "1e17", "123456789.125"}[r.IntN(10)]
	case 2:
		return strconv.FormatFloat(math.Float64frombits(r.Uint64()&^(1<<62)), 'g', -1, 64)
	}
	return strconv.FormatFloat(r.NormFloat64()*1000, 'g', -1, 64)
}

// stream makes a history of a stream: n commands.
func (r *dumpRig) stream(n int) {
	ms, seq := 1+r.Uint64N(100), uint64(5)
	var ids []string
	fields := []string{"f", "g", "h", "1", "field"}[:1+r.IntN(5)]
	groups := 0
	id := func() string { return ids[r.IntN(len(ids))] }
	group := func() string { return "g" + strconv.Itoa(r.IntN(groups)) }
	for range n {
		what := r.IntN(20)
		if len(ids) == 0 {
			what = 0
		}
		switch {
		case what < 13 || what > 15 && groups == 0 && what != 19:
			if seq++; r.IntN(3) == 0 {
				ms, seq = ms+1+r.Uint64N(1<<(4*r.IntN(8))), r.Uint64N(1<<(6*r.IntN(10)))
			}
			args := []string{"XADD", "k", fmt.Sprintf("%d-%d", ms, seq)}
			for i, f := range fields {
				if r.IntN(20) > 0 || i == 0 {
					args = append(args, f, r.text())
				}
			}
			r.both(args...)
			ids = append(ids, args[2])
		case what == 13:
			r.both("XDEL", "k", id(), id())
		case what == 14:
			r.both("XTRIM", "k", "MAXLEN", "~="[r.IntN(2):][:1], strconv.Itoa(len(ids)/2))
		case what == 15:
			r.both("XTRIM", "k", "MINID", "~="[r.IntN(2):][:1], id())
		case what == 16:
			r.both("XCLAIM", "k", group(), "c"+strconv.Itoa(r.IntN(4)), "0", id(), id(), "TIME", "1700000000000", "RETRYCOUNT", "70", "FORCE", "JUSTID")
		case what == 17:
			r.both("XREADGROUP", "GROUP", group(), r.words(5), "COUNT", "3", "STREAMS", "k", ">")
		case what == 18:
			r.both("XACK", "k", group(), id())
		case groups < 3:
			r.both("XGROUP", "CREATE", "k", "g"+strconv.Itoa(groups), [...]string{"$", "0", id()}[r.IntN(3)])
			groups++
		}
	}
	if len(ids) > 0 && r.IntN(4) == 0 {
		r.both("XSETID", "k", "18446744073709551614-3", "ENTRIESADDED", "100000", "MAXDELETEDID", ids[len(ids)-1])
	}
}

// TestDumpRandom: for the same history, both ends give payloads of the same content,
// mostly the same bytes, and each takes the other's, and ours its own, and shows what
// it showed before.
func TestDumpRandom(t *testing.T) {
	rounds := 600
	if testing.Short() {
		rounds = 150
	}
	r := newDumpRig(t, 5)
	equal := map[string]int{}
	for round := range rounds {
		if round%20 == 0 {
			r.settings()
		}
		r.both("FLUSHALL")
		r.our.now += 1000
		kind, show := r.make()
		before, encoding := r.show(r.real, show...), r.real.do("OBJECT", "ENCODING", "k")
		theirs, ours := payload(t, r.real.do("DUMP", "k")), payload(t, r.our.do("DUMP", "k"))
		if theirs == ours {
			equal[kind]++
		} else if err := r.differs(kind, string(encoding), theirs, ours); err != nil {
			t.Fatalf("round %d: %s: %v\nours   %.1000q\ntheirs %.1000q", round, kind, err, ours, theirs)
		}
		for _, p := range []struct {
			name    string
			end     interface{ do(...string) []byte }
			payload string
		}{{"theirs to ours", r.our, theirs}, {"ours to theirs", r.real, ours}, {"ours to ours", r.our, ours}} {
			end, wanted := p.end, before
			if p.payload == ours {
				wanted = r.show(r.our, show...)
			}
			if got := end.do("RESTORE", "k", "0", p.payload, "REPLACE"); string(got) != "+OK\r\n" {
				t.Fatalf("round %d: %s, %s: %s\n%q", round, kind, p.name, got, p.payload)
			}
			if got := r.show(end, show...); !equalLines([]byte(got), []byte(wanted)) || kind != "hash" && kind != "set" && got != wanted {
				t.Fatalf("round %d: %s, %s: got %.3000q\nwant %.3000q", round, kind, p.name, got, wanted)
			}
			if got := end.do("OBJECT", "ENCODING", "k"); !sameEncoding(kind, string(got), string(encoding)) {
				t.Fatalf("round %d: %s, %s: encoding %q, want %q", round, kind, p.name, got, encoding)
			}
			if p.name == "theirs to ours" {
				r.our.do("RESTORE", "k", "0", ours, "REPLACE")
			}
		}
	}
	t.Logf("payloads of the same bytes: %v", equal)
	for _, kind := range []string{"string", "list", "set", "zset", "hash", "stream"} {
		if equal[kind] < rounds/40 {
			t.Errorf("only %d payloads of kind %s are the same bytes", equal[kind], kind)
		}
	}
}

var treeNodes = regexp.MustCompile(`radix-tree-nodes\r\n:\d+`)

// show is what a command answers, but for a number that we don't have, and one that 7.0
// has not.
func (r *dumpRig) show(end interface{ do(...string) []byte }, args ...string) string {
	return treeNodes.ReplaceAllString(string(as70(end.do(args...))), "")
}

// sameEncoding: ours has 7.2's small sets, which 7.0 has not.
func sameEncoding(kind, got, want string) bool {
	return got == want || kind == "set" && strings.Contains(got, "listpack") && strings.Contains(want, "hashtable") ||
		kind == "set" && strings.Contains(want, "listpack") && strings.Contains(got, "hashtable")
}

// differs says how two payloads that are not the same bytes differ more than they may:
// tables are in another order, deleted entries of a stream have other contents, times
// were taken from two clocks, and Redis's compressor also finds what earlier strings left
// in its table, which it does not clear.
func (r *dumpRig) differs(kind, encoding, theirs, ours string) error {
	a, err := rdb.Decode([]byte(theirs), math.MaxInt32)
	if err != nil {
		return err
	}
	b, err := rdb.Decode([]byte(ours), math.MaxInt32)
	switch {
	case err != nil:
		return err
	case theirs[0] != ours[0]:
		return fmt.Errorf("another form")
	case kind == "stream":
		maskTimes(a.Stream)
		maskTimes(b.Stream)
		if !reflect.DeepEqual(a, b) {
			return fmt.Errorf("%+v\n%+v", a.Stream, b.Stream)
		}
	case (kind == "set" || kind == "hash") && strings.Contains(encoding, "hashtable"):
		if !slices.Equal(sortedItems(a), sortedItems(b)) {
			return fmt.Errorf("other members")
		}
	case !reflect.DeepEqual(a, b):
		return fmt.Errorf("other content")
	}
	return nil
}

// sortedItems are the members of a set, or the fields of a hash with their values.
func sortedItems(o *rdb.Object) (all []string) {
	for i := 0; i < len(o.Items); i++ {
		text := strconv.Quote(string(o.Items[i]))
		if o.Kind == rdb.Hash {
			i++
			text += strconv.Quote(string(o.Items[i]))
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

func maskTimes(s *rdb.StreamObject) {
	for i := range s.Groups {
		for j := range s.Groups[i].Pending {
			s.Groups[i].Pending[j].Time = 0
		}
		for j := range s.Groups[i].Consumers {
			c := &s.Groups[i].Consumers[j]
			c.Seen, c.Active = 0, 0
		}
	}
}

// TestDumpStreamGoesOn: a stream that came to Redis as our payload goes on there as the
// one that Redis made itself: nodes are cut at the same places.
func TestDumpStreamGoesOn(t *testing.T) {
	r := newDumpRig(t, 6)
	rounds := 100
	if testing.Short() {
		rounds = 30
	}
	for round := range rounds {
		if round%10 == 0 {
			r.settings()
		}
		r.both("FLUSHALL")
		r.stream(1 + r.IntN(60))
		r.both("XADD", "k", "18446744073709551615-1", "f", r.words(9))
		r.both("XADD", "k", "18446744073709551615-2", "f", r.text())
		r.both("XDEL", "k", "18446744073709551615-"+strconv.Itoa(1+r.IntN(2)))
		if got := r.real.do("RESTORE", "c", "0", payload(t, r.our.do("DUMP", "k"))); string(got) != "+OK\r\n" {
			t.Fatalf("round %d: %s", round, got)
		}
		for i := range 15 {
			text := r.text()
			var shown [2][]byte
			for j, key := range []string{"k", "c"} {
				if reply := r.real.do("XADD", key, "18446744073709551615-*", "f", text); reply[0] != '$' {
					t.Fatalf("%q", reply)
				}
				if i > 10 {
					r.real.do("XTRIM", key, "MAXLEN", "~", "9")
				}
				shown[j] = r.real.do("XINFO", "STREAM", key)
			}
			if !bytes.Equal(shown[0], shown[1]) {
				t.Fatalf("round %d: %q\nas it came from us %q", round, shown[0], shown[1])
			}
		}
	}
}
