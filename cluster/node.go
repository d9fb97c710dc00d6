// Package cluster is the Node: one member of a Raft group. It gathers proposals
// into log entries and answers when a majority has them on disk, makes reads
// linearizable, and handles who belongs to the cluster. It adapts fsm.Machine to
// hashicorp/raft. It knows no RESP sessions. The rules that it follows, and why,
// are in DESIGN.md.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/cluster/batch"
	"github.com/raftkv/raftkv/cluster/faults"
	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// Limits of what waits and of what one entry holds, in bytes. A command or a
// transaction above MaxCommand is refused before the log.
const (
	MaxCommand  = 16 << 20
	maxEntry    = 1 << 20
	maxQueued   = 256 << 20
	retryPause  = 20 * time.Millisecond
	sweepPause  = 50 * time.Millisecond
	outcomeWait = 10 * time.Second // for the fate of an entry after leadership was lost
	roundWait   = time.Second      // for a majority to answer a read round
	adminWait   = 10 * time.Second
)

// DefaultDiskReserve is room for some entries in flight, and for what a node
// writes down to take part in an election.
const DefaultDiskReserve = 64 << 20

// Config is what Open needs.
type Config struct {
	NodeID  string
	DataDir string
	// RaftAddr is where to listen for other nodes; the three Advertise addresses
	// are what others are told, host:port each.
	RaftAddr, RaftAdvertise, RESPAdvertise, HTTPAdvertise string
	// Join are Raft addresses of members to ask for admission; a fresh node only.
	Join []string
	// JoinToken is shown to them.
	JoinToken string
	// Network names the timeouts; empty is LAN.
	Network Network
	// LeaderWait is how long a request waits for a leader; longer than a failover takes.
	LeaderWait time.Duration
	Logger     *slog.Logger
	// OnBatch, where set, is told how many proposals went into each entry.
	OnBatch func(proposals int)
	// DiskReserve is how many bytes must be free on the data directory's disk: with
	// less, this node refuses client's writes, and lets others lead that have more.
	// 0 stands for DefaultDiskReserve.
	DiskReserve int64
	// AuditInterval is how often the leader compares all members' states; 0 is never.
	AuditInterval time.Duration
	// LogStore is the kind of log that a fresh data directory gets; empty is
	// logstore.DefaultKind. One that has a log keeps its kind: then another one is an error,
	// and empty is none.
	LogStore logstore.Kind
	// TLS is what all connections between nodes are made with; nil is plaintext.
	TLS *transport.TLS
	// Clock is the wall clock; nil is the system's.
	Clock func() time.Time

	// knows is the newest cluster version that the node says it knows: tests have older
	// programs by it. 0 stands for system.NewestVersion.
	knows uint64
}

// Node is a member of a cluster, or a fresh node that may become one.
type Node struct {
	cfg     Config
	log     *slog.Logger
	timing  timing
	machine *fsm.Machine
	clock   *clock
	book    *book
	trans   *transport.Transport
	disk    *disk
	audits  *audits
	spools  *spools
	peers   liveness
	queue   *batch.Queue
	writers *gathering     // of the queue
	replies []*resp.Writer // spare ones; only the proposer has them
	encoded []byte         // memory for the next entry's binary form; only the proposer has it
	forward func(context.Context, system.Caller, [][]byte) ([]byte, error)

	mu         sync.Mutex  // held while the data directory takes a step
	dir        *dataDir    // its id is guarded by mu
	inviting   string      // guarded by mu; the node whose pledge this pristine node is asking for
	cutting    sync.Mutex  // one snapshot at a time, with its own TrailingLogs
	turnedAway onceAMinute // nodes without a join token
	members    turn        // one change of membership or leadership at a time

	pledges atomic.Uint64            // pledges given, the repeated ones too
	outside atomic.Pointer[outlook]  // of a removed node: the cluster as it last heard of it
	raft    atomic.Pointer[raftNode] // nil while pristine
	state   atomic.Pointer[identity] // a copy of dir.id for readers
	changed signal                   // leadership, readiness or membership
	applied signal                   // visible or the logged clock moved
	visible atomic.Uint64            // the last log index that was applied and answered
	boot    atomic.Uint64            // the last log index at start, or less if the log lost its end since: what is applied up to here is old
	restore atomic.Uint64            // the index of the last snapshot that was restored
	ready   atomic.Uint64            // the term whose first entry of ours is applied
	opening atomic.Uint64            // the ID of that entry
	flight  atomic.Pointer[flight]   // the entry on its way
	held    atomic.Bool              // no proposals: a transfer is under way
	tick    atomic.Int64             // the logged clock is wanted to reach this
	tickC   chan struct{}
	readers rounds // of the leader
	locals  rounds // of a follower's own reads

	succession *succession
	diverged   *diverged
	abstains   abstention
	rebuilding atomic.Pointer[rebuild]
	chunk      int // bytes of the leader's state that a rebuild asks for at once

	cadence  cadence
	recent   recent      // of its snapshots
	broken   atomic.Bool // an entry could not be applied; nothing more is
	fatal    chan error
	ctx      context.Context // ends at Stop
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	stopOnce sync.Once
}

