package transport

import (
	"net"
	"sync"
	"time"
)

// outbox is what waits to be written on a connection. Frames that come while one
// write is under way leave together in the next.
type outbox struct {
	wake   chan struct{} // capacity 1: there is something in buf
	done   chan struct{} // closed by close
	mu     sync.Mutex
	buf    []byte // guarded by mu
	closed bool   // guarded by mu
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// put copies a frame in, so the body may be changed after it. It returns
// ErrConnLost after close, and ErrBusy if the other side reads too slowly.
func (o *outbox) put(h header, body []byte) error {
	h.size = uint32(len(body))
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return ErrConnLost
	}
	if len(o.buf) > 0 && len(o.buf)+headerSize+len(body) > maxQueued {
		o.mu.Unlock()
		return ErrBusy
	}
	o.buf = append(h.append(o.buf), body...)
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

// close makes every later put fail and ends run.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed, o.buf = true, nil
		close(o.done)
	}
}

// run writes until close, or until the connection fails or takes nothing for the
// time of stall; then it closes the connection, which its reader notices. It
// calls progress in the course of a large write.
func (o *outbox) run(c net.Conn, stall time.Duration, progress func()) {
	const keep = 1 << 20 // a buffer above it is not kept for the next round
	defer c.Close()
	var spare []byte
	for {
		select {
		case <-o.wake:
		case <-o.done:
			return
		}
		o.mu.Lock()
		out := o.buf
		o.buf = spare[:0]
		o.mu.Unlock()
		if err := writeAll(c, out, stall, progress); err != nil {
			return
		}
		if spare = out; cap(spare) > keep {
			spare = nil
		}
	}
}

// writeAll writes b; every piece of it may take stall, so that stall bounds the
// lack of progress and not the size of a message.
func writeAll(c net.Conn, b []byte, stall time.Duration, progress func()) error {
	const piece = 256 << 10
	for first := true; len(b) > 0; first = false {
		if !first {
			progress()
		}
		n := min(len(b), piece)
		c.SetWriteDeadline(time.Now().Add(stall))
		if _, err := c.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
