package batch

import (
	"errors"
	"math/rand/v2"
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
	q := New(1<<20, 1<<20, nil)
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
	q := New(64, 32, nil)
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

// sized is a proposal of about that many bytes; n commands.
func sized(size, n int) system.Proposal {
	p := system.Proposal{Done: func([]byte, error) {}}
	for range n {
		p.Commands = append(p.Commands, entry.Command{Args: [][]byte{make([]byte, size/n)}})
	}
	return p
}

func many(n int, p system.Proposal) (ps []system.Proposal) {
	for range n {
		ps = append(ps, p)
	}
	return ps
}

// A proposal above 256 KiB has an entry of its own, in its turn.
func TestLargeGoesAlone(t *testing.T) {
	q := New(1<<30, 1<<30, nil)
	q.Add([]system.Proposal{sized(100, 1), sized(largeItem+1, 1), sized(100, 1)}, time.Now())
	q.Add(many(2, sized(100, 1)), time.Now())
	for i, want := range []int{3, 1, 1} { // the third of the first group waits behind the large one
		if got := q.Take(1 << 20); len(got) != want {
			t.Fatalf("entry %d has %d proposals, want %d", i, len(got), want)
		}
	}
}

// Where not all fits, a connection that sent a great deal gets a quarter of the
// entry, and what others leave of the rest.
func TestShare(t *testing.T) {
	const entrySize = 1 << 20
	q := New(1<<30, 1<<30, nil)
	q.Add(many(100, sized(100<<10, 1)), time.Now())
	q.Add(many(3, sized(100, 1)), time.Now())
	got := q.Take(entrySize)
	mine, small := 0, -1
	for i, it := range got {
		if it.Size < 1000 {
			small = max(small, i)
		} else if small < 0 {
			mine += it.Size
		}
	}
	if small < 0 || mine > entrySize/4 {
		t.Errorf("the other's proposals end at place %d, behind %d bytes of the first connection's", small, mine)
	}
	if len(got) != 3+entrySize/(100<<10) {
		t.Errorf("%d proposals in the entry, which has room for more", len(got))
	}
}

func TestCommandsOfAnEntry(t *testing.T) {
	q := New(1<<30, 1<<30, nil)
	q.Add(many(3, sized(maxCommands/2, maxCommands/2)), time.Now())
	if got := q.Take(1 << 30); len(got) != 2 {
		t.Errorf("%d proposals of %d commands in an entry, want 2", len(got), maxCommands/2)
	}
}

// Whatever Take chooses: nothing is lost or taken twice, and what was submitted
// together keeps its order, also where entries are put back.
func TestTakeKeepsOrder(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		q := New(1<<30, 1<<30, nil)
		next, want := map[*group]int{}, 0
		place := map[*Item]int{}
		for range 1 + rnd.IntN(8) {
			n := 1 + rnd.IntN(20)
			var ps []system.Proposal
			for range n {
				size := 1 + rnd.IntN(2000)
				if rnd.IntN(20) == 0 {
					size += largeItem
				}
				ps = append(ps, sized(size, 1))
			}
			q.Add(ps, time.Now())
			for i, it := range q.items[len(q.items)-n:] {
				place[it] = i
			}
			want += n
		}
		got := 0
		for q.Len() > 0 {
			items := q.Take(1 + rnd.IntN(20_000))
			if len(items) == 0 {
				t.Fatalf("seed %d: nothing taken while %d wait", seed, q.Len())
			}
			if rnd.IntN(3) == 0 {
				q.PutBack(items)
				continue
			}
			for _, it := range items {
				if next[it.group] != place[it] {
					t.Fatalf("seed %d: number %d of a group came when %d was due", seed, place[it], next[it.group])
				}
				next[it.group]++
				got++
			}
		}
		if got != want || q.bytes != 0 {
			t.Fatalf("seed %d: %d of %d proposals taken, %d bytes left over", seed, got, want, q.bytes)
		}
	}
}
