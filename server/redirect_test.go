package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// follower makes the server follow node2, which is a server of its own.
func follower(t *testing.T) (here, leader *testServer) {
	t.Helper()
	here, leader = newTestServer(t), newTestServer(t, func(o *Options) { o.NodeID = "node2" })
	leader.fake.set(func(f *fake) { f.leader = node2 })
	here.fake.set(func(f *fake) { f.leader, f.self, f.forward = node2, false, leader.Server })
	return here, leader
}

// Keyed commands are moved, keyless ones are answered or forwarded.
func TestOnFollower(t *testing.T) {
	const moved, queued = "-MOVED 12182 127.0.0.1:6380\r\n", "+OK\r\n+QUEUED\r\n"
	const abort = "-EXECABORT Transaction discarded because of previous errors.\r\n"
	tests := []struct {
		name     string
		in       []string
		want     string
		barriers int // FollowerBarriers; one before each forward, so that the users are up to date
		leader   string
	}{
		{"read", []string{"GET foo"}, moved, 0, "[]"},
		{"write", []string{"SET foo 1"}, moved, 0, "[]"},
		{"slot of the first key", []string{"MGET foo bar"}, moved, 0, "[]"},
		{"watch", []string{"WATCH foo"}, moved, 0, "[]"},
		{"session commands", []string{"PING", "WAIT 0 0"}, "+PONG\r\n-" + string(errWaitOnFollower) + "\r\n", 0, "[]"},
		{"keyless read", []string{"DBSIZE"}, ":0\r\n", 1, "[]"},
		{"keyless reads share a barrier", []string{"DBSIZE", "PING", "RANDOMKEY"}, ":0\r\n+PONG\r\n$-1\r\n", 1, "[]"},
		{"keyless write", []string{"FLUSHALL"}, "+OK\r\n", 1, "[[1]]"},
		{"a read after a keyless write", []string{"DBSIZE", "FLUSHALL", "DBSIZE"}, ":0\r\n+OK\r\n:0\r\n", 3, "[[1]]"},
		{"keyless after keyed", []string{"SET foo 1", "FLUSHALL", "DBSIZE"}, moved + "+OK\r\n:0\r\n", 2, "[[1]]"},
		{"after READONLY", []string{"READONLY", "GET foo", "GET bar", "SET foo 1"}, "+OK\r\n$-1\r\n$-1\r\n" + moved, 1, "[]"},
		{"after READWRITE", []string{"READONLY", "READWRITE", "GET foo"}, "+OK\r\n+OK\r\n" + moved, 0, "[]"},
		{"keyed in MULTI", []string{"MULTI", "SET foo 1", "EXEC"}, "+OK\r\n" + moved + abort, 0, "[]"},
		{"keyed read in MULTI after READONLY", []string{"READONLY", "MULTI", "GET foo", "EXEC"}, "+OK\r\n" + queued + "*1\r\n$-1\r\n", 1, "[]"},
		{"watch after READONLY", []string{"READONLY", "SET foo 1", "WATCH foo", "GET foo", "MULTI", "GET foo", "EXEC"},
			"+OK\r\n" + moved + "+OK\r\n$-1\r\n" + queued + "*1\r\n$-1\r\n", 2, "[]"},
		{"watch after READONLY, and a keyless write", []string{"READONLY", "WATCH foo", "MULTI", "FLUSHALL", "EXEC"}, "+OK\r\n+OK\r\n" + queued + moved, 1, "[]"},
		{"keyed write in MULTI after READONLY", []string{"READONLY", "MULTI", "SET foo 1", "EXEC"}, "+OK\r\n+OK\r\n" + moved + abort, 0, "[]"},
		{"keyless reads in MULTI", []string{"MULTI", "DBSIZE", "EXEC"}, queued + "*1\r\n:0\r\n", 1, "[]"},
		{"keyless writes in MULTI", []string{"MULTI", "FLUSHALL", "PING", "DBSIZE", "EXEC"},
			queued + "+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+PONG\r\n:0\r\n", 1, "[[2]]"},
		{"keyless writes in several databases in MULTI", []string{"MULTI", "FLUSHDB", "DBSIZE", "SELECT 1", "HELLO 3", "RANDOMKEY", "FLUSHDB", "EXEC", "RANDOMKEY"},
			queued + strings.Repeat("+QUEUED\r\n", 5) + "*6\r\n+OK\r\n:0\r\n+OK\r\n" + strings.Replace(hello3, "$6\r\nmaster", "$7\r\nreplica", 1) + "_\r\n+OK\r\n_\r\n", 2, "[[4]]"},
		{"nothing in MULTI", []string{"MULTI", "EXEC"}, "+OK\r\n*0\r\n", 0, "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			here, leader := follower(t)
			here.dial().roundTrip(inline(tt.in...), tt.want)
			if got := here.fake.followers; got != tt.barriers {
				t.Errorf("%d barriers, want %d", got, tt.barriers)
			}
			if got := here.fake.takeSizes(); len(got) > 0 {
				t.Errorf("proposed here: %v", got)
			}
			if got := fmt.Sprint(leader.fake.takeSizes()); got != tt.leader {
				t.Errorf("the leader got %s, want %s", got, tt.leader)
			}
		})
	}
}

