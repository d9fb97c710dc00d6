package httpapi

import (
	"container/list"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// limit returns a listener of which at most n connections are open. One more closes
// the one that has been without a request for longest; where all have one, it waits,
// and so do those behind it in the system's queue. So whoever only sits there keeps
// nobody out, and who sends a request slowly does so until a timeout at most.
func limit(ln net.Listener, n int) net.Listener {
	return &limited{Listener: ln, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}

	mu    sync.Mutex
	quiet list.List // guarded by mu; *limitedConn without a request, the longest first
}

func (l *limited) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	default:
		l.shed()
		select {
		case l.slots <- struct{}{}:
		case <-l.closed:
			c.Close()
			return nil, net.ErrClosed
		}
	}
	return &limitedConn{answering: answering{Conn: c}, ln: l, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// shed closes the connection that has been without a request for longest, if any.
func (l *limited) shed() {
	l.mu.Lock()
	var c *limitedConn
	if first := l.quiet.Front(); first != nil {
		c = first.Value.(*limitedConn)
		l.removeLocked(c)
	}
	l.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// note takes up what a connection does now.
func (l *limited) note(c *limitedConn, state http.ConnState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removeLocked(c)
	if state == http.StateNew || state == http.StateIdle {
		c.place = l.quiet.PushBack(c)
	}
}

// removeLocked takes a connection off the list. Call it with l.mu held.
func (l *limited) removeLocked(c *limitedConn) {
	if c.place != nil {
		l.quiet.Remove(c.place)
		c.place = nil
	}
}

type limitedConn struct {
	answering
	ln      *limited
	release func()
	place   *list.Element // guarded by ln.mu; in ln.quiet
}

// state is told by http.Server what the connection does.
func (c *limitedConn) state(state http.ConnState) { c.ln.note(c, state) }

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// errBusy refuses a body for which there is no memory at the moment.
var errBusy = errors.New("too many large requests at once; nothing was done")

// budget is what may be in memory of the bodies of all requests together.
type budget struct {
	most int64
	used atomic.Int64
}

// of returns a request's body whose bytes count until its release; reading fails with
// errBusy where they are too many.
func (b *budget) of(body io.ReadCloser) *budgeted { return &budgeted{ReadCloser: body, budget: b} }

type budgeted struct {
	io.ReadCloser
	budget *budget
	taken  int64
}

func (r *budgeted) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.taken += int64(n)
	if r.budget.used.Add(int64(n)) > r.budget.most {
		return n, errBusy
	}
	return n, err
}

// release is for when the request is done.
func (r *budgeted) release() { r.budget.used.Add(-r.taken) }
