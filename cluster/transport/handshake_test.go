package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAcceptedHandshakes is the table of what the accepting side lets in.
func TestAcceptedHandshakes(t *testing.T) {
	b := newBook()
	n := start(t, b, Identity{"node1", "X"}, "", func(n *Transport) { n.Raft() })
	pristine := start(t, b, Identity{"node0", ""}, "")
	peer := Peer{"node2", "X", "127.0.0.1:9"}
	tests := []struct {
		name string
		to   *Transport
		h    hello
		want Refusal
	}{
		{"raft", n, hello{stream: streamRaft, receiver: "node1", peer: peer}, 0},
		{"call", n, hello{stream: streamCall, receiver: "node1", peer: peer}, 0},
		{"intro to anyone", n, hello{stream: streamIntro, peer: peer}, 0},
		{"intro to this one", n, hello{stream: streamIntro, receiver: "node1", peer: peer}, 0},
		{"intro of another cluster", n, hello{stream: streamIntro, peer: Peer{"node2", "Y", ""}}, 0},
		{"intro of none", n, hello{stream: streamIntro, peer: Peer{"node2", "", ""}}, 0},
		{"intro of itself", n, hello{stream: streamIntro, peer: Peer{"node1", "X", ""}}, 0},
		{"intro to none of a cluster", pristine, hello{stream: streamIntro, peer: peer}, 0},
		{"intro to another", n, hello{stream: streamIntro, receiver: "node3", peer: peer}, RefusedReceiver},
		{"intro without id", n, hello{stream: streamIntro, peer: Peer{"", "X", ""}}, RefusedSender},
		{"version", n, hello{version: 9, stream: streamCall, receiver: "node1", peer: peer}, RefusedVersion},
		{"cluster, raft", n, hello{stream: streamRaft, receiver: "node1", peer: Peer{"node2", "Y", ""}}, RefusedCluster},
		{"cluster, call", n, hello{stream: streamCall, receiver: "node1", peer: Peer{"node2", "Y", ""}}, RefusedCluster},
		{"no cluster on either side", pristine, hello{stream: streamCall, receiver: "node0", peer: Peer{"node2", "", ""}}, RefusedCluster},
		{"receiver, raft", n, hello{stream: streamRaft, receiver: "node3", peer: peer}, RefusedReceiver},
		{"receiver, call", n, hello{stream: streamCall, receiver: "node3", peer: peer}, RefusedReceiver},
		{"no receiver", n, hello{stream: streamCall, peer: peer}, RefusedReceiver},
		{"itself", n, hello{stream: streamCall, receiver: "node1", peer: Peer{"node1", "X", ""}}, RefusedSender},
		{"group", n, hello{stream: streamRaft, group: 1, receiver: "node1", peer: peer}, RefusedGroup},
		{"stream", n, hello{stream: 77, receiver: "node1", peer: peer}, RefusedStream},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.h.version == 0 {
				tt.h.version = protocolVersion
			}
			c, a := dialRaw(t, tt.to, tt.h)
			if a.refusal != tt.want {
				t.Errorf("refusal %d, want %d", a.refusal, tt.want)
			}
			if self := tt.to.Identity(); a.peer != (Peer{self.ID, self.Cluster, tt.to.Addr()}) {
				t.Errorf("answered as %+v", a.peer)
			}
			if tt.want != 0 {
				wantClosed(t, c)
			}
		})
	}
}

func TestRaftRefusedUntilEnabled(t *testing.T) {
	n := start(t, newBook(), Identity{"node1", "X"}, "")
	h := hello{version: protocolVersion, stream: streamRaft, receiver: "node1", peer: Peer{"node2", "X", ""}}
	if _, a := dialRaw(t, n, h); a.refusal != RefusedRaft {
		t.Errorf("refusal %d before Raft(), want %d", a.refusal, RefusedRaft)
	}
	r := n.Raft()
	if n.Raft() != r {
		t.Error("Raft() made another transport the second time")
	}
	if _, a := dialRaw(t, n, h); a.refusal != 0 {
		t.Errorf("refusal %d after Raft()", a.refusal)
	}
	r.(interface{ Close() error }).Close()
	if _, a := dialRaw(t, n, h); a.refusal != RefusedRaft {
		t.Errorf("refusal %d after Raft was closed, want %d", a.refusal, RefusedRaft)
	}
}