// TestForwardNeedsABarrier: a follower that cannot tell whether it has heard of all changes
// of users forwards nothing, however able it is to.
func TestForwardNeedsABarrier(t *testing.T) {
	here, leader := follower(t)
	here.fake.set(func(f *fake) { f.barrierErr = system.ErrNoLeader })
	const down = "-CLUSTERDOWN The cluster has no leader\r\n"
	here.dial().roundTrip(inline("FLUSHALL", "MULTI", "FLUSHALL", "EXEC"), down+"+OK\r\n+QUEUED\r\n"+down)
	if got := leader.fake.takeSizes(); len(got) > 0 {
		t.Errorf("the leader did %v", got)
	}
}

func TestWithoutLeader(t *testing.T) {
	const down = "-CLUSTERDOWN The cluster has no leader\r\n"
	for _, tt := range []struct {
		in   []string
		want string
	}{
		{[]string{"GET foo"}, down},
		{[]string{"SET foo 1", "PING", "GET foo"}, down + "+PONG\r\n" + down},
		{[]string{"READONLY", "GET foo"}, "+OK\r\n" + down},
		{[]string{"DBSIZE"}, down},
		{[]string{"FLUSHALL"}, down},
		{[]string{"WATCH foo"}, down},
		{[]string{"MULTI", "SET foo 1", "EXEC"}, "+OK\r\n+QUEUED\r\n" + down},
	} {
		s := newTestServer(t)
		s.fake.set(func(f *fake) { f.leader, f.self = system.Member{}, false })
		s.dial().roundTrip(inline(tt.in...), tt.want)
	}
}

// A node that believes to lead, and learns from the log or the barrier that it does not.
func TestLeadershipLostOnTheWay(t *testing.T) {
	const moved = "-MOVED 12182 127.0.0.1:6380\r\n"
	for _, tt := range []struct {
		in   []string
		want string
	}{
		{[]string{"SET foo 1", "GET foo", "DBSIZE"}, moved + moved + ":0\r\n"},
		{[]string{"GET foo", "DBSIZE"}, moved + ":0\r\n"},
		{[]string{"READONLY", "GET foo"}, "+OK\r\n$-1\r\n"},
		{[]string{"FLUSHALL", "GET foo"}, "+OK\r\n" + moved},
		{[]string{"MULTI", "GET foo", "EXEC"}, "+OK\r\n+QUEUED\r\n" + moved},
		{[]string{"MULTI", "SET foo 1", "PING", "EXEC", "SET foo 2"}, "+OK\r\n+QUEUED\r\n+QUEUED\r\n" + moved + moved},
	} {
		here, _ := follower(t)
		here.fake.set(func(f *fake) {
			f.self = true
			f.barrierErr = nil
			f.refuse = func(int, *system.Proposal) error { return &system.NotLeaderError{Leader: node2} }
		})
		here.rep = lostLeader{here.fake}
		here.dial().roundTrip(inline(tt.in...), tt.want)
	}
}

// lostLeader is a node whose barrier knows more than its Leader.
type lostLeader struct{ *fake }

func (l lostLeader) ReadBarrier(context.Context) (int64, error) {
	return 0, &system.NotLeaderError{Leader: node2}
}

func TestLocal(t *testing.T) {
	here, leader := follower(t)
	ctx := context.Background()
	local := here.NewLocal()
	var other *system.NotLeaderError
	if _, err := local.Do(ctx, defaultUser, []byte("GET"), []byte("k")); !errors.As(err, &other) || other.Leader != node2 {
		t.Errorf("on a follower: %v", err)
	}
	if _, err := local.Do(ctx, defaultUser, []byte("SET"), []byte("k"), []byte("v")); !errors.As(err, &other) {
		t.Errorf("on a follower: %v", err)
	}
	local = leader.NewLocal()
	for _, tt := range []struct{ line, want string }{
		{"SET k v", "+OK\r\n"}, {"GET k", "$1\r\nv\r\n"}, {"INCR k", "-ERR value is not an integer or out of range\r\n"},
		{"SELECT 5", "+OK\r\n"}, {"HELLO 3", ""}, {"MULTI", "+OK\r\n"}, {"GET k", "$1\r\nv\r\n"}, {"DEL k", ":1\r\n"}, {"GET k", "$-1\r\n"},
	} {
		session := &Session{}
		reply, err := local.Do(ctx, defaultUser, parseLine(t, session, tt.line+"\r\n")...)
		if err != nil || tt.want != "" && string(reply) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.line, reply, err, tt.want)
		}
	}
	leader.fake.set(func(f *fake) { f.refuse = func(int, *system.Proposal) error { return system.ErrUnknownOutcome } })
	if _, err := local.Do(ctx, defaultUser, []byte("SET"), []byte("k"), []byte("v")); !errors.Is(err, system.ErrUnknownOutcome) {
		t.Errorf("got %v", err)
	}
}

