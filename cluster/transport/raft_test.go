package transport

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// follower answers everything that comes over a node's Raft transport as a
// follower would, and keeps what came.
type follower struct {
	mu   sync.Mutex
	got  []any
	data []byte // of the last snapshot
}

func follow(t testing.TB, n *Transport) *follower {
	t.Helper()
	f := &follower{}
	trans := n.Raft()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case rpc := <-trans.Consumer():
				rpc.Respond(f.answer(rpc))
			case <-done:
				return
			}
		}
	})
	t.Cleanup(func() { close(done); wg.Wait() })
	return f
}

func (f *follower) answer(rpc raft.RPC) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, rpc.Command)
	switch req := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		return &raft.AppendEntriesResponse{Term: req.Term, Success: true, LastLog: uint64(len(req.Entries))}, nil
	case *raft.RequestVoteRequest:
		return &raft.RequestVoteResponse{Term: req.Term, Granted: true}, nil
	case *raft.RequestPreVoteRequest:
		return &raft.RequestPreVoteResponse{Term: req.Term, Granted: true}, nil
	case *raft.TimeoutNowRequest:
		return &raft.TimeoutNowResponse{}, errors.New("not now")
	case *raft.InstallSnapshotRequest:
		f.data, _ = io.ReadAll(rpc.Reader)
		return &raft.InstallSnapshotResponse{Term: req.Term, Success: true}, nil
	}
	return nil, errors.New("unknown request")
}

func (f *follower) last() any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got[len(f.got)-1]
}

func entries(sizes ...int) (es []*raft.Log) {
	for i, n := range sizes {
		es = append(es, &raft.Log{Index: uint64(i + 1), Term: 1, Data: bytes.Repeat([]byte{byte(i)}, n)})
	}
	return es
}

func TestRaftRequestsPassThrough(t *testing.T) {
	_, n1, n2 := pair(t)
	f := follow(t, n2)
	trans := n1.Raft()
	if got := trans.LocalAddr(); got != "node1" {
		t.Errorf("LocalAddr() = %q, want node1", got)
	}
	if got := trans.DecodePeer(trans.EncodePeer("node7", "whatever")); got != "node7" {
		t.Errorf("peer node7 came back as %q", got)
	}
	var vote raft.RequestVoteResponse
	err := trans.RequestVote("node2", "node2", &raft.RequestVoteRequest{Term: 5, LastLogIndex: 9}, &vote)
	if err != nil || vote.Term != 5 || !vote.Granted || f.last().(*raft.RequestVoteRequest).LastLogIndex != 9 {
		t.Errorf("RequestVote: %v, %+v", err, vote)
	}
	var pre raft.RequestPreVoteResponse
	err = trans.(raft.WithPreVote).RequestPreVote("node2", "node2", &raft.RequestPreVoteRequest{Term: 6}, &pre)
	if err != nil || pre.Term != 6 || !pre.Granted {
		t.Errorf("RequestPreVote: %v, %+v", err, pre)
	}
	err = trans.TimeoutNow("node2", "node2", &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{})
	if err == nil || err.Error() != "not now" {
		t.Errorf("TimeoutNow: %v, want the follower's error", err)
	}
	state := bytes.Repeat([]byte("state"), 1<<18)
	var inst raft.InstallSnapshotResponse
	req := &raft.InstallSnapshotRequest{Term: 7, Size: int64(len(state))}
	err = trans.InstallSnapshot("node2", "node2", req, &inst, bytes.NewReader(state))
	if err != nil || !inst.Success || !bytes.Equal(f.data, state) {
		t.Errorf("InstallSnapshot: %v, %+v, %d bytes", err, inst, len(f.data))
	}
	if err := trans.TimeoutNow("node9", "node9", &raft.TimeoutNowRequest{}, &raft.TimeoutNowResponse{}); !errors.Is(err, ErrUnknownPeer) {
		t.Errorf("to an unknown node: %v, want ErrUnknownPeer", err)
	}
}

// TestHeartbeatHandlerIsIgnored: heartbeats go the way of all requests.
func TestHeartbeatHandlerIsIgnored(t *testing.T) {
	_, n1, n2 := pair(t)
	f := follow(t, n2)
	n2.Raft().SetHeartbeatHandler(func(raft.RPC) { t.Error("the fast path was taken") })
	var resp raft.AppendEntriesResponse
	err := n1.Raft().AppendEntries("node2", "node2", &raft.AppendEntriesRequest{Term: 3, RPCHeader: raft.RPCHeader{ID: []byte("node1"), Addr: []byte("node1")}}, &resp)
	if err != nil || resp.Term != 3 || f.last().(*raft.AppendEntriesRequest).Term != 3 {
		t.Errorf("heartbeat: %v, %+v", err, resp)
	}
}

