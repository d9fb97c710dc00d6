//go:build linux

package bench

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// typed is a load of one of Redis's types: a command that redis-benchmark repeats, and
// what must be stored for it to do what it is measured for.
type typed struct {
	group   string
	label   string // what the tables call it; no two have the same
	command string // %r is a random number, of 12 digits with leading zeros; %v a value of 64 B,
	// %i an index, far from both ends
	goal float64
	over numbers
	read bool
	// What is there before: nothing, where a write makes it; collections that each round
	// finds as the first one did; enough for every request of a round to take one away.
	fill   *filling
	supply bool
}

// numbers is how many %r is one of.
type numbers int

const (
	few  numbers = iota // some thousand keys
	many                // a million, the members of a single collection
)

// The goals are the project's: half of Redis for ranges of 100, 0.6 for all else.
const (
	usualGoal = 0.6
	rangeGoal = 0.5
)

// typesDB is the database that they use: it is emptied between them, the keys of the
// other parts are not.
const typesDB = 1

// typedLoads are all of them. Numbers that Redis refuses with leading zeros (offsets of
// bits, indexes) cannot be random here.
var typedLoads = []typed{
	{group: "string", label: "INCR", command: "INCR i:%r"},
	{group: "string", label: "APPEND", command: "APPEND a:%r 0123456789abcdef"},
	{group: "hash", label: "HSET", command: "HSET h:%r f:%r %v"},
	{group: "hash", label: "HINCRBY", command: "HINCRBY h:%r f:%r 1"},
	{group: "hash", label: "HGET", command: "HGET h:%r f:000000000042", read: true, fill: hashes},
	{group: "hash", label: "HMGET of 5", command: "HMGET h:%r f:000000000003 f:000000000022 f:000000000042 f:000000000061 f:000000000097", read: true, fill: hashes},
	{group: "hash", label: "HGETALL of 100", command: "HGETALL h:%r", read: true, fill: hashes, goal: rangeGoal},
	{group: "hash", label: "HSET in 1 M", command: "HSET big f:%r 0123456789abcdef", over: many, fill: bigHash},
	{group: "hash", label: "HGET in 1 M", command: "HGET big f:%r", read: true, over: many, fill: bigHash},

	{group: "list", label: "LPUSH", command: "LPUSH l:%r %v"},
	{group: "list", label: "RPOP", command: "RPOP l:%r", fill: lists, supply: true},
	{group: "list", label: "LINDEX", command: "LINDEX l:%r 50", read: true, fill: lists},
	{group: "list", label: "LRANGE of 100", command: "LRANGE l:%r 0 99", read: true, fill: lists, goal: rangeGoal},
	{group: "list", label: "LSET in 1 M", command: "LSET big %i %v", over: many, fill: bigList},
	{group: "list", label: "LINDEX in 1 M", command: "LINDEX big %i", read: true, over: many, fill: bigList},

	{group: "set", label: "SADD", command: "SADD s:%r m:%r"},
	{group: "set", label: "SPOP", command: "SPOP s:%r", fill: sets, supply: true},
	{group: "set", label: "SISMEMBER", command: "SISMEMBER s:%r m:000000000042", read: true, fill: sets},
	{group: "set", label: "SMEMBERS of 100", command: "SMEMBERS s:%r", read: true, fill: sets, goal: rangeGoal},
	{group: "set", label: "SADD to 1 M", command: "SADD big n:%r", over: many, fill: bigSet},
	{group: "set", label: "SISMEMBER in 1 M", command: "SISMEMBER big m:%r", read: true, over: many, fill: bigSet},
	{group: "set", label: "SRANDMEMBER of 1 M", command: "SRANDMEMBER big", read: true, over: many, fill: bigSet},

	{group: "sorted set", label: "ZADD", command: "ZADD z:%r %r m:%r"},
	{group: "sorted set", label: "ZINCRBY", command: "ZINCRBY z:%r 1 m:%r"},
	{group: "sorted set", label: "ZSCORE", command: "ZSCORE z:%r m:000000000042", read: true, fill: zsets},
	{group: "sorted set", label: "ZRANK", command: "ZRANK z:%r m:000000000042", read: true, fill: zsets},
	{group: "sorted set", label: "ZRANGE of 100", command: "ZRANGE z:%r 0 99", read: true, fill: zsets, goal: rangeGoal},
	{group: "sorted set", label: "ZADD in 1 M", command: "ZADD big %r m:%r", over: many, fill: bigZSet},
	{group: "sorted set", label: "ZRANK in 1 M", command: "ZRANK big m:%r", read: true, over: many, fill: bigZSet},
	{group: "sorted set", label: "ZRANGE BYSCORE of 100 in 1 M", command: "ZRANGE big %r +inf BYSCORE LIMIT 0 100", read: true, over: many, fill: bigZSet, goal: rangeGoal},

	{group: "geo", label: "GEOADD", command: "GEOADD g:%r %re-2 %re-2 m:%r"},
	{group: "geo", label: "GEOSEARCH", command: "GEOSEARCH g:%r FROMLONLAT 25 25 BYRADIUS 1000 km", read: true, fill: geos},

	// A bit that is set already is nothing that Redis would write: so each is a key's first.
	{group: "bitmap", label: "SETBIT", command: "SETBIT b:%r 7 1", over: many},
	{group: "bitmap", label: "BITFIELD INCRBY", command: "BITFIELD b:%r INCRBY u32 4320 1"},
	{group: "bitmap", label: "GETBIT", command: "GETBIT b:%r 4321", read: true, fill: bitmaps},
	{group: "bitmap", label: "BITCOUNT", command: "BITCOUNT b:%r", read: true, fill: bitmaps},

	{group: "HyperLogLog", label: "PFADD", command: "PFADD p:%r m:%r"},
	{group: "HyperLogLog", label: "PFCOUNT", command: "PFCOUNT p:%r", read: true, fill: hlls},

	{group: "stream", label: "XADD", command: "XADD x:%r * f %v"},
	{group: "stream", label: "XADD MAXLEN ~ 100", command: "XADD x:%r MAXLEN ~ 100 * f %v"},
	{group: "stream", label: "XRANGE of 100", command: "XRANGE x:%r - +", read: true, fill: streams},
	{group: "stream", label: "XREAD of 10", command: "XREAD COUNT 10 STREAMS x:%r 50", read: true, fill: streams},
	{group: "stream", label: "XADD to 1 M", command: "XADD big * f %v", over: many, fill: bigStream},
	{group: "stream", label: "XRANGE of 100 in 1 M", command: "XRANGE big %r + COUNT 100", read: true, over: many, fill: bigStream},
}