func TestRunForwarded(t *testing.T) {
	here, leader := follower(t)
	ctx := context.Background()
	session := &Session{}
	caller := system.Caller{DB: 2, Proto: 3}
	do := func(s *testServer, line string) (string, error) {
		reply, err := s.RunForwarded(ctx, caller, parseLine(t, session, line+"\r\n"))
		return string(reply), err
	}
	if got, err := do(leader, "SET a 1"); got != "+OK\r\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := do(leader, "GET none"); got != "_\r\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := do(leader, "NOSUCH"); got != "-ERR unknown command 'NOSUCH', with args beginning with: \r\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := do(leader, "EXEC broken"); err == nil {
		t.Error("a broken transaction was taken")
	}
	if got := localDo(t, leader, "DBSIZE"); got != ":0\r\n" {
		t.Errorf("it ran in the wrong database: %q", got)
	}
	// A command is forwarded once; a node that does not lead says who does.
	var other *system.NotLeaderError
	if _, err := do(here, "FLUSHALL"); !errors.As(err, &other) {
		t.Errorf("got %v", err)
	}
	if _, err := here.RunForwarded(ctx, system.Caller{DB: 99}, [][]byte{[]byte("FLUSHALL")}); err == nil {
		t.Error("took a database that there is not")
	}
}

// A session keeps nothing of a command that was forwarded in another protocol.
func TestForwardKeepsDatabaseAndProtocol(t *testing.T) {
	here, leader := follower(t)
	leader.dial().roundTrip(inline("SET a 0", "SELECT 4", "SET a 4"), "+OK\r\n+OK\r\n+OK\r\n")
	here.dial().roundTrip(inline("SELECT 4", "FLUSHDB"), "+OK\r\n+OK\r\n")
	leader.dial().roundTrip(inline("GET a", "SELECT 4", "GET a"), "$1\r\n0\r\n+OK\r\n$-1\r\n")
}

// A node whose state differs answers no read itself: its barrier names the leader.
func TestOnDivergedNode(t *testing.T) {
	const moved = "-MOVED 12182 127.0.0.1:6380\r\n"
	here, _ := follower(t)
	here.fake.set(func(f *fake) { f.barrierErr = &system.NotLeaderError{Leader: node2} })
	here.dial().roundTrip(inline("READONLY", "GET foo", "DBSIZE", "MULTI", "DBSIZE", "EXEC"),
		"+OK\r\n"+moved+":0\r\n+OK\r\n+QUEUED\r\n*1\r\n:0\r\n")
}

// What was watched on a follower counts on the node that it has become: an EXEC there
// does nothing if the key changed meanwhile. (The client that Redis 7.0.15's replica
// tells OK, after READONLY, relies on it.)
func TestWatchOutlastsTheChangeOfLeader(t *testing.T) {
	here, _ := follower(t)
	for _, tt := range []struct{ between, want string }{
		{"GET foo", "*1\r\n+OK\r\n"},
		{"SET foo theirs", "*-1\r\n"},
	} {
		here.fake.set(func(f *fake) { f.self = false })
		c := here.dial()
		c.roundTrip(inline("READONLY", "WATCH foo", "GET foo"), "+OK\r\n+OK\r\n$-1\r\n")
		here.fake.set(func(f *fake) { f.self = true })
		localDo(t, here, strings.Fields(tt.between)...)
		c.roundTrip(inline("MULTI", "SET foo mine", "EXEC"), "+OK\r\n+QUEUED\r\n"+tt.want)
		localDo(t, here, "DEL", "foo")
	}
}

// TestForwardWithoutBarrier: what a follower cannot make sure that its client may still
// do is not done, though the leader would do it.
func TestForwardWithoutBarrier(t *testing.T) {
	here, leader := follower(t)
	here.fake.set(func(f *fake) { f.barrierErr = system.ErrNoLeader })
	const down = "-" + string(resp.ErrClusterDown) + "\r\n"
	here.dial().roundTrip(inline("FLUSHALL", "MULTI", "FLUSHALL", "EXEC"), down+"+OK\r\n+QUEUED\r\n"+down)
	if got := leader.fake.takeSizes(); len(got) != 0 {
		t.Errorf("the leader did %v", got)
	}
}
