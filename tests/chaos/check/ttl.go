package check

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// expiring is one possible state of a key with a TTL.
type expiring struct {
	present bool
	value   string
	ttl     time.Duration // 0: none
	// The moment at which the TTL began lies in [lo, hi] of the history's time; both
	// are 0 without a TTL.
	lo, hi int64
}

// ttlModel is a key whose values expire: a register, and for the time this.
//
// Each write that gives a key a TTL was stamped by the server at some moment s within
// [call, return] of the operation that wrote, on a clock that is not the clients': of
// d ns for the clients it counts between d*(1-Slack)-Lag and d*(1+Slack)+Lead (see
// TTLBounds). An operation that meets the key looked at the clock at some moment e
// within its own [call, return]. So
//
//   - who still found the key had       e - s <= (TTL + Lag) / (1 - Slack),
//   - who found it gone had             e - s >= (TTL - Lead) / (1 + Slack),
//   - who was told p ms of TTL left had e - s >= (TTL - p - 1 ms - Lead) / (1 + Slack)
//     and                               e - s <= (TTL - p + 1 ms + Lag) / (1 - Slack).
//
// That is: not gone before about TTL*(1-Slack) after the earliest moment at which it
// could have been set, gone after about TTL*(1+Slack)+Lag after the latest. Each
// finding narrows the interval in which s lies, and an empty interval is a violation. A key once found
// expired is absent until a write. Moments of different operations are not compared
// with each other except through s, so the model may accept too much, by at most the
// length of the operations; it never accepts too little.
//
// Operations that say nothing of what they met (a SET, anything pending) leave both
// possibilities, so a state is a set of expiring.
func ttlModel(bounds TTLBounds) model {
	return model{
		kinds: []Kind{Get, Set, SetNX, PTTL, PExpire, Persist, Exists, Del},
		init:  []expiring{{}},
		step: func(state any, e *event) (any, bool) {
			var next []expiring
			for _, s := range state.([]expiring) {
				for _, n := range s.step(e, bounds) {
					if !slices.Contains(next, n) {
						next = append(next, n)
					}
				}
			}
			return next, len(next) > 0
		},
		equal: func(a, b any) bool { return sameStates(a.([]expiring), b.([]expiring)) },
		show: func(state any) string {
			var shown []string
			for _, s := range state.([]expiring) {
				shown = append(shown, s.String())
			}
			return strings.Join(shown, " or ")
		},
	}
}

func sameStates(a, b []expiring) bool {
	if len(a) != len(b) {
		return false
	}
	for _, s := range a {
		if !slices.Contains(b, s) {
			return false
		}
	}
	return true
}

func (s expiring) String() string {
	if !s.present {
		return "nil"
	}
	if s.ttl == 0 {
		return fmt.Sprintf("%q", s.value)
	}
	return fmt.Sprintf("%q, %v from [%s, %s]", s.value, s.ttl, seconds(s.lo), seconds(s.hi))
}

// step returns the states that may follow; none where the operation could not have
// had its result.
func (s expiring) step(e *event, bounds TTLBounds) []expiring {
	var next []expiring
	if alive, ok := s.alive(e, bounds); ok {
		if n, ok := alive.meet(e, bounds); ok {
			next = append(next, n)
		}
	}
	if s.gone(e, bounds) {
		if n, ok := (expiring{}).meet(e, bounds); ok {
			next = append(next, n)
		}
	}
	return next
}

// alive narrows s to what it must be if the key was there for e.
func (s expiring) alive(e *event, bounds TTLBounds) (expiring, bool) {
	if !s.present || s.ttl == 0 {
		return s, s.present
	}
	return s.narrow(e, 0, bounds.longest(s.ttl))
}

// gone says whether e may have found no key.
func (s expiring) gone(e *event, bounds TTLBounds) bool {
	if !s.present || s.ttl == 0 {
		return !s.present
	}
	_, ok := s.narrow(e, bounds.shortest(s.ttl), forever)
	return ok
}

// narrow leaves of [lo, hi] what lies between least and most ns before a moment of e.
func (s expiring) narrow(e *event, least, most int64) (expiring, bool) {
	if most != forever {
		s.lo = max(s.lo, e.call-most)
	}
	if e.end != forever {
		s.hi = min(s.hi, e.end-least)
	}
	return s, s.lo <= s.hi
}

// longest is how long, for the clients, the server's clock may take for d.
func (b TTLBounds) longest(d time.Duration) int64 {
	return int64(float64(d+b.Lag) / (1 - b.Slack))
}

// shortest is how soon, for the clients, the server's clock may be done with d.
func (b TTLBounds) shortest(d time.Duration) int64 {
	return max(0, int64(float64(d-b.Lead)/(1+b.Slack)))
}

// meet does e on the key, whose presence is settled.
func (s expiring) meet(e *event, bounds TTLBounds) (expiring, bool) {
	result, known := e.op.Result, !e.pending
	one := known && result.Int == 1
	switch e.op.Kind {
	case Get:
		return s, register{s.present, s.value}.is(result)
	case Set:
		return s.written(e), true
	case SetNX:
		if s.present {
			return s, !known || result.Nil
		}
		return s.written(e), !known || !result.Nil
	case PTTL:
		return s.remaining(e, bounds)
	case PExpire:
		if !s.present {
			return s, !one
		}
		value := s.value
		s = s.written(e)
		s.value = value
		return s, !known || one
	case Persist:
		had := s.present && s.ttl > 0
		s.ttl, s.lo, s.hi = 0, 0, 0
		return s, !known || had == one
	case Exists:
		return s, s.present == one
	case Del:
		return expiring{}, !known || s.present == one
	}
	return s, false
}

// written is the state after e stored its argument and TTL.
func (s expiring) written(e *event) expiring {
	next := expiring{present: true, value: e.arg}
	if e.op.TTL > 0 {
		next.ttl, next.lo, next.hi = e.op.TTL, e.call, e.end
	}
	return next
}

// remaining checks PTTL's answer.
func (s expiring) remaining(e *event, bounds TTLBounds) (expiring, bool) {
	switch left := e.op.Result.Int; {
	case !s.present:
		return s, left == -2
	case s.ttl == 0:
		return s, left == -1
	case left < 0 || left > s.ttl.Milliseconds():
		return s, false
	default:
		passed := s.ttl - time.Duration(left)*time.Millisecond
		return s.narrow(e, bounds.shortest(passed-time.Millisecond), bounds.longest(passed+time.Millisecond))
	}
}
