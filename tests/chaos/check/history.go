package check

import (
	"slices"
	"sync"
	"time"
)

// TTLBounds is how far the clock that expires keys may differ from the clients'.
// Between two moments that lie d apart for the clients, the server's clock advances by
// at least d*(1-Slack) - Lag and at most d*(1+Slack) + Lead.
type TTLBounds struct {
	Slack float64       `json:"slack"` // 0.1: the leader's clock is slewed by at most 10 % (safety.md, 4)
	Lag   time.Duration `json:"lag"`   // what failovers may take from it, and how late an expired key may go
	Lead  time.Duration `json:"lead"`  // what a cold start may add to it: 0 unless clocks jump forward and all nodes restart
}

// DefaultTTLBounds holds for runs whose wall clocks do not jump before a cold start.
var DefaultTTLBounds = TTLBounds{Slack: 0.1, Lag: 5 * time.Second}

// Meta says what run a history is of.
type Meta struct {
	Seed    uint64            `json:"seed"`
	Started time.Time         `json:"started"`
	Nodes   []string          `json:"nodes,omitempty"` // in the order in which the pictures show them
	TTL     TTLBounds         `json:"ttl"`             // zero: DefaultTTLBounds
	Notes   map[string]string `json:"notes,omitempty"` // anything worth keeping: flags, build, commit
}

// Leading is the Kind of a Fault that is none: the node led during that time.
const Leading = "leader"

// Fault is something that was done to a node during an interval.
type Fault struct {
	Node string `json:"node"`           // "" is every node
	Kind string `json:"kind"`           // "kill", "pause", "isolate", "clock", …, or Leading; one colour each
	Note string `json:"note,omitempty"` // shown when the mouse rests on it
	From int64  `json:"from"`           // ns since the history began
	To   int64  `json:"to"`             // 0: it never ended. Equal to From: a moment
}

// Final is what a node held at the end, by key; keys that it does not hold may be
// absent or Nil.
type Final map[string]Value

// History is a run: its operations, its faults, and what the nodes held at the end.
// All methods may be called by several goroutines.
type History struct {
	began time.Time

	mu     sync.Mutex
	meta   Meta             // guarded by mu
	ops    []Op             // guarded by mu
	faults []Fault          // guarded by mu
	finals map[string]Final // guarded by mu; by node
}

// NewHistory begins a history now. Meta.Started is set if it is zero.
func NewHistory(meta Meta) *History {
	began := time.Now()
	if meta.Started.IsZero() {
		meta.Started = began
	}
	return &History{began: began, meta: meta, finals: make(map[string]Final)}
}

// Now is the time that Op.Call, Op.Return and Fault count in: monotonic ns since
// NewHistory.
func (h *History) Now() int64 { return int64(time.Since(h.began)) }

// Record adds an operation that is over, and numbers it. The slices of op must not be
// changed afterwards.
func (h *History) Record(op Op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op.ID = len(h.ops)
	h.ops = append(h.ops, op)
}

// AddFault adds a fault, when it is over.
func (h *History) AddFault(f Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, f)
}

// SetFinal notes what a node held at the end.
func (h *History) SetFinal(node string, state Final) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finals[node] = state
}

// Meta says what run this is.
func (h *History) Meta() Meta {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.meta
}

// Len is the number of operations so far.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Ops are the operations so far, in the order in which they were recorded.
func (h *History) Ops() []Op {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ops)
}

// Faults are the faults so far.
func (h *History) Faults() []Fault {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.faults)
}

// Finals are the final states noted so far, by node.
func (h *History) Finals() map[string]Final {
	h.mu.Lock()
	defer h.mu.Unlock()
	finals := make(map[string]Final, len(h.finals))
	for node, state := range h.finals {
		finals[node] = state
	}
	return finals
}

// ttlBounds are the bounds of the run.
func (h *History) ttlBounds() TTLBounds {
	if b := h.Meta().TTL; b != (TTLBounds{}) {
		return b
	}
	return DefaultTTLBounds
}
