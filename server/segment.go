package server

import (
	"errors"
	"sync/atomic"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// segment is a run of commands of one pipeline that go to the log, or to the
// Machine, together: their replies, and those made here in between, come in the
// order of the commands. Whatever depends on their outcome flushes it first.
type segment struct {
	s     *Session
	items []item
	buf   *resp.Writer // replies made here, while data commands before them wait
	wait  outcome
	now   barrier // a follower's, for the reads of this segment

	next, mark int         // the first item without a reply, and where in the output its reply begins
	reserved   reservation // what the writes may add to the keyspace

	data    int        // data commands, those of transactions included
	reads   int        // data commands that only read
	writes  bool       // a data command writes
	table   *userTable // by which the first of the data commands was permitted
	running bool       // flush is at work; a session command within EXEC must not begin it again
}

// item is one command of a segment: a data command, a transaction, or a reply
// that was made here.
type item struct {
	args     [][]byte
	decl     *spec.Command // nil where the item is not a data command
	txn      *transaction  // an EXEC
	from, to int           // a reply: where it stands in buf
	db       int
	proto    int
	silent   bool  // the reply is left out
	denied   error // its user may not run it any more
	refused  bool  // it was not done, or nobody knows
	prop     int   // the proposal that carries it, -1 for none
	last     bool  // the last of its proposal
}

// proposalBytes is how much of a pipeline goes into one proposal: more would be
// one undivided piece of a log entry (libraries.md, raft 13).
const proposalBytes = 256 * 1024

// The replies of one proposal are in memory together, and so are those of all
// that go to the log at once. These bound how many values a small pipeline can
// make the server hold.
const (
	readChunk   = 16  // reads in one call of the Machine, where nothing writes
	ridingReads = 256 // reads that go through the log with writes
)

func (g *segment) init(s *Session) {
	g.s = s
	g.buf = resp.NewWriter(2, nil)
	g.wait.ready = make(chan struct{}, 1)
}

// add appends a data command.
func (g *segment) add(args [][]byte, decl *spec.Command, silent bool) {
	write := decl.Kind == spec.Write
	if (write || g.writes) && g.reads >= ridingReads {
		g.flush()
	}
	if write {
		g.writes = true
	} else {
		g.reads++
	}
	g.permittedBy()
	g.data++
	g.items = append(g.items, item{args: args, decl: decl, db: g.s.db, proto: g.s.proto(), silent: silent, prop: -1})
}

// addExec appends a transaction.
func (g *segment) addExec(t *transaction, silent bool) {
	g.permittedBy()
	g.writes = g.writes || t.writes
	g.data += t.data
	g.items = append(g.items, item{txn: t, db: t.db, proto: g.s.proto(), silent: silent, prop: -1})
}

// permittedBy notes the users by which a command that is added was permitted.
func (g *segment) permittedBy() {
	if g.data == 0 {
		g.table = g.s.table
	}
}

// localWriter is where a reply made here goes: straight to the output while
// nothing before it waits.
func (g *segment) localWriter() *resp.Writer {
	if len(g.items) == 0 {
		return g.s.out.w
	}
	return g.buf
}

// addLocal takes up what was written to localWriter's w since mark.
func (g *segment) addLocal(w *resp.Writer, mark int) {
	if w == g.buf && w.Mark() > mark {
		g.items = append(g.items, item{from: mark, to: w.Mark(), prop: -1})
	}
}

// flush has the commands done and appends all replies to the session's output.
func (g *segment) flush() {
	if len(g.items) == 0 || g.running {
		return
	}
	g.running = true
	defer func() { g.running = false }()
	start := g.s.srv.now()
	g.run()
	g.ran(g.s.srv.now().Sub(start))
	g.clear()
}

func (g *segment) clear() {
	g.release()
	clear(g.items)
	g.items, g.data, g.reads, g.writes = g.items[:0], 0, 0, false
	if cap(g.items) > pipelineKept {
		g.items = nil
	}
	proto := g.buf.Proto()
	if cap(g.buf.Bytes()) > keptReply {
		*g.buf = *resp.NewWriter(proto, nil)
	}
	g.buf.Reset(proto)
}

const pipelineKept = 1024 // items, results: longer slices are dropped after use

// run decides by the node's role.
func (g *segment) run() {
	g.now = barrier{}
	g.next, g.mark = 0, g.s.out.w.Mark()
	if g.s.refused != nil {
		g.replies(func(it *item) { g.refuse(it, g.s.refused) })
		return
	}
	leader, self, known := g.s.srv.rep.Leader()
	here := self || !known
	if here && g.writes {
		if err := g.settle(); err != nil {
			g.s.refused = err
			g.replies(func(it *item) { g.refuse(it, err) })
			g.next = len(g.items)
			return
		}
	}
	ps := g.propose()
	switch {
	case len(ps) == 0:
		g.replies(func(it *item) { g.answer(it) })
	case !here:
		g.follow(leader)
	case g.writes:
		g.submit(ps)
	default:
		g.read(ps)
	}
	g.next = len(g.items)
}

// settle asks again whether the user may run what goes to the log, where this node has
// only begun to lead: the users by which that was permitted may be older than what the
// leader before it was told and acknowledged. It waits until that is applied here.
func (g *segment) settle() error {
	if g.s.remote || g.s.srv.rep.Settled() {
		return nil
	}
	if _, err := g.s.srv.rep.ReadBarrier(g.s.ctx); err != nil {
		return err
	}
	for i := range g.items {
		if it := &g.items[i]; it.decl != nil || it.txn != nil && !it.txn.empty() {
			it.denied = g.permittedStill(it)
		}
	}
	return nil
}

// answer writes the reply of a command that no proposal carries.
func (g *segment) answer(it *item) {
	if it.denied != nil {
		g.deny(it, it.denied)
	} else {
		g.exec(it, nil)
	}
}

// replies writes the items' replies in order; data writes that of an item that is
// not a ready-made reply.
func (g *segment) replies(data func(it *item)) {
	w := g.s.out.w
	for i := range g.items {
		it := &g.items[i]
		g.next, g.mark = i, w.Mark()
		if it.decl == nil && it.txn == nil {
			w.Raw(g.buf.Bytes()[it.from:it.to])
			continue
		}
		proto := w.Proto()
		w.SetProto(it.proto)
		data(it)
		if it.txn == nil || it.txn.own == 0 { // a HELLO in a transaction switches for good
			w.SetProto(proto)
		}
		if it.silent {
			w.Truncate(g.mark)
		}
		if w.Mark() >= flushSize && g.s.conn != nil {
			_ = g.s.out.flush() // where the client is gone, what was proposed is done all the same
			g.mark = 0
		}
	}
}

// propose makes the proposals: consecutive commands of one database become one,
// an EXEC one of its own.
func (g *segment) propose() (ps []system.Proposal) {
	commands := make([]system.Command, 0, g.commandCount())
	open := -1 // the item that began the proposal that the next command may join
	size := 0
	for i := range g.items {
		it := &g.items[i]
		switch {
		case it.denied != nil:
			open = -1
		case it.txn != nil:
			open = -1
			if it.txn.empty() {
				continue
			}
			ps = append(ps, it.txn.proposal(it.proto))
			it.prop, it.last = len(ps)-1, true
		case it.decl != nil:
			n := argBytes(it.args)
			if open < 0 || size+n > proposalBytes || !g.writes && i-open >= readChunk || !g.items[open].joins(it) {
				p := system.Proposal{Proto: it.proto}
				p.DB = it.db
				ps = append(ps, p)
				open, size = i, 0
			} else {
				g.items[i-1].last = false
			}
			size += n
			p := &ps[len(ps)-1]
			commands = append(commands, system.Command{Args: it.args, Read: it.decl.Kind != spec.Write})
			p.Commands = commands[len(commands)-1-len(p.Commands) : len(commands) : len(commands)]
			it.prop, it.last = len(ps)-1, true
		default:
			open = -1
		}
	}
	return ps
}

func (g *segment) commandCount() int {
	n := 0
	for i := range g.items {
		if g.items[i].decl != nil {
			n++
		}
	}
	return n
}

// joins says whether two commands may share a proposal, and so one reply.
func (it *item) joins(next *item) bool {
	return it.db == next.db && it.proto == next.proto && it.silent == next.silent
}

func argBytes(args [][]byte) int {
	n := 0
	for _, a := range args {
		n += len(a) + 16
	}
	return n
}

// submit sends the proposals to the log and waits for the outcome of each.
func (g *segment) submit(ps []system.Proposal) {
	g.wait.begin(ps)
	g.s.srv.rep.Submit(ps)
	<-g.wait.ready
	for i := range g.wait.results {
		if err := g.wait.results[i].err; err != nil {
			if errors.Is(err, system.ErrUnknownOutcome) {
				g.s.abandon()
			}
			g.s.refused = err
			break
		}
	}
	g.replies(func(it *item) {
		if it.prop < 0 {
			g.answer(it)
			return
		}
		switch r := &g.wait.results[it.prop]; {
		case r.err != nil:
			g.refuse(it, r.err)
		case it.txn != nil:
			g.replied(it, r.reply)
			g.exec(it, r.reply)
		case it.last: // one reply for all commands of the proposal
			g.replied(it, r.reply)
			g.s.out.w.Raw(r.reply)
		}
	})
	g.wait.end()
}

// outcome gathers the replies of a segment's proposals. Done functions are kept
// from segment to segment.
type outcome struct {
	results []result
	done    []func(reply []byte, err error)
	left    atomic.Int32
	ready   chan struct{} // gets one value when nothing is left
}

// result is one proposal's. It belongs to the replicator until Done was called.
type result struct {
	reply []byte
	err   error
}

// begin makes ready for the proposals, and gives each its Done.
func (o *outcome) begin(ps []system.Proposal) {
	for i := len(o.done); i < len(ps); i++ {
		o.done = append(o.done, func(reply []byte, err error) {
			r := &o.results[i]
			r.reply, r.err = append(r.reply[:0], reply...), err
			if o.left.Add(-1) == 0 {
				o.ready <- struct{}{}
			}
		})
	}
	if cap(o.results) < len(ps) {
		o.results = make([]result, len(ps))
	}
	o.results = o.results[:len(ps)]
	o.left.Store(int32(len(ps)))
	for i := range ps {
		ps[i].Done = o.done[i]
	}
}

// end lets go of what is large.
func (o *outcome) end() {
	if cap(o.results) > pipelineKept {
		o.results, o.done = nil, nil
		return
	}
	for i := range o.results {
		r := &o.results[i]
		r.err = nil
		if cap(r.reply) > flushSize {
			r.reply = nil
		}
	}
}

// abandon leaves the pipeline's memory to a proposal that may still be applied
// one day, long after its client was told that the outcome is unknown.
func (s *Session) abandon() {
	if s.in != nil {
		s.in.Abandon()
	}
	s.arena = nil
}

// abort answers, after a panic, what has no reply yet. Of what was proposed the
// outcome can no longer be told.
func (g *segment) abort() {
	g.release()
	w := g.s.out.w
	if len(g.items) > 0 && g.next < len(g.items) {
		w.Truncate(max(g.mark, 0))
	}
	for ; g.next < len(g.items); g.next++ {
		it := &g.items[g.next]
		if it.decl == nil && it.txn == nil {
			w.Raw(g.buf.Bytes()[it.from:it.to])
		} else if !it.silent {
			w.Error(resp.ErrUnknown)
		}
	}
	w.Error(errPanic)
	g.items = nil
}
