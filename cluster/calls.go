package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm/system"
)

// The kinds of calls between nodes. They are part of the wire format.
const (
	kindTerm transport.Kind = iota + 1
	kindReadIndex
	kindForward
	kindProgress
	kindJoin   // open to strangers: a node asks for admission
	kindPledge // open to strangers: a cluster asks a fresh node for its pledge
	kindLeave
	kindTransfer
	kindAnnounce
	kindRemoved
	kindRelay // an announcement by way of a member that may know the leader
	kindHello // open to strangers: nothing but the handshake, which tells addresses
	kindMembers
	kindVoid // open to strangers: a pledged node asks whether its cluster can never be
	kindAudit
	kindDigest     // of the state at a place in the log
	kindRuling     // how an audit ended
	kindRebuild    // of the node that is asked
	kindSpool      // the leader is to lay its state ready
	kindChunk      // a part of it
	kindSuccession // what a voter knows of the end of a leader
	kindInvite     // a member passes on that an operator has a node added
	kindToken      // join tokens
)

// handleCalls sets the handlers of all kinds.
func (n *Node) handleCalls() {
	n.handleAudits()
	n.trans.HandleQuick(kindTerm, n.answerTerm)
	n.trans.Handle(kindReadIndex, false, func(ctx context.Context, _ transport.Peer, _ []byte) ([]byte, error) {
		return n.answerReadIndex(ctx)
	})
	n.trans.Handle(kindForward, false, func(ctx context.Context, _ transport.Peer, req []byte) ([]byte, error) {
		return n.answerForward(ctx, req)
	})
	n.trans.Handle(kindProgress, false, func(context.Context, transport.Peer, []byte) ([]byte, error) {
		return json.Marshal(n.progress())
	})
	handle(n, kindJoin, true, func(ctx context.Context, r *system.JoinRequest) (any, error) {
		return struct{}{}, n.answerJoin(ctx, *r)
	})
	handle(n, kindInvite, false, func(ctx context.Context, r *system.JoinRequest) (any, error) {
		return struct{}{}, n.Join(ctx, *r)
	})
	handle(n, kindToken, false, func(ctx context.Context, r *tokenRequest) (any, error) {
		return struct{}{}, n.tokenHere(ctx, *r)
	})
	handle(n, kindPledge, true, func(_ context.Context, r *pledgeRequest) (any, error) { return n.pledge(*r) })
	handle(n, kindLeave, false, func(ctx context.Context, r *target) (any, error) {
		return struct{}{}, n.leaveHere(ctx, r.ID)
	})
	handle(n, kindTransfer, false, func(ctx context.Context, r *target) (any, error) {
		return struct{}{}, n.transferHere(ctx, r.ID)
	})
	handle(n, kindAnnounce, false, func(ctx context.Context, m *system.Member) (any, error) {
		return struct{}{}, n.announceHere(ctx, *m)
	})
	handle(n, kindHello, true, func(context.Context, *struct{}) (any, error) { return struct{}{}, nil })
	handle(n, kindRelay, false, func(ctx context.Context, m *system.Member) (any, error) {
		return struct{}{}, n.atLeader(ctx, kindAnnounce, m, func(ctx context.Context) error { return n.announceHere(ctx, *m) })
	})
	handle(n, kindRemoved, false, func(_ context.Context, o *outlook) (any, error) {
		return struct{}{}, n.removed(*o, n.pledges.Load())
	})
	handle(n, kindMembers, false, func(context.Context, *struct{}) (any, error) { return n.outlook(), nil })
	handle(n, kindSuccession, false, func(ctx context.Context, r *reign) (any, error) { return n.succession.testify(ctx, *r), nil })
	handle(n, kindVoid, true, func(_ context.Context, r *voidRequest) (any, error) {
		return n.state.Load().voids(r.Cluster), nil
	})
}

// target names a node in a request.
type target struct{ ID string }