// TestAppendEntriesIsShortened: in both ways of sending, what is sent is what is
// left in the request afterwards, for the library goes on from there.
func TestAppendEntriesIsShortened(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name  string
		sizes []int
		want  int
	}{
		{"nothing", nil, 0},
		{"small ones", []int{10, 20, 30}, 3},
		{"ten of 1 MiB", []int{mib, mib, mib, mib, mib, mib, mib, mib, mib, mib}, 3},
		{"exactly full", []int{2*mib - entryOverhead, 2*mib - entryOverhead, 0}, 2},
		{"first too large alone", []int{6 * mib, 1}, 1},
		{"last too large", []int{1, 6 * mib}, 1},
	}
	send := map[string]func(*testing.T, raft.Transport, *raft.AppendEntriesRequest){
		"single": func(t *testing.T, trans raft.Transport, req *raft.AppendEntriesRequest) {
			var resp raft.AppendEntriesResponse
			if err := trans.AppendEntries("node2", "node2", req, &resp); err != nil {
				t.Fatal(err)
			}
			if resp.LastLog != uint64(len(req.Entries)) {
				t.Errorf("the follower got %d entries, %d are left in the request", resp.LastLog, len(req.Entries))
			}
		},
		"pipeline": func(t *testing.T, trans raft.Transport, req *raft.AppendEntriesRequest) {
			p, err := trans.AppendEntriesPipeline("node2", "node2")
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if _, err := p.AppendEntries(req, new(raft.AppendEntriesResponse)); err != nil {
				t.Fatal(err)
			}
			ready := <-p.Consumer()
			if err := ready.Error(); err != nil {
				t.Fatal(err)
			}
			if ready.Request() != req || ready.Response().LastLog != uint64(len(req.Entries)) {
				t.Errorf("the follower got %d entries, %d are left in the request", ready.Response().LastLog, len(req.Entries))
			}
		},
	}
	for _, tt := range tests {
		for how, f := range send {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				_, n1, n2 := pair(t)
				follow(t, n2)
				req := &raft.AppendEntriesRequest{Term: 1, Entries: entries(tt.sizes...)}
				f(t, n1.Raft(), req)
				if len(req.Entries) != tt.want {
					t.Errorf("%d entries left, want %d", len(req.Entries), tt.want)
				}
			})
		}
	}
}

// pool leaves several idle connections in the library's pool.
func pool(t testing.TB, trans raft.Transport) {
	t.Helper()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				req := &raft.AppendEntriesRequest{Term: 1, Entries: entries(1 << 16)}
				if err := trans.AppendEntries("node2", "node2", req, new(raft.AppendEntriesResponse)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// mustVote sends one request that must succeed at the first go, and quickly.
func mustVote(t testing.TB, trans raft.Transport) {
	t.Helper()
	begin := time.Now()
	err := trans.RequestVote("node2", "node2", &raft.RequestVoteRequest{Term: 2}, new(raft.RequestVoteResponse))
	if took := time.Since(begin); err != nil || took > 2*time.Second {
		t.Errorf("vote: %v after %v", err, took)
	}
}

// TestRaftPoolAfterRestart: what the pool holds of a peer's former process costs
// neither a timeout nor a single failed request.
func TestRaftPoolAfterRestart(t *testing.T) {
	b, n1, n2 := pair(t)
	follow(t, n2)
	trans := n1.Raft()
	pool(t, trans)
	pooled := linked(n1, func(l *link) bool { return true })
	if pooled < 2 {
		t.Fatalf("%d pooled connections: nothing to test", pooled)
	}
	n2.Close()
	err := trans.RequestVote("node2", "node2", &raft.RequestVoteRequest{Term: 2}, new(raft.RequestVoteResponse))
	if err == nil {
		t.Error("a vote without a voter")
	}
	follow(t, start(t, b, Identity{"node2", "X"}, n2.Addr()))
	for range 2 * pooled {
		mustVote(t, trans)
	}
}

// TestRaftPoolAfterMove: the same where the peer has another address, even if
// something still answers at the old one; a pipeline to there ends.
func TestRaftPoolAfterMove(t *testing.T) {
	b, n1, old := pair(t)
	before := follow(t, old)
	trans := n1.Raft()
	pool(t, trans)
	pipe, err := trans.AppendEntriesPipeline("node2", "node2")
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	count := len(before.got)
	moved := follow(t, start(t, b, Identity{"node2", "X"}, ""))
	for range 8 {
		mustVote(t, trans)
	}
	if _, err := pipe.AppendEntries(&raft.AppendEntriesRequest{Term: 1}, new(raft.AppendEntriesResponse)); err == nil {
		t.Error("the pipeline still leads to the old address")
	}
	if len(before.got) != count || len(moved.got) != 8 {
		t.Errorf("%d requests went to the old address, %d to the new", len(before.got)-count, len(moved.got))
	}
}

// TestRaftAfterIdentityChange: pooled streams of the former cluster carry nothing.
func TestRaftAfterIdentityChange(t *testing.T) {
	_, n1, n2 := pair(t)
	f := follow(t, n2)
	trans := n1.Raft()
	pool(t, trans)
	count := len(f.got)
	n2.SetIdentity(Identity{"node2", "Y"})
	err := trans.RequestVote("node2", "node2", &raft.RequestVoteRequest{Term: 2}, new(raft.RequestVoteResponse))
	wantRefusal(t, err, RefusedCluster)
	if len(f.got) != count {
		t.Error("a request of another cluster got through")
	}
}

// TestRaftCloseLeavesCalls: Raft's shutdown ends its own streams only.
func TestRaftCloseLeavesCalls(t *testing.T) {
	_, n1, n2 := pair(t)
	follow(t, n2)
	trans := n1.Raft()
	pool(t, trans)
	mustEcho(t, n1, "node2")
	if err := trans.(raft.WithClose).Close(); err != nil {
		t.Fatal(err)
	}
	if k := linked(n1, func(l *link) bool { return l.stream == streamRaft }); k != 0 {
		t.Errorf("%d Raft streams are left", k)
	}
	if err := trans.RequestVote("node2", "node2", &raft.RequestVoteRequest{}, new(raft.RequestVoteResponse)); !errors.Is(err, ErrClosed) {
		t.Errorf("vote after Close: %v, want ErrClosed", err)
	}
	mustEcho(t, n1, "node2")
	mustEcho(t, n2, "node1")
}

func TestRaftAfterClose(t *testing.T) {
	n := start(t, newBook(), Identity{"node1", "X"}, "")
	n.Close()
	trans := n.Raft() // must leave no goroutine behind
	if err := trans.RequestVote("node2", "node2", &raft.RequestVoteRequest{}, new(raft.RequestVoteResponse)); err == nil {
		t.Error("a vote after Close")
	}
}
