// Package limits tries to break every limit of a node, as a stranger on its network
// would, while another client works: it measures that client's waits and the node's
// memory meanwhile, and checks that leadership stays where it was. It knows nothing of
// the code under test. Its sizes are small, so that the tests stay short;
// RAFTKV_LIMITS=full makes them what a stranger would take who means it.
package limits

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/attack"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// fullEnv asks for the large sizes.
const fullEnv = "RAFTKV_LIMITS"

// full says whether it does.
func full() bool { return os.Getenv(fullEnv) == "full" }

// size is one of two: for every day, and full.
func size(short, long int) int {
	if full() {
		return long
	}
	return short
}

func TestMain(m *testing.M) {
	redis.SetLogger(silence{})
	code := proc.Main(m)
	table.Print()
	os.Exit(code)
}

// silence drops what go-redis logs of connections that were cut.
type silence struct{}

// Printf is go-redis' logger's.
func (silence) Printf(context.Context, string, ...any) {}

// target is a cluster under attack.
type target struct {
	*proc.Cluster
	leader *proc.Node
	term   int64
}

// start starts a cluster of three whose leader is the target.
func start(t *testing.T, flags ...string) *target {
	t.Helper()
	return targetOf(t, proc.StartCluster(t, 3, flags...))
}

func targetOf(t *testing.T, c *proc.Cluster) *target {
	t.Helper()
	leader := c.Leader()
	status, err := leader.Status()
	if err != nil {
		t.Fatal(err)
	}
	return &target{c, leader, status.Term}
}

// bounds are what must hold during an attack.
type bounds struct {
	memory int           // MiB that the node may take more than before
	p99    time.Duration // of the other client's commands
	reads  bool          // the other client only reads: writes are to be refused
}

// everyday is for attacks that send little. The machine may be shared and busy, so the
// bound of the waits is one of order, not of speed.
var everyday = bounds{memory: 96, p99: time.Second}

// atMost is everyday with another bound of the memory.
func atMost(memory int) bounds {
	b := everyday
	b.memory = memory
	return b
}

// attack runs fn while another client works, and checks that the bounds hold and that
// leadership does not move. fn returns in words what was tried and what the node did.
func (tg *target) attack(t *testing.T, name string, b bounds, fn func(t *testing.T) (tried, did string)) {
	t.Run(name, func(t *testing.T) {
		before := resident(tg.leader)
		if before == 0 {
			t.Fatal("this system does not tell how much memory a process takes")
		}
		other := attack.Work(t, dial(t, tg.leader.RESP), b.reads)
		memory := tg.watchMemory(t)
		other.AtLeast(t, 200) // and so many while it goes on, however short it is
		tried, did := fn(t)
		other.AtLeast(t, 400)
		peak := memory()
		other.Stop()
		waits := other.Waits(0)
		p99 := waits[len(waits)*99/100]
		grown := (peak - before) >> 20
		leader := tg.Leader()
		status, err := leader.Status()
		if err != nil || leader != tg.leader || status.Term != tg.term {
			t.Errorf("%s led in term %d; now %s does in term %d (%v)", tg.leader.ID, tg.term, leader.ID, status.Term, err)
		}
		if grown > b.memory {
			t.Errorf("the node took %d MiB more, at most %d are allowed", grown, b.memory)
		}
		if p99 > b.p99 {
			t.Errorf("p99 of the other client was %s, at most %s is allowed", p99, b.p99)
		}
		addRow(name, tried, did, fmt.Sprintf("%d → %d MiB", before>>20, peak>>20), waits)
	})
}

// resident is the memory of a node's process in bytes,
// 0 if that is not known.
func resident(n *proc.Node) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.PID()))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize()
}

// watchMemory looks at the node's memory until the returned function is called, which
// tells the most that it was.
func (tg *target) watchMemory(t *testing.T) (peak func() int) {
	most := resident(tg.leader)
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ending:
				return
			case <-time.After(10 * time.Millisecond):
				most = max(most, resident(tg.leader))
			}
		}
	}()
	end := sync.OnceFunc(func() {
		close(ending)
		<-ended
	})
	t.Cleanup(end)
	return func() int {
		end()
		return most
	}
}

// logged counts the lines of a node's log that have a text.
func logged(t *testing.T, n *proc.Node, text string) int {
	t.Helper()
	log, err := os.ReadFile(n.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(log), text)
}

// wrapper is a program that starts raftkv with at most so many file descriptors,
// which even root's process cannot raise.
func wrapper(t *testing.T, descriptors int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "raftkv")
	run := proc.Build(t)
	if os.Getuid() == 0 {
		run = "setpriv --bounding-set=-sys_resource " + run
	}
	script := fmt.Sprintf("#!/bin/sh\nulimit -n %d || exit 1\nexec %s \"$@\"\n", descriptors, run)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// table is printed at the end.
var table = attack.Table{
	Above: "The waits are another client's, a SET and a GET in turn. Leadership moved in none of those that passed.",
	Head:  []string{"limit", "tried", "what the node did", "its memory", "p50", "p99", "max"},
}

// addRow puts an attack into the table.
func addRow(name, tried, did, memory string, waits []time.Duration) {
	at := func(percent int) string {
		return waits[min(len(waits)-1, len(waits)*percent/100)].Round(10 * time.Microsecond).String()
	}
	table.Add(name, tried, did, memory, at(50), at(99), at(100))
}
