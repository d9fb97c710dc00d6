package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/raftkv/raftkv/cluster/logstore"
	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testNode is a Node in this process with its Machine.
type testNode struct {
	*Node
	machine *fsm.Machine
	dir     string
	addr    string
	wall    func() time.Time
	wait    time.Duration // for a leader
	audits  time.Duration // the interval; 0: none by themselves
	network Network
	knows   uint64                // the newest cluster version; 0: that of this program
	cadence *cadence              // of snapshots; nil: the usual one
	logs    io.Writer             // nil: the test's own output
	refusal atomic.Pointer[error] // what commands forwarded to it end with; nil: they are done
	refused atomic.Int64          // how many did
}

// freeAddr returns a loopback address whose port the kernel picked.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// newNode makes a node that is not started yet.
func newNode(t *testing.T, id string) *testNode {
	t.Helper()
	return &testNode{dir: filepath.Join(t.TempDir(), id), addr: freeAddr(t), wall: time.Now, wait: 5 * time.Second}
}

// testKind is the kind of log that the tests' nodes have: tests/cluster/proc has the
// variable's name, too.
func testKind() logstore.Kind { return logstore.Kind(os.Getenv("RAFTKV_TEST_LOG_STORE")) }

// run opens and starts the node under its data directory.
func (tn *testNode) run(t *testing.T, id string, join ...string) {
	t.Helper()
	tn.machine = fsm.New()
	if tn.logs == nil {
		tn.logs = os.Stderr
	}
	level := slog.LevelWarn
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	n, err := Open(Config{
		NodeID: id, DataDir: tn.dir, RaftAddr: tn.addr, RaftAdvertise: tn.addr,
		RESPAdvertise: "127.0.0.1:6" + id[len(id)-1:], HTTPAdvertise: "127.0.0.1:8" + id[len(id)-1:],
		Join: join, LeaderWait: tn.wait, Clock: tn.wall, AuditInterval: tn.audits,
		LogStore: testKind(), Network: tn.network, knows: tn.knows,
		Logger: slog.New(slog.NewTextHandler(tn.logs, &slog.HandlerOptions{Level: level})).With("node", id),
	}, tn.machine)
	if err != nil {
		t.Fatal(err)
	}
	tn.Node = n
	if tn.cadence != nil {
		n.cadence = *tn.cadence
	}
	n.OnForward(func(ctx context.Context, c system.Caller, args [][]byte) ([]byte, error) {
		if err := tn.refusal.Load(); err != nil {
			tn.refused.Add(1)
			return nil, *err
		}
		return tn.do(c.DB, args)
	})
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tn.stop(t) })
}

func (tn *testNode) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := tn.Node.Stop(ctx); err != nil {
		t.Errorf("stop %s: %v", tn.cfg.NodeID, err)
	}
}

// do proposes one command and waits for its reply.
func (tn *testNode) do(db int, args [][]byte) (reply []byte, err error) {
	done := make(chan struct{})
	tn.Submit([]system.Proposal{{
		Proposal: entry.Proposal{DB: db, Commands: []entry.Command{{Args: args}}},
		Proto:    2,
		Done: func(b []byte, e error) {
			reply, err = append([]byte(nil), b...), e
			close(done)
		},
	}})
	<-done
	return reply, err
}

func words(s string) [][]byte {
	var args [][]byte
	for _, w := range strings.Fields(s) {
		args = append(args, []byte(w))
	}
	return args
}

// write runs a command that must succeed.
func (tn *testNode) write(t *testing.T, cmd string) string {
	t.Helper()
	reply, err := tn.do(0, words(cmd))
	if err != nil {
		t.Fatalf("%s: %s: %v", tn.cfg.NodeID, cmd, err)
	}
	return string(reply)
}

