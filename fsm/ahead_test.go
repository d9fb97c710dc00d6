package fsm

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/entry"
)

// Commands that stand in one entry are looked at ahead, their members too; one that
// stands alone is not. Both must do the same, whatever those before it do to the
// collection: split its pages, make it another one, remove it.
func TestMembersAheadChangeNothing(t *testing.T) {
	together, alone := newRig(t), newRig(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	line := func() string {
		k, m := rnd.IntN(3), rnd.IntN(3000)
		switch rnd.IntN(30) {
		case 0, 1, 2, 3:
			return fmt.Sprintf("SADD s%d m%d", k, m)
		case 4, 5:
			return fmt.Sprintf("SREM s%d m%d", k, m)
		case 6, 7, 8, 9:
			return fmt.Sprintf("HSET h%d f%d %d", k, m, rnd.IntN(1<<rnd.IntN(30)))
		case 10, 11:
			return fmt.Sprintf("HDEL h%d f%d", k, m)
		case 12:
			return fmt.Sprintf("HINCRBY h%d f%d 7", k, m)
		case 13, 14, 15, 16:
			return fmt.Sprintf("ZADD z%d %d m%d", k, rnd.IntN(1000), m)
		case 17:
			return fmt.Sprintf("ZADD z%d XX %d m%d", k, rnd.IntN(1000), m)
		case 18:
			return fmt.Sprintf("ZINCRBY z%d 3 m%d", k, m)
		case 19, 20:
			return fmt.Sprintf("ZREM z%d m%d", k, m)
		case 21:
			return fmt.Sprintf("SMOVE s%d s%d m%d", k, (k+1)%3, m)
		case 22, 23:
			return fmt.Sprintf("%s l%d %0*d", []string{"LPUSH", "RPUSH"}[m%2], k, 1+rnd.IntN(100)*rnd.IntN(2), m)
		case 24:
			return fmt.Sprintf("%s l%d 3", []string{"LPOP", "RPOP"}[m%2], k)
		case 25, 26:
			return fmt.Sprintf("XADD x%d %d-* f %d", k, m/1000, m)
		case 27:
			return fmt.Sprintf("XTRIM x%d MAXLEN %d", k, m)
		}
		if rnd.IntN(400) > 0 {
			return fmt.Sprintf("SISMEMBER s%d m%d", k, m)
		}
		return []string{"DEL s%d", "DEL h%d", "RENAME z%d z0", "DEL l%d", "DEL x%d", "COPY l%d l0 REPLACE", "COPY s%d s0 REPLACE", "SET h%d string"}[rnd.IntN(8)]
	}
	largest := 0
	for range 300 {
		var lines []string
		for range 100 {
			l := line()
			if strings.Contains(l, "%d") {
				l = fmt.Sprintf(l, rnd.IntN(3))
			}
			lines = append(lines, l)
		}
		var ps []entry.Proposal
		for i := 0; i < len(lines); i += 10 {
			ps = append(ps, entry.Proposal{Commands: writes(lines[i : i+10]...)})
		}
		var got string
		for _, reply := range together.apply(ps...) {
			got += reply + " "
		}
		var want string
		for _, l := range lines {
			want += alone.do(l) + " "
		}
		if got != want {
			t.Fatalf("%q\n%s\none by one:\n%s", lines, got, want)
		}
		count, _ := together.read(0, "SCARD s1")
		n, _ := strconv.Atoi(count[1:])
		largest = max(largest, n)
		if rnd.IntN(10) == 0 { // pages are copied from here on
			together.m.Snapshot().Release()
		}
	}
	if largest < 500 {
		t.Errorf("the largest set had %d members", largest)
	}
	for _, l := range []string{"SMEMBERS s0", "SMEMBERS s1", "HGETALL h0", "HGETALL h1", "HGETALL h2", "ZRANGE z0 0 -1 WITHSCORES", "ZRANGE z1 0 -1 WITHSCORES", "LRANGE l0 0 -1", "LRANGE l1 0 -1", "XRANGE x0 - +", "XRANGE x1 - +"} {
		got, _ := together.read(0, l)
		want, _ := alone.read(0, l)
		if got != want {
			t.Errorf("%s: %s, one by one %s", l, got, want)
		}
	}
}

// Commands that share a member's bytes, as a program's own may: the place of one is
// forgotten while the next ones are looked at.
func TestMembersAheadShareBytes(t *testing.T) {
	together, alone := newRig(t), newRig(t)
	add := [][]byte{[]byte("SADD"), []byte("s")}
	for i := range 1000 {
		add = append(add, fmt.Appendf(nil, "m%d", i))
	}
	for _, r := range []*rig{together, alone} {
		r.apply(entry.Proposal{Commands: []entry.Command{{Args: add}}})
	}
	var cmds []entry.Command
	member := []byte("m7")
	for i := range 40 {
		cmds = append(cmds, entry.Command{Args: [][]byte{[]byte([]string{"SREM", "SADD"}[i%2]), []byte("s"), member}})
		if i%3 == 0 {
			cmds = append(cmds, entry.Command{Args: [][]byte{[]byte("SADD"), []byte("s"), fmt.Appendf(nil, "m%d", i)}})
		}
	}
	got, want := together.apply(entry.Proposal{Commands: cmds})[0], ""
	for _, cmd := range cmds {
		want += alone.apply(entry.Proposal{Commands: []entry.Command{cmd}})[0] + " "
	}
	if got+" " != want {
		t.Errorf("%s\none by one:\n%s", got, want)
	}
}
