package compat

import (
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

var timeNames = map[string]bool{"idle": true, "inactive": true, "seen-time": true, "active-time": true}
