// Package transport carries everything that goes from node to node over one TCP
// port: Raft's own streams, calls between members, and the introductions that
// strangers make before one joins the other. It knows node ids, cluster UUIDs
// and addresses; it knows no commands, no log and no membership.
//
// A node is named by its id everywhere. Only this package turns an id into
// host:port, by asking Config.Resolve each time it dials. Every connection opens
// with a handshake in both directions (handshake.go), so nothing of another
// cluster and nothing meant for another node ever gets through.
package transport

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Kind says which handler a call is for. Kinds are part of the wire format.
type Kind uint8

// Identity is who a node is: its own id, and the UUID of the cluster that it
// belongs to (for a pristine node the UUID that it would found a cluster under).
type Identity struct{ ID, Cluster string }

// Peer is what the other side of a connection said of itself in its handshake.
// Addr is the Raft address that it advertises.
type Peer struct{ ID, Cluster, Addr string }

// Handler answers a call. req belongs to it. ctx ends when the caller's deadline
// passes, the caller gives up, or the connection is lost; Close waits for
// handlers, so they must heed it. An error travels to the caller as its text
// alone, as a *RemoteError.
type Handler func(ctx context.Context, from Peer, req []byte) ([]byte, error)

// Config is what New needs. Self.ID and one of Listener and Addr are required.
type Config struct {
	// Listener is where to accept; where it is nil, New listens on Addr (host:port).
	// The Transport owns it and closes it.
	Listener net.Listener
	Addr     string
	// Advertise is the Raft address that others are told; the listener's own if empty.
	Advertise string
	// Self is who this node is at the start; see SetIdentity.
	Self Identity
	// Resolve returns the address (host:port) of a node. It is asked before every
	// call and every Raft message, so it must be quick and must not call back.
	Resolve func(id string) (addr string, ok bool)
	// Learned, if set, is told the address that a node of the same cluster
	// advertises in a handshake, from any goroutine and for every connection. It must
	// be quick; Drop and SetIdentity may be called from it.
	Learned func(id, addr string)
	// Replicates, if set, reports whether this node leads in that term and the node
	// is in its configuration: entries for one that cannot be reached then wait in the
	// transport until it comes back. It must be quick.
	Replicates func(id string, term uint64) bool
	// Dir, if set, returns the UUID of this node's data directory, which others are told.
	Dir func() string
	// Fits, if set, reports whether the node of that id has that data directory, for
	// all that is known here. One that has another does not get the id's Raft traffic
	// and its calls, and is not believed about its address. It must be quick.
	Fits func(id, dir string) bool
	// Storing, if set, tells the leader whose entries Raft's main loop is writing to
	// the log, and the term, if it is at that now and not for too long: its heartbeats
	// are answered here meanwhile. It must be quick.
	Storing func() (leader string, term uint64, ok bool)
	// Lost, if set, is told of a node that held connections open to this one, as Linked
	// has it, and whose last one has ended just now. It must be quick, and is called
	// from any goroutine.
	Lost func(id string)
	// TLS, if set, is what every connection is made with, in both directions; without
	// it whoever reaches the port and knows the UUID is a member.
	TLS *TLS
	// Logger may be nil, which discards.
	Logger hclog.Logger
}

// Transport is one node's end of all node-to-node traffic. All methods may be
// called from any goroutine.
type Transport struct {
	cfg       Config
	log       hclog.Logger
	listener  net.Listener
	advertise string
	instance  uint64 // drawn at start, so that others notice a restart
	limits    limits
	handlers  [256]atomic.Pointer[registration]
	muted     atomic.Bool // see Mute
	abstains  atomic.Bool // see Abstain
	warned    warnings

	ctx    context.Context // ends at Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of this package; add through spawn

	mu       sync.Mutex
	self     Identity            // guarded by mu
	closed   bool                // guarded by mu
	started  bool                // guarded by mu
	links    map[*link]struct{}  // guarded by mu; connections past their handshake
	greeting map[net.Conn]uint64 // guarded by mu; accepted connections in their handshake, by age
	greeted  uint64              // guarded by mu; the last age given out
	peers    map[string]*peer    // guarded by mu; by node id
	odd      map[string]bool     // guarded by mu; data directories under another node's id, which were warned of
	raft     *raftTransport      // guarded by mu; nil until Raft
}

// limits are the bounds in time and number; tests make them smaller.
type limits struct {
	dial        time.Duration // TCP connect
	handshake   time.Duration // from connected to answered
	rpc         time.Duration // Raft's own I/O deadline
	ping        time.Duration // silence on a call connection before asking for a sign of life
	stuck       time.Duration // silence before it is given up
	retry       time.Duration // pause after a failed dial
	idle        time.Duration // how long a stranger may sit between frames
	again       time.Duration // between two attempts to send entries to a node that is away
	unacked     time.Duration // how long sent bytes may stay unacknowledged
	unackedBulk time.Duration // the same for a snapshot stream, whose reader may wait for its disk
	greeting    int           // accepted connections in their handshake
	strangers   int           // accepted introduction streams
	accepted    int           // all accepted connections past their handshake
}

func defaultLimits() limits {
	return limits{
		dial: 2 * time.Second, handshake: 5 * time.Second, rpc: 10 * time.Second,
		ping: time.Second, stuck: 4 * time.Second, retry: 20 * time.Millisecond, idle: 30 * time.Second, again: 500 * time.Millisecond,
		unacked: 3 * time.Second, unackedBulk: 30 * time.Second,
		greeting: 128, strangers: 64, accepted: 1024,
	}
}

