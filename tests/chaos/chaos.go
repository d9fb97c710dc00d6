//go:build linux

// Package chaos runs a real cluster under faults and judges it. Each node is a
// process on a host of its own (tests/chaos/network, fleet), clients work on every
// side (workload), faults come by a schedule that the seed decides (nemesis), and
// what the clients saw is checked at the end (check): no acknowledged write may be
// lost, no read stale, no two replicas differ, and after each heal the service has
// to be back within ServiceLimit.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/fleet"
	"github.com/raftkv/raftkv/tests/chaos/nemesis"
	"github.com/raftkv/raftkv/tests/chaos/network"
	"github.com/raftkv/raftkv/tests/chaos/workload"
)

// ServiceLimit is how long the service may take to be back after a heal.
const ServiceLimit = 10 * time.Second

// settleTime bounds what must succeed sooner or later for a run to go on.
const settleTime = time.Minute

// Options say what to run. Binary and Dir must exist.
type Options struct {
	Binary    string
	Dir       string // for everything that the run writes
	Nodes     int
	Seed      uint64
	Duration  time.Duration // of the faults; forming the cluster and checking come on top
	Workloads []check.Workload
	Faults    []string // kinds; all that the binary can do if empty
	Short     bool     // short faults, for a test
	Planted   string   // bugs to switch on in the nodes, as RAFTKV_FAULT has them
	Out       io.Writer
}

// Result is what became of a run.
type Result struct {
	Violations []string // what must not happen
	Files      []string // what was written for people to look at
	Summary    string
}

// run is a run under way.
type run struct {
	opts   Options
	settle time.Duration // settleTime, but in tests
	net    *network.Network
	fleet  *fleet.Fleet
	rec    *workload.Recorder
	env    *nemesis.Env
	began  time.Time

	mu         sync.Mutex
	violations []string         // guarded by mu
	faults     map[string]int   // guarded by mu; by kind
	now        string           // guarded by mu; the step under way
	back       []unavailability // guarded by mu
	skipped    int              // guarded by mu; faults that could not be made
	log        strings.Builder  // guarded by mu
}

// unavailability is how long it took until the service was back after a step.
type unavailability struct {
	step nemesis.Step
	took time.Duration
}

// Run runs a cluster under faults. It returns an error where it could not; a
// cluster that misbehaved is in the Result. When ctx ends, the faults do, and what
// happened so far is judged.
func Run(ctx context.Context, opts Options) (*Result, error) {
	r, err := begin(opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.work(ctx); err != nil {
		return nil, err
	}
	r.finish()
	return r.judge()
}

// begin makes the network and the cluster.
func begin(opts Options) (r *run, err error) {
	logging.Disable() // go-redis logs each node that is cut off or killed
	r = &run{opts: opts, settle: settleTime, faults: map[string]int{}, began: time.Now()}
	if r.net, err = network.New(opts.Nodes); err != nil {
		return nil, err
	}
	var env []string
	if opts.Planted != "" {
		env = append(env, "RAFTKV_FAULT="+opts.Planted)
	}
	if r.fleet, err = fleet.New(r.net, fleet.Options{Binary: opts.Binary, Dir: opts.Dir, Env: env}); err != nil {
		r.close()
		return nil, err
	}
	if err := r.fleet.Start(settleTime); err != nil {
		r.close()
		return nil, fmt.Errorf("the cluster did not form: %w", err)
	}
	meta := check.Meta{Seed: opts.Seed, Notes: map[string]string{"duration": opts.Duration.String(), "planted": opts.Planted}}
	for _, n := range r.fleet.Nodes {
		meta.Nodes = append(meta.Nodes, n.Name)
	}
	r.rec = workload.NewRecorder(check.NewHistory(meta))
	r.env = &nemesis.Env{Fleet: r.fleet, Recorder: r.rec, Places: places(r.fleet)}
	r.began = time.Now()
	return r, nil
}

// close ends every process of the run.
func (r *run) close() {
	if r.fleet != nil {
		r.fleet.Close()
	}
	r.net.Close()
}

// places are where clients are, one for each side.
func places(f *fleet.Fleet) (all []workload.Place) {
	names := map[string]string{}
	for _, n := range f.Nodes {
		names[n.RESPAddr()] = n.Name
	}
	for _, n := range f.Nodes {
		all = append(all, workload.Place{Side: n.Side, Own: n.RESPAddr(), Names: names, Addrs: f.RESPAddrs()})
	}
	return all
}

// work has clients and faults run against each other until the time is up.
func (r *run) work(ctx context.Context) error {
	kinds := r.opts.Faults
	if len(kinds) == 0 {
		kinds = r.defaultFaults()
	}
	schedule, err := nemesis.NewSchedule(r.opts.Seed, kinds, r.opts.Short)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Duration)
	defer cancel()
	watching, unwatch := context.WithCancel(context.Background())
	var watchers sync.WaitGroup
	watchers.Go(func() { r.watch(watching) })
	defer watchers.Wait()
	defer unwatch()
	crew := workload.Start(r.rec, workload.Options{
		Seed: r.opts.Seed, Places: r.env.Places, Workloads: r.opts.Workloads, Each: 2, Pace: time.Duration(r.opts.Nodes) * 14 * time.Millisecond,
	})
	defer crew.Stop()
	r.awaitService(nemesis.Step{Kinds: []string{"start"}})
	for ctx.Err() == nil {
		if !r.step(ctx, schedule.Next()) {
			break
		}
	}
	r.setNow("")
	return nil
}

// defaultFaults are all kinds that can be made with this binary.
func (r *run) defaultFaults() []string {
	if nemesis.ClocksWork(r.opts.Binary) {
		return nemesis.Names()
	}
	fmt.Fprintln(r.opts.Out, "the binary was not built with -tags faults: no clock is set")
	return nemesis.WithoutClocks()
}

// violate notes what must not happen.
func (r *run) violate(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, fmt.Sprintf(format, args...))
}

// finish brings the cluster back to rest and reads everything from every node.
func (r *run) finish() {
	if err := r.rest(); err != nil {
		r.violate("the cluster did not come to rest: %v", err)
	}
	if err := r.readAll(); err != nil {
		r.violate("at the end: %v", err)
	}
	for _, fault := range r.fleet.Faults() {
		r.violate("%s", fault)
	}
}

// rest heals what may be left, and waits until every node holds everything.
func (r *run) rest() error {
	errs := []error{r.fleet.Net.MendAll()}
	for _, n := range r.fleet.Nodes {
		n.Resume()
		errs = append(errs, n.SetClock(0), n.Start())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return r.fleet.AwaitCaughtUp(r.settle)
}

// file is the path of something that the run writes.
func (r *run) file(name string) string { return filepath.Join(r.opts.Dir, name) }

// base is how the names of a run's files begin.
func (r *run) base() string { return "seed" + strconv.FormatUint(r.opts.Seed, 10) }

// write makes a file of what fn writes.
func (r *run) write(name string, fn func(w io.Writer) error) (string, error) {
	f, err := os.Create(r.file(name))
	if err != nil {
		return "", err
	}
	return f.Name(), errors.Join(fn(f), f.Close())
}
