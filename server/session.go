package server

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/redcon"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/server/guard"
)

// Session is one client: its connection and what the client has said about
// itself. One goroutine reads its commands, runs them in order and writes the
// replies; only that goroutine touches the fields, unless they say otherwise.
type Session struct {
	srv  *Server
	id   int64
	conn net.Conn // nil for a forwarded command and for HTTP
	in   *guard.Reader
	out  *output
	ctx  context.Context // ends when the session is cut

	cancel context.CancelFunc

	db        int
	account   *account
	table     *userTable // that account is from; nil for a remote session
	authed    bool       // a password was given, or none was asked for when it connected
	early     bool       // none was given, and that was by what the node knew last
	readonly  bool       // READONLY: keyed reads are answered here, even on a follower
	replies   replyMode
	loud      bool // this command's reply is not left out: CLIENT REPLY ON
	armed     bool // the connection has a read deadline
	idling    bool // it waits for a command
	closing   bool // close once the replies are written
	remote    bool // a command forwarded by another node: never forwarded again
	written   bool // a wait has sent what the output held
	executing bool // a queued session command runs within EXEC: nothing may wait
	txn       *transaction
	watches   []system.Watch

	segment segment
	refused error    // why a data command of the running pipeline was refused: those behind it are too
	failure error    // the last refusal, for sessions without a connection
	arena   [][]byte // the arguments of the running pipeline's commands
	current [][]byte // the command that is being handled, for the log after a panic

	interacted atomic.Int64 // Unix milliseconds of when the client was last heard of, by the machine's clock

	about about
}

// about is what CLIENT LIST and INFO of other sessions tell; any goroutine may
// read it.
type about struct {
	created  time.Time
	addr     string
	local    string
	active   atomic.Int64 // Unix milliseconds of the last command
	commands atomic.Int64
	last     atomic.Pointer[spec.Command] // the last command; FullName names it
	db       atomic.Int32
	proto    atomic.Int32
	multi    atomic.Int32 // commands queued, -1 outside MULTI
	multiMem atomic.Int64 // and their bytes
	watching atomic.Int32 // keys watched
	blocked  atomic.Bool
	readonly atomic.Bool
	noEvict  atomic.Bool
	noTouch  atomic.Bool
	account  atomic.Pointer[account]
	spared   atomic.Bool // its own command deletes its user: it gets its reply

	mu      sync.Mutex
	name    string // guarded by mu
	libName string // guarded by mu
	libVer  string // guarded by mu
}

// replyMode is CLIENT REPLY.
type replyMode uint8

const (
	replyOn replyMode = iota
	replyOff
	replySkip // the next command's reply is left out
)

// newSession makes the session of a connection; with conn nil, one that has none.
func newSession(srv *Server, conn net.Conn) *Session {
	s := &Session{srv: srv, conn: conn}
	s.ctx, s.cancel = context.WithCancel(srv.ctx)
	s.out = newOutput(conn, &srv.stats, srv.settings.output.Load)
	s.segment.init(s)
	now := srv.now()
	s.about.created = now
	s.about.active.Store(now.UnixMilli())
	s.about.multi.Store(-1)
	s.about.proto.Store(2)
	s.interacted.Store(time.Now().UnixMilli())
	s.beDefault()
	if conn != nil {
		s.id = srv.sessions.nextID()
		s.in = guard.NewReader(&interaction{s})
		s.out.onCut = func(why string) { srv.log.Warn(why, "client", strings.TrimSpace(s.describe())) }
		s.about.addr = conn.RemoteAddr().String()
		s.about.local = conn.LocalAddr().String()
	}
	return s
}

// serve runs the session until the client leaves or the server stops.
func (s *Session) serve() {
	defer s.end()
	defer s.survive()
	s.srv.awaitUsers()
	s.beDefault()
	for !s.closing {
		frames, err := s.next()
		if err != nil {
			s.readFailed(err)
			return
		}
		s.pipeline(frames)
		if s.out.flush() != nil {
			return
		}
	}
}

