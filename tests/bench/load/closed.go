package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Closed is a closed loop: so many connections, each of which sends a pipeline, waits
// for all of its replies and sends the next.
type Closed struct {
	Addr     string
	Conns    int
	Pipeline int
	Reads    float64 // share of GETs, from 0 to 1; the rest are SETs
	Over     Keyspace
}

// Outcome is what a load measured.
type Outcome struct {
	Requests int
	Elapsed  time.Duration
	Latency  Latencies // of pipelines, where there are any
}

// PerSecond is the throughput.
func (o *Outcome) PerSecond() float64 { return float64(o.Requests) / o.Elapsed.Seconds() }

// Run loads the server for so long. Any error reply ends it: errors are fast, and
// would pass for throughput.
func (l Closed) Run(ctx context.Context, long time.Duration) (*Outcome, error) {
	conns, err := dialAll(ctx, l.Addr, l.Conns)
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	for _, c := range conns {
		if err := c.Deadline(time.Now().Add(long + replyLimit)); err != nil {
			return nil, err
		}
	}
	start := time.Now()
	return together(l.Conns, start, func(caller int) (Outcome, error) {
		return l.call(ctx, conns[caller], caller, start.Add(long))
	})
}

// replyLimit is how long a load waits for a single reply.
const replyLimit = 30 * time.Second

func (l Closed) call(ctx context.Context, c *Conn, caller int, end time.Time) (out Outcome, err error) {
	var key []byte
	value, random := l.Over.value(), l.Over.random(caller)
	for now := time.Now(); now.Before(end); {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		for range l.Pipeline {
			key = AppendKey(key, random.IntN(l.Over.Keys))
			if random.Float64() < l.Reads {
				c.Queue(wordGet, key)
			} else {
				c.Queue(wordSet, key, value)
			}
		}
		if err := c.Flush(); err != nil {
			return out, err
		}
		for range l.Pipeline {
			if err := c.Skip(); err != nil {
				return out, err
			}
		}
		after := time.Now()
		out.Requests += l.Pipeline
		out.Latency = append(out.Latency, after.Sub(now))
		now = after
	}
	return out, nil
}

// together runs callers at once and adds up what they measured.
func together(callers int, start time.Time, call func(caller int) (Outcome, error)) (*Outcome, error) {
	outs, errs := make([]Outcome, callers), make([]error, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() { outs[i], errs[i] = call(i) })
	}
	wg.Wait()
	sum := &Outcome{Elapsed: time.Since(start)}
	for _, o := range outs {
		sum.Requests += o.Requests
		sum.Latency = append(sum.Latency, o.Latency...)
	}
	return sum, first(errs)
}

// first is one error for many: a thousand callers fail for one reason.
func first(errs []error) error {
	failed := 0
	var one error
	for _, err := range errs {
		if err != nil {
			failed++
			one = err
		}
	}
	if one == nil {
		return nil
	}
	return fmt.Errorf("%d of %d callers failed, the last with: %w", failed, len(errs), one)
}

func dialAll(ctx context.Context, addr string, count int) (conns []*Conn, err error) {
	for range count {
		c, err := Dial(ctx, addr)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func closeAll(conns []*Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// Fill stores every key of a keyspace once, in pipelines over several connections.
func Fill(ctx context.Context, addr string, over Keyspace) error {
	const callers, pipeline = 16, 256
	conns, err := dialAll(ctx, addr, callers)
	defer closeAll(conns)
	if err != nil {
		return err
	}
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			value := over.value()
			var key []byte
			for from := i * pipeline; from < over.Keys && errs[i] == nil; from += callers * pipeline {
				to := min(from+pipeline, over.Keys)
				for number := from; number < to; number++ {
					key = AppendKey(key, number)
					c.Queue(wordSet, key, value)
				}
				errs[i] = errors.Join(ctx.Err(), c.Deadline(time.Now().Add(replyLimit)), c.Flush())
				for number := from; number < to && errs[i] == nil; number++ {
					errs[i] = c.Skip()
				}
			}
		})
	}
	wg.Wait()
	return first(errs)
}
