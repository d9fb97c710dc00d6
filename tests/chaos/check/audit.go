package check

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// AuditReport compares what was acknowledged with what the nodes hold at the end.
type AuditReport struct {
	Nodes     []string
	Workloads map[Workload]*AuditCount
	Findings  []Finding
}

// AuditCount is what Audit counted for a workload.
type AuditCount struct {
	Keys         int
	Acknowledged int // writes
	Lost         int // acknowledged writes that a node does not hold
	Phantom      int // values, tokens or increments that a node holds and nobody wrote
	Differ       int // keys of which two nodes hold different values
}

// Finding is one lost or phantom write, or one difference.
type Finding struct {
	What     string // "lost", "phantom" or "differ"
	Workload Workload
	Key      string
	Node     string
	Why      string
}

// String is the finding in one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s %s on %s: %s", strings.ToUpper(f.What), f.Workload, f.Key, f.Node, f.Why)
}

// Audit compares every acknowledged write with the final state of every node, read
// after all operations and after all nodes had caught up. It looks at nothing but the
// writes, so it does not share an error with the models.
//
//   - A register must hold the value of a write after which no acknowledged write was
//     called; a TTL key may instead be gone if that write gave it a TTL, or one was
//     set later.
//   - A counter must lie between the sums that the unknown increments allow.
//   - A list of tokens must hold each acknowledged one exactly once, and none that
//     failed or that nobody appended.
//   - All nodes must hold the same; but a TTL key may be gone on some only.
func Audit(h *History, finals map[string]Final) *AuditReport {
	a := &auditor{
		report: &AuditReport{Nodes: sortedKeys(finals), Workloads: make(map[Workload]*AuditCount)},
		finals: finals,
	}
	keys := auditKeys(h.Ops())
	for _, name := range sortedKeys(keys) {
		a.key(name, keys[name])
	}
	a.strangers(keys)
	return a.report
}

// Differ says whether Audit would find that two nodes hold different values.
func Differ(h *History, finals map[string]Final) bool {
	return slices.ContainsFunc(Audit(h, finals).Findings, func(f Finding) bool { return f.What == "differ" })
}

// OK says whether nothing was found.
func (r *AuditReport) OK() bool { return len(r.Findings) == 0 }