// read reads linearizably at this node.
func (tn *testNode) read(t *testing.T, cmd string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		now, err := tn.FollowerBarrier(ctx)
		if err != nil {
			t.Fatalf("%s: %s: %v", tn.cfg.NodeID, cmd, err)
		}
		w := resp.NewWriter(2, nil)
		err = tn.machine.Read(&entry.Proposal{Commands: []entry.Command{{Args: words(cmd), Read: true}}}, now, w)
		if err == nil {
			return string(w.Bytes())
		}
		if err := tn.Tick(ctx, now); err != nil {
			t.Fatalf("%s: %s: tick: %v", tn.cfg.NodeID, cmd, err)
		}
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func background(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// trio starts three nodes, the first of which invites the others.
func trio(t *testing.T) []*testNode {
	t.Helper()
	nodes := []*testNode{newNode(t, "n1"), newNode(t, "n2"), newNode(t, "n3")}
	for i, tn := range nodes {
		tn.run(t, fmt.Sprintf("n%d", i+1))
	}
	for i, tn := range nodes[1:] {
		id := fmt.Sprintf("n%d", i+2)
		if err := nodes[0].Join(background(t), system.JoinRequest{ID: id, Raft: tn.addr}); err != nil {
			t.Fatalf("join %s: %v", id, err)
		}
	}
	return nodes
}

func leaderOf(t *testing.T, nodes []*testNode) (leader *testNode) {
	t.Helper()
	eventually(t, "a leader that serves", func() bool {
		for _, tn := range nodes {
			if _, ok := tn.serving(); ok {
				leader = tn
				return true
			}
		}
		return false
	})
	return leader
}

func TestPristineServesAlone(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	if got := a.read(t, "GET k"); got != "$-1\r\n" {
		t.Errorf("GET on a pristine node = %q, want null", got)
	}
	if got := a.state.Load().State; got != pristine {
		t.Errorf("state after a read = %s, want pristine", got)
	}
	if got := a.write(t, "SET k v"); got != "+OK\r\n" {
		t.Errorf("SET = %q", got)
	}
	if got := a.state.Load().State; got != founded {
		t.Errorf("state after a write = %s, want founded", got)
	}
	if got := a.read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET = %q", got)
	}
}

func TestRestartKeepsWrites(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	for i := range 50 {
		a.write(t, fmt.Sprintf("SET k%d %d", i, i))
	}
	if err := a.Snapshot(background(t)); err != nil {
		t.Fatal(err)
	}
	a.write(t, "SET after snapshot")
	a.stop(t)
	a.run(t, "n1")
	for i := range 50 {
		want := fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(i)), i)
		if got := a.read(t, fmt.Sprintf("GET k%d", i)); got != want {
			t.Errorf("GET k%d = %q, want %q", i, got, want)
		}
	}
	if got := a.read(t, "GET after"); got != "$8\r\nsnapshot\r\n" {
		t.Errorf("GET after = %q", got)
	}
}

// The entry that a snapshot ends with stays in the log. Without it a follower that
// has a tail of its own, never committed, refuses its leader's entries for ever:
// Raft compares the term of the entry before them, and looks in the log alone.
func TestSnapshotKeepsTheEntryItEndsWith(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	for i := range 3 {
		a.write(t, fmt.Sprintf("SET k %d", i))
		if err := a.Snapshot(background(t)); err != nil {
			t.Fatal(err)
		}
		r := a.raft.Load()
		first, err := r.logs.FirstIndex()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(first), r.Stats()["last_snapshot_index"]; got != want || want == "0" {
			t.Errorf("the log begins at %s, want %s, where the snapshot ends", got, want)
		}
	}
}

func TestThreeNodesReplicateAndReadAnywhere(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	for _, tn := range nodes {
		if got := tn.read(t, "GET k"); got != "$1\r\nv\r\n" {
			t.Errorf("%s: GET k = %q", tn.cfg.NodeID, got)
		}
		if got := len(tn.Members()); got != 3 {
			t.Errorf("%s: %d members, want 3", tn.cfg.NodeID, got)
		}
	}
	_, err := nodes[1].do(0, words("SET k w"))
	var moved *system.NotLeaderError
	if !errors.As(err, &moved) || moved.Leader.ID != "n1" || moved.Leader.RESP != "127.0.0.1:61" {
		t.Errorf("write on a follower: %v, want NotLeaderError with n1's addresses", err)
	}
	voters, err := nodes[0].VotersAt(background(t))
	for err == nil && voters < 3 {
		voters, err = nodes[0].VotersAt(background(t))
	}
	if err != nil {
		t.Error(err)
	}
}