// raftNode is the library's node with what belongs to it.
type raftNode struct {
	*raft.Raft
	logs  logstore.Store
	votes *logstore.Vote
	snaps *logstore.Snapshots

	asked    sync.RWMutex // held for reading by whoever waits for an answer of the library
	ending   atomic.Bool
	stopOnce sync.Once
	stopped  chan struct{} // closed once the library's goroutines ended
}

// ask makes a request of the library and waits for its answer. Every request whose answer
// passes the library's buffers is made here: one that waits in them when the library is
// ended, such as an entry that is committed but not handed to the FSM yet, is never
// answered (raft/fsm.go:runFSM), so stop lets it be answered first.
func (r *raftNode) ask(request func() raft.Future) error {
	r.asked.RLock()
	defer r.asked.RUnlock()
	if r.ending.Load() {
		return raft.ErrRaftShutdown
	}
	return request().Error()
}

// lastAnswers is how long stop waits for them. What takes longer is no entry that is
// committed: those that are not are answered by the library's end.
const lastAnswers = 2 * time.Second

// stop ends the library's node and waits for it, however often it is called.
func (r *raftNode) stop() (err error) {
	r.stopOnce.Do(func() {
		r.ending.Store(true)
		for limit := time.Now().Add(lastAnswers); time.Now().Before(limit); time.Sleep(time.Millisecond) {
			if r.asked.TryLock() {
				r.asked.Unlock()
				break
			}
		}
		err = r.Shutdown().Error()
		close(r.stopped)
	})
	return err
}

// close closes the stores of a node that was stopped.
func (r *raftNode) close() error {
	r.snaps.Close()
	return errors.Join(r.logs.Close(), r.votes.Close())
}

// Open opens the data directory and binds the port. Its errors are one line that
// says what to do.
func Open(cfg Config, m *fsm.Machine) (*Node, error) {
	if cfg.Clock == nil {
		cfg.Clock = faults.Now
	}
	if cfg.DiskReserve == 0 {
		cfg.DiskReserve = DefaultDiskReserve
	}
	if cfg.knows == 0 {
		cfg.knows = system.NewestVersion
	}
	network, timing, err := timingOf(cfg.Network)
	if err != nil {
		return nil, err
	}
	cfg.Network = network
	dir, err := openDataDir(cfg.DataDir, cfg.NodeID)
	if err != nil {
		return nil, err
	}
	if err := dir.keepsKind(cfg.LogStore); err != nil {
		dir.close()
		return nil, err
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger, timing: timing, machine: m, dir: dir, clock: newClock(cfg.Clock, monotonic()),
		book:    openBook(dir.file(peersFile), cfg.Logger),
		writers: newGathering(), cadence: usualCadence,
		tickC: make(chan struct{}, 1), fatal: make(chan error, 1),
	}
	n.queue = batch.New(maxQueued, MaxCommand, n.writers.count)
	n.members = newTurn()
	n.disk, n.audits, n.diverged, n.chunk = newDisk(n), newAudits(n), openDiverged(n), maxChunk
	n.succession = newSuccession(n)
	if n.spools, err = openSpools(n); err != nil {
		dir.close()
		return nil, err
	}
	n.readers.init()
	n.locals.init()
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.publish()
	n.trans, err = transport.New(transport.Config{
		Addr: cfg.RaftAddr, Advertise: cfg.RaftAdvertise, Self: n.wireIdentity(),
		Resolve: n.book.resolve, Learned: n.book.learn, Replicates: n.replicates,
		Storing: n.disk.storesFor, Lost: n.succession.notice,
		Dir: func() string { return n.state.Load().UUID }, Fits: n.fits, TLS: cfg.TLS, Logger: &raftLogger{log: cfg.Logger},
	})
	if err != nil {
		dir.close()
		return nil, err
	}
	n.abstain(hasDiverged, n.diverged.on())
	n.handleCalls()
	return n, nil
}

