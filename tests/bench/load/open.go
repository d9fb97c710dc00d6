//go:build linux

package load

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Sample is one request of an open loop: when it was due, and how long after that
// it was answered.
type Sample struct {
	Due     time.Time
	Latency time.Duration
}

// Open is an open loop of SETs: requests become due at a fixed rate, whether or not
// earlier ones were answered, so a server that stalls is charged for all that had
// to wait.
type Open struct {
	Addr  string
	Conns int
	Rate  int // requests a second
	Over  Keyspace
}

// Run sends requests until ctx is done, and returns those that were answered. Any
// error reply ends it.
func (l Open) Run(ctx context.Context) ([]Sample, error) {
	conns, err := dialAll(ctx, l.Addr, l.Conns)
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Room for what becomes due during replyLimit: pace must never wait.
	due := make(chan time.Time, l.Rate*int(replyLimit/time.Second))
	samples, errs := make([][]Sample, l.Conns), make([]error, l.Conns)
	var callers sync.WaitGroup
	for i, c := range conns {
		callers.Go(func() {
			if samples[i], errs[i] = l.call(c, i, due); errs[i] != nil {
				cancel()
			}
		})
	}
	err = pace(ctx, l.Rate, due)
	callers.Wait()
	var all []Sample
	for _, s := range samples {
		all = append(all, s...)
	}
	return all, errors.Join(first(errs), err)
}

func (l Open) call(c *Conn, caller int, due <-chan time.Time) (samples []Sample, err error) {
	var key []byte
	value, random := l.Over.value(), l.Over.random(caller)
	for at := range due {
		if err := c.Deadline(time.Now().Add(replyLimit)); err != nil {
			return samples, err
		}
		key = AppendKey(key, random.IntN(l.Over.Keys))
		if err := c.Do(wordSet, key, value); err != nil {
			return samples, err
		}
		samples = append(samples, Sample{at, time.Since(at)})
	}
	return samples, nil
}

// pace sends the times at which requests are due until ctx is done, and closes due
// then. It sleeps on a thread of its own in the kernel: the runtime's timers round
// up to a millisecond, which would be most of what is measured.
func pace(ctx context.Context, rate int, due chan<- time.Time) error {
	defer close(due)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	interval := time.Second / time.Duration(rate)
	for next := time.Now(); ctx.Err() == nil; next = next.Add(interval) {
		for wait := time.Until(next); wait > 0; wait = time.Until(next) {
			sleep := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&sleep, nil) // the runtime's signals cut it short
		}
		select {
		case due <- next:
		default:
			return fmt.Errorf("nothing was answered for %s", replyLimit)
		}
	}
	return nil
}
