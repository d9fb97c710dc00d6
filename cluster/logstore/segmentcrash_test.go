package logstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

const memLog = "dir/log"

func memSegments(d *memDisk) segmentOptions {
	return segmentOptions{disk: d, size: 16 << 10, quiet: true, step: 6 << 10}
}

// life runs a log on a disk and notes what was acknowledged.
type life struct {
	rnd  *rand.Rand
	s    *Segments
	done model // all that was acknowledged
	next model // and what was under way
}

// run does so many random operations, or stops at the first error.
func (l *life) run(ops int) error {
	for range ops {
		if err := l.op(); err != nil {
			return err
		}
		l.done = l.next
	}
	return nil
}

func (l *life) op() error {
	m := &l.next
	switch k := l.rnd.IntN(24); {
	case k < 14:
		from := m.last() + 1
		if l.rnd.IntN(20) == 0 {
			from += 3 // a gap, behind a snapshot
		}
		size := 300
		if l.rnd.IntN(8) == 0 {
			size = 5000
		}
		logs := randomLogs(l.rnd, from, 1+l.rnd.IntN(4), size)
		m.store(logs)
		return l.s.StoreLogs(logs)
	case k < 17:
		min := m.last() - min(m.last(), l.rnd.Uint64N(8))
		last := m.last()
		m.remove(min, last)
		return l.s.DeleteRange(min, last)
	case k < 19 && len(m.logs) > 0:
		max := m.first + l.rnd.Uint64N(uint64(len(m.logs)))
		m.remove(1, max)
		return l.s.DeleteRange(1, max)
	case k < 21: // what the goroutine does
		return l.s.spare.prepare()
	}
	return l.s.note.sync()
}

// born makes a log on a fresh disk.
func born(t *testing.T) *memDisk {
	t.Helper()
	d := newMemDisk()
	s, err := createSegments(memLog, uuid, memSegments(d))
	check(t, err)
	check(t, s.Close())
	return d
}

// lived runs a life that loses its power at a step, 0 for never.
func lived(t *testing.T, d *memDisk, seed uint64, ops, cut int) *life {
	t.Helper()
	l := &life{rnd: rand.New(rand.NewPCG(seed, 1))}
	d.steps = 0
	d.before = func(step int, _ string) error {
		if cut > 0 && step >= cut {
			return errPower
		}
		return nil
	}
	var err error
	if l.s, err = openSegments(memLog, uuid, memSegments(d)); err == nil {
		err = l.run(ops)
	}
	if err != nil && (cut == 0 || !errors.Is(err, errPower)) {
		t.Fatalf("seed %d: %v", seed, err)
	}
	return l
}

// survives opens the log on a disk after a crash: it holds what was acknowledged
// and, whole or not at all, what was under way; and it can be gone on with.
func (l *life) survives(t *testing.T, d *memDisk, what string) {
	t.Helper()
	s, err := openSegments(memLog, uuid, memSegments(d))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	m := l.done
	if err := m.differs(s); err != nil {
		if m = l.next; m.differs(s) != nil {
			t.Fatalf("%s: %v\nwhat was under way: %v", what, err, m.differs(s))
		}
	}
	// What is read after a start is on disk: power may go again at once.
	again, err := openSegments(memLog, uuid, memSegments(d.unlucky()))
	if err == nil {
		err = m.differs(again)
	}
	if err != nil {
		t.Fatalf("%s: what it held after the start was not durable: %v", what, err)
	}
	logs := randomLogs(l.rnd, m.last()+1, 2, 200)
	if err := s.StoreLogs(logs); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	m.store(logs)
	for how, left := range map[string]*memDisk{"killed": d.killed(), "power": d.unlucky()} {
		s, err := openSegments(memLog, uuid, memSegments(left))
		if err == nil {
			err = m.differs(s)
		}
		if err != nil {
			t.Fatalf("%s, and one append later, %s: %v", what, how, err)
		}
	}
}

