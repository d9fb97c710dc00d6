//go:build linux

// Package bench measures RaftKV beside what people would use instead: real
// processes on this machine's loopback, in rounds that take turns, so that a ratio
// is between neighbours in time. It knows which loads and which goals there are;
// package peers runs the servers, package load makes the load, package report
// shows the results.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/raftkv/raftkv/tests/bench/peers"
)

// Options say what to run.
type Options struct {
	Out    io.Writer // progress, a line each
	RaftKV string    // the binary under test
	Self   string    // a program that serves package echo where peers.EchoEnv is set
	Work   string    // an empty directory for data, on a real disk
	Only   []string  // names of parts; all if empty
	// Without names systems that take no part.
	Without []string
	Rounds  int
	Scale   Scale
}

// stand is what servers a part needs.
type stand int

const (
	alone stand = iota // starts its own
	field              // one of each system, with Scale.Keys keys
	laden              // RaftKV and Redis, with Scale.Million keys
)

// part is what can be measured by itself.
type part struct {
	name, what string
	stand      stand
	run        func(*runner, context.Context) error
}

// parts are all of them in the order in which they run. The cold start comes before
// the snapshots, which change what it starts from.
var parts = []part{
	{"set", "SET of 64 B", field, throughput("set")},
	{"get", "GET of 64 B", field, throughput("get")},
	{"mix", "90 % GET, 10 % SET", field, throughput("mix")},
	{"types", "the main commands of each type", field, (*runner).types},
	{"large", "SET of 4 KB and 1 MB", field, throughput("large")},
	{"costs", "CPU, bytes written and disk waits per write", field, (*runner).costs},
	{"memory", "resident memory per key", laden, (*runner).memory},
	{"cold", "time to the first write after a restart of all", laden, (*runner).cold},
	{"snapshot", "latency of writes while a snapshot is written", laden, (*runner).snapshot},
	{"kill", "kill -9 of the leader", alone, (*runner).kill},
	{"term", "SIGTERM of the leader", alone, (*runner).term},
	{"growth", "throughput with many keys", alone, (*runner).growth},
	{"tls", "throughput with TLS and ACLs beside without", alone, (*runner).tls},
}

// PartNames are the parts' names and what they measure.
func PartNames() (names [][2]string) {
	for _, p := range parts {
		names = append(names, [2]string{p.name, p.what})
	}
	return names
}

// runner is one run.
type runner struct {
	Options
	res     *Results
	started time.Time
	dirs    int // that dir has made

	field  []peers.Server // nil while it is not up
	laden  *ladenServers
	rates  map[string]float64  // last throughput, by shape and system
	filled map[string]*filling // what the types last stored, by system
	certs  *peers.Certs        // nil before the part that needs them
}

// Run measures. A part that fails is noted in the results and the others go on;
// only what makes a run impossible is an error.
func Run(ctx context.Context, opts Options) (*Results, error) {
	chosen, err := choose(opts.Only)
	if err = errors.Join(err, opts.check()); err != nil {
		return nil, err
	}
	r := &runner{Options: opts, res: &Results{}, started: time.Now(), rates: map[string]float64{}}
	if err := r.look(); err != nil {
		return nil, err
	}
	defer r.closeStands()
	for _, p := range chosen {
		r.res.Conditions.Parts = append(r.res.Conditions.Parts, p.name)
		r.say("%s: %s", p.name, p.what)
		if err := r.one(ctx, p); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r.res.Failed = append(r.res.Failed, p.name+": "+err.Error())
			r.say("%s FAILED: %v", p.name, err)
			r.closeStands()
		}
	}
	r.closeStands()
	return r.res, r.lookAgain()
}

// one runs a part on the servers that it needs; those that it does not need are gone
// by then.
func (r *runner) one(ctx context.Context, p part) (err error) {
	if p.stand != field {
		r.closeField()
	}
	if p.stand != laden {
		r.closeLaden()
	}
	switch {
	case p.stand == field && r.field == nil:
		err = r.startField(ctx)
	case p.stand == laden && r.laden == nil:
		err = r.startLaden(ctx)
	}
	if err != nil {
		return err
	}
	return p.run(r, ctx)
}

// check refuses systems that there are not; without RaftKV there is nothing to do.
func (o *Options) check() error {
	for _, name := range o.Without {
		if name == peers.RaftKV || !slices.Contains(systems, name) {
			return fmt.Errorf("%q cannot be left out, only some of %s", name, strings.Join(systems[1:], ","))
		}
	}
	return nil
}

