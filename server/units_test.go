package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tidwall/redcon"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
	"github.com/raftkv/raftkv/server/guard"
)

func parseLine(t *testing.T, s *Session, raw string) [][]byte {
	t.Helper()
	frames, err := guard.NewReader(strings.NewReader(raw)).Next(guard.Limits{MaxBulk: 1 << 20, MaxCommand: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	args, err := s.parse(frames[0])
	if err != nil {
		t.Fatal(err)
	}
	return args
}

// localDo runs a command without a connection.
func localDo(t *testing.T, s *testServer, words ...string) string {
	t.Helper()
	args := make([][]byte, len(words))
	for i, w := range words {
		args[i] = []byte(w)
	}
	reply, err := s.NewLocal().Do(context.Background(), defaultUser, args...)
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

func TestDeclarations(t *testing.T) {
	table := newCommandTable(sessionCommands(), nil)
	for _, c := range table.byName.All() {
		if len(c.sub) == 0 && c.run == nil {
			t.Errorf("%s has no handler", c.Name)
		}
		if c.Summary == "" || c.Since == "" || c.Group == "" || c.Cost == "" {
			t.Errorf("%s is not fully declared", c.Name)
		}
		if c.Kind != spec.Session && c.Name != "MIGRATE" {
			t.Errorf("%s is a data command", c.Name)
		}
		for i := range c.sub {
			if c.sub[i].run == nil || c.sub[i].Summary == "" {
				t.Errorf("%s %s is not fully declared", c.Name, c.sub[i].Name)
			}
		}
	}
}

func TestWireError(t *testing.T) {
	s := newTestServer(t)
	session := newSession(s.Server, nil)
	defer session.cancel()
	get := &item{decl: &watchSpec, args: [][]byte{[]byte("WATCH"), []byte("foo")}}
	at := func(respAddr, raftAddr string) error {
		return &system.NotLeaderError{Leader: system.Member{ID: "n", RESP: respAddr, Raft: raftAddr}}
	}
	for _, tt := range []struct {
		name string
		err  error
		want resp.Error
	}{
		{"a reply", resp.ErrSyntax, resp.ErrSyntax},
		{"moved", at("10.0.0.1:6379", ""), "MOVED 12182 10.0.0.1:6379"},
		{"moved to IPv6", at("[::1]:6379", ""), "MOVED 12182 ::1:6379"},
		{"moved, wildcard", at("0.0.0.0:6379", "10.0.0.2:8000"), "MOVED 12182 10.0.0.2:6379"},
		{"moved, no host at all", at(":6379", ":8000"), "MOVED 12182 :6379"},
		{"moved, no address", at("", "10.0.0.2:8000"), resp.ErrClusterDown},
		{"no leader", system.ErrNoLeader, resp.ErrClusterDown},
		{"unknown", system.ErrUnknownOutcome, resp.ErrUnknown},
		{"overloaded", system.ErrOverloaded, "TRYAGAIN Too many commands are waiting"},
		{"too large", system.ErrTooLarge, errTooLarge(defaultMaxCommand)},
		{"shutdown", system.ErrShutdown, "CLUSTERDOWN This node is shutting down"},
		{"refused", &system.RefusedError{Reason: "no"}, "ERR no"},
		{"given up", context.Canceled, errCut},
		{"another", errors.New("disk"), "ERR disk"},
	} {
		if got := wireError(tt.err, get, session); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestValueLen(t *testing.T) {
	for _, value := range []string{
		"+OK\r\n", "-ERR x\r\n", ":1\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "#t\r\n", ",1.5\r\n", "$5\r\na\r\nbc\r\n", "$0\r\n\r\n",
		"*0\r\n", "*2\r\n:1\r\n*1\r\n$1\r\na\r\n", "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n", "~1\r\n:1\r\n", "=5\r\ntxt:a\r\n",
	} {
		if got := valueLen([]byte(value + "+next\r\n")); got != len(value) {
			t.Errorf("%q: got %d, want %d", value, got, len(value))
		}
	}
}

// What the guard lets through, redcon takes.
func FuzzGuardAgreesWithRedcon(f *testing.F) {
	for _, seed := range []string{"*1\r\n$4\r\nPING\r\n", "SET a 'b'\r\nGET \"\\x00\"\r\n", "*2\r\n$0\r\n\r\n$1\r\n\n\r\n", "$3\r\nabc\r\n"} {
		f.Add([]byte(seed))
	}
	s := &Session{}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := guard.NewReader(strings.NewReader(string(in)))
		for {
			frames, err := r.Next(guard.Limits{MaxBulk: 1 << 20, MaxCommand: 1 << 20})
			if err != nil {
				return
			}
			for _, frame := range frames {
				if _, err := s.parse(frame); err != nil {
					t.Fatalf("%q: %v", frame.Raw, err)
				}
				if c, err := redcon.Parse(frame.Raw); err != nil || len(c.Args) != frame.Argc {
					t.Fatalf("%q: %d arguments, %v, want %d", frame.Raw, len(c.Args), err, frame.Argc)
				}
			}
		}
	})
}

func TestOutputPush(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	o := newOutput(here, &stats{}, atMost(100))
	o.hold()
	o.push([]byte(">1\r\n+message\r\n"))
	o.w.Simple("subscribed")
	got := make(chan string)
	go func() {
		b, _ := io.ReadAll(there)
		got <- string(b)
	}()
	if err := o.flush(); err != nil {
		t.Fatal(err)
	}
	until(t, "the message", func() bool { return o.stats.bytesOut.Load() == 13+14 })
	here.Close()
	o.end()
	if g := <-got; g != "+subscribed\r\n>1\r\n+message\r\n" {
		t.Errorf("got %q", g)
	}
}

// atMost are limits of messages alone, without patience.
func atMost(hard int64) func() *OutputLimits {
	return func() *OutputLimits { return &OutputLimits{PubSub: OutputLimit{Hard: hard}} }
}

// A client that does not read its messages is cut at the limit; nobody waits for it.
func TestOutputLimit(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	o := newOutput(here, &stats{}, atMost(1000))
	for range 100 {
		o.push(make([]byte, 100))
	}
	o.end()
	if err := o.failure(); err == nil {
		t.Error("not cut")
	}
	if _, n := o.waiting(); n > 1000 {
		t.Errorf("%d bytes wait", n)
	}
	if n := o.stats.outputCuts.Load(); n != 1 {
		t.Errorf("%d clients were cut", n)
	}
}

// An accept that fails, for want of file descriptors say, is tried again.
func TestAcceptErrors(t *testing.T) {
	f := newFake(t)
	var log notebook
	s := New(Options{NodeID: "node1", Logger: slog.New(slog.NewTextHandler(&log, nil))}, f, f.machine)
	ln := &brokenListener{fail: 3, closed: make(chan struct{})}
	ended := make(chan error)
	go func() { ended <- s.Serve(ln) }()
	until(t, "the accepts", func() bool { return ln.tries() > 3 })
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != ErrClosed {
		t.Error(err)
	}
	if n := strings.Count(log.String(), "cannot accept"); n != 1 {
		t.Errorf("%d lines for 3 failures in a row: %s", n, log.String())
	}
	if err := s.Serve(ln); err != ErrClosed {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

// brokenListener fails some accepts, and then waits until it is closed.
type brokenListener struct {
	fail   int
	count  atomic.Int32
	closed chan struct{}
	once   sync.Once
}

func (l *brokenListener) Accept() (net.Conn, error) {
	if int(l.count.Add(1)) <= l.fail {
		return nil, syscall.EMFILE
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *brokenListener) tries() int     { return int(l.count.Load()) }
func (l *brokenListener) Addr() net.Addr { return &net.TCPAddr{} }
func (l *brokenListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func TestBlockNoticesWhoLeaves(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.send("WAIT 5 0\r\n")
	until(t, "a waiting client", func() bool {
		all := s.sessions.all()
		return len(all) == 1 && all[0].about.blocked.Load()
	})
	c.conn.Close()
	until(t, "its end", func() bool { return s.sessions.len() == 0 })
}

// What arrives while a command waits is run after it.
func TestBlockKeepsInput(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.send("PING\r\nWAIT 1 0\r\n")
	c.expect("+PONG\r\n")
	until(t, "a waiting client", func() bool { return s.sessions.all()[0].about.blocked.Load() })
	c.send("ECHO " + strings.Repeat("x", 10000) + "\r\nPING\r\n")
	s.fake.set(func(f *fake) { f.voters = 2 })
	c.expect(":1\r\n$10000\r\n" + strings.Repeat("x", 10000) + "\r\n+PONG\r\n")
}

func TestShutdownEndsWaits(t *testing.T) {
	s := newTestServer(t)
	idle, waiting := s.dial(), s.dial()
	idle.roundTrip("PING\r\n", "+PONG\r\n")
	waiting.send("WAIT 5 0\r\n")
	until(t, "a waiting client", func() bool {
		all := s.sessions.all()
		return len(all) == 2 && all[1].about.blocked.Load()
	})
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	waiting.expect(":0\r\n")
	waiting.expectEOF()
	idle.expectEOF()
}
