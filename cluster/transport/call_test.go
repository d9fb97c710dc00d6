package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

func pair(t testing.TB, tweak ...func(*Transport)) (b *book, n1, n2 *Transport) {
	t.Helper()
	b = newBook()
	n1 = start(t, b, Identity{"node1", "X"}, "", tweak...)
	return b, n1, start(t, b, Identity{"node2", "X"}, "", tweak...)
}

func TestCallOutcomes(t *testing.T) {
	b, n1, n2 := pair(t)
	// A port that was free a moment ago; a fixed one may be taken.
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	b.set("gone", gone.Addr().String())
	n2.Handle(6, false, func(context.Context, Peer, []byte) ([]byte, error) { return make([]byte, MaxMessage+1), nil })
	n2.Handle(7, false, func(_ context.Context, from Peer, _ []byte) ([]byte, error) { return fmt.Append(nil, from), nil })
	done, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name    string
		ctx     context.Context
		id      string
		kind    Kind
		req     []byte
		want    string
		err     error
		text    string
		notSent bool
	}{
		{name: "echo", id: "node2", kind: kindEcho, req: []byte("x"), want: "x"},
		{name: "nothing", id: "node2", kind: kindEcho},
		{name: "who calls", id: "node2", kind: 7, want: fmt.Sprint(Peer{"node1", "X", n1.Addr()})},
		{name: "open to strangers, too", id: "node2", kind: kindIntro, want: "node1 X " + n1.Addr() + " "},
		{name: "handler's error", id: "node2", kind: kindError, text: "no such thing"},
		{name: "no handler", id: "node2", kind: 99, err: ErrUnknownKind, notSent: true},
		{name: "request too large", id: "node2", kind: kindEcho, req: make([]byte, MaxMessage+1), err: ErrTooLarge, notSent: true},
		{name: "answer too large", id: "node2", kind: 6, text: "answer of 33554433 bytes: message too large"},
		{name: "unknown node", id: "node9", kind: kindEcho, err: ErrUnknownPeer, notSent: true},
		{name: "itself", id: "node1", kind: kindEcho, err: ErrSelf, notSent: true},
		{name: "nobody listens", id: "gone", kind: kindEcho, text: "connect: connection refused", notSent: true},
		{name: "cancelled before", ctx: done, id: "node2", kind: kindEcho, err: context.Canceled, notSent: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.ctx == nil {
				tt.ctx = soon(t)
			}
			got, err := n1.Call(tt.ctx, tt.id, tt.kind, tt.req)
			if tt.err == nil && tt.text == "" {
				if err != nil || string(got) != tt.want {
					t.Errorf("got %q, %v, want %q", got, err, tt.want)
				}
				return
			}
			if err == nil || tt.err != nil && !errors.Is(err, tt.err) || !bytes.Contains([]byte(err.Error()), []byte(tt.text)) {
				t.Errorf("error %v, want %v %q", err, tt.err, tt.text)
			}
			if errors.Is(err, ErrNotSent) != tt.notSent {
				t.Errorf("%v: ErrNotSent %v, want %v", err, !tt.notSent, tt.notSent)
			}
			var remote *RemoteError
			if errors.As(err, &remote) != (tt.err == nil && !tt.notSent) {
				t.Errorf("%v: RemoteError %v", err, remote)
			}
		})
	}
}

