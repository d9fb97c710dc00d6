// Package httpapi is the HTTP side of a node: keys, membership, health and
// metrics. It takes the same way through the server as a Redis client does and
// knows nothing of Raft, sockets of Redis clients, or how keys are kept.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

// Executor runs one command for a user, as a connection without a name would, and
// returns its reply in RESP form (2 or 3). It is safe for concurrent use. When ctx ends it gives
// up what changes nothing; a write it starts, it sees through.
type Executor interface {
	Do(ctx context.Context, user string, args ...[]byte) ([]byte, error)
}

// Cluster is what HTTP asks of the node about the others; server.Replicator has it.
type Cluster interface {
	// Leader is the leader's announced addresses; self says whether it is this node.
	Leader() (m system.Member, self, ok bool)
	// FollowerBarrier returns without error once this node can answer a read.
	FollowerBarrier(ctx context.Context) (now int64, err error)
	Status(ctx context.Context) system.Status
	// Members returns all members; cheap and local.
	Members() []system.MemberStatus
	Join(ctx context.Context, r system.JoinRequest) error
	Leave(ctx context.Context, id string) error
}

// Options are all that a Server needs; every field is required but Secure.
type Options struct {
	Executor Executor
	Cluster  Cluster
	// Metrics answers GET /metrics.
	Metrics http.Handler
	// Denies says whether protected mode refuses a client of that address, host:port.
	Denies func(client string) bool
	// Users says who may be here, and what each may do.
	Users Users
	// MaxValue is the size in bytes of the largest value that fits under a key of
	// so many bytes.
	MaxValue func(key int) int64
	// CheckID and CheckAddress say in one line why a node cannot have that id or
	// address.
	CheckID, CheckAddress func(string) error
	// Secure says that the listeners handed to Serve speak TLS, as those of the other
	// nodes then do, too.
	Secure bool
	// MaxConnections bounds the connections that are open at once.
	MaxConnections int
	// MaxBodies bounds the bytes of all requests' bodies that are in memory at once.
	MaxBodies int64
	Logger    *slog.Logger
}

// The bounds on how long a request may take. A join waits until the new node has
// caught up, hence the long ones.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 2 * time.Minute
	writeTimeout   = 3 * time.Minute
	idleTimeout    = 2 * time.Minute
	commandTimeout = 30 * time.Second
	memberTimeout  = 2 * time.Minute
	statusTimeout  = time.Second
	readyTimeout   = 2 * time.Second
)

// headerBytes bounds a request's first line, which has the key, and its headers; the
// library adds 4 KiB. Its own default, a megabyte, would be ten gigabytes for ten
// thousand strangers.
const headerBytes = 64 << 10

// Server answers HTTP requests.
type Server struct {
	Options
	http    http.Server
	bodies  budget
	handler http.Handler
}

// New returns a Server that listens nowhere yet.
func New(o Options) *Server {
	s := &Server{Options: o}
	s.bodies.most = o.MaxBodies
	// A web page that a person happens to look at must not reach a node on their
	// machine: browsers say where a request comes from, other clients say nothing.
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusForbidden, "a web page of another origin must not change anything here")
	}))
	s.handler = protection.Handler(http.HandlerFunc(s.route))
	s.http = http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytes,
		ConnContext:       noteConn,
		ConnState:         noteState,
		// OPTIONS * is none of ours and gets the same 404 as other paths.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers on ln until Shutdown; it returns nil then.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.http.Serve(limit(ln, s.MaxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown takes no more requests and waits for those under way until ctx ends,
// then cuts them.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	return err
}

// ServeHTTP is http.Handler's.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin(r)
	body := s.bodies.of(r.Body)
	defer body.release()
	r.Body = body
	s.handler.ServeHTTP(w, r)
}

// route picks the handler. It is no http.ServeMux, which would clean the path: a
// key may well be "a//b" or "..".
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	// Probes carry no password, and these two tell nothing else.
	switch path {
	case "/healthz":
		s.only(w, r, s.health, http.MethodGet, http.MethodHead)
		return
	case "/readyz":
		s.only(w, r, s.ready, http.MethodGet, http.MethodHead)
		return
	}
	if s.Denies(r.RemoteAddr) {
		writeError(w, http.StatusForbidden, denied)
		return
	}
	user, ok := s.authenticate(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", `Basic realm="raftkv"`)
		writeError(w, http.StatusUnauthorized, "user and password are needed: as Basic (no user: \"default\"), or as Bearer user:password or password")
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), userKey{}, user))
	if key, ok := strings.CutPrefix(path, "/key/"); ok {
		s.key(w, r, key)
		return
	}
	switch path {
	case "/join":
		s.only(w, r, s.forAll(s.join, "RAFT.JOIN", "id", "address"), http.MethodPost)
	case "/leave":
		s.only(w, r, s.forAll(s.leave, "RAFT.LEAVE"), http.MethodPost)
	case "/status":
		s.only(w, r, s.as(s.status, "RAFT.STATUS"), http.MethodGet, http.MethodHead)
	case "/metrics":
		s.only(w, r, s.as(s.Metrics.ServeHTTP, "INFO"), http.MethodGet, http.MethodHead)
	default:
		writeError(w, http.StatusNotFound, "no such path: there are /key/{key}, /join, /leave, /status, /healthz, /readyz and /metrics")
	}
}

// only answers with h if the request's method is one of those given.
func (s *Server) only(w http.ResponseWriter, r *http.Request, h http.HandlerFunc, methods ...string) {
	for _, m := range methods {
		if r.Method == m {
			h(w, r)
			return
		}
	}
	refuseMethod(w, r, methods...)
}

// refuseQuery refuses parameters in the address where it is true: ignored, they
// might do something else than was meant.
func refuseQuery(w http.ResponseWriter, r *http.Request, hint string) bool {
	if r.URL.RawQuery == "" && !r.URL.ForceQuery {
		return false
	}
	writeError(w, http.StatusBadRequest, "there are no query parameters; "+hint)
	return true
}

func refuseMethod(w http.ResponseWriter, r *http.Request, allowed ...string) {
	list := strings.Join(allowed, ", ")
	w.Header().Set("Allow", list)
	writeError(w, http.StatusMethodNotAllowed, "method "+r.Method+" is not for this path; it takes "+list)
}
