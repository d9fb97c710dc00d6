package check

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// tx is an acknowledged transaction during [from, to] ms.
func tx(from, to int64, steps ...Step) Op {
	return Op{Workload: ListAppend, Kind: Txn, Steps: steps, Outcome: OK, Call: from * 1e6, Return: to * 1e6}
}

// app appends a token of one letter that then stands at place.
func app(key, token string, place int64) Step {
	return Step{Kind: Append, Key: key, Arg: token, Result: IntValue(place)}
}

// get reads a list of tokens of one letter.
func get(key, tokens string) Step {
	if tokens == "" {
		return Step{Kind: Get, Key: key, Result: NilValue()}
	}
	return Step{Kind: Get, Key: key, Result: TextValue(tokens)}
}

// TestAnomalies shows the checker each anomaly, and beside it the nearest history
// that is strictly serializable.
func TestAnomalies(t *testing.T) {
	for _, tt := range []struct {
		name string
		want string
		bad  []Op
		good []Op
	}{
		{
			"dirty writes in two orders", "G0",
			[]Op{tx(0, 9, app("x", "a", 1), app("y", "a", 2)), tx(0, 9, app("x", "b", 2), app("y", "b", 1)), tx(10, 11, get("x", "ab"), get("y", "ba"))},
			[]Op{tx(0, 9, app("x", "a", 1), app("y", "a", 1)), tx(0, 9, app("x", "b", 2), app("y", "b", 2)), tx(10, 11, get("x", "ab"), get("y", "ab"))},
		}, {
			"each reads the other", "G1c",
			[]Op{tx(0, 9, app("x", "a", 1), get("y", "b")), tx(0, 9, app("y", "b", 1), get("x", "a"))},
			[]Op{tx(0, 9, app("x", "a", 1), get("y", "")), tx(0, 9, app("y", "b", 1), get("x", "a"))},
		}, {
			"fractured read", "G-single",
			[]Op{tx(0, 9, app("x", "a", 1), app("y", "a", 1)), tx(0, 9, get("x", "a"), get("y", "")), tx(10, 11, get("x", "a"), get("y", "a"))},
			[]Op{tx(0, 9, app("x", "a", 1), app("y", "a", 1)), tx(0, 9, get("x", ""), get("y", "")), tx(10, 11, get("x", "a"), get("y", "a"))},
		}, {
			"fractured read of what nobody read yet", "G-single",
			[]Op{tx(0, 9, app("x", "a", 1), app("y", "b", 2)), tx(0, 9, app("y", "a", 1)), tx(0, 9, get("x", "a"), get("y", "a"))},
			[]Op{tx(0, 9, app("x", "a", 1), app("y", "b", 2)), tx(0, 9, app("y", "a", 1)), tx(0, 9, get("x", "a"), get("y", "ab"))},
		}, {
			"read of half an unknown transaction", "G-single",
			[]Op{tx(0, 1, app("y", "a", 1)), tx(0, 9, app("x", "b", 0), app("y", "b", 0)).with(unknown), tx(10, 19, get("x", "b"), get("y", "a"))},
			[]Op{tx(0, 1, app("y", "a", 1)), tx(0, 9, app("x", "b", 0), app("y", "b", 0)).with(unknown), tx(10, 19, get("x", ""), get("y", "a"))},
		}, {
			"write skew", "G2",
			[]Op{tx(0, 9, get("x", ""), app("y", "a", 1)), tx(0, 9, get("y", ""), app("x", "b", 1)), tx(10, 11, get("x", "b"), get("y", "a"))},
			[]Op{tx(0, 9, get("x", ""), app("y", "a", 1)), tx(0, 9, get("y", "a"), app("x", "b", 1)), tx(10, 11, get("x", "b"), get("y", "a"))},
		}, {
			"long fork", "G2",
			[]Op{
				tx(0, 9, app("x", "a", 1)), tx(0, 9, app("y", "b", 1)), tx(0, 9, get("x", "a"), get("y", "")), tx(0, 9, get("x", ""), get("y", "b")),
				tx(10, 11, get("x", "a"), get("y", "b")),
			},
			[]Op{
				tx(0, 9, app("x", "a", 1)), tx(0, 9, app("y", "b", 1)), tx(0, 9, get("x", "a"), get("y", "")), tx(0, 9, get("x", "a"), get("y", "b")),
				tx(10, 11, get("x", "a"), get("y", "b")),
			},
		}, {
			"stale read, serializable but not in time", "G-single-realtime",
			[]Op{tx(0, 1, app("x", "a", 1)), tx(2, 3, get("x", "")), tx(4, 5, get("x", "a"))},
			[]Op{tx(0, 3, app("x", "a", 1)), tx(2, 3, get("x", "")), tx(4, 5, get("x", "a"))},
		}, {
			"appended in the wrong order in time", "G0-realtime",
			[]Op{tx(0, 1, app("x", "a", 2)), tx(2, 3, app("x", "b", 1)), tx(4, 5, get("x", "ba"))},
			[]Op{tx(0, 2, app("x", "a", 2)), tx(2, 3, app("x", "b", 1)), tx(4, 5, get("x", "ba"))},
		}, {
			"read before it was written", "G1c-realtime",
			[]Op{tx(0, 1, get("x", "a")), tx(2, 3, app("x", "a", 1))},
			[]Op{tx(0, 2, get("x", "a")), tx(2, 3, app("x", "a", 1))},
		}, {
			"time orders two keys", "G2-realtime",
			[]Op{
				tx(0, 20, app("x", "a", 1)), tx(0, 20, app("y", "b", 1)),
				tx(1, 2, get("x", "a")), tx(3, 4, get("y", "")), tx(1, 20, get("y", "b"), get("x", "")),
			},
			[]Op{
				tx(0, 20, app("x", "a", 1)), tx(0, 20, app("y", "b", 1)),
				tx(1, 2, get("x", "a")), tx(3, 4, get("y", "")), tx(1, 20, get("y", "b"), get("x", "a")),
			},
		}, {
			"aborted read", "G1a",
			[]Op{tx(0, 1, app("x", "a", 0)).with(failed), tx(2, 3, get("x", "a"))},
			[]Op{tx(0, 1, app("x", "a", 0)).with(unknown), tx(2, 3, get("x", "a"))},
		}, {
			"aborted read in the middle", "G1a",
			[]Op{tx(0, 1, app("x", "a", 0)).with(failed), tx(0, 1, app("x", "b", 1)), tx(2, 3, get("x", "ab")), tx(2, 3, get("x", "b"))},
			[]Op{tx(0, 1, app("x", "a", 0)).with(unknown), tx(0, 1, app("x", "b", 2)), tx(2, 3, get("x", "ab")), tx(2, 3, get("x", "ab"))},
		}, {
			"lost write", "lost write",
			[]Op{tx(0, 1, app("x", "a", 1)), tx(2, 3, get("x", ""))},
			[]Op{tx(0, 1, app("x", "a", 1)), tx(1, 3, get("x", ""))},
		}, {
			"appended twice", "duplicate append",
			[]Op{tx(0, 1, app("x", "a", 1)), tx(2, 3, get("x", "aa"))},
			[]Op{tx(0, 1, app("x", "a", 1)), tx(0, 1, app("x", "b", 2)), tx(2, 3, get("x", "ab"))},
		}, {
			"phantom", "phantom token",
			[]Op{tx(0, 1, app("x", "a", 1)), tx(2, 3, get("x", "az"))},
			[]Op{tx(0, 1, app("x", "a", 1)), tx(2, 3, get("x", "az")), tx(2, 3, app("x", "z", 2))},
		}, {
			"two orders", "incompatible order",
			[]Op{tx(0, 9, app("x", "a", 1)), tx(0, 9, app("x", "b", 2)), tx(0, 9, get("x", "b")), tx(0, 9, get("x", "ab"))},
			[]Op{tx(0, 9, app("x", "a", 1)), tx(0, 9, app("x", "b", 2)), tx(0, 9, get("x", "a")), tx(0, 9, get("x", "ab"))},
		}, {
			"two at one place", "lost update",
			[]Op{tx(0, 9, app("x", "a", 1)), tx(0, 9, app("x", "b", 1))},
			[]Op{tx(0, 9, app("x", "a", 1)), tx(0, 9, app("x", "b", 2))},
		}, {
			"told a place that another has", "lost update",
			[]Op{tx(0, 9, app("x", "a", 1)), tx(0, 9, app("x", "b", 0)).with(unknown), tx(0, 9, get("x", "b"))},
			[]Op{tx(0, 9, app("x", "a", 2)), tx(0, 9, app("x", "b", 0)).with(unknown), tx(0, 9, get("x", "b"))},
		}, {
			"told another place than it has", "bad length",
			[]Op{tx(0, 9, app("x", "a", 3)), tx(10, 11, get("x", "a"))},
			[]Op{tx(0, 9, app("x", "a", 1)), tx(10, 11, get("x", "a"))},
		}, {
			"own append is not read", "internal",
			[]Op{tx(0, 9, app("x", "a", 1), get("x", ""))},
			[]Op{tx(0, 9, app("x", "a", 1), get("x", "a"))},
		}, {
			"two reads in one differ", "internal",
			[]Op{tx(0, 9, get("x", ""), get("x", "b")), tx(0, 9, app("x", "b", 1))},
			[]Op{tx(0, 9, get("x", "b"), get("x", "b")), tx(0, 9, app("x", "b", 1))},
		}, {
			"another's token between two of one", "G0",
			[]Op{tx(0, 9, app("x", "a", 1), app("x", "b", 3)), tx(0, 9, app("x", "c", 2)), tx(10, 11, get("x", "acb"))},
			[]Op{tx(0, 9, app("x", "a", 1), app("x", "b", 2)), tx(0, 9, app("x", "c", 3)), tx(10, 11, get("x", "abc"))},
		}, {
			"token twice in the workload", "invalid",
			[]Op{tx(0, 1, app("x", "a", 1)), tx(2, 3, app("x", "a", 2))},
			[]Op{tx(0, 1, app("x", "a", 1)), tx(2, 3, app("y", "a", 1))},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := CheckTxns(numbered(tt.bad)).Anomalies
			if !slices.ContainsFunc(got, func(a Anomaly) bool { return a.Name == tt.want }) {
				t.Errorf("the bad history: %v, want %s", got, tt.want)
			}
			if got := CheckTxns(numbered(tt.good)).Anomalies; len(got) > 0 {
				t.Errorf("the good history: %v", got)
			}
		})
	}
}

