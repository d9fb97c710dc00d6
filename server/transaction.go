package server

import (
	"bytes"
	"errors"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/server/acl"
)

// transaction is what a client has queued since MULTI. Its data commands become
// one entry of the log; its session commands run on the node the client is
// connected to, once the data commands have been done, and their replies are
// woven in where they stood.
type transaction struct {
	queue    []queued
	dirty    bool // a command was refused while queueing: EXEC will abort
	db       int  // the session's database at MULTI
	selected int  // the database that a queued SELECT has chosen for what follows
	proto    int  // the protocol that a queued HELLO has chosen for what follows, 0 for none
	data     int  // number of data commands
	own      int  // number of session commands
	size     int  // bytes
	writes   bool // a data command writes
	denyOOM  bool // a data command may make the keyspace larger
	keyed    bool // firstKey is set
	firstKey []byte
	watches  []system.Watch // set by EXEC
}

// queued is one command of a transaction; own copies of the arguments.
type queued struct {
	args [][]byte
	decl *spec.Command
	cmd  *command // nil for a data command
	// What the SELECTs and HELLOs before a data command have it run in and answered in.
	db    int
	proto int // 0: in the session's protocol at EXEC
}

// enqueue appends a command to the transaction, or refuses it and so spoils the
// transaction.
func (s *Session) enqueue(args [][]byte, decl *spec.Command, cmd *command) {
	t := s.txn
	if err := s.admit(args, decl, cmd); err != nil {
		t.dirty = true
		s.local(func(*resp.Writer) error { return err })
		return
	}
	q := queued{args: cloneArgs(args), decl: decl, cmd: cmd}
	s.foresee(q)
	t.note(q)
	s.about.multi.Store(int32(len(t.queue)))
	s.about.multiMem.Store(int64(t.size))
	s.local(func(w *resp.Writer) error {
		w.Simple("QUEUED")
		return nil
	})
}

// admit says why a command may not be queued: as in a Redis cluster, one that
// would be moved is moved at once.
func (s *Session) admit(args [][]byte, decl *spec.Command, cmd *command) error {
	t := s.txn
	if t.size+argBytes(args) > int(s.srv.settings.maxCommand.Load()) {
		return errTooLarge(s.srv.settings.maxCommand.Load())
	}
	if cmd != nil {
		return nil
	}
	if _, keyed := spec.FirstKey(decl, args); !keyed || s.readonly && decl.Kind != spec.Write {
		return nil
	}
	if leader, self, known := s.srv.rep.Leader(); known && !self {
		return moved(leader, &item{decl: decl, args: args}, s)
	}
	return nil
}

// foresee follows the session commands that decide how the data commands behind
// them run: those are done in the log, long before the session commands are run.
// A HELLO that authenticates is judged by the password of this moment.
func (s *Session) foresee(q queued) {
	if q.cmd == nil {
		return
	}
	if db, ok := q.selects(); ok {
		s.txn.selected = db
	}
	if q.decl.Name == declHello.Name {
		if h, err := s.parseHello(q.args); err == nil && h.proto != 0 {
			s.txn.proto = h.proto
		}
	}
}

// selects is the database that the command chooses, if it is a SELECT that will do so.
func (q *queued) selects() (db int, ok bool) {
	if q.decl.Name != declSelect.Name {
		return 0, false
	}
	db, err := parseDB(q.args[1])
	return db, err == nil
}

// note takes up a command, and what EXEC must know of it.
func (t *transaction) note(q queued) {
	t.size += argBytes(q.args)
	if q.cmd == nil {
		q.db, q.proto = t.selected, t.proto
	}
	t.queue = append(t.queue, q)
	t.count(q)
}

// count is what EXEC must know of a command in the queue.
func (t *transaction) count(q queued) {
	if q.cmd != nil {
		t.own++
		return
	}
	t.data++
	t.writes = t.writes || q.decl.Kind == spec.Write
	t.denyOOM = t.denyOOM || q.decl.Flags&spec.DenyOOM != 0
	if key, ok := spec.FirstKey(q.decl, q.args); ok && !t.keyed {
		t.keyed, t.firstKey = true, key
	}
}

// judge looks at EXEC once more whether the user may run what was queued, as rules can
// have changed since, or a queued AUTH will have made it another user. What it may not
// run becomes a command that is answered so; the rest is done, as in Redis.
func (s *Session) judge(t *transaction) {
	a, denied, db := s.account, false, t.db
	for i := range t.queue {
		q := &t.queue[i]
		if q.cmd != nil {
			a = s.foreseeUser(a, q)
			if n, ok := q.selects(); ok && a.Check(q.decl, q.args).Reason == acl.Allowed {
				db = n
			}
			continue
		}
		q.db = db // a SELECT that is refused now chooses nothing
		if a.All() {
			continue
		}
		if err := s.permittedAtExec(a, q); err != nil {
			denied = true
			q.cmd = &command{Command: *q.decl, run: func(*Session, [][]byte, *resp.Writer) error { return err }, denied: true}
		}
	}
	if !denied {
		return
	}
	t.data, t.own, t.writes, t.denyOOM, t.keyed, t.firstKey = 0, 0, false, false, false, nil
	for _, q := range t.queue {
		t.count(q)
	}
}

