//go:build linux

package workload

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/check"
)

// All are the workloads there are.
var All = []check.Workload{check.Register, check.Counter, check.Appends, check.ListAppend, check.TTL}

var modes = []Mode{Plain, Follower, Cluster}

// Options say how much to run.
type Options struct {
	Seed      uint64
	Places    []Place
	Workloads []check.Workload
	// Each is how many clients a workload has on each side.
	Each int
	// Pace is the mean pause of a client between two operations, so that histories
	// stay such that they can be checked.
	Pace time.Duration
}

// Crew is clients that work until they are stopped.
type Crew struct {
	opts    Options
	rec     *Recorder
	stop    context.CancelFunc
	working sync.WaitGroup
}

// Start starts all clients.
func Start(rec *Recorder, opts Options) *Crew {
	ctx, cancel := context.WithCancel(context.Background())
	c := &Crew{opts: opts, rec: rec, stop: cancel}
	number := 0
	for _, w := range opts.Workloads {
		keys := newKeys(w, len(opts.Places)*opts.Each)
		for i := range opts.Each * len(opts.Places) {
			place := opts.Places[i%len(opts.Places)]
			mode := modes[(i/len(opts.Places)+i)%len(modes)]
			number++
			worker := &worker{
				Session: NewSession(rec, place, mode), keys: keys, workload: w,
				rnd: rand.New(rand.NewPCG(opts.Seed, uint64(number))),
			}
			c.working.Go(func() { worker.work(ctx, opts.Pace) })
		}
	}
	return c
}

// Stop has the clients end after the operation that each is at.
func (c *Crew) Stop() {
	c.stop()
	c.working.Wait()
}

// keys hands out the keys that a workload works on: two at a time, each for so many
// operations as can be checked.
type keys struct {
	workload check.Workload
	each     int64
	given    atomic.Int64
}

func newKeys(w check.Workload, clients int) *keys {
	const unknownShare = 0.05
	return &keys{workload: w, each: int64(check.OpsPerKey(clients, unknownShare))}
}

// next is the key for one operation.
func (k *keys) next(r *rand.Rand) string {
	at := k.given.Add(1) / (2 * k.each)
	return fmt.Sprintf("%s:%d%c", k.workload, at, 'a'+r.IntN(2))
}

// group is three keys that belong together, in one slot.
func (k *keys) group() []string {
	at := k.given.Add(1) / (2 * k.each)
	name := fmt.Sprintf("{%s:%d}", k.workload, at)
	return []string{name + "x", name + "y", name + "z"}
}

// worker is a client of the crew.
type worker struct {
	*Session
	workload check.Workload
	keys     *keys
	rnd      *rand.Rand
}

func (w *worker) work(ctx context.Context, pace time.Duration) {
	defer w.Close()
	for ctx.Err() == nil {
		// The operation itself is not cut off: its outcome would be unknown.
		w.step(context.WithoutCancel(ctx))
		pause := time.NewTimer(time.Duration(float64(pace) * (0.5 + w.rnd.Float64())))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
}

// step does one operation.
func (w *worker) step(ctx context.Context) {
	dice := w.rnd.IntN(100)
	switch w.workload {
	case check.Counter:
		w.counter(ctx, dice)
	case check.Appends:
		w.appends(ctx, dice)
	case check.ListAppend:
		w.transaction(ctx, dice)
	case check.TTL:
		w.expiry(ctx, dice)
	default:
		w.register(ctx, dice)
	}
}

func (w *worker) do(ctx context.Context, kind check.Kind, op check.Op) {
	op.Kind, op.Workload = kind, w.workload
	w.Do(ctx, op)
}

func (w *worker) register(ctx context.Context, dice int) {
	key, token := w.keys.next(w.rnd), w.Token()
	switch {
	case dice < 40:
		w.do(ctx, check.Get, check.Op{Key: key})
	case dice < 62:
		w.do(ctx, check.Set, check.Op{Key: key, Arg: token})
	case dice < 72:
		w.do(ctx, check.SetNX, check.Op{Key: key, Arg: token})
	case dice < 82:
		w.do(ctx, check.GetSet, check.Op{Key: key, Arg: token})
	case dice < 87:
		w.do(ctx, check.Del, check.Op{Key: key})
	case dice < 90:
		w.do(ctx, check.Exists, check.Op{Key: key})
	default:
		w.CAS(ctx, w.workload, key, token)
	}
}

func (w *worker) counter(ctx context.Context, dice int) {
	key := w.keys.next(w.rnd)
	switch {
	case dice < 60:
		w.do(ctx, check.Incr, check.Op{Key: key})
	case dice < 70:
		w.do(ctx, check.IncrBy, check.Op{Key: key, Arg: strconv.Itoa(1 + w.rnd.IntN(9))})
	default:
		w.do(ctx, check.Get, check.Op{Key: key})
	}
}

func (w *worker) appends(ctx context.Context, dice int) {
	key := w.keys.next(w.rnd)
	if dice < 60 {
		w.do(ctx, check.Append, check.Op{Key: key, Arg: w.Token()})
	} else {
		w.do(ctx, check.Get, check.Op{Key: key})
	}
}

// transaction reads and appends in one MULTI, or alone, which is a transaction too.
func (w *worker) transaction(ctx context.Context, dice int) {
	group := w.keys.group()
	w.rnd.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
	switch {
	case dice < 10:
		w.do(ctx, check.Append, check.Op{Key: group[0], Arg: w.Token()})
	case dice < 25:
		w.do(ctx, check.Get, check.Op{Key: group[0]})
	default:
		var steps []check.Step
		for _, key := range group[:2+w.rnd.IntN(2)] {
			step := check.Step{Kind: check.Get, Key: key}
			if w.rnd.IntN(2) == 0 {
				step.Kind, step.Arg = check.Append, w.Token()
			}
			steps = append(steps, step)
		}
		w.Txn(ctx, w.workload, steps)
	}
}

func (w *worker) expiry(ctx context.Context, dice int) {
	key, token := w.keys.next(w.rnd), w.Token()
	ttl := time.Duration(300+w.rnd.IntN(4000)) * time.Millisecond
	switch {
	case dice < 30:
		w.do(ctx, check.Get, check.Op{Key: key})
	case dice < 50:
		w.do(ctx, check.Set, check.Op{Key: key, Arg: token, TTL: ttl})
	case dice < 55:
		w.do(ctx, check.Set, check.Op{Key: key, Arg: token})
	case dice < 65:
		w.do(ctx, check.SetNX, check.Op{Key: key, Arg: token, TTL: ttl})
	case dice < 80:
		w.do(ctx, check.PTTL, check.Op{Key: key})
	case dice < 86:
		w.do(ctx, check.Persist, check.Op{Key: key})
	case dice < 93:
		w.do(ctx, check.PExpire, check.Op{Key: key, TTL: ttl})
	case dice < 96:
		w.do(ctx, check.Exists, check.Op{Key: key})
	default:
		w.do(ctx, check.Del, check.Op{Key: key})
	}
}

// Known returns an error if one of the names is no workload's.
func Known(names []check.Workload) error {
	for _, name := range names {
		if !slices.Contains(All, name) {
			return fmt.Errorf("no workload is called %q; there are %v", name, All)
		}
	}
	return nil
}
