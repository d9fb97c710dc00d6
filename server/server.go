// Package server is what clients talk to: the listener, one Session for each
// connection, the session commands (HELLO, MULTI, CLUSTER, RAFT.* …) and the way
// of data commands to the log and back. It knows no Raft: everything that
// concerns other nodes goes through the Replicator.
package server

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// RedisVersion is the version of Redis that the server claims to be. It steers
// clients: below 8 they use CLUSTER SLOTS (clients.md 3a).
const RedisVersion = "7.2.4"

// Options are what a Server needs to know when it is made. The zero value of a
// field that has a default in Redis means that default.
type Options struct {
	NodeID string
	// Version, Commit and ConfigFile are shown by INFO.
	Version, Commit, ConfigFile string
	// DataDir is shown by CONFIG GET.
	DataDir string
	// Unprotected is protected-mode no: see Denies.
	Unprotected bool
	// TLS is what CONFIG GET shows of it; nil where the listeners speak plaintext.
	TLS *TLSSettings
	// RequirePass is the default user's password as long as the log says nothing of
	// it; empty: none.
	RequirePass string
	// UsersFile is where the node keeps the users that were in force last; empty: nowhere.
	UsersFile  string
	MaxClients int
	Timeout    time.Duration // closes clients that are idle for so long; 0: never
	KeepAlive  time.Duration // between TCP keepalives; negative: none
	MaxBulk    int64         // proto-max-bulk-len
	// MaxCommand is the size in bytes that a command, or the commands of a
	// transaction together, may have. It must not exceed what the log takes.
	MaxCommand int64
	// MaxMemory is maxmemory: bytes of keys and values; 0: no limit.
	MaxMemory int64
	MaxQuery  int64         // client-query-buffer-limit
	Output    *OutputLimits // client-output-buffer-limit; nil: DefaultOutputLimits
	// RoomFor, where set, makes room for so many clients, in descriptors, and returns
	// for how many there is: for CONFIG SET maxclients.
	RoomFor func(clients int64) int64
	// Slowlog says what SLOWLOG keeps; nil: Redis's defaults.
	Slowlog *Slowlog
	// DebugCommand is enable-debug-command: yes, local, or anything else for no.
	DebugCommand string
	// Crash ends the process at once, for DEBUG PANIC and the like, whose name it is told;
	// nil: they are refused.
	Crash func(how string)
	// Stop asks the process to end, for SHUTDOWN; nil: SHUTDOWN is refused.
	Stop func()
	// Wrote, where set, is told how long each write took its client to wait; those
	// of one pipeline took as long as the pipeline. It is called often.
	Wrote  func(took time.Duration)
	Logger *slog.Logger     // nil: slog.Default()
	Now    func() time.Time // nil: time.Now
}

// TLSSettings are paths, and what is asked of clients: yes, no or optional.
type TLSSettings struct{ CertFile, KeyFile, CACertFile, AuthClients string }

// Server accepts connections and runs their commands.
type Server struct {
	opts     Options
	rep      Replicator
	machine  *fsm.Machine
	commands *commandTable
	catalog  *catalog // session and data commands, for COMMAND
	settings settings
	stats    stats
	base     baseline // of CONFIG RESETSTAT
	rates    rates
	peak     atomic.Uint64 // used_memory_peak
	startup  uint64        // used_memory_startup
	saver    saver
	users    users
	slowlog  slowlog
	tally    tally
	loading  sync.Mutex                // held by DEBUG RELOAD
	napping  atomic.Pointer[time.Time] // until when no client is served, see DEBUG SLEEP
	underway atomic.Int64              // what admitted writes may add to the keyspace, see reserve
	log      *slog.Logger
	now      func() time.Time
	started  time.Time
	runID    string // 40 hex digits, new at each start

	ctx      context.Context // ends when connections are cut
	cut      context.CancelFunc
	stopping context.Context // ends when Shutdown begins
	stop     context.CancelFunc
	work     sync.WaitGroup // sessions

	refusals chan struct{} // a place for each TLS client that is told why it is turned away

	mu        sync.Mutex
	listeners []net.Listener // guarded by mu
	closed    bool           // guarded by mu: no new listener and no new session

	sessions   registry
	lastLeader atomic.Pointer[system.Member] // the last one known, for CLUSTER SLOTS between two leaders
	warned     atomic.Int64                  // Unix nanoseconds of the last warning of cross-protocol scripting, 0: none yet
}

// stats are counters since the start.
type stats struct {
	connections atomic.Int64 // accepted
	rejected    atomic.Int64 // refused because of maxclients or protected mode
	commands    atomic.Int64
	errors      atomic.Int64 // error replies
	bytesIn     atomic.Int64
	bytesOut    atomic.Int64
	queryCuts   atomic.Int64 // clients closed for client-query-buffer-limit
	outputCuts  atomic.Int64 // and for client-output-buffer-limit, or for not reading
}

