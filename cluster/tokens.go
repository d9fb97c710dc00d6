package cluster

import (
	"context"
	"crypto/rand"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

// tokenPrefix tells a join token from other secrets, where one turns up in a place
// that it should not be in.
const tokenPrefix = "raftkv-join-"

// tokenRequest asks the leader for a join token of that hash, or to drop all.
type tokenRequest struct {
	Hash string
	TTL  int64 // milliseconds
	Off  bool
}

// CreateToken makes a join token; see server.Replicator. Only its hash leaves this
// node.
func (n *Node) CreateToken(ctx context.Context, ttl time.Duration) (string, error) {
	token := tokenPrefix + rand.Text()
	err := n.askForToken(ctx, tokenRequest{Hash: system.HashToken(token), TTL: ttl.Milliseconds()})
	if err != nil {
		return "", err
	}
	return token, nil
}

// DropTokens ends the need for join tokens; see server.Replicator.
func (n *Node) DropTokens(ctx context.Context) error {
	return n.askForToken(ctx, tokenRequest{Off: true})
}

// Tokens returns what is kept of the join tokens; see server.Replicator.
func (n *Node) Tokens(ctx context.Context) (open []system.Token, required bool, err error) {
	if _, err := n.FollowerBarrier(ctx); err != nil {
		return nil, false, err
	}
	open, required = n.machine.Tokens()
	return open, required, nil
}

func (n *Node) askForToken(ctx context.Context, r tokenRequest) error {
	if err := n.gone(); err != nil {
		return err
	}
	return n.atLeader(ctx, kindToken, r, func(ctx context.Context) error { return n.tokenHere(ctx, r) })
}

// tokenHere logs what is asked for, on the leader, whose clock counts. A fresh node
// has to lead before it has one.
func (n *Node) tokenHere(ctx context.Context, r tokenRequest) error {
	if n.state.Load().State == pristine {
		if r.Off {
			return nil // there is no cluster, and no token
		}
		if err := n.foundForToken(ctx); err != nil {
			return err
		}
	}
	if _, ok := n.serving(); !ok {
		return system.ErrNoLeader
	}
	if r.Off {
		return n.logSystem(ctx, system.TokensOff())
	}
	now := n.clock.leaderNow()
	return n.logSystem(ctx, system.TokenAdd(system.Token{Hash: r.Hash, Expires: now + r.TTL}, now))
}

// foundForToken makes a fresh node a cluster that can have tokens.
func (n *Node) foundForToken(ctx context.Context) error {
	if len(n.cfg.Join) > 0 {
		return refusedf("%s is itself waiting to join a cluster", n.cfg.NodeID)
	}
	if err := n.found(); err != nil {
		return err
	}
	if n.state.Load().State != founded {
		return refusedf("%s has joined another cluster meanwhile", n.cfg.NodeID)
	}
	ctx, cancel := context.WithTimeout(ctx, adminWait)
	defer cancel()
	return n.awaitServing(ctx)
}

// admission is a request to add a node.
type admission struct {
	system.JoinRequest
	// asked: the node asked by itself, so it needs a token where the cluster wants one.
	// An operator needs none: who may change the members may make tokens, too.
	asked bool
}

// checkToken refuses a node that asks for admission without a token that counts. One
// that is a member already spent its own, and comes back after a join that was cut off.
func (n *Node) checkToken(a admission, member bool) error {
	if !a.asked || member {
		return nil
	}
	err := n.machine.CheckToken(a.hash(), n.clock.leaderNow())
	if err == nil {
		return nil
	}
	if n.turnedAway.due() {
		n.log.Warn("a node that asks to join was turned away", "node", a.ID, "raft", a.Raft, "reason", err)
	}
	return refusedForGood("%v", err)
}

// hash is that of the node's token, "" for none.
func (a admission) hash() string {
	if a.Token == "" {
		return ""
	}
	return system.HashToken(a.Token)
}

// joinEntry is the command that makes a node a member. A token is spent by the same
// entry, so that of two nodes that show it only one gets in.
func (n *Node) joinEntry(a admission, m system.Member) system.Command {
	if _, required := n.machine.Tokens(); a.asked && (required || n.machine.HasAccess()) {
		return system.MemberAdmit(m, a.hash(), n.clock.leaderNow())
	}
	return system.MemberSet(m)
}

// onceAMinute bounds a warning that strangers can cause.
type onceAMinute struct{ last atomic.Int64 }

func (o *onceAMinute) due() bool {
	now, last := time.Now().UnixNano(), o.last.Load()
	return (last == 0 || now-last >= int64(time.Minute)) && o.last.CompareAndSwap(last, now)
}
