package transport

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// behind is a node that gets Raft's requests from node1; storing is what its main
// loop is said to be at.
func behind(t *testing.T, storing func() (string, uint64, bool)) (leader, f *Transport) {
	t.Helper()
	b := newBook()
	leader = start(t, b, Identity{"node1", "X"}, "")
	f = start(t, b, Identity{"node2", "X"}, "", func(n *Transport) { n.cfg.Storing = storing })
	return leader, f
}

// beat sends a heartbeat of a leader in a term, and tells how that ended.
func beat(from *Transport, id string, term uint64) <-chan error {
	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte(id), Addr: []byte(id)}
	done := make(chan error, 1)
	var resp raft.AppendEntriesResponse
	r := from.Raft()
	go func() {
		err := r.AppendEntries("node2", "node2", &raft.AppendEntriesRequest{RPCHeader: header, Term: term}, &resp)
		if err == nil && (!resp.Success || resp.Term != term) {
			err = ErrBusy // any will do
		}
		done <- err
	}()
	return done
}

// While the main loop stores the leader's entries, the leader's heartbeats are
// answered; all other requests wait for it, in their order.
func TestHeartbeatsAreAnsweredWhileEntriesAreStored(t *testing.T) {
	var busy atomic.Bool
	leader, f := behind(t, func() (string, uint64, bool) { return "node1", 7, busy.Load() })
	requests := f.Raft().Consumer()

	early := beat(leader, "node1", 7) // it comes before the main loop begins to store
	wait(t, "it waits for the main loop", func() bool { return linked(f, func(l *link) bool { return l.stream == streamRaft }) == 1 })
	entries := make(chan error, 1)
	r := leader.Raft()
	go func() {
		req := entry(7)
		req.RPCHeader = raft.RPCHeader{ProtocolVersion: 3, ID: []byte("node1"), Addr: []byte("node1")}
		entries <- r.AppendEntries("node2", "node2", req, &raft.AppendEntriesResponse{})
	}()
	wait(t, "the entries wait, too", func() bool { return linked(f, func(l *link) bool { return l.stream == streamRaft }) == 2 })
	select {
	case err := <-early:
		t.Fatalf("a heartbeat was answered though nothing is stored: %v", err)
	case err := <-entries:
		t.Fatalf("entries were answered by nobody: %v", err)
	case <-time.After(50 * time.Millisecond):
	}

	busy.Store(true)
	for what, done := range map[string]<-chan error{"the early heartbeat": early, "a later one": beat(leader, "node1", 7)} {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not answered", what)
		}
	}
	others := map[string]<-chan error{"a later term": beat(leader, "node1", 8), "another leader": beat(leader, "node3", 7)}
	for what, done := range others {
		select {
		case err := <-done:
			t.Errorf("%s was answered by the inbox: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	for range 3 {
		rpc := <-requests
		req := rpc.Command.(*raft.AppendEntriesRequest)
		if string(req.ID) == "node1" && req.Term == 7 && len(req.Entries) != 1 {
			t.Errorf("the main loop got %+v, which was answered", req)
		}
		rpc.Respond(&raft.AppendEntriesResponse{Term: req.Term, Success: true}, nil)
	}
	if err := <-entries; err != nil {
		t.Error(err)
	}
	for what, done := range others {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A node is told to stand only by a main loop that waits for requests, and only if
// that may be at this moment.
func TestStand(t *testing.T) {
	_, f := behind(t, nil)
	yes := func() bool { return true }
	if f.Stand(soon(t), yes) {
		t.Error("it stands without Raft")
	}
	requests := f.Raft().Consumer()
	brief, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	if f.Stand(brief, yes) {
		t.Error("a busy main loop took it")
	}
	asked := 0
	if f.Stand(soon(t), func() bool { asked++; return asked < 5 }) || asked != 5 {
		t.Errorf("it stands though it may no more, or was asked %d times, want 5", asked)
	}
	done := make(chan bool, 1)
	go func() { done <- f.Stand(soon(t), yes) }()
	rpc := <-requests
	req, ok := rpc.Command.(*raft.TimeoutNowRequest)
	if !ok || req.ProtocolVersion != raft.ProtocolVersionMax || string(req.ID) != "node2" {
		t.Errorf("the main loop got %T %+v", rpc.Command, rpc.Command)
	}
	rpc.Respond(&raft.TimeoutNowResponse{}, nil)
	if !<-done {
		t.Error("it says that it does not stand")
	}
}

// The end of a node's last connection is told, once; those that this node dialled,
// and strangers, do not count.
func TestLost(t *testing.T) {
	var mu sync.Mutex
	var lost []string
	told := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), lost...)
	}
	b := newBook()
	a := start(t, b, Identity{"node1", "X"}, "", func(n *Transport) {
		n.cfg.Lost = func(id string) {
			mu.Lock()
			defer mu.Unlock()
			lost = append(lost, id)
		}
	})
	peer := start(t, b, Identity{"node2", "X"}, "")
	mustEcho(t, a, "node2") // dialled here
	if _, _, err := peer.CallAddr(soon(t), a.Addr(), kindIntro, nil); err != nil {
		t.Fatal(err)
	}
	call, _ := dialRaw(t, a, hello{version: protocolVersion, stream: streamCall, receiver: "node1", peer: Peer{ID: "node2", Cluster: "X"}})
	second, _ := dialRaw(t, a, hello{version: protocolVersion, stream: streamCall, receiver: "node1", peer: Peer{ID: "node2", Cluster: "X"}})
	wait(t, "both count", func() bool { return linked(a, (*link).fromMember) == 2 })
	call.Close()
	wait(t, "one ended", func() bool { return linked(a, (*link).fromMember) == 1 })
	if got := told(); len(got) > 0 || !a.Linked("node2") {
		t.Errorf("told of %v with a connection left", got)
	}
	second.Close()
	wait(t, "the other ended, too", func() bool { return len(told()) > 0 })
	a.Drop("node2")
	if got := told(); len(got) != 1 || got[0] != "node2" || a.Linked("node2") {
		t.Errorf("told of %v, want node2 once", got)
	}
}

// Only a port that is closed refuses: not a node that is slow to take connections,
// takes none, or cannot be reached.
func TestRefuses(t *testing.T) {
	b := newBook()
	a := start(t, b, Identity{"node1", "X"}, "")
	a.limits.dial = 200 * time.Millisecond
	full, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	gone := start(t, b, Identity{"gone", "X"}, "")
	gone.Close()
	_, port, _ := net.SplitHostPort(gone.Addr())
	b.set("full", full.Addr().String())
	b.set("named", "localhost:"+port)
	b.set("nameless", "no-such-host.invalid:1")
	b.set("self", a.Addr())
	for id, want := range map[string]bool{"gone": true, "named": true, "self": false, "full": false, "nameless": false, "unknown": false} {
		if got := a.Refuses(soon(t), id); got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
	// Its queue fills up, and the kernel then drops what is new: silence is no refusal.
	for range 8192 {
		c, err := net.DialTimeout("tcp", full.Addr().String(), 50*time.Millisecond)
		if err != nil {
			break
		}
		defer c.Close()
	}
	if a.Refuses(soon(t), "full") {
		t.Error("a node whose queue is full was taken for gone")
	}
}
