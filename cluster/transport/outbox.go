package transport

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// outbox is what waits to be written on a connection. Frames that come while one
// write is under way leave together in the next. Whoever puts a frame into an
// empty box also sends it, as far as the socket takes it without waiting: waking
// the goroutine of run for it would cost more than the write.
type outbox struct {
	direct syscall.RawConn // nil where writes cannot be tried without waiting
	wake   chan struct{}   // capacity 1: there is something in buf
	done   chan struct{}   // closed by close

	mu      sync.Mutex
	buf     []byte // guarded by mu
	spare   []byte // guarded by mu; kept for when buf is being written
	writing bool   // guarded by mu; somebody writes, and looks at buf again after that
	closed  bool   // guarded by mu
}

// directMost is the most that is sent by who puts it.
const directMost = 16 << 10

func newOutbox(c net.Conn) *outbox {
	o := &outbox{wake: make(chan struct{}, 1), done: make(chan struct{})}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.direct = raw
		}
	}
	return o
}

// put copies a frame in, so the body may be changed after it, and never waits for
// the other side. It returns ErrConnLost after close, and ErrBusy if the other
// side reads too slowly.
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
	if o.writing {
		o.mu.Unlock()
		return nil
	}
	left := true
	if o.direct != nil && len(o.buf) <= directMost {
		left = o.sendLocked()
	}
	o.mu.Unlock()
	if left {
		o.wakeRun()
	}
	return nil
}

// sendLocked writes what the socket takes at once; left says whether something
// stays for run. o.mu is held, but not during the write.
func (o *outbox) sendLocked() (left bool) {
	out := o.takeLocked()
	o.mu.Unlock()
	sent := 0
	_ = o.direct.Write(func(fd uintptr) bool { // an error comes again in run, which ends the connection
		if n, err := syscall.Write(int(fd), out); err == nil {
			sent = n
		}
		return true
	})
	o.mu.Lock()
	if sent < len(out) {
		o.buf = append(out[sent:len(out):len(out)], o.buf...)
		out = nil
	}
	o.doneLocked(out)
	return len(o.buf) > 0 && !o.closed
}

// takeLocked returns what is to be written now. o.mu is held; the caller is the
// one who writes until it calls doneLocked.
func (o *outbox) takeLocked() []byte {
	out := o.buf
	o.buf, o.spare, o.writing = o.spare[:0], nil, true
	return out
}

// doneLocked ends a write, whose buffer may be used again. o.mu is held.
func (o *outbox) doneLocked(out []byte) {
	const keep = 1 << 20 // a larger buffer is not kept
	o.writing = false
	if cap(out) <= keep && !o.closed {
		o.spare = out
	}
}

func (o *outbox) wakeRun() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close makes every later put fail and ends run.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.closed, o.buf, o.spare = true, nil, nil
		close(o.done)
	}
}

// run writes until close, or until the connection fails or takes nothing for the
// time of stall; then it closes the connection, which its reader notices. It
// calls progress in the course of a large write.
func (o *outbox) run(c net.Conn, stall time.Duration, progress func()) {
	defer c.Close()
	for {
		select {
		case <-o.wake:
		case <-o.done:
			return
		}
		for out := o.take(); len(out) > 0; out = o.next(out) {
			if err := writeAll(c, out, stall, progress); err != nil {
				return
			}
		}
	}
}

// take returns what run is to write; nothing where somebody else is at it, who
// wakes run if anything is left.
func (o *outbox) take() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing || len(o.buf) == 0 {
		return nil
	}
	return o.takeLocked()
}

// next is what came while out was being written.
func (o *outbox) next(out []byte) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.doneLocked(out)
	if len(o.buf) == 0 {
		return nil
	}
	return o.takeLocked()
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
