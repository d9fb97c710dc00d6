//go:build linux

package nemesis

import (
	"math/rand/v2"
)

// group says which kinds exclude each other: those of one group do.
type group int

const (
	alone group = iota
	networks
	restarts
	pauses
	requests
	clocks
)

// kind is a sort of fault. inject makes it and says whom it hit.
type kind struct {
	name   string
	group  group
	inject func(e *Env, r *rand.Rand) (*Fault, error)
}

var kinds = []*kind{
	{"isolate-leader", networks, isolateLeader},
	{"isolate-follower", networks, isolateFollower},
	{"split-leader-minority", networks, splitLeaderMinority},
	{"split-leader-majority", networks, splitLeaderMajority},
	{"mute-leader", networks, muteLeader},
	{"deafen-leader", networks, deafenLeader},
	{"mute-follower", networks, muteFollower},
	{"deafen-follower", networks, deafenFollower},
	{"refuse-leader", networks, refuseLeader},
	{"refuse-leader-all", networks, refuseLeaderAll},
	{"bridge", networks, bridge},
	{"flap", networks, flap},
	{"bridge-flap", networks, bridgeFlap},
	{"pause-leader", pauses, pauseLeader},
	{"pause-followers", pauses, pauseFollowers},
	{"pause-stale", alone, pauseStale},
	{"kill-leader", restarts, killLeader},
	{"kill-follower", restarts, killFollower},
	{"kill-majority", restarts, killMajority},
	{"kill-all", restarts, killAll},
	{"term", restarts, term},
	{"swap", restarts, swap},
	{"transfer", requests, transfers},
	{"snapshot", requests, snapshots},
	{"clock-forward", clocks, clockForward},
	{"clock-back", clocks, clockBack},
	{"clock-drift", clocks, clockDrift},
}

// WithoutClocks are the kinds that need no nodes whose clocks can be set.
func WithoutClocks() (names []string) {
	for _, k := range kinds {
		if k.group != clocks {
			names = append(names, k.name)
		}
	}
	return names
}

func find(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}
