package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Call asks the member with this id and returns its handler's answer. One
// connection per member carries all calls at once. errors.Is(err, ErrNotSent)
// says that the request certainly reached no handler; after any other error but
// *RemoteError it may have.
func (t *Transport) Call(ctx context.Context, id string, k Kind, req []byte) ([]byte, error) {
	if len(req) > MaxMessage {
		return nil, notSent{ErrTooLarge}
	}
	const tries = 3
	for try := 1; ; try++ {
		c, err := t.callerTo(ctx, id)
		if err != nil {
			return nil, err
		}
		resp, err := c.call(ctx, k, req)
		if try < tries && errors.Is(err, errNeverQueued) {
			continue // the connection ended between finding and using it
		}
		return resp, err
	}
}

// Question is what Ask asks a member. Timeout bounds the dialling and the handler's
// work.
type Question struct {
	ID      string
	Kind    Kind
	Req     []byte
	Timeout time.Duration
}

// Ask does what Call does without waiting: got is called once with what Call would
// have returned, from any goroutine, and must not wait itself. Where a peer hangs it
// comes when the connection is given up, which may be after the timeout.
func (t *Transport) Ask(q Question, got func([]byte, error)) {
	if c := t.callerNow(q.ID); c != nil && len(q.Req) <= MaxMessage {
		h := header{typ: frameRequest, code: uint8(q.Kind), timeout: millis(q.Timeout)}
		if _, err := c.send(h, q.Req, func(r reply) { got(r.result()) }); err == nil {
			return
		}
	}
	call := func() {
		ctx, cancel := context.WithTimeout(t.ctx, q.Timeout)
		defer cancel()
		got(t.Call(ctx, q.ID, q.Kind, q.Req))
	}
	if !t.spawn(call) {
		got(nil, notSent{ErrClosed})
	}
}

// CallAddr asks whoever answers at addr (host:port), over a connection of its own,
// for a kind that is open to strangers. Errors are as for Call; the Peer is set
// as soon as the handshake was done, whatever came after.
func (t *Transport) CallAddr(ctx context.Context, addr string, k Kind, req []byte) (Peer, []byte, error) {
	if len(req) > maxStranger {
		return Peer{}, nil, notSent{ErrTooLarge}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	l, err := t.dial(ctx, addr, streamIntro, "")
	if err != nil {
		var refused *HandshakeError
		if errors.As(err, &refused) {
			return refused.Peer, nil, err
		}
		return Peer{}, nil, err
	}
	c, err := t.newCaller(l)
	if err != nil {
		return l.peer, nil, err
	}
	defer c.end()
	resp, err := c.call(ctx, k, req)
	return l.peer, resp, err
}

// caller is the asking end of a call stream.
type caller struct {
	link  *link
	out   *outbox
	born  time.Time
	heard atomic.Int64 // nanoseconds from born to the last sign of life

	mu      sync.Mutex
	waiting map[uint64]func(reply) // guarded by mu; nil once the connection has ended
	last    uint64                 // guarded by mu; the last id given out
	since   time.Duration          // guarded by mu; from born to when waiting last ceased to be empty
}

type reply struct {
	status uint8
	body   []byte
	lost   bool
}

// errNeverQueued: the connection had ended before the request was put on it.
var errNeverQueued = fmt.Errorf("%w before the request was sent", ErrConnLost)

// newCaller starts the goroutines of a call stream; on an error the link is closed.
func (t *Transport) newCaller(l *link) (*caller, error) {
	c := &caller{link: l, out: newOutbox(l.Conn), born: time.Now(), waiting: map[uint64]func(reply){}}
	ok := t.spawn(c.read) && t.spawn(func() { c.out.run(l, t.limits.stuck, c.hear) }) && t.spawn(c.watch)
	if !ok {
		c.end()
		return nil, notSent{ErrClosed}
	}
	return c, nil
}

func (c *caller) call(ctx context.Context, k Kind, req []byte) ([]byte, error) {
	var timeout uint32
	if deadline, ok := ctx.Deadline(); ok {
		timeout = millis(time.Until(deadline))
	}
	if err := ctx.Err(); err != nil {
		return nil, notSent{err}
	}
	answer := make(chan reply, 1)
	id, err := c.send(header{typ: frameRequest, code: uint8(k), timeout: timeout}, req, func(r reply) { answer <- r })
	if err != nil {
		return nil, err
	}
	select {
	case r := <-answer:
		return r.result()
	case <-ctx.Done():
	}
	if !c.forget(id) { // the answer came just now
		return (<-answer).result()
	}
	c.out.put(header{typ: frameCancel, id: id}, nil)
	return nil, ctx.Err()
}

// send puts a request on the connection. got is called once with the answer, or
// with a reply that is lost, and must not wait; after an error it is not called.
func (c *caller) send(h header, req []byte, got func(reply)) (id uint64, err error) {
	if h.id = c.expect(got); h.id == 0 {
		return 0, notSent{errNeverQueued}
	}
	if err := c.out.put(h, req); err != nil {
		if !c.forget(h.id) { // the connection ended, and got was told
			return h.id, nil
		}
		if errors.Is(err, ErrConnLost) {
			err = errNeverQueued
		}
		return 0, notSent{err}
	}
	return h.id, nil
}

func (r reply) result() ([]byte, error) {
	switch {
	case r.lost:
		return nil, ErrConnLost
	case r.status == statusOK:
		return r.body, nil
	case r.status == statusUnknownKind:
		return nil, notSent{ErrUnknownKind}
	case r.status == statusMembersOnly:
		return nil, notSent{ErrMembersOnly}
	case r.status == statusBusy:
		return nil, notSent{ErrBusy}
	}
	return nil, &RemoteError{Text: string(r.body)}
}

// expect gives out an id whose answer goes to got; 0 if the connection has ended.
func (c *caller) expect(got func(reply)) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return 0
	}
	if len(c.waiting) == 0 {
		c.since = time.Since(c.born)
	}
	c.last++
	c.waiting[c.last] = got
	return c.last
}