// next waits for the client's next commands.
func (s *Session) next() ([]guard.Frame, error) {
	for {
		s.setIdleDeadline()
		if s.srv.stopping.Err() != nil {
			return nil, errStopping
		}
		s.idling = true
		frames, err := s.in.Next(s.limits())
		s.idling = false
		if !errors.Is(err, os.ErrDeadlineExceeded) || s.srv.stopping.Err() != nil || s.isIdle() {
			return frames, err
		}
		s.armed = true // the timeout was changed while it waited
	}
}

// errStopping ends a session that waits for a command when the server stops.
var errStopping = errors.New("the server is stopping")

// isIdle says whether the client has said nothing for as long as the timeout setting.
func (s *Session) isIdle() bool {
	t := s.srv.settings.timeout.Load()
	return t > 0 && time.Now().UnixMilli()-s.interacted.Load() >= t*1000
}

// interaction is the connection as the guard reads it: as in Redis a client that
// sends anything is not idle.
type interaction struct{ s *Session }

func (c *interaction) Read(b []byte) (int, error) {
	n, err := c.s.conn.Read(b)
	if n > 0 && c.s.idling && c.s.srv.settings.timeout.Load() > 0 {
		c.s.interacted.Store(time.Now().UnixMilli())
		c.s.setIdleDeadline()
		if c.s.srv.stopping.Err() != nil { // its deadline may just have been lost
			c.s.wake()
		}
	}
	return n, err
}

// limits are what the guard lets through at the moment.
func (s *Session) limits() guard.Limits {
	return guard.Limits{
		MaxBulk:         s.srv.settings.maxBulk.Load(),
		MaxCommand:      s.srv.settings.maxCommand.Load(),
		MaxQuery:        s.srv.settings.maxQuery.Load(),
		Unauthenticated: s.needsPassword(),
	}
}

// setIdleDeadline arms the timeout setting. The stopping check comes after it, so
// that a deadline set by Shutdown is never lost.
func (s *Session) setIdleDeadline() {
	if t := s.srv.settings.timeout.Load(); t > 0 {
		_ = s.conn.SetReadDeadline(time.UnixMilli(s.interacted.Load()).Add(time.Duration(t) * time.Second))
		s.armed = true
	} else if s.armed {
		_ = s.conn.SetReadDeadline(time.Time{})
		s.armed = false
	}
}

// pipeline runs whole commands in order and gathers their replies.
func (s *Session) pipeline(frames []guard.Frame) {
	s.refused = nil
	s.about.active.Store(s.srv.now().UnixMilli())
	s.interacted.Store(time.Now().UnixMilli())
	s.count(frames)
	for i := range frames {
		if frames[i].TooLarge {
			s.local(func(*resp.Writer) error { return errTooLarge(s.srv.settings.maxCommand.Load()) })
			continue
		}
		args, err := s.parse(frames[i])
		if err != nil {
			s.protocolError(err)
			break
		}
		s.handle(args)
		if s.closing || s.out.flushIfLarge() != nil {
			break
		}
	}
	s.segment.flush()
	s.arena = s.arena[:0]
	if cap(s.arena) > 4096 {
		s.arena = nil
	}
}

// count adds a pipeline to the statistics, all of it at once: the counters are
// shared by all connections.
func (s *Session) count(frames []guard.Frame) {
	size := 0
	for i := range frames {
		size += len(frames[i].Raw)
	}
	s.srv.stats.bytesIn.Add(int64(size))
	s.srv.stats.commands.Add(int64(len(frames)))
	s.about.commands.Add(int64(len(frames)))
}

// parse splits a frame into its arguments. They lie in the session's arena and in
// the guard's buffer until the pipeline ends; each one's capacity is its length,
// so that an append to one cannot overwrite the next.
func (s *Session) parse(f guard.Frame) ([][]byte, error) {
	if free := cap(s.arena) - len(s.arena); free < f.Argc {
		s.arena = make([][]byte, 0, max(2*cap(s.arena), f.Argc, 64))
	}
	used := len(s.arena)
	ok, args, _, rest, err := redcon.ReadNextCommand(f.Raw, s.arena[used:used:cap(s.arena)])
	if err != nil {
		return nil, err
	}
	if !ok || len(rest) > 0 || len(args) != f.Argc {
		return nil, guard.ProtocolError("invalid command")
	}
	for i, a := range args {
		args[i] = a[:len(a):len(a)]
	}
	s.arena = s.arena[:used+len(args)]
	return args[:len(args):len(args)], nil
}

