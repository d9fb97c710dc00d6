package check

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Verdict is what checking a key came to.
type Verdict string

const (
	// Passed: some order explains all results.
	Passed Verdict = "ok"
	// Violated: no order does.
	Violated Verdict = "violation"
	// Undecided: the time was up before either was known.
	Undecided Verdict = "unknown"
	// Invalid: the history itself breaks the rules of its workload, a mistake of the harness.
	Invalid Verdict = "invalid"
)

// KeyReport is the verdict on the operations of one key.
type KeyReport struct {
	Workload Workload
	Key      string
	Verdict  Verdict
	Ops      []Op // all of the key, by the time of their calls
	Took     time.Duration
	Why      string // for people; "" where it passed
	// Prefix is, of a violation, the shortest beginning of the history that no order
	// explains: the operations called before the last of it returned. Those that
	// returned later are Unknown in it.
	Prefix []Op

	model porcupine.Model
	info  porcupine.LinearizationInfo // of Prefix
}

// Report is what Check found.
type Report struct {
	Keys    []KeyReport // by workload and key
	Txns    TxnReport
	Took    time.Duration // by the clock on the wall
	Outcome map[Workload]map[Outcome]int
}

// Check looks for an order of the operations of each key that explains all results,
// and for cycles among the transactions. It spends at most perKey on the verdict of
// one key, and as much again on the shortest prefix of a violation. When ctx ends,
// the keys that are left are Undecided.
func Check(ctx context.Context, h *History, perKey time.Duration) *Report {
	began := time.Now()
	report := &Report{Outcome: make(map[Workload]map[Outcome]int)}
	bounds := h.ttlBounds()
	byKey := make(map[string][]Op)
	var txns []Op
	for _, op := range h.Ops() {
		report.count(op)
		if op.Workload == ListAppend {
			txns = append(txns, op)
		} else {
			byKey[op.Key] = append(byKey[op.Key], op)
		}
	}
	for _, key := range sortedKeys(byKey) {
		ops := byKey[key]
		slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Call, b.Call) })
		report.Keys = append(report.Keys, KeyReport{Workload: ops[0].Workload, Key: key, Ops: ops})
	}
	slices.SortStableFunc(report.Keys, func(a, b KeyReport) int { return cmp.Compare(a.Workload, b.Workload) })
	checkKeys(ctx, report.Keys, bounds, perKey)
	report.Txns = CheckTxns(txns)
	report.Took = time.Since(began)
	return report
}

func (r *Report) count(op Op) {
	if r.Outcome[op.Workload] == nil {
		r.Outcome[op.Workload] = make(map[Outcome]int)
	}
	r.Outcome[op.Workload][op.Outcome]++
}

// checkKeys checks as many keys at a time as there are processors.
func checkKeys(ctx context.Context, keys []KeyReport, bounds TTLBounds, perKey time.Duration) {
	var workers sync.WaitGroup
	next := make(chan *KeyReport)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for k := range next {
				began := time.Now()
				k.check(ctx, bounds, perKey)
				k.Took = time.Since(began)
			}
		})
	}
	for i := range keys {
		next <- &keys[i]
	}
	close(next)
	workers.Wait()
}

func (k *KeyReport) check(ctx context.Context, bounds TTLBounds, perKey time.Duration) {
	m, known := modelOf(k.Workload, bounds)
	if !known {
		k.Verdict, k.Why = Invalid, fmt.Sprintf("there is no workload %q", k.Workload)
		return
	}
	if k.Why = invalid(k.Ops, k.Workload, m); k.Why != "" {
		k.Verdict = Invalid
		return
	}
	within, ok := timeLeft(ctx, perKey)
	if !ok {
		k.Verdict, k.Why = Undecided, "no time was left"
		return
	}
	switch m.check(events(k.Workload, k.Ops, math.MaxInt64), within) {
	case porcupine.Ok:
		k.Verdict = Passed
	case porcupine.Unknown:
		k.Verdict, k.Why = Undecided, fmt.Sprintf("no verdict within %v", within)
	case porcupine.Illegal:
		k.Verdict = Violated
		k.shorten(m, time.Now().Add(perKey))
	}
}

func (m model) check(list []*event, within time.Duration) porcupine.CheckResult {
	ops, groups := operations(list)
	return porcupine.CheckOperationsTimeout(m.porcupine(groups), ops, within)
}

// timeLeft is perKey or what ctx leaves of it.
func timeLeft(ctx context.Context, perKey time.Duration) (time.Duration, bool) {
	if deadline, ok := ctx.Deadline(); ok {
		perKey = min(perKey, time.Until(deadline))
	}
	return perKey, ctx.Err() == nil && perKey > 0
}

// shorten finds the shortest prefix that cannot be explained. A longer one cannot
// either, so it halves; where the time is up it stays with the longer one.
func (k *KeyReport) shorten(m model, deadline time.Time) {
	var cuts []int64
	for _, op := range k.Ops {
		if op.Outcome == OK {
			cuts = append(cuts, op.Return)
		}
	}
	slices.Sort(cuts)
	within := func() time.Duration { return max(time.Until(deadline), time.Millisecond) }
	low, high := 0, len(cuts)-1 // the answer lies in [low, high]
	for low < high {
		mid := (low + high) / 2
		if m.check(events(k.Workload, k.Ops, cuts[mid]), within()) == porcupine.Illegal {
			high = mid
		} else {
			low = mid + 1
		}
	}
	cut := cuts[high]
	list := events(k.Workload, k.Ops, cut)
	ops, groups := operations(list)
	k.model = m.porcupine(groups)
	_, k.info = porcupine.CheckOperationsVerbose(k.model, ops, within())
	var last *Op
	for _, e := range list {
		op := *e.op
		if e.pending {
			op.Outcome = Unknown
		} else if last == nil || op.Return > last.Return {
			last = e.op
		}
		k.Prefix = append(k.Prefix, op)
	}
	k.Why = fmt.Sprintf("nothing explains %s after the %d operations before it", last, len(list)-1)
}

// invalid says what is wrong with the history of a key itself.
func invalid(ops []Op, w Workload, m model) string {
	for _, op := range ops {
		switch {
		case op.Workload != w:
			return fmt.Sprintf("key of workloads %s and %s", w, op.Workload)
		case !slices.Contains(m.kinds, op.Kind):
			return fmt.Sprintf("workload %s has no %s: %s", w, op.Kind, op)
		case op.Outcome != OK && op.Outcome != Failed && op.Outcome != Unknown:
			return fmt.Sprintf("outcome %q: %s", op.Outcome, op)
		case op.Return < op.Call:
			return fmt.Sprintf("returned before it was called: %s", op)
		case op.Kind == Append && op.Arg == "":
			return fmt.Sprintf("an empty token: %s", op)
		}
		if _, err := strconv.ParseInt(op.Arg, 10, 64); op.Kind == IncrBy && err != nil {
			return fmt.Sprintf("no number to add: %s", op)
		}
	}
	return ""
}