// filling is what is stored before a load.
type filling struct {
	// each makes the command that stores members from one number up to another in the
	// collection of that number.
	each func(collection, from, to int) []string
	// big is a single collection, with as many members as the others have together.
	big bool
	// single says that each member needs a command of its own.
	single bool
}

var (
	hashes    = &filling{each: pairs("HSET h:", "f:", "0123456789abcdef")}
	bigHash   = &filling{each: pairs("HSET big", "f:", "0123456789abcdef"), big: true}
	lists     = &filling{each: members("RPUSH l:", "value:")}
	bigList   = &filling{each: members("RPUSH big", "value:"), big: true}
	sets      = &filling{each: members("SADD s:", "m:")}
	bigSet    = &filling{each: members("SADD big", "m:"), big: true}
	hlls      = &filling{each: members("PFADD p:", "m:")}
	bitmaps   = &filling{each: func(c, _, _ int) []string { return []string{"SETBIT", digits("b:", c), "4999", "1"} }}
	streams   = &filling{each: stream("x:"), single: true}
	bigStream = &filling{each: stream("big"), single: true, big: true}

	zsets   = &filling{each: scored("ZADD z:")}
	bigZSet = &filling{each: scored("ZADD big"), big: true}
	geos    = &filling{each: func(c, from, to int) []string {
		words := []string{"GEOADD", digits("g:", c)}
		for i := from; i < to; i++ {
			words = append(words, fmt.Sprint(i*37%50), fmt.Sprint(i*17%50), digits("m:", i))
		}
		return words
	}}
)

// digits is a name with a number as redis-benchmark writes it; one that ends in no
// colon has none.
func digits(name string, number int) string {
	if !strings.HasSuffix(name, ":") {
		return name
	}
	return fmt.Sprintf("%s%012d", name, number)
}