func numbered(ops []Op) []Op {
	for i := range ops {
		ops[i].ID, ops[i].Client = i, i
	}
	return ops
}

// TestCycleIsShortest hides a cycle of two among many transactions in real-time order.
func TestCycleIsShortest(t *testing.T) {
	var ops []Op
	list := ""
	for i := range int64(26) {
		list += string(rune('a' + i))
		ops = append(ops, tx(10*i, 10*i+5, app("x", list[i:], i+1)))
	}
	ops = append(ops, tx(300, 301, get("x", list[:3])), tx(302, 303, get("x", list)))
	got := CheckTxns(numbered(ops)).Anomalies
	if len(got) != 1 || got[0].Name != "G-single-realtime" || len(got[0].Ops) != 2 {
		t.Fatalf("%v", got)
	}
	if want := "#3 -rt-> #26 (had returned 265.000 ms before it was called)"; !strings.Contains(got[0].Why, want) {
		t.Errorf("%s; want %q in it", got[0].Why, want)
	}
}

func TestListsOfElements(t *testing.T) {
	push := func(token string, place int64) Step {
		return Step{Kind: RPush, Key: "x", Arg: token, Result: IntValue(place)}
	}
	all := func(tokens ...string) Step { return Step{Kind: LRange, Key: "x", Result: ListValue(tokens...)} }
	good := []Op{tx(0, 1, push("first", 1), app("y", "a", 1)), tx(2, 3, push("2nd", 2)), tx(4, 5, all("first", "2nd"), get("y", "a"))}
	if got := CheckTxns(numbered(good)).Anomalies; len(got) > 0 {
		t.Errorf("%v", got)
	}
	bad := []Op{tx(0, 1, push("first", 1)), tx(2, 3, push("2nd", 2)), tx(4, 5, all("2nd"))}
	if got := CheckTxns(numbered(bad)).Anomalies; len(got) == 0 {
		t.Error("a lost element passed")
	}
}

