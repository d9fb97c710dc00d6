package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// fake is a Replicator in memory over a real Machine: a log of one node, whose
// role and answers a test sets.
type fake struct {
	machine *fsm.Machine
	queue   chan []system.Proposal
	work    sync.WaitGroup
	forward *Server // the leader's, for Forward
	own     *Server // the one that this is the fake of: Forward's where no other is

	mu         sync.Mutex
	index      uint64                                  // guarded by mu
	now        int64                                   // guarded by mu: the leader's clock
	leader     system.Member                           // guarded by mu; zero: none known
	self       bool                                    // guarded by mu
	refuse     func(i int, p *system.Proposal) error   // guarded by mu: refuses this one and all behind it
	gate       chan struct{}                           // guarded by mu: where not nil, entries wait for it
	sizes      [][]int                                 // guarded by mu: for each Submit, the number of commands of each proposal
	barriers   int                                     // guarded by mu
	followers  int                                     // guarded by mu: FollowerBarriers
	ticks      int                                     // guarded by mu
	barrierErr error                                   // guarded by mu
	voters     int                                     // guarded by mu
	gone       string                                  // guarded by mu: the id of a member that is dead
	admin      func(what string, args ...string) error // guarded by mu
}

var (
	node1 = system.Member{ID: "node1", Raft: "127.0.0.1:8000", RESP: "127.0.0.1:6379", HTTP: "127.0.0.1:8080"}
	node2 = system.Member{ID: "node2", Raft: "127.0.0.1:8001", RESP: "127.0.0.1:6380", HTTP: "127.0.0.1:8081"}
)

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{machine: fsm.New(), queue: make(chan []system.Proposal, 1024), leader: node1, self: true, now: 1_700_000_000_000, voters: 1}
	f.work.Go(f.run)
	t.Cleanup(func() {
		close(f.queue)
		f.work.Wait()
	})
	return f
}

func (f *fake) run() {
	for ps := range f.queue {
		f.mu.Lock()
		gate := f.gate
		f.mu.Unlock()
		if gate != nil {
			<-gate
		}
		f.entry(ps)
	}
}

// entry applies the proposals as one log entry, up to the first that is refused.
func (f *fake) entry(ps []system.Proposal) {
	f.mu.Lock()
	var refused error
	var sizes []int
	b := &entry.Batch{Version: entry.Version, ID: rand.Uint64(), Now: f.now}
	for i := range ps {
		sizes = append(sizes, len(ps[i].Commands))
		if refused == nil && f.refuse != nil {
			refused = f.refuse(i, &ps[i])
		}
		if refused == nil && !f.self {
			refused = f.notLeader()
		}
		if refused == nil {
			b.Proposals = append(b.Proposals, ps[i].Proposal)
		}
	}
	f.sizes = append(f.sizes, sizes)
	f.index++
	at := fsm.Position{Index: f.index, Term: 1}
	f.mu.Unlock()
	replies := make([]*resp.Writer, len(b.Proposals))
	for i := range replies {
		replies[i] = resp.NewWriter(ps[i].Proto, nil)
	}
	f.machine.Apply(at, b, replies)
	for i := range ps {
		if i < len(replies) {
			ps[i].Done(replies[i].Bytes(), nil)
		} else {
			ps[i].Done(nil, refused)
		}
	}
}

func (f *fake) notLeader() error {
	if f.leader.ID == "" {
		return system.ErrNoLeader
	}
	return &system.NotLeaderError{Leader: f.leader}
}

func (f *fake) Submit(ps []system.Proposal) { f.queue <- ps }

func (f *fake) ReadBarrier(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.barriers++
	switch {
	case f.barrierErr != nil:
		return 0, f.barrierErr
	case !f.self:
		return 0, f.notLeader()
	}
	return f.now, nil
}

func (f *fake) Settled() bool { return true }

func (f *fake) FollowerBarrier(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.followers++
	if f.barrierErr != nil {
		return 0, f.barrierErr
	}
	if f.leader.ID == "" {
		return 0, system.ErrNoLeader
	}
	return f.machine.Now(), nil
}

func (f *fake) Tick(_ context.Context, now int64) error {
	f.mu.Lock()
	f.ticks++
	f.index++
	at := fsm.Position{Index: f.index, Term: 1}
	f.mu.Unlock()
	f.machine.Apply(at, &entry.Batch{Version: entry.Version, ID: rand.Uint64(), Now: now}, nil)
	return nil
}

func (f *fake) Forward(ctx context.Context, c system.Caller, args [][]byte) ([]byte, error) {
	if f.forward != nil {
		return f.forward.RunForwarded(ctx, c, args)
	}
	f.mu.Lock()
	leads := f.self && f.leader.ID != ""
	f.mu.Unlock()
	if !leads {
		return nil, system.ErrNoLeader
	}
	return f.own.RunForwarded(ctx, c, args)
}

func (f *fake) Leader() (system.Member, bool, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leader, f.self, f.leader.ID != ""
}

