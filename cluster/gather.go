package cluster

import (
	"context"
	"sync"
	"time"
)

// gathering makes clients that wait for one answer before they send again come
// back together. Whatever is shared by all that wait, a log entry or a read round,
// costs about the same however many share it, and without this they fall into two
// groups that take turns, each waiting for what the other shares. So after one that
// several shared, the next waits until as many more have come as were just
// answered, but not for long, and never for one that came alone. Where they do not
// come back (clients that send at times of their own) it soon waits only now and
// then. One goroutine calls await; count may be called by any.
type gathering struct {
	skip, misses int // only the goroutine that calls await has them
	full         chan struct{}

	mu     sync.Mutex
	wanted int // guarded by mu; 0: nobody waits
}

const (
	gatherMost  = time.Millisecond // a wait is not longer
	gatherTimes = 8                // nor than so many times what the last one took
	missesMost  = 8                // after so many waits in vain in a row it waits every 256th time
)

func newGathering() *gathering { return &gathering{full: make(chan struct{}, 1)} }

// count tells how many wait now.
func (g *gathering) count(waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wanted > 0 && waiting >= g.wanted {
		g.wanted = 0
		g.full <- struct{}{}
	}
}

// await waits for as many as last, which were answered just now after took, to
// come beside those that wait already.
func (g *gathering) await(ctx context.Context, last int, took time.Duration, waiting func() int) {
	if last < 2 {
		return
	}
	if g.skip > 0 {
		g.skip--
		return
	}
	want := waiting() + last
	g.mu.Lock()
	g.wanted = want
	g.mu.Unlock()
	g.count(waiting())
	t := time.NewTimer(min(gatherTimes*took, gatherMost))
	defer t.Stop()
	select {
	case <-g.full:
		g.misses = 0
		return
	case <-t.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	late := g.wanted == 0
	g.wanted = 0
	g.mu.Unlock()
	if late {
		<-g.full
		return
	}
	g.misses = min(g.misses+1, missesMost)
	g.skip = 1<<g.misses - 1
}
