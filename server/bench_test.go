package server

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/fsm"
	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/system"
)

// instant is a Replicator that answers at once, so that a benchmark shows what
// the session itself costs.
type instant struct {
	*fake
	reply []byte
}

func (r *instant) Submit(ps []system.Proposal) {
	for i := range ps {
		reply := r.reply[:5*len(ps[i].Commands)]
		ps[i].Done(reply, nil)
	}
}

func BenchmarkSession(b *testing.B) {
	for _, depth := range []int{1, 16, 128} {
		for _, cmd := range []string{"GET", "SET"} {
			b.Run(fmt.Sprintf("%s/P=%d", cmd, depth), func(b *testing.B) { benchSession(b, cmd, depth) })
		}
	}
}

func benchSession(b *testing.B, cmd string, depth int) {
	m := fsm.New()
	rep := &instant{fake: &fake{machine: m, leader: node1, self: true, now: 1}, reply: []byte(strings.Repeat("+OK\r\n", depth))}
	value := []byte(strings.Repeat("x", 64))
	set := entry.Command{Args: [][]byte{[]byte("SET"), []byte("key:000000000001"), value}}
	m.Apply(fsm.Position{Index: 1, Term: 1}, &entry.Batch{Version: entry.Version, Now: 1, Proposals: []entry.Proposal{{Commands: []entry.Command{set}}}}, nil)
	s := New(Options{NodeID: "node1", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}, rep, m)
	here, there := net.Pipe()
	session := newSession(s, here)
	s.sessions.add(session)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		session.serve()
	}()
	one, replyLen := "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000001\r\n", len("$64\r\n")+64+2
	if cmd == "SET" {
		one, replyLen = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000001\r\n$64\r\n"+string(value)+"\r\n", 5
	}
	request := []byte(strings.Repeat(one, depth))
	r := bufio.NewReaderSize(there, 64*1024)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += depth {
		go there.Write(request)
		if _, err := r.Discard(replyLen * depth); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	there.Close()
	<-ended
}