// String is a line for each workload, then up to 20 findings.
func (r *AuditReport) String() string {
	var b strings.Builder
	for _, w := range sortedKeys(r.Workloads) {
		c := r.Workloads[w]
		fmt.Fprintf(&b, "%-10s %d acknowledged writes to %d keys audited on %d nodes: %d lost, %d phantom, %d keys differ\n",
			w, c.Acknowledged, c.Keys, len(r.Nodes), c.Lost, c.Phantom, c.Differ)
	}
	for i, f := range r.Findings {
		if i == 20 {
			fmt.Fprintf(&b, "… and %d more\n", len(r.Findings)-i)
			break
		}
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// auditKey is the writes to one key; transactions are taken apart.
type auditKey struct {
	workload Workload
	writes   []Op
}

func auditKeys(ops []Op) map[string]*auditKey {
	keys := make(map[string]*auditKey)
	add := func(op Op) {
		k := keys[op.Key]
		if k == nil {
			k = &auditKey{workload: op.Workload}
			keys[op.Key] = k
		}
		if !op.reads() {
			k.writes = append(k.writes, op)
		}
	}
	for _, op := range ops {
		if op.Kind != Txn {
			add(op)
			continue
		}
		for _, s := range op.Steps {
			part := op
			part.Kind, part.Key, part.Arg, part.Result, part.Steps = s.Kind, s.Key, s.Arg, s.Result, nil
			add(part)
		}
	}
	return keys
}

type auditor struct {
	report *AuditReport
	finals map[string]Final
}

func (a *auditor) count(w Workload) *AuditCount {
	if a.report.Workloads[w] == nil {
		a.report.Workloads[w] = &AuditCount{}
	}
	return a.report.Workloads[w]
}

func (a *auditor) find(f Finding, writes int) {
	switch c := a.count(f.Workload); f.What {
	case "lost":
		c.Lost += writes
	case "phantom":
		c.Phantom += writes
	case "differ":
		c.Differ += writes
	}
	a.report.Findings = append(a.report.Findings, f)
}

// holds is what a node holds under a key.
func (a *auditor) holds(node, key string) Value {
	v, ok := a.finals[node][key]
	if !ok {
		return NilValue()
	}
	return v
}

func (a *auditor) key(name string, k *auditKey) {
	c := a.count(k.workload)
	c.Keys++
	for _, op := range k.writes {
		if op.Outcome == OK {
			c.Acknowledged++
		}
	}
	for _, node := range a.report.Nodes {
		v := a.holds(node, name)
		f := Finding{Workload: k.workload, Key: name, Node: node}
		switch k.workload {
		case Counter:
			a.counter(f, k.writes, v)
		case Appends, ListAppend:
			a.tokens(f, k.writes, v)
		default:
			a.value(f, k.writes, v)
		}
	}
	a.differences(name, k)
}

// differences reports the first node that holds something else than one before it.
func (a *auditor) differences(name string, k *auditKey) {
	first := -1
	for i, node := range a.report.Nodes {
		v := a.holds(node, name)
		if v.Nil && k.workload == TTL {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		if was := a.holds(a.report.Nodes[first], name); v.String() != was.String() {
			why := fmt.Sprintf("%s, but %s on %s", clip(v.String()), clip(was.String()), a.report.Nodes[first])
			a.find(Finding{"differ", k.workload, name, node, why}, 1)
			return
		}
	}
}

// value checks a register or a TTL key.
func (a *auditor) value(f Finding, writes []Op, v Value) {
	var lastCall int64 = -1 // of the acknowledged writes that certainly changed the key
	var last Op
	for _, op := range writes {
		if op.Outcome == OK && op.changed() && op.Call > lastCall {
			lastCall, last = op.Call, op
		}
	}
	if v.Nil && lastCall < 0 {
		return
	}
	written := false
	for _, op := range writes {
		if op.Outcome == Failed || !op.mayLeave(v) {
			continue
		}
		written = true
		if op.end() >= lastCall {
			return
		}
	}
	if f.Workload == TTL && v.Nil && mayExpire(writes, lastCall) {
		return
	}
	if !written && !v.Nil {
		f.What, f.Why = "phantom", fmt.Sprintf("nobody wrote %s", v)
		a.find(f, 1)
		return
	}
	f.What, f.Why = "lost", fmt.Sprintf("it holds %s, but then came %s", v, last)
	a.find(f, 1)
}

// changed says whether an acknowledged write certainly changed the value.
func (o *Op) changed() bool {
	switch o.Kind {
	case SetNX, CAS:
		return !o.Result.Nil
	case Set, GetSet:
		return true
	case Del:
		return o.Result.Int == 1
	}
	return false
}

// mayLeave says whether the key may be v after the operation.
func (o *Op) mayLeave(v Value) bool {
	if o.Outcome == OK && !o.changed() {
		return false
	}
	switch o.Kind {
	case Set, SetNX, GetSet, CAS:
		return !v.Nil && v.Text == o.Arg
	case Del:
		return v.Nil
	}
	return false
}

// mayExpire says whether a write that is not older than the last certain one gave
// the key a TTL.
func mayExpire(writes []Op, lastCall int64) bool {
	return slices.ContainsFunc(writes, func(op Op) bool {
		return op.Outcome != Failed && op.TTL > 0 && op.end() >= lastCall
	})
}

func (a *auditor) counter(f Finding, writes []Op, v Value) {
	n, err := strconv.ParseInt(cmp.Or(v.Text, "0"), 10, 64)
	if err != nil {
		f.What, f.Why = "phantom", fmt.Sprintf("it holds %s, no number", clip(v.String()))
		a.find(f, 1)
		return
	}
	var low, high int64
	for _, op := range writes {
		d := op.delta()
		switch op.Outcome {
		case OK:
			low, high = low+d, high+d
		case Unknown:
			low, high = low+min(d, 0), high+max(d, 0)
		}
	}
	switch {
	case n < low:
		f.What, f.Why = "lost", fmt.Sprintf("it holds %d, and the acknowledged increments come to %d", n, low)
		a.find(f, int(low-n))
	case n > high:
		f.What, f.Why = "phantom", fmt.Sprintf("it holds %d, and all increments come to %d", n, high)
		a.find(f, int(n-high))
	}
}

// tokens checks a list of tokens.
func (a *auditor) tokens(f Finding, writes []Op, v Value) {
	outcome := make(map[string]Outcome)
	width := 1
	for _, op := range writes {
		outcome[op.Arg] = op.Outcome
		width = max(width, len(op.Arg))
	}
	held := v.List
	if held == nil {
		held = cutTokens(v.Text, width)
	}
	times := make(map[string]int)
	for _, token := range held {
		times[token]++
		switch o, known := outcome[token]; {
		case !known:
			f.What, f.Why = "phantom", fmt.Sprintf("nobody appended %q", token)
			a.find(f, 1)
		case o == Failed:
			f.What, f.Why = "phantom", fmt.Sprintf("it holds %q, which failed", token)
			a.find(f, 1)
		case times[token] == 2:
			f.What, f.Why = "phantom", fmt.Sprintf("it holds %q twice", token)
			a.find(f, 1)
		}
	}
	for _, op := range writes {
		if op.Outcome == OK && times[op.Arg] == 0 {
			f.What, f.Why = "lost", fmt.Sprintf("it does not hold %q: %s", op.Arg, op)
			a.find(f, 1)
		}
	}
}

// strangers reports keys that a node holds and no operation named.
func (a *auditor) strangers(keys map[string]*auditKey) {
	for _, node := range a.report.Nodes {
		for _, name := range sortedKeys(a.finals[node]) {
			if v := a.finals[node][name]; keys[name] == nil && !v.Nil {
				a.find(Finding{"phantom", "none", name, node, "no operation named this key; it holds " + clip(v.String())}, 1)
			}
		}
	}
}

// clip shortens a value for a line of text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:38] + "…" + s[len(s)-38:]
	}
	return s
}