// handle sets a handler whose request and answer are JSON. A refusal travels as
// part of the answer, so that its text reaches the person who asked.
func handle[R any](n *Node, k transport.Kind, intro bool, run func(context.Context, *R) (any, error)) {
	n.trans.Handle(k, intro, func(ctx context.Context, _ transport.Peer, text []byte) ([]byte, error) {
		var r R
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, err
		}
		v, err := run(ctx, &r)
		var refused *system.RefusedError
		var moved *system.NotLeaderError
		switch {
		case errors.As(err, &refused):
			return json.Marshal(answer{Refused: refused.Reason, Final: refused.Final})
		case errors.As(err, &moved), errors.Is(err, system.ErrNoLeader):
			return json.Marshal(answer{NotLeader: true})
		case err != nil:
			return nil, err
		}
		value, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		return json.Marshal(answer{Value: value})
	})
}

// answer is the envelope of JSON answers.
type answer struct {
	Refused   string          `json:",omitempty"`
	Final     bool            `json:",omitempty"`
	NotLeader bool            `json:",omitempty"`
	Value     json.RawMessage `json:",omitempty"`
}

// open takes an answer out of its envelope.
func open(text []byte, v any) error {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	switch {
	case a.Refused != "":
		return &system.RefusedError{Reason: a.Refused, Final: a.Final}
	case a.NotLeader:
		return system.ErrNoLeader
	case v == nil:
		return nil
	}
	return json.Unmarshal(a.Value, v)
}

// request is a call whose request, and the answer if one is wanted, are JSON.
type request struct {
	kind   transport.Kind
	body   any
	answer any // a pointer; nil where nothing but success matters
}

// ask calls a member.
func (n *Node) ask(ctx context.Context, id string, r request) error {
	text, err := json.Marshal(r.body)
	if err != nil {
		return err
	}
	text, err = n.trans.Call(ctx, id, r.kind, text)
	if err != nil {
		return err
	}
	return open(text, r.answer)
}

// askAddr calls whoever answers at an address.
func (n *Node) askAddr(ctx context.Context, addr string, r request) error {
	text, err := json.Marshal(r.body)
	if err != nil {
		return err
	}
	_, text, err = n.trans.CallAddr(ctx, addr, r.kind, text)
	if err != nil {
		return err
	}
	return open(text, r.answer)
}

// atLeader runs a request on the leader whose answer is that it was done.
func (n *Node) atLeader(ctx context.Context, k transport.Kind, req any, here func(context.Context) error) error {
	return n.askLeader(ctx, request{kind: k, body: req}, here)
}

// askLeader runs a request on the leader: here, or by a call. It waits for a
// leader as long as other requests do.
func (n *Node) askLeader(ctx context.Context, req request, here func(context.Context) error) error {
	if n.state.Load().State == left {
		return refusedf("%s was removed from its cluster; ask a member", n.cfg.NodeID)
	}
	wait, cancel := context.WithTimeout(ctx, n.cfg.LeaderWait)
	defer cancel()
	for {
		changed := n.changed.C()
		leader, self, ok := n.Leader()
		err := error(system.ErrNoLeader)
		switch _, serving := n.serving(); {
		case ok && self && serving, n.state.Load().State == pristine:
			err = here(ctx)
		case ok && !self:
			err = n.ask(ctx, leader.ID, req)
		}
		retry := errors.Is(err, system.ErrNoLeader) || errors.Is(err, transport.ErrNotSent)
		if err == nil || !retry {
			return err
		}
		if !n.nextTry(wait, changed) {
			return system.ErrNoLeader
		}
	}
}

// nextTry waits for a change, or a moment; false says that the wait is over.
func (n *Node) nextTry(wait context.Context, changed <-chan struct{}) bool {
	t := time.NewTimer(5 * retryPause)
	defer t.Stop()
	select {
	case <-changed:
		pause(wait, retryPause)
	case <-t.C:
	case <-wait.Done():
	}
	return wait.Err() == nil
}

// The outcomes of a forwarded command, first byte of the answer.
const (
	forwardReply byte = iota
	forwardNoLeader
	forwardUnknown
	forwardRefused
	forwardTooLarge
	forwardOverloaded
	forwardDiskFull
)

