//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// The signals' names in results.
const (
	KillSignal = "kill -9"
	TermSignal = "SIGTERM"
)

// afterwards is how long writes are watched after another node serves.
const afterwards = 500 * time.Millisecond

// failoverLimit bounds the time without an acknowledged write.
const failoverLimit = 30 * time.Second

// kill ends the leader as kill -9 does, again and again, and once more under a steady
// load for the picture.
func (r *runner) kill(ctx context.Context) error {
	return r.failovers(ctx, KillSignal, func(c *peers.Raft) error {
		f, err := r.endLeaders(ctx, c, KillSignal, r.Scale.Kills)
		if err != nil {
			return err
		}
		r.res.Failovers = append(r.res.Failovers, *f)
		r.res.Around, err = r.around(ctx, c)
		return err
	})
}

// term ends the leader by SIGTERM, again and again, while a go-redis client writes.
func (r *runner) term(ctx context.Context) error {
	return r.failovers(ctx, TermSignal, func(c *peers.Raft) error {
		client := load.StartClusterClient(ctx, c.Addrs())
		f, err := r.endLeaders(ctx, c, TermSignal, r.Scale.Kills)
		calls, failed, slowest := client.Stop()
		if err != nil {
			return err
		}
		f.Calls, f.Slowest = calls, load.Milliseconds(slowest)
		for _, err := range failed {
			f.Errors = append(f.Errors, err.Error())
		}
		r.say("  go-redis: %d calls, %d errors, the slowest took %.0f ms", calls, len(failed), f.Slowest)
		r.res.Failovers = append(r.res.Failovers, *f)
		return nil
	})
}

// failovers runs what is to happen to RaftKV, and the same signal on etcd.
func (r *runner) failovers(ctx context.Context, signal string, ours func(*peers.Raft) error) error {
	s, err := r.start(ctx, peers.RaftKV, false)
	if err != nil {
		return err
	}
	err = ours(s.(*peers.Raft))
	if err = errors.Join(err, r.discard(s)); err != nil {
		return err
	}
	if s, err = r.start(ctx, peers.Etcd, false); err != nil || s == nil {
		return err
	}
	f, err := r.endLeaders(ctx, s.(*peers.EtcdCluster), signal, r.Scale.PeerKills)
	if err != nil {
		return errors.Join(err, r.discard(s))
	}
	r.res.Failovers = append(r.res.Failovers, *f)
	return r.discard(s)
}

// endLeaders ends the leader so many times, each time after the one before is back
// and has caught up.
func (r *runner) endLeaders(ctx context.Context, c peers.Cluster, signal string, times int) (*Failover, error) {
	f := &Failover{System: c.Name(), Signal: signal}
	for range times {
		if err := endLeader(ctx, c, f); err != nil {
			return nil, fmt.Errorf("%s of %s's leader: %w", signal, c.Name(), err)
		}
	}
	r.say("  %s: next write after %.0f ms in the median, p95 %.0f ms", c.Name(), Median(f.Next), Percentile(f.Next, 0.95))
	return f, nil
}

func endLeader(ctx context.Context, c peers.Cluster, f *Failover) error {
	ctx, cancel := context.WithTimeout(ctx, 2*failoverLimit)
	defer cancel()
	leader, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	var probers []load.Prober
	for node := range c.Size() {
		p, err := c.Probe(node)
		if err != nil {
			return err
		}
		defer p.Close()
		probers = append(probers, p)
	}
	watch, stop := context.WithTimeout(ctx, failoverLimit)
	defer stop()
	acks := load.Watch(watch, probers)
	if _, err := acks.First(watch, func(load.Ack) bool { return true }); err != nil {
		return err
	}
	end, sig := time.Now(), syscall.SIGKILL
	if f.Signal == TermSignal {
		sig = syscall.SIGTERM
	}
	exited := c.Signal(leader, sig)
	next, err := acks.First(watch, func(a load.Ack) bool { return c.Served(a, leader, end) })
	if err != nil {
		return fmt.Errorf("no write for %s", failoverLimit)
	}
	select {
	case <-time.After(afterwards):
	case <-watch.Done():
	}
	stop()
	f.Next = append(f.Next, load.Milliseconds(next.At.Sub(end)))
	f.Gap = append(f.Gap, load.Milliseconds(longestGap(acks.Done(), end)))
	select {
	case <-exited:
	case <-ctx.Done():
		return errors.New("the process does not end")
	}
	return c.Restart(ctx, leader)
}

// longestGap is the longest time without an acknowledgement, from a moment on.
func longestGap(acks []load.Ack, from time.Time) (longest time.Duration) {
	last := from
	for _, a := range acks {
		if a.At.After(last) {
			longest = max(longest, a.At.Sub(last))
			last = a.At
		}
	}
	return longest
}

// aroundRate is the load of the picture, in writes a second.
const aroundRate = 250

// around writes at a steady rate while the leader is killed.
func (r *runner) around(ctx context.Context, c *peers.Raft) ([]Point, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return nil, err
	}
	follow := &load.Follow{Addrs: c.Addrs(), Rate: aroundRate, Over: load.Keyspace{Keys: r.Scale.Keys, Size: usual}}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	var (
		samples []load.Sample
		failed  error
		done    sync.WaitGroup
	)
	done.Go(func() { samples, failed = follow.Run(writing) })
	pause := func() {
		select {
		case <-time.After(r.Scale.Around):
		case <-ctx.Done():
		}
	}
	pause()
	end := time.Now()
	exited := c.Signal(leader, syscall.SIGKILL)
	pause()
	stop()
	done.Wait()
	<-exited
	if failed != nil {
		return nil, failed
	}
	var points []Point
	for _, s := range samples {
		points = append(points, Point{s.Due.Sub(end).Seconds(), load.Milliseconds(s.Latency)})
	}
	return points, ctx.Err()
}
