package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// smallDisk gives a node a data directory on a disk of its own, of size bytes.
func smallDisk(t *testing.T, n *proc.Node, size int) {
	t.Helper()
	check(t, os.MkdirAll(n.Dir, 0o700))
	err := syscall.Mount("tmpfs", n.Dir, "tmpfs", 0, fmt.Sprint("mode=0700,size=", size))
	if errors.Is(err, syscall.EPERM) && os.Getenv("CI") == "" {
		t.Skip("left out: mounting a small disk needs root")
	}
	check(t, err)
	t.Cleanup(func() {
		n.Kill()
		if err := syscall.Unmount(n.Dir, 0); err != nil {
			t.Error(err)
		}
	})
}

// filler is the file that takes all space of a node's disk.
func filler(n *proc.Node) string { return filepath.Join(n.Dir, "filler") }

// fillDisk leaves not a byte free.
func fillDisk(t *testing.T, n *proc.Node) {
	t.Helper()
	f, err := os.Create(filler(n))
	check(t, err)
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err == nil {
			continue
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		size /= 4
	}
}

// writers sets keys without end, and remembers which ones were acknowledged, and when.
type writers struct {
	client *redis.ClusterClient
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	acked []string
	last  time.Time // of an acknowledgement
	err   error     // the last one
	told  time.Time // of err
}

func startWriters(t *testing.T, c *proc.Cluster, count int) *writers {
	w := &writers{client: c.Client()}
	ctx, cancel := context.WithCancel(ctx)
	w.stop = cancel
	for i := range count {
		w.wg.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				key := fmt.Sprintf("w%d:%d", i, k)
				err := w.client.Set(ctx, key, key, 0).Err()
				w.mu.Lock()
				if err == nil {
					w.acked, w.last = append(w.acked, key), time.Now()
				} else {
					w.err, w.told = err, time.Now()
				}
				w.mu.Unlock()
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	t.Cleanup(w.end)
	return w
}

func (w *writers) end() {
	w.stop()
	w.wg.Wait()
}

// writes waits until something was acknowledged that was sent after now.
func (w *writers) writes(t *testing.T, limit time.Duration, when string) {
	t.Helper()
	since := time.Now()
	proc.Eventually(t, limit, "a write "+when, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.last.Before(since) {
			return fmt.Errorf("last error: %v", w.err)
		}
		return nil
	})
	t.Logf("a write %s: acknowledged after %.1f s", when, time.Since(since).Seconds())
}

// refused waits until a write got an error with this word.
func (w *writers) refused(t *testing.T, limit time.Duration, word string) {
	t.Helper()
	since := time.Now()
	proc.Eventually(t, limit, "an error "+word, func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.told.Before(since) || !strings.HasPrefix(w.err.Error(), word) {
			return fmt.Errorf("last error: %v", w.err)
		}
		return nil
	})
	t.Logf("%s after %.1f s", word, time.Since(since).Seconds())
}

// steady fails the test if leadership or term changes within d.
func steady(t *testing.T, c *proc.Cluster, d time.Duration) {
	t.Helper()
	leader := c.Leader()
	before, err := leader.Status()
	check(t, err)
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if s, err := leader.Status(); err != nil || s.Role != "leader" || s.Term != before.Term {
			t.Fatalf("leadership flaps: %s was leader of term %d, now %s of %d (%v)", leader.ID, before.Term, s.Role, s.Term, err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	var nodes []*proc.Node
	for i := range 3 {
		n := proc.NewNode(t, fmt.Sprintf("node%d", i+1), "--disk-reserve", "8mb")
		smallDisk(t, n, 64<<20)
		nodes = append(nodes, n)
	}
	c := proc.StartClusterOf(t, nodes...)
	w := startWriters(t, c, 4)
	w.writes(t, patience, "at first")

	old := c.Leader()
	fillDisk(t, old)
	w.writes(t, 5*time.Second, "with the leader's disk full")
	proc.Eventually(t, 5*time.Second, "leadership moves", func() error {
		if now := c.Leader(); now == old {
			return fmt.Errorf("%s still leads", now.ID)
		}
		return nil
	})
	steady(t, c, 5*time.Second)

	for _, n := range nodes {
		if n != old {
			fillDisk(t, n)
		}
	}
	w.refused(t, 5*time.Second, "MISCONF")
	steady(t, c, 5*time.Second)
	if err := w.client.Get(ctx, "w0:0").Err(); err != nil {
		t.Errorf("reads must go on: %v", err)
	}
	for _, n := range nodes {
		if !n.Running() {
			t.Fatalf("%s ended", n.ID)
		}
		check(t, os.Remove(filler(n)))
	}
	w.writes(t, 30*time.Second, "with space again")
	steady(t, c, 5*time.Second)
	w.end()
	c.WaitVoters(3)
	checkAll(t, nodes, w.acked)
}

// hangingNodes are three nodes whose disks a test can hang.
func hangingNodes(t *testing.T) (nodes []*proc.Node) {
	t.Helper()
	for i := range 3 {
		n := proc.NewNode(t, fmt.Sprintf("node%d", i+1))
		n.Binary = proc.BuildFaults(t)
		n.Env = []string{"RAFTKV_FAULT_DISK=" + hangFile(n)}
		nodes = append(nodes, n)
	}
	return nodes
}

func hangFile(n *proc.Node) string { return n.Dir + ".hang" }

// hangDisk has no write of the node's to its disk end, until freeDisk.
func hangDisk(t testing.TB, n *proc.Node) {
	t.Helper()
	check(t, os.WriteFile(hangFile(n), nil, 0o600))
}

func freeDisk(t testing.TB, n *proc.Node) {
	t.Helper()
	check(t, os.Remove(hangFile(n)))
}

// A leader whose disk hangs keeps its heartbeats; it must let another lead all
// the same, and nobody may wait for it.
func TestHungDisk(t *testing.T) {
	nodes := hangingNodes(t)
	c := proc.StartClusterOf(t, nodes...)
	w := startWriters(t, c, 4)
	w.writes(t, patience, "at first")

	old := c.Leader()
	hangDisk(t, old)
	w.refused(t, 5*time.Second, "UNKNOWN")
	w.writes(t, 5*time.Second, "with the leader's disk hanging")
	if now := c.Leader(); now == old {
		t.Errorf("%s still leads", now.ID)
	}
	// A client of the old leader finds the new one.
	plain := redis.NewClient(&redis.Options{Addr: old.RESP, MaxRetries: -1, ReadTimeout: 10 * time.Second})
	defer plain.Close()
	proc.Eventually(t, 5*time.Second, "MOVED from the hanging node", func() error {
		if err := plain.Set(ctx, "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
			return fmt.Errorf("SET there: %v", err)
		}
		return nil
	})
	freeDisk(t, old)
	w.writes(t, 5*time.Second, "with the disk back")

	// A follower's disk costs nobody anything; its clients are sent to the leader.
	follower := c.Follower()
	hangDisk(t, follower)
	w.writes(t, 5*time.Second, "with a follower's disk hanging")
	time.Sleep(3 * time.Second) // past the watchdog's limit
	if err := follower.Client().Set(ctx, "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
		t.Errorf("SET at a follower whose disk hangs: %v, want MOVED", err)
	}
	freeDisk(t, follower)
	w.end()
	c.WaitVoters(3)
	checkAll(t, nodes, w.acked)
}