// foreseeUser says who the session will be after a queued command.
func (s *Session) foreseeUser(a *account, q *queued) *account {
	switch {
	case q.decl.Name == declAuth.Name && q.decl.Container == "" && (len(q.args) == 2 || len(q.args) == 3):
		user := []byte(defaultUser)
		if len(q.args) == 3 {
			user = q.args[1]
		}
		if b, ok := s.srv.knows(user, q.args[len(q.args)-1]); ok {
			return b
		}
	case q.decl.Name == declHello.Name:
		if h, _ := s.parseHello(q.args); h.account != nil {
			return h.account
		}
	}
	return a
}

// empty says that nothing of the transaction concerns the keyspace.
func (t *transaction) empty() bool { return t.data == 0 && len(t.watches) == 0 }

// proposal is the transaction as the log takes it.
func (t *transaction) proposal(proto int) system.Proposal {
	p := system.Proposal{Proto: proto}
	p.DB, p.Atomic, p.Watches = t.db, true, t.watches
	p.Commands = make([]system.Command, 0, t.data)
	for i := range t.queue {
		q := &t.queue[i]
		if q.cmd != nil {
			continue
		}
		cmd := system.Command{Args: q.args, Read: q.decl.Kind != spec.Write, Proto: uint8(q.proto)}
		if q.db != t.db {
			cmd.In(q.db)
		}
		p.Commands = append(p.Commands, cmd)
	}
	return p
}

// exec writes EXEC's reply: that of the data commands (an array, or null where a
// watched key has changed; nil where there were none), with the session commands
// run and woven in.
func (g *segment) exec(it *item, reply []byte) {
	w, t := g.s.out.w, it.txn
	if t.own == 0 && reply != nil {
		w.Raw(reply)
		return
	}
	var elements []byte
	if reply != nil {
		n, rest, ok := arrayHeader(reply)
		if !ok || n != t.data { // null, or an error: nothing was done
			w.Raw(reply)
			return
		}
		elements = rest
	}
	w.Array(len(t.queue))
	for i := range t.queue {
		q := &t.queue[i]
		if q.cmd == nil {
			n := valueLen(elements)
			w.Raw(elements[:n])
			elements = elements[n:]
			continue
		}
		g.s.runQueued(q, w)
	}
}

// runQueued runs a session command of a transaction. It must not wait for the
// client: s.executing tells it so.
func (s *Session) runQueued(q *queued, w *resp.Writer) {
	s.executing = true
	defer func() { s.executing = false }()
	mark := w.Mark()
	var err error
	if !q.cmd.denied && !s.account.All() {
		err = s.permittedAtExec(s.account, q)
	}
	if err == nil {
		err = q.cmd.run(s, q.args, w)
	}
	if err != nil {
		w.Truncate(mark)
		s.writeError(w, wireError(err, nil, s))
	}
}

// endTransaction leaves MULTI and forgets the watched keys.
func (s *Session) endTransaction() {
	s.txn = nil
	s.about.multi.Store(-1)
	s.about.multiMem.Store(0)
	s.unwatch()
}

func (s *Session) unwatch() {
	s.watches = nil
	s.about.watching.Store(0)
}

func cloneArgs(args [][]byte) [][]byte {
	n := 0
	for _, a := range args {
		n += len(a)
	}
	flat := make([]byte, 0, n)
	copies := make([][]byte, len(args))
	for i, a := range args {
		start := len(flat)
		flat = append(flat, a...)
		copies[i] = flat[start:len(flat):len(flat)]
	}
	return copies
}

func transactionCommands() []command {
	return []command{declDiscard, declExec, declMulti, declUnwatch, declWatch}
}

const transactionFlags = spec.NoScript | spec.Loading | spec.Stale | spec.Fast | spec.AllowBusy

var declDiscard = command{
	Command: spec.Command{
		Name: "DISCARD", Group: spec.Transactions, Flags: transactionFlags, Since: "2.0.0",
		Cost:    "O(N), where N is the number of queued commands",
		Summary: "Forgets the queued commands of a transaction and the watched keys.",
	},
	run: cmdDiscard, early: true, immediate: true,
}

func cmdDiscard(s *Session, _ [][]byte, w *resp.Writer) error {
	if s.txn == nil {
		return resp.ErrDiscardNoMulti
	}
	s.endTransaction()
	w.OK()
	return nil
}

