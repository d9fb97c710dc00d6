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
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"

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
	table.print()
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
		other := tg.work(t, b.reads)
		memory := tg.watchMemory(t)
		other.atLeast(200) // and so many while it goes on, however short it is
		tried, did := fn(t)
		other.atLeast(400)
		peak := memory()
		waits := other.stop()
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
		table.add(name, tried, did, fmt.Sprintf("%d → %d MiB", before>>20, peak>>20), waits)
	})
}

// worker is the other client: it writes and reads a key, one command after the other.
type worker struct {
	t      *testing.T
	ended  chan struct{}
	ending chan struct{}
	end    func() // once

	mu    sync.Mutex
	waits []time.Duration // guarded by mu
}

// work starts the other client, on a connection of its own that is there already.
func (tg *target) work(t *testing.T, reads bool) *worker {
	t.Helper()
	c := dial(t, tg.leader.RESP)
	c.roundTrip("SET other 12345678\r\n", "+OK\r\n")
	w := &worker{t: t, ended: make(chan struct{}), ending: make(chan struct{})}
	w.end = sync.OnceFunc(func() { close(w.ending) })
	t.Cleanup(func() { // runs before the connection's end
		w.end()
		<-w.ended
	})
	go func() {
		defer close(w.ended)
		for i := 0; ; i++ {
			select {
			case <-w.ending:
				return
			case <-time.After(2 * time.Millisecond): // a load that leaves the machine to the attack
			}
			value, first, want := fmt.Sprintf("%08d", i), "GET other\r\n", "$8\r\n12345678\r\n"
			begin := time.Now()
			if !reads {
				first, want = "SET other "+value+"\r\n", "+OK\r\n"
			}
			err := c.try(first, want)
			wrote := time.Now()
			if err == nil && !reads {
				want = "$8\r\n" + value + "\r\n"
			}
			if err == nil {
				err = c.try("GET other\r\n", want)
			}
			if err != nil {
				t.Errorf("the other client: %v", err)
				return
			}
			w.mu.Lock()
			w.waits = append(w.waits, wrote.Sub(begin), time.Since(wrote))
			w.mu.Unlock()
		}
	}()
	return w
}

// atLeast waits until the worker has had so many replies.
func (w *worker) atLeast(n int) {
	w.t.Helper()
	proc.Eventually(w.t, time.Minute, "the other client's replies", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		select {
		case <-w.ended:
			w.t.Fatal("the other client has ended")
		default:
		}
		if len(w.waits) < n {
			return fmt.Errorf("%d of %d", len(w.waits), n)
		}
		return nil
	})
}

// stop ends the worker and returns how long its commands took, the shortest first.
func (w *worker) stop() []time.Duration {
	w.end()
	<-w.ended
	slices.Sort(w.waits)
	return w.waits
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

// results are the rows of the table that is printed at the end.
type results struct {
	mu   sync.Mutex
	rows [][]string // guarded by mu
}

var table results

func (r *results) add(name, tried, did, memory string, waits []time.Duration) {
	at := func(percent int) string {
		return waits[min(len(waits)-1, len(waits)*percent/100)].Round(10 * time.Microsecond).String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, []string{name, tried, did, memory, at(50), at(99), waits[len(waits)-1].Round(10 * time.Microsecond).String()})
}

// print writes the table where tests are to tell what they do.
func (r *results) print() {
	if !testing.Verbose() || len(r.rows) == 0 {
		return
	}
	fmt.Println("\nThe waits are another client's, a SET and a GET in turn. Leadership moved in none of those that passed.")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "limit\ttried\twhat the node did\tits memory\tp50\tp99\tmax")
	for _, row := range r.rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
}
