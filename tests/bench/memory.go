//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// memory looks at what the processes hold. Of a cluster the largest node counts.
func (r *runner) memory(context.Context) error {
	for _, s := range r.laden.servers() {
		use := MemoryUse{System: s.Name(), Keys: r.Scale.Million}
		for _, pid := range s.PIDs() {
			m, err := peers.MemoryOf(pid)
			if err != nil {
				return err
			}
			if m.Resident > use.Resident {
				use.Empty, use.Resident, use.Anonymous, use.Peak = r.laden.empty[pid], m.Resident, m.Anonymous, m.Peak
			}
		}
		r.res.Memory = append(r.res.Memory, use)
		r.say("  %s: %.0f bytes a key", s.Name(), use.PerKey())
	}
	return nil
}

// cold measures the restart of all processes after kill -9: with what the load left
// on the disks, and after a snapshot on every node.
func (r *runner) cold(ctx context.Context) error {
	if err := r.coldStarts(ctx, "as the load left it"); err != nil {
		return err
	}
	for node := range r.laden.raftkv.Size() {
		if err := r.laden.raftkv.SnapshotOf(ctx, node); err != nil {
			return err
		}
	}
	if r.laden.redis != nil {
		if err := r.laden.redis.Snapshot(ctx); err != nil {
			return err
		}
	}
	return r.coldStarts(ctx, "after a snapshot")
}

func (r *runner) coldStarts(ctx context.Context, state string) error {
	raftkv := ColdStart{System: peers.RaftKV, State: state, Keys: r.Scale.Million}
	redis := ColdStart{System: peers.RedisAlways, State: state, Keys: r.Scale.Million}
	for range r.Rounds {
		took, err := coldStart(ctx, coldCluster(r.laden.raftkv))
		if err != nil {
			return err
		}
		raftkv.Seconds = append(raftkv.Seconds, took)
		if err := r.laden.raftkv.Whole(ctx); err != nil {
			return err
		}
		if r.laden.redis == nil {
			continue
		}
		if took, err = coldStart(ctx, coldRedis(r.laden.redis)); err != nil {
			return err
		}
		redis.Seconds = append(redis.Seconds, took)
		if err := r.laden.redis.Rewritten(ctx); err != nil {
			return err
		}
	}
	for _, c := range []ColdStart{raftkv, redis} {
		if len(c.Seconds) > 0 {
			r.res.Cold = append(r.res.Cold, c)
			r.say("  %s, %s: %.2f s", c.System, state, Median(c.Seconds))
		}
	}
	return r.quiet(ctx, r.laden.servers()...)
}

// restartable is what a cold start needs of a system.
type restartable struct {
	killAll func()
	launch  func() error // all processes
	probers []load.Prober
}

func coldCluster(c *peers.Raft) restartable {
	cold := restartable{killAll: c.KillAll, launch: func() error {
		for node := range c.Size() {
			if err := c.Launch(node); err != nil {
				return err
			}
		}
		return nil
	}}
	for _, addr := range c.Addrs() {
		cold.probers = append(cold.probers, load.NewProbe(addr))
	}
	return cold
}

func coldRedis(s *peers.Redis) restartable {
	return restartable{s.KillAll, s.Launch, []load.Prober{s.Probe()}}
}

// coldLimit bounds a cold start.
const coldLimit = 2 * time.Minute

// coldStart kills all processes, starts them, and returns how many seconds later the
// first SET was acknowledged.
func coldStart(ctx context.Context, s restartable) (seconds float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, coldLimit)
	defer cancel()
	s.killAll()
	start := time.Now()
	if err := s.launch(); err != nil {
		return 0, err
	}
	acks := load.Watch(ctx, s.probers)
	first, err := acks.First(ctx, func(load.Ack) bool { return true })
	cancel()
	acks.Done()
	for _, p := range s.probers {
		p.Close()
	}
	if err != nil {
		return 0, fmt.Errorf("cold start: %w", err)
	}
	return first.At.Sub(start).Seconds(), nil
}
