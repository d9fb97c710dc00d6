//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/fleet"
	"github.com/raftkv/raftkv/tests/chaos/network"
	"github.com/raftkv/raftkv/tests/chaos/workload"
)

// leaderWait is how long a fault that needs a leader waits for one.
const leaderWait = 4 * time.Second

var errNoLeader = errors.New("no leader to be found")

// Env is what the faults work on.
type Env struct {
	Fleet    *fleet.Fleet
	Recorder *workload.Recorder
	Places   []workload.Place // by the nodes' positions

	mu    sync.Mutex
	probe int // guarded by mu; numbers the keys of stale-read probes
}

// Fault is one that is under way.
type Fault struct {
	Kind  string
	Nodes []string // whom it hit
	Note  string
	// Waits says that healing waits for what needs a cluster that works.
	Waits bool
	heal  func() error

	from int64
}

// String says what the fault is and whom it hit.
func (f *Fault) String() string {
	text := f.Kind + " " + strings.Join(f.Nodes, ",")
	if f.Note != "" {
		text += " (" + f.Note + ")"
	}
	return text
}

// Inject makes a fault of a kind; r decides what is left to chance.
func (e *Env) Inject(name string, r *rand.Rand) (*Fault, error) {
	from := e.Recorder.History.Now()
	f, err := find(name).inject(e, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f.Kind, f.from = name, from
	return f, nil
}

// Heal ends a fault and enters it in the history.
func (e *Env) Heal(f *Fault) error {
	err := f.heal()
	for _, node := range f.Nodes {
		e.Recorder.History.AddFault(check.Fault{Node: node, Kind: f.Kind, Note: f.Note, From: f.from, To: e.Recorder.History.Now()})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	return nil
}

// roles looks up who leads now; the others are shuffled.
func (e *Env) roles(r *rand.Rand) (leader *fleet.Node, others []*fleet.Node, err error) {
	if leader = e.Fleet.AwaitLeader(leaderWait); leader == nil {
		return nil, nil, errNoLeader
	}
	for _, n := range e.Fleet.Nodes {
		if n != leader {
			others = append(others, n)
		}
	}
	r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return leader, others, nil
}

// pick returns any node.
func (e *Env) pick(r *rand.Rand) *fleet.Node { return e.Fleet.Nodes[r.IntN(len(e.Fleet.Nodes))] }

// minority is the largest number of nodes that is no majority.
func (e *Env) minority() int { return (len(e.Fleet.Nodes) - 1) / 2 }

// cut drops paths until the fault is healed.
func (e *Env) cut(nodes []*fleet.Node, paths []network.Path) (*Fault, error) {
	if err := e.Fleet.Net.Cut(paths); err != nil {
		return nil, err
	}
	return &Fault{Nodes: names(nodes), heal: func() error { return e.Fleet.Net.Mend(paths) }}, nil
}

// refuse rejects what is sent on paths until the fault is healed.
func (e *Env) refuse(nodes []*fleet.Node, paths []network.Path) (*Fault, error) {
	if err := e.Fleet.Net.Refuse(paths); err != nil {
		return nil, err
	}
	return &Fault{Nodes: names(nodes), heal: func() error { return e.Fleet.Net.Allow(paths) }}, nil
}

// between are the paths from each of some nodes to each of others.
func between(from, to []*fleet.Node) (paths []network.Path) {
	for _, a := range from {
		for _, b := range to {
			paths = append(paths, network.Path{From: a.Index, To: b.Index})
		}
	}
	return paths
}

// apart are the paths in both directions.
func apart(a, b []*fleet.Node) []network.Path { return append(between(a, b), between(b, a)...) }

func names(nodes []*fleet.Node) (all []string) {
	for _, n := range nodes {
		all = append(all, n.Name)
	}
	slices.Sort(all)
	return all
}

// background runs fn until the returned function is called, which waits for it.
func background(fn func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { fn(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// pause waits, shorter if ctx ends; it says whether it has not.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func millis(r *rand.Rand, low, high int) time.Duration {
	return time.Duration(low+r.IntN(high-low)) * time.Millisecond
}
