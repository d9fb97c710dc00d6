package transport

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// maxAppend is how many bytes of entries one AppendEntries carries at the most
	// (but always one entry): hashicorp/raft counts entries only, and a message that
	// is not through within its deadline stalls replication for good.
	maxAppend = 4 << 20
	// entryOverhead stands for an entry's index, term, type, time and lengths.
	entryOverhead = 64
	// snapshotShare is how many bytes of a snapshot get the time of one request.
	snapshotShare = 256 << 10
)

// Raft opens this node for Raft streams, which are refused before the first call,
// and returns the transport to give to raft.NewRaft. A raft.ServerAddress there is
// a node id. Every call returns the same one until Raft is shut down, which closes
// it for good; a call after that opens the node anew. Calls go on all the time.
func (t *Transport) Raft() raft.Transport {
	t.mu.Lock()
	if t.raft == nil || t.raft.closed() && !t.closed {
		done := make(chan struct{})
		t.raft = &raftTransport{t: t, done: done, inbox: &inbox{t: t, out: make(chan raft.RPC), done: done}}
	}
	r, closed := t.raft, t.closed
	t.mu.Unlock()
	if closed {
		r.Close()
	}
	return r
}

// raftTransport sends the library's requests to other nodes (raftconn.go, and
// raftpipe.go for a pipeline) and hands it those of others (raftserve.go), in a
// form of our own (raftcodec.go, raftframe.go).
type raftTransport struct {
	t     *Transport
	inbox *inbox
	pool  raftPool
	done  chan struct{} // closed by Close
	once  sync.Once

	// The ids that the library asked for last, in the two forms that it has for them.
	// It does so for every request, and changes none.
	encoded atomic.Pointer[[]byte]
	decoded atomic.Pointer[raft.ServerAddress]
}

var (
	_ raft.Transport   = (*raftTransport)(nil)
	_ raft.WithPreVote = (*raftTransport)(nil)
	_ raft.WithClose   = (*raftTransport)(nil)
)

// Consumer is where the library gets its requests from.
func (r *raftTransport) Consumer() <-chan raft.RPC { return r.inbox.out }

// LocalAddr is this node's id.
func (r *raftTransport) LocalAddr() raft.ServerAddress {
	return raft.ServerAddress(r.t.Identity().ID)
}

// AppendEntries sends at most maxAppend bytes of entries; the library goes on from
// what is left in req.Entries (replication.go, updateLastAppended). While a node
// cannot be reached it waits for it (reach.go).
func (r *raftTransport) AppendEntries(id raft.ServerID, _ raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	shorten(req)
	for !r.t.muted.Load() {
		back := r.t.arrival(string(id))
		err := r.exchange(string(id), req, resp)
		if err == nil || isHeartbeat(req) || !r.awaitPeer(absence{string(id), req.Term, err, back}) {
			return err
		}
	}
	return errMuted
}

// AppendEntriesPipeline returns a pipeline on a connection of its own. Its requests
// are shortened, too: the library looks at a request again both after it is sent and
// when it is answered.
func (r *raftTransport) AppendEntriesPipeline(id raft.ServerID, _ raft.ServerAddress) (raft.AppendPipeline, error) {
	c, err := r.take(string(id))
	if err != nil {
		return nil, err
	}
	return r.newPipeline(c)
}

// InstallSnapshot always uses a connection of its own, which bears longer silence,
// and is given time by the size of the snapshot.
func (r *raftTransport) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if r.t.muted.Load() {
		return errMuted
	}
	c, err := r.dial(string(id))
	if err != nil {
		return err
	}
	defer c.link.Close()
	tune(c.link.Conn, r.t.limits.unackedBulk)
	c.link.SetDeadline(time.Now().Add(r.t.limits.rpc * time.Duration(max(req.Size/snapshotShare, 1))))
	if err := c.send(req); err != nil {
		return err
	}
	if err := c.stream(data, req.Size); err != nil {
		return err
	}
	remote, err := c.receive(resp)
	if err != nil {
		return err
	}
	return remote
}

// EncodePeer names a node by its id.
func (r *raftTransport) EncodePeer(id raft.ServerID, _ raft.ServerAddress) []byte {
	if last := r.encoded.Load(); last != nil && string(*last) == string(id) {
		return *last
	}
	b := []byte(id)
	r.encoded.Store(&b)
	return b
}

// DecodePeer is the counterpart of EncodePeer.
func (r *raftTransport) DecodePeer(b []byte) raft.ServerAddress {
	if last := r.decoded.Load(); last != nil && string(*last) == string(b) {
		return *last
	}
	a := raft.ServerAddress(b)
	r.decoded.Store(&a)
	return a
}

// SetHeartbeatHandler does nothing: the fast path would race the main loop (issue
// 695), and logs could diverge.
func (r *raftTransport) SetHeartbeatHandler(func(raft.RPC)) {}

// Close ends Raft's traffic. raft.Raft calls it when it has shut down.
func (r *raftTransport) Close() error {
	r.once.Do(func() { close(r.done) })
	r.pool.close()
	r.t.closeLinks(func(l *link) bool { return l.stream == streamRaft })
	return nil
}

func (r *raftTransport) closed() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// shorten cuts req.Entries down to maxAppend bytes, but never to nothing: the first
// entry is the one that truncates a follower's conflicting tail.
func shorten(req *raft.AppendEntriesRequest) {
	size := 0
	for i, e := range req.Entries {
		size += len(e.Data) + len(e.Extensions) + entryOverhead
		if i > 0 && size > maxAppend {
			req.Entries = req.Entries[:i:i]
			return
		}
	}
}
