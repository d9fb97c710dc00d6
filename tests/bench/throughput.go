//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// systems are all that take part in the shapes of throughput.
var systems = []string{peers.RaftKV, peers.RedisAlways, peers.RedisEverysec, peers.Echo, peers.Etcd}

// startField starts one of each system and stores Scale.Keys keys in it.
func (r *runner) startField(ctx context.Context) error {
	if _, err := peers.Find("redis-benchmark"); err != nil {
		r.leaveOut("throughput of %s", err)
		return errors.New("no redis-benchmark to drive the shapes with")
	}
	for _, name := range systems {
		s, err := r.start(ctx, name, false)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		r.field = append(r.field, s)
		if err := fill(ctx, s, load.Keyspace{Keys: r.Scale.Keys, Size: usual}); err != nil {
			return err
		}
	}
	if err := r.quiet(ctx, r.field...); err != nil {
		return err
	}
	return r.idle(ctx)
}

// idle notes what the servers use while they do nothing.
func (r *runner) idle(ctx context.Context) error {
	r.res.Conditions.Idle = map[string]float64{}
	for _, s := range r.field {
		busy, err := share(ctx, s.PIDs(), time.Second)
		if err != nil {
			return err
		}
		r.res.Conditions.Idle[s.Name()] = busy
	}
	return nil
}

func (r *runner) closeField() {
	if err := r.discard(r.field...); err != nil {
		r.say("%v", err)
	}
	r.field = nil
}

// fill stores a keyspace in a server that stores anything.
func fill(ctx context.Context, s peers.Server, over load.Keyspace) error {
	addr, err := s.Addr(ctx)
	if err != nil {
		return err
	}
	switch s.Name() {
	case peers.Echo:
		return nil
	case peers.Etcd:
		return load.FillEtcd(ctx, addr, over)
	}
	return load.Fill(ctx, addr, over)
}

// throughput measures all shapes of a part.
func throughput(part string) func(*runner, context.Context) error {
	return func(r *runner, ctx context.Context) error {
		for _, shape := range r.Scale.shapesOf(part) {
			results, err := r.compare(ctx, shape)
			if err != nil {
				return err
			}
			r.res.Shapes = append(r.res.Shapes, results...)
		}
		return nil
	}
}

// compare measures one shape on all systems of the field that it is for, in rounds.
func (r *runner) compare(ctx context.Context, shape Shape) (results []ShapeResult, err error) {
	var able []peers.Server
	for _, s := range r.field {
		if !shape.fits(s.Name()) {
			continue
		}
		if err := r.prepare(ctx, s, shape); err != nil {
			return nil, fmt.Errorf("%s, %s: %w", s.Name(), shape.Name, err)
		}
		able = append(able, s)
		results = append(results, ShapeResult{Shape: shape, System: s.Name()})
	}
	for range r.Rounds {
		for _, s := range able {
			round, err := r.measure(ctx, s, shape)
			if err != nil && ctx.Err() == nil {
				r.say("  once more, %s %s: %v", s.Name(), shape.Name, err) // another node may lead now
				round, err = r.measure(ctx, s, shape)
			}
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", s.Name(), shape.Name, err)
			}
			result := Find(results, shape.Name, s.Name())
			result.Rounds = append(result.Rounds, round)
		}
	}
	r.say("  %-16s %s", shape.Name, summary(results))
	return results, nil
}

// summary is a line of what was reached.
func summary(results []ShapeResult) string {
	var words []string
	for i := range results {
		words = append(words, fmt.Sprintf("%s %.0f/s", results[i].System, results[i].PerSecond()))
	}
	return strings.Join(words, ", ")
}

// prepare takes a first measure, which also warms the server up.
func (r *runner) prepare(ctx context.Context, s peers.Server, shape Shape) (err error) {
	if byRedisBenchmark(s, shape) {
		return r.gauge(ctx, s, shape)
	}
	_, err = r.load(ctx, s, shape, r.Scale.Long/5)
	return err
}

// byRedisBenchmark says who makes the load: redis-benchmark cannot mix commands.
func byRedisBenchmark(s peers.Server, shape Shape) bool {
	return s.Name() != peers.Etcd && shape.Command != mix
}