func choose(only []string) (chosen []part, err error) {
	for _, p := range parts {
		if len(only) == 0 || slices.Contains(only, p.name) {
			chosen = append(chosen, p)
		}
	}
	for _, name := range only {
		if !slices.ContainsFunc(parts, func(p part) bool { return p.name == name }) {
			var known []string
			for _, p := range parts {
				known = append(known, p.name)
			}
			return nil, fmt.Errorf("there is no part %q, only %s", name, strings.Join(known, ","))
		}
	}
	return chosen, nil
}

// say writes a line of progress.
func (r *runner) say(format string, args ...any) {
	took := time.Since(r.started).Round(time.Second)
	fmt.Fprintf(r.Out, "%6s  %s\n", took, fmt.Sprintf(format, args...))
}

// leaveOut notes what cannot run here.
func (r *runner) leaveOut(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !slices.Contains(r.res.LeftOut, line) {
		r.res.LeftOut = append(r.res.LeftOut, line)
		r.say("LEFT OUT: %s", line)
	}
}

// dir makes a new empty directory for a system's data.
func (r *runner) dir() (string, error) {
	r.dirs++
	dir := filepath.Join(r.Work, fmt.Sprint(r.dirs))
	return dir, os.Mkdir(dir, 0o700)
}

// start starts a system with a directory of its own, which discard removes again.
// It returns nil, and notes it, where the system's program is not installed.
func (r *runner) start(ctx context.Context, name string, trace bool) (peers.Server, error) {
	return r.startWith(ctx, name, with{trace: trace})
}

// with is what a system is started with besides its defaults.
type with struct{ trace, tls bool }

func (r *runner) startWith(ctx context.Context, name string, more with) (peers.Server, error) {
	if slices.Contains(r.Without, name) {
		r.leaveOut("%s: as asked", name)
		return nil, nil
	}
	dir, err := r.dir()
	if err != nil {
		return nil, err
	}
	opts := peers.Options{Dir: dir, Trace: more.trace}
	if more.tls {
		opts.Certs = r.certs
	}
	switch name {
	case peers.RaftKV:
		opts.Binary = r.RaftKV
		return some(peers.StartRaftKV(ctx, opts))
	case peers.Echo:
		opts.Binary = r.Self
		return some(peers.StartEcho(ctx, opts))
	case peers.Etcd:
		if opts.Binary, err = peers.Find("etcd"); err != nil {
			r.leaveOut("etcd: %v", err)
			return nil, nil
		}
		return some(peers.StartEtcd(ctx, opts))
	}
	if _, err := peers.Find("redis-server"); err != nil {
		r.leaveOut("redis: %v", err)
		return nil, nil
	}
	fsync := "always"
	if name == peers.RedisEverysec {
		fsync = "everysec"
	}
	return some(peers.StartRedis(ctx, fsync, opts))
}

// some makes an interface of a server, nil with an error.
func some[S peers.Server](s S, err error) (peers.Server, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

// discard ends systems. Their data goes with the run's directory, except where
// there is much of it.
func (r *runner) discard(servers ...peers.Server) error {
	var errs []error
	for _, s := range servers {
		s.Close()
		errs = append(errs, os.RemoveAll(s.Dir()))
	}
	return errors.Join(errs...)
}

// closeStands ends what still runs.
func (r *runner) closeStands() {
	r.closeField()
	r.closeLaden()
}

// quiet waits until the servers have next to nothing to do any more: what a load
// left to them, they do before the next measurement. It gives up, and says so,
// after quietLimit.
func (r *runner) quiet(ctx context.Context, servers ...peers.Server) error {
	const look, enough = 500 * time.Millisecond, 0.1
	var pids []int
	for _, s := range servers {
		pids = append(pids, s.PIDs()...)
	}
	for end := time.Now().Add(quietLimit); ; {
		busy, err := share(ctx, pids, look)
		if err != nil || busy < enough {
			return err
		}
		if time.Now().After(end) {
			r.say("the servers are still busy after %s: %.0f %% of a core", quietLimit, 100*busy)
			return nil
		}
	}
}

const quietLimit = 20 * time.Second

// share is how much of one core processes use over a time.
func share(ctx context.Context, pids []int, over time.Duration) (float64, error) {
	before, err := peers.UsageOf(pids)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(over):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := peers.UsageOf(pids)
	return after.Since(before).CPU.Seconds() / over.Seconds(), err
}
