package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestHeadroom(t *testing.T) {
	for _, tt := range []struct {
		live     uint64
		headroom uint64
		percent  int
	}{
		{0, leastHeadroom, leastHeadroom * 100 >> 22},
		{leastHeadroom, leastHeadroom, 100},
		{2 * leastHeadroom, leastHeadroom, 50},
		{1 << 30, 1 << 30 / headroomShare, 100 / headroomShare},
		{1 << 40, 1 << 40 / headroomShare, 100 / headroomShare},
	} {
		if h, p := headroom(tt.live), percent(tt.live); h != tt.headroom || p != tt.percent {
			t.Errorf("%d bytes alive: headroom %d, %d %%; want %d, %d %%", tt.live, h, p, tt.headroom, tt.percent)
		}
	}
}

// heap is what is alive since the last cycle, where the next one begins, and how many
// there were.
func heap() (live, goal, cycles uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/goal:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()
}

// kept and dropped keep the compiler from leaving allocations out.
var kept, dropped []byte

// TestCollectorFollowsTheHeap: with much alive and with little, the next collection
// comes when the headroom is used up, not at twice of what is alive, and a small heap
// is collected seldom.
func TestCollectorFollowsTheHeap(t *testing.T) {
	before, limit := gcPercent(), debug.SetMemoryLimit(-1)
	stop := tuneCollector(nil, slog.New(slog.DiscardHandler))
	defer func() {
		stop()
		kept = nil
		if after := gcPercent(); after != before {
			t.Errorf("the setting is %d after stop, it was %d", after, before)
		}
		if after := debug.SetMemoryLimit(-1); after != limit {
			t.Errorf("the limit of memory is %d after stop, it was %d", after, limit)
		}
	}()
	for _, size := range []int{256 << 20, 1 << 20} {
		kept = make([]byte, size)
		runtime.GC()
		// The setting follows in a goroutine of the runtime.
		live, goal, _ := heap()
		for end := time.Now().Add(10 * time.Second); !near(goal, live+headroom(live)); live, goal, _ = heap() {
			if time.Now().After(end) {
				t.Fatalf("%d bytes kept, %d alive: the goal stays at %d, want about %d", size, live, goal, live+headroom(live))
			}
			runtime.Gosched()
		}
		if size > leastHeadroom && goal > live*3/2 {
			t.Errorf("%d bytes alive, the next collection comes at %d only", live, goal)
		}
		_, _, from := heap()
		const garbage, piece = 400 << 20, 16 << 10
		for range garbage / piece {
			dropped = make([]byte, piece)
		}
		_, _, to := heap()
		// A cycle begins, at the earliest, at 70 % of the way to its goal
		// (runtime/mgcpacer.go:minTriggerRatioNum), where marking is slow or others
		// have the cores.
		if got, most := to-from, garbage*10/7/headroom(live)+2; got == 0 || got > most {
			t.Errorf("%d bytes alive: %d collections for %d bytes of garbage, want 1 to %d", live, got, garbage, most)
		}
	}
}

// gcPercent reads the setting.
func gcPercent() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

// near says whether a and b differ by less than a fifth: stacks and globals count, and
// small changes are left.
func near(a, b uint64) bool { return max(a, b)-min(a, b) < b/5 }

// TestCollectorLeavesSettingsAlone: whoever starts the process decides.
func TestCollectorLeavesSettingsAlone(t *testing.T) {
	before, limit := gcPercent(), debug.SetMemoryLimit(-1)
	for _, v := range []string{"GOGC=50", "GOGC=off", "GOMEMLIMIT=1GiB"} {
		stop := tuneCollector([]string{"A=b", v}, slog.New(slog.DiscardHandler))
		if got := gcPercent(); got != before {
			t.Errorf("with %s the setting becomes %d", v, got)
		}
		if got := debug.SetMemoryLimit(-1); got != limit {
			t.Errorf("with %s the limit of memory becomes %d", v, got)
		}
		stop()
	}
	stop := tuneCollector([]string{"GOGC="}, slog.New(slog.DiscardHandler)) // as good as none
	if got := gcPercent(); got == before {
		t.Errorf("the setting stays at %d", got)
	}
	stop()
}

// TestMemoryLimit: the soft limit is a share of what the process may have, a machine's
// memory where nothing says less, and stays where nobody knows.
func TestMemoryLimit(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, tt := range []struct {
		bytes uint64
		err   error
		want  int64
	}{
		{10 << 30, nil, 9 << 30},
		{0, errors.New("unknown"), before},
	} {
		debug.SetMemoryLimit(before)
		if was := limitMemory(func() (uint64, error) { return tt.bytes, tt.err }, log); was != before {
			t.Errorf("the limit was %d, not %d", before, was)
		}
		if got := debug.SetMemoryLimit(-1); got != tt.want {
			t.Errorf("%d bytes: the limit is %d, want %d", tt.bytes, got, tt.want)
		}
	}
	debug.SetMemoryLimit(before)
	stop := tuneCollector(nil, log)
	got, total := debug.SetMemoryLimit(-1), machineMemory(t)
	stop()
	if got <= 0 || got > int64(float64(total)*memoryShare) {
		t.Errorf("of %d bytes of the machine the limit is %d", total, got)
	}
}

// machineMemory is what /proc says.
func machineMemory(t *testing.T) (bytes int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		t.Skip("this system has no /proc/meminfo")
	}
	if _, err := fmt.Sscanf(string(text), "MemTotal: %d kB", &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes << 10
}
