//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/fleet"
)

func (e *Env) paused(nodes []*fleet.Node) *Fault {
	for _, n := range nodes {
		n.Pause()
	}
	return &Fault{Nodes: names(nodes), heal: func() error {
		for _, n := range nodes {
			n.Resume()
		}
		return nil
	}}
}

func pauseLeader(e *Env, r *rand.Rand) (*Fault, error) {
	leader, _, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.paused([]*fleet.Node{leader}), nil
}

// pauseFollowers pauses one follower, or all.
func pauseFollowers(e *Env, r *rand.Rand) (*Fault, error) {
	_, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	if r.IntN(2) == 0 {
		others = others[:1]
	}
	return e.paused(others), nil
}

// killed kills nodes, in this order and at once, and starts them again at the end.
func (e *Env) killed(nodes []*fleet.Node) *Fault {
	for _, n := range nodes {
		n.Kill()
	}
	return &Fault{Nodes: names(nodes), heal: func() error {
		var errs []error
		for _, n := range nodes {
			errs = append(errs, n.Start())
		}
		return errors.Join(errs...)
	}}
}

func killLeader(e *Env, r *rand.Rand) (*Fault, error) {
	leader, _, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.killed([]*fleet.Node{leader}), nil
}

func killFollower(e *Env, r *rand.Rand) (*Fault, error) {
	_, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.killed(others[:1]), nil
}

// killMajority leaves the leader in about half of the cases.
func killMajority(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	victims := others[:e.minority()+1]
	if r.IntN(2) == 0 {
		victims = append([]*fleet.Node{leader}, others[:e.minority()]...)
	}
	return e.killed(victims), nil
}

func killAll(e *Env, r *rand.Rand) (*Fault, error) {
	all := append([]*fleet.Node(nil), e.Fleet.Nodes...)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return e.killed(all), nil
}

// term restarts a node as an operator does.
func term(e *Env, r *rand.Rand) (*Fault, error) {
	n := e.pick(r)
	n.Resume()
	if err := n.Term(); err != nil {
		return nil, err
	}
	return &Fault{Nodes: []string{n.Name}, heal: func() error { return n.Start() }}, nil
}

// swapTime bounds a replacement once all else is healed.
const swapTime = 30 * time.Second

// swap removes a node and puts a fresh one with a new id in its place.
func swap(e *Env, r *rand.Rand) (*Fault, error) {
	n := e.pick(r)
	note := "running"
	if r.IntN(2) == 0 {
		note = "killed first"
		n.Kill()
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.replace(ctx, n) }()
	return &Fault{Nodes: []string{n.Name}, Note: n.ID() + " replaced, " + note, Waits: true, heal: func() error {
		late := time.AfterFunc(swapTime, cancel)
		defer late.Stop()
		defer cancel()
		return <-ended
	}}, nil
}

// replace goes on through all other faults until the new node votes.
func (e *Env) replace(ctx context.Context, n *fleet.Node) error {
	old := n.ID()
	if err := e.remove(ctx, n, old); err != nil {
		return fmt.Errorf("RAFT.LEAVE %s: %w", old, err)
	}
	if err := n.Replace(e.Fleet.Others(n)); err != nil {
		return err
	}
	return until(ctx, func() error {
		_, s := e.Fleet.Leader()
		if s == nil {
			return errNoLeader
		}
		if m, ok := s.Member(n.ID()); !ok || m.Role == "learner" {
			return fmt.Errorf("%s does not vote", n.ID())
		}
		return nil
	})
}

// remove asks the other nodes to remove one until the leader says that it is gone.
func (e *Env) remove(ctx context.Context, n *fleet.Node, id string) error {
	at := 0
	return until(ctx, func() error {
		if leader, s := e.Fleet.Leader(); s != nil && leader != n {
			if _, member := s.Member(id); !member {
				return nil
			}
		}
		asked := e.Fleet.Nodes[at%len(e.Fleet.Nodes)]
		at++
		if asked == n || !asked.Running() || asked.Paused() {
			return fmt.Errorf("%s cannot be asked", asked.Name)
		}
		const leaveTime = 15 * time.Second
		ctx, cancel := context.WithTimeout(ctx, leaveTime)
		defer cancel()
		if _, err := asked.Do(ctx, "RAFT.LEAVE", id); err != nil && !strings.Contains(err.Error(), "no member has the id") {
			return err
		}
		return fmt.Errorf("%s is still a member", id)
	})
}

// until calls check until it returns nil; when ctx ends it returns what it
// returned last.
func until(ctx context.Context, check func() error) error {
	for {
		err := check()
		if err == nil || !pause(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// transfers asks for another leader over and over, a named one half of the time.
func transfers(e *Env, r *rand.Rand) (*Fault, error) {
	return e.requesting(r, millis(r, 200, 1500), func(r *rand.Rand) []any {
		if r.IntN(2) == 0 {
			return []any{"RAFT.TRANSFER"}
		}
		return []any{"RAFT.TRANSFER", e.pick(r).ID()}
	}), nil
}

// snapshots has nodes write snapshots and cut their logs over and over.
func snapshots(e *Env, r *rand.Rand) (*Fault, error) {
	return e.requesting(r, millis(r, 100, 600), func(*rand.Rand) []any { return []any{"RAFT.SNAPSHOT"} }), nil
}

// requesting sends commands to any nodes, at such intervals. That one is refused
// under other faults is no mistake; how often they were granted is noted.
func (e *Env) requesting(r *rand.Rand, interval time.Duration, args func(r *rand.Rand) []any) *Fault {
	const requestTime = 3 * time.Second
	sent, granted := 0, 0
	stop := background(func(ctx context.Context) {
		for ctx.Err() == nil {
			n := e.pick(r)
			asking, cancel := context.WithTimeout(ctx, requestTime)
			_, err := n.Do(asking, args(r)...)
			cancel()
			sent++
			if err == nil {
				granted++
			}
			pause(ctx, interval)
		}
	})
	f := &Fault{Nodes: []string{""}}
	f.heal = func() error {
		stop()
		f.Note = fmt.Sprintf("%d of %d granted", granted, sent)
		return nil
	}
	return f
}