func rateKey(s peers.Server, shape Shape) string { return shape.Name + " " + s.Name() }

// gauge runs redis-benchmark, which takes a number of requests and no time, until it
// ran long enough to tell how many are right.
func (r *runner) gauge(ctx context.Context, s peers.Server, shape Shape) error {
	long := r.Scale.long(shape).Seconds() / 5
	for requests := shape.Conns * shape.Pipeline * 2; ; {
		if err := r.ready(ctx, s, shape, requests); err != nil {
			return err
		}
		summary, err := r.redisBenchmark(ctx, s, shape, requests)
		if err != nil {
			return err
		}
		took := float64(requests) / summary.PerSecond // 0 where it was less than a millisecond
		if took >= long {
			r.rates[rateKey(s, shape)] = summary.PerSecond
			return nil
		}
		requests = int(float64(requests) * min(10, 1.3*long/took))
	}
}

func (r *runner) redisBenchmark(ctx context.Context, s peers.Server, shape Shape, requests int) (*load.Summary, error) {
	addr, err := s.Addr(ctx)
	if err != nil {
		return nil, err
	}
	b := load.RedisBenchmark{
		Addr: addr, Test: strings.ToLower(shape.Command), Conns: shape.Conns, Pipeline: shape.Pipeline, Over: shape.keyspace(),
		TLS: encryption(s), As: userOf(s),
	}
	if shape.typed != nil {
		b.Command, b.DB = shape.typed.words(shape.Keys), typesDB
	}
	return b.Run(ctx, requests)
}

// reads is the share of GETs.
func (s Shape) reads() float64 {
	switch s.Command {
	case "GET":
		return 1
	case mix:
		return mixReads
	}
	return 0
}

func (s Shape) keyspace() load.Keyspace { return load.Keyspace{Keys: s.Keys, Size: s.Size} }

// measure takes one round, and what it cost the server.
func (r *runner) measure(ctx context.Context, s peers.Server, shape Shape) (round Round, err error) {
	requests := max(shape.Conns*shape.Pipeline, int(r.rates[rateKey(s, shape)]*r.Scale.long(shape).Seconds()))
	if err := r.ready(ctx, s, shape, requests); err != nil {
		return round, err
	}
	before, err := peers.UsageOf(s.PIDs())
	if err != nil {
		return round, err
	}
	if byRedisBenchmark(s, shape) {
		summary, err := r.redisBenchmark(ctx, s, shape, requests)
		if err != nil {
			return round, err
		}
		if math.IsInf(summary.PerSecond, 1) {
			return round, fmt.Errorf("%d requests are too few to measure", requests)
		}
		round = Round{PerSecond: summary.PerSecond, P50: summary.P50, P99: summary.P99}
	} else {
		out, err := r.load(ctx, s, shape, r.Scale.Long)
		if err != nil {
			return round, err
		}
		requests = out.Requests
		round = Round{
			PerSecond: out.PerSecond(),
			P50:       load.Milliseconds(out.Latency.Quantile(0.5)), P99: load.Milliseconds(out.Latency.Quantile(0.99)),
		}
	}
	after, err := peers.UsageOf(s.PIDs())
	used := after.Since(before)
	round.CPU = used.CPU.Seconds() / float64(requests) * 100_000
	round.Written = float64(used.Written) / float64(requests)
	r.rates[rateKey(s, shape)] = round.PerSecond
	return round, err
}

// load makes load of our own for a time.
func (r *runner) load(ctx context.Context, s peers.Server, shape Shape, long time.Duration) (*load.Outcome, error) {
	addr, err := s.Addr(ctx)
	if err != nil {
		return nil, err
	}
	if s.Name() == peers.Etcd {
		return load.Etcd{Endpoint: addr, Callers: shape.Conns, Reads: shape.Command == "GET", Over: shape.keyspace()}.Run(ctx, long)
	}
	return load.Closed{Addr: addr, Conns: shape.Conns, Pipeline: shape.Pipeline, Reads: shape.reads(), Over: shape.keyspace()}.Run(ctx, long)
}
