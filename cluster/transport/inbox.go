package transport

import (
	"context"
	"time"

	"github.com/hashicorp/raft"
)

// inbox is the way from the connections to the library's main loop, which takes
// requests one after the other and none while it waits for the disk. Every
// connection has one request in it at the most, so nothing of a connection
// overtakes anything; that of several comes in any order, as over the network.
type inbox struct {
	t    *Transport
	out  chan raft.RPC // unbuffered: what is sent was taken by the main loop
	done <-chan struct{}
}

// deliver hands a request to the main loop, or answers it. It returns false at the
// end of Raft.
func (b *inbox) deliver(rpc raft.RPC) bool {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || !isHeartbeat(req) {
		select {
		case b.out <- rpc:
			return true
		case <-b.done:
			return false
		}
	}
	select {
	case b.out <- rpc:
		return true
	default:
		return b.beat(rpc, req)
	}
}

// beat is deliver for a heartbeat that finds the main loop busy.
func (b *inbox) beat(rpc raft.RPC, req *raft.AppendEntriesRequest) bool {
	const look = 10 * time.Millisecond // whether the main loop has gone to its disk meanwhile
	again := time.NewTicker(look)
	defer again.Stop()
	for {
		if b.stores(req) {
			rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: b.t.header(), Term: req.Term, Success: true}, nil)
			return true
		}
		select {
		case b.out <- rpc:
			return true
		case <-again.C:
		case <-b.done:
			return false
		}
	}
}

// stores reports whether the main loop stores entries of the leader and the term
// that a heartbeat is of, so that it may be answered here. Without that a follower
// whose disk is slow for a moment would look dead to its leader, and two such
// followers would cost it its leadership.
//
// The answer says nothing that is not true: the main loop is inside the write of
// entries that this leader sent in this term, so the term and the leader are what
// they were. The library's leader takes a heartbeat's answer for a sign of life and
// for nothing else (replication.go, heartbeat); reads do not rest on it (DESIGN.md in
// cluster).
func (b *inbox) stores(req *raft.AppendEntriesRequest) bool {
	if b.t.cfg.Storing == nil {
		return false
	}
	leader, term, storing := b.t.cfg.Storing()
	return storing && req.Term == term && string(req.ID) == leader
}

// header is how this node signs what it sends for the library.
func (t *Transport) header() raft.RPCHeader {
	id := []byte(t.Identity().ID)
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: id, Addr: id}
}

// Stand has the library stand for election at once, as a node does that leadership
// is handed to: without asking whether the others would vote, and with the right to
// their votes though they know a leader. It may do harm to a leader that is well, so
// may is asked right before the main loop takes the message: it is handed over only
// while that loop waits for one, hence it is not still busy with what may could not
// see. Stand returns false if may does, or if ctx ends first.
func (t *Transport) Stand(ctx context.Context, may func() bool) bool {
	const again = time.Millisecond
	t.mu.Lock()
	r := t.raft
	t.mu.Unlock()
	if r == nil {
		return false
	}
	rpc := raft.RPC{Command: &raft.TimeoutNowRequest{RPCHeader: t.header()}, RespChan: make(chan raft.RPCResponse, 1)}
	for may() {
		select {
		case r.inbox.out <- rpc:
			return true
		default:
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return false
		}
	}
	return false
}
