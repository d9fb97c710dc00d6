//go:build linux

package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/nemesis"
	"github.com/raftkv/raftkv/tests/chaos/workload"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// step makes the faults of a step, heals them, and waits until the service is back.
// It says whether to go on.
func (r *run) step(ctx context.Context, s nemesis.Step) bool {
	rnd := rand.New(rand.NewPCG(s.Seed, 0))
	var active []*nemesis.Fault
	for i, kind := range s.Kinds {
		if i > 0 {
			wait(ctx, s.Gap)
		}
		f, err := r.env.Inject(kind, rnd)
		if err != nil {
			r.logf("%s could not be made: %v", kind, err)
			r.count(func() { r.skipped++ })
			continue
		}
		active = append(active, f)
		r.logf("begin %s", f)
		r.setNow(describe(active))
		r.count(func() { r.faults[kind]++ })
	}
	wait(ctx, s.Hold)
	// What waits for something, as a new member does, ends when all else is healed.
	slices.SortStableFunc(active, func(a, b *nemesis.Fault) int { return boolToInt(a.Waits) - boolToInt(b.Waits) })
	for _, f := range active {
		if err := r.env.Heal(f); err != nil {
			r.violate("%v", err)
		}
		r.logf("healed %s", f)
	}
	r.setNow("healed " + describe(active))
	if !r.awaitService(s) {
		return false
	}
	r.setNow("quiet")
	wait(ctx, s.Quiet)
	return true
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func describe(faults []*nemesis.Fault) string {
	var texts []string
	for _, f := range faults {
		texts = append(texts, f.String())
	}
	return strings.Join(texts, " + ")
}

const (
	// tryTime bounds one attempt to find the service back.
	tryTime = 2 * time.Second
	// worthTelling is how long a side may be away without being named in the log.
	worthTelling = time.Second
)

// awaitService waits until a client on every side gets a write through and every
// node answers a read of its own. It says whether that came at all.
func (r *run) awaitService(s nemesis.Step) bool {
	start := time.Now()
	errs := make([]error, len(r.env.Places))
	var asking sync.WaitGroup
	for i, place := range r.env.Places {
		asking.Go(func() {
			session := workload.NewSession(r.rec, place, workload.Plain)
			defer session.Close()
			var last error
			errs[i] = proc.Poll(r.settle, func() (err error) {
				defer func() { last = cmp.Or(err, last) }()
				ctx, cancel := context.WithTimeout(context.Background(), tryTime)
				defer cancel()
				if err := session.Works(ctx, fmt.Sprintf("probe:%d", i)); err != nil {
					return fmt.Errorf("clients next to %s: %w", r.fleet.Nodes[i].Name, err)
				}
				if err := r.fleet.Nodes[i].Ready(); err != nil {
					return fmt.Errorf("%s: %w", r.fleet.Nodes[i].Name, err)
				}
				return nil
			})
			if took := time.Since(start); took > worthTelling {
				r.logf("%s was back after %s; the last error was %v", r.fleet.Nodes[i].Name, took.Round(time.Millisecond), last)
			}
		})
	}
	asking.Wait()
	took := time.Since(start)
	r.logf("service back after %s", took.Round(time.Millisecond))
	r.count(func() { r.back = append(r.back, unavailability{s, took}) })
	if err := errors.Join(errs...); err != nil {
		r.violate("the service was not back %s after %s: %v", r.settle, s, err)
		return false
	}
	if took > ServiceLimit {
		r.violate("the service was back only %s after %s", took.Round(time.Millisecond), s)
	}
	return true
}

// The rhythm of what is watched and told.
const (
	watchPause = 250 * time.Millisecond
	tellPause  = 4 * time.Second
)

// watch enters who leads in the history and prints a line every few seconds.
func (r *run) watch(ctx context.Context) {
	var (
		leading   check.Fault
		term      int64
		told      = time.Now()
		toldCount int
	)
	end := func() {
		if leading.Node != "" {
			leading.To = r.rec.History.Now()
			r.rec.History.AddFault(leading)
			leading.Node = ""
		}
	}
	for wait(ctx, watchPause) {
		switch leader, s := r.fleet.Leader(); {
		case leader == nil:
			end()
		case leader.Name != leading.Node || s.Term != term:
			end()
			term = s.Term
			leading = check.Fault{Node: leader.Name, Kind: check.Leading, Note: fmt.Sprint("term ", term), From: r.rec.History.Now()}
		}
		if time.Since(told) >= tellPause {
			count := r.rec.History.Len()
			r.tell(float64(count-toldCount)/time.Since(told).Seconds(), leading.Node, term)
			told, toldCount = time.Now(), count
		}
	}
	end()
}

// tell prints a line on how it goes.
func (r *run) tell(rate float64, leader string, term int64) {
	if leader == "" {
		leader = "none"
	}
	var sum workload.Tally
	for _, t := range r.rec.Tallies() {
		sum.OK, sum.Failed, sum.Unknown = sum.OK+t.OK, sum.Failed+t.Failed, sum.Unknown+t.Unknown
	}
	r.mu.Lock()
	now := r.now
	r.mu.Unlock()
	fmt.Fprintf(r.opts.Out, "%4.0fs  %4.0f ops/s  ok %d  failed %d  unknown %d  leader %s  term %d  %s\n",
		time.Since(r.began).Seconds(), rate, sum.OK, sum.Failed, sum.Unknown, leader, term, now)
}

func (r *run) setNow(what string) { r.count(func() { r.now = what }) }

// count changes what mu guards.
func (r *run) count(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// logf adds a line to the run's own log.
func (r *run) logf(format string, args ...any) {
	r.count(func() {
		fmt.Fprintf(&r.log, "%8.3f  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
	})
}

// wait waits, shorter if ctx ends; it says whether it has not.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