// all makes a filling's commands: a head of command and key, then words for each member.
func all(head string, words func(member int) []string) func(c, from, to int) []string {
	command, key, _ := strings.Cut(head, " ")
	return func(c, from, to int) []string {
		out := []string{command, digits(key, c)}
		for i := from; i < to; i++ {
			out = append(out, words(i)...)
		}
		return out
	}
}

func members(head, member string) func(c, from, to int) []string {
	return all(head, func(i int) []string { return []string{digits(member, i)} })
}

func pairs(head, member, value string) func(c, from, to int) []string {
	return all(head, func(i int) []string { return []string{digits(member, i), value} })
}

func scored(head string) func(c, from, to int) []string {
	return all(head, func(i int) []string { return []string{fmt.Sprint(i), digits("m:", i)} })
}

func stream(key string) func(c, from, to int) []string {
	return all("XADD "+key, func(i int) []string { return []string{fmt.Sprintf("%d-1", i+1), "f", "0123456789abcdef"} })
}

// commands are all that store so many members in each of so many collections.
func (f *filling) commands(collections, each int) iter.Seq[[]string] {
	step := 100 // members in one command
	if f.single {
		step = 1
	}
	return func(yield func([]string) bool) {
		for c := range collections {
			for from := 0; from < each; from += step {
				if !yield(f.each(c, from, min(from+step, each))) {
					return
				}
			}
		}
	}
}

// typedShapes are the shapes of the types.
func (s *Scale) typedShapes() (shapes []Shape) {
	for i := range typedLoads {
		t := &typedLoads[i]
		keys := max(1, s.Keys/20)
		if t.over == many {
			keys = s.Million
		}
		shapes = append(shapes, Shape{
			Name: t.label + " c=50 P=16", Part: "types", Group: t.group, Command: t.label, Conns: 50, Pipeline: 16, Size: usual, Keys: keys, typed: t,
		})
	}
	return shapes
}

// limit is the goal for a load's ratio to Redis.
func (t *typed) limit() float64 {
	if t.goal != 0 {
		return t.goal
	}
	return usualGoal
}

// words are the command as redis-benchmark takes it.
func (t *typed) words(keys int) []string {
	r := strings.NewReplacer("%r", "__rand_int__", "%v", strings.Repeat("v", usual), "%i", fmt.Sprint(keys*2/5))
	return strings.Fields(r.Replace(t.command))
}

// hundred is how many members the collections have of which there are thousands.
const hundred = 100

// ready has a server hold what a load needs before so many requests. What a load reads
// stays for the next one, and so do single collections: a round changes little of them.
func (r *runner) ready(ctx context.Context, s peers.Server, shape Shape, requests int) error {
	t := shape.typed
	if t == nil {
		return nil
	}
	if stays := t.fill != nil && (t.read || t.fill.big); stays && r.filled[s.Name()] == t.fill {
		return nil
	}
	addr, err := s.Addr(ctx)
	if err != nil {
		return err
	}
	r.filled[s.Name()] = t.fill
	return load.Feed(ctx, addr, typesDB, t.before(shape.Keys, requests))
}

// before are the commands that make what there must be.
func (t *typed) before(keys, requests int) iter.Seq[[]string] {
	collections, each := keys, hundred
	switch {
	case t.fill == nil:
	case t.fill.big:
		collections, each = 1, keys
	case t.supply: // a key that is drawn more often than others must not run dry
		mean := float64(requests) / float64(keys)
		each = int(mean+6*math.Sqrt(mean)) + 1
	}
	return func(yield func([]string) bool) {
		if yield([]string{"FLUSHDB"}) && t.fill != nil {
			t.fill.commands(collections, each)(yield)
		}
	}
}

// types measures all of them, and leaves nothing behind that would slow what comes next.
func (r *runner) types(ctx context.Context) error {
	r.filled = map[string]*filling{}
	if err := throughput("types")(r, ctx); err != nil {
		return err
	}
	for _, s := range r.field {
		if !(Shape{typed: &typed{}}).fits(s.Name()) {
			continue
		}
		addr, err := s.Addr(ctx)
		if err != nil {
			return err
		}
		if err := load.Feed(ctx, addr, typesDB, slices.Values([][]string{{"FLUSHDB"}})); err != nil {
			return err
		}
	}
	return r.quiet(ctx, r.field...)
}
