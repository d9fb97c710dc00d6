package check

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// model is what one key of a workload does on a single server.
type model struct {
	kinds []Kind
	init  any
	// step returns the state after the operation; false where the operation could not
	// have had its result. It changes neither of its arguments.
	step  func(state any, e *event) (any, bool)
	equal func(a, b any) bool // nil: ==
	show  func(state any) string
}

// modelOf returns the model of a workload that is checked per key.
func modelOf(w Workload, bounds TTLBounds) (model, bool) {
	switch w {
	case Register:
		return registerModel(), true
	case Counter:
		return counterModel(), true
	case Appends:
		return appendModel(), true
	case TTL:
		return ttlModel(bounds), true
	}
	return model{}, false
}

// chained is a model's state and how many of each group of interchangeable
// operations are done, two bytes each.
type chained struct {
	state any
	done  string
}

// porcupine is the model in the library's form.
func (m model) porcupine(groups int) porcupine.Model {
	equal := m.equal
	if equal == nil {
		equal = func(a, b any) bool { return a == b }
	}
	return porcupine.Model{
		Init: func() any { return chained{m.init, strings.Repeat("\x00\x00", groups)} },
		Step: func(state, input, _ any) (bool, any) {
			s, e := state.(chained), input.(*event)
			done, ok := s.advance(e)
			if !ok {
				return false, state
			}
			next, ok := m.step(s.state, e)
			return ok, chained{next, done}
		},
		// done follows from which operations are done, which porcupine compares itself.
		Equal:                     func(a, b any) bool { return equal(a.(chained).state, b.(chained).state) },
		DescribeOperation:         func(input, _ any) string { return input.(*event).String() },
		DescribeState:             func(state any) string { return m.show(state.(chained).state) },
		DescribeOperationMetadata: func(meta any) string { return meta.(string) },
	}
}

// advance counts e as done, if it is the next of its group.
func (s chained) advance(e *event) (string, bool) {
	if e.group < 0 {
		return s.done, true
	}
	at := 2 * e.group
	if int(binary.BigEndian.Uint16([]byte(s.done[at:at+2]))) != e.rank {
		return "", false
	}
	done := []byte(s.done)
	binary.BigEndian.PutUint16(done[at:], uint16(e.rank+1))
	return string(done), true
}

// operations are the events in the library's form. Those that may be done at any
// later time get a line of their own in the picture, because their client went on.
func operations(list []*event) (ops []porcupine.Operation, groups int) {
	clients := make(map[int]int)
	for _, e := range list {
		if _, ok := clients[e.op.Client]; !ok {
			clients[e.op.Client] = len(clients)
		}
	}
	extra := len(clients)
	for _, e := range list {
		row := clients[e.op.Client]
		if e.pending {
			row, extra = extra, extra+1
		}
		groups = max(groups, e.group+1)
		ops = append(ops, porcupine.Operation{
			ClientId: row, Input: e, Call: e.call, Return: e.end,
			Metadata: fmt.Sprintf("operation %d of client %d, %s, called at %s", e.op.ID, e.op.Client, e.op.Outcome, seconds(e.op.Call)),
		})
	}
	return ops, groups
}

func (e *event) String() string {
	if e.pending {
		return e.op.request() + " → ?"
	}
	return e.op.request() + " → " + e.op.reply()
}

// String is the operation as one line: client, times, request and reply.
func (o Op) String() string {
	reply := o.reply()
	if o.Outcome != OK {
		reply = string(o.Outcome)
		if o.Error != "" {
			reply += " (" + o.Error + ")"
		}
	}
	return fmt.Sprintf("#%d client %d [%s, %s] %s → %s", o.ID, o.Client, seconds(o.Call), seconds(o.Return), o.request(), reply)
}

func (o *Op) request() string {
	if o.Kind == Txn {
		steps := make([]string, len(o.Steps))
		for i, s := range o.Steps {
			steps[i] = strings.TrimSpace(fmt.Sprintf("%s %s %s", s.Kind, s.Key, s.Arg))
		}
		return "MULTI{" + strings.Join(steps, "; ") + "}"
	}
	text := string(o.Kind) + " " + o.Key
	if o.Kind == CAS {
		text += " " + o.Expect.String() + " →"
	}
	if o.Arg != "" {
		text += " " + o.Arg
	}
	if o.TTL > 0 {
		text += fmt.Sprintf(" PX %d", o.TTL.Milliseconds())
	}
	return text
}

func (o *Op) reply() string {
	switch o.Kind {
	case Set:
		return "OK"
	case SetNX, CAS:
		if o.Result.Nil {
			return "nil"
		}
		return "OK"
	case Get, GetSet:
		return o.Result.String()
	case LRange:
		return fmt.Sprint(o.Result.List)
	case Txn:
		replies := make([]string, len(o.Steps))
		for i, s := range o.Steps {
			replies[i] = (&Op{Kind: s.Kind, Result: s.Result}).reply()
		}
		return "{" + strings.Join(replies, "; ") + "}"
	}
	return fmt.Sprint(o.Result.Int)
}

// String is the value as people read it: a text is quoted.
func (v Value) String() string {
	switch {
	case v.Nil:
		return "nil"
	case v.List != nil:
		return fmt.Sprint(v.List)
	case v.Int != 0:
		return fmt.Sprint(v.Int)
	}
	return fmt.Sprintf("%q", v.Text)
}

// seconds shows a time of the history.
func seconds(ns int64) string {
	if ns == forever {
		return "∞"
	}
	return fmt.Sprintf("%.6fs", float64(ns)/1e9)
}
