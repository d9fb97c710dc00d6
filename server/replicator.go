package server

import (
	"context"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

// Replicator is the way to the other nodes: everything that the server asks of
// Raft. *cluster.Node is one; tests use one in memory.
type Replicator interface {
	// Submit hands over proposals to be logged in this order, and returns at once.
	// Every proposal's Done is called exactly once. Once one of the slice is
	// refused, all behind it in the same slice are refused too. Where no leader
	// is known it waits up to the leader-wait before ErrNoLeader.
	Submit(ps []system.Proposal)
	// ReadBarrier returns once everything acknowledged before the call is applied
	// here, with the leader's clock in Unix milliseconds. It works on the leader
	// only (otherwise *system.NotLeaderError, or system.ErrNoLeader after the leader-wait).
	ReadBarrier(ctx context.Context) (now int64, err error)
	// Settled says, where this node leads, that everything acknowledged before it did is
	// applied here; a ReadBarrier waits for it. It is cheap.
	Settled() bool
	// FollowerBarrier does the same on any node: it asks the leader for a read
	// index and waits until it is applied here. now is the logged clock, unless
	// this node leads.
	FollowerBarrier(ctx context.Context) (now int64, err error)
	// Tick returns once the logged clock has reached now.
	Tick(ctx context.Context, now int64) error
	// Forward runs a command on the leader for a connection of this node and
	// returns the reply in RESP form. On the leader itself it runs it here.
	Forward(ctx context.Context, c system.Caller, args [][]byte) (reply []byte, err error)
	// Leader returns the leader's announced addresses; ok is false where none is known.
	// self says whether it is this node.
	Leader() (m system.Member, self, ok bool)
	// Members returns all members with their roles, and whether they are alive,
	// ordered by id; cheap and local, without Reachable, MatchIndex, Lag and
	// LastContactMS.
	Members() []system.MemberStatus
	// Status is the full local answer; it asks the other nodes for their indexes
	// and gives up on each by ctx.
	Status(ctx context.Context) system.Status
	// Join, Leave and Transfer change the membership or the leader; on any node.
	// They return *system.RefusedError with a text where the request cannot be
	// granted. Leave with id "" removes this node, Transfer with id "" picks the
	// most up-to-date voter.
	Join(ctx context.Context, r system.JoinRequest) error
	Leave(ctx context.Context, id string) error
	Transfer(ctx context.Context, id string) error
	// CreateToken makes a join token that lets one node in, within ttl; from then on a
	// node that asks by itself needs one. Tokens tells which wait to be used, and whether
	// one is needed; DropTokens drops all, and nobody needs one. On any node.
	CreateToken(ctx context.Context, ttl time.Duration) (token string, err error)
	Tokens(ctx context.Context) (open []system.Token, required bool, err error)
	DropTokens(ctx context.Context) error
	// Snapshot writes a snapshot of this node's state now and cuts its log.
	Snapshot(ctx context.Context) error
	// Audit compares the states of all members at one log index; on any node. A node
	// whose state differs serves no more.
	Audit(ctx context.Context) (system.AuditReport, error)
	// Rebuild replaces a node's state by the leader's, this one's with id ""; on any
	// node. It returns once the node serves again, or a *system.RefusedError.
	Rebuild(ctx context.Context, id string) error
	// LastSnapshot is when the last one was finished, Unix seconds; 0 for never.
	LastSnapshot() int64
	// VotersAt returns how many voters (the leader included) hold the log up to
	// the last index acknowledged by this node, on their disks: for WAIT.
	VotersAt(ctx context.Context) (int, error)
}