// forget ends the wait for an answer; false if it has been delivered.
func (c *caller) forget(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.waiting[id]
	delete(c.waiting, id)
	return ok
}

// ended reports whether the connection takes no more calls.
func (c *caller) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting == nil || c.link.dead.Load()
}

// read delivers answers until the connection ends.
func (c *caller) read() {
	defer c.end()
	r := bufio.NewReaderSize(hearing{c}, 32<<10)
	head := make([]byte, headerSize)
	for {
		h, err := readHeader(r, head)
		if err != nil || h.size > MaxMessage || h.typ != frameResponse && h.typ != framePong {
			return
		}
		body, err := readBody(r, int(h.size), firstChunk)
		if err != nil {
			return
		}
		c.mu.Lock()
		got := c.waiting[h.id]
		delete(c.waiting, h.id)
		c.mu.Unlock()
		if got != nil {
			got(reply{status: h.code, body: body})
		}
	}
}

// hearing reads from the connection and notes when something came.
type hearing struct{ c *caller }

func (r hearing) Read(b []byte) (int, error) {
	n, err := r.c.link.Read(b)
	if n > 0 {
		r.c.hear()
	}
	return n, err
}

// hear notes a sign of life: something came in, or a long write gets on, behind
// which a ping would have to wait.
func (c *caller) hear() { c.heard.Store(int64(time.Since(c.born))) }

// watch asks for a sign of life while calls wait in silence, and ends the
// connection if none comes: a handler may take its time, a connection may not.
func (c *caller) watch() {
	lim := c.link.t.limits
	tick := time.NewTicker(lim.ping)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-c.out.done:
			return
		}
		c.mu.Lock()
		waiting, since := len(c.waiting) > 0, c.since
		c.mu.Unlock()
		silent := time.Since(c.born) - max(since, time.Duration(c.heard.Load()))
		switch {
		case !waiting || silent < lim.ping:
		case silent > lim.stuck:
			c.link.t.log.Warn("connection is stuck, closing it", "node", c.link.peer.ID, "address", c.link.dialled)
			c.end()
			return
		default:
			c.out.put(header{typ: framePing}, nil)
		}
	}
}

// end closes the connection and fails what waits on it.
func (c *caller) end() {
	c.link.Close()
	c.out.close()
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	for _, got := range waiting {
		got(reply{lost: true})
	}
}