func TestCallAddr(t *testing.T) {
	b := newBook()
	n1 := start(t, b, Identity{"node1", "X"}, "")
	n2 := start(t, b, Identity{"node2", ""}, "")
	who := Peer{"node1", "X", n1.Addr()}
	peer, got, err := n2.CallAddr(soon(t), n1.Addr(), kindIntro, []byte("may I"))
	if want := "node2  " + n2.Addr() + " may I"; err != nil || string(got) != want || peer != who {
		t.Errorf("got %+v, %q, %v, want %+v, %q", peer, got, err, who, want)
	}
	for _, k := range []Kind{kindEcho, 99} { // a stranger is not told what kinds there are
		peer, _, err = n2.CallAddr(soon(t), n1.Addr(), k, nil)
		if !errors.Is(err, ErrMembersOnly) || !errors.Is(err, ErrNotSent) || peer != who {
			t.Errorf("kind %d: %+v, %v, want ErrMembersOnly", k, peer, err)
		}
	}
	if _, _, err = n2.CallAddr(soon(t), n1.Addr(), kindIntro, make([]byte, maxStranger+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large request: %v, want ErrTooLarge", err)
	}
	if _, _, err = n1.CallAddr(soon(t), n1.Addr(), kindIntro, nil); !errors.Is(err, ErrSelf) || !errors.Is(err, ErrNotSent) {
		t.Errorf("its own address: %v, want ErrSelf", err)
	}
	wait(t, "introductions are closed", func() bool { return linked(n1, func(*link) bool { return true }) == 0 })
}

// TestCallsAtOnce: many calls of all sizes over one connection, with others that
// are given up in between, and none gets another's answer.
func TestCallsAtOnce(t *testing.T) {
	_, n1, _ := pair(t)
	const callers, calls = 40, 25
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range calls {
				if i%4 == 0 {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+j%5)*time.Millisecond)
					if _, err := n1.Call(ctx, "node2", kindWait, nil); !errors.Is(err, context.DeadlineExceeded) && err.Error() != context.DeadlineExceeded.Error() {
						t.Errorf("abandoned call: %v", err)
					}
					cancel()
					continue
				}
				req := bytes.Repeat(fmt.Appendf(nil, "%d.%d ", i, j), 1+(i*j*j)%5000)
				got, err := n1.Call(soon(t), "node2", kindEcho, req)
				if err != nil || !bytes.Equal(got, req) {
					t.Errorf("call %d.%d: %d bytes, %v, want %d", i, j, len(got), err, len(req))
				}
			}
		})
	}
	wg.Wait()
	if n := linked(n1, func(*link) bool { return true }); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestLargestMessage(t *testing.T) {
	_, n1, _ := pair(t)
	req := bytes.Repeat([]byte("0123456789abcdef"), MaxMessage/16)
	got, err := n1.Call(soon(t), "node2", kindEcho, req)
	if err != nil || !bytes.Equal(got, req) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestHandlerContext: a handler learns of the caller's deadline, of its giving up,
// and of the end of the connection.
func TestHandlerContext(t *testing.T) {
	_, n1, n2 := pair(t)
	started, ended := make(chan bool, 1), make(chan error, 1)
	n2.Handle(5, false, func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
		_, bounded := ctx.Deadline()
		started <- bounded
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, nil
	})
	tests := []struct {
		name    string
		bounded bool
		stop    func(cancel func())
		want    error
	}{
		{"caller gives up", false, func(cancel func()) { cancel() }, context.Canceled},
		{"connection ends", true, func(func()) { n1.Drop("node2") }, ErrConnLost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			if tt.bounded {
				ctx, cancel = context.WithTimeout(context.Background(), time.Minute)
			}
			defer cancel()
			result := make(chan error, 1)
			go func() {
				_, err := n1.Call(ctx, "node2", 5, nil)
				result <- err
			}()
			if bounded := <-started; bounded != tt.bounded {
				t.Errorf("handler has a deadline: %v, want %v", bounded, tt.bounded)
			}
			tt.stop(cancel)
			if err := <-ended; err != context.Canceled {
				t.Errorf("handler's context: %v", err)
			}
			if err := <-result; !errors.Is(err, tt.want) || errors.Is(err, ErrNotSent) {
				t.Errorf("call: %v, want %v and not ErrNotSent", err, tt.want)
			}
		})
	}
	mustEcho(t, n1, "node2")
}

func TestTooManyHandlers(t *testing.T) {
	b := newBook()
	n := start(t, b, Identity{"node1", "X"}, "")
	release := make(chan struct{})
	n.Handle(5, true, func(context.Context, Peer, []byte) ([]byte, error) { <-release; return nil, nil })
	c, _ := dialRaw(t, n, hello{version: protocolVersion, stream: streamIntro, peer: Peer{"s", "", ""}})
	for id := range strangerBounds.handlers + 1 {
		c.Write(append(header{size: 3, typ: frameRequest, code: 5, id: uint64(id + 1)}.append(nil), "abc"...))
	}
	h, err := readHeader(c, make([]byte, headerSize))
	if err != nil || h.code != statusBusy || h.id != uint64(strangerBounds.handlers+1) {
		t.Errorf("first answer %+v, %v, want busy for the last", h, err)
	}
	close(release)
	for range strangerBounds.handlers {
		if h, err := readHeader(c, make([]byte, headerSize)); err != nil || h.code != statusOK {
			t.Errorf("answer %+v, %v", h, err)
		}
	}
	c.Write(header{typ: frameRequest, code: 5, id: 1}.append(nil)) // room again
	if h, err := readHeader(c, make([]byte, headerSize)); err != nil || h.code != statusOK || h.id != 1 {
		t.Errorf("answer %+v, %v", h, err)
	}
}