// TestDialledHandshakes: the dialling side sees a typed error, and does not take
// the other side's word for it.
func TestDialledHandshakes(t *testing.T) {
	lying := func(a answer) func(net.Conn) {
		return func(c net.Conn) {
			readHello(c)
			msg, _ := a.append(nil)
			c.Write(msg)
		}
	}
	says := func(text string) func(net.Conn) { return func(c net.Conn) { readHello(c); c.Write([]byte(text)) } }
	tests := []struct {
		name string
		peer func(net.Conn)
		want Refusal
		text string
	}{
		{"another cluster", lying(answer{version: protocolVersion, peer: Peer{"node2", "Y", ""}}), RefusedCluster, `node node2 of cluster "Y", not of "X"`},
		{"another node", lying(answer{version: protocolVersion, peer: Peer{"node3", "X", ""}}), RefusedReceiver, "is node node3, not node2"},
		{"another version", lying(answer{version: 7, peer: Peer{"node2", "X", ""}}), RefusedVersion, "another version"},
		{"refused", lying(answer{version: protocolVersion, refusal: RefusedFull, peer: Peer{"node2", "X", ""}}), RefusedFull, "too many connections"},
		{"unknown refusal", lying(answer{version: protocolVersion, refusal: 99, peer: Peer{"node2", "X", ""}}), 99, "refused the connection (99)"},
		{"a Redis server", says("-ERR unknown command\r\n"), RefusedForeign, "is not the Raft address of a RaftKV node"},
		{"short foreign answer", says("-E\r\n"), RefusedForeign, "is not the Raft address of a RaftKV node"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBook()
			n := start(t, b, Identity{"node1", "X"}, "")
			b.set("node2", fake(t, tt.peer))
			_, err := n.Call(soon(t), "node2", kindEcho, nil)
			h := wantRefusal(t, err, tt.want)
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q, want %q in it", err, tt.text)
			}
			if h.Meant != "node2" || h.Self != (Identity{"node1", "X"}) {
				t.Errorf("HandshakeError %+v", h)
			}
		})
	}
}

// fake is a listener whose connections a function handles; they are closed after it.
func fake(t testing.TB, f func(net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				if secret := testTLS(t); secret != nil {
					c = secureConn{tls.Server(c, secret.Accept())}
				}
				f(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().String()
}

func TestGarbageIsDropped(t *testing.T) {
	n := start(t, newBook(), Identity{"node1", "X"}, "")
	tests := []struct{ name, say string }{
		{"http", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"resp", "*1\r\n$4\r\nPING\r\n"},
		{"long hello", magic + "\x02\xff\xff"},
		{"truncated fields", magic + "\x02\x03\x00\x01\x00\x00"},
		{"endless varint", magic + "\x02\x0c\x00\x01" + strings.Repeat("\xff", 11)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := raw(t, n)
			c.Write([]byte(tt.say))
			wantClosed(t, c)
		})
	}
}

func TestHandshakeDeadline(t *testing.T) {
	n := start(t, newBook(), Identity{"node1", "X"}, "", func(n *Transport) { n.limits.handshake = 50 * time.Millisecond })
	c := raw(t, n)
	c.Write([]byte(magic[:3])) // and nothing more
	wantClosed(t, c)

	silent := fake(t, func(c net.Conn) { c.Read(make([]byte, 4096)); c.Read(make([]byte, 1)) })
	_, _, err := n.CallAddr(soon(t), silent, kindIntro, nil)
	if !errors.Is(err, ErrNotSent) || err == nil || !strings.Contains(err.Error(), "no handshake from "+silent) {
		t.Errorf("CallAddr to a silent listener: %v", err)
	}
}

// TestLorisMakesWay: idle strangers do not keep members out.
func TestLorisMakesWay(t *testing.T) {
	b := newBook()
	n := start(t, b, Identity{"node1", "X"}, "", func(n *Transport) { n.limits.greeting, n.limits.handshake = 4, time.Minute })
	m := start(t, b, Identity{"node2", "X"}, "")
	var loris []net.Conn
	for range 20 {
		loris = append(loris, raw(t, n))
	}
	for _, c := range loris[:16] {
		wantClosed(t, c)
	}
	mustEcho(t, m, "node1")
	wantClosed(t, loris[16])
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.greeting) > 4 {
		t.Errorf("%d connections in their handshake, want at most 4", len(n.greeting))
	}
}