// New returns a Server that is not yet listening.
func New(o Options, rep Replicator, m *fsm.Machine) *Server {
	s := &Server{opts: o, rep: rep, machine: m, log: o.Logger, now: o.Now, refusals: make(chan struct{}, maxRefusals)}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.started = s.now()
	s.rates.at = s.started
	s.startup = usedMemory()
	s.slowlog.init(o.Slowlog)
	s.runID = randomHex(20)
	s.settings.apply(&o)
	s.commands = newCommandTable(sessionCommands(), m.Specs())
	s.catalog = newCatalog(s.commands.byName.All(), m.Specs())
	s.ctx, s.cut = context.WithCancel(context.Background())
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.sessions.init()
	last, err := lastUsers(o.UsersFile)
	if err != nil {
		s.log.Error("the users that were in force last cannot be read; nobody is let in before this node has caught up with the log, which has them", "file", o.UsersFile, "error", err)
		last = nobodyYet
	}
	s.users.init(s.catalog.all, o.RequirePass, last)
	m.OnUsers(s.users.learn)
	return s
}

// ErrClosed is returned by Serve once Shutdown was called.
var ErrClosed = errors.New("server closed")

// Serve accepts connections from ln until Shutdown, and then returns ErrClosed.
// It may be called for several listeners at once. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		ln.Close()
		return ErrClosed
	}
	if s.listeners = append(s.listeners, ln); len(s.listeners) == 1 {
		s.work.Go(s.watchMemory)
		s.work.Go(s.watchUsers)
	}
	s.mu.Unlock()
	defer ln.Close()
	failures := 0
	for {
		conn, err := ln.Accept()
		if err == nil {
			if failures > 0 {
				s.log.Info("connections are accepted again", "failures", failures)
				failures = 0
			}
			s.welcome(conn)
			continue
		}
		if s.stopping.Err() != nil {
			return ErrClosed
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		// Out of file descriptors, most likely: a busy loop would only make it worse, and
		// so would a line in the log for each time.
		if failures++; failures == 1 {
			s.log.Warn("cannot accept a connection; trying on", "error", err)
		}
		if !s.sleep(min(5*time.Millisecond<<min(failures-1, 8), time.Second)) {
			return ErrClosed
		}
	}
}

// sleep waits, and returns false once the server is stopping.
func (s *Server) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stopping.Done():
		return false
	}
}

// welcome makes a session of an accepted connection, or refuses it as Redis does.
func (s *Server) welcome(conn net.Conn) {
	switch {
	case int64(s.sessions.len()) >= s.settings.maxClients.Load():
		s.turnAway(conn, errMaxClients)
		return
	case s.Denies(conn.RemoteAddr().String()):
		s.turnAway(conn, errDenied)
		return
	}
	s.setKeepAlive(conn)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		conn.Close()
		return
	}
	s.work.Add(1)
	s.mu.Unlock()
	s.stats.connections.Add(1)
	session := newSession(s, conn)
	s.sessions.add(session)
	go func() {
		defer s.work.Done()
		session.serve()
	}()
}

// turnAway closes an accepted connection with an error that says why.
func (s *Server) turnAway(conn net.Conn, why resp.Error) {
	s.stats.rejected.Add(1)
	say := func(within time.Duration) {
		_ = conn.SetDeadline(time.Now().Add(within))
		_, _ = conn.Write([]byte("-" + why + "\r\n"))
		conn.Close()
	}
	if _, secret := conn.(interface{ Shaken() bool }); !secret {
		say(100 * time.Millisecond) // a fresh socket's send buffer takes this without waiting
		return
	}
	// With TLS the client has to speak first. That is waited for elsewhere, and of
	// those who come in a crowd some are not told.
	select {
	case s.refusals <- struct{}{}:
		go func() {
			defer func() { <-s.refusals }()
			say(time.Second)
		}()
	default:
		conn.Close()
	}
}

// maxRefusals is how many TLS clients at once are told why they are turned away.
const maxRefusals = 64

// tcpOf is the socket of a client's connection, with TLS or without.
func tcpOf(conn net.Conn) (*net.TCPConn, bool) {
	if c, ok := conn.(interface{ TCP() *net.TCPConn }); ok {
		return c.TCP(), true
	}
	tcp, ok := conn.(*net.TCPConn)
	return tcp, ok
}

func (s *Server) setKeepAlive(conn net.Conn) {
	tcp, ok := tcpOf(conn)
	if !ok {
		return
	}
	every := time.Duration(s.settings.keepAlive.Load()) * time.Second
	if every <= 0 {
		_ = tcp.SetKeepAlive(false)
		return
	}
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: every, Interval: every / 3, Count: 3})
}

// Shutdown stops accepting, lets every pipeline that is running end and its
// replies be written, and closes the connections. When ctx ends first it cuts
// what is left and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	listeners := s.listeners
	s.listeners = nil
	s.mu.Unlock()
	s.stop()
	for _, ln := range listeners {
		ln.Close()
	}
	for _, session := range s.sessions.all() {
		session.wake()
	}
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.cut()
		return nil
	case <-ctx.Done():
	}
	s.cut()
	for _, session := range s.sessions.all() {
		session.kill()
	}
	return ctx.Err()
}

// randomHex returns 2n random hex digits.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
