package cluster

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// How often TestKillUnderLoad kills, which nodes, and under how many writers.
const (
	roundsEnv  = "RAFTKV_KILL_ROUNDS"
	seedEnv    = "RAFTKV_KILL_SEED"
	writersEnv = "RAFTKV_KILL_WRITERS"
)

// audit is what the writers of one run know.
type audit struct {
	mu      sync.Mutex
	acked   []string      // keys whose write was acknowledged; guarded by mu
	stale   []string      // keys that were not there right after; guarded by mu
	last    time.Time     // of the last acknowledgement; guarded by mu
	longest time.Duration // between two of them; guarded by mu
	refused atomic.Int64  // writes that ended with an error, so may be there or not
}

func (a *audit) ack(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	a.longest = max(a.longest, now.Sub(a.last))
	a.last = now
	a.acked = append(a.acked, key)
}

func (a *audit) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.acked)
}

// write sets keys of its own until stop is closed, and reads back each that was
// acknowledged.
func (a *audit) write(client redis.UniversalClient, writer int, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		key := fmt.Sprintf("w%d:%d", writer, i)
		if err := client.Set(ctx, key, key, 0).Err(); err != nil {
			a.refused.Add(1)
			continue
		}
		a.ack(key)
		if got, err := client.Get(ctx, key).Result(); err == redis.Nil || err == nil && got != key {
			a.mu.Lock()
			a.stale = append(a.stale, key)
			a.mu.Unlock()
		}
	}
}

// A random node is killed with kill -9 while clients write, again and again.
// Every acknowledged write is on every node at the end.
func TestKillUnderLoad(t *testing.T) {
	rounds := envInt(t, roundsEnv, 5)
	start := time.Now()
	seed := uint64(envInt(t, seedEnv, int(time.Now().UnixNano()&0xffffff)))
	t.Logf("%s=%d", seedEnv, seed)
	rnd := rand.New(rand.NewPCG(seed, 0))

	c := proc.StartCluster(t, 3)
	a := &audit{last: time.Now()}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range envInt(t, writersEnv, 8) {
		client := attentive(t, c)
		writers.Go(func() { a.write(client, w, stop) })
	}
	var stopOnce sync.Once
	end := func() { stopOnce.Do(func() { close(stop) }); writers.Wait() }
	defer end()

	for round := range rounds {
		a.waitProgress(t, 100)
		victim := c.Nodes[rnd.IntN(len(c.Nodes))]
		if round == 0 {
			victim = c.Leader() // in a short run too
		}
		victim.Kill()
		a.waitProgress(t, 100) // two of three go on
		victim.Start()
		c.WaitCaughtUp(victim)
		if (round+1)%10 == 0 {
			t.Logf("round %d: %d writes", round+1, a.count())
		}
	}
	end()
	t.Logf("%.0f s of it", time.Since(start).Seconds())
	a.report(t, c, rounds)
}

// attentive returns a client that looks for the leader four times a second. By
// default go-redis (9.23) asks again after a MOVED or a minute, not after a
// refused connection: it goes on dialling a leader that was killed.
func attentive(t *testing.T, c *proc.Cluster) redis.UniversalClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ClusterStateReloadInterval: 250 * time.Millisecond, DialerRetries: 1})
	t.Cleanup(func() { client.Close() })
	return client
}

// waitProgress waits until so many more writes were acknowledged.
func (a *audit) waitProgress(t *testing.T, more int) {
	t.Helper()
	want := a.count() + more
	proc.Eventually(t, patience, "writes go on", func() error {
		if got := a.count(); got < want {
			return fmt.Errorf("%d of %d writes", got, want)
		}
		return nil
	})
}

func (a *audit) report(t *testing.T, c *proc.Cluster, rounds int) {
	t.Helper()
	gone := map[string]bool{}
	for _, n := range c.Nodes {
		c.WaitCaughtUp(n)
		for _, key := range lost(t, n, a.acked) {
			gone[key] = true
			t.Errorf("%s: acknowledged %s is lost", n.ID, key)
		}
	}
	fmt.Printf("kill -9 under load: %d rounds, %d writes acknowledged, %d refused or unknown, %d lost, longest pause %s\n",
		rounds, len(a.acked), a.refused.Load(), len(gone), a.longest.Round(time.Millisecond))
	for _, key := range a.stale {
		t.Errorf("%s was acknowledged, and a read after that did not see it", key)
	}
}

func envInt(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q is no number", name, text)
	}
	return n
}

// SIGTERM of each node in turn: 50 clients with go-redis' defaults see no error.
func TestRollingRestart(t *testing.T) {
	c := proc.StartCluster(t, 3)
	client := c.Client()
	stop := make(chan struct{})
	var workers sync.WaitGroup
	var done, failed atomic.Int64
	for w := range 50 {
		workers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("r%d:%d", w, i%100)
				value := strconv.Itoa(i)
				if err := client.Set(ctx, key, value, 0).Err(); err != nil {
					failed.Add(1)
					t.Errorf("SET %s: %v", key, err)
				} else if got, err := client.Get(ctx, key).Result(); err != nil || got != value {
					failed.Add(1)
					t.Errorf("GET %s = %q, %v, want %q", key, got, err, value)
				}
				done.Add(1)
			}
		})
	}
	var stopOnce sync.Once
	end := func() { stopOnce.Do(func() { close(stop) }); workers.Wait() }
	defer end()
	progress := func() {
		t.Helper()
		want := done.Load() + 500
		proc.Eventually(t, patience, "commands go on", func() error {
			if got := done.Load(); got < want {
				return fmt.Errorf("%d of %d", got, want)
			}
			return nil
		})
	}
	restart := func(n *proc.Node) {
		progress()
		n.Term()
		progress()
		n.Start()
		c.WaitCaughtUp(n)
	}
	for _, n := range c.Nodes {
		restart(n)
	}
	restart(c.Leader()) // at least one of them led
	progress()
	end()
	fmt.Printf("rolling restart: %d commands, %d errors\n", 2*done.Load(), failed.Load())
}
