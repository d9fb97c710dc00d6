package check

import (
	"cmp"
	"slices"
	"strings"
)

// event is an operation as the models see it.
type event struct {
	op      *Op
	pending bool   // its result is not known: it may be done at any time until end, or never
	arg     string // op.Arg, or unseen
	call    int64
	end     int64
	group   int    // of interchangeable pending operations; -1: none
	rank    int    // its place in the group: they are done in this order
	longest string // Append: the longest string that was read of the key
}

// unseen stands for every value that no operation saw. It holds a byte that no
// harness writes.
const unseen = "\x00unseen"

// events prepares the operations of one key as they were known at the time cut:
// what returned later is pending, what was called later is left out. Pending reads
// say nothing and are dropped.
//
// A pending operation is concurrent with everything after it, which makes checking
// exponential in their number. Three changes that keep the answer
// make it bearable:
//
//   - A pending write whose value was seen happened before the first that saw it had
//     returned, if no other operation writes this value. So it ends there.
//   - Values that nobody saw are all alike.
//   - Pending operations with the same effect can be exchanged, so it is enough to try
//     them in the order of their calls: k of them leave k+1 choices in place of 2^k.
//
// Appends leave out more: see appendStep.
func events(w Workload, ops []Op, cut int64) []*event {
	var list []*event
	for i := range ops {
		op := &ops[i]
		if op.Outcome == Failed || op.Call > cut {
			continue
		}
		e := &event{op: op, arg: op.Arg, call: op.Call, end: op.end(), group: -1}
		if op.Outcome == Unknown || op.Return > cut {
			e.pending, e.end = true, forever
			if op.reads() {
				continue
			}
		}
		list = append(list, e)
	}
	switch w {
	case Register, TTL:
		narrowValues(list)
	case Appends:
		narrowTokens(list)
	}
	slices.SortStableFunc(list, func(a, b *event) int { return cmp.Compare(a.call, b.call) })
	chain(list)
	return list
}

// writesValue says whether the operation stores its argument.
func (e *event) writesValue() bool {
	switch e.op.Kind {
	case Set, SetNX, GetSet, CAS:
		return true
	}
	return false
}

// sees returns the value that the operation certainly met.
func (e *event) sees() (string, bool) {
	switch e.op.Kind {
	case CAS:
		return e.op.Expect.Text, !e.op.Expect.Nil
	case Get, GetSet:
		return e.op.Result.Text, !e.pending && !e.op.Result.Nil
	}
	return "", false
}

// narrowValues ends pending writes where their value was first seen.
func narrowValues(list []*event) {
	writers := make(map[string]int)
	seen := make(map[string]int64) // the earliest return of those that saw it
	for _, e := range list {
		if e.writesValue() {
			writers[e.op.Arg]++
		}
		if v, ok := e.sees(); ok {
			end := e.end
			if before, again := seen[v]; again {
				end = min(end, before)
			}
			seen[v] = end
		}
	}
	for _, e := range list {
		if !e.pending || !e.writesValue() {
			continue
		}
		switch end, ok := seen[e.op.Arg]; {
		case !ok:
			e.arg = unseen
		case writers[e.op.Arg] == 1 && end >= e.call:
			e.end = end
		}
	}
}

// narrowTokens does so for tokens. Nothing removes one: what the last read did not
// see was appended after it.
func narrowTokens(list []*event) {
	noteLongest(list)
	width := tokenWidth(list)
	if width == 0 {
		return
	}
	seen := make(map[string]int64)
	var lastRead int64
	for _, e := range list {
		if e.op.Kind != Get {
			continue
		}
		lastRead = max(lastRead, e.call)
		for _, token := range cutTokens(e.op.Result.Text, width) {
			if end, ok := seen[token]; !ok || e.end < end {
				seen[token] = e.end
			}
		}
	}
	for _, e := range list {
		if !e.pending {
			continue
		}
		end, ok := seen[e.op.Arg]
		switch {
		case !ok:
			e.call, e.arg = max(e.call, lastRead), strings.Repeat("?", width)
		case end >= e.call:
			e.end = end
		}
	}
}

// noteLongest tells each append the longest string that was read.
func noteLongest(list []*event) {
	longest := ""
	for _, e := range list {
		if e.op.Kind == Get && len(e.op.Result.Text) > len(longest) {
			longest = e.op.Result.Text
		}
	}
	for _, e := range list {
		e.longest = longest
	}
}

// tokenWidth is the width of all tokens; 0 if they differ or one comes twice.
func tokenWidth(list []*event) int {
	width := 0
	tokens := make(map[string]bool)
	for _, e := range list {
		if e.op.Kind != Append {
			continue
		}
		if width == 0 {
			width = len(e.op.Arg)
		}
		if len(e.op.Arg) != width || tokens[e.op.Arg] {
			return 0
		}
		tokens[e.op.Arg] = true
	}
	return width
}

// cutTokens cuts a string into pieces of the width; the last may be shorter.
func cutTokens(s string, width int) []string {
	tokens := make([]string, 0, len(s)/width+1)
	for ; len(s) > width; s = s[width:] {
		tokens = append(tokens, s[:width])
	}
	if s != "" {
		tokens = append(tokens, s)
	}
	return tokens
}

// chain puts pending operations of the same effect into groups; the list is in the
// order of calls.
func chain(list []*event) {
	type effect struct {
		kind        Kind
		arg, expect string
		nothing     bool // expect is nil
		ttl         int64
	}
	groups := make(map[effect][]*event)
	var order []effect // so that groups are numbered the same in each run
	for _, e := range list {
		if !e.pending || e.end != forever {
			continue
		}
		kind := e.op.Kind
		if kind == GetSet {
			kind = Set // nobody knows what it answered
		}
		f := effect{kind, e.arg, e.op.Expect.Text, e.op.Expect.Nil, int64(e.op.TTL)}
		if groups[f] == nil {
			order = append(order, f)
		}
		groups[f] = append(groups[f], e)
	}
	number := 0
	for _, f := range order {
		members := groups[f]
		if len(members) < 2 {
			continue
		}
		for rank, e := range members {
			e.group, e.rank = number, rank
		}
		number++
	}
}
