package check

import (
	"context"
	"testing"
	"time"
)

// at is an acknowledged operation on the key k during [from, to] ms; every operation
// of these tables has a client of its own.
func at(from, to int64, kind Kind, arg string, result Value) Op {
	return Op{Kind: kind, Key: "k", Arg: arg, Result: result, Outcome: OK, Call: from * 1e6, Return: to * 1e6}
}

// with changes an operation.
func (o Op) with(change func(*Op)) Op {
	change(&o)
	return o
}

func unknown(o *Op) { o.Outcome, o.Result = Unknown, Value{} }
func failed(o *Op)  { o.Outcome, o.Result = Failed, Value{} }

func expecting(v Value) func(*Op) { return func(o *Op) { o.Expect = v } }
func expires(ms int) func(*Op)    { return func(o *Op) { o.TTL = time.Duration(ms) * time.Millisecond } }

var ok = TextValue("OK")

// recorded is a history of the operations, all of one workload.
func recorded(w Workload, meta Meta, ops ...Op) *History {
	h := NewHistory(meta)
	for i, op := range ops {
		op.Workload, op.Client = w, i
		h.Record(op)
	}
	return h
}

// TestModels shows each model a history that no correct server could have shown, and
// beside it the nearest that one could.
func TestModels(t *testing.T) {
	text, n, none := TextValue, IntValue, NilValue()
	// No slack but 10 %: a TTL of 1000 ms is over after 909 ms at the earliest, 1111 ms
	// at the latest.
	meta := Meta{TTL: TTLBounds{Slack: 0.1}}
	for _, tt := range []struct {
		name      string
		workload  Workload
		bad, good []Op
	}{
		{
			"stale read", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 3, Set, "b", ok), at(4, 5, Get, "", text("a"))},
			[]Op{at(0, 1, Set, "a", ok), at(2, 5, Set, "b", ok), at(4, 5, Get, "", text("a"))},
		}, {
			"two reads go back", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, Set, "b", ok), at(3, 4, Get, "", text("b")), at(5, 6, Get, "", text("a"))},
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, Set, "b", ok), at(3, 4, Get, "", text("a")), at(5, 6, Get, "", text("b"))},
		}, {
			"lost write", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 3, Get, "", none)},
			[]Op{at(0, 1, Set, "a", ok), at(1, 3, Del, "", n(1)), at(2, 3, Get, "", none)},
		}, {
			"read of a failed write", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 3, Set, "b", ok).with(failed), at(4, 5, Get, "", text("b"))},
			[]Op{at(0, 1, Set, "a", ok), at(2, 3, Set, "b", ok).with(unknown), at(4, 5, Get, "", text("b"))},
		}, {
			"unknown write is done twice", Register,
			[]Op{at(0, 1, Set, "a", ok).with(unknown), at(2, 3, Get, "", text("a")), at(4, 5, Set, "b", ok), at(6, 7, Get, "", text("a"))},
			[]Op{at(0, 1, Set, "a", ok).with(unknown), at(2, 3, Get, "", none), at(4, 5, Set, "b", ok), at(6, 7, Get, "", text("a"))},
		}, {
			"unknown write is seen, then not", Register,
			[]Op{at(0, 1, Set, "a", ok).with(unknown), at(2, 3, Get, "", text("a")), at(4, 5, Get, "", none)},
			[]Op{at(0, 1, Set, "a", ok).with(unknown), at(2, 3, Get, "", none), at(4, 5, Get, "", text("a"))},
		}, {
			"read before the write was called", Register,
			[]Op{at(0, 1, Get, "", text("a")), at(2, 3, Set, "a", ok).with(unknown)},
			[]Op{at(0, 2, Get, "", text("a")), at(2, 3, Set, "a", ok).with(unknown)},
		}, {
			"two hold one lock", Register,
			[]Op{at(0, 1, SetNX, "a", ok), at(2, 3, SetNX, "b", ok)},
			[]Op{at(0, 1, SetNX, "a", ok), at(2, 3, SetNX, "b", none)},
		}, {
			"lost update of GETSET", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, GetSet, "b", text("a")), at(2, 9, GetSet, "c", text("a"))},
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, GetSet, "b", text("a")), at(2, 9, GetSet, "c", text("b"))},
		}, {
			"lost update of WATCH", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, CAS, "b", ok).with(expecting(text("a"))), at(2, 9, CAS, "c", ok).with(expecting(text("a")))},
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, CAS, "b", ok).with(expecting(text("a"))), at(2, 9, CAS, "c", none).with(expecting(text("a")))},
		}, {
			"EXISTS after DEL", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 3, Del, "", n(1)), at(4, 5, Exists, "", n(1))},
			[]Op{at(0, 1, Set, "a", ok), at(2, 3, Del, "", n(1)), at(4, 5, Exists, "", n(0))},
		}, {
			"DEL twice of one value", Register,
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, Del, "", n(1)), at(2, 9, Del, "", n(1))},
			[]Op{at(0, 1, Set, "a", ok), at(2, 9, Del, "", n(1)), at(2, 9, Del, "", n(0))},
		}, {
			"INCR is done twice", Counter,
			[]Op{at(0, 1, Incr, "", n(1)), at(2, 3, Incr, "", n(3))},
			[]Op{at(0, 1, Incr, "", n(1)), at(2, 3, Incr, "", n(2))},
		}, {
			"unknown INCR is done twice", Counter,
			[]Op{at(0, 1, Incr, "", n(1)), at(2, 3, Incr, "", n(0)).with(unknown), at(4, 5, Get, "", text("3"))},
			[]Op{at(0, 1, Incr, "", n(1)), at(2, 3, Incr, "", n(0)).with(unknown), at(4, 5, Get, "", text("2"))},
		}, {
			"lost INCR", Counter,
			[]Op{at(0, 9, Incr, "", n(1)), at(0, 9, Incr, "", n(1))},
			[]Op{at(0, 9, Incr, "", n(2)), at(0, 9, Incr, "", n(1))},
		}, {
			"INCRBY by another number", Counter,
			[]Op{at(0, 1, IncrBy, "5", n(5)), at(2, 3, IncrBy, "-2", n(2))},
			[]Op{at(0, 1, IncrBy, "5", n(5)), at(2, 3, IncrBy, "-2", n(3))},
		}, {
			"stale counter", Counter,
			[]Op{at(0, 1, Incr, "", n(1)), at(2, 3, Get, "", none)},
			[]Op{at(0, 3, Incr, "", n(1)), at(2, 3, Get, "", none)},
		}, {
			"lost append", Appends,
			[]Op{at(0, 1, Append, "aa", n(2)), at(2, 3, Append, "bb", n(4)), at(4, 5, Get, "", text("bb"))},
			[]Op{at(0, 1, Append, "aa", n(2)), at(2, 3, Append, "bb", n(4)), at(4, 5, Get, "", text("aabb"))},
		}, {
			"reordered appends", Appends,
			[]Op{at(0, 1, Append, "aa", n(2)), at(2, 3, Append, "bb", n(4)), at(4, 5, Get, "", text("bbaa"))},
			[]Op{at(0, 3, Append, "aa", n(4)), at(2, 3, Append, "bb", n(2)), at(4, 5, Get, "", text("bbaa"))},
		}, {
			"append is done twice", Appends,
			[]Op{at(0, 1, Append, "aa", n(2)).with(unknown), at(2, 3, Get, "", text("aaaa"))},
			[]Op{at(0, 1, Append, "aa", n(2)).with(unknown), at(2, 3, Get, "", text("aa"))},
		}, {
			"length without a token", Appends,
			[]Op{at(0, 1, Append, "aa", n(2)), at(2, 3, Append, "bb", n(6))},
			[]Op{at(0, 1, Append, "aa", n(2)), at(0, 1, Append, "cc", n(0)).with(unknown), at(2, 3, Append, "bb", n(6))},
		}, {
			"unread token is in a length too early", Appends,
			[]Op{at(0, 1, Append, "cc", n(0)).with(unknown), at(2, 3, Append, "bb", n(4)), at(4, 5, Get, "", text("bb"))},
			[]Op{at(0, 1, Append, "cc", n(0)).with(unknown), at(2, 3, Append, "bb", n(2)), at(4, 5, Get, "", text("bb")), at(6, 7, Append, "dd", n(6))},
		}, {
			"gone too early", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(800, 900, Get, "", none)},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(800, 910, Get, "", none)},
		}, {
			"gone too late", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(1113, 1120, Get, "", text("a"))},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(1111, 1120, Get, "", text("a"))},
		}, {
			"the expired comes back", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(1000, 1001, Get, "", none), at(1002, 1003, Get, "", text("a"))},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(1000, 1001, Get, "", text("a")), at(1002, 1003, Get, "", none)},
		}, {
			"PERSIST of the expired", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(1000, 1001, Get, "", none), at(1002, 1003, Persist, "", n(1))},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(1000, 1001, Get, "", none), at(1002, 1003, Persist, "", n(0)), at(1004, 1005, Set, "b", ok), at(5000, 5001, Get, "", text("b"))},
		}, {
			"a lock is given while it is held", TTL,
			[]Op{at(0, 1, SetNX, "a", ok).with(expires(1000)), at(500, 501, SetNX, "b", ok).with(expires(1000))},
			[]Op{at(0, 1, SetNX, "a", ok).with(expires(1000)), at(1000, 1001, SetNX, "b", ok).with(expires(1000))},
		}, {
			"a lock is refused long after it ended", TTL,
			[]Op{at(0, 1, SetNX, "a", ok).with(expires(1000)), at(1500, 1501, SetNX, "b", none).with(expires(1000))},
			[]Op{at(0, 1, SetNX, "a", ok).with(expires(1000)), at(1500, 1501, SetNX, "b", ok).with(expires(1000))},
		}, {
			"PTTL is longer than the TTL", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(2, 3, PTTL, "", n(1001))},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(2, 3, PTTL, "", n(1000))},
		}, {
			"PTTL runs too fast", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(500, 501, PTTL, "", n(440))},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(500, 501, PTTL, "", n(460))},
		}, {
			"PTTL and expiry disagree", TTL,
			[]Op{at(0, 1000, Set, "a", ok).with(expires(1000)), at(1001, 1002, PTTL, "", n(990)), at(1200, 1201, Get, "", none)},
			[]Op{at(0, 1000, Set, "a", ok).with(expires(1000)), at(1001, 1002, PTTL, "", n(190)), at(1200, 1201, Get, "", none)},
		}, {
			"PEXPIRE does not last", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(900, 901, PExpire, "", n(1)).with(expires(1000)), at(1400, 1401, Get, "", none)},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(900, 901, PExpire, "", n(1)).with(expires(1000)), at(1400, 1401, Get, "", text("a"))},
		}, {
			"PERSIST does not keep", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(500, 501, Persist, "", n(1)), at(5000, 5001, Get, "", none)},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(500, 501, Persist, "", n(0)).with(unknown), at(5000, 5001, Get, "", none)},
		}, {
			"an unknown PEXPIRE revives", TTL,
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(2, 3, PExpire, "", n(0)).with(unknown).with(expires(9000)), at(1200, 1201, Get, "", none), at(1202, 1203, Exists, "", n(1))},
			[]Op{at(0, 1, Set, "a", ok).with(expires(1000)), at(2, 3, PExpire, "", n(0)).with(unknown).with(expires(9000)), at(1200, 1201, Get, "", text("a")), at(1202, 1203, Exists, "", n(1))},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := verdict(t, recorded(tt.workload, meta, tt.bad...)); got != Violated {
				t.Errorf("the bad history: %s", got)
			}
			if got := verdict(t, recorded(tt.workload, meta, tt.good...)); got != Passed {
				t.Errorf("the good history: %s", got)
			}
		})
	}
}

