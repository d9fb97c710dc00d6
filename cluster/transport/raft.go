package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// maxAppend is how many bytes of entries one AppendEntries carries at the most
	// (but always one entry): hashicorp/raft counts entries only, and a message that
	// is not through within its deadline stalls replication for good.
	maxAppend = 4 << 20
	// entryOverhead stands for an entry's index, term, type, time and field names.
	entryOverhead = 64
	// bulk marks the target of a snapshot's stream on its way through the library
	// to dialRaft. checkID keeps it out of node ids.
	bulk = "\x00bulk"
)

// Raft opens this node for Raft streams, which are refused before the first call,
// and returns the transport to give to raft.NewRaft. A raft.ServerAddress there is
// a node id. Every call returns the same one until Raft is shut down, which closes
// it for good; a call after that opens the node anew. Calls go on all the time.
func (t *Transport) Raft() raft.Transport {
	t.mu.Lock()
	if t.raft == nil || t.raft.closed() && !t.closed {
		layer := &streamLayer{t: t, accepted: make(chan net.Conn), done: make(chan struct{})}
		network := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: layer, MaxPool: 3, MaxRPCsInFlight: 2, Timeout: t.limits.rpc, Logger: t.log.Named("raft-net"),
		})
		box := &inbox{t: t, in: network.Consumer(), out: make(chan raft.RPC), done: layer.done}
		t.raft = &raftTransport{layer: layer, inbox: box, NetworkTransport: network}
		if t.closed {
			layer.Close()
		} else {
			t.wg.Go(box.run)
		}
	}
	r, closed := t.raft, t.closed
	t.mu.Unlock()
	if closed {
		r.Close()
	}
	return r
}

// raftTransport is hashicorp/raft's network transport with our streams below it,
// and with what safety.md and libraries.md ask of it above.
type raftTransport struct {
	*raft.NetworkTransport
	layer *streamLayer
	inbox *inbox
}

// Consumer is where the library gets its requests from.
func (r *raftTransport) Consumer() <-chan raft.RPC { return r.inbox.out }

// AppendEntries sends at most maxAppend bytes of entries; the library goes on from
// what is left in req.Entries (replication.go, updateLastAppended). While a node
// cannot be reached it waits for it (reach.go).
func (r *raftTransport) AppendEntries(id raft.ServerID, target raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	shorten(req)
	for !r.layer.t.muted.Load() {
		back := r.layer.t.arrival(string(id))
		err := r.NetworkTransport.AppendEntries(id, target, req, resp)
		if err == nil || isHeartbeat(req) || !r.layer.awaitPeer(absence{string(id), req.Term, err, back}) {
			return err
		}
	}
	return errMuted
}

// AppendEntriesPipeline does the same for a pipeline: there, too, the library
// looks at the request again both after it is sent and when it is answered.
func (r *raftTransport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	p, err := r.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return shortening{p, r.layer.t}, nil
}

// InstallSnapshot always uses a connection of its own, which bears longer silence.
func (r *raftTransport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if r.layer.t.muted.Load() {
		return errMuted
	}
	return r.NetworkTransport.InstallSnapshot(id, target+bulk, req, resp, data)
}

// EncodePeer names a node by its id.
func (r *raftTransport) EncodePeer(id raft.ServerID, _ raft.ServerAddress) []byte { return []byte(id) }

// SetHeartbeatHandler does nothing: the fast path would race the main loop (issue
// 695), and logs could diverge.
func (r *raftTransport) SetHeartbeatHandler(func(raft.RPC)) {}

// Close ends Raft's traffic. raft.Raft calls it when it has shut down.
func (r *raftTransport) Close() error {
	err := r.NetworkTransport.Close()
	r.NetworkTransport.CloseStreams()
	r.layer.t.closeLinks(func(l *link) bool { return l.stream == streamRaft })
	return err
}

func (r *raftTransport) closed() bool { return r.layer.ended() }

// offer hands an accepted Raft stream to the library.
func (r *raftTransport) offer(l *link) {
	select {
	case r.layer.accepted <- inbound{l}:
	case <-r.layer.done:
		l.Close()
	}
}

// shortening is a pipeline whose requests are shortened.
type shortening struct {
	raft.AppendPipeline
	t *Transport
}

func (p shortening) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if p.t.muted.Load() {
		return nil, errMuted
	}
	shorten(req)
	return p.AppendPipeline.AppendEntries(req, resp)
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

// streamLayer gives the library's transport our connections.
type streamLayer struct {
	t        *Transport
	accepted chan net.Conn
	done     chan struct{}
	once     sync.Once
}

