//go:build linux

package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/fleet"
	"github.com/raftkv/raftkv/tests/chaos/workload"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

const (
	// staleLead is how long the followers are paused before the leader: what it sent
	// them meanwhile lies in their sockets, to be answered later. After 250 ms without
	// answers it would step down, and there were nothing to find.
	staleLead = 150 * time.Millisecond
	// staleReads is how many clients have a read waiting for the old leader.
	staleReads = 10
	// queueTime is what a client's read takes to get to a node at most.
	queueTime = 20 * time.Millisecond
	writeTime = time.Second
	electTime = 10 * time.Second
)

// pauseStale pauses everybody in the order that makes stale reads of a lease, or of
// answers to old questions: followers first, then the leader; the followers go on,
// elect one of them and acknowledge a write; then the old leader goes on, with reads
// queued for it that were asked after that write was acknowledged. What they got is
// in the history. It does so in rounds until it is healed.
func pauseStale(e *Env, r *rand.Rand) (*Fault, error) {
	rounds := 0
	var failed error
	stop := background(func(ctx context.Context) {
		for ; ctx.Err() == nil && failed == nil; rounds++ {
			failed = e.staleRound(r)
		}
	})
	f := &Fault{} // each round is entered in the history by itself
	f.heal = func() error {
		stop()
		f.Note = fmt.Sprint(rounds, " rounds")
		return failed
	}
	return f, nil
}

func (e *Env) staleRound(r *rand.Rand) error {
	leader, others, err := e.roles(r)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.probe++
	key := fmt.Sprintf("stale:%d", e.probe)
	e.mu.Unlock()
	ctx := context.Background()
	beside := e.Places[others[0].Index]
	if err := e.write(ctx, beside, key); err != nil {
		return fmt.Errorf("first write: %w", err)
	}
	readers := e.readers(ctx, leader, key)
	for _, n := range others {
		n.Pause()
	}
	time.Sleep(staleLead) // this is the fault
	leader.Pause()
	for _, n := range others {
		n.Resume()
	}
	from := e.Recorder.History.Now()
	defer func() {
		leader.Resume()
		e.Recorder.History.AddFault(check.Fault{Node: leader.Name, Kind: "pause-stale", Note: "reads of " + key, From: from, To: e.Recorder.History.Now()})
	}()
	if err := e.write(ctx, beside, key); err != nil {
		return fmt.Errorf("write with %s paused: %w", leader.Name, err)
	}
	var reading sync.WaitGroup
	for _, s := range readers {
		reading.Go(func() {
			defer s.Close()
			s.Do(ctx, check.Op{Workload: check.Register, Kind: check.Get, Key: key})
		})
	}
	time.Sleep(queueTime) // for the reads to lie in the paused node's sockets
	leader.Resume()
	reading.Wait()
	return nil
}

// readers are clients next to a node that have asked it already: what they ask next
// is the first thing on their connections.
func (e *Env) readers(ctx context.Context, n *fleet.Node, key string) (all []*workload.Session) {
	for range staleReads {
		s := workload.NewSession(e.Recorder, e.Places[n.Index], workload.Plain)
		s.Do(ctx, check.Op{Workload: check.Register, Kind: check.Get, Key: key})
		all = append(all, s)
	}
	return all
}

// write sets a key to something new until that is acknowledged, each time as a new
// client, who knows no leader, and not for long: the node may still send it to one
// that is paused.
func (e *Env) write(ctx context.Context, p workload.Place, key string) error {
	return proc.Poll(electTime, func() error {
		s := workload.NewSession(e.Recorder, p, workload.Plain)
		defer s.Close()
		ctx, cancel := context.WithTimeout(ctx, writeTime)
		defer cancel()
		op := s.Do(ctx, check.Op{Workload: check.Register, Kind: check.Set, Key: key, Arg: s.Token()})
		if op.Outcome != check.OK {
			return errors.New(op.Error)
		}
		return nil
	})
}
