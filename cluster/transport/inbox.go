package transport

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// inbox stands between the network and the library's main loop, which takes
// requests one after the other and none while it waits for the disk. Nothing
// overtakes anything in it, but what the inbox answers itself.
type inbox struct {
	t    *Transport
	in   <-chan raft.RPC // what came over the network
	out  chan raft.RPC   // unbuffered: what is sent was taken by the main loop
	done <-chan struct{}
}

// run hands requests on until done is closed. Each connection has one at most
// under way, so few wait.
func (b *inbox) run() {
	const look = 10 * time.Millisecond // whether the main loop has gone to its disk meanwhile
	var waiting []raft.RPC
	again := time.NewTicker(time.Hour)
	defer again.Stop()
	for {
		var out chan<- raft.RPC
		var first raft.RPC
		if len(waiting) > 0 {
			out, first = b.out, waiting[0]
		}
		select {
		case rpc := <-b.in:
			select {
			case b.idle(waiting) <- rpc:
				continue
			default:
			}
			if waiting = append(waiting, rpc); len(waiting) == 1 {
				again.Reset(look)
			}
			waiting = b.answer(waiting)
		case out <- first:
			if waiting = slices.Delete(waiting, 0, 1); len(waiting) == 0 {
				again.Reset(time.Hour)
			}
		case <-again.C:
			waiting = b.answer(waiting)
		case <-b.done:
			return
		}
	}
}

// idle is the way past an empty queue.
func (b *inbox) idle(waiting []raft.RPC) chan<- raft.RPC {
	if len(waiting) > 0 {
		return nil
	}
	return b.out
}

// answer answers heartbeats for a main loop that stores their leader's entries, and
// returns what is left. Without it a follower whose disk is slow for a moment would
// look dead to its leader, and two such followers would cost it its leadership.
//
// It says nothing that is not true: the main loop is inside the write of entries
// that this leader sent in this term, so the term and the leader are what they were.
// The library's leader takes a heartbeat's answer for a sign of life and for nothing
// else (replication.go, heartbeat); reads do not rest on it (DESIGN.md in cluster).
func (b *inbox) answer(waiting []raft.RPC) []raft.RPC {
	if b.t.cfg.Storing == nil {
		return waiting
	}
	leader, term, storing := b.t.cfg.Storing()
	if !storing {
		return waiting
	}
	return slices.DeleteFunc(waiting, func(rpc raft.RPC) bool {
		req, ok := rpc.Command.(*raft.AppendEntriesRequest)
		ok = ok && isHeartbeat(req) && req.Term == term && string(req.ID) == leader
		if ok {
			rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: b.t.header(), Term: term, Success: true}, nil)
		}
		return ok
	})
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