func (s *streamLayer) Accept() (net.Conn, error) {
	select {
	case c := <-s.accepted:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *streamLayer) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func (s *streamLayer) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Addr is what the library takes for this node's address: its id.
func (s *streamLayer) Addr() net.Addr { return idAddr(s.t.Identity().ID) }

type idAddr string

func (a idAddr) Network() string { return "node" }
func (a idAddr) String() string  { return string(a) }

// Dial connects to the node whose id is target.
func (s *streamLayer) Dial(target raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	id, isBulk := strings.CutSuffix(string(target), bulk)
	c := &outbound{layer: s, id: id, bulk: isBulk}
	l, err := s.dial(id, isBulk, timeout)
	if err != nil {
		return nil, err
	}
	c.link = l
	return c, nil
}

func (s *streamLayer) dial(id string, isBulk bool, timeout time.Duration) (*link, error) {
	if s.ended() {
		return nil, ErrClosed
	}
	addr, ok := s.t.cfg.Resolve(id)
	if !ok {
		return nil, ErrUnknownPeer
	}
	ctx, cancel := context.WithTimeout(s.t.ctx, timeout)
	defer cancel()
	l, err := s.t.dial(ctx, addr, streamRaft, id)
	if err != nil {
		return nil, err
	}
	if isBulk {
		tune(l.Conn, s.t.limits.unackedBulk)
	}
	if s.ended() { // Close may have swept the links before this one was among them
		l.Close()
		return nil, ErrClosed
	}
	return l, nil
}

// outbound is a dialled Raft stream as the library keeps it in its pool, where it
// may outlive the process, the address or the identity that it leads to. So each
// request first makes sure of the connection below, and replaces it if need be. At
// that moment nothing is under way on it, hence nothing is lost; and msgpack's
// codec keeps no state from one message to the next.
type outbound struct {
	layer *streamLayer
	id    string
	bulk  bool

	mu     sync.Mutex
	link   *link // guarded by mu
	err    error // guarded by mu; why there is no connection
	closed bool  // guarded by mu
}

// SetDeadline is what the library calls first in every request that is not in a pipeline.
func (c *outbound) SetDeadline(d time.Time) error {
	l, err := c.fresh(time.Until(d))
	if err != nil {
		return err // the library ignores it; Write returns it again
	}
	return l.SetDeadline(d)
}

// fresh returns the connection, after dialling it anew if the old one is of no use.
func (c *outbound) fresh(timeout time.Duration) (*link, error) {
	l, err := c.current()
	if err != nil || c.fits(l) && quiet(l.Conn) {
		return l, err
	}
	l.Close()
	l, err = c.layer.dial(c.id, c.bulk, timeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.closed {
		l.Close()
		err = net.ErrClosed
	}
	if c.err = err; err == nil {
		c.link = l
	}
	return l, err
}

// fits reports whether a connection still leads to where the peer is now.
func (c *outbound) fits(l *link) bool {
	addr, ok := c.layer.t.cfg.Resolve(c.id)
	return ok && addr == l.dialled && !l.dead.Load() && c.layer.t.fits(c.id, l.dir)
}

func (c *outbound) current() (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link, c.err
}

// SetWriteDeadline is what the library calls before each request of a pipeline.
// Answers may be under way there, so a connection to a former address is closed
// and not replaced: the library falls back to single requests.
func (c *outbound) SetWriteDeadline(d time.Time) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	if !c.fits(l) {
		l.Close()
	}
	return l.SetWriteDeadline(d)
}

func (c *outbound) SetReadDeadline(d time.Time) error {
	l, err := c.current()
	if err != nil {
		return err
	}
	return l.SetReadDeadline(d)
}

func (c *outbound) Read(b []byte) (int, error) {
	l, err := c.current()
	if err != nil {
		return 0, err
	}
	return l.Read(b)
}

func (c *outbound) Write(b []byte) (int, error) {
	l, err := c.current()
	if err != nil {
		return 0, err
	}
	return l.Write(b)
}

func (c *outbound) Close() error {
	c.mu.Lock()
	c.closed = true
	l := c.link
	c.mu.Unlock()
	return l.Close()
}

func (c *outbound) LocalAddr() net.Addr { return c.layer.Addr() }

func (c *outbound) RemoteAddr() net.Addr { return idAddr(c.id) }

// inbound is an accepted Raft stream. A peer that is gone is the end of its
// stream and no error: the library logs all others.
type inbound struct{ *link }

func (c inbound) Read(b []byte) (int, error) {
	n, err := c.link.Read(b)
	var op *net.OpError
	if n == 0 && errors.As(err, &op) {
		err = io.EOF
	}
	return n, err
}