// OnForward sets what runs commands that other nodes forward here; before Start.
func (n *Node) OnForward(run func(context.Context, system.Caller, [][]byte) ([]byte, error)) {
	n.forward = run
}

// Start takes up work: a member goes on where it was, a fresh node serves alone,
// or asks the Join addresses for admission.
func (n *Node) Start() error {
	n.mu.Lock()
	if n.dir.id.State != pristine {
		if err := n.startRaft(); err != nil {
			n.mu.Unlock()
			return err
		}
	}
	n.mu.Unlock()
	n.trans.Start()
	for _, loop := range []func(){n.propose, n.sweep, n.expire, n.serveRounds, n.serveLocalRounds, n.reconcile, n.announce, n.join, n.snapshots, func() { n.peers.watch(n) }, n.disk.watchHang, n.disk.watchSpace, n.succession.watch, n.diverged.watch, n.auditNowAndThen, n.raise} {
		n.wg.Go(loop)
	}
	return nil
}

// Fatal receives the error after which the process must end: what is on disk, or
// what the log says, can no longer be trusted or understood.
func (n *Node) Fatal() <-chan error { return n.fatal }

// fail reports an error on Fatal; the first one counts.
func (n *Node) fail(err error) {
	select {
	case n.fatal <- err:
	default:
	}
}

// HandOver gives leadership to another voter, if this node has it and there is
// one; led says whether that was so. Commands that arrive meanwhile wait, and are
// redirected afterwards.
func (n *Node) HandOver(ctx context.Context) (led bool, err error) {
	if _, leading := n.serving(); !leading || len(n.otherVoters()) == 0 {
		return false, nil
	}
	return true, n.transferLeadership(ctx, "")
}

// Stop ends the node. What is still waiting is refused; what is on its way ends
// as outcome unknown, unless ctx leaves it the time to end well.
func (n *Node) Stop(ctx context.Context) error {
	var err error
	n.stopOnce.Do(func() {
		for n.flight.Load() != nil && ctx.Err() == nil {
			pause(ctx, time.Millisecond)
		}
		n.mu.Lock() // a step under way may start Raft; none begins after this
		n.cancel()
		n.mu.Unlock()
		n.changed.Broadcast()
		n.applied.Broadcast()
		if r := n.raft.Load(); r != nil {
			err = r.stop()
		}
		n.wg.Wait()
		n.queue.Close(system.ErrShutdown)
		err = errors.Join(err, n.trans.Close())
		if r := n.raft.Load(); r != nil {
			err = errors.Join(err, r.close())
		}
		n.book.writers.Wait()
		n.spools.close()
		n.dir.close()
	})
	return err
}

// publish makes a copy of the identity for readers; n.mu is held, or n is not shared yet.
func (n *Node) publish() {
	id := n.dir.id
	n.state.Store(&id)
	n.changed.Broadcast()
}

// wireIdentity is who the node says it is to others.
func (n *Node) wireIdentity() transport.Identity {
	id := n.state.Load()
	if id.State == pristine {
		return transport.Identity{ID: id.NodeID}
	}
	return transport.Identity{ID: id.NodeID, Cluster: id.Cluster}
}

// step makes one durable step of the data directory and tells the transport.
// n.mu is held.
func (n *Node) step(id identity) error {
	if err := n.dir.save(id); err != nil {
		return fmt.Errorf("data dir: %w", err)
	}
	n.publish()
	n.trans.SetIdentity(n.wireIdentity())
	return nil
}

// self is this node with the addresses that it announces.
func (n *Node) self() system.Member {
	m := system.Member{
		ID: n.cfg.NodeID, Raft: n.trans.Addr(), RESP: n.cfg.RESPAdvertise, HTTP: n.cfg.HTTPAdvertise,
		Dir: n.state.Load().UUID,
	}
	if known, ok := n.machine.Member(m.ID); ok {
		m.Learner = known.Learner
	}
	return m
}

// pause sleeps for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
