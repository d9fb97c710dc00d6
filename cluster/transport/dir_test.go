package transport

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"
)

// TestDirBelongsToID: a node that has another data directory than the one of its
// id gets none of its traffic, and its address is not believed.
func TestDirBelongsToID(t *testing.T) {
	var mu sync.Mutex
	learned := map[string]string{}
	b := newBook()
	n := start(t, b, Identity{"node1", "X"}, "", func(n *Transport) {
		n.cfg.Dir = func() string { return "d1" }
		n.cfg.Fits = func(id, dir string) bool { return id != "node2" || dir == "d2" }
		n.cfg.Learned = func(id, addr string) {
			mu.Lock()
			defer mu.Unlock()
			learned[id] = addr
		}
		n.Raft()
	})
	has := func(id string) bool { mu.Lock(); defer mu.Unlock(); return learned[id] != "" }
	stray := start(t, b, Identity{"node2", "X"}, "", func(n *Transport) { n.cfg.Dir = func() string { return "d9" } })

	_, err := n.Call(soon(t), "node2", kindEcho, nil)
	wantRefusal(t, err, RefusedDir)
	if _, _, err := n.CallAddr(soon(t), stray.Addr(), kindIntro, nil); err != nil {
		t.Errorf("introduction to it: %v", err)
	}
	mustEcho(t, stray, "node1") // so it can be told what it is
	if has("node2") || n.Linked("node2") {
		t.Error("the stray's address was believed, or its connection counted")
	}
	for _, tt := range []struct {
		name string
		h    hello
		want Refusal
	}{
		{"raft from the stray", hello{stream: streamRaft, peer: Peer{"node2", "X", ""}, dir: "d9"}, RefusedDir},
		{"call from the stray", hello{stream: streamCall, peer: Peer{"node2", "X", ""}, dir: "d9"}, 0},
		{"raft from the right one", hello{stream: streamRaft, peer: Peer{"node2", "X", ""}, dir: "d2"}, 0},
		{"raft from one that is not known", hello{stream: streamRaft, peer: Peer{"node3", "X", ""}, dir: "d3"}, 0},
		{"raft from an older program", hello{stream: streamRaft, peer: Peer{"node2", "X", ""}}, 0},
	} {
		tt.h.version, tt.h.receiver = protocolVersion, "node1"
		_, a := dialRaw(t, n, tt.h)
		if a.refusal != tt.want || a.dir != "d1" {
			t.Errorf("%s: refusal %d by %q, want %d", tt.name, a.refusal, a.dir, tt.want)
		}
	}
	right := start(t, b, Identity{"node2", "X"}, "", func(n *Transport) { n.cfg.Dir = func() string { return "d2" } })
	mustEcho(t, n, "node2")
	if !has("node2") {
		t.Errorf("the right one's address %s was not believed", right.Addr())
	}
}

// TestGreetingsOfOlderPrograms: they end before the data directory.
func TestGreetingsOfOlderPrograms(t *testing.T) {
	h := hello{version: protocolVersion, stream: streamCall, receiver: "node1", instance: 7, peer: Peer{"node2", "X", "h:1"}, dir: "d"}
	msg, err := h.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readHello(bytes.NewReader(msg)); err != nil || got != h {
		t.Errorf("%+v came back as %+v, %v", h, got, err)
	}
	old := msg[:len(msg)-2] // without "d" and its length
	size := old[len(magic)+1:]
	binary.LittleEndian.PutUint16(size, binary.LittleEndian.Uint16(size)-2)
	h.dir = ""
	if got, err := readHello(bytes.NewReader(old)); err != nil || got != h {
		t.Errorf("without a data directory it came back as %+v, %v, want %+v", got, err, h)
	}
}
