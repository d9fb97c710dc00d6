// Package batch gathers proposals that wait for the next log entry: whatever
// arrives while one entry is on its way goes into the next, over all
// connections. It knows the size and the age of a proposal, and nothing of Raft.
package batch

import (
	"sync"
	"time"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// Item is a proposal that waits.
type Item struct {
	system.Proposal
	// Size is about what the proposal takes in an entry, in bytes.
	Size int
	// Deadline is when it is given up if it could not be proposed by then.
	Deadline time.Time
	group    *group
}

// group is what was submitted together: once a part of it was refused, the rest is too.
type group struct {
	refused error // guarded by Queue.mu
}

// Queue holds what waits, in the order of its arrival. All methods may be called
// from any goroutine.
type Queue struct {
	maxBytes, maxItem int
	ready             chan struct{}

	mu     sync.Mutex
	items  []*Item // guarded by mu
	bytes  int     // guarded by mu
	closed error   // guarded by mu; why nothing is taken any more
}

// New returns an empty queue that holds at most maxBytes, and no single proposal
// above maxItem bytes.
func New(maxBytes, maxItem int) *Queue {
	return &Queue{maxBytes: maxBytes, maxItem: maxItem, ready: make(chan struct{}, 1)}
}

// Ready receives after something was added. It may receive once too often.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

// Add queues proposals that were submitted together. Where one is too large, or
// the queue is full or closed, it and all behind it are told so.
func (q *Queue) Add(ps []system.Proposal, deadline time.Time) {
	g := &group{}
	refused := len(ps)
	var why error
	q.mu.Lock()
	for i := range ps {
		size := Size(&ps[i].Proposal)
		if q.closed != nil {
			refused, why = i, q.closed
			break
		}
		if size > q.maxItem {
			refused, why = i, system.ErrTooLarge
			break
		}
		if q.bytes > 0 && q.bytes+size > q.maxBytes {
			refused, why = i, system.ErrOverloaded
			break
		}
		q.items = append(q.items, &Item{Proposal: ps[i], Size: size, Deadline: deadline, group: g})
		q.bytes += size
	}
	q.mu.Unlock()
	for _, p := range ps[refused:] {
		p.Done(nil, why)
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Take removes what goes into the next entry: the oldest proposals, as many as
// stay within maxBytes together, at least one. The rest of a group of which a
// part was refused is answered here.
func (q *Queue) Take(maxBytes int) []*Item {
	var taken, refused []*Item
	q.mu.Lock()
	n, size := 0, 0
	for _, it := range q.items {
		if it.group.refused == nil && len(taken) > 0 && size+it.Size > maxBytes {
			break
		}
		n++
		q.bytes -= it.Size
		if it.group.refused != nil {
			refused = append(refused, it)
			continue
		}
		size += it.Size
		taken = append(taken, it)
	}
	q.drop(n)
	q.mu.Unlock()
	for _, it := range refused {
		it.Done(nil, it.group.refused)
	}
	return taken
}

// PutBack returns what Take gave out, to the front and in the same order:
// nothing of it was done.
func (q *Queue) PutBack(items []*Item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(append(make([]*Item, 0, len(items)+len(q.items)), items...), q.items...)
	for _, it := range items {
		q.bytes += it.Size
	}
}

// Refuse answers items with an error, and sees to it that nothing that was
// submitted together with them and came later is done.
func (q *Queue) Refuse(items []*Item, err error) {
	q.mu.Lock()
	for _, it := range items {
		it.group.refused = err
	}
	q.mu.Unlock()
	for _, it := range items {
		it.Done(nil, err)
	}
}

// TakeAll empties the queue.
func (q *Queue) TakeAll() []*Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.items
	q.items, q.bytes = nil, 0
	return all
}

// Close refuses with why what waits and, from now on, all that is added: whoever
// comes at the same moment is answered by one of the two. PutBack must not be
// called any more.
func (q *Queue) Close(why error) {
	q.mu.Lock()
	q.closed = why
	q.mu.Unlock()
	q.Refuse(q.TakeAll(), why)
}

// TakeExpired removes what has waited past its deadline.
func (q *Queue) TakeExpired(now time.Time) []*Item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.items) && q.items[n].Deadline.Before(now) {
		q.bytes -= q.items[n].Size
		n++
	}
	expired := append([]*Item(nil), q.items[:n]...)
	q.drop(n)
	return expired
}

// Len returns how many proposals wait.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// drop removes the first n items; q.mu is held.
func (q *Queue) drop(n int) {
	rest := copy(q.items, q.items[n:])
	clear(q.items[rest:])
	q.items = q.items[:rest]
}

// Size returns about how many bytes a proposal takes in an entry.
func Size(p *entry.Proposal) int {
	size := 8
	for i := range p.Commands {
		if p.Commands[i].Read {
			continue
		}
		for _, a := range p.Commands[i].Args {
			size += len(a) + 5
		}
	}
	for i := range p.Watches {
		size += len(p.Watches[i].Key) + 16
	}
	return size
}
