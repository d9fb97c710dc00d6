package check

import (
	"fmt"
	"strconv"
)

// counter is a key that holds a number.
type counter struct {
	present bool
	n       int64
}

// counterModel is a key under INCR, INCRBY, GET and EXISTS.
func counterModel() model {
	return model{
		kinds: []Kind{Incr, IncrBy, Get, Exists},
		init:  counter{},
		step: func(state any, e *event) (any, bool) {
			next, ok := state.(counter).step(e)
			return next, ok
		},
		show: func(state any) string { return fmt.Sprint(state.(counter).n) },
	}
}

func (c counter) step(e *event) (counter, bool) {
	switch e.op.Kind {
	case Incr, IncrBy:
		next := counter{true, c.n + e.op.delta()}
		return next, e.pending || e.op.Result.Int == next.n
	case Get:
		if e.op.Result.Nil {
			return c, !c.present
		}
		return c, c.present && e.op.Result.Text == strconv.FormatInt(c.n, 10)
	case Exists:
		return c, c.present == (e.op.Result.Int == 1)
	}
	return c, false
}

// delta is what the operation adds.
func (o *Op) delta() int64 {
	if o.Kind == Incr {
		return 1
	}
	n, _ := strconv.ParseInt(o.Arg, 10, 64) // validate has seen it
	return n
}
