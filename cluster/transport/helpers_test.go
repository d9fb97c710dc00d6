package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is the address book that the nodes of a test share.
type book struct {
	mu    sync.Mutex
	addrs map[string]string
}

func newBook() *book { return &book{addrs: map[string]string{}} }

func (b *book) set(id, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addrs[id] = addr
}

func (b *book) resolve(id string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.addrs[id]
	return a, ok
}

const (
	kindEcho  Kind = 1 // answers what it got
	kindWait  Kind = 2 // answers when its context ends
	kindIntro Kind = 3 // open to strangers; answers the caller's id and cluster
	kindError Kind = 4 // always an error
)

// start makes a node with the test kinds on a port that the kernel picks, or on
// addr, and enters it in the book. tweak may change it before it accepts.
func start(t testing.TB, b *book, self Identity, addr string, tweak ...func(*Transport)) *Transport {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	n, err := New(Config{Addr: addr, Self: self, Resolve: b.resolve, TLS: testTLS(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	b.set(self.ID, n.Addr())
	n.Handle(kindEcho, false, func(_ context.Context, _ Peer, req []byte) ([]byte, error) { return req, nil })
	n.Handle(kindWait, false, func(ctx context.Context, _ Peer, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	n.Handle(kindIntro, true, func(_ context.Context, from Peer, req []byte) ([]byte, error) {
		return []byte(from.ID + " " + from.Cluster + " " + from.Addr + " " + string(req)), nil
	})
	n.Handle(kindError, false, func(context.Context, Peer, []byte) ([]byte, error) {
		return nil, errors.New("no such thing")
	})
	for _, f := range tweak {
		f(n)
	}
	n.Start()
	return n
}

// soon bounds a test's call.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// wait returns once cond holds.
func wait(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not so after 10 s: %s", what)
		}
	}
}

func mustEcho(t testing.TB, from *Transport, id string) {
	t.Helper()
	got, err := from.Call(soon(t), id, kindEcho, []byte("hi"))
	if err != nil || string(got) != "hi" {
		t.Fatalf("Call(%s) = %q, %v, want hi", id, got, err)
	}
}

// wantRefusal checks that an error is a handshake's and that nothing was sent.
func wantRefusal(t testing.TB, err error, want Refusal) *HandshakeError {
	t.Helper()
	var h *HandshakeError
	if !errors.As(err, &h) {
		t.Fatalf("error %v, want a HandshakeError", err)
	}
	if h.Reason != want {
		t.Fatalf("refused for %d (%v), want %d", h.Reason, err, want)
	}
	if !errors.Is(err, ErrNotSent) {
		t.Errorf("%v is not ErrNotSent", err)
	}
	return h
}

// raw opens a plain connection to a node.
func raw(t testing.TB, n *Transport) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if s := testTLS(t); s != nil {
		return secureConn{tls.Client(c, s.Dial("127.0.0.1"))}
	}
	return c
}

// dialRaw opens a connection and does the dialling side's handshake with it.
func dialRaw(t testing.TB, n *Transport, h hello) (net.Conn, answer) {
	t.Helper()
	c := raw(t, n)
	msg, err := h.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	a, err := readAnswer(c)
	if err != nil {
		t.Fatalf("no answer to %+v: %v", h, err)
	}
	return c, a
}

// wantClosed waits for the other side to close.
func wantClosed(t testing.TB, c net.Conn) {
	t.Helper()
	var b [1]byte
	n, err := c.Read(b[:])
	var slow net.Error
	if n != 0 || err == nil || errors.As(err, &slow) && slow.Timeout() {
		t.Fatalf("read %d bytes, %v; want the connection closed", n, err)
	}
}

// linked counts a node's connections that match.
func linked(n *Transport, match func(*link) bool) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for l := range n.links {
		if match(l) {
			count++
		}
	}
	return count
}