// The power goes, or the process dies, at every single write, sync and change of a
// name, and everything that was under way is there or not, sector by sector.
func TestSegmentsCrashAtEveryStep(t *testing.T) {
	const ops = 60
	states, all := 0, 0
	for seed := range uint64(seeds) {
		d := born(t)
		lived(t, d, seed, ops, 0)
		steps := d.steps
		for cut := 1; cut <= steps; cut++ {
			d := born(t)
			l := lived(t, d, seed, ops, cut)
			what := fmt.Sprintf("seed %d, step %d of %d", seed, cut, steps)
			l.survives(t, d.killed(), what+", killed")
			l.survives(t, d.unlucky(), what+", nothing unsynced survived")
			states += 2
			if n := d.dirty(); n >= 0 && n <= 5 {
				for mask := range 1 << n {
					i := -1
					l.survives(t, d.after(func(int) int { i++; return mask >> i & 1 }), fmt.Sprintf("%s, sectors %b", what, mask))
					states++
				}
				continue
			}
			for k := range 12 {
				l.survives(t, d.lottery(rand.New(rand.NewPCG(seed, uint64(cut*100+k)))), fmt.Sprintf("%s, lottery %d", what, k))
				states++
			}
		}
		all += steps
	}
	t.Logf("%d states of the disk at %d steps", states, all)
}

// The power goes once more, at every step of the recovery from the first time.
func TestSegmentsCrashInRecovery(t *testing.T) {
	const ops = 40
	states := 0
	for seed := range uint64(seeds) {
		d := born(t)
		lived(t, d, seed, ops, 0)
		steps := d.steps
		for cut := 5; cut <= steps; cut += 3 {
			d := born(t)
			l := lived(t, d, seed, ops, cut)
			rnd := rand.New(rand.NewPCG(seed, uint64(cut)))
			base := d.lottery(rnd)
			for second := 1; ; second++ {
				d := base.killed()
				d.before = func(step int, _ string) error {
					if step >= second {
						return errPower
					}
					return nil
				}
				_, err := openSegments(memLog, uuid, memSegments(d))
				if err == nil {
					break // it took fewer steps
				}
				if !errors.Is(err, errPower) {
					t.Fatal(err)
				}
				what := fmt.Sprintf("seed %d, step %d, then step %d of the recovery", seed, cut, second)
				l.survives(t, d.killed(), what)
				l.survives(t, d.unlucky(), what)
				l.survives(t, d.lottery(rnd), what)
				states += 3
			}
		}
	}
	t.Logf("%d states of the disk", states)
}

// The power goes at every step of making a log: there is none, or an empty one,
// and it can be made.
func TestSegmentsCrashInCreation(t *testing.T) {
	for cut := 1; ; cut++ {
		d := newMemDisk()
		d.before = func(step int, _ string) error {
			if step >= cut {
				return errPower
			}
			return nil
		}
		_, err := createSegments(memLog, uuid, memSegments(d))
		if err == nil {
			break
		}
		for k := range 20 {
			left := d.lottery(rand.New(rand.NewPCG(uint64(cut), uint64(k))))
			s, err := openSegments(memLog, uuid, memSegments(left))
			if err != nil && !errors.Is(err, ErrMissing) {
				t.Errorf("step %d: %v", cut, err)
			}
			if err == nil {
				if err := (&model{}).differs(s); err != nil {
					t.Errorf("step %d: %v", cut, err)
				}
			}
			s, err = createSegments(memLog, uuid, memSegments(left))
			if err != nil {
				t.Errorf("step %d, made anew: %v", cut, err)
				continue
			}
			check(t, s.StoreLogs(testEntries(1, 3)))
		}
	}
}

// A write or a sync that fails leaves a log that takes nothing more; what it
// acknowledged is there at the next start.
func TestSegmentsFailAtEveryStep(t *testing.T) {
	const ops = 40
	broken := errors.New("input/output error")
	for seed := range uint64(min(seeds, 3)) {
		d := born(t)
		lived(t, d, seed, ops, 0)
		steps := d.steps
		for cut := 8; cut <= steps; cut++ {
			d := born(t)
			l := &life{rnd: rand.New(rand.NewPCG(seed, 1))}
			var err error
			l.s, err = openSegments(memLog, uuid, memSegments(d))
			check(t, err)
			d.steps = 0
			d.before = func(step int, _ string) error {
				if step == cut { // once: a later success proves nothing
					return broken
				}
				return nil
			}
			if err := l.run(ops); err == nil {
				break
			}
			if l.s.failed != nil {
				next := l.done.last() + 1
				if err := l.s.StoreLogs(testEntries(next, next)); !errors.Is(err, ErrWriteFailed) {
					t.Errorf("seed %d, step %d: StoreLogs after a failure: %v, want ErrWriteFailed", seed, cut, err)
				}
				if err := l.s.DeleteRange(1, next); !errors.Is(err, ErrWriteFailed) {
					t.Errorf("seed %d, step %d: DeleteRange after a failure: %v, want ErrWriteFailed", seed, cut, err)
				}
			}
			if err := l.done.differs(l.s); err != nil && l.next.differs(l.s) != nil {
				t.Errorf("seed %d, step %d: after a failure: %v", seed, cut, err)
			}
			what := fmt.Sprintf("seed %d, failure at step %d", seed, cut)
			l.survives(t, d.killed(), what)
			l.survives(t, d.lottery(rand.New(rand.NewPCG(seed, uint64(cut)))), what)
		}
	}
}