func TestFollowerReadSeesEveryAcknowledgedWrite(t *testing.T) {
	nodes := trio(t)
	for i := range 100 {
		nodes[0].write(t, fmt.Sprintf("SET k %d", i))
		want := fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(i)), i)
		if got := nodes[1+i%2].read(t, "GET k"); got != want {
			t.Fatalf("read after write %d on a follower = %q, want %q", i, got, want)
		}
	}
}

func TestTransferAndForward(t *testing.T) {
	nodes := trio(t)
	for round, to := range []int{1, 2, 0, 1} {
		id := fmt.Sprintf("n%d", to+1)
		// Asked on a node that need not be the leader.
		if err := nodes[round%3].Transfer(background(t), id); err != nil {
			t.Fatalf("transfer to %s: %v", id, err)
		}
		eventually(t, id+" leads", func() bool { _, ok := nodes[to].serving(); return ok })
		nodes[to].write(t, fmt.Sprintf("SET round %d", round))
		other := nodes[(to+1)%3]
		eventually(t, "the follower knows", func() bool { m, self, ok := other.Leader(); return ok && !self && m.ID == id })
		reply, err := other.Forward(background(t), system.Caller{Proto: 2}, words("GETSET round x"))
		if err != nil || string(reply) != fmt.Sprintf("$1\r\n%d\r\n", round) {
			t.Errorf("forwarded GETSET = %q, %v", reply, err)
		}
	}
}