// TestSlowHandlerIsNotStuck: a handler that takes far longer than the bound on
// silence keeps its connection, because pings are answered beside it.
func TestSlowHandlerIsNotStuck(t *testing.T) {
	_, n1, n2 := pair(t, func(n *Transport) { n.limits.ping, n.limits.stuck = 20*time.Millisecond, 300*time.Millisecond })
	n2.Handle(5, false, func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
		select {
		case <-ctx.Done():
		case <-time.After(900 * time.Millisecond):
		}
		return []byte("at last"), ctx.Err()
	})
	if got, err := n1.Call(soon(t), "node2", 5, nil); err != nil || string(got) != "at last" {
		t.Errorf("slow call: %q, %v", got, err)
	}
}

// TestStuckConnection: where nothing comes back, the connection is given up and the
// calls on it fail as unknown, long before their own deadline; nothing else suffers.
func TestStuckConnection(t *testing.T) {
	b := newBook()
	n := start(t, b, Identity{"node1", "X"}, "", func(n *Transport) { n.limits.ping, n.limits.stuck = 10*time.Millisecond, 80*time.Millisecond })
	start(t, b, Identity{"node3", "X"}, "")
	b.set("node2", fake(t, func(c net.Conn) {
		readHello(c)
		msg, _ := (&answer{version: protocolVersion, peer: Peer{"node2", "X", ""}}).append(nil)
		c.Write(msg)
		for err := error(nil); err == nil; { // takes everything, says nothing
			_, err = c.Read(make([]byte, 4096))
		}
	}))
	mustEcho(t, n, "node3")
	_, err := n.Call(soon(t), "node2", kindEcho, []byte("x"))
	if !errors.Is(err, ErrConnLost) || errors.Is(err, ErrNotSent) {
		t.Errorf("call on a stuck connection: %v, want ErrConnLost and not ErrNotSent", err)
	}
	if k := linked(n, func(l *link) bool { return l.peer.ID == "node2" }); k != 0 {
		t.Errorf("%d stuck connections are left", k)
	}
	mustEcho(t, n, "node3")
}

// TestPeerRestart: the calls that were out fail at once, and the first call after
// the restart succeeds.
func TestPeerRestart(t *testing.T) {
	b, n1, n2 := pair(t)
	mustEcho(t, n1, "node2")
	addr := n2.Addr()
	result := make(chan error, 1)
	go func() {
		_, err := n1.Call(context.Background(), "node2", kindWait, nil)
		result <- err
	}()
	wait(t, "the call is out", func() bool {
		p, _ := n1.peer("node2")
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conn.mu.Lock()
		defer p.conn.mu.Unlock()
		return len(p.conn.waiting) == 1
	})
	n2.Close()
	if err := <-result; err == nil || errors.Is(err, ErrNotSent) {
		t.Errorf("call that was out: %v, want an error that leaves the outcome open", err)
	}
	// The call's error may have come over the connection, just before its end.
	wait(t, "the end is noticed", func() bool { return linked(n1, func(l *link) bool { return l.dialled != "" }) == 0 })
	start(t, b, Identity{"node2", "X"}, addr)
	mustEcho(t, n1, "node2")
}

// TestNewInstance: a handshake with a peer's new process ends the connections to
// its old one, which TCP may take for alive after a power loss.
func TestNewInstance(t *testing.T) {
	_, n1, n2 := pair(t)
	mustEcho(t, n1, "node2")
	to2 := func(l *link) bool { return l.peer.ID == "node2" && l.dialled != "" }
	same := hello{version: protocolVersion, stream: streamCall, receiver: "node1", instance: n2.instance, peer: Peer{"node2", "X", n2.Addr()}}
	dialRaw(t, n1, same)
	mustEcho(t, n1, "node2")
	if linked(n1, to2) != 1 {
		t.Error("a second connection of the same process ended the first")
	}
	other := same
	other.instance++
	dialRaw(t, n1, other)
	wait(t, "the old connection is closed", func() bool { return linked(n1, to2) == 0 })
}

// TestAddressChange: a call goes to where the peer is now, though the connection to
// where it was still works.
func TestAddressChange(t *testing.T) {
	b, n1, old := pair(t)
	mustEcho(t, n1, "node2")
	moved := start(t, b, Identity{"node2", "X"}, "", func(n *Transport) {
		n.Handle(kindEcho, false, func(context.Context, Peer, []byte) ([]byte, error) { return []byte("moved"), nil })
	})
	if moved.Addr() == old.Addr() {
		t.Fatal("same address")
	}
	if got, err := n1.Call(soon(t), "node2", kindEcho, []byte("hi")); err != nil || string(got) != "moved" {
		t.Errorf("got %q, %v, want the answer from the new address", got, err)
	}
	wait(t, "the old connection is closed", func() bool {
		return linked(n1, func(l *link) bool { return l.dialled == old.Addr() }) == 0
	})
}

