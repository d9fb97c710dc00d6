package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// foreign is a listener whose clients seem to come from another machine.
type foreign struct{ net.Listener }

type foreignConn struct{ net.Conn }

func (l foreign) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return foreignConn{c}, err
}

func (foreignConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}
}

// dialForeign connects from another machine, as far as the server can see.
func dialForeign(t *testing.T, s *testServer) func() *client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(foreign{ln}) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		<-ended
	})
	return func() *client { return (&testServer{addr: ln.Addr().String(), t: t}).dial() }
}

// TestProtectedMode: the text is recorded from redis-server 7.0.15.
func TestProtectedMode(t *testing.T) {
	const denied = "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above things in order for the server to start accepting connections from the outside.\r\n"
	s := newTestServer(t, func(o *Options) { o.RequirePass = "secret" })
	dial := dialForeign(t, s)
	admin := s.dial()
	admin.roundTrip("AUTH secret\r\n", "+OK\r\n")
	before := dial()
	before.roundTrip("AUTH secret\r\n", "+OK\r\n")

	admin.roundTrip(`CONFIG SET requirepass ""`+"\r\n", "+OK\r\n")
	refused := dial()
	refused.expect(denied)
	refused.expectEOF()
	s.dial().roundTrip("PING\r\n", "+PONG\r\n")
	before.roundTrip("PING\r\n", "+PONG\r\n") // as in Redis: it is asked once
	if _, _, rejected := s.Connections(); rejected != 1 {
		t.Errorf("%d rejected, want 1", rejected)
	}

	admin.roundTrip("CONFIG SET protected-mode no\r\n", "+OK\r\n")
	dial().roundTrip("PING\r\n", "+PONG\r\n")
	admin.roundTrip("CONFIG SET protected-mode yes\r\n", "+OK\r\n")
	dial().expect(denied)
	admin.roundTrip("CONFIG SET requirepass other\r\n", "+OK\r\n")
	dial().roundTrip("AUTH other\r\n", "+OK\r\n")
}

func TestDenies(t *testing.T) {
	s := newTestServer(t)
	for client, want := range map[string]bool{
		"127.0.0.1:1": false, "127.9.9.9:1": false, "[::1]:1": false, "[::ffff:127.0.0.1]:1": false,
		"192.0.2.1:1": true, "[::ffff:192.0.2.1]:1": true, "[fe80::1%eth0]:1": true, "0.0.0.0:1": true, "": true, "localhost:1": true,
	} {
		if got := s.Denies(client); got != want {
			t.Errorf("%q: %v, want %v", client, got, want)
		}
	}
}

// logged gathers what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// TestCrossProtocol: an HTTP request ends its connection before its body runs; what
// stood before it in the pipeline is done.
func TestCrossProtocol(t *testing.T) {
	var out logged
	now := time.Unix(1_700_000_000, 0)
	var mu sync.Mutex
	s := newTestServer(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&out, nil))
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	for _, tt := range []struct{ in, want string }{
		{"POST / HTTP/1.1\r\nHost: 127.0.0.1:6380\r\nContent-Length: 11\r\n\r\nSET pwn 1\r\n", ""},
		{"GET / HTTP/1.1\r\nHost: 127.0.0.1:6380\r\n\r\nSET pwn 1\r\n", "-ERR wrong number of arguments for 'get' command\r\n"},
		{"post\r\nSET pwn 1\r\n", ""},
		{"*1\r\n$5\r\nhOsT:\r\n*3\r\n$3\r\nSET\r\n$3\r\npwn\r\n$1\r\n1\r\n", ""},
		{"SET before 1\r\nPOST /\r\nSET pwn 1\r\n", "+OK\r\n"},
		{"MULTI\r\nSET pwn 1\r\nPOST\r\nEXEC\r\nSET pwn 1\r\n", "+OK\r\n+QUEUED\r\n"},
	} {
		c := s.dial()
		c.send(tt.in)
		_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if got, err := io.ReadAll(c.conn); err != nil || string(got) != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	s.dial().roundTrip("EXISTS pwn\r\nEXISTS before\r\nSET POST HOST:\r\n", ":0\r\n:1\r\n+OK\r\n")
	const warning = "Possible SECURITY ATTACK detected"
	if n := out.count(warning); n != 1 {
		t.Errorf("%d warnings within a minute, want 1", n)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	c := s.dial()
	c.send("POST\r\n")
	c.expectEOF()
	if n := out.count(warning); n != 2 {
		t.Errorf("%d warnings after another minute, want 2", n)
	}
}

// TestCrossProtocolUnauthenticated: no password is asked for first.
func TestCrossProtocolUnauthenticated(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.RequirePass = "secret" })
	c := s.dial()
	c.send("POST / HTTP/1.1\r\nAUTH secret\r\n")
	c.expectEOF()
}
