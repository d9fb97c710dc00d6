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
	taken    uint64 // the Take that took it; guarded by Queue.mu
}

// group is what was submitted together, by one connection: once a part of it was
// refused, the rest is too. All is guarded by Queue.mu.
type group struct {
	refused error
	take    uint64 // the Take that the rest speaks of
	used    int    // bytes that it took
	held    held   // why it takes no more
}

// held is why a group's next proposal was passed over.
type held uint8

const (
	heldBack    held = iota + 1 // others come first
	heldForGood                 // it does not fit into this entry
)

// Queue holds what waits, in the order of its arrival. All methods may be called
// from any goroutine.
type Queue struct {
	maxBytes, maxItem int
	ready             chan struct{}
	counted           func(waiting int)

	mu     sync.Mutex
	items  []*Item // guarded by mu
	bytes  int     // guarded by mu
	takes  uint64  // guarded by mu; how often Take was called
	closed error   // guarded by mu; why nothing is taken any more
}

// New returns an empty queue that holds at most maxBytes, and no single proposal
// above maxItem bytes. counted, where set, is told after each Add how many wait.
func New(maxBytes, maxItem int, counted func(waiting int)) *Queue {
	return &Queue{maxBytes: maxBytes, maxItem: maxItem, ready: make(chan struct{}, 1), counted: counted}
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
	waiting := len(q.items)
	q.mu.Unlock()
	for _, p := range ps[refused:] {
		p.Done(nil, why)
	}
	if q.counted != nil {
		q.counted(waiting)
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Bounds of what one entry is made of.
const (
	// largeItem is a proposal that gets an entry of its own, so that no other waits
	// for its megabytes to be written and sent.
	largeItem = 256 << 10
	// maxCommands is how many commands one entry has at the most: readers wait while
	// it is applied.
	maxCommands = 16 << 10
)

// Take removes what goes into the next entry: the oldest proposals, as many as
// stay within maxBytes and maxCommands together, at least one. Where not all fit,
// none that were submitted together get more than a quarter of the entry before
// all others had their turn. The rest of a group of which a part was refused is
// answered here.
func (q *Queue) Take(maxBytes int) []*Item {
	q.mu.Lock()
	refused := q.sortOut()
	p := picker{left: maxBytes, commands: maxCommands, share: maxBytes}
	if q.bytes > maxBytes {
		p.share = maxBytes / 4
	}
	q.takes++
	p.take = q.takes
	p.pick(q.items)
	if p.share < maxBytes && !p.alone {
		p.share, p.again = maxBytes, true
		p.pick(q.items)
	}
	q.keep(func(it *Item) bool { return it.taken != p.take })
	q.mu.Unlock()
	for _, it := range refused {
		it.Done(nil, it.group.refused)
	}
	return p.taken
}

// sortOut removes and returns the proposals whose group was refused. q.mu is held.
func (q *Queue) sortOut() (refused []*Item) {
	for _, it := range q.items {
		if it.group.refused != nil {
			refused = append(refused, it)
		}
	}
	if len(refused) > 0 {
		q.keep(func(it *Item) bool { return it.group.refused == nil })
	}
	return refused
}

// keep removes all other items; q.mu is held.
func (q *Queue) keep(wanted func(*Item) bool) {
	rest := q.items[:0]
	for _, it := range q.items {
		if wanted(it) {
			rest = append(rest, it)
		} else {
			q.bytes -= it.Size
		}
	}
	clear(q.items[len(rest):])
	q.items = rest
}

// picker chooses what goes into one entry.
type picker struct {
	take                  uint64 // the number of this Take
	taken                 []*Item
	left, commands, share int  // bytes and commands that still fit, and bytes of one group
	alone                 bool // the entry is one large proposal's
	again                 bool // the second pass
}

// pick takes what fits, in order. Of a group whose next proposal does not, nothing
// more is taken: a connection's commands keep their order.
func (p *picker) pick(items []*Item) {
	if cap(p.taken) == 0 {
		p.taken = make([]*Item, 0, len(items))
	}
	for _, it := range items {
		if it.taken == p.take {
			continue
		}
		g := it.group
		if g.take != p.take {
			g.take, g.used, g.held = p.take, 0, 0
		}
		large := it.Size > largeItem
		switch {
		case len(p.taken) == 0:
		case p.alone || g.held == heldForGood || g.held == heldBack && !p.again:
			continue
		case large || it.Size > p.left || len(it.Commands) > p.commands:
			g.held = heldForGood
			continue
		case g.used+it.Size > p.share:
			g.held = heldBack
			continue
		}
		it.taken, p.alone = p.take, large
		g.used += it.Size
		p.left -= it.Size
		p.commands -= len(it.Commands)
		p.taken = append(p.taken, it)
	}
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