func TestSingleCommandsAreTransactions(t *testing.T) {
	ops := numbered([]Op{
		{Kind: Append, Key: "x", Arg: "a", Result: IntValue(1), Outcome: OK, Call: 0, Return: 1},
		{Kind: Get, Key: "x", Result: NilValue(), Outcome: OK, Call: 2, Return: 3},
	})
	if got := CheckTxns(ops).Anomalies; len(got) == 0 || got[0].Name != "lost write" {
		t.Errorf("%v", got)
	}
	if ops[0].Steps != nil {
		t.Error("the caller's operations changed")
	}
}

// listStore is a correct server, and the mistakes that it can be told to make.
type listStore struct {
	lists map[string]string
	rng   *rand.Rand
}

const width = 6

// history runs n transactions of clients on two keys of a set that rotates. Each takes
// effect at a moment between its call and its return; those of different clients overlap.
func (s *listStore) history(n, clients int) []Op {
	ops := make([]Op, 0, n)
	free := make([]int64, clients) // when each client may go on
	now := int64(0)                // transactions take effect in the order in which they are made
	for i := range n {
		client := i % clients
		now = max(now, free[client]) + 1 + s.rng.Int64N(1000)
		op := Op{ID: i, Workload: ListAppend, Kind: Txn, Client: client, Outcome: OK}
		op.Call = max(free[client], now-s.rng.Int64N(3000))
		op.Return = now + s.rng.Int64N(3000)
		free[client] = op.Return + 1
		chance := s.rng.Float64()
		for part := range 2 {
			key := fmt.Sprintf("k%d", i/200*4+s.rng.IntN(4))
			token := fmt.Sprintf("%05d%c", i, 'a'+part)
			op.Steps = append(op.Steps, s.step(key, token, chance >= 0.03))
		}
		switch {
		case chance < 0.03:
			op.Outcome = Failed
		case chance < 0.08:
			op.Outcome = Unknown
		}
		ops = append(ops, op)
	}
	return ops
}

