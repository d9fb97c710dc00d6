package server

import (
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// A node that leads keeps to maxmemory before the log: what may make the keyspace
// larger (flagged DenyOOM) is refused while keys and values, as the keyspace accounts
// for them, and what is on its way to them are above it. So the keyspace never gets
// above maxmemory by more than the growth of one command, or of one transaction: the
// last that was admitted. What is not counted are writes whose outcome was unknown
// when their client was told so, and that were applied all the same.

// reservation is what writes may add to the keyspace that were admitted and have no
// outcome yet, in bytes. A segment has one, and gives it back with its replies.
type reservation int64

// reserve takes up a write that may add so many bytes; false where it must not.
func (s *Server) reserve(n reservation) bool {
	limit := s.settings.maxMemory.Load()
	if limit == 0 {
		return true
	}
	// In this order: what is applied between the two counts twice, not never.
	underway := s.underway.Add(int64(n)) - int64(n)
	if s.machine.Bytes()+underway <= limit {
		return true
	}
	s.underway.Add(-int64(n))
	return false
}

// full says whether the keyspace is above maxmemory as it is.
func (s *Server) full() bool {
	limit := s.settings.maxMemory.Load()
	return limit != 0 && s.machine.Bytes() > limit
}

// limitsMemory says whether this node is to keep to its maxmemory: where another one
// leads, that one decides.
func (s *Server) limitsMemory() bool {
	if s.settings.maxMemory.Load() == 0 {
		return false
	}
	_, self, known := s.rep.Leader()
	return self || !known
}

// afford admits a data command, or refuses it as Redis does without memory.
func (s *Session) afford(args [][]byte, decl *spec.Command) (n reservation, err error) {
	if decl.Flags&spec.DenyOOM == 0 || !s.srv.limitsMemory() {
		return 0, nil
	}
	if copies(decl) { // what it copies may be on its way
		s.segment.flush()
	}
	return s.reserve(reservation(s.srv.machine.Growth(s.db, args)))
}

// copies says whether a write's growth depends on what another key holds.
func copies(decl *spec.Command) bool {
	for i := range decl.Keys {
		if decl.Keys[i].Flags&spec.RO != 0 {
			return true
		}
	}
	return false
}

// affordTransaction does the same for an EXEC.
func (s *Session) affordTransaction(t *transaction) (n reservation, err error) {
	if !t.denyOOM || !s.srv.limitsMemory() {
		return 0, nil
	}
	for i := range t.queue {
		if q := &t.queue[i]; q.cmd == nil && q.decl.Flags&spec.DenyOOM != 0 {
			n += reservation(s.srv.machine.Growth(q.db, q.args))
		}
	}
	return s.reserve(n)
}

// reserve counts what the session sent before only once it is done: it may have made
// room.
func (s *Session) reserve(n reservation) (reservation, error) {
	if s.srv.reserve(n) {
		return n, nil
	}
	s.segment.flush()
	if s.srv.reserve(n) {
		return n, nil
	}
	return 0, resp.ErrOOM
}

// affordQueue says why nothing may be queued: a transaction takes memory too. As in
// Redis this is so for whatever does not end the transaction.
func (s *Session) affordQueue(decl *spec.Command) error {
	switch decl.Name {
	case declExec.Name, declDiscard.Name, declQuit.Name, declReset.Name:
		return nil
	}
	if !s.srv.limitsMemory() || !s.srv.full() {
		return nil
	}
	if s.segment.flush(); s.srv.full() {
		return resp.ErrOOM
	}
	return nil
}

// add puts a data command into the segment, if there is memory for it.
func (s *Session) add(args [][]byte, decl *spec.Command) {
	n, err := s.afford(args, decl)
	if err != nil {
		s.reject(decl, err)
		return
	}
	s.segment.add(args, decl, s.takeSilence())
	s.segment.reserved += n
}

// addTransaction does the same for an EXEC.
func (s *Session) addTransaction(t *transaction) error {
	n, err := s.affordTransaction(t)
	if err != nil {
		return execAbort(err)
	}
	if t.dirty {
		return resp.ErrExecAbort
	}
	s.segment.addExec(t, s.takeSilence())
	s.segment.reserved += n
	return nil
}

// release gives back what the segment's writes had reserved: they are done, or never
// will be.
func (g *segment) release() {
	if g.reserved != 0 {
		g.s.srv.underway.Add(-int64(g.reserved))
		g.reserved = 0
	}
}
