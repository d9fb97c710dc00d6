package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// idleConns is how many idle connections to a node are kept: one for heartbeats,
// one for entries, one for votes.
const idleConns = 3

// errMoved ends a pipeline whose node is elsewhere, or another, by now.
var errMoved = errors.New("the connection leads to a former address of the node")

// raftConn is a dialled Raft stream. It has one user at a time, but in a pipeline,
// where one goroutine sends and another receives.
type raftConn struct {
	r     *raftTransport
	id    string
	link  *link
	in    raftReader
	out   raftWriter
	rearm time.Time // when the deadline for sending (and, but in a pipeline, for receiving) must be set anew
}

// dial makes a connection to a node.
func (r *raftTransport) dial(id string) (*raftConn, error) {
	if r.closed() {
		return nil, ErrClosed
	}
	addr, ok := r.t.cfg.Resolve(id)
	if !ok {
		return nil, ErrUnknownPeer
	}
	ctx, cancel := context.WithTimeout(r.t.ctx, r.t.limits.rpc)
	defer cancel()
	l, err := r.t.dial(ctx, addr, streamRaft, id)
	if err != nil {
		return nil, err
	}
	if r.closed() { // Close may have swept the links before this one was among them
		l.Close()
		return nil, ErrClosed
	}
	c := &raftConn{r: r, id: id, link: l}
	c.in.r = bufio.NewReaderSize(l, answerBuffer)
	c.out.conn = l.Conn
	return c, nil
}

// take returns a connection that was idle, or else a new one. An idle one may have
// outlived the process, the address or the identity that it leads to; that is found
// here, while nothing is under way on it, and costs no request.
func (r *raftTransport) take(id string) (*raftConn, error) {
	if r.closed() {
		return nil, ErrClosed
	}
	for {
		c := r.pool.get(id)
		if c == nil {
			return r.dial(id)
		}
		if c.fits() && c.in.r.Buffered() == 0 && quiet(c.link.Conn) {
			return c, nil
		}
		c.link.Close()
	}
}

// fits reports whether a connection still leads to where the peer is now.
func (c *raftConn) fits() bool {
	t := c.r.t
	addr, ok := t.cfg.Resolve(c.id)
	return ok && addr == c.link.dialled && !c.link.dead.Load() && t.fits(c.id, c.link.dir)
}

// exchange sends a request and takes its answer.
func (r *raftTransport) exchange(id string, req, resp any) error {
	c, err := r.take(id)
	if err != nil {
		return err
	}
	if now := time.Now(); now.After(c.rearm) { // setting it costs a lock and a timer
		c.link.SetDeadline(now.Add(r.t.limits.rpc))
		c.rearm = now.Add(r.t.limits.rpc / 4)
	}
	if err := c.send(req); err != nil {
		c.link.Close()
		return err
	}
	remote, err := c.receive(resp)
	if err != nil {
		c.link.Close()
		return err
	}
	if !r.pool.put(c) {
		c.link.Close()
	}
	return remote
}

func (c *raftConn) send(req any) error {
	m := c.out.begin()
	kind := m.request(req)
	if kind == 0 {
		return fmt.Errorf("%T is no request of Raft's", req)
	}
	return c.out.send(kind)
}

// receive takes the next answer. The first error is the other side's.
func (c *raftConn) receive(resp any) (remote, err error) {
	kind, err := c.in.next(answerBuffer - raftHead)
	if err != nil {
		return nil, err
	}
	remote, err = c.in.reading.answer(kind, resp)
	c.in.release()
	return remote, err
}

// stream sends a snapshot, of which there must be size bytes.
func (c *raftConn) stream(data io.Reader, size int64) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{c.link.Conn}, struct{ io.Reader }{io.LimitReader(data, size)}, make([]byte, 256<<10))
	if err == nil && n < size {
		err = fmt.Errorf("snapshot ends after %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	return err
}

// raftPool keeps idle connections by node id.
type raftPool struct {
	mu     sync.Mutex
	idle   map[string][]*raftConn // guarded by mu
	closed bool                   // guarded by mu
}

// get returns the connection that was in use last, nil if there is none.
func (p *raftPool) get(id string) *raftConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	cs := p.idle[id]
	if len(cs) == 0 {
		return nil
	}
	last := len(cs) - 1
	c := cs[last]
	p.idle[id] = slices.Delete(cs, last, last+1)
	return c
}

// put takes a connection that nothing is under way on; false if it does not want it.
func (p *raftPool) put(c *raftConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle[c.id]) >= idleConns {
		return false
	}
	if p.idle == nil {
		p.idle = map[string][]*raftConn{}
	}
	p.idle[c.id] = append(p.idle[c.id], c)
	return true
}

// close lets go of all connections, which the Transport's books still have.
func (p *raftPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.idle = true, nil
}