func (s *listStore) step(key, token string, done bool) Step {
	if s.rng.IntN(2) == 0 {
		if s.lists[key] == "" {
			return Step{Kind: Get, Key: key, Result: NilValue()}
		}
		return Step{Kind: Get, Key: key, Result: TextValue(s.lists[key])}
	}
	if done {
		s.lists[key] += token
	}
	return Step{Kind: Append, Key: key, Arg: token, Result: IntValue(int64(len(s.lists[key])))}
}

func newListStore(seed uint64) *listStore {
	return &listStore{make(map[string]string), rand.New(rand.NewPCG(seed, 0))}
}

func TestCorrectStorePasses(t *testing.T) {
	for seed := range uint64(200) {
		ops := newListStore(seed).history(300, 1+int(seed%16))
		if got := CheckTxns(ops).Anomalies; len(got) > 0 {
			t.Fatalf("seed %d: %v", seed, got)
		}
	}
}

// TestMutationsAreCaught breaks histories of the correct store in one place each.
func TestMutationsAreCaught(t *testing.T) {
	mutations := map[string]func(ops []Op, rng *rand.Rand) bool{
		"a read loses its last token": func(ops []Op, rng *rand.Rand) bool {
			return changeRead(ops, rng, func(s string) string { return s[:len(s)-width] })
		},
		"a read loses its first token": func(ops []Op, rng *rand.Rand) bool {
			return changeRead(ops, rng, func(s string) string { return s[width:] })
		},
		"a read has its last token twice": func(ops []Op, rng *rand.Rand) bool {
			return changeRead(ops, rng, func(s string) string { return s + s[len(s)-width:] })
		},
		"a read is cut within a token": func(ops []Op, rng *rand.Rand) bool {
			return changeRead(ops, rng, func(s string) string { return s[:len(s)-1] })
		},
		"a read has a token of nobody": func(ops []Op, rng *rand.Rand) bool {
			return changeRead(ops, rng, func(s string) string { return s + "nobody" })
		},
		"a read shows two tokens the wrong way round": func(ops []Op, rng *rand.Rand) bool {
			return changeRead(ops, rng, func(s string) string {
				if len(s) < 3*width {
					return s
				}
				return s[width:2*width] + s[:width] + s[2*width:]
			})
		},
	}
	for name, mutate := range mutations {
		t.Run(name, func(t *testing.T) {
			made := 0
			for seed := range uint64(100) {
				ops := newListStore(seed).history(300, 4)
				if !mutate(ops, rand.New(rand.NewPCG(seed, 1))) {
					continue
				}
				made++
				if len(CheckTxns(ops).Anomalies) == 0 {
					t.Errorf("seed %d: not caught", seed)
				}
			}
			if made < 50 {
				t.Errorf("only %d histories could be changed", made)
			}
		})
	}
}

// changeRead changes what one read saw of a token that was acknowledged long before.
func changeRead(ops []Op, rng *rand.Rand, change func(string) string) bool {
	settled := make(map[string]int64) // token -> when it was acknowledged
	for _, op := range ops {
		for _, s := range op.Steps {
			if s.Kind == Append && op.Outcome == OK {
				settled[s.Arg] = op.Return
			}
		}
	}
	for _, i := range rng.Perm(len(ops)) {
		op := &ops[i]
		for j := range op.Steps {
			s := &op.Steps[j]
			text := s.Result.Text
			if op.Outcome != OK || s.Kind != Get || len(text) < 2*width {
				continue
			}
			if end, ok := settled[text[len(text)-width:]]; !ok || end >= op.Call {
				continue
			}
			changed := change(text)
			s.Result = TextValue(changed)
			if changed != text {
				return true
			}
		}
	}
	return false
}

// TestTwentyThousandTransactions leaves room for a busy machine and the race detector;
// BenchmarkTxns measures.
func TestTwentyThousandTransactions(t *testing.T) {
	ops := newListStore(1).history(20_000, 16)
	report := CheckTxns(ops)
	if len(report.Anomalies) > 0 || report.Txns < 18_000 {
		t.Fatalf("%v %v", report, report.Anomalies)
	}
	t.Log(report)
	if report.Took > 20*time.Second {
		t.Errorf("took %v", report.Took)
	}
}

func BenchmarkTxns(b *testing.B) {
	ops := newListStore(1).history(20_000, 16)
	for b.Loop() {
		if report := CheckTxns(ops); len(report.Anomalies) > 0 {
			b.Fatal(report.Anomalies)
		}
	}
}
