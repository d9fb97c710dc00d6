package check

import (
	"math"
	"time"
)

// Workload says which model an operation's key is checked with. A key belongs to one
// workload for the whole history.
type Workload string

// The workloads, each with the kinds that it may hold.
const (
	// Register holds whole values: Get, Set, SetNX, GetSet, CAS, Del, Exists. Values
	// written to one key should differ from each other: checking is then much faster.
	Register Workload = "register"
	// Counter holds a number: Incr, IncrBy, Get, Exists.
	Counter Workload = "counter"
	// Appends holds a string that only grows: Append, Get, Exists. All tokens of a key
	// differ and have the same width.
	Appends Workload = "append"
	// TTL holds values that expire: Set and SetNX with Op.TTL (0: none), Get, PTTL,
	// PExpire, Persist, Exists, Del. The model says what it assumes about clocks: see TTLBounds.
	TTL Workload = "ttl"
	// ListAppend holds transactions over several keys: Txn; and, counting as
	// transactions of one step, Append, Get, RPush and LRange. All tokens of a key
	// differ and, for Append, have the same width.
	ListAppend Workload = "listappend"
)

// Kind is what an operation does.
type Kind string

// The kinds of operations, with the fields of Op that they use.
const (
	Get     Kind = "GET"     // Result: Text or Nil
	Set     Kind = "SET"     // Arg: the value; TTL if it has one (SET PX, PSETEX). Result: not looked at
	SetNX   Kind = "SETNX"   // SET … NX: Arg, TTL as Set. Result: Nil where it did not set, anything else where it did
	GetSet  Kind = "GETSET"  // Arg. Result: Text or Nil, the value before
	CAS     Kind = "CAS"     // WATCH, GET, MULTI, SET, EXEC: Expect: what GET saw; Arg: what SET writes. Result: Nil where EXEC answered nil
	Incr    Kind = "INCR"    // Result: Int
	IncrBy  Kind = "INCRBY"  // Arg: the decimal increment. Result: Int
	Append  Kind = "APPEND"  // Arg: the token. Result: Int, the length after it
	Del     Kind = "DEL"     // Result: Int, 0 or 1
	Exists  Kind = "EXISTS"  // Result: Int, 0 or 1
	PTTL    Kind = "PTTL"    // Result: Int, as Redis answers: ms, -1 no TTL, -2 no key
	PExpire Kind = "PEXPIRE" // TTL. Result: Int, 0 or 1
	Persist Kind = "PERSIST" // Result: Int, 0 or 1
	Txn     Kind = "TXN"     // MULTI … EXEC: Steps
	RPush   Kind = "RPUSH"   // Arg: one element. Result: Int, the length after it
	LRange  Kind = "LRANGE"  // LRANGE key 0 -1. Result: List
)

// Outcome is what a client knows about its operation.
type Outcome string

const (
	// OK: it was acknowledged, and Result holds the reply.
	OK Outcome = "ok"
	// Failed: it was definitely not done, and never will be.
	Failed Outcome = "failed"
	// Unknown: it may have been done, or may yet be done at any later time. Everything
	// that is not certain is Unknown: a timeout, a closed connection, the server's own UNKNOWN.
	Unknown Outcome = "unknown"
)

// Value is a reply: nil, a text, a number or a list. Its zero value is the empty text.
type Value struct {
	Nil  bool     `json:"nil,omitempty"`
	Text string   `json:"text,omitempty"`
	Int  int64    `json:"int,omitempty"`
	List []string `json:"list,omitempty"`
}

// NilValue is the reply nil: no such key.
func NilValue() Value { return Value{Nil: true} }

// TextValue is a string reply.
func TextValue(s string) Value { return Value{Text: s} }

// IntValue is an integer reply.
func IntValue(n int64) Value { return Value{Int: n} }

// ListValue is a reply of several strings.
func ListValue(elements ...string) Value { return Value{List: elements} }

// Step is one command of a transaction: Append, Get, RPush or LRange.
type Step struct {
	Kind   Kind   `json:"kind"`
	Key    string `json:"key"`
	Arg    string `json:"arg,omitempty"`
	Result Value  `json:"result,omitzero"` // its part of EXEC's reply; only where the outcome is OK
}

// Op is one operation of one client, with what came of it.
type Op struct {
	ID       int           `json:"id"`             // given by Record: its place in the history
	Client   int           `json:"client"`         // who asked; a client has one operation at a time
	Node     string        `json:"node,omitempty"` // who answered, as far as known: for the pictures only
	Workload Workload      `json:"workload"`
	Kind     Kind          `json:"kind"`
	Key      string        `json:"key,omitempty"`
	Arg      string        `json:"arg,omitempty"`
	Expect   Value         `json:"expect,omitzero"` // only CAS: what its GET saw
	TTL      time.Duration `json:"ttl,omitempty"`   // only Set, SetNX, PExpire; 0 is none
	Steps    []Step        `json:"steps,omitempty"` // only Txn
	Result   Value         `json:"result,omitzero"` // only where the outcome is OK
	Outcome  Outcome       `json:"outcome"`
	Error    string        `json:"error,omitempty"` // why it is not OK: for people only
	Call     int64         `json:"call"`            // ns since the history began, noted before the first byte was sent
	Return   int64         `json:"return"`          // ns since the history began, noted after the reply, or when the client gave up
}

// forever is the return time of what may yet be done.
const forever = math.MaxInt64

// end is when the operation was certainly over, as far as the order of operations goes.
func (o *Op) end() int64 {
	if o.Outcome == Unknown {
		return forever
	}
	return o.Return
}

// reads says whether the operation changes nothing.
func (o *Op) reads() bool {
	switch o.Kind {
	case Get, Exists, PTTL, LRange:
		return true
	case Txn:
		for _, s := range o.Steps {
			if s.Kind == Append || s.Kind == RPush {
				return false
			}
		}
		return true
	}
	return false
}
