package server

import (
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/tidwall/redcon"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// Local runs commands of this process, as a connection without a name would: database
// 0, RESP2, for a user that was authenticated elsewhere. It is safe for concurrent use.
type Local struct {
	srv  *Server
	idle sync.Pool // *Session
}

// NewLocal returns a Local.
func (s *Server) NewLocal() *Local {
	l := &Local{srv: s}
	l.idle.New = func() any { return newSession(s, nil) }
	return l
}

// Do runs one command for a user and returns its reply in RESP2 form. A refusal comes back as
// the error that it is (*system.NotLeaderError, system.ErrNoLeader,
// system.ErrUnknownOutcome …), every other error reply as a reply. A write whose
// outcome is awaited is not given up when ctx ends.
func (l *Local) Do(ctx context.Context, user string, args ...[]byte) ([]byte, error) {
	if len(args) == 0 {
		return nil, errors.New("no command")
	}
	if wireBytes(args) > l.srv.settings.maxCommand.Load() {
		return nil, system.ErrTooLarge
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := l.idle.Get().(*Session)
	if !s.actAs(user) {
		l.idle.Put(s)
		return nil, errUserGone
	}
	reply, err := s.alone(ctx, func() { s.handle(args) })
	if s.pristine() {
		l.idle.Put(s)
	}
	return reply, err
}

// actAs makes a session that has no connection the user's; false where there is none
// of that name.
func (s *Session) actAs(user string) bool {
	t := s.srv.accounts()
	a := t.byName[user]
	if a == nil {
		return false
	}
	s.table = t
	s.authenticated(a)
	return true
}

// pristine says that the session's commands have left no traces: it may serve
// somebody else.
func (s *Session) pristine() bool {
	return s.db == 0 && s.txn == nil && len(s.watches) == 0 && s.proto() == 2 &&
		!s.readonly && !s.closing && s.replies == replyOn && s.ctx.Err() == nil
}

// alone runs what a session without a connection was asked for, and returns its
// reply or the refusal.
func (s *Session) alone(ctx context.Context, run func()) (reply []byte, err error) {
	proto := s.proto()
	s.ctx = ctx
	s.failure, s.refused = nil, nil
	s.out.w.Reset(proto)
	defer func() {
		s.ctx = s.srv.ctx
		if recover := recover(); recover != nil {
			s.closing = true // not to be used again
			s.segment.release()
			panic(recover)
		}
	}()
	s.srv.stats.commands.Add(1)
	run()
	s.segment.flush()
	if s.failure != nil {
		return nil, s.failure
	}
	return append([]byte(nil), s.out.w.Bytes()...), nil
}

// RunForwarded runs a write without keys, or a transaction of such, or a change of
// users or settings, that another node was asked for, and has checked the permission for. It is never forwarded again: where this node does not lead,
// the error says who does. The reply has the caller's protocol.
func (s *Server) RunForwarded(ctx context.Context, c system.Caller, args [][]byte) ([]byte, error) {
	if len(args) == 0 || c.DB < 0 || c.DB >= databases {
		return nil, &system.RefusedError{Reason: "a forwarded command that is none"}
	}
	if system.ForClients(args) {
		return s.logSystem(args)
	}
	session := newSession(s, nil)
	defer session.cancel()
	session.trust()
	session.setDB(c.DB)
	session.setProto(c.Proto)
	if len(args) > 1 && string(args[0]) == forwardedExec {
		t, err := s.decodeTransaction(c.DB, args[1:])
		if err != nil {
			return nil, err
		}
		return session.alone(ctx, func() {
			if err := session.addTransaction(t); err != nil {
				session.local(func(*resp.Writer) error { return err })
			}
		})
	}
	decl, err := s.machine.Lookup(args)
	if err != nil {
		var wire resp.Error
		if !errors.As(err, &wire) {
			return nil, err
		}
		w := resp.NewWriter(c.Proto, nil)
		w.Error(wire)
		return w.Bytes(), nil
	}
	return session.alone(ctx, func() { session.add(args, decl) })
}

// forwardedExec names a forwarded transaction: each argument is a command of it, the
// number of its database and the protocol of its reply in a byte each (0: the
// caller's), then the command in multibulk form.
const forwardedExec = "EXEC"

// encode is a transaction as Forward takes it: its data commands only.
func (t *transaction) encode() [][]byte {
	args := [][]byte{[]byte(forwardedExec)}
	for i := range t.queue {
		q := &t.queue[i]
		if q.cmd != nil {
			continue
		}
		b := []byte{byte(q.db), byte(q.proto), '*'}
		b = append(strconv.AppendInt(b, int64(len(q.args)), 10), "\r\n"...)
		for _, a := range q.args {
			b = append(b, '$')
			b = append(strconv.AppendInt(b, int64(len(a)), 10), "\r\n"...)
			b = append(append(b, a...), "\r\n"...)
		}
		args = append(args, b)
	}
	return args
}

// decodeTransaction is the reverse of encode.
func (s *Server) decodeTransaction(db int, frames [][]byte) (*transaction, error) {
	t := &transaction{db: db}
	for _, f := range frames {
		if len(f) < 2 || f[0] >= databases || f[1] > 3 {
			return nil, &system.RefusedError{Reason: "a forwarded transaction that is broken"}
		}
		ok, args, _, rest, err := redcon.ReadNextCommand(f[2:], nil)
		if err != nil || !ok || len(rest) > 0 || len(args) == 0 {
			return nil, &system.RefusedError{Reason: "a forwarded transaction that is broken"}
		}
		decl, err := s.machine.Lookup(args)
		if err != nil {
			return nil, &system.RefusedError{Reason: "a forwarded transaction: " + textOf(err)}
		}
		t.selected, t.proto = int(f[0]), int(f[1])
		t.note(queued{args: args, decl: decl})
	}
	return t, nil
}

// MaxCommand returns the size in bytes that one command may have.
func (s *Server) MaxCommand() int64 { return s.settings.maxCommand.Load() }