// forwardSaid are the refusals of a leader that its follower passes on as they
// are: nothing was done, and the client learns why.
var forwardSaid = map[byte]error{
	forwardTooLarge: system.ErrTooLarge, forwardOverloaded: system.ErrOverloaded, forwardDiskFull: system.ErrDiskFull,
}

// Forward runs a command on the leader; see server.Replicator. Where it is not
// known whether the leader ran it, the outcome is unknown.
func (n *Node) Forward(ctx context.Context, c system.Caller, args [][]byte) ([]byte, error) {
	if err := n.gone(); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, n.cfg.LeaderWait)
	defer cancel()
	for {
		changed := n.changed.C()
		leader, self, ok := n.Leader()
		if ok && self {
			return n.forward(ctx, c, args)
		}
		if ok {
			reply, err := n.forwardTo(ctx, leader.ID, c, args)
			if !errors.Is(err, system.ErrNoLeader) {
				return reply, err
			}
		}
		if !n.nextTry(wait, changed) {
			return nil, system.ErrNoLeader
		}
	}
}

// forwardTo sends a command to one node. ErrNoLeader says that it was not done.
func (n *Node) forwardTo(ctx context.Context, id string, c system.Caller, args [][]byte) ([]byte, error) {
	req := binary.AppendUvarint(nil, uint64(c.DB))
	req = binary.AppendUvarint(req, uint64(c.Proto))
	for _, a := range args {
		req = append(binary.AppendUvarint(req, uint64(len(a))), a...)
	}
	text, err := n.trans.Call(ctx, id, kindForward, req)
	switch {
	case errors.Is(err, transport.ErrTooLarge): // before it was sent
		return nil, system.ErrTooLarge
	case errors.Is(err, transport.ErrNotSent):
		return nil, system.ErrNoLeader
	case err != nil || len(text) == 0 || text[0] == forwardUnknown:
		return nil, system.ErrUnknownOutcome
	case text[0] == forwardReply:
		return text[1:], nil
	case text[0] == forwardRefused:
		return nil, &system.RefusedError{Reason: string(text[1:])}
	case forwardSaid[text[0]] != nil:
		return nil, forwardSaid[text[0]]
	}
	return nil, system.ErrNoLeader
}

// answerForward is the other side of forwardTo.
func (n *Node) answerForward(ctx context.Context, req []byte) ([]byte, error) {
	next := func() (uint64, bool) {
		v, size := binary.Uvarint(req)
		if size <= 0 {
			return 0, false
		}
		req = req[size:]
		return v, true
	}
	db, ok1 := next()
	proto, ok2 := next()
	if !ok1 || !ok2 {
		return nil, errors.New("malformed request")
	}
	var args [][]byte
	for len(req) > 0 {
		size, ok := next()
		if !ok || size > uint64(len(req)) {
			return nil, errors.New("malformed request")
		}
		args, req = append(args, req[:size:size]), req[size:]
	}
	if _, self, ok := n.Leader(); !ok || !self {
		return []byte{forwardNoLeader}, nil
	}
	return forwarded(n.forward(ctx, system.Caller{DB: int(db), Proto: int(proto)}, args)), nil
}

// forwarded is the answer to a forwarded command. A leader that shuts down, or was
// removed, did nothing: there will be another one to ask. Only what is not known
// to be a refusal is of unknown outcome.
func forwarded(reply []byte, err error) []byte {
	var moved *system.NotLeaderError
	var refused *system.RefusedError
	switch {
	case err == nil:
		return append([]byte{forwardReply}, reply...)
	case errors.Is(err, system.ErrUnknownOutcome):
		return []byte{forwardUnknown}
	case errors.As(err, &moved), errors.Is(err, system.ErrNoLeader), errors.Is(err, system.ErrShutdown), errors.Is(err, system.ErrRemoved):
		return []byte{forwardNoLeader}
	case errors.As(err, &refused):
		return append([]byte{forwardRefused}, refused.Reason...)
	}
	for code, said := range forwardSaid {
		if errors.Is(err, said) {
			return []byte{code}
		}
	}
	return []byte{forwardUnknown}
}
