package check

import "fmt"

// register is a key that holds a whole value or nothing.
type register struct {
	present bool
	value   string
}

// registerModel is a key under SET, GET, SET NX, GETSET, DEL, EXISTS and
// compare-and-set. WATCH promises more than that the value is the one expected,
// namely that nobody wrote; with values that differ, as the workload's do, it is the
// same. An EXEC that answered nil says nothing: Redis may refuse for any write in
// between, even one that left the value alone.
func registerModel() model {
	return model{
		kinds: []Kind{Get, Set, SetNX, GetSet, CAS, Del, Exists},
		init:  register{},
		step: func(state any, e *event) (any, bool) {
			next, ok := state.(register).step(e)
			return next, ok
		},
		show: func(state any) string {
			if r := state.(register); r.present {
				return fmt.Sprintf("%q", r.value)
			}
			return "nil"
		},
	}
}

func (r register) step(e *event) (register, bool) {
	result, known := e.op.Result, !e.pending
	written := register{true, e.arg}
	switch e.op.Kind {
	case Get:
		return r, r.is(result)
	case Set:
		return written, true
	case SetNX:
		if known && result.Nil != r.present {
			return r, false
		}
		if r.present {
			return r, true
		}
		return written, true
	case GetSet:
		return written, !known || r.is(result)
	case CAS:
		switch matches := r.is(e.op.Expect); {
		case known && result.Nil:
			return r, true
		case matches:
			return written, true
		default:
			return r, !known
		}
	case Del:
		return register{}, !known || r.present == (result.Int == 1)
	case Exists:
		return r, r.present == (result.Int == 1)
	}
	return r, false
}

// is says whether a read of the key would give v.
func (r register) is(v Value) bool {
	if v.Nil {
		return !r.present
	}
	return r.present && r.value == v.Text
}
