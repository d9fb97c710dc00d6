package server

import (
	"context"
	"strings"
	"sync/atomic"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// saver is the state of SAVE and BGSAVE: one snapshot at a time.
type saver struct {
	running atomic.Bool
	failed  atomic.Bool // the last one
}

func saveCommands() []command { return []command{declBgsave, declLastsave, declSave, declShutdown} }

const errSaving resp.Error = "ERR Background save already in progress"

// lastSave is when the last snapshot was finished. Before the first, the log
// holds everything that a snapshot would, since this node started.
func (s *Server) lastSave() int64 {
	if at := s.rep.LastSnapshot(); at != 0 {
		return at
	}
	return s.started.Unix()
}

// save writes a snapshot. The caller has set saver.running.
func (s *Server) save(ctx context.Context) error {
	defer s.saver.running.Store(false)
	err := s.rep.Snapshot(ctx)
	s.saver.failed.Store(err != nil)
	return err
}

var declBgsave = command{
	Command: spec.Command{
		Name: "BGSAVE", Syntax: "[SCHEDULE]", Group: spec.Server, Since: "1.0.0", Cost: "O(1)",
		Flags:   spec.Admin | spec.NoScript | spec.NoAsyncLoading,
		Summary: "Begins a snapshot of this node's state, after which its log is cut.",
	},
	run: cmdBgsave,
}

func cmdBgsave(s *Session, args [][]byte, w *resp.Writer) error {
	if len(args) > 2 || len(args) == 2 && !strings.EqualFold(string(args[1]), "SCHEDULE") {
		return resp.ErrSyntax
	}
	srv := s.srv
	if !srv.saver.running.CompareAndSwap(false, true) {
		return errSaving
	}
	if !srv.background(func() {
		if err := srv.save(srv.ctx); err != nil {
			srv.log.Error("snapshot failed", "error", err)
		}
	}) {
		srv.saver.running.Store(false)
		return resp.Error("ERR This node is shutting down")
	}
	w.Simple("Background saving started")
	return nil
}

// background runs fn, which Shutdown waits for; not once Shutdown has begun.
func (s *Server) background(fn func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Go(fn)
	return true
}

var declLastsave = command{
	Command: spec.Command{
		Name: "LASTSAVE", Group: spec.Server, Flags: spec.Loading | spec.Stale | spec.Fast, Since: "1.0.0", Cost: "O(1)",
		Categories: spec.CatAdmin | spec.CatDangerous, Tips: []string{"nondeterministic_output"},
		Summary: "Returns when this node's last snapshot was finished, in Unix seconds.",
	},
	run: cmdLastsave,
}

func cmdLastsave(s *Session, _ [][]byte, w *resp.Writer) error {
	w.Int(s.srv.lastSave())
	return nil
}

var declSave = command{
	Command: spec.Command{
		Name: "SAVE", Group: spec.Server, Since: "1.0.0", Cost: "O(N), where N is the size of the data",
		Flags:   spec.Admin | spec.NoScript | spec.NoAsyncLoading | spec.NoMulti,
		Summary: "Writes a snapshot of this node's state and cuts its log; others are served meanwhile.",
	},
	run: cmdSave,
}

func cmdSave(s *Session, _ [][]byte, w *resp.Writer) error {
	if !s.srv.saver.running.CompareAndSwap(false, true) {
		return errSaving
	}
	return s.change(w, s.srv.save)
}

var declShutdown = command{
	Command: spec.Command{
		Name: "SHUTDOWN", Syntax: "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", Group: spec.Server, Since: "1.0.0",
		Flags:   spec.Admin | spec.NoScript | spec.Loading | spec.Stale | spec.NoMulti | spec.AllowBusy,
		Cost:    "O(N) with SAVE, where N is the size of the data",
		Summary: "Ends this node in good order. Nothing acknowledged is lost: it is in the log.",
	},
	run: cmdShutdown,
}

const (
	errNoShutdown resp.Error = "ERR No shutdown in progress."
	errShutdown   resp.Error = "ERR Errors trying to SHUTDOWN. Check logs."
	errCannotStop resp.Error = "ERR SHUTDOWN is not available: this server cannot end its process"
)

// shutdownOptions reads SHUTDOWN's options. NOW and FORCE ask for nothing that is
// not so anyway: a node waits for no lagging follower, and the log needs no
// saving. FORCE matters with SAVE, whose failure it overlooks.
func shutdownOptions(args [][]byte) (save, force, abort bool, err error) {
	seen := make(map[string]bool)
	for _, a := range args {
		switch option := upper(a); option {
		case "SAVE", "NOSAVE", "NOW", "FORCE", "ABORT":
			seen[option] = true
		default:
			return false, false, false, resp.ErrSyntax
		}
	}
	if seen["ABORT"] && len(seen) > 1 || seen["SAVE"] && seen["NOSAVE"] {
		return false, false, false, resp.ErrSyntax
	}
	return seen["SAVE"], seen["FORCE"], seen["ABORT"], nil
}

// cmdShutdown does not answer when it succeeds: the connection's end is the answer.
// A shutdown that has begun goes on, so there is never one to abort.
func cmdShutdown(s *Session, args [][]byte, _ *resp.Writer) error {
	save, force, abort, err := shutdownOptions(args[1:])
	switch {
	case err != nil:
		return err
	case abort:
		return errNoShutdown
	case s.srv.opts.Stop == nil:
		return errCannotStop
	}
	if save {
		if !s.srv.saver.running.CompareAndSwap(false, true) {
			return errSaving
		}
		err := s.await(s.srv.save)
		if err != nil {
			s.srv.log.Error("the snapshot before SHUTDOWN failed", "error", err)
			if !force {
				return errShutdown
			}
		}
	}
	s.closing = true
	s.srv.opts.Stop()
	return nil
}
