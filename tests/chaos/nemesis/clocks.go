//go:build linux

package nemesis

import (
	"context"
	"debug/buildinfo"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/fleet"
)

// jumps are what a clock is set off by at once.
var jumps = []time.Duration{700 * time.Millisecond, 5 * time.Second, time.Minute, time.Hour, 30 * time.Hour}

func clockForward(e *Env, r *rand.Rand) (*Fault, error) { return e.jump(r, 1) }
func clockBack(e *Env, r *rand.Rand) (*Fault, error)    { return e.jump(r, -1) }

// jump sets the clock of one node, or of all alike, off at once.
func (e *Env) jump(r *rand.Rand, sign time.Duration) (*Fault, error) {
	by := sign * jumps[r.IntN(len(jumps))]
	nodes := e.someClocks(r)
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.SetClock(by))
	}
	return &Fault{Nodes: names(nodes), Note: "by " + by.String(), heal: func() error { return resetClocks(nodes) }}, errors.Join(errs...)
}

// clockDrift has clocks run wrong, each in its own way, by up to one half.
func clockDrift(e *Env, r *rand.Rand) (*Fault, error) {
	const interval = 50 * time.Millisecond
	nodes := e.someClocks(r)
	rates := make([]float64, len(nodes))
	for i := range rates {
		rates[i] = r.Float64() - 0.5
	}
	var failed error
	stop := background(func(ctx context.Context) {
		for start := time.Now(); failed == nil && pause(ctx, interval); {
			for i, n := range nodes {
				failed = errors.Join(failed, n.SetClock(time.Duration(rates[i]*float64(time.Since(start)))))
			}
		}
	})
	return &Fault{Nodes: names(nodes), heal: func() error {
		stop()
		return errors.Join(failed, resetClocks(nodes))
	}}, nil
}

func (e *Env) someClocks(r *rand.Rand) []*fleet.Node {
	if r.IntN(3) == 0 {
		return e.Fleet.Nodes
	}
	return []*fleet.Node{e.pick(r)}
}

func resetClocks(nodes []*fleet.Node) error {
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.SetClock(0))
	}
	return errors.Join(errs...)
}

// ClocksWork says whether a binary was built so that its clock can be set.
func ClocksWork(binary string) bool {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			return strings.Contains(s.Value, "faults")
		}
	}
	return false
}
