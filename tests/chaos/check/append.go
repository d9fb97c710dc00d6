package check

import "fmt"

// appendModel is a string that only grows, under APPEND, GET and EXISTS.
func appendModel() model {
	return model{
		kinds: []Kind{Append, Get, Exists},
		init:  "",
		step: func(state any, e *event) (any, bool) {
			next, ok := appendStep(state.(string), e)
			return next, ok
		},
		show: func(state any) string { return fmt.Sprintf("%q", state) },
	}
}

// appendStep knows a missing key as the empty string: no token is empty. As the string
// only grows, it must agree with the longest that was read, as far as both go; saying
// so at once, and not only where that read comes, saves most of the search.
func appendStep(s string, e *event) (string, bool) {
	switch e.op.Kind {
	case Append:
		next := s + e.arg
		common := min(len(next), len(e.longest))
		if next[:common] != e.longest[:common] {
			return next, false
		}
		return next, e.pending || e.op.Result.Int == int64(len(next))
	case Get:
		return s, e.op.Result.Nil == (s == "") && e.op.Result.Text == s
	case Exists:
		return s, (s != "") == (e.op.Result.Int == 1)
	}
	return s, false
}
