package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// walk is one SCAN, HSCAN, SSCAN or ZSCAN from its beginning to its end, and what it
// has shown of what lasts: keys and members whose names end in lasting and a number.
type walk struct {
	name  string
	words []any // the command, %cursor and %count as such
	wants func(number int) bool
	each  int // how many words of the reply an element has

	// passes says whether the command's filter is to let a name pass; nil is all.
	passes func(name string) bool
	spoil  func(cursor uint64) uint64 // a planted fault

	rnd     *rand.Rand
	seen    []int // how often, by number
	found   int   // numbers seen at least once
	cursor  uint64
	over    bool
	calls   int
	took    time.Duration
	longest time.Duration // of one call
}

// lasting is how the names of what lasts begin.
const lasting = "lasting:"

// mostScanned is the largest COUNT that a walk asks for.
const mostScanned = 1000

// allWalks are the walks over what fillScanned wrote.
func allWalks(total int) []*walk {
	any := func(int) bool { return true }
	make := func(name, line string, each int) *walk {
		w := &walk{name: name, each: each, wants: any, seen: make([]int, total), rnd: rand.New(rand.NewPCG(1, uint64(len(line))))}
		for _, word := range strings.Fields(line) {
			w.words = append(w.words, word)
		}
		return w
	}
	match := make("SCAN MATCH", "SCAN %cursor MATCH lasting:*7 COUNT %count", 1)
	match.wants = func(n int) bool { return n%10 == 7 }
	match.passes = func(name string) bool { return strings.HasPrefix(name, lasting) && strings.HasSuffix(name, "7") }
	typed := make("SCAN TYPE", "SCAN %cursor COUNT %count TYPE zset", 1)
	typed.wants = func(n int) bool { return scannedType(n) == "zset" }
	typed.passes = func(name string) bool {
		n, is := numberOf(name)
		return !is || typed.wants(n)
	}
	hmatch := make("HSCAN MATCH", "HSCAN big:hash %cursor MATCH lasting:*3* COUNT %count", 2)
	hmatch.wants = func(n int) bool { return strings.Contains(strconv.Itoa(n), "3") }
	hmatch.passes = func(name string) bool { n, is := numberOf(name); return is && hmatch.wants(n) }
	return []*walk{
		make("SCAN", "SCAN %cursor COUNT %count", 1), match, typed,
		make("HSCAN", "HSCAN big:hash %cursor COUNT %count", 2), hmatch,
		make("SSCAN", "SSCAN big:set %cursor COUNT %count", 1),
		make("ZSCAN", "ZSCAN big:zset %cursor COUNT %count", 2),
	}
}

// numberOf is the number of what lasts; is says whether that is one.
func numberOf(name string) (n int, is bool) {
	digits, is := strings.CutPrefix(name, lasting)
	if !is {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil
}

// run goes on until that share of what lasts is found, or with 1 to the end.
func (w *walk) run(via *route, share float64) error {
	start := time.Now()
	defer func() { w.took += time.Since(start) }()
	want := 0
	for n := range w.seen {
		if w.wants(n) {
			want++
		}
	}
	for !w.over && (share == 1 || float64(w.found) < share*float64(want)) {
		args := append([]any{}, w.words...)
		for i, word := range args {
			switch word {
			case "%cursor":
				args[i] = strconv.FormatUint(w.cursor, 10)
			case "%count":
				args[i] = 1 + w.rnd.IntN(mostScanned)
			}
		}
		asked := time.Now()
		reply, err := via.do(args)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		w.longest = max(w.longest, time.Since(asked))
		if err := w.take(reply); err != nil {
			return fmt.Errorf("%v: %w", args, err)
		}
	}
	return nil
}

// take counts what a reply shows.
func (w *walk) take(reply any) (err error) {
	pair, _ := reply.([]any)
	if len(pair) != 2 {
		return fmt.Errorf("the reply is %v", reply)
	}
	if w.cursor, err = strconv.ParseUint(fmt.Sprint(pair[0]), 10, 64); err != nil {
		return err
	}
	w.calls++
	w.over = w.cursor == 0
	if w.spoil != nil && !w.over {
		w.cursor = w.spoil(w.cursor)
	}
	items, _ := pair[1].([]any)
	for i := 0; i < len(items); i += w.each {
		name := fmt.Sprint(items[i])
		if w.passes != nil && !w.passes(name) {
			return fmt.Errorf("the filter let %q pass", name)
		}
		n, is := numberOf(name)
		if !is {
			continue
		}
		if n >= len(w.seen) {
			return fmt.Errorf("it shows %q, which was never there", name)
		}
		if w.seen[n]++; w.seen[n] == 1 {
			w.found++
		}
	}
	return nil
}

// result is how many of those that last were not shown, and how many more than once.
func (w *walk) result() (wanted, missing, twice int, first string) {
	for n, times := range w.seen {
		if !w.wants(n) {
			continue
		}
		wanted++
		if times > 1 {
			twice++
		}
		if times == 0 {
			if missing++; missing == 1 {
				first = fmt.Sprint(lasting, n)
			}
		}
	}
	return wanted, missing, twice, first
}

// route is how a walk's commands find a node: as redis-cli -c, which goes where MOVED
// sends it and tries another node when one is gone, or to one follower alone.
type route struct {
	t      *testing.T
	c      *proc.Cluster
	at     *proc.Node
	client *redis.Client // of a follower: its connections begin with READONLY
	again  int           // commands that were sent again
}

// throughLeader begins at the leader and follows it.
func throughLeader(t *testing.T, c *proc.Cluster) *route { return &route{t: t, c: c, at: c.Leader()} }

// throughFollower reads from one follower, also after its restart.
func throughFollower(t *testing.T, c *proc.Cluster, n *proc.Node) *route {
	return &route{t: t, c: c, at: n, client: n.ReadOnly()}
}

func (r *route) do(args []any) (reply any, err error) {
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); r.again++ {
		client := r.client
		if client == nil {
			client = r.at.Client()
		}
		if reply, err = client.Do(ctx, args...).Result(); err == nil {
			return reply, nil
		}
		text := err.Error()
		switch moved, isMoved := strings.CutPrefix(text, "MOVED "); {
		case isMoved && r.client != nil:
			return nil, fmt.Errorf("a follower sends elsewhere what READONLY lets it answer: %w", err)
		case isMoved:
			r.follow(moved[strings.IndexByte(moved, ' ')+1:])
		case strings.HasPrefix(text, "ERR"), strings.HasPrefix(text, "WRONGTYPE"):
			return nil, err
		case r.client == nil:
			r.next()
		default:
			time.Sleep(10 * time.Millisecond) // it is being restarted: knock again
		}
	}
	return nil, errors.Join(errors.New("nobody answers"), err)
}

func (r *route) follow(addr string) {
	for _, n := range r.c.Nodes {
		if n.RESP == addr {
			r.at = n
		}
	}
}

// next takes the node behind this one.
func (r *route) next() {
	for i, n := range r.c.Nodes {
		if n == r.at {
			r.at = r.c.Nodes[(i+1)%len(r.c.Nodes)]
			break
		}
	}
	time.Sleep(10 * time.Millisecond) // no storm while the others elect
}