// TestWrongNodeAtAddress: another node took over the address.
func TestWrongNodeAtAddress(t *testing.T) {
	b, n1, n2 := pair(t)
	n3 := start(t, b, Identity{"node3", "X"}, "")
	b.set("node2", n3.Addr())
	_, err := n1.Call(soon(t), "node2", kindEcho, nil)
	h := wantRefusal(t, err, RefusedReceiver)
	if h.Peer.ID != "node3" {
		t.Errorf("answered by %+v, want node3", h.Peer)
	}
	b.set("node2", n2.Addr())
	mustEcho(t, n1, "node2")
}

func TestCallerDeadlineWhileDialling(t *testing.T) {
	silent := fake(t, func(c net.Conn) { c.Read(make([]byte, 4096)); c.Read(make([]byte, 1)) })
	b := newBook()
	n := start(t, b, Identity{"node1", "X"}, "")
	b.set("node2", silent)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := n.Call(ctx, "node2", kindEcho, nil); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrNotSent) {
		t.Errorf("got %v, want DeadlineExceeded and ErrNotSent", err)
	}
	begin := time.Now()
	n.Close()
	if took := time.Since(begin); took > n.limits.handshake/2 {
		t.Errorf("Close took %v: it waits for the handshake that goes on", took)
	}
}

func TestCloseEndsCalls(t *testing.T) {
	_, n1, n2 := pair(t)
	entered := make(chan struct{})
	n2.Handle(5, false, func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
		close(entered)
		<-ctx.Done()
		return nil, nil
	})
	result := make(chan error, 1)
	go func() {
		_, err := n1.Call(context.Background(), "node2", 5, nil)
		result <- err
	}()
	<-entered
	n1.Close()
	if err := <-result; !errors.Is(err, ErrConnLost) {
		t.Errorf("call at Close: %v, want ErrConnLost", err)
	}
	if _, err := n1.Call(soon(t), "node2", kindEcho, nil); !errors.Is(err, ErrClosed) || !errors.Is(err, ErrNotSent) {
		t.Errorf("call after Close: %v, want ErrClosed", err)
	}
	if _, _, err := n1.CallAddr(soon(t), n2.Addr(), kindIntro, nil); !errors.Is(err, ErrNotSent) {
		t.Errorf("CallAddr after Close: %v, want ErrNotSent", err)
	}
	if err := n1.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// FuzzSession: whatever comes over a stranger's stream, the session ends with it.
func FuzzSession(f *testing.F) {
	request := append(header{size: 3, typ: frameRequest, code: uint8(kindIntro), id: 1, timeout: 1}.append(nil), "abc"...)
	f.Add(request)
	f.Add(append(request, request...))
	f.Add(header{typ: framePing}.append(header{typ: frameCancel, id: 1}.append(request)))
	f.Add(header{size: 1 << 30, typ: frameRequest}.append(nil))
	n := start(f, newBook(), Identity{"node1", "X"}, "")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range []stream{streamIntro, streamCall} {
			near, far := net.Pipe()
			l := &link{Conn: far, t: n, stream: s, peer: Peer{"s", "", ""}, self: n.Identity()}
			if n.adopt(l) != 0 {
				t.Fatal("not adopted")
			}
			var wg sync.WaitGroup
			wg.Go(func() { n.serveCalls(l) })
			wg.Go(func() { io.Copy(io.Discard, near) })
			near.SetDeadline(time.Now().Add(10 * time.Second))
			near.Write(data)
			near.Close()
			wg.Wait()
		}
	})
}

func BenchmarkCall(b *testing.B) {
	for _, size := range []int{16, 4 << 10} {
		for _, parallel := range []int{1, 32} {
			b.Run(fmt.Sprintf("bytes=%d/callers=%d", size, parallel), func(b *testing.B) {
				_, n1, _ := pair(b)
				mustEcho(b, n1, "node2")
				req := make([]byte, size)
				ctx := soon(b)
				b.ReportAllocs()
				b.SetParallelism(parallel)
				if parallel == 1 {
					for b.Loop() {
						if _, err := n1.Call(ctx, "node2", kindEcho, req); err != nil {
							b.Fatal(err)
						}
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := n1.Call(ctx, "node2", kindEcho, req); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
