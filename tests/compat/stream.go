package compat

import (
	"slices"
	"strings"

	"github.com/raftkv/raftkv/resp"
)

// late is how far times of one command may lie apart, in milliseconds.
const late = 5000

// sameStream compares what is told of consumer groups, but for times: those that have a
// name of their own, and the third word of an entry that is pending.
func sameStream(x *exchange, a, b resp.Value) bool {
	return sameTimes(a, b, strings.ToUpper(string(x.args[0])) == "XPENDING")
}

func sameTimes(a, b resp.Value, pending bool) bool {
	a, ok := withoutActive(a, b)
	if !ok {
		return false
	}
	if a.Kind != b.Kind || len(a.Elems) != len(b.Elems) || a.Int != b.Int || a.Text() != b.Text() {
		return false
	}
	for i := range a.Elems {
		p, q := a.Elems[i], b.Elems[i]
		if i > 0 && a.Elems[i-1].Text() == "radix-tree-nodes" && p.Kind == resp.KindInt && q.Kind == resp.KindInt {
			continue
		}
		isTime := pending && i == 2 && len(a.Elems) == 4 || i > 0 && timeNames[a.Elems[i-1].Text()] ||
			!pending && i > 0 && p.Kind == resp.KindInt && p.Int > 1_600_000_000_000
		if isTime && p.Kind == resp.KindInt && q.Kind == resp.KindInt {
			if i > 0 && seenLater(a.Elems[i-1].Text(), p.Int, q.Int) {
				continue
			}
			if max(p.Int-q.Int, q.Int-p.Int) > late {
				return false
			}
			continue
		}
		if !sameTimes(p, q, pending) {
			return false
		}
	}
	return true
}

var timeNames = map[string]bool{"idle": true, "seen-time": true}

// seenLater says that our consumer was seen later: 7.0 does not see one that it has
// nothing for.
func seenLater(name string, ours, theirs int64) bool {
	return name == "idle" && ours <= theirs || name == "seen-time" && ours >= theirs
}

// withoutActive is what we tell of a consumer without the field that 7.2 added, where
// 7.0's reply b is one of a consumer. That field must be behind the time when the
// consumer was seen, and no later than that, or -1.
func withoutActive(a, b resp.Value) (resp.Value, bool) {
	if len(a.Elems) != len(b.Elems)+2 {
		return a, true
	}
	for i := 1; i+2 < len(a.Elems); i++ {
		added, seen, active := a.Elems[i+1].Text(), a.Elems[i].Int, a.Elems[i+2].Int
		switch {
		case a.Elems[i-1].Text() == "idle" && added == "inactive" && (active == -1 || active >= seen),
			a.Elems[i-1].Text() == "seen-time" && added == "active-time" && active <= seen:
			a.Elems = slices.Concat(a.Elems[:i+1], a.Elems[i+3:])
			return a, true
		}
	}
	return a, false
}

// attempt reads a command that makes a consumer here, as in 7.2, whether there is
// something for it or not: which, of which group, of which keys.
func attempt(args [][]byte) (group, consumer []byte, keys [][]byte) {
	switch name := strings.ToUpper(string(args[0])); {
	case (name == "XCLAIM" || name == "XAUTOCLAIM") && len(args) > 3:
		return args[2], args[3], args[1:2]
	case name == "XREADGROUP":
		for i := 1; i < len(args); i++ {
			switch word := strings.ToUpper(string(args[i])); {
			case word == "GROUP" && i+2 < len(args):
				group, consumer = args[i+1], args[i+2]
				i += 2
			case word == "BLOCK" || word == "COUNT":
				i++
			case word == "STREAMS":
				rest := args[i+1:]
				return group, consumer, rest[:len(rest)/2]
			}
		}
	}
	return nil, nil, nil
}

// isAttempt says whether a command may make a consumer here and not in 7.0.
func isAttempt(args [][]byte) bool {
	_, _, keys := attempt(args)
	return len(keys) > 0
}

// makeConsumers makes in Redis the consumer that a command made here.
func (p *player) makeConsumers(x *exchange) error {
	group, consumer, keys := attempt(x.args)
	if len(x.theirs) == 0 || x.theirs[0] == '-' || p.session.multi {
		return nil
	}
	for _, key := range keys {
		if _, err := p.conn.Do([][]byte{[]byte("XGROUP"), []byte("CREATECONSUMER"), key, group, consumer}); err != nil {
			return err
		}
	}
	return nil
}

// gotNothing says that such a command got nothing from one of its keys, so that 7.0 has
// not made the consumer.
func gotNothing(x exchange) bool {
	_, _, keys := attempt(x.args)
	v, err := resp.Parse(x.theirs)
	if len(keys) == 0 || err != nil || v.Err() != nil {
		return false
	}
	if strings.EqualFold(string(x.args[0]), "XAUTOCLAIM") && len(v.Elems) > 1 {
		v = v.Elems[1]
	}
	got := len(v.Elems)
	if v.Kind == resp.KindMap { // a key and its entries each
		got /= 2
	}
	return got < len(keys)
}
