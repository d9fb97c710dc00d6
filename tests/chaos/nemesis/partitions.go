//go:build linux

package nemesis

import (
	"context"
	"math/rand/v2"

	"github.com/raftkv/raftkv/tests/chaos/fleet"
	"github.com/raftkv/raftkv/tests/chaos/network"
)

func isolateLeader(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.cut([]*fleet.Node{leader}, apart([]*fleet.Node{leader}, others))
}

func isolateFollower(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.cut(others[:1], apart(others[:1], append(others[1:], leader)))
}

// splitLeaderMinority leaves the leader with as many as are no majority.
func splitLeaderMinority(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	with := append([]*fleet.Node{leader}, others[:e.minority()-1]...)
	return e.cut(with, apart(with, others[e.minority()-1:]))
}

// splitLeaderMajority cuts off as many as can be without harm.
func splitLeaderMajority(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	off := others[:e.minority()]
	return e.cut(off, apart(off, append(others[e.minority():], leader)))
}

// muteLeader loses all that the leader sends, and nothing that is sent to it.
func muteLeader(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.cut([]*fleet.Node{leader}, between([]*fleet.Node{leader}, others))
}

// deafenLeader loses all that is sent to the leader: its heartbeats go out.
func deafenLeader(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.cut([]*fleet.Node{leader}, between(others, []*fleet.Node{leader}))
}

func muteFollower(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.cut(others[:1], between(others[:1], append(others[1:], leader)))
}

func deafenFollower(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.cut(others[:1], between(append(others[1:], leader), others[:1]))
}

// refuseLeader has one follower be refused all that it sends to the leader, as if the
// leader's process had ended; the others see that it has not.
func refuseLeader(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.refuse(others[:1], between(others[:1], []*fleet.Node{leader}))
}

// refuseLeaderAll does so to all followers: a leader that lives is taken for gone.
func refuseLeaderAll(e *Env, r *rand.Rand) (*Fault, error) {
	leader, others, err := e.roles(r)
	if err != nil {
		return nil, err
	}
	return e.refuse([]*fleet.Node{leader}, between(others, []*fleet.Node{leader}))
}

// halves shuffles the nodes into a middle one and two halves.
func (e *Env) halves(r *rand.Rand) (middle, left, right []*fleet.Node) {
	all := append([]*fleet.Node(nil), e.Fleet.Nodes...)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	at := 1 + (len(all)-1)/2
	return all[:1], all[1:at], all[at:]
}

// bridge leaves one node that sees both halves, which do not see each other.
func bridge(e *Env, r *rand.Rand) (*Fault, error) {
	middle, left, right := e.halves(r)
	f, err := e.cut(append(left, right...), apart(left, right))
	if err == nil {
		f.Note = "over " + middle[0].Name
	}
	return f, err
}

// flap cuts a node off and lets it back, over and over.
func flap(e *Env, r *rand.Rand) (*Fault, error) {
	all := append([]*fleet.Node(nil), e.Fleet.Nodes...)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return e.flapping(all[:1], apart(all[:1], all[1:]), r)
}

func bridgeFlap(e *Env, r *rand.Rand) (*Fault, error) {
	middle, left, right := e.halves(r)
	f, err := e.flapping(append(left, right...), apart(left, right), r)
	f.Note = "over " + middle[0].Name
	return f, err
}

// flapping cuts and mends paths until the fault is healed.
func (e *Env) flapping(nodes []*fleet.Node, paths []network.Path, r *rand.Rand) (*Fault, error) {
	var failed error
	stop := background(func(ctx context.Context) {
		for ctx.Err() == nil && failed == nil {
			if failed = e.Fleet.Net.Cut(paths); failed != nil {
				return
			}
			pause(ctx, millis(r, 150, 900))
			failed = e.Fleet.Net.Mend(paths)
			pause(ctx, millis(r, 100, 700))
		}
	})
	return &Fault{Nodes: names(nodes), heal: func() error {
		stop()
		return failed
	}}, nil
}
