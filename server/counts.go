package server

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/resp/spec"
)

// Connections returns how many clients are connected now, and how many were
// accepted and refused since the start.
func (s *Server) Connections() (open, accepted, rejected int64) {
	return int64(s.sessions.len()), s.stats.connections.Load(), s.stats.rejected.Load()
}

// MaxValue returns the size in bytes of the largest value that a client may send
// now. The command around it may still be too large by a few bytes.
func (s *Server) MaxValue() int64 {
	return min(s.settings.maxBulk.Load(), s.settings.maxCommand.Load())
}

// Calls calls fn for each command that was ever run, with its lower-case name and
// how often, since the start. Subcommands count for their container.
func (s *Server) Calls(fn func(name string, calls int64)) {
	for _, c := range s.tally.commands.All() {
		if n := c.calls.Load(); n > 0 {
			fn(strings.ToLower(c.decl.Name), n)
		}
	}
}

// tally counts the commands that were run, by name.
type tally struct{ commands *spec.Table[called] }

type called struct {
	decl  spec.Command
	calls *atomic.Int64
}

func newTally(all []spec.Command) tally {
	list := make([]called, len(all))
	for i := range all {
		list[i] = called{all[i], new(atomic.Int64)}
	}
	return tally{spec.NewTable(list, func(c *called) *spec.Command { return &c.decl })}
}

// observed is told of every command that ran, and passes it on.
func (s *Server) observed(from *Session, args [][]byte, took time.Duration) {
	if c, ok := s.tally.commands.Get(args[0]); ok {
		c.calls.Add(1)
		if c.decl.Kind == spec.Write && s.opts.Wrote != nil {
			s.opts.Wrote(took)
		}
	}
	s.observeSlow(from, args, took)
}

// Commands returns the declarations of all commands, those of data included,
// ordered by name. The caller must not change them.
func (s *Server) Commands() []spec.Command { return s.catalog.all }
