//go:build linux

package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/raftkv/raftkv/tests/bench/load"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// snapshotConns are the connections of the writers.
const snapshotConns = 50

// snapshotter is a server that can be told to write all it has into one file.
type snapshotter interface {
	peers.Server
	Snapshot(ctx context.Context) error
	// Snapshots changes with each snapshot, one that fell due by itself too.
	Snapshots(ctx context.Context) (string, error)
}

// snapshot measures how long writes take at a fixed rate, in turn without and with a
// snapshot in progress. Redis rewrites its append-only file meanwhile.
func (r *runner) snapshot(ctx context.Context) error {
	able := []snapshotter{r.laden.raftkv}
	if r.laden.redis != nil {
		able = append(able, r.laden.redis)
	}
	results := make([]SnapshotLoad, len(able))
	for i, s := range able {
		results[i] = SnapshotLoad{System: s.Name(), Keys: r.Scale.Million, Rate: r.Scale.Rate}
	}
	for range r.Rounds {
		for i, s := range able {
			if err := r.snapshotRound(ctx, s, &results[i]); err != nil {
				return err
			}
		}
	}
	for _, l := range results {
		r.say("  %s: p99.9 of SETs %.2f ms, with a snapshot %.2f ms", l.System,
			Median(each(l.Without, p999)), Median(each(l.With, p999)))
	}
	r.res.Snapshots = results
	return nil
}

func p999(d Distribution) float64 { return d.P999 }

// span is a time in which something went on.
type span struct{ from, to time.Time }

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// snapshotRound writes for a window without, and until snapshots have been in
// progress for as long.
func (r *runner) snapshotRound(ctx context.Context, s snapshotter, result *SnapshotLoad) error {
	if err := r.quiet(ctx, s); err != nil {
		return err
	}
	addr, err := s.Addr(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		samples []load.Sample
		failed  error
		ended   = make(chan struct{})
	)
	go func() {
		defer close(ended)
		open := load.Open{Addr: addr, Conns: snapshotConns, Rate: r.Scale.Rate, Over: load.Keyspace{Keys: r.Scale.Million, Size: usual}}
		samples, failed = open.Run(ctx)
	}()
	without, with, err := r.snapshotSpans(ctx, s, ended)
	stop()
	<-ended
	if failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	for _, w := range with {
		result.Took = append(result.Took, w.to.Sub(w.from).Seconds())
	}
	result.Without = append(result.Without, distribution(samples, []span{without}))
	result.With = append(result.With, distribution(samples, with))
	return nil
}

// snapshotSpans waits for a window without a snapshot, and makes snapshots then. The
// first moments of the load are not counted.
func (r *runner) snapshotSpans(ctx context.Context, s snapshotter, ended <-chan struct{}) (without span, with []span, err error) {
	wait(ended, r.Scale.Window/4)
	if without, err = r.undisturbed(ctx, s, ended); err != nil {
		return without, nil, err
	}
	for sum := time.Duration(0); sum < r.Scale.Window; {
		one := span{from: time.Now()}
		if err := s.Snapshot(ctx); err != nil {
			return without, with, err
		}
		one.to = time.Now()
		with = append(with, one)
		sum += one.to.Sub(one.from)
	}
	return without, with, nil
}

// undisturbed waits for a window in which no snapshot fell due by itself.
func (r *runner) undisturbed(ctx context.Context, s snapshotter, ended <-chan struct{}) (window span, err error) {
	const tries = 5
	for range tries {
		before, err := s.Snapshots(ctx)
		if err != nil {
			return window, err
		}
		window.from = time.Now()
		wait(ended, r.Scale.Window)
		window.to = time.Now()
		after, err := s.Snapshots(ctx)
		if err != nil || before == after {
			return window, err
		}
		r.say("  %s wrote a snapshot by itself: that window does not count", s.Name())
	}
	return window, fmt.Errorf("%s writes snapshots all the time", s.Name())
}

// wait waits for a time, or until a load has ended early.
func wait(ended <-chan struct{}, long time.Duration) {
	select {
	case <-time.After(long):
	case <-ended:
	}
}

// distribution is of the samples that were due within the spans.
func distribution(samples []load.Sample, spans []span) (d Distribution) {
	var latencies load.Latencies
	for _, sample := range samples {
		for _, s := range spans {
			if s.holds(sample.Due) {
				latencies = append(latencies, sample.Latency)
				break
			}
		}
	}
	at := func(q float64) float64 { return load.Milliseconds(latencies.Quantile(q)) }
	d = Distribution{Count: len(latencies), P50: at(0.5), P99: at(0.99), P999: at(0.999), Max: at(1)}
	for _, q := range Quantiles {
		d.Curve = append(d.Curve, at(q))
	}
	return d
}
