package transport

import (
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// inFlight is how many requests of a pipeline may wait for an answer. Two suffice
// for the next to be on its way when one is answered; with more the library would
// make them up earlier, of fewer entries each (hashicorp/raft#541).
const inFlight = 2

// errUntaken ends a pipeline whose answers nobody takes.
var errUntaken = errors.New("answers to requests of replication are not taken any more")

// pipeline sends requests without waiting for each one's answer. The library calls
// AppendEntries from one goroutine, and takes the answers in another.
type pipeline struct {
	c     *raftConn
	ready chan raft.AppendFuture // its room is for all that may be on their way, so that nobody waits for the library
	done  chan struct{}          // closed by Close
	once  sync.Once

	mu     sync.Mutex
	freed  sync.Cond       // on mu: an answer came, or the end
	queue  []*appendFuture // guarded by mu: sent or being sent, the oldest first; only receive takes any out
	answer time.Time       // guarded by mu: when the last answer came
	err    error           // guarded by mu: why it has ended
}

func (r *raftTransport) newPipeline(c *raftConn) (*pipeline, error) {
	p := &pipeline{c: c, ready: make(chan raft.AppendFuture, inFlight), done: make(chan struct{}), answer: time.Now()}
	p.freed.L = &p.mu
	c.link.SetReadDeadline(p.answer.Add(r.t.limits.rpc))
	if !r.t.spawn(p.receive) {
		c.link.Close()
		return nil, ErrClosed
	}
	return p, nil
}

// Consumer gives every request back that AppendEntries sent or could not send whole,
// in their order, once it is answered or has failed.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.ready }

// AppendEntries sends a request, shortened as in Transport.AppendEntries. It returns
// once fewer than inFlight are unanswered: so what the library sends next has all
// the entries that there are by then.
func (p *pipeline) AppendEntries(req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	t := p.c.r.t
	if t.muted.Load() {
		return nil, errMuted
	}
	if !p.c.fits() {
		p.c.link.Close() // answers may be under way, so it is not replaced: the library falls back to single requests
		return nil, errMoved
	}
	shorten(req)
	f := &appendFuture{start: time.Now(), req: req, resp: resp}
	f.answered.Add(1)
	if f.start.After(p.c.rearm) {
		p.c.link.SetWriteDeadline(f.start.Add(t.limits.rpc))
		p.c.rearm = f.start.Add(t.limits.rpc / 4)
	}
	if err := p.push(f); err != nil {
		return nil, err
	}
	if err := p.c.send(req); err != nil {
		p.end(err) // whoever reads the answers gives it back like all that fail
		return nil, err
	}
	return f, p.room()
}

// push enters a request before it is sent, so that its answer finds it.
func (p *pipeline) push(f *appendFuture) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.queue = append(p.queue, f)
	}
	return p.err
}

// room waits until another request may be sent.
func (p *pipeline) room() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) >= inFlight && p.err == nil {
		p.freed.Wait()
	}
	return p.err
}

// Close ends the pipeline; what is unanswered fails.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.done) })
	p.end(raft.ErrPipelineShutdown)
	return nil
}

// end closes the connection, for which the first reason counts.
func (p *pipeline) end(why error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = why
	}
	p.mu.Unlock()
	p.freed.Broadcast()
	p.c.link.Close()
}

// receive gives answers to their requests until one fails; then all fail.
func (p *pipeline) receive() {
	for {
		kind, err := p.c.in.next(answerBuffer - raftHead)
		if err != nil && p.patient(err) {
			continue
		}
		f := p.oldest()
		if err == nil && f == nil {
			err = errMalformed // nothing was asked
		}
		if err == nil {
			f.err, err = p.c.in.reading.answer(kind, f.resp)
		}
		if err != nil {
			p.end(err)
			p.failAll()
			return
		}
		f.answered.Done()
		if !p.deliver(f) {
			p.end(errUntaken)
			p.failAll()
			return
		}
	}
}

// patient handles the deadline for reading, which is set when it has passed and not
// for every request: it returns true if nothing is late.
func (p *pipeline) patient(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	since := now
	if len(p.queue) > 0 {
		since = p.queue[0].start
		if p.answer.After(since) {
			since = p.answer
		}
	}
	due := since.Add(p.c.r.t.limits.rpc)
	if p.err != nil || !due.After(now) {
		return false
	}
	return p.c.link.SetReadDeadline(due) == nil
}

func (p *pipeline) oldest() *appendFuture {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil
	}
	return p.queue[0]
}

// deliver hands the oldest request back and makes room for another; false if nobody
// wants it any more. Handing it over comes first: a commit waits for it.
func (p *pipeline) deliver(f *appendFuture) bool {
	wanted := true
	select {
	case p.ready <- f:
	default:
		wanted = p.press(f)
	}
	p.mu.Lock()
	p.queue = slices.Delete(p.queue, 0, 1)
	p.answer = time.Now()
	p.mu.Unlock()
	p.freed.Signal()
	return wanted
}

// press is deliver where there is no room. After a refusal the library takes nothing
// more, but may send some requests until it notices that (replication.go,
// pipelineReplicate): it would wait in room for ever, and so never close the pipeline.
func (p *pipeline) press(f *appendFuture) bool {
	late := time.NewTimer(p.c.r.t.limits.rpc)
	defer late.Stop()
	select {
	case p.ready <- f:
		return true
	case <-late.C:
	case <-p.done:
	case <-p.c.r.done:
	}
	return false
}

// failAll fails what is left, after end.
func (p *pipeline) failAll() {
	for f := p.oldest(); f != nil; f = p.oldest() {
		p.mu.Lock()
		f.err = p.err
		p.mu.Unlock()
		f.answered.Done()
		p.deliver(f)
	}
}

// appendFuture is a request in a pipeline.
type appendFuture struct {
	start    time.Time
	req      *raft.AppendEntriesRequest
	resp     *raft.AppendEntriesResponse
	answered sync.WaitGroup
	err      error // set before answered
}

// Error waits for the answer.
func (f *appendFuture) Error() error {
	f.answered.Wait()
	return f.err
}

// Start is when the request was made.
func (f *appendFuture) Start() time.Time { return f.start }

// Request is what was sent: the library's own request, shortened.
func (f *appendFuture) Request() *raft.AppendEntriesRequest { return f.req }

// Response is the library's own answer, which is empty until Error returns nil.
func (f *appendFuture) Response() *raft.AppendEntriesResponse { return f.resp }
