package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// How many leaders TestFailoverTime takes away in each way, and under how many
// writers.
const (
	failoversEnv       = "RAFTKV_FAILOVER_ROUNDS"
	failoverWritersEnv = "RAFTKV_FAILOVER_WRITERS"
	killGoal           = time.Second            // from kill -9 of the leader to the next acknowledged write, p95
	termGoal           = 150 * time.Millisecond // from SIGTERM to it
	// noTimer is less than any timer of the nodes takes to notice that the leader is gone.
	noTimer = 250 * time.Millisecond
)

// How long writes stop when the leader is killed, and when it is asked to go.
func TestFailoverTime(t *testing.T) {
	rounds := envInt(t, failoversEnv, 5)
	c := proc.StartCluster(t, 3)
	for _, way := range []struct {
		name string
		sig  syscall.Signal
		goal time.Duration
	}{
		{"kill -9", syscall.SIGKILL, killGoal},
		{"SIGTERM", syscall.SIGTERM, termGoal},
	} {
		var took, gaps []time.Duration
		for range rounds {
			first, gap := takeLeader(t, c, way.sig)
			took, gaps = append(took, first), append(gaps, gap)
		}
		fmt.Printf("%s of the leader to the next acknowledged write, %d times: %s; longest pause of a cluster client: %s\n",
			way.name, rounds, spread(took), spread(gaps))
		if got := percentile(took, 0.95); got > way.goal {
			t.Errorf("%s: p95 %s, want at most %s", way.name, got, way.goal)
		}
		if got := percentile(took, 0.5); got > noTimer {
			t.Errorf("%s: median %s, want less than %s: followers see that the process is gone", way.name, got, noTimer)
		}
	}
}

// takeLeader sends the leader a signal, and returns how long after that another
// node acknowledged a write, and the longest pause of a cluster client's writes.
// The node is back afterwards.
func takeLeader(t *testing.T, c *proc.Cluster, sig syscall.Signal) (first, gap time.Duration) {
	t.Helper()
	victim := c.Leader()
	stop, answered := make(chan struct{}), make(chan time.Time, len(c.Nodes))
	var all sync.WaitGroup
	for _, n := range c.Nodes {
		if n != victim {
			all.Go(func() { probe(n, stop, answered) })
		}
	}
	client := c.Client()
	if sig == syscall.SIGKILL {
		client = attentive(t, c).(*redis.ClusterClient)
	}
	a := &audit{}
	for w := range envInt(t, failoverWritersEnv, 1) {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("f%d:%d", w, i%1000)
				if err := client.Set(ctx, key, key, 0).Err(); err != nil {
					if sig == syscall.SIGTERM {
						t.Errorf("SET %s: %v", key, err)
					}
					continue
				}
				a.ack(key)
			}
		})
	}
	a.waitProgress(t, 100)
	a.mu.Lock()
	a.longest, a.last = 0, time.Now() // connecting is over
	a.mu.Unlock()
	began := time.Now()
	exited := victim.Signal(sig)
	select {
	case at := <-answered:
		first = at.Sub(began)
	case <-time.After(patience):
		t.Errorf("no write acknowledged %s after signal %d to the leader", patience, sig)
	}
	a.waitProgress(t, 100)
	<-exited
	a.waitProgress(t, 100)
	close(stop)
	all.Wait()
	victim.Kill()
	victim.Start()
	c.WaitCaughtUp(victim)
	c.WaitVoters(len(c.Nodes))
	return first, a.longest
}

// A voter that does not answer holds nobody up when the leader is asked to go: it is
// asked whether it would lead while writes go on.
func TestTermBesideASilentFollower(t *testing.T) {
	const limit = 500 * time.Millisecond // a node waits a second for such an answer
	c := proc.StartCluster(t, 3)
	leader := c.Leader()
	var others []*proc.Node
	for _, n := range c.Nodes {
		if n != leader {
			others = append(others, n)
		}
	}
	next, silent := others[0], others[1]
	a, stop, answered := &audit{}, make(chan struct{}), make(chan time.Time, 1)
	var all sync.WaitGroup
	all.Go(func() { a.write(c.Client(), 0, stop) })
	a.waitProgress(t, 100)
	silent.Signal(syscall.SIGSTOP)
	defer silent.Signal(syscall.SIGCONT)
	a.waitProgress(t, 100)
	a.mu.Lock()
	a.longest = 0
	a.mu.Unlock()
	all.Go(func() { probe(next, stop, answered) })
	leader.Signal(syscall.SIGTERM)
	select {
	case <-answered:
	case <-time.After(patience):
		t.Error("the other node does not lead")
	}
	a.waitProgress(t, 10)
	a.mu.Lock()
	if a.longest > limit {
		t.Errorf("no write was acknowledged for %s", a.longest)
	}
	a.mu.Unlock()
	silent.Signal(syscall.SIGCONT) // or there is no majority once the old leader has ended
	close(stop)
	all.Wait()
	for _, key := range a.stale {
		t.Errorf("%s was acknowledged, and a read after that did not see it", key)
	}
}

// probe writes to one node, which is a follower at first, again and again, and
// tells when the first write was acknowledged.
func probe(n *proc.Node, stop <-chan struct{}, answered chan<- time.Time) {
	client := redis.NewClient(&redis.Options{Addr: n.RESP, MaxRetries: -1, DisableIdentity: true, DialTimeout: time.Second, ReadTimeout: 30 * time.Second})
	defer client.Close()
	for i := 0; ; i++ {
		if client.Set(ctx, "probe:"+n.ID, strconv.Itoa(i), 0).Err() == nil {
			answered <- time.Now()
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// spread tells median, p95 and the largest.
func spread(ds []time.Duration) string {
	return fmt.Sprintf("median %s, p95 %s, max %s", percentile(ds, 0.5).Round(100*time.Microsecond),
		percentile(ds, 0.95).Round(100*time.Microsecond), percentile(ds, 1).Round(100*time.Microsecond))
}

// percentile is the smallest value that at least this part of all do not exceed.
func percentile(ds []time.Duration, part float64) time.Duration {
	sorted := slices.Sorted(slices.Values(ds))
	at := int(part*float64(len(sorted))+0.999999) - 1
	return sorted[max(0, min(at, len(sorted)-1))]
}
