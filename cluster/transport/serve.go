package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// registration is what Handle sets for a kind.
type registration struct {
	intro bool
	fn    Handler
	quick func(req []byte) []byte // in place of fn
}

// Handle sets the handler of a kind of call. intro opens it to strangers too:
// callers of any or no cluster, through CallAddr; such a handler must look at
// from and can rely on nothing in it.
func (t *Transport) Handle(k Kind, intro bool, fn Handler) {
	t.handlers[k].Store(&registration{intro: intro, fn: fn})
}

// HandleQuick sets the handler of a kind of call from members that is answered at
// once, by the goroutine that reads the connection: it must not wait for anything.
// req is its own only until it returns.
func (t *Transport) HandleQuick(k Kind, fn func(req []byte) []byte) {
	t.handlers[k].Store(&registration{quick: fn})
}

// session is the answering end of a call or introduction stream.
type session struct {
	t      *Transport
	link   *link
	out    *outbox
	ctx    context.Context // ends with the connection
	bounds bounds
	wg     sync.WaitGroup // the handlers

	mu      sync.Mutex
	running map[uint64]context.CancelFunc // guarded by mu; by the caller's id
	bytes   int                           // guarded by mu; of the requests that run
}

// bounds are what one connection may make its server hold.
type bounds struct {
	frame    int // bytes of a request
	handlers int // that run at once
	bytes    int // of their requests; one request may always run
}

var (
	memberBounds   = bounds{frame: MaxMessage, handlers: 4096, bytes: 64 << 20}
	strangerBounds = bounds{frame: maxStranger, handlers: 16, bytes: 16 * maxStranger}
)

// serveCalls answers calls until the connection ends and its handlers have returned.
func (t *Transport) serveCalls(l *link) {
	ctx, cancel := context.WithCancel(t.ctx)
	s := &session{t: t, link: l, out: newOutbox(l.Conn), ctx: ctx, bounds: memberBounds, running: map[uint64]context.CancelFunc{}}
	if l.stream == streamIntro {
		s.bounds = strangerBounds
	}
	s.wg.Go(func() { s.out.run(l, t.limits.stuck, func() {}) })
	s.read()
	l.Close()
	s.out.close()
	cancel()
	s.wg.Wait()
}

// read takes frames until the connection ends or says something out of order.
func (s *session) read() {
	r := bufio.NewReaderSize(s.link, 32<<10)
	head := make([]byte, headerSize)
	for {
		if s.link.stream == streamIntro {
			s.link.SetReadDeadline(time.Now().Add(s.t.limits.idle))
		}
		h, err := readHeader(r, head)
		if err != nil || int64(h.size) > int64(s.bounds.frame) {
			return
		}
		switch {
		case h.typ == frameRequest:
			err = s.request(h, r)
		case h.size != 0:
			return
		case h.typ == frameCancel:
			s.cancel(h.id)
		case h.typ == framePing:
			err = s.out.put(header{typ: framePong}, nil)
		default:
			return
		}
		if err != nil {
			return
		}
	}
}

// request starts a handler, or says why not, without taking the body into memory.
func (s *session) request(h header, r *bufio.Reader) error {
	reg := s.t.handlers[h.code].Load()
	status := uint8(statusOK)
	switch {
	case s.link.stream == streamIntro && (reg == nil || !reg.intro):
		status = statusMembersOnly
	case reg == nil:
		status = statusUnknownKind
	case !s.begin(int(h.size)):
		status = statusBusy
	}
	if status != statusOK {
		if _, err := io.CopyN(io.Discard, r, int64(h.size)); err != nil {
			return err
		}
		return s.out.put(header{typ: frameResponse, code: status, id: h.id}, nil)
	}
	body, err := readBody(r, int(h.size), firstChunk)
	if err != nil {
		return err
	}
	if reg.quick != nil {
		s.release(int(h.size))
		return s.out.put(header{typ: frameResponse, code: statusOK, id: h.id}, reg.quick(body))
	}
	ctx, err := s.enter(h)
	if err != nil {
		return err
	}
	s.wg.Go(func() { s.handle(ctx, h.id, reg.fn, body) })
	return nil
}

func (s *session) handle(ctx context.Context, id uint64, fn Handler, body []byte) {
	resp, err := fn(ctx, s.link.peer, body)
	s.leave(id, len(body))
	if err == nil && len(resp) > MaxMessage {
		err = fmt.Errorf("answer of %d bytes: %w", len(resp), ErrTooLarge)
	}
	h := header{typ: frameResponse, code: statusOK, id: id}
	if err != nil {
		h.code, resp = statusError, []byte(err.Error())
	}
	if s.out.put(h, resp) != nil {
		s.link.Close() // an answer that cannot be sent must not leave its caller waiting
	}
}

// begin reports whether one more request of n bytes may run, and counts its bytes.
func (s *session) begin(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.running) >= s.bounds.handlers || s.bytes > 0 && s.bytes+n > s.bounds.bytes {
		return false
	}
	s.bytes += n
	return true
}

// release takes back what begin counted for a request that needs no goroutine.
func (s *session) release(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= n
}

// enter makes a request's context and files it under its id.
func (s *session) enter(h header) (context.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.running[h.id]; twice {
		return nil, fmt.Errorf("call %d is already running", h.id)
	}
	ctx, cancel := s.ctx, context.CancelFunc(nil)
	if h.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(h.timeout)*time.Millisecond)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	s.running[h.id] = cancel
	return ctx, nil
}

func (s *session) leave(id uint64, n int) {
	s.mu.Lock()
	cancel := s.running[id]
	delete(s.running, id)
	s.bytes -= n
	s.mu.Unlock()
	cancel()
}

func (s *session) cancel(id uint64) {
	s.mu.Lock()
	cancel := s.running[id]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}
