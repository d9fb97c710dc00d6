package server

import (
	"net/netip"
	"strings"
	"time"

	"github.com/raftkv/raftkv/resp"
)

const (
	errMaxClients resp.Error = "ERR max number of clients reached"
	// errDenied is Redis's text to the letter: clients and people look for it.
	errDenied resp.Error = "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. " +
		"In this mode connections are only accepted from the loopback interface. " +
		"If you want to connect from external computers to Redis you may adopt one of the following solutions: " +
		"1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface " +
		"by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. " +
		"Use CONFIG REWRITE to make this change permanent. " +
		"2) Alternatively you can just disable the protected mode by editing the Redis configuration file, " +
		"and setting the protected mode option to 'no', and then restarting the server. " +
		"3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. " +
		"4) Setup a an authentication password for the default user. " +
		"NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside."
)

// Denies says whether protected mode refuses a client of that address (host:port):
// there is no password, and it is not on this machine. A node does not start that
// way, but CONFIG SET can bring it there.
func (s *Server) Denies(client string) bool {
	if !s.settings.protected.Load() || !s.accounts().byName[defaultUser].NoPass() {
		return false
	}
	at, err := netip.ParseAddrPort(client)
	return err != nil || !at.Addr().Unmap().IsLoopback()
}

// crossProtocol says whether a command is what only an HTTP request begins with:
// a web page or a fooled proxy speaks, and its body may hold commands.
func crossProtocol(name []byte) bool {
	switch len(name) {
	case len("POST"), len("HOST:"):
		return strings.EqualFold(string(name), "POST") || strings.EqualFold(string(name), "HOST:")
	}
	return false
}

// abortCrossProtocol closes the connection before anything else of its input runs,
// and without a word, as Redis does (securityWarningCommand). It warns at most once
// a minute, or whoever does this could fill the log.
func (s *Session) abortCrossProtocol() {
	s.closing = true
	now, last := s.srv.now().UnixNano(), s.srv.warned.Load()
	if last != 0 && now-last < int64(time.Minute) || !s.srv.warned.CompareAndSwap(last, now) {
		return
	}
	s.srv.log.Warn("Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. "+
		"This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your Redis instance. Connection aborted.",
		"client", s.about.addr)
}