func TestInboundCaps(t *testing.T) {
	n := start(t, newBook(), Identity{"node1", "X"}, "", func(n *Transport) { n.limits.accepted, n.limits.strangers = 3, 1 })
	intro := hello{version: protocolVersion, stream: streamIntro, peer: Peer{"s", "", ""}}
	call := hello{version: protocolVersion, stream: streamCall, receiver: "node1", peer: Peer{"node2", "X", ""}}
	for i, step := range []struct {
		h    hello
		want Refusal
	}{{intro, 0}, {intro, RefusedFull}, {call, 0}, {call, 0}, {call, RefusedFull}} {
		if _, a := dialRaw(t, n, step.h); a.refusal != step.want {
			t.Errorf("connection %d: refusal %d, want %d", i, a.refusal, step.want)
		}
	}
}

// TestOversizedFrame: a length that is out of bounds ends the connection, and the
// memory it asks for is never taken.
func TestOversizedFrame(t *testing.T) {
	n := start(t, newBook(), Identity{"node1", "X"}, "")
	tests := []struct {
		name string
		h    hello
		head header
	}{
		{"stranger, 2 GiB", hello{stream: streamIntro, peer: Peer{"s", "", ""}}, header{size: 1 << 31, typ: frameRequest, code: uint8(kindIntro), id: 1}},
		{"stranger, over its bound", hello{stream: streamIntro, peer: Peer{"s", "", ""}}, header{size: maxStranger + 1, typ: frameRequest, code: uint8(kindIntro), id: 1}},
		{"member", hello{stream: streamCall, receiver: "node1", peer: Peer{"node2", "X", ""}}, header{size: MaxMessage + 1, typ: frameRequest, code: uint8(kindEcho), id: 1}},
		{"unknown frame", hello{stream: streamIntro, peer: Peer{"s", "", ""}}, header{typ: 99}},
		{"cancel with a body", hello{stream: streamIntro, peer: Peer{"s", "", ""}}, header{size: 5, typ: frameCancel}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.h.version = protocolVersion
			c, _ := dialRaw(t, n, tt.h)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c.Write(tt.head.append(nil))
			wantClosed(t, c)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("%d bytes allocated", got)
			}
		})
	}
}

// TestAnnouncedIsNotAllocated: a member that announces 32 MiB and sends ten bytes
// costs what it sent.
func TestAnnouncedIsNotAllocated(t *testing.T) {
	r := bytes.NewReader(make([]byte, 100<<10))
	if got, err := readBody(r, MaxMessage, firstChunk); err == nil || len(got) > 256<<10 {
		t.Errorf("readBody: %d bytes, %v", len(got), err)
	}
	for _, n := range []int{0, 1, 64 << 10, 64<<10 + 1, 300 << 10} {
		want := bytes.Repeat([]byte("abc"), n)[:n]
		got, err := readBody(bytes.NewReader(append(want, 'z')), n, firstChunk)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("readBody(%d): %d bytes, %v", n, len(got), err)
		}
	}
}

func TestNewErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	resolve := newBook().resolve
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"port taken", Config{Addr: taken.Addr().String(), Self: Identity{ID: "a"}, Resolve: resolve}, taken.Addr().String() + ": address already in use"},
		{"no id", Config{Addr: "127.0.0.1:0", Resolve: resolve}, "bad node id"},
		{"long id", Config{Addr: "127.0.0.1:0", Self: Identity{ID: strings.Repeat("x", 256)}, Resolve: resolve}, "bad node id"},
		{"long address", Config{Addr: "127.0.0.1:0", Advertise: strings.Repeat("x", 256), Self: Identity{ID: "a"}, Resolve: resolve}, "to advertise"},
		{"bad address", Config{Addr: "nonsense", Self: Identity{ID: "a"}, Resolve: resolve}, "node-to-node address"},
		{"no Resolve", Config{Addr: "127.0.0.1:0", Self: Identity{ID: "a"}}, "Resolve"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := New(tt.cfg)
			if err == nil {
				n.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
			if tt.name == "port taken" && !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%v is not EADDRINUSE", err)
			}
		})
	}
}

