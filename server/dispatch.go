package server

import (
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// handle runs one command or puts it where it will run: a data command into the
// segment, a command of a transaction into its queue.
func (s *Session) handle(args [][]byte) {
	s.current = args
	s.awaitNap()
	if s.conn != nil && crossProtocol(args[0]) {
		s.abortCrossProtocol()
		return
	}
	if !s.refreshUser() {
		s.closing = true // as Redis, without another word
		return
	}
	cmd, isSession, err := s.srv.commands.find(args)
	var data *spec.Command
	if !isSession {
		data, err = s.srv.machine.Lookup(args)
	}
	decl := data
	if cmd != nil {
		decl = &cmd.Command
	}
	if err == nil {
		s.note(decl)
		err = s.refuse(decl, cmd)
	}
	switch {
	case err != nil:
		s.reject(decl, err)
	case s.txn != nil && (cmd == nil || !cmd.immediate):
		s.enqueue(args, decl, cmd)
	case cmd != nil:
		s.runSession(cmd, args)
	default:
		s.add(args, data)
	}
}

// refuse says why a known command may not run at all: in the session's state, or for
// its user.
func (s *Session) refuse(decl *spec.Command, cmd *command) error {
	switch {
	case s.needsPassword() && decl.Flags&spec.NoAuth == 0:
		return resp.ErrNoAuth
	case s.debugDenied(decl):
		return errDebugDenied
	case s.txn != nil && decl.Flags&spec.NoMulti != 0 && (cmd == nil || !cmd.immediate):
		return resp.ErrNoMultiCommand
	}
	err := s.permitted(decl, s.current)
	switch {
	case s.txn == nil:
		return err
	case err != nil && !isPatternDenial(err): // which EXEC answers with, as in Redis
		return err
	}
	return s.affordQueue(decl)
}

// reject answers a command that never ran. It spoils a transaction that is being
// queued; EXEC itself, refused, ends it (as redis/src/server.c:rejectCommand does).
func (s *Session) reject(decl *spec.Command, err error) {
	if s.txn != nil {
		s.txn.dirty = true
	}
	s.rejected(decl)
	if decl != nil && decl.Name == "EXEC" {
		if s.txn != nil {
			s.endTransaction()
		}
		err = execAbort(err)
	}
	s.local(func(*resp.Writer) error { return err })
}

// execAbort is EXEC's answer where it may not run at all.
func execAbort(err error) error {
	return resp.Error("EXECABORT Transaction discarded because of: " + textOf(err))
}

// textOf is an error's text without its code word, as Redis quotes it.
func textOf(err error) string {
	text := err.Error()
	if len(text) > 4 && text[:4] == "ERR " {
		return text[4:]
	}
	return text
}

// note keeps what CLIENT LIST shows of the command.
func (s *Session) note(c *spec.Command) {
	if s.conn == nil {
		return
	}
	if s.about.last.Load() != c {
		s.about.last.Store(c)
	}
}

// runSession runs a session command: at once where it does not depend on the
// data commands before it, otherwise after they have been done.
func (s *Session) runSession(cmd *command, args [][]byte) {
	start := s.srv.now()
	if !cmd.early || cmd.late != nil && cmd.late(args) {
		s.segment.flush()
	}
	var err error
	if !cmd.deferred {
		s.local(func(w *resp.Writer) error {
			err = cmd.run(s, args, w)
			return err
		})
	} else if err = cmd.run(s, args, nil); err != nil {
		s.local(func(*resp.Writer) error { return err })
	}
	s.ran(cmd, args, s.srv.now().Sub(start), err != nil)
}

// local writes a reply that is made here, in its place among those of the data
// commands that still wait.
func (s *Session) local(reply func(w *resp.Writer) error) {
	silent := s.takeSilence()
	w := s.segment.localWriter()
	mark := w.Mark()
	s.written = false
	err := reply(w)
	if s.written { // what was before the mark has left w
		mark = 0
	}
	if err != nil {
		w.Truncate(mark)
		s.writeError(w, wireError(err, nil, s))
	}
	switch {
	case s.replies == replyOff:
		silent = true
	case s.loud:
		silent, s.loud = false, false
	}
	if silent {
		w.Truncate(mark)
	}
	s.segment.addLocal(w, mark)
}

// takeSilence says whether the command being handled goes without a reply, and
// uses up CLIENT REPLY SKIP.
func (s *Session) takeSilence() bool {
	if s.replies == replySkip {
		s.replies = replyOn
		return true
	}
	return s.replies == replyOff
}

func (s *Session) writeError(w *resp.Writer, err resp.Error) {
	s.srv.failed(string(err))
	w.Error(err)
}

// setProto switches the session's replies to RESP 2 or 3, from the next command on.
func (s *Session) setProto(proto int) {
	s.out.w.SetProto(proto)
	s.segment.buf.SetProto(proto)
	s.about.proto.Store(int32(proto))
}

// proto returns 2 or 3.
func (s *Session) proto() int { return s.out.w.Proto() }

// setDB selects a database.
func (s *Session) setDB(db int) {
	s.db = db
	s.about.db.Store(int32(db))
}