func TestJoinRefusals(t *testing.T) {
	nodes := trio(t)
	lone := newNode(t, "n4")
	lone.run(t, "n4")
	lone.write(t, "SET mine 1")
	unused := freeAddr(t)
	tests := []struct {
		name string
		at   *testNode
		req  system.JoinRequest
		want string
	}{
		{"node with state", nodes[0], system.JoinRequest{ID: "n4", Raft: lone.addr}, "n4 already holds cluster"},
		{"wrong id", nodes[0], system.JoinRequest{ID: "n9", Raft: lone.addr}, `is "n4", not "n9"`},
		{"unreachable", nodes[1], system.JoinRequest{ID: "n5", Raft: unused}, "cannot reach"},
		{"no port", nodes[0], system.JoinRequest{ID: "n5", Raft: "localhost"}, "bad Raft address"},
		{"own id", nodes[0], system.JoinRequest{ID: "n1", Raft: nodes[0].addr}, "in use"},
		{"id in use elsewhere", nodes[0], system.JoinRequest{ID: "n2", Raft: nodes[2].addr}, `is "n3", not "n2"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.at.Join(background(t), tt.req)
			var refused *system.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a refusal with %q", err, tt.want)
			}
		})
	}
	nodes[0].write(t, "SET still works")
	if got := lone.read(t, "GET mine"); got != "$1\r\n1\r\n" {
		t.Errorf("the refused node's data: %q", got)
	}
}

func TestLeave(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	if err := nodes[0].Leave(background(t), "n9"); err == nil {
		t.Error("removing an unknown id said success")
	}
	if err := nodes[0].Leave(background(t), ""); err != nil { // the leader itself
		t.Fatal(err)
	}
	leader := leaderOf(t, nodes[1:])
	if got := len(leader.Members()); got != 2 {
		t.Errorf("%d members after the leader left, want 2", got)
	}
	leader.write(t, "SET k w")
	eventually(t, "n1 knows that it left", func() bool { return nodes[0].state.Load().State == left })
	nodes[0].stop(t)
	_, err := Open(nodes[0].cfg, fsm.New())
	if err == nil || !strings.Contains(err.Error(), "has left cluster") {
		t.Errorf("reopening a data dir that left: %v", err)
	}
}

func TestFailover(t *testing.T) {
	nodes := trio(t)
	for i := range 20 {
		nodes[0].write(t, fmt.Sprintf("SET k%d v", i))
	}
	nodes[0].stop(t)
	leader := leaderOf(t, nodes[1:])
	for i := range 20 {
		if got := leader.read(t, fmt.Sprintf("GET k%d", i)); got != "$1\r\nv\r\n" {
			t.Errorf("k%d lost: %q", i, got)
		}
	}
	leader.write(t, "SET more v")
	nodes[0].run(t, "n1")
	eventually(t, "n1 has caught up", func() bool { return nodes[0].visible.Load() >= leader.visible.Load() })
	if got := nodes[0].read(t, "GET more"); got != "$1\r\nv\r\n" {
		t.Errorf("GET more on the restarted node = %q", got)
	}
}

func TestJoinByFlagAndNewAddresses(t *testing.T) {
	a, b, c := newNode(t, "n1"), newNode(t, "n2"), newNode(t, "n3")
	a.run(t, "n1")
	b.run(t, "n2", a.addr)
	c.run(t, "n3", a.addr, b.addr)
	nodes := []*testNode{a, b, c}
	eventually(t, "three voters", func() bool { return len(a.otherVoters()) == 2 })
	a.write(t, "SET k v")
	for _, tn := range nodes {
		tn.stop(t)
	}
	// Two come back elsewhere; the third's address is still good.
	a.addr, b.addr = freeAddr(t), freeAddr(t)
	for i, tn := range nodes {
		tn.run(t, fmt.Sprintf("n%d", i+1))
	}
	leader := leaderOf(t, nodes)
	leader.write(t, "SET k w")
	for _, tn := range nodes {
		if got := tn.read(t, "GET k"); got != "$1\r\nw\r\n" {
			t.Errorf("GET k = %q", got)
		}
		eventually(t, "new addresses are replicated", func() bool {
			m, _ := tn.machine.Member("n1")
			return m.Raft == a.addr
		})
	}
}

func TestLearnerStaysLearner(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.run(t, "n1")
	b.run(t, "n2")
	if err := a.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr, Learner: true}); err != nil {
		t.Fatal(err)
	}
	a.write(t, "SET k v")
	if got := b.read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET on the learner = %q", got)
	}
	if got := b.role(); got != system.Learner {
		t.Errorf("role = %s, want learner", got)
	}
	s := a.Status(background(t))
	if len(s.Nodes) != 2 || s.Nodes[1].Role != system.Learner || !s.Nodes[1].Reachable {
		t.Errorf("status: %+v", s.Nodes)
	}
	b.stop(t) // a learner is no part of any quorum
	a.write(t, "SET k w")
	if got := a.read(t, "GET k"); got != "$1\r\nw\r\n" {
		t.Errorf("GET = %q", got)
	}
}

func TestMinorityRefusesInTime(t *testing.T) {
	nodes := trio(t)
	nodes[1].stop(t)
	nodes[2].stop(t)
	nodes[0].cfg.LeaderWait = 300 * time.Millisecond
	eventually(t, "the leader steps down", func() bool { _, ok := nodes[0].serving(); return !ok })
	if _, err := nodes[0].do(0, words("SET k v")); !errors.Is(err, system.ErrNoLeader) {
		t.Errorf("write in a minority: %v, want ErrNoLeader", err)
	}
	if _, err := nodes[0].FollowerBarrier(background(t)); !errors.Is(err, system.ErrNoLeader) {
		t.Errorf("read in a minority: %v, want ErrNoLeader", err)
	}
	s := nodes[0].Status(background(t))
	if len(s.Nodes) != 3 || s.Nodes[1].Reachable {
		t.Errorf("status in a minority: %+v", s.Nodes)
	}
}

func TestDueKeysGoInAnIdleCluster(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v PX 50")
	for _, tn := range nodes {
		eventually(t, "the key is removed on every node", func() bool {
			_, due := tn.machine.NextDue()
			return !due
		})
	}
	if got := nodes[0].read(t, "GET k"); got != "$-1\r\n" {
		t.Errorf("GET of an expired key = %q", got)
	}
}

// TestBacklogGoesInAnIdleCluster: what was due at once goes by itself, on every node, in
// entries that remove as much as is no pause.
func TestBacklogGoesInAnIdleCluster(t *testing.T) {
	const keys, most = 20_000, 20_000/512 + 25
	nodes := trio(t)
	at := time.Now().Add(2 * time.Second).UnixMilli()
	p := system.Proposal{Proto: 2}
	for i := range keys {
		p.Commands = append(p.Commands, entry.Command{Args: words(fmt.Sprintf("SET k%d v PXAT %d", i, at))})
	}
	done := make(chan error, 1)
	p.Done = func(_ []byte, err error) { done <- err }
	nodes[0].Submit([]system.Proposal{p})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if now := nodes[0].machine.Now(); now >= at {
		t.Fatalf("the machine is too slow: some were due %d ms before they were all there", now-at)
	}
	before := nodes[0].machine.Applied().Index
	for _, tn := range nodes {
		eventually(t, "all keys are removed on every node", func() bool { return tn.machine.Bytes() == 0 })
	}
	if n := nodes[0].machine.Applied().Index - before; n > most {
		t.Errorf("it took %d entries, want %d at the most", n, most)
	} else {
		t.Logf("it took %d entries", n)
	}
}

func TestDataDirRefusals(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	if _, err := Open(a.cfg, fsm.New()); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second process: %v", err)
	}
	a.write(t, "SET k v")
	a.stop(t)
	other := a.cfg
	other.NodeID = "n2"
	if _, err := Open(other, fsm.New()); err == nil || !strings.Contains(err.Error(), `belongs to node "n1"`) {
		t.Errorf("another id: %v", err)
	}
	foreign := a.cfg
	foreign.DataDir = t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign.DataDir, "family.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(foreign, fsm.New()); err == nil || !strings.Contains(err.Error(), "no RaftKV data dir") {
		t.Errorf("foreign dir: %v", err)
	}
	if err := os.Remove(filepath.Join(a.dir, voteFile)); err != nil {
		t.Fatal(err)
	}
	n, err := Open(a.cfg, fsm.New())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Start(); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("started without its votes: %v", err)
	}
	n.trans.Close()
	n.dir.close()
}

// A follower must not send clients to a leader whose process is gone, even before
// any timeout has told it so.
func TestDeadLeaderIsNotNamed(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	eventually(t, "the follower names the leader", func() bool { m, _, ok := nodes[1].Leader(); return ok && m.ID == "n1" })
	nodes[0].trans.Close() // as kill -9 closes its sockets
	eventually(t, "the follower notices within a heartbeat timeout", func() bool {
		m, _, ok := nodes[1].Leader()
		return !ok || m.ID != "n1"
	})
	if got := nodes[1].read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET after the leader's death = %q", got)
	}
	leader := leaderOf(t, nodes[1:])
	if reply, err := leader.do(0, words("SET k w")); err != nil || string(reply) != "+OK\r\n" {
		t.Errorf("SET after the leader's death = %q, %v", reply, err)
	}
}

// A fresh node that was told to join must not found a cluster of its own when a
// client writes to it before the others are there.
func TestWaitingToJoinFoundsNothing(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	b.run(t, "n2", a.addr)
	b.cfg.LeaderWait = 200 * time.Millisecond
	if _, err := b.do(0, words("SET k v")); !errors.Is(err, system.ErrNoLeader) {
		t.Errorf("write before there is a cluster: %v, want ErrNoLeader", err)
	}
	if _, err := b.FollowerBarrier(background(t)); !errors.Is(err, system.ErrNoLeader) {
		t.Errorf("read before there is a cluster: %v, want ErrNoLeader", err)
	}
	if got := b.state.Load().State; got != pristine {
		t.Errorf("state = %s, want pristine", got)
	}
	a.run(t, "n1")
	eventually(t, "it joins once there is one", func() bool { return len(a.otherVoters()) == 1 })
}

// What a removal that was cut off leaves behind can be removed, and does not
// block its address.
func TestGhostMember(t *testing.T) {
	a, b := newNode(t, "n1"), newNode(t, "n2")
	a.run(t, "n1")
	a.write(t, "SET k v")
	ghosts := []string{"ghost", "other"}
	for _, id := range ghosts {
		if err := a.logSystem(background(t), system.MemberSet(system.Member{ID: id, Raft: b.addr})); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Leave(background(t), "ghost"); err != nil {
		t.Errorf("removing a ghost: %v", err)
	}
	if _, still := a.machine.Member("ghost"); still {
		t.Error("the ghost is still there")
	}
	b.run(t, "n2")
	if err := a.Join(background(t), system.JoinRequest{ID: "n2", Raft: b.addr}); err != nil {
		t.Errorf("join at a ghost's address: %v", err)
	}
}