// A disk that is full at a step is full for good until it has room again. Nothing
// is half done meanwhile, whatever was refused can be done later.
func TestSegmentsFullAtEveryStep(t *testing.T) {
	const ops = 40
	refused := 0
	for seed := range uint64(min(seeds, 3)) {
		for cut := 1; cut < 150; cut++ {
			d := born(t)
			l := &life{rnd: rand.New(rand.NewPCG(seed, 1))}
			var err error
			l.s, err = openSegments(memLog, uuid, memSegments(d))
			check(t, err)
			full := false
			d.steps = 0
			d.before = func(step int, what string) error {
				full = full || step == cut
				verb, path, _ := strings.Cut(what, " ")
				takesRoom := verb == "create" || verb == "reserve" || verb == "write" && strings.HasSuffix(path, tmpSuffix)
				if full && takesRoom && l.rnd.IntN(2) == 0 {
					return errFull
				}
				return nil
			}
			for range ops {
				err := l.op()
				if errors.Is(err, ErrNoSpace) {
					l.next = l.done
					refused++
					if err := l.done.differs(l.s); err != nil {
						t.Fatalf("seed %d, full at step %d: %v", seed, cut, err)
					}
					full = l.rnd.IntN(3) > 0
					continue
				}
				if err != nil {
					t.Fatalf("seed %d, full at step %d: %v", seed, cut, err)
				}
				l.done = l.next
			}
			l.survives(t, d.killed(), fmt.Sprintf("seed %d, full at step %d", seed, cut))
		}
	}
	if refused == 0 {
		t.Error("the disk was never full")
	}
}

// Of several segments that go at once, a power loss leaves any.
func TestSegmentsCrashInRemoval(t *testing.T) {
	for k := range uint64(60) {
		d := born(t)
		s, err := openSegments(memLog, uuid, memSegments(d))
		check(t, err)
		l := &life{rnd: rand.New(rand.NewPCG(k, 3)), s: s}
		for range 60 {
			logs := randomLogs(l.rnd, l.done.last()+1, 4, 900)
			check(t, s.StoreLogs(logs))
			l.done.store(logs)
		}
		if len(s.segs) < 5 {
			t.Fatalf("only %d segments", len(s.segs))
		}
		l.next = l.done
		l.next.remove(1, 200)
		d.before = func(_ int, what string) error {
			if what == "sync the directory" {
				return errPower
			}
			return nil
		}
		if err := s.DeleteRange(1, 200); !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		l.done = l.next
		left := d.lottery(l.rnd)
		l.survives(t, left, fmt.Sprint("lottery ", k))
		s, err = openSegments(memLog, uuid, memSegments(left))
		check(t, err)
		if names, _ := left.list(memLog); len(names) != len(s.segs)+len(s.spare.ready)+1 {
			t.Errorf("lottery %d: %d segments and these files: %v", k, len(s.segs), names)
		}
	}
}

// A tail that was cut stays cut, whatever survives of the bytes around it.
func TestCutTailNeverComesBack(t *testing.T) {
	for keep := uint64(1); keep < 12; keep++ {
		d := born(t)
		s, err := openSegments(memLog, uuid, memSegments(d))
		check(t, err)
		m := &model{}
		for i := uint64(1); i <= 12; i += 3 {
			check(t, s.StoreLogs(testEntries(i, i+2)))
			m.store(testEntries(i, i+2))
		}
		check(t, s.DeleteRange(keep+1, 12))
		m.remove(keep+1, 12)
		other := []*raft.Log{{Index: keep + 1, Term: 77, Data: []byte("another leader's")}}
		for _, after := range []bool{false, true} {
			if after {
				check(t, s.StoreLogs(other))
				m.store(other)
			}
			for k := range 40 {
				left := d.lottery(rand.New(rand.NewPCG(keep, uint64(k))))
				s, err := openSegments(memLog, uuid, memSegments(left))
				check(t, err)
				if err := m.differs(s); err != nil {
					t.Fatalf("cut behind %d: %v", keep, err)
				}
			}
		}
	}
}