func verdict(t *testing.T, h *History) Verdict {
	t.Helper()
	report := Check(context.Background(), h, 10*time.Second)
	if len(report.Keys) != 1 {
		t.Fatalf("%d keys", len(report.Keys))
	}
	if k := report.Keys[0]; k.Verdict == Invalid {
		t.Fatal(k.Why)
	}
	return report.Keys[0].Verdict
}

func TestBoundsOfTTL(t *testing.T) {
	set := at(0, 1, Set, "a", ok).with(expires(1000))
	late := at(3000, 3001, Get, "", TextValue("a"))
	early := at(200, 201, Get, "", NilValue())
	for _, tt := range []struct {
		name   string
		bounds TTLBounds
		op     Op
		want   Verdict
	}{
		{"late without lag", TTLBounds{Slack: 0.1}, late, Violated},
		{"late within the lag", TTLBounds{Slack: 0.1, Lag: 2 * time.Second}, late, Passed},
		{"late by default", TTLBounds{}, late, Passed},
		{"early by default", TTLBounds{}, early, Violated},
		{"early after a cold start with a clock ahead", TTLBounds{Slack: 0.1, Lead: time.Hour}, early, Passed},
	} {
		if got := verdict(t, recorded(TTL, Meta{TTL: tt.bounds}, set, tt.op)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestInvalidHistories(t *testing.T) {
	for _, tt := range []struct {
		name     string
		workload Workload
		op       Op
	}{
		{"unknown workload", "queue", at(0, 1, Get, "", NilValue())},
		{"kind of another workload", Counter, at(0, 1, Set, "a", ok)},
		{"no outcome", Register, at(0, 1, Set, "a", ok).with(func(o *Op) { o.Outcome = "" })},
		{"returned before its call", Register, at(2, 1, Set, "a", ok)},
		{"empty token", Appends, at(0, 1, Append, "", IntValue(0))},
		{"no number", Counter, at(0, 1, IncrBy, "x", IntValue(0))},
	} {
		report := Check(context.Background(), recorded(tt.workload, Meta{}, tt.op), time.Second)
		if report.OK() || report.Keys[0].Verdict != Invalid || report.Keys[0].Why == "" {
			t.Errorf("%s: %+v", tt.name, report.Keys[0])
		}
	}
}

func TestPrefixEndsWhereItFails(t *testing.T) {
	ops := []Op{at(0, 1, Set, "a", ok), at(2, 3, Set, "b", ok), at(4, 6, Set, "c", ok), at(4, 5, Get, "", TextValue("a"))}
	for i := int64(0); i < 40; i++ {
		ops = append(ops, at(10+2*i, 11+2*i, Get, "", TextValue("c")))
	}
	k := Check(context.Background(), recorded(Register, Meta{}, ops...), 10*time.Second).Keys[0]
	if k.Verdict != Violated || len(k.Prefix) != 4 {
		t.Fatalf("%s, prefix of %d: %v", k.Verdict, len(k.Prefix), k.Prefix)
	}
	if k.Prefix[2].Outcome != Unknown && k.Prefix[3].Outcome != Unknown {
		t.Error("SET c had not returned when the prefix ended")
	}
}

func TestNoTimeIsUndecided(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	report := Check(ctx, recorded(Register, Meta{}, at(0, 1, Set, "a", ok)), time.Second)
	if report.Keys[0].Verdict != Undecided || report.UndecidedShare() != 1 || !report.OK() {
		t.Errorf("%+v", report.Keys[0])
	}
}
