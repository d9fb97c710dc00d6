//go:build linux

// Package workload is the clients of a chaos run. Each is on one side of the
// network, runs one kind of operations against keys that it shares with others, and
// records what it asked and what it knows of the outcome. Nothing is ever sent
// twice that may have been done. It knows no faults and judges no history.
package workload

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/chaos/check"
)

// Tally counts the outcomes of a workload.
type Tally struct{ OK, Failed, Unknown int }

// Recorder takes the operations of all clients.
type Recorder struct {
	History *check.History

	clients atomic.Int64

	mu      sync.Mutex
	tallies map[check.Workload]Tally  // guarded by mu
	strange map[string]int            // guarded by mu; error replies that no fault explains
	keys    map[string]check.Workload // guarded by mu
}

// NewRecorder returns a recorder into a history.
func NewRecorder(h *check.History) *Recorder {
	return &Recorder{History: h, tallies: map[check.Workload]Tally{}, strange: map[string]int{}, keys: map[string]check.Workload{}}
}

func (r *Recorder) record(op check.Op) {
	r.History.Record(op)
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tallies[op.Workload]
	switch op.Outcome {
	case check.OK:
		t.OK++
	case check.Failed:
		t.Failed++
	default:
		t.Unknown++
	}
	r.tallies[op.Workload] = t
	if op.Key != "" {
		r.keys[op.Key] = op.Workload
	}
	for _, s := range op.Steps {
		r.keys[s.Key] = op.Workload
	}
}

// Tallies are the outcomes so far, by workload.
func (r *Recorder) Tallies() map[check.Workload]Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[check.Workload]Tally, len(r.tallies))
	for w, t := range r.tallies {
		out[w] = t
	}
	return out
}

// Keys are the keys of all operations so far, with their workloads.
func (r *Recorder) Keys() map[string]check.Workload {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]check.Workload, len(r.keys))
	for k, w := range r.keys {
		out[k] = w
	}
	return out
}

// Strange are error replies that no fault explains, and how often each came.
func (r *Recorder) Strange() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]int, len(r.strange))
	for text, times := range r.strange {
		out[text] = times
	}
	return out
}

func (r *Recorder) note(err error) {
	if !unexpected(err) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strange[err.Error()]++
}

// Session is one client, which has one operation at a time.
type Session struct {
	rec    *Recorder
	id     int
	caller *caller
	tokens int
}

// NewSession returns a client at a place.
func NewSession(rec *Recorder, p Place, mode Mode) *Session {
	return &Session{rec: rec, id: int(rec.clients.Add(1)), caller: newCaller(p, mode)}
}

// Close closes the client's connections.
func (s *Session) Close() { s.caller.close() }

// Token is a value that no client used before; all have the same width.
func (s *Session) Token() string {
	s.tokens++
	return "c" + pad(s.id, 5) + "." + pad(s.tokens, 6) + ";"
}

func pad(n, width int) string {
	text := strconv.Itoa(n)
	for len(text) < width {
		text = "0" + text
	}
	return text
}

// Do runs an operation of one command, records it and returns it with its outcome.
func (s *Session) Do(ctx context.Context, op check.Op) check.Op {
	reads := op.Kind == check.Get || op.Kind == check.Exists || op.Kind == check.PTTL
	op.Call = s.rec.History.Now()
	a := s.caller.call(ctx, reads, command(&op))
	return s.finish(op, &a, func() check.Value { return value(a.last()) })
}

// finish records an operation that is over. result is asked where it was done.
func (s *Session) finish(op check.Op, a *answer, result func() check.Value) check.Op {
	op.Client, op.Node, op.Outcome = s.id, a.node, a.outcome
	if a.err != nil {
		op.Error = a.err.Error()
		s.rec.note(a.err)
	}
	if op.Outcome == check.OK && result != nil {
		op.Result = result()
	}
	op.Return = s.rec.History.Now()
	s.rec.record(op)
	return op
}

// command is the command line of an operation.
func command(op *check.Op) []any {
	args := []any{string(op.Kind), op.Key}
	switch op.Kind {
	case check.Set, check.SetNX:
		args[0] = "SET"
		args = append(args, op.Arg)
		if op.TTL > 0 {
			args = append(args, "PX", op.TTL.Milliseconds())
		}
		if op.Kind == check.SetNX {
			args = append(args, "NX")
		}
	case check.PExpire:
		args = append(args, op.TTL.Milliseconds())
	case check.GetSet, check.IncrBy, check.Append, check.RPush:
		args = append(args, op.Arg)
	}
	return args
}

// value is a reply in the checker's words.
func value(reply any) check.Value {
	switch r := reply.(type) {
	case string:
		return check.TextValue(r)
	case int64:
		return check.IntValue(r)
	}
	return check.NilValue()
}

// CAS changes a key from what it holds to something else, by WATCH, GET, MULTI, SET
// and EXEC. The GET is an operation of its own.
func (s *Session) CAS(ctx context.Context, workload check.Workload, key, to string) {
	get := check.Op{Workload: workload, Kind: check.Get, Key: key, Call: s.rec.History.Now()}
	a, conn := s.caller.callAndKeep(ctx, false, []any{"WATCH", key}, []any{"GET", key})
	if conn != nil {
		defer conn.Close()
	}
	get = s.finish(get, &a, func() check.Value { return value(a.last()) })
	if get.Outcome != check.OK {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	op := check.Op{Workload: workload, Kind: check.CAS, Key: key, Expect: get.Result, Arg: to, Call: s.rec.History.Now()}
	b := s.caller.send(ctx, conn, [][]any{{"MULTI"}, {"SET", key, to}, {"EXEC"}})
	b.node = a.node
	s.finish(op, &b, func() check.Value {
		if _, done := b.last().([]any); done {
			return check.TextValue("OK")
		}
		return check.NilValue()
	})
}

// Txn runs steps as one transaction.
func (s *Session) Txn(ctx context.Context, workload check.Workload, steps []check.Step) {
	commands := [][]any{{"MULTI"}}
	for _, step := range steps {
		commands = append(commands, command(&check.Op{Kind: step.Kind, Key: step.Key, Arg: step.Arg}))
	}
	commands = append(commands, []any{"EXEC"})
	op := check.Op{Workload: workload, Kind: check.Txn, Steps: steps, Call: s.rec.History.Now()}
	a := s.caller.call(ctx, false, commands...)
	if a.outcome == check.OK {
		results, done := a.last().([]any)
		if !done || len(results) != len(steps) {
			a.outcome, a.err = check.Failed, redis.TxFailedErr
		}
		for i := range results {
			steps[i].Result = value(results[i])
		}
	}
	s.finish(op, &a, nil)
}

// Works returns nil once the session's client gets an answer to a write, of which
// no record is kept.
func (s *Session) Works(ctx context.Context, key string) error {
	a := s.caller.call(ctx, false, []any{"SET", key, time.Now().String()})
	return a.err
}
