//go:build linux

package load

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Follow is an open loop of SETs at a cluster that loses its leader meanwhile: each
// request is sent again, to the node that MOVED names or to the next one, until it
// is acknowledged.
type Follow struct {
	Addrs []string // of all nodes
	Rate  int      // requests a second
	Over  Keyspace

	leader atomic.Int64 // index of the node to try first
	pools  []pool
}

// retryPause is what a client waits before it tries again.
const retryPause = 5 * time.Millisecond

// pool keeps the idle connections of one node.
type pool struct {
	mu   sync.Mutex
	idle []*Conn // guarded by mu
}

// Run sends requests until ctx is done, and waits for those that are due by then.
func (l *Follow) Run(ctx context.Context) ([]Sample, error) {
	l.pools = make([]pool, len(l.Addrs))
	defer func() {
		for i := range l.pools {
			closeAll(l.pools[i].idle)
		}
	}()
	due := make(chan time.Time, l.Rate*int(replyLimit/time.Second))
	var (
		requests sync.WaitGroup
		mu       sync.Mutex
		samples  []Sample
		failed   []error
	)
	requests.Go(func() {
		key := 0
		for at := range due {
			key = (key + 1) % l.Over.Keys
			own := AppendKey(nil, key)
			requests.Go(func() {
				err := l.request(own, at.Add(replyLimit))
				mu.Lock()
				defer mu.Unlock()
				samples, failed = append(samples, Sample{at, time.Since(at)}), append(failed, err)
			})
		}
	})
	err := pace(ctx, l.Rate, due)
	requests.Wait()
	return samples, errors.Join(first(failed), err)
}

// request sends one SET until it is acknowledged or the time is up.
func (l *Follow) request(key []byte, end time.Time) error {
	value := l.Over.value()
	for {
		node := int(l.leader.Load())
		err := l.try(node, end, key, value)
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return err
		}
		l.leader.CompareAndSwap(int64(node), int64(l.next(node, err)))
		time.Sleep(retryPause)
	}
}

// next is the node to try after an error of this one.
func (l *Follow) next(node int, err error) int {
	var reply ReplyError
	if errors.As(err, &reply) {
		if f := strings.Fields(string(reply)); len(f) == 3 && f[0] == "MOVED" {
			for i, addr := range l.Addrs {
				if addr == f[2] {
					return i
				}
			}
		}
	}
	return (node + 1) % len(l.Addrs)
}

func (l *Follow) try(node int, end time.Time, key, value []byte) error {
	p := &l.pools[node]
	c, err := p.take(l.Addrs[node])
	if err != nil {
		return err
	}
	if err = c.Deadline(end); err == nil {
		err = c.Do(wordSet, key, value)
	}
	var reply ReplyError
	if err != nil && !errors.As(err, &reply) {
		c.Close()
		return err
	}
	p.give(c)
	return err
}

func (p *pool) take(addr string) (*Conn, error) {
	p.mu.Lock()
	if last := len(p.idle) - 1; last >= 0 {
		c := p.idle[last]
		p.idle = p.idle[:last]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return Dial(ctx, addr)
}

func (p *pool) give(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
}
