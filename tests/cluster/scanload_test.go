package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// scannedType is the type of the lasting key of that number.
func scannedType(n int) string {
	switch n % 16 {
	case 1:
		return "hash"
	case 2:
		return "set"
	case 3:
		return "zset"
	case 4:
		return "list"
	}
	return "string"
}

// fillScanned writes so many lasting keys, and a hash, a set and a sorted set of so many
// lasting members.
func fillScanned(t *testing.T, client redis.UniversalClient, total int) {
	t.Helper()
	const each = 1000
	for from := 0; from < total; from += each {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			fields, members, scored := []any{"HSET", "big:hash"}, []any{"SADD", "big:set"}, []any{"ZADD", "big:zset"}
			for n := from; n < min(from+each, total); n++ {
				name := fmt.Sprint(lasting, n)
				switch scannedType(n) {
				case "hash":
					p.HSet(ctx, name, "f", n)
				case "set":
					p.SAdd(ctx, name, n, "m")
				case "zset":
					p.ZAdd(ctx, name, redis.Z{Score: float64(n), Member: "m"})
				case "list":
					p.RPush(ctx, name, n)
				default:
					p.Set(ctx, name, n, 0)
				}
				fields, members, scored = append(fields, name, n), append(members, name), append(scored, n, name)
			}
			p.Do(ctx, fields...)
			p.Do(ctx, members...)
			p.Do(ctx, scored...)
			return nil
		})
		check(t, err)
	}
}

// scanLoad is writers that change all but what lasts, and of that all but that it is
// there: they add, delete, rename, expire and resize keys and members in waves, so that
// the tables grow and shrink.
type scanLoad struct {
	total int
	stop  chan struct{}
	wg    sync.WaitGroup

	mu     sync.Mutex
	times  []time.Duration // of each pipeline that succeeded; guarded by mu
	writes int             // guarded by mu
	failed int             // pipelines in which something failed; guarded by mu
	words  map[string]int  // how the errors of commands began; guarded by mu
}

const scanPipeline = 32

func startScanLoad(t *testing.T, c *proc.Cluster, writers, total int) *scanLoad {
	l := &scanLoad{total: total, stop: make(chan struct{}), words: map[string]int{}}
	for w := range writers {
		client := attentive(t, c)
		l.wg.Go(func() { l.write(client, w) })
	}
	return l
}

func (l *scanLoad) end() {
	close(l.stop)
	l.wg.Wait()
}

func (l *scanLoad) write(client redis.UniversalClient, writer int) {
	rnd := rand.New(rand.NewPCG(3, uint64(writer)))
	wave := max(1000, l.total/32)
	for i := 0; ; i += scanPipeline {
		select {
		case <-l.stop:
			return
		default:
		}
		round, at := i/wave/2, i%(2*wave)
		start := time.Now()
		cmds, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for j := range scanPipeline {
				if at < wave {
					l.grow(p, rnd, fmt.Sprintf("temp:{%d:%d:%d}", writer, round, at+j))
				} else {
					l.shrink(p, rnd, fmt.Sprintf("temp:{%d:%d:%d}", writer, round, at-wave+j))
				}
				l.touch(p, rnd)
			}
			return nil
		})
		l.note(cmds, err, time.Since(start))
	}
}

func (l *scanLoad) note(cmds []redis.Cmder, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, cmd := range cmds {
		if e := cmd.Err(); e != nil && e != redis.Nil {
			word, _, _ := strings.Cut(e.Error(), " ")
			l.words[word]++
		} else {
			l.writes++
		}
	}
	if err != nil && err != redis.Nil {
		l.failed++
		return
	}
	l.times = append(l.times, took)
}

// grow adds a key, of which some go by themselves, or members.
func (l *scanLoad) grow(p redis.Pipeliner, rnd *rand.Rand, name string) {
	switch rnd.IntN(8) {
	case 0:
		p.Set(ctx, name, strings.Repeat("x", rnd.IntN(6000)), time.Duration(20+rnd.IntN(500))*time.Millisecond)
	case 1:
		p.HSet(ctx, "big:hash", name, "v", name+"'", strings.Repeat("y", rnd.IntN(100)))
	case 2:
		p.HSet(ctx, "big:hash", name, "v")
		p.Do(ctx, "HPEXPIRE", "big:hash", 20+rnd.IntN(500), "FIELDS", 1, name)
	case 3:
		p.SAdd(ctx, "big:set", name, name+"'")
	case 4:
		p.ZAdd(ctx, "big:zset", redis.Z{Score: rnd.Float64(), Member: name}, redis.Z{Score: 1, Member: name + "'"})
	case 5:
		p.ZAdd(ctx, name, redis.Z{Score: 1, Member: "m"})
	default:
		p.Set(ctx, name, strings.Repeat("z", rnd.IntN(200)), 0)
	}
}

// shrink takes away or renames what grow added under the same name, whatever that was.
func (l *scanLoad) shrink(p redis.Pipeliner, rnd *rand.Rand, name string) {
	switch rnd.IntN(10) {
	case 0:
		p.Append(ctx, name+"r", "x")
		p.Rename(ctx, name+"r", name)
	case 1:
		p.PExpire(ctx, name, 30*time.Millisecond)
	}
	p.Unlink(ctx, name)
	p.HDel(ctx, "big:hash", name, name+"'")
	p.SRem(ctx, "big:set", name, name+"'")
	p.ZRem(ctx, "big:zset", name, name+"'")
}

// touch changes something that lasts.
func (l *scanLoad) touch(p redis.Pipeliner, rnd *rand.Rand) {
	n := rnd.IntN(l.total)
	name := fmt.Sprint(lasting, n)
	switch rnd.IntN(12) {
	case 0:
		if scannedType(n) == "string" {
			p.Set(ctx, name, strings.Repeat("s", rnd.IntN(6000)), 0)
		}
	case 1:
		p.Expire(ctx, name, time.Hour)
	case 2:
		p.Persist(ctx, name)
	case 3:
		p.HSet(ctx, "big:hash", name, strings.Repeat("v", rnd.IntN(100)))
	case 4:
		p.Do(ctx, "HEXPIRE", "big:hash", 3600, "FIELDS", 1, name)
	case 5:
		p.Do(ctx, "HPERSIST", "big:hash", "FIELDS", 1, name)
	case 6:
		p.ZIncrBy(ctx, "big:zset", rnd.Float64(), name)
	}
}

// report is what the writers did since the last one.
func (l *scanLoad) report() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.times)
	at := func(q float64) time.Duration {
		if len(l.times) == 0 {
			return 0
		}
		return l.times[int(q*float64(len(l.times)-1))].Round(10 * time.Microsecond)
	}
	text := fmt.Sprintf("%d writes; a pipeline of some %d took p50 %v, p99 %v, at most %v; %d failed %v",
		l.writes, 2*scanPipeline, at(0.5), at(0.99), at(1), l.failed, l.words)
	l.times, l.writes, l.failed, l.words = nil, 0, 0, map[string]int{}
	return text
}
