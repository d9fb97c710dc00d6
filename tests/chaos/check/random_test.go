package check

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

// keyStore is a correct server of one key of any workload, written without the
// models: what it answers must pass.
type keyStore struct {
	rng     *rand.Rand
	held    *string
	expires int64 // ns of the history; 0: never
}

// load is how many clients use a key and what share of their operations ends unknown.
type load struct {
	clients int
	unknown float64
}

// history runs n operations. Each takes effect at a moment between its call and its
// return; an unknown one at some moment after its call, or never.
func (s *keyStore) history(w Workload, n int, l load) []Op {
	type effect struct {
		at int64
		op int
	}
	ops := make([]Op, n)
	var effects []effect
	free := make([]int64, l.clients)
	const length = 2e6 // ns, of an operation
	for i := range n {
		client := s.rng.IntN(l.clients)
		op := s.ask(w, i)
		op.ID, op.Client, op.Workload, op.Key, op.Outcome = i, client, w, "k", OK
		op.Call = free[client] + 1 + s.rng.Int64N(length/4)
		op.Return = op.Call + 2 + s.rng.Int64N(length)
		free[client] = op.Return
		at := op.Call + 1 + s.rng.Int64N(op.Return-op.Call-1)
		if s.rng.Float64() < l.unknown {
			op.Outcome = Unknown
			at += s.rng.Int64N(20 * length)
			if s.rng.IntN(3) == 0 {
				at = 0
			}
		}
		ops[i] = op
		if at > 0 {
			effects = append(effects, effect{at, i})
		}
	}
	slices.SortStableFunc(effects, func(a, b effect) int { return int(a.at - b.at) })
	for _, e := range effects {
		s.do(&ops[e.op], e.at)
	}
	for i := range ops {
		if ops[i].Outcome == Unknown {
			ops[i].Result = Value{}
		}
	}
	return ops
}

// ask makes the i-th operation of a workload, without its result.
func (s *keyStore) ask(w Workload, i int) Op {
	value := fmt.Sprintf("%05d", i)
	pick := func(kinds ...Kind) Kind { return kinds[s.rng.IntN(len(kinds))] }
	switch w {
	case Register:
		return Op{Kind: pick(Get, Get, Get, Set, Set, SetNX, GetSet, CAS, Del, Exists), Arg: value}
	case Counter:
		return Op{Kind: pick(Get, Incr, Incr, IncrBy), Arg: strconv.Itoa(s.rng.IntN(9) - 3)}
	case Appends:
		return Op{Kind: pick(Get, Append, Append), Arg: value}
	}
	op := Op{Kind: pick(Get, Get, PTTL, Set, SetNX, PExpire, Persist, Exists, Del), Arg: value}
	if op.Kind != Set || s.rng.IntN(3) > 0 {
		op.TTL = time.Duration(1+s.rng.IntN(8)) * time.Millisecond
	}
	return op
}

// do runs an operation at a moment and notes its result.
func (s *keyStore) do(op *Op, now int64) {
	if s.expires != 0 && now >= s.expires {
		s.held, s.expires = nil, 0
	}
	was := NilValue()
	if s.held != nil {
		was = TextValue(*s.held)
	}
	there := int64(0)
	if s.held != nil {
		there = 1
	}
	op.Result = IntValue(there)
	switch op.Kind {
	case Get:
		op.Result = was
	case Set:
		s.store(op, now)
	case SetNX:
		op.Result = NilValue()
		if s.held == nil {
			op.Result = ok
			s.store(op, now)
		}
	case GetSet:
		op.Result = was
		s.store(op, now)
	case CAS:
		op.Expect, op.Result = was, ok
		s.store(op, now)
	case Incr, IncrBy:
		n, _ := strconv.ParseInt(was.Text, 10, 64)
		n += op.delta()
		op.Result = IntValue(n)
		s.held = new(strconv.FormatInt(n, 10))
	case Append:
		s.held = new(was.Text + op.Arg)
		op.Result = IntValue(int64(len(*s.held)))
	case Del:
		s.held, s.expires = nil, 0
	case PExpire:
		if s.held != nil {
			s.expires = now + int64(op.TTL)
		}
	case PTTL, Persist:
		s.lifetime(op, now)
	}
}

func (s *keyStore) store(op *Op, now int64) {
	s.held, s.expires = &op.Arg, 0
	if op.TTL > 0 {
		s.expires = now + int64(op.TTL)
	}
}

