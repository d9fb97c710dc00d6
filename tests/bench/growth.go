//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/raftkv/raftkv/tests/bench/peers"
)

// growth compares throughput with few and with many keys: two of each system run,
// and rounds take turns. Every node writes a snapshot before, so that all begin alike;
// with few keys the next falls due within a round of SETs.
func (r *runner) growth(ctx context.Context) (err error) {
	sizes := [2]int{r.Scale.Keys, r.Scale.Many}
	var pairs [2]*ladenServers
	defer func() {
		for _, l := range pairs {
			if l != nil {
				err = errors.Join(err, r.discard(l.servers()...))
			}
		}
	}()
	for i, keys := range sizes {
		if pairs[i], err = r.startPair(ctx); err != nil {
			return err
		}
		if err := r.fillPair(ctx, pairs[i], keys); err != nil {
			return err
		}
	}
	for _, l := range pairs {
		for node := range l.raftkv.Size() {
			if err := l.raftkv.SnapshotOf(ctx, node); err != nil {
				return err
			}
		}
		if err := r.quiet(ctx, l.servers()...); err != nil {
			return err
		}
	}
	for _, command := range []string{"SET", "GET"} {
		if err := r.growthOf(ctx, pairs, command); err != nil {
			return err
		}
	}
	return nil
}

// growthOf compares one command on what startPair started, few keys first.
func (r *runner) growthOf(ctx context.Context, pairs [2]*ladenServers, command string) error {
	few, many := pairs[0].servers(), pairs[1].servers()
	shape := Shape{Part: "growth", Command: command, Conns: 50, Pipeline: 16, Size: usual}
	results := make([]Growth, len(few))
	for i, s := range few {
		results[i] = Growth{System: s.Name(), Test: command, Few: r.Scale.Keys, Many: r.Scale.Many}
	}
	for range r.Rounds {
		for i := range results {
			g := &results[i]
			for _, side := range []struct {
				s    peers.Server
				keys int
				into *[]Round
			}{{few[i], g.Few, &g.AtFew}, {many[i], g.Many, &g.AtMany}} {
				shape.Keys = side.keys
				shape.Name = fmt.Sprintf("%s %d keys", command, side.keys)
				round, err := r.growthRound(ctx, side.s, shape)
				if err != nil {
					return err
				}
				*side.into = append(*side.into, round)
			}
		}
	}
	for i := range results {
		ratio, _ := results[i].Ratio()
		r.say("  %s %s: %.2f of the throughput with %d keys", results[i].System, command, ratio, results[i].Few)
	}
	r.res.Growth = append(r.res.Growth, results...)
	return nil
}

// growthRound takes one round, and a first measure before the first.
func (r *runner) growthRound(ctx context.Context, s peers.Server, shape Shape) (round Round, err error) {
	if _, known := r.rates[rateKey(s, shape)]; !known {
		if err := r.gauge(ctx, s, shape); err != nil {
			return round, err
		}
	}
	return r.measure(ctx, s, shape)
}
