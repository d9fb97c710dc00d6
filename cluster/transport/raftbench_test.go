package transport

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// answerAll answers entries as a main loop would that has nothing else to do.
func answerAll(t testing.TB, trans raft.Transport) {
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	go func() {
		for {
			select {
			case rpc := <-trans.Consumer():
				req := rpc.Command.(*raft.AppendEntriesRequest)
				rpc.Respond(&raft.AppendEntriesResponse{RPCHeader: someHeader, Term: req.Term, Success: true, LastLog: 7}, nil)
			case <-done:
				return
			}
		}
	}()
}

// benchAppend sends one entry a time, once the one before is answered, or in a pipeline.
func benchAppend(b *testing.B, from raft.Transport, to raft.ServerAddress) {
	for _, size := range []int{200, 64 << 10} {
		request := func() *raft.AppendEntriesRequest {
			return &raft.AppendEntriesRequest{RPCHeader: someHeader, Term: 1, PrevLogEntry: 1, PrevLogTerm: 1,
				LeaderCommitIndex: 1, Entries: []*raft.Log{{Index: 2, Term: 1, Data: make([]byte, size), AppendedAt: time.Now()}}}
		}
		b.Run(fmt.Sprintf("single/%d", size), func(b *testing.B) {
			req := request()
			b.ReportAllocs()
			for b.Loop() {
				if err := from.AppendEntries("node2", to, req, new(raft.AppendEntriesResponse)); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, depth := range []int{1, 2} {
			b.Run(fmt.Sprintf("pipeline%d/%d", depth, size), func(b *testing.B) {
				benchPipeline(b, from, to, request(), depth)
			})
		}
	}
}

// benchPipeline has depth requests on their way.
func benchPipeline(b *testing.B, from raft.Transport, to raft.ServerAddress, req *raft.AppendEntriesRequest, depth int) {
	p, err := from.AppendEntriesPipeline("node2", to)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	taken := make(chan bool, depth-1)
	ended := make(chan struct{})
	defer func() { <-ended }()
	defer close(taken)
	go func() {
		defer close(ended)
		for range taken {
			if f := <-p.Consumer(); f.Error() != nil {
				b.Error(f.Error())
			}
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.AppendEntries(req, new(raft.AppendEntriesResponse)); err != nil {
			b.Fatal(err)
		}
		if depth == 1 {
			<-p.Consumer()
		} else {
			taken <- true
		}
	}
}

// BenchmarkAppend compares this package's way of sending entries with the library's own.
func BenchmarkAppend(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		book := newBook()
		n1, n2 := start(b, book, Identity{"node1", "X"}, ""), start(b, book, Identity{"node2", "X"}, "")
		answerAll(b, n2.Raft())
		benchAppend(b, n1.Raft(), "node2")
	})
	b.Run("library", func(b *testing.B) {
		var ts [2]*raft.NetworkTransport
		for i := range ts {
			var err error
			if ts[i], err = raft.NewTCPTransport("127.0.0.1:0", nil, 3, 10*time.Second, io.Discard); err != nil {
				b.Fatal(err)
			}
			defer ts[i].Close()
		}
		answerAll(b, ts[1])
		benchAppend(b, ts[0], ts[1].LocalAddr())
	})
}
