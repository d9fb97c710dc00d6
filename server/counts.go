package server

import "github.com/raftkv/raftkv/resp/spec"

// Connections returns how many clients are connected now, and how many were
// accepted and refused since the start.
func (s *Server) Connections() (open, accepted, rejected int64) {
	return int64(s.sessions.len()), s.stats.connections.Load(), s.stats.rejected.Load()
}

// MaxValue returns the size in bytes of the largest value that SET takes now for a
// key of so many bytes.
func (s *Server) MaxValue(key int) int64 {
	around := int64(argBytes([][]byte{[]byte("SET"), nil, nil}) + key)
	return max(0, min(s.settings.maxBulk.Load(), s.settings.maxCommand.Load()-around))
}

// Calls calls fn for each command that was ever run, with its lower-case name and
// how often, since the start. Subcommands count for their container.
func (s *Server) Calls(fn func(name string, calls int64)) {
	list, _ := s.tally.all()
	for i := 0; i < len(list); {
		name, n := list[i].container, int64(0)
		for ; i < len(list) && list[i].container == name; i++ {
			n += list[i].calls.Load()
		}
		if n > 0 {
			fn(name, n)
		}
	}
}

// Commands returns the declarations of all commands, those of data included,
// ordered by name. The caller must not change them.
func (s *Server) Commands() []spec.Command { return s.catalog.all }
