package batch

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// one is a proposal whose answer goes to done.
func one(done func(error)) []system.Proposal {
	return []system.Proposal{{
		Proposal: entry.Proposal{Commands: []entry.Command{{Args: [][]byte{[]byte("SET"), []byte("k"), []byte("v")}}}},
		Done:     func(_ []byte, err error) { done(err) },
	}}
}

// What is added while the queue is closed is answered, whichever comes first,
// and exactly once.
func TestCloseAnswersAll(t *testing.T) {
	const adders, each = 4, 50
	var answered, wrong atomic.Int64
	q := New(1<<20, 1<<20)
	var adding sync.WaitGroup
	begin := make(chan struct{})
	for range adders {
		adding.Go(func() {
			<-begin
			for range each {
				q.Add(one(func(err error) {
					answered.Add(1)
					if !errors.Is(err, system.ErrShutdown) {
						wrong.Add(1)
					}
				}), time.Now())
			}
		})
	}
	close(begin)
	q.Close(system.ErrShutdown)
	adding.Wait()
	if got := answered.Load(); got != adders*each || wrong.Load() != 0 || q.Len() != 0 {
		t.Errorf("%d of %d answered, %d of them wrongly; %d still wait", got, adders*each, wrong.Load(), q.Len())
	}
}

func TestGroups(t *testing.T) {
	q := New(64, 32)
	var errs []error
	var ps []system.Proposal
	for range 4 {
		ps = append(ps, one(func(err error) { errs = append(errs, err) })...)
	}
	size := Size(&ps[0].Proposal)
	fit := 64 / size
	q.Add(ps, time.Now())
	if q.Len() != fit || len(errs) != 4-fit || !errors.Is(errs[0], system.ErrOverloaded) {
		t.Fatalf("%d wait and %v, want %d and ErrOverloaded for the others", q.Len(), errs, fit)
	}
	errs = nil
	first := q.Take(1) // at least one
	if len(first) != 1 {
		t.Fatalf("Take gave %d, want 1", len(first))
	}
	q.PutBack(first)
	q.Refuse(q.Take(1), system.ErrNoLeader)
	if rest := q.Take(1 << 20); len(rest) != 0 || len(errs) != fit {
		t.Errorf("%d taken after the first of their group was refused, %d answered; want 0 and %d", len(rest), len(errs), fit)
	}
	for _, err := range errs {
		if !errors.Is(err, system.ErrNoLeader) {
			t.Errorf("got %v, want ErrNoLeader", err)
		}
	}
}
