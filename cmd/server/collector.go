package main

import (
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// How much the heap may grow from one collection to the next: a share of what is
// alive, but not less than a least. Go's default, as much again, is wrong at both
// ends. A small heap would be collected dozens of times a second under writes, and a
// large one would take twice the memory of its keys, though collecting it is cheap:
// keys lie in pages without pointers. DESIGN.md has what was measured.
const (
	leastHeadroom = 32 << 20
	headroomShare = 4 // one part in so many

	// memoryShare is how much of the memory that the process may have it takes before
	// the collector runs more often than the headroom says. What is mapped, the system's
	// own and the log's pages on their way to the disk have the rest.
	memoryShare = 0.9
)

// headroom is how many bytes the heap may grow beside so many that are alive.
func headroom(live uint64) uint64 { return max(live/headroomShare, leastHeadroom) }

// percent is the setting of debug.SetGCPercent for that headroom. The runtime takes a
// heap for at least 4 MB times percent / 100, so a smaller one would gain nothing.
func percent(live uint64) int {
	const least = 4 << 20
	return int(headroom(live) * 100 / max(live, least))
}

// collector sets the garbage collector anew after each of its cycles, by what that
// one left alive.
type collector struct {
	mu      sync.Mutex
	stopped bool // guarded by mu
	now     int  // the present setting; guarded by mu
}

// tuneCollector keeps the collector's setting right until stop is called, which brings
// back the one before, and sets the runtime's soft limit of memory. Where the
// environment has a setting of its own it does nothing.
func tuneCollector(variables []string, log *slog.Logger) (stop func()) {
	for _, v := range variables {
		if name, value, _ := strings.Cut(v, "="); value != "" && (name == "GOGC" || name == "GOMEMLIMIT") {
			return func() {}
		}
	}
	c := &collector{}
	before := c.set()
	c.await()
	limit := limitMemory(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem), log)
	return func() {
		debug.SetMemoryLimit(limit)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.stopped {
			c.stopped = true
			debug.SetGCPercent(before)
		}
	}
}

// limitMemory sets the runtime's soft limit to a share of what the process may have, and
// returns the one before. Above it the collector takes up to half of the cores, which is
// better than to be killed where garbage is what is too much.
func limitMemory(available memlimit.Provider, log *slog.Logger) (before int64) {
	limit, err := memlimit.ApplyRatio(available, memoryShare)()
	if err != nil {
		log.Warn("no soft limit of memory: how much there is cannot be read", "error", err)
		return debug.SetMemoryLimit(-1)
	}
	log.Debug("soft limit of memory", "bytes", limit)
	return debug.SetMemoryLimit(int64(min(limit, math.MaxInt64)))
}

// tripwire is collected in the next cycle. It is too large for the allocator to put
// several into one block, which would live as long as the last of them.
type tripwire struct{ _ [32]byte }

// await calls cycled after the collection that comes next.
func (c *collector) await() { runtime.AddCleanup(new(tripwire), (*collector).cycled, c) }

func (c *collector) cycled() {
	c.set()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.await()
	}
}

// set brings the setting up to date and returns the one before. Each change stops all
// goroutines for some ten microseconds, so small ones are left.
func (c *collector) set() (before int) {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}} // as the last cycle marked them
	metrics.Read(sample)
	want := percent(sample[0].Value.Uint64())
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.now
	if off := want - c.now; !c.stopped && max(off, -off) > c.now/16 {
		before = debug.SetGCPercent(want)
		c.now = want
	}
	return before
}
