package cluster

import (
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Network names the timeouts that fit a kind of network. All members of a cluster
// are to run with the same one (see liveness for what happens otherwise).
type Network string

const (
	// LAN is for members within a region: round trips of up to about 20 ms.
	LAN Network = "lan"
	// WAN is for members in several regions: round trips of up to about 150 ms.
	WAN Network = "wan"
)

// timing is what Raft waits for, and what is derived from it. hashicorp/raft sends
// heartbeats every tenth to fifth of the heartbeat timeout.
type timing struct {
	heartbeat time.Duration // without a word from the leader, before a follower stands; also for one election
	lease     time.Duration // without a majority's answer, before a leader steps down
	commit    time.Duration // until followers hear of a commit index where no entries follow
	// turn lies between the followers of a leader that is gone, one of which is to stand
	// after the other (succession.go): an election is over by then.
	turn time.Duration
	// leaderless is for how long no leader was known when more than an election is
	// wrong: several elections are over by then.
	leaderless time.Duration
}

var timings = map[Network]timing{
	LAN: {heartbeat: 300 * time.Millisecond, lease: 250 * time.Millisecond, commit: 10 * time.Millisecond,
		turn: 100 * time.Millisecond, leaderless: 5 * time.Second},
	WAN: {heartbeat: 1500 * time.Millisecond, lease: 1250 * time.Millisecond, commit: 50 * time.Millisecond,
		turn: 600 * time.Millisecond, leaderless: 15 * time.Second},
}

// timingOf returns the timeouts of a network; "" is LAN.
func timingOf(n Network) (Network, timing, error) {
	if n == "" {
		n = LAN
	}
	t, ok := timings[n]
	if !ok {
		return "", timing{}, fmt.Errorf("there are no timeouts for a network %q", n)
	}
	return n, t, nil
}

// set gives the library its part.
func (t timing) set(c *raft.Config) {
	c.HeartbeatTimeout, c.ElectionTimeout = t.heartbeat, t.heartbeat
	c.LeaderLeaseTimeout, c.CommitTimeout = t.lease, t.commit
}
