//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// costs measures what writes cost the servers: CPU and bytes from /proc, and the
// waits for the disk in runs of their own under strace, which slows the servers.
func (r *runner) costs(ctx context.Context) error {
	for _, shape := range r.Scale.costShapes() {
		results, err := r.compare(ctx, shape)
		if err != nil {
			return err
		}
		r.res.Costs = append(r.res.Costs, results...)
	}
	r.closeField()
	if _, err := peers.Find("strace"); err != nil {
		r.leaveOut("disk waits: %v", err)
		return nil
	}
	for _, name := range systems {
		if name == peers.Echo {
			continue
		}
		if err := r.syncs(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// costShapes are the writes whose costs are shown.
func (s *Scale) costShapes() []Shape {
	return slices.DeleteFunc(s.shapesOf("set"), func(shape Shape) bool {
		return shape.Pipeline > 16 || shape.Conns == 200
	})
}

// syncs counts how often a system waits for the disk under each of the shapes.
func (r *runner) syncs(ctx context.Context, name string) error {
	s, err := r.start(ctx, name, true)
	if err != nil || s == nil {
		return err
	}
	defer s.Close()
	type window struct {
		shape    Shape
		from, to time.Time
		out      *load.Outcome
	}
	var windows []window
	for _, shape := range r.Scale.costShapes() {
		if !shape.fits(name) {
			continue
		}
		w := window{shape: shape, from: time.Now()}
		if w.out, err = r.load(ctx, s, shape, r.Scale.Long); err != nil {
			return err
		}
		w.to = time.Now()
		windows = append(windows, w)
	}
	s.Close() // strace writes the last lines when the process ends
	traced, ok := s.(interface {
		Syncs(from, to time.Time) (int, error)
	})
	if !ok {
		return errors.New(name + " cannot be traced")
	}
	for _, w := range windows {
		count, err := traced.Syncs(w.from, w.to)
		if err != nil {
			return err
		}
		r.res.Syncs = append(r.res.Syncs, Syncs{
			System: name, Shape: w.shape.Name, PerSecond: w.out.PerSecond(), Syncs: float64(count) / w.out.Elapsed.Seconds(),
		})
		r.say("  %-16s %s: %d waits for the disk, %d writes", w.shape.Name, name, count, w.out.Requests)
	}
	return r.discard(s)
}

// ladenServers are RaftKV and Redis with Scale.Million keys each.
type ladenServers struct {
	raftkv *peers.Raft
	redis  *peers.Redis  // nil where it is not installed
	empty  map[int]int64 // resident bytes of each process before the load
}

// servers are both, or the one that there is.
func (l *ladenServers) servers() []peers.Server {
	if l.redis == nil {
		return []peers.Server{l.raftkv}
	}
	return []peers.Server{l.raftkv, l.redis}
}

func (r *runner) startLaden(ctx context.Context) error {
	l, err := r.startPair(ctx)
	if err != nil {
		return err
	}
	r.laden = l
	l.empty = map[int]int64{}
	for _, s := range l.servers() {
		for _, pid := range s.PIDs() {
			m, err := peers.MemoryOf(pid)
			if err != nil {
				return err
			}
			l.empty[pid] = m.Resident
		}
	}
	return r.fillPair(ctx, l, r.Scale.Million)
}

// startPair starts RaftKV and the Redis that it is compared with.
func (r *runner) startPair(ctx context.Context) (*ladenServers, error) {
	l := &ladenServers{}
	s, err := r.start(ctx, peers.RaftKV, false)
	if err != nil {
		return nil, err
	}
	l.raftkv = s.(*peers.Raft)
	if s, err = r.start(ctx, peers.RedisAlways, false); err != nil {
		l.raftkv.Close()
		return nil, err
	}
	if s != nil {
		l.redis = s.(*peers.Redis)
	}
	return l, nil
}

// fillPair stores so many keys in both, one after the other, and waits until they
// have nothing left to do.
func (r *runner) fillPair(ctx context.Context, l *ladenServers, keys int) error {
	for _, s := range l.servers() {
		start := time.Now()
		if err := fill(ctx, s, load.Keyspace{Keys: keys, Size: usual}); err != nil {
			return fmt.Errorf("fill %s: %w", s.Name(), err)
		}
		r.say("  %s: %d keys stored in %.1f s", s.Name(), keys, time.Since(start).Seconds())
	}
	if l.redis != nil {
		if err := l.redis.Rewritten(ctx); err != nil {
			return err
		}
	}
	return r.quiet(ctx, l.servers()...)
}

func (r *runner) closeLaden() {
	if r.laden == nil {
		return
	}
	if err := r.discard(r.laden.servers()...); err != nil {
		r.say("%v", err)
	}
	r.laden = nil
}