var declExec = command{
	Command: spec.Command{
		Name: "EXEC", Group: spec.Transactions, Since: "1.2.0",
		Flags:   spec.NoScript | spec.Loading | spec.Stale | spec.SkipSlowlog,
		Cost:    "Depends on the commands in the transaction",
		Summary: "Runs the queued commands of a transaction, unless a watched key has changed.",
	},
	run: cmdExec, early: true, immediate: true, deferred: true,
}

// cmdExec puts the transaction into the segment, which writes the reply.
func cmdExec(s *Session, _ [][]byte, _ *resp.Writer) error {
	t := s.txn
	if t == nil {
		return resp.ErrExecWithoutMulti
	}
	t.watches = s.watches
	s.endTransaction()
	if !t.dirty {
		s.judge(t)
	}
	if len(t.watches) > 0 && !t.keyed {
		t.keyed, t.firstKey = true, t.watches[0].Key
	}
	if err := s.addTransaction(t); err != nil {
		return err
	}
	if t.own > 0 { // a SELECT, a HELLO … in it is for what comes behind
		s.segment.flush()
	}
	return nil
}

var declMulti = command{
	Command: spec.Command{
		Name: "MULTI", Group: spec.Transactions, Flags: transactionFlags, Since: "1.2.0", Cost: "O(1)",
		Summary: "Begins a transaction: the commands that follow are queued until EXEC.",
	},
	run: cmdMulti, early: true, immediate: true,
}

func cmdMulti(s *Session, _ [][]byte, w *resp.Writer) error {
	if s.txn != nil {
		return resp.ErrNestedMulti
	}
	s.txn = &transaction{db: s.db, selected: s.db}
	s.about.multi.Store(0)
	w.OK()
	return nil
}

var declUnwatch = command{
	Command: spec.Command{
		Name: "UNWATCH", Group: spec.Transactions, Flags: transactionFlags, Since: "2.2.0", Cost: "O(1)",
		Summary: "Forgets the watched keys.",
	},
	run: cmdUnwatch, early: true,
}

func cmdUnwatch(s *Session, _ [][]byte, w *resp.Writer) error {
	s.unwatch()
	w.OK()
	return nil
}

var declWatch = command{
	Command: watchSpec,
	run:     cmdWatch, immediate: true,
}

var watchSpec = spec.Command{
	Name: "WATCH", Syntax: "key [key ...]", Group: spec.Transactions, Flags: transactionFlags,
	Keys: spec.AllKeys(spec.RO), Since: "2.2.0", Cost: "O(1) for every key",
	Summary: "Has the next EXEC do nothing if one of the keys changes until then.",
}

// cmdWatch notes the keys' versions, read no less linearizably than a GET, and where a
// GET would be answered: on a follower, too, after READONLY. The versions are the same
// on every node.
func cmdWatch(s *Session, args [][]byte, w *resp.Writer) error {
	if s.txn != nil {
		return resp.ErrWatchInMulti
	}
	it := &item{decl: &watchSpec, args: args}
	now, err := s.watchBarrier()
	if err == nil { // a key whose time has come is to be watched as the absent one that it is
		err = s.readAt(&system.Content{Atomic: true, Watches: s.watchesOf(args[1:])}, now, nil)
	}
	if err != nil {
		s.refused = err
		return wireError(err, it, s)
	}
	var fresh [][]byte
	for _, key := range args[1:] {
		if !s.isWatched(key) {
			fresh = append(fresh, bytes.Clone(key))
		}
	}
	for i, version := range s.srv.machine.Versions(s.db, fresh) {
		s.watches = append(s.watches, system.Watch{DB: s.db, Key: fresh[i], Version: version})
	}
	s.about.watching.Store(int32(len(s.watches)))
	w.OK()
	return nil
}

// watchBarrier waits for the moment that a WATCH may look at.
func (s *Session) watchBarrier() (now int64, err error) {
	var moved *system.NotLeaderError
	switch {
	case s.refused != nil && !(s.readonly && errors.As(s.refused, &moved)):
		return 0, s.refused
	case s.readonly:
		return s.srv.rep.FollowerBarrier(s.ctx)
	}
	return s.srv.rep.ReadBarrier(s.ctx)
}

// watchesOf are watches of keys of which no version is known yet.
func (s *Session) watchesOf(keys [][]byte) []system.Watch {
	watches := make([]system.Watch, len(keys))
	for i, key := range keys {
		watches[i] = system.Watch{DB: s.db, Key: key}
	}
	return watches
}

// isWatched says whether a key is watched already: its first version counts.
func (s *Session) isWatched(key []byte) bool {
	for i := range s.watches {
		if s.watches[i].DB == s.db && bytes.Equal(s.watches[i].Key, key) {
			return true
		}
	}
	return false
}
