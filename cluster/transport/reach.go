package transport

import (
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// hashicorp/raft doubles the pause between two attempts to send entries to a node
// that cannot be reached, up to 10 s, and nothing cuts it short
// (replication.go:211): a node that comes back after such an outage would hear of
// no commit index, and have no data, for as long. So the library does not get to
// see these failures; its request waits here, and goes out the moment the node
// shows itself: by a heartbeat that got through, whose pause is short, or by its
// own knock.

// absence is a request that did not reach its node.
type absence struct {
	id   string
	term uint64
	err  error
	back <-chan struct{} // closed by a handshake with the node since before the request
}

// arrival returns a channel that the next handshake with a node closes; nil
// where there will be none.
func (t *Transport) arrival(id string) <-chan struct{} {
	p, err := t.peer(id)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.back == nil {
		p.back = make(chan struct{})
	}
	return p.back
}

// awaitPeer waits until it is worth sending the request again. It returns false
// where that is not wanted: the failure is of another kind, or this node does not
// lead in that term any more, is muted or shutting down, or has removed the other.
func (r *raftTransport) awaitPeer(a absence) bool {
	const look = 50 * time.Millisecond
	if !errors.Is(a.err, ErrNotSent) && !errors.Is(a.err, ErrUnknownPeer) || r.t.cfg.Replicates == nil {
		return false
	}
	again := time.NewTimer(r.t.limits.again)
	defer again.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for !r.closed() && !r.t.muted.Load() && r.t.cfg.Replicates(a.id, a.term) {
		select {
		case <-a.back:
			return true
		case <-again.C:
			return true
		case <-r.done:
		case <-tick.C:
		}
	}
	return false
}

// isHeartbeat tells the library's heartbeats from its requests of replication, as
// its own transport does (net_transport.go, handleCommand). They must not wait:
// they are what finds a node that is back.
func isHeartbeat(req *raft.AppendEntriesRequest) bool {
	return req.PrevLogEntry == 0 && req.PrevLogTerm == 0 && len(req.Entries) == 0 && req.LeaderCommitIndex == 0
}