func (f *fake) Members() []system.MemberStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := []system.MemberStatus{{Member: node1, Role: system.Follower}, {Member: node2, Role: system.Follower}}
	for i := range list {
		list[i].Alive = list[i].ID != f.gone
		if list[i].ID == f.leader.ID {
			list[i].Role, list[i].Member = system.Leader, f.leader
		}
	}
	return list
}

func (f *fake) Status(context.Context) system.Status {
	nodes := f.Members()
	f.mu.Lock()
	defer f.mu.Unlock()
	nodes[0].Reachable, nodes[0].MatchIndex, nodes[0].Knows = true, f.index, 3
	return system.Status{NodeID: "node1", ClusterID: "uuid", ClusterVersion: 2, Role: system.Leader, Term: 1, Leader: f.leader, AppliedIndex: f.index, Nodes: nodes}
}

func (f *fake) ask(what string, args ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.admin != nil {
		return f.admin(what, args...)
	}
	return nil
}

func (f *fake) Join(_ context.Context, r system.JoinRequest) error {
	if r.Learner {
		return f.ask("join", r.ID, r.Raft, "learner")
	}
	return f.ask("join", r.ID, r.Raft)
}
func (f *fake) Leave(_ context.Context, id string) error    { return f.ask("leave", id) }
func (f *fake) Transfer(_ context.Context, id string) error { return f.ask("transfer", id) }
func (f *fake) Snapshot(context.Context) error              { return f.ask("snapshot") }
func (f *fake) Rebuild(_ context.Context, id string) error  { return f.ask("rebuild", id) }
func (f *fake) CreateToken(_ context.Context, ttl time.Duration) (string, error) {
	return "raftkv-join-x", f.ask("token", ttl.String())
}
func (f *fake) DropTokens(context.Context) error { return f.ask("no tokens") }
func (f *fake) Tokens(context.Context) ([]system.Token, bool, error) {
	t := system.Token{Hash: system.HashToken("raftkv-join-x"), Expires: 1_700_000_000_500}
	return []system.Token{t}, true, f.ask("tokens")
}
func (f *fake) Audit(context.Context) (system.AuditReport, error) {
	return system.AuditReport{
		Index: 7, Time: 1_700_000_000, Digest: "d1", Verdict: system.AuditIncomplete,
		Nodes: []system.NodeDigest{{ID: "node1", Digest: "d1", Verdict: system.AuditOK}, {ID: "node2", Verdict: system.AuditUnknown}},
	}, f.ask("audit")
}
func (f *fake) LastSnapshot() int64 { return 0 }
func (f *fake) VotersAt(context.Context) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.voters, nil
}

// set changes the fake under its lock.
func (f *fake) set(change func(f *fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// takeSizes returns what was submitted since the last call.
func (f *fake) takeSizes() [][]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sizes := f.sizes
	f.sizes = nil
	return sizes
}

// testServer is a Server on a port of its own, over a fake.
type testServer struct {
	*Server
	fake *fake
	addr string
	t    *testing.T
}

func newTestServer(t *testing.T, change ...func(*Options)) *testServer {
	t.Helper()
	f := newFake(t)
	o := Options{NodeID: "node1", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, c := range change {
		c(&o)
	}
	s := New(o, f, f.machine)
	f.own = s
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-ended; err != ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	until(t, "the users that count", func() bool {
		s.users.mu.Lock()
		defer s.users.mu.Unlock()
		return s.users.settled
	})
	f.set(func(f *fake) { f.followers = 0 })
	return &testServer{Server: s, fake: f, addr: ln.Addr().String(), t: t}
}

// client is a plain connection that sends raw bytes and reads exact replies.
type client struct {
	t    *testing.T
	conn net.Conn
	seen strings.Builder // what readUntil has read
}

func (s *testServer) dial() *client {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return &client{t: s.t, conn: conn}
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, raw); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads exactly as many bytes as want has.
func (c *client) expect(want string) {
	c.t.Helper()
	got := make([]byte, len(want))
	_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := io.ReadFull(c.conn, got)
	if err != nil || string(got) != want {
		c.t.Fatalf("got  %q (%v)\nwant %q", got[:n], err, want)
	}
}

// readUntil reads up to a text.
func (c *client) readUntil(end string) {
	c.t.Helper()
	var got []byte
	b := make([]byte, 1)
	_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for !bytes.HasSuffix(got, []byte(end)) {
		if _, err := c.conn.Read(b); err != nil {
			c.t.Fatalf("got %q, %v, want it to end with %q", got, err, end)
		}
		got = append(got, b[0])
	}
	c.seen.Write(got)
}

// roundTrip sends and expects; then it makes sure that nothing else came.
func (c *client) roundTrip(raw, want string) {
	c.t.Helper()
	c.send(raw)
	c.expect(want)
	c.send("ECHO mark\r\n")
	c.expect("$4\r\nmark\r\n")
}

// expectEOF expects that the server closes.
func (c *client) expectEOF() {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 100)
	if n, err := c.conn.Read(b); err != io.EOF {
		c.t.Fatalf("got %q, %v, want the end", b[:n], err)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for " + what)
		}
	}
}
