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
	const around = int64(len("*3\r\n")) + int64(len("$3\r\nSET\r\n"))
	room := s.settings.maxCommand.Load() - around - wireArg(int64(key))
	value := room - wireArg(0)
	for value > 0 && wireArg(value) > room { // the longer it is, the longer is its length
		value--
	}
	return max(0, min(s.settings.maxBulk.Load(), value))
}

// wireBytes is the size of a command as Redis's clients send it, which is what its
// limit is about, wherever it comes from.
func wireBytes(args [][]byte) int64 {
	size := 1 + decimals(int64(len(args))) + 2
	for _, a := range args {
		size += wireArg(int64(len(a)))
	}
	return size
}

// wireArg is the size of an argument of n bytes as Redis's clients send it.
func wireArg(n int64) int64 { return 1 + decimals(n) + 2 + n + 2 }

func decimals(n int64) int64 {
	d := int64(1)
	for ; n > 9; n /= 10 {
		d++
	}
	return d
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