// New binds the port, or takes over the listener. Nothing is accepted before
// Start, so that the handlers can be set first; calls may be made at once. If the
// port is taken, the error says so in one line and is syscall.EADDRINUSE.
func New(cfg Config) (*Transport, error) {
	if err := checkID(cfg.Self.ID); err != nil {
		return nil, err
	}
	if len(cfg.Advertise) > 255 {
		return nil, fmt.Errorf("bad node-to-node address %q to advertise", cfg.Advertise)
	}
	if cfg.Resolve == nil {
		return nil, errors.New("transport needs Resolve")
	}
	ln := cfg.Listener
	if ln == nil {
		var err error
		if ln, err = listen(cfg.Addr); err != nil {
			return nil, err
		}
	}
	t := &Transport{
		cfg: cfg, log: cfg.Logger, listener: ln, advertise: cfg.Advertise, limits: defaultLimits(), self: cfg.Self,
		links: map[*link]struct{}{}, greeting: map[net.Conn]uint64{}, peers: map[string]*peer{}, odd: map[string]bool{},
	}
	if t.log == nil {
		t.log = hclog.NewNullLogger()
	}
	if t.advertise == "" {
		t.advertise = ln.Addr().String()
	}
	var seed [8]byte
	rand.Read(seed[:]) // never fails, by its contract
	t.instance = binary.LittleEndian.Uint64(seed[:])
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t, nil
}

// listen binds a port, with an error fit for the person who chose it.
func listen(addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("node-to-node address %s: %w (another process listens there)", addr, syscall.EADDRINUSE)
	case err != nil:
		return nil, fmt.Errorf("node-to-node address: %w", err)
	}
	return ln, nil
}

// Start begins to accept connections.
func (t *Transport) Start() {
	t.mu.Lock()
	again := t.started
	t.started = true
	t.mu.Unlock()
	if !again {
		t.spawn(t.accept)
	}
}

// dir is what Config.Dir says now.
func (t *Transport) dir() string {
	if t.cfg.Dir == nil {
		return ""
	}
	return t.cfg.Dir()
}

// fits is Config.Fits; a program that tells no data directory is an older one, and
// believed.
func (t *Transport) fits(id, dir string) bool {
	return t.cfg.Fits == nil || dir == "" || t.cfg.Fits(id, dir)
}

// Addr is the address that this node advertises.
func (t *Transport) Addr() string { return t.advertise }

// Identity returns who this node says it is.
func (t *Transport) Identity() Identity {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.self
}

// SetIdentity changes who this node says it is, as a pristine node does when it
// pledges itself to another cluster. Connections of members (not introductions)
// that were made under another identity are closed.
func (t *Transport) SetIdentity(self Identity) {
	t.mu.Lock()
	t.self = self
	for _, p := range t.peers {
		p.forgive()
	}
	t.mu.Unlock()
	t.closeLinks(func(l *link) bool { return l.stream != streamIntro && l.self != self })
}

// Linked reports whether a node of the cluster holds a connection open to this
// one. A leader always does, to those it replicates to; when its process dies the
// connection ends at once, long before a timeout tells.
func (t *Transport) Linked(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.linkedLocked(id)
}

func (t *Transport) linkedLocked(id string) bool {
	for l := range t.links {
		if l.peer.ID == id && l.fromMember() {
			return true
		}
	}
	return false
}

// Refuses reports whether a node's machine says that nobody listens at the node's
// address, at every one that its host name stands for. While the node's process lives
// it does not say so: a full queue of connections, one without file descriptors, or
// one that hangs lets the connection be made or does not answer. What may lie in
// between (a firewall that rejects, a name that has moved) is why this alone proves
// nothing.
func (t *Transport) Refuses(ctx context.Context, id string) bool {
	addr, ok := t.cfg.Resolve(id)
	if !ok {
		return false
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return false
	}
	for _, ip := range ips {
		c, err := (&net.Dialer{Timeout: t.limits.dial}).DialContext(ctx, "tcp", net.JoinHostPort(ip, port))
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return false
		}
	}
	return len(ips) > 0
}

// Drop closes the connections dialled to a node, so that the next message dials
// anew. It is never needed for an address that changes in Resolve.
func (t *Transport) Drop(id string) {
	t.mu.Lock()
	if p := t.peers[id]; p != nil {
		p.forgive()
	}
	t.mu.Unlock()
	t.closeLinks(func(l *link) bool { return l.dialled != "" && l.peer.ID == id && l.stream != streamIntro })
}

// Close ends everything: the listener, all connections, Raft's transport, and
// returns when every goroutine has ended. Not to be called from a handler.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		t.wg.Wait()
		return nil
	}
	t.closed = true
	r := t.raft
	for c := range t.greeting {
		c.Close()
	}
	t.mu.Unlock()
	t.cancel()
	err := t.listener.Close()
	if r != nil {
		r.Close()
	}
	t.closeLinks(func(*link) bool { return true })
	t.wg.Wait()
	return err
}

// spawn runs f in a goroutine that Close waits for. After Close it does nothing
// and returns false.
func (t *Transport) spawn(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Go(f)
	return true
}