func (s *keyStore) lifetime(op *Op, now int64) {
	switch {
	case op.Kind == Persist:
		op.Result = IntValue(0)
		if s.expires != 0 {
			op.Result, s.expires = IntValue(1), 0
		}
	case s.held == nil:
		op.Result = IntValue(-2)
	case s.expires == 0:
		op.Result = IntValue(-1)
	default:
		op.Result = IntValue((s.expires - now) / 1e6)
	}
}

var keyWorkloads = []Workload{Register, Counter, Appends, TTL}

func TestCorrectKeyPasses(t *testing.T) {
	for _, w := range keyWorkloads {
		for seed := range uint64(100) {
			s := &keyStore{rng: rand.New(rand.NewPCG(seed, 0))}
			ops := s.history(w, 80, load{clients: 1 + int(seed%8), unknown: 0.05})
			k := KeyReport{Workload: w, Ops: ops}
			k.check(context.Background(), TTLBounds{Slack: 0.1}, 10*time.Second)
			if k.Verdict != Passed {
				t.Errorf("%s, seed %d: %s %s", w, seed, k.Verdict, k.Why)
			}
		}
	}
}

// TestBrokenKeyIsCaught changes one result of correct histories to one that none of
// the overlapping operations explains.
func TestBrokenKeyIsCaught(t *testing.T) {
	for _, w := range keyWorkloads {
		made, caught := 0, 0
		for seed := range uint64(100) {
			s := &keyStore{rng: rand.New(rand.NewPCG(seed, 0))}
			ops := s.history(w, 60, load{clients: 1 + int(seed%5), unknown: 0.05})
			if !spoil(ops, rand.New(rand.NewPCG(seed, 1))) {
				continue
			}
			made++
			k := KeyReport{Workload: w, Ops: ops}
			k.check(context.Background(), TTLBounds{Slack: 0.1}, 10*time.Second)
			if k.Verdict == Violated {
				caught++
				if len(k.Prefix) == 0 || len(k.Prefix) > len(ops) {
					t.Errorf("%s, seed %d: prefix of %d", w, seed, len(k.Prefix))
				}
			}
		}
		if made < 60 || caught != made {
			t.Errorf("%s: %d of %d caught", w, caught, made)
		}
	}
}

// spoil gives a read the result of one that is long over, of a value that was replaced
// since and is never written again; a counter it takes out of reach.
func spoil(ops []Op, rng *rand.Rand) bool {
	for _, i := range rng.Perm(len(ops)) {
		late := &ops[i]
		if late.Kind != Get || late.Outcome != OK {
			continue
		}
		if late.Workload == Counter {
			late.Result = TextValue("1000")
			return true
		}
		for _, early := range ops {
			if early.Kind == Get && early.Outcome == OK && !early.Result.Nil && replacedBetween(ops, early, *late) {
				late.Result = early.Result
				return true
			}
		}
	}
	return false
}

// replacedBetween says whether some read between the two saw another value.
func replacedBetween(ops []Op, early, late Op) bool {
	return slices.ContainsFunc(ops, func(op Op) bool {
		return op.Kind == Get && op.Outcome == OK && op.Call > early.Return && op.Return < late.Call &&
			!op.Result.Nil && op.Result.Text != early.Result.Text
	})
}

// TestOpsPerKeyGivesVerdicts measures what OpsPerKey promises.
func TestOpsPerKeyGivesVerdicts(t *testing.T) {
	for _, l := range []load{{4, 0.02}, {8, 0.05}, {16, 0.05}, {8, 0.1}} {
		n := OpsPerKey(l.clients, l.unknown)
		for _, w := range keyWorkloads {
			var slowest time.Duration
			undecided := 0
			for seed := range uint64(4) {
				s := &keyStore{rng: rand.New(rand.NewPCG(seed, 2))}
				k := KeyReport{Workload: w, Ops: s.history(w, n, l)}
				began := time.Now()
				k.check(context.Background(), TTLBounds{Slack: 0.1}, time.Minute) // the machine may be busy
				slowest = max(slowest, time.Since(began))
				switch k.Verdict {
				case Violated:
					t.Errorf("%s %v, seed %d: %s", w, l, seed, k.Why)
				case Undecided:
					undecided++
				}
			}
			t.Logf("%d clients, %.0f %% unknown, %d operations, %-8s slowest of 4: %v, %d undecided", l.clients, 100*l.unknown, n, w, slowest, undecided)
			if undecided > 0 {
				t.Errorf("%s %v: %d of 4 undecided", w, l, undecided)
			}
		}
	}
}
