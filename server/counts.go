package server

// Connections returns how many clients are connected now, and how many were
// accepted and refused since the start.
func (s *Server) Connections() (open, accepted, rejected int64) {
	return int64(s.sessions.len()), s.stats.connections.Load(), s.stats.rejected.Load()
}