// TestLearned: only a node of the same cluster is believed about its address, on
// whichever side.
func TestLearned(t *testing.T) {
	type fact struct{ at, id, addr string }
	var mu sync.Mutex
	facts := map[fact]bool{}
	learn := func(at string) func(*Transport) {
		return func(n *Transport) {
			n.cfg.Learned = func(id, addr string) {
				mu.Lock()
				defer mu.Unlock()
				facts[fact{at, id, addr}] = true
			}
		}
	}
	b := newBook()
	n1 := start(t, b, Identity{"node1", "X"}, "", learn("node1"))
	n2 := start(t, b, Identity{"node2", "X"}, "", learn("node2"))
	n3 := start(t, b, Identity{"node3", "Y"}, "", learn("node3"))
	pristine := start(t, b, Identity{"node4", ""}, "", learn("node4"))
	mustEcho(t, n1, "node2")
	for _, n := range []*Transport{n3, pristine} {
		if _, _, err := n.CallAddr(soon(t), n1.Addr(), kindIntro, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Call(soon(t), "node1", kindEcho, nil); err == nil {
			t.Fatal("call between clusters got through")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []fact{{"node1", "node2", n2.Addr()}, {"node2", "node1", n1.Addr()}} {
		if !facts[want] {
			t.Errorf("not learned: %v", want)
		}
		delete(facts, want)
	}
	if len(facts) > 0 {
		t.Errorf("learned of strangers: %v", facts)
	}
}

// TestSetIdentity: a pristine node pledges itself inside an introduction. Its
// answer still gets out, what rested on the old identity is closed, and the new
// cluster gets in.
func TestSetIdentity(t *testing.T) {
	b := newBook()
	old := start(t, b, Identity{"node2", "own"}, "")
	fresh := start(t, b, Identity{"node1", "own"}, "", func(n *Transport) {
		n.Handle(5, true, func(_ context.Context, _ Peer, req []byte) ([]byte, error) {
			n.SetIdentity(Identity{"node1", string(req)})
			return []byte("pledged"), nil
		})
	})
	inviter := start(t, b, Identity{"node3", "X"}, "")
	mustEcho(t, old, "node1")
	mustEcho(t, fresh, "node2")
	_, err := inviter.Call(soon(t), "node1", kindEcho, nil)
	wantRefusal(t, err, RefusedCluster)

	peer, got, err := inviter.CallAddr(soon(t), fresh.Addr(), 5, []byte("X"))
	if err != nil || string(got) != "pledged" || peer != (Peer{"node1", "own", fresh.Addr()}) {
		t.Fatalf("pledge: %+v, %q, %v", peer, got, err)
	}
	mustEcho(t, fresh, "node3")
	wait(t, "the inviter gets in", func() bool {
		_, err := inviter.Call(soon(t), "node1", kindEcho, nil)
		return err == nil
	})
	if n := linked(fresh, func(l *link) bool { return l.peer.ID == "node2" }); n != 0 {
		t.Errorf("%d connections of the old cluster are left", n)
	}
	_, err = old.Call(soon(t), "node1", kindEcho, nil)
	h := wantRefusal(t, err, RefusedCluster)
	if h.Peer.Cluster != "X" {
		t.Errorf("refused by %+v, want cluster X named", h.Peer)
	}
	_, err = fresh.Call(soon(t), "node2", kindEcho, nil)
	wantRefusal(t, err, RefusedCluster)
}

func FuzzGreetings(f *testing.F) {
	h := hello{version: protocolVersion, stream: streamCall, receiver: "node1", instance: 7, peer: Peer{"node2", "X", "127.0.0.1:1"}}
	msg, _ := h.append(nil)
	f.Add(msg)
	a := answer{version: protocolVersion, refusal: RefusedFull, peer: h.peer}
	msg, _ = a.append(nil)
	f.Add(msg)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := readHello(bytes.NewReader(data)); err == nil && h.version == protocolVersion {
			msg, err := h.append(nil)
			if err != nil {
				t.Fatalf("%+v was read but cannot be written: %v", h, err)
			}
			if again, err := readHello(bytes.NewReader(msg)); err != nil || again != h {
				t.Fatalf("%+v came back as %+v, %v", h, again, err)
			}
		}
		if a, err := readAnswer(bytes.NewReader(data)); err == nil && a.version == protocolVersion {
			msg, err := a.append(nil)
			if err != nil {
				t.Fatalf("%+v was read but cannot be written: %v", a, err)
			}
			if again, err := readAnswer(bytes.NewReader(msg)); err != nil || again != a {
				t.Fatalf("%+v came back as %+v, %v", a, again, err)
			}
		}
	})
}
