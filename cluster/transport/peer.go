package transport

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// peer is the call connection to one member, and the dialling of it.
type peer struct {
	mu      sync.Mutex // taken after Transport.mu where both are held
	conn    *caller    // guarded by mu; nil before the first dial
	dialing *attempt   // guarded by mu; nil if none is under way
	failed  *attempt   // guarded by mu; the last one, if it failed
	again   time.Time  // guarded by mu; until then failed answers for the address it was made to

	back chan struct{} // guarded by mu; closed by the next handshake; nil while nobody waits for it
}

// attempt is one dial that any number of calls wait for.
type attempt struct {
	addr string
	done chan struct{} // closed when conn or err is set
	conn *caller
	err  error
}

// forgive lets the next call dial at once even if a dial has just failed.
func (p *peer) forgive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = nil
}

// arrive does the same and wakes those who wait for the node to come back.
func (p *peer) arrive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = nil
	if p.back != nil {
		close(p.back)
		p.back = nil
	}
}

// callerTo returns a live call connection to a member at its address of now.
func (t *Transport) callerTo(ctx context.Context, id string) (*caller, error) {
	p, err := t.peer(id)
	if err != nil {
		return nil, notSent{err}
	}
	addr, ok := t.cfg.Resolve(id)
	if !ok {
		return nil, notSent{fmt.Errorf("node %s: %w", id, ErrUnknownPeer)}
	}
	c, a := t.approach(p, id, addr)
	if c != nil {
		return c, nil
	}
	select {
	case <-a.done:
		if a.err != nil {
			return nil, a.err
		}
		return a.conn, nil
	case <-ctx.Done():
		return nil, notSent{fmt.Errorf("connecting to %s: %w", addr, ctx.Err())}
	}
}

// callerNow returns the connection that callerTo would return without waiting, nil
// if there is none.
func (t *Transport) callerNow(id string) *caller {
	p, err := t.peer(id)
	if err != nil {
		return nil
	}
	addr, ok := t.cfg.Resolve(id)
	if !ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.conn; c != nil && c.link.dialled == addr && !c.ended() {
		return c
	}
	return nil
}

// peer returns the books on a member.
func (t *Transport) peer(id string) (*peer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, ErrClosed
	case id == t.self.ID:
		return nil, ErrSelf
	}
	p := t.peers[id]
	if p == nil {
		p = &peer{}
		t.peers[id] = p
	}
	return p, nil
}

// approach returns the open connection, or the attempt to wait for.
func (t *Transport) approach(p *peer, id, addr string) (*caller, *attempt) {
	p.mu.Lock()
	old := p.conn
	if old != nil && old.link.dialled == addr && !old.ended() {
		p.mu.Unlock()
		return old, nil
	}
	p.conn = nil
	a, fresh := p.attemptLocked(addr)
	p.mu.Unlock()
	if old != nil {
		old.end()
	}
	if fresh && !t.spawn(func() { t.attempt(p, id, a) }) {
		p.finish(a, nil, notSent{ErrClosed}, 0)
	}
	return nil, a
}

// attemptLocked returns the attempt under way or the one that has just failed, or
// else a fresh one, which the caller must start.
func (p *peer) attemptLocked(addr string) (a *attempt, fresh bool) {
	if a := p.dialing; a != nil && a.addr == addr {
		return a, false
	}
	if a := p.failed; a != nil && a.addr == addr && time.Now().Before(p.again) {
		return a, false
	}
	p.dialing = &attempt{addr: addr, done: make(chan struct{})}
	return p.dialing, true
}

// attempt dials. It runs on its own, so that one caller's deadline fails no other.
func (t *Transport) attempt(p *peer, id string, a *attempt) {
	l, err := t.dial(t.ctx, a.addr, streamCall, id)
	if err != nil {
		p.finish(a, nil, err, t.limits.retry)
		return
	}
	c, err := t.newCaller(l)
	p.finish(a, c, err, 0)
}

// finish publishes what came of an attempt. A connection that nobody wants any
// more, because the address has changed meanwhile, still serves those who waited.
func (p *peer) finish(a *attempt, c *caller, err error, pause time.Duration) {
	p.mu.Lock()
	wanted := p.dialing == a
	if wanted {
		p.dialing, p.conn, p.failed = nil, c, nil
		if err != nil {
			p.failed, p.again = a, time.Now().Add(pause)
		}
	}
	p.mu.Unlock()
	if !wanted && c != nil {
		c.end()
		c, err = nil, notSent{fmt.Errorf("%s: address has changed", a.addr)}
	}
	a.conn, a.err = c, err
	close(a.done)
}
