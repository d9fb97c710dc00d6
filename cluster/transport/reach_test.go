package transport

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// absentPeer is a node whose entries are for one that does not run; leads says
// whether it still wants to send them.
func absentPeer(t *testing.T, leads *atomic.Bool) (b *book, a *Transport, addr string) {
	t.Helper()
	b = newBook()
	gone := start(t, b, Identity{"node2", "X"}, "")
	addr = gone.Addr()
	gone.Close()
	var err error
	a, err = New(Config{Addr: "127.0.0.1:0", Self: Identity{"node1", "X"}, Resolve: b.resolve, TLS: testTLS(t),
		Replicates: func(id string, term uint64) bool { return leads.Load() && id == "node2" && term == 7 }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	a.Handle(kindIntro, true, func(_ context.Context, _ Peer, req []byte) ([]byte, error) { return req, nil })
	b.set("node1", a.Addr())
	a.Start()
	a.limits.again = time.Minute // only what the test does may wake it
	return b, a, addr
}

// appendTo sends an entry and tells how that ended.
func appendTo(a *Transport, req *raft.AppendEntriesRequest) <-chan error {
	req.RPCHeader = raft.RPCHeader{ProtocolVersion: 3, ID: []byte("node1"), Addr: []byte("node1")}
	r, done := a.Raft(), make(chan error, 1)
	go func() { done <- r.AppendEntries("node2", "node2", req, &raft.AppendEntriesResponse{}) }()
	return done
}

func entry(term uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: term, PrevLogEntry: 3, PrevLogTerm: 6, Entries: []*raft.Log{{Index: 4, Term: term}}}
}

// Entries for a node that is away wait for it, and reach it as soon as it shows
// itself, so that the library never begins to pause for seconds.
func TestEntriesWaitForTheirNode(t *testing.T) {
	var leads atomic.Bool
	leads.Store(true)
	b, a, addr := absentPeer(t, &leads)
	done := appendTo(a, entry(7))
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	peer := start(t, b, Identity{"node2", "X"}, addr)
	serve := peer.Raft()
	go func() {
		for rpc := range serve.Consumer() {
			rpc.Respond(&raft.AppendEntriesResponse{Term: 7, Success: true}, nil)
			return
		}
	}()
	if _, _, err := peer.CallAddr(soon(t), a.Addr(), kindIntro, nil); err != nil { // its knock
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the entries were not sent when the node came back")
	}
	serve.(*raftTransport).Close()
}

// What is not wanted any more does not wait, nor does what finds the node again.
func TestEntriesThatDoNotWait(t *testing.T) {
	for _, c := range []struct {
		name string
		req  *raft.AppendEntriesRequest
		end  func(a *Transport, leads *atomic.Bool)
	}{
		{"a heartbeat", &raft.AppendEntriesRequest{Term: 7}, nil},
		{"another term", entry(6), nil},
		{"leadership lost meanwhile", entry(7), func(_ *Transport, leads *atomic.Bool) { leads.Store(false) }},
		{"transport closed meanwhile", entry(7), func(a *Transport, _ *atomic.Bool) { a.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var leads atomic.Bool
			leads.Store(true)
			_, a, _ := absentPeer(t, &leads)
			done := appendTo(a, c.req)
			if c.end != nil {
				c.end(a, &leads)
			}
			select {
			case err := <-done:
				if err == nil {
					t.Error("no error of a node that is not there")
				}
			case <-time.After(5 * time.Second):
				t.Fatal("it still waits")
			}
		})
	}
}
