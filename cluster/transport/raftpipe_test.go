package transport

import (
	"errors"
	"net"
	"os"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// halfConn is what a net.Conn needs besides reading and writing.
type halfConn struct{ net.Conn }

// pipe opens a pipeline from n1 to node2.
func pipe(t testing.TB, n1 *Transport) raft.AppendPipeline {
	t.Helper()
	p, err := n1.Raft().AppendEntriesPipeline("node2", "node2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// sendAll sends count requests, of terms from 1 on, and tells how that ended.
func sendAll(p raft.AppendPipeline, count int) <-chan error {
	done := make(chan error, 1)
	go func() {
		for i := range count {
			req := &raft.AppendEntriesRequest{Term: uint64(i + 1), Entries: entries(i * 1000 % 9001)}
			if _, err := p.AppendEntries(req, new(raft.AppendEntriesResponse)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return done
}

// next takes the next future of a pipeline.
func next(t testing.TB, p raft.AppendPipeline) raft.AppendFuture {
	t.Helper()
	select {
	case f := <-p.Consumer():
		return f
	case <-time.After(10 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

// Requests reach the other main loop in their order, also one that was busy, and
// come back in it, each with its own answer.
func TestPipelineKeepsTheOrder(t *testing.T) {
	const count = 200
	_, n1, n2 := pair(t)
	requests := n2.Raft().Consumer()
	p := pipe(t, n1)
	sent := sendAll(p, count)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for i := range count {
			rpc := <-requests
			req := rpc.Command.(*raft.AppendEntriesRequest)
			if req.Term != uint64(i+1) || len(req.Entries) != 1 || len(req.Entries[0].Data) != i*1000%9001 {
				t.Errorf("request %d came as %d", i+1, req.Term)
			}
			if i%50 == 0 {
				time.Sleep(20 * time.Millisecond) // the main loop is at its disk
			}
			if i%3 == 0 {
				rpc.Respond(&raft.AppendEntriesResponse{Term: req.Term}, errors.New("not now"))
			} else {
				rpc.Respond(&raft.AppendEntriesResponse{Term: req.Term, Success: true}, nil)
			}
		}
	})
	for i := range count {
		f := next(t, p)
		if err := f.Error(); (i%3 == 0) != (err != nil) || err != nil && err.Error() != "not now" {
			t.Errorf("request %d: %v", i+1, err)
		}
		if f.Request().Term != uint64(i+1) || f.Response().Term != uint64(i+1) || f.Start().IsZero() {
			t.Fatalf("answer %d: %+v to %+v", i+1, f.Response(), f.Request())
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// A second request is sent while the first is unanswered, and then none is taken
// until that is answered.
func TestPipelineInFlight(t *testing.T) {
	_, n1, n2 := pair(t)
	requests := n2.Raft().Consumer()
	p := pipe(t, n1)
	if _, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1}, new(raft.AppendEntriesResponse)); err != nil {
		t.Fatal(err)
	}
	first := <-requests
	second := make(chan error, 1)
	go func() {
		_, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 2}, new(raft.AppendEntriesResponse))
		second <- err
	}()
	select {
	case err := <-second:
		t.Errorf("the second returned before the first was answered: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	first.Respond(&raft.AppendEntriesResponse{Term: 1}, nil)
	if err := <-second; err != nil {
		t.Error(err)
	}
	rpc := <-requests
	rpc.Respond(&raft.AppendEntriesResponse{Term: 2}, nil)
	for i := range 2 {
		if f := next(t, p); f.Error() != nil || f.Response().Term != uint64(i+1) {
			t.Errorf("answer %d: %v, %+v", i+1, f.Error(), f.Response())
		}
	}
}

// Where a pipeline breaks, what was answered has its answer, the rest fails in its
// order with an empty one, and nothing more is taken.
func TestPipelineBreaks(t *testing.T) {
	for name, breaks := range map[string]func(n1, n2 *Transport, p raft.AppendPipeline){
		"the other side goes":   func(_, n2 *Transport, _ raft.AppendPipeline) { n2.Close() },
		"this side goes":        func(n1, _ *Transport, _ raft.AppendPipeline) { n1.Close() },
		"Raft is shut down":     func(n1, _ *Transport, _ raft.AppendPipeline) { n1.Raft().(raft.WithClose).Close() },
		"the node is dropped":   func(n1, _ *Transport, _ raft.AppendPipeline) { n1.Drop("node2") },
		"the pipeline is ended": func(_, _ *Transport, p raft.AppendPipeline) { p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			_, n1, n2 := pair(t)
			requests := n2.Raft().Consumer()
			p := pipe(t, n1)
			sent := sendAll(p, 3)
			rpc := <-requests
			rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
			<-requests // the second comes to no answer, and the third waits for that
			if f := next(t, p); f.Error() != nil || !f.Response().Success {
				t.Errorf("the first: %v, %+v", f.Error(), f.Response())
			}
			q := p.(*pipeline)
			queued := func() (n int) {
				q.mu.Lock()
				defer q.mu.Unlock()
				return len(q.queue)
			}
			wait(t, "the third is on its way", func() bool { return queued() == inFlight && q.oldest().req.Term == 2 })
			second := q.oldest()
			breaks(n1, n2, p)
			if err := <-sent; err == nil {
				t.Error("the third was taken")
			}
			if second.Error() == nil || !reflect.DeepEqual(*second.Response(), raft.AppendEntriesResponse{}) {
				t.Errorf("the second: %v, %+v", second.Error(), second.Response())
			}
			wait(t, "nothing is waited for", func() bool { return queued() == 0 })
			for want := uint64(2); len(p.Consumer()) > 0; want++ {
				if f := next(t, p); f.Error() == nil || f.Request().Term != want {
					t.Errorf("the request of term %d came in place of %d, with %v", f.Request().Term, want, f.Error())
				}
			}
			if _, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 4}, new(raft.AppendEntriesResponse)); err == nil {
				t.Error("a broken pipeline took a request")
			}
		})
	}
}

// A pipeline that nothing was sent on for longer than an answer may take is as good
// as before; one whose answer does not come in time fails.
func TestPipelineDeadline(t *testing.T) {
	const patience = 150 * time.Millisecond
	_, n1, n2 := pair(t)
	n1.limits.rpc = patience
	requests := n2.Raft().Consumer()
	p := pipe(t, n1)
	begin := time.Now()
	for time.Since(begin) < 3*patience {
		sent := sendAll(p, 1)
		rpc := <-requests
		rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
		if f := next(t, p); f.Error() != nil || <-sent != nil {
			t.Fatalf("after %v: %v", time.Since(begin), f.Error())
		}
		idle := time.NewTimer(patience * 3 / 2)
		<-idle.C
	}
	sendAll(p, 1)
	<-requests
	f := next(t, p)
	if err := f.Error(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no answer: %v, want a timeout", err)
	}
	if took := time.Since(f.Start()); took < patience || took > 10*patience {
		t.Errorf("it took %v, want %v", took, patience)
	}
}

// A single request fails in time, too, and its connection is not used again.
func TestExchangeDeadline(t *testing.T) {
	const patience = 200 * time.Millisecond
	_, n1, n2 := pair(t)
	n1.limits.rpc = patience
	requests := n2.Raft().Consumer()
	begin := time.Now()
	err := n1.Raft().RequestVote("node2", "node2", &raft.RequestVoteRequest{Term: 1}, new(raft.RequestVoteResponse))
	if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took < patience*3/4 {
		t.Errorf("%v after %v, want a timeout", err, took)
	}
	late := <-requests
	late.Respond(&raft.RequestVoteResponse{Term: 1, Granted: true}, nil)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		rpc := <-requests
		rpc.Respond(&raft.RequestVoteResponse{Term: rpc.Command.(*raft.RequestVoteRequest).Term}, nil)
	}()
	var resp raft.RequestVoteResponse
	if err := n1.Raft().RequestVote("node2", "node2", &raft.RequestVoteRequest{Term: 2}, &resp); err != nil || resp.Term != 2 || resp.Granted {
		t.Errorf("the next vote: %v, %+v", err, resp)
	}
	<-answered
}

// The library stops taking answers once one is a refusal, and may send more until it
// comes to notice (its select picks by chance). Nobody takes the answers to that, and
// it must not wait for them for good: it would never close the pipeline.
func TestPipelineNobodyTakesTheAnswers(t *testing.T) {
	_, n1, n2 := pair(t)
	n1.limits.rpc = 200 * time.Millisecond
	requests := n2.Raft().Consumer()
	var wg sync.WaitGroup
	defer wg.Wait()
	over := make(chan struct{})
	defer close(over)
	wg.Go(func() {
		for {
			select {
			case rpc := <-requests:
				rpc.Respond(&raft.AppendEntriesResponse{Term: 1}, nil)
			case <-over:
				return
			}
		}
	})
	p := pipe(t, n1)
	sent := sendAll(p, 1000)
	next(t, p) // the refusal, and the last that is taken
	select {
	case err := <-sent:
		if err == nil {
			t.Error("all was taken")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the library still waits to send")
	}
}

// breakingConn ends its connection in the middle of a write, and lets that return once
// the request has failed.
type breakingConn struct {
	net.Conn
	p *pipeline
}

func (c breakingConn) Write([]byte) (int, error) {
	f := c.p.oldest()
	c.p.c.link.Close()
	f.Error()
	return 0, net.ErrClosed
}

// A connection that ends while a request is written fails that request from two sides,
// where it is sent and where answers are read; only one may take it off the queue.
func TestPipelineBreaksInTheMiddleOfAWrite(t *testing.T) {
	_, n1, n2 := pair(t)
	requests := n2.Raft().Consumer()
	p := pipe(t, n1)
	sent := sendAll(p, inFlight)
	for range inFlight { // there is no room for more to be given back
		rpc := <-requests
		rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	q := p.(*pipeline)
	wait(t, "all is answered", func() bool { return q.oldest() == nil })
	q.c.out.conn = breakingConn{q.c.link.Conn, q}
	if err := <-sendAll(p, 1); err == nil {
		t.Error("what could not be sent was taken")
	}
	p.Close()
	for i := range inFlight {
		if f := next(t, p); f.Error() != nil || f.Request().Term != uint64(i+1) {
			t.Errorf("request %d came as %d, with %v", i+1, f.Request().Term, f.Error())
		}
	}
	if err := n1.Close(); err != nil { // waits for the reader of answers
		t.Error(err)
	}
	if f := q.oldest(); f != nil {
		t.Errorf("the request of term %d waits for an answer", f.req.Term)
	}
}
