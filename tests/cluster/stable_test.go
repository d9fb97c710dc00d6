package cluster

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// For how many seconds TestLeaderStaysUnderFullLoad loads the machine.
const fullLoadEnv = "RAFTKV_FULL_LOAD_SECONDS"

// leadership is who leads, and in which term.
func leadership(t *testing.T, c *proc.Cluster) string {
	t.Helper()
	leader := c.Leader()
	s, err := leader.Status()
	check(t, err)
	return fmt.Sprintf("%s in term %d", leader.ID, s.Term)
}

// Neither many clients nor other programs that take all of every processor cost a
// leader its leadership.
func TestLeaderStaysUnderFullLoad(t *testing.T) {
	seconds := envInt(t, fullLoadEnv, 10)
	var nodes []*proc.Node
	for i := range 3 {
		dir := inMemory(t) // before the node, so that it is removed after the node has ended
		n := proc.NewNode(t, fmt.Sprintf("node%d", i+1))
		n.Dir = cmp.Or(dir, n.Dir)
		nodes = append(nodes, n)
	}
	c := proc.StartClusterOf(t, nodes...)
	before := leadership(t, c)
	for range runtime.NumCPU() {
		loop := exec.Command("sh", "-c", "while :; do :; done")
		check(t, loop.Start())
		t.Cleanup(func() { loop.Process.Kill(); loop.Wait() })
	}
	const connections, depth = 200, 16
	client := redis.NewClient(&redis.Options{Addr: c.Leader().RESP, MaxRetries: -1, PoolSize: connections, ReadTimeout: patience})
	defer client.Close()
	var all sync.WaitGroup
	var done atomic.Int64
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for w := range connections {
		all.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				if _, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
					for k := range depth {
						p.Set(ctx, fmt.Sprintf("%d:%d", w, (i*depth+k)%1000), "0123456789012345678901234567890123456789012345678901234567890123", 0)
					}
					return nil
				}); err != nil {
					t.Error(err)
					return
				}
				done.Add(depth)
			}
		})
	}
	all.Wait()
	fmt.Printf("full load: %d writes in %d s\n", done.Load(), seconds)
	if after := leadership(t, c); after != before {
		t.Errorf("%s leads, want %s", after, before)
	}
}

// inMemory returns a data directory that no disk is behind, "" where the machine has
// no such place: the load is on the processors, and a disk that other tests keep busy
// for seconds, as a discard of large files does, costs a leader its lead by right.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "raftkv-test-")
	if err != nil {
		return ""
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "data")
}

// Followers whose disks take longer over a write than a leader goes without an
// answer do not cost it its leadership, and the write is acknowledged.
func TestLeaderStaysWhileDisksAreSlow(t *testing.T) {
	nodes := hangingNodes(t)
	c := proc.StartClusterOf(t, nodes...)
	leader := c.Leader()
	leader.MustDo("SET", "k", "v")
	before := leadership(t, c)
	for range 3 {
		followers := func(do func(testing.TB, *proc.Node)) {
			for _, n := range nodes {
				if n != leader {
					do(t, n)
				}
			}
		}
		followers(hangDisk)
		wrote := make(chan error, 1)
		began := time.Now()
		go func() {
			_, err := leader.Do("SET", "k", "w")
			wrote <- err
		}()
		time.Sleep(700 * time.Millisecond) // how slow the disks are
		followers(freeDisk)
		if err := <-wrote; err != nil {
			t.Errorf("a write that took %s: %v", time.Since(began), err)
		}
		if took := time.Since(began); took < 600*time.Millisecond {
			t.Errorf("the write took %s: no disk was slow", took)
		}
	}
	if after := leadership(t, c); after != before {
		t.Errorf("%s leads, want %s", after, before)
	}
}
