package transport

import (
	"errors"

	"github.com/hashicorp/raft"
)

var (
	errMuted   = errors.New("this node sends no Raft messages: its disk hangs")
	errAbstain = errors.New("this node asks for no votes: its disk is nearly full, or its state differs from the others'")
)

// Mute stops, or allows again, all of Raft's messages from this node, so that the
// others elect a leader although this one's heartbeats would go on. Calls and
// answers are not affected.
func (t *Transport) Mute(on bool) { t.muted.Store(on) }

// Abstain keeps this node, or no longer keeps it, from asking for votes by itself.
// Leadership that is handed to it, it still takes.
func (t *Transport) Abstain(on bool) { t.abstains.Store(on) }

// mayElect says whether a request for votes may leave.
func (r *raftTransport) mayElect(handedOver bool) error {
	switch t := r.t; {
	case t.muted.Load():
		return errMuted
	case t.abstains.Load() && !handedOver:
		return errAbstain
	}
	return nil
}

// RequestPreVote asks whether a vote would be given.
func (r *raftTransport) RequestPreVote(id raft.ServerID, _ raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if err := r.mayElect(false); err != nil {
		return err
	}
	return r.exchange(string(id), req, resp)
}

// RequestVote asks for a vote.
func (r *raftTransport) RequestVote(id raft.ServerID, _ raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if err := r.mayElect(req.LeadershipTransfer); err != nil {
		return err
	}
	return r.exchange(string(id), req, resp)
}

// TimeoutNow asks a node to take leadership.
func (r *raftTransport) TimeoutNow(id raft.ServerID, _ raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	if r.t.muted.Load() {
		return errMuted
	}
	return r.exchange(string(id), req, resp)
}