// readFailed ends the session: with an answer where the client broke the
// protocol, silently where it left.
func (s *Session) readFailed(err error) {
	var broken guard.ProtocolError
	switch {
	case errors.As(err, &broken):
		s.protocolError(broken)
		_ = s.out.flush()
	case errors.Is(err, guard.ErrQuery):
		// Redis logs the command's first bytes, too; they may be a password.
		s.srv.stats.queryCuts.Add(1)
		s.srv.log.Warn("Closing client that reached max query buffer length", "client", strings.TrimSpace(s.describe()))
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.srv.log.Debug("Closing idle client", "client", s.about.addr)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, errStopping):
	default:
		s.srv.log.Debug("client gone", "client", s.about.addr, "error", err)
	}
}

func (s *Session) protocolError(err error) {
	s.segment.flush()
	s.writeError(s.out.w, resp.Error("ERR "+err.Error()))
	s.closing = true
}

// survive ends the session, and nothing else, when a handler panics. What was
// queued and not yet proposed has certainly not been done, and is told so.
func (s *Session) survive() {
	cause := recover()
	if cause == nil {
		return
	}
	var name string
	if len(s.current) > 0 {
		name = string(s.current[0][:min(len(s.current[0]), 64)])
	}
	s.srv.log.Error("a command made the server panic; its connection is closed",
		"client", s.about.addr, "command", name, "panic", cause, "stack", string(debug.Stack()))
	if s.conn != nil {
		s.segment.abort()
		_ = s.out.flush()
	}
}

// errPanic is all that a client learns of a panic.
const errPanic resp.Error = "ERR internal error, see the server's log"

// wake ends a wait for the client's next command, so that Shutdown is noticed.
func (s *Session) wake() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

// kill cuts the connection, from any goroutine.
func (s *Session) kill() {
	s.cancel()
	s.conn.Close()
}

// end closes the connection and forgets the session.
func (s *Session) end() {
	s.linger()
	s.conn.Close()
	s.cancel()
	s.out.end()
	s.srv.sessions.remove(s)
}

// linger lets the client read the last replies: closing a socket that holds
// unread input would make the kernel throw away what was just written, and a
// client that never learns the outcome of its write sends it again.
func (s *Session) linger() {
	tcp, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || s.ctx.Err() != nil || s.out.failure() != nil || tcp.CloseWrite() != nil {
		return
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, s.conn, lingerBytes)
}

const (
	lingerTime  = 200 * time.Millisecond
	lingerBytes = 1 << 20
)

// block runs wait, which may take as long as it likes, and keeps reading
// meanwhile: wait's context ends when the client leaves, when it is killed and
// when the server stops. Replies made so far are written first. Within EXEC
// nothing may wait: the caller looks at s.executing.
func (s *Session) block(wait func(ctx context.Context)) {
	s.segment.flush()
	if s.conn == nil || s.executing {
		wait(s.ctx)
		return
	}
	if s.out.flush() != nil {
		return
	}
	s.written = true
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.srv.stopping, cancel)()
	gone := make(chan struct{})
	var over atomic.Bool
	_ = s.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(gone)
		for !over.Load() {
			err := s.in.Fill()
			switch {
			case err == nil:
			case errors.Is(err, os.ErrDeadlineExceeded):
				_ = s.conn.SetReadDeadline(time.Time{}) // not the end yet: the timeout was changed, or a deadline ran out
			case !errors.Is(err, guard.ErrFull):
				cancel()
				return
			default:
				return
			}
		}
	}()
	s.about.blocked.Store(true)
	wait(ctx)
	s.about.blocked.Store(false)
	over.Store(true)
	s.wake()
	s.armed = true
	<-gone
	s.interacted.Store(time.Now().UnixMilli())
}
