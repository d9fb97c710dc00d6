package server

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/resp/spec"
)

// usage is what was counted of one command or subcommand since the start.
type usage struct {
	name      string // as COMMAND has it: lower case, "client|list"
	container string // lower case; the command itself where it stands alone
	write     bool
	calls     atomic.Int64
	nanos     atomic.Int64
	rejected  atomic.Int64 // refused before they ran
	failed    atomic.Int64 // answered with an error
	base      used         // guarded by tally.mu: what CONFIG RESETSTAT subtracts
}

// used is a usage at one moment.
type used struct{ calls, nanos, rejected, failed int64 }

func (u *usage) read() used {
	return used{u.calls.Load(), u.nanos.Load(), u.rejected.Load(), u.failed.Load()}
}

// tally counts the commands that were run, and the error replies.
type tally struct {
	byDecl sync.Map // *spec.Command → *usage: declarations never change, so each is looked up once

	mu     sync.Mutex
	byName map[string]*usage // guarded by mu
	errors map[string]int64  // guarded by mu: by the word that an error begins with
}

// mostErrors bounds the kinds of errors that are told apart.
const mostErrors = 128

// of returns the usage of a command that was found by its declaration.
func (t *tally) of(decl *spec.Command) *usage {
	if u, ok := t.byDecl.Load(decl); ok {
		return u.(*usage)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	name := decl.FullName()
	u := t.byName[name]
	if u == nil {
		container, _, _ := strings.Cut(name, "|")
		u = &usage{name: name, container: container, write: decl.Kind == spec.Write}
		if t.byName == nil {
			t.byName = make(map[string]*usage)
		}
		t.byName[name] = u
	}
	t.byDecl.Store(decl, u)
	return u
}

// all returns the usages ordered by name, each with what it was at the last reset.
func (t *tally) all() (list []*usage, base []used) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list = slices.SortedFunc(maps.Values(t.byName), func(a, b *usage) int { return cmp.Compare(a.name, b.name) })
	for _, u := range list {
		base = append(base, u.base)
	}
	return list, base
}

// reset is CONFIG RESETSTAT. Prometheus reads the counters too, so they never go back.
func (t *tally) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range t.byName {
		u.base = u.read()
	}
	t.errors = nil
}

// failure counts an error reply.
func (t *tally) failure(text string) {
	word, _, _ := strings.Cut(text, " ")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.errors == nil {
		t.errors = make(map[string]int64)
	}
	if _, known := t.errors[word]; known || len(t.errors) < mostErrors {
		t.errors[word]++
	}
}

// failures returns the words that errors began with, ordered, and how often each.
func (t *tally) failures() (words []string, counts []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	words = slices.Sorted(maps.Keys(t.errors))
	for _, w := range words {
		counts = append(counts, t.errors[w])
	}
	return words, counts
}

// failed counts an error reply, whoever wrote it.
func (s *Server) failed(text string) {
	s.stats.errors.Add(1)
	s.tally.failure(text)
}

// ran counts a session command that ran.
func (s *Session) ran(cmd *command, args [][]byte, took time.Duration, failed bool) {
	u := s.srv.tally.of(&cmd.Command)
	u.calls.Add(1)
	u.nanos.Add(int64(took))
	if failed {
		u.failed.Add(1)
	}
	s.srv.observeSlow(s, args, took)
}

// ran counts the data commands of a segment. Each waited as long as the segment
// took; of the time spent, each gets an equal part.
func (g *segment) ran(took time.Duration) {
	if g.data == 0 {
		return
	}
	share := took / time.Duration(g.data)
	for i := 0; i < len(g.items); {
		it, n := &g.items[i], 1
		switch {
		case it.refused:
		case it.txn != nil:
			for j := range it.txn.queue {
				if q := &it.txn.queue[j]; q.cmd == nil {
					g.s.srv.ranData(q.decl, 1, share, took)
				}
			}
		case it.decl != nil:
			for i+n < len(g.items) && g.items[i+n].decl == it.decl && !g.items[i+n].refused {
				n++
			}
			g.s.srv.ranData(it.decl, n, share, took)
		}
		i += n
	}
	if g.s.srv.slowlog.slow(took) {
		g.slow(took)
	}
}

// ranData counts n calls of a data command, which waited for took each.
func (s *Server) ranData(decl *spec.Command, n int, share, took time.Duration) {
	u := s.tally.of(decl)
	u.calls.Add(int64(n))
	u.nanos.Add(int64(n) * int64(share))
	if u.write && s.opts.Wrote != nil {
		for range n {
			s.opts.Wrote(took)
		}
	}
}

// slow puts the segment's commands into the slow log.
func (g *segment) slow(took time.Duration) {
	for i := range g.items {
		switch it := &g.items[i]; {
		case it.refused:
		case it.decl != nil:
			g.s.srv.observeSlow(g.s, it.args, took)
		case it.txn != nil:
			for j := range it.txn.queue {
				if q := &it.txn.queue[j]; q.cmd == nil {
					g.s.srv.observeSlow(g.s, q.args, took)
				}
			}
		}
	}
}

// replied counts the errors among the replies that the Machine gave to a proposal:
// nobody has looked at them yet. reply is what it wrote for the proposal of it.
func (g *segment) replied(it *item, reply []byte) {
	if !mayHoldError(reply) {
		return
	}
	if it.txn != nil {
		n, rest, ok := arrayHeader(reply)
		if !ok || n != it.txn.data {
			g.oneReply(nil, reply)
			return
		}
		for i := range it.txn.queue {
			if q := &it.txn.queue[i]; q.cmd == nil {
				rest = g.oneReply(q.decl, rest)
			}
		}
		return
	}
	g.eachOf(it, func(one *item) { reply = g.oneReply(one.decl, reply) })
}

// oneReply looks at the first reply of b, and returns what is behind it.
func (g *segment) oneReply(decl *spec.Command, b []byte) (rest []byte) {
	if len(b) == 0 {
		return nil
	}
	n := valueLen(b)
	if b[0] == '-' {
		line, _, _ := bytes.Cut(b[1:n], []byte("\r\n"))
		g.s.srv.failed(string(line))
		if decl != nil {
			g.s.srv.tally.of(decl).failed.Add(1)
		}
	}
	return b[n:]
}

// mayHoldError is quick, and wrong only for values that contain what looks like an
// error.
func mayHoldError(reply []byte) bool {
	return len(reply) > 0 && reply[0] == '-' || bytes.Contains(reply, []byte("\r\n-"))
}

// rejected counts a command that never ran.
func (s *Session) rejected(decl *spec.Command) {
	if decl == nil {
		decl, _ = s.srv.catalog.called(s.current)
	}
	if decl != nil {
		s.srv.tally.of(decl).rejected.Add(1)
	}
}
