package server

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Texts recorded from redis-server 7.0.15.
func TestOutputLimits(t *testing.T) {
	c := newTestServer(t).dial()
	const (
		words  = "Wrong number of arguments in buffer limit configuration."
		class  = "Invalid client class specified in buffer limit configuration."
		number = "Error in hard, soft or soft_seconds setting in buffer limit configuration."
		first  = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
		second = "normal 10485760 5242880 10 slave 268435456 67108864 60 pubsub 1 1 1"
		third  = "normal 10485760 5242880 10 slave 1000 1024 3 pubsub 1 1 1"
	)
	for _, tt := range []struct{ set, err, get string }{
		{"normal 0 0 0", "", first},
		{"normal 1 2", words, first},
		{"normal 10mb 5mb 10 pubsub 1 1 1", "", second},
		{"master 1 2 3", class, second},
		{"normal -1 0 0", number, second},
		{"normal 1 1 x", number, second},
		{"normal 1 1 -1", number, second},
		{"normal 1x 1 1", number, second},
		{"REPLICA 1k 1kb 3", "", third},
		{"", "", third},
		{"pubsub 0 0 0 normal 1 2", words, third},
		{"normal 5 5 5 normal 10485760 5242880 10", "", third},
	} {
		want := "+OK\r\n"
		if tt.err != "" {
			want = "-ERR CONFIG SET failed (possibly related to argument 'client-output-buffer-limit') - " + tt.err + "\r\n"
		}
		c.roundTrip(`CONFIG SET client-output-buffer-limit "`+tt.set+"\"\r\n", want)
		c.roundTrip("CONFIG GET client-output-buffer-limit\r\n", "*2\r\n"+bulk("client-output-buffer-limit")+bulk(tt.get))
	}
}

// notebook keeps what a server logs.
type notebook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (n *notebook) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.Write(b)
}

func (n *notebook) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// A reply above the hard limit closes its client, as in Redis, with Redis's line in
// the log and the client's own in it.
func TestHardLimitOfReplies(t *testing.T) {
	var log notebook
	s := newTestServer(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.Output = &OutputLimits{Normal: OutputLimit{Hard: 100_000}}
	})
	c := s.dial()
	c.roundTrip("SETRANGE k 90000 x\r\n", ":90001\r\n")
	c.roundTrip("STRLEN k\r\n", ":90001\r\n")
	c.send("GET k\r\n")
	c.expect("$90001\r\n" + strings.Repeat("\x00", 90000) + "x\r\n")
	c.send("SETRANGE k 100000 x\r\n")
	c.expect(":100001\r\n")
	c.send("GET k\r\n")
	c.expectEOF()
	if !strings.Contains(log.String(), cutOverLimit) || !strings.Contains(log.String(), "cmd=get") {
		t.Errorf("the log says %q", log.String())
	}
	if got := infoFields(t, s, "stats")["client_output_buffer_limit_disconnections"]; got != "1" {
		t.Errorf("INFO counts %s", got)
	}
}

// slowConn is a client's connection that takes no more than room bytes; what is
// written beyond them waits for the deadline.
type slowConn struct {
	net.Conn
	mu       sync.Mutex
	room     int
	deadline time.Time
	closed   bool
}

func (c *slowConn) SetWriteDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = at
	return nil
}

func (c *slowConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(b), c.room)
	c.room -= n
	if n < len(b) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

func (c *slowConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

// Above the soft limit a client has so many seconds to come below it; below it has as
// long as every client.
func TestSoftLimitOfReplies(t *testing.T) {
	for _, tt := range []struct {
		name      string
		room      int
		wantWhy   string
		withinMax time.Duration
	}{
		{"stays above", 900, cutOverLimit, 2 * time.Second},
		{"comes below, and stops", 1001, cutStalled, writeTimeout},
		{"takes all", 2000, "", writeTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := &slowConn{room: tt.room}
			o := newOutput(conn, &stats{}, func() *OutputLimits { return &OutputLimits{Normal: OutputLimit{Soft: 1000, Seconds: 2}} })
			why := ""
			o.onCut = func(text string) { why += text }
			for o.w.Mark() < 2000 {
				o.w.Raw([]byte("+"))
			}
			err := o.flush()
			if why != tt.wantWhy || errors.Is(err, errSlowClient) != (why != "") || conn.closed != (why != "") {
				t.Errorf("%q, %v, closed %v", why, err, conn.closed)
			}
			if left := time.Until(conn.deadline); left > tt.withinMax || left < tt.withinMax/2 {
				t.Errorf("the last deadline is %s from now", left)
			}
		})
	}
}

// Messages above the soft limit for longer than it allows cut the client.
func TestSoftLimitOfMessages(t *testing.T) {
	here, there := net.Pipe() // nobody reads
	defer there.Close()
	limit := OutputLimit{Soft: 100, Seconds: 1 << 40}
	o := newOutput(here, &stats{}, func() *OutputLimits { return &OutputLimits{PubSub: limit} })
	for range 10 {
		o.push(make([]byte, 100))
	}
	if o.failure() != nil {
		t.Fatal("cut although there is time")
	}
	limit.Seconds = 0
	until(t, "the cut", func() bool {
		o.push(make([]byte, 100))
		return o.failure() != nil
	})
	o.end()
}

// A client that reads nothing is not read from either: what it sends stays in the
// system's buffers, and the server holds little for it. CLIENT LIST tells how much.
func TestUnreadPipelineHoldsLittle(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SETRANGE k 9999 x\r\n", ":10000\r\n")
	stuck := s.dial()
	_ = stuck.conn.(*net.TCPConn).SetReadBuffer(4096)
	sent := 0
	pipeline := []byte(strings.Repeat("GET k\r\n", 1000))
	_ = stuck.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for {
		n, err := stuck.conn.Write(pipeline)
		sent += n
		if err != nil {
			break // it does not take any more
		}
		if sent > 64<<20 {
			t.Fatal("the server reads on though nobody reads its replies")
		}
	}
	session, _ := s.sessions.get(2)
	b := session.buffers()
	if b.replies < flushSize || b.total() > 8<<20 || b.query == 0 {
		t.Errorf("after %d bytes the server holds %+v for the client", sent, b)
	}
	line := session.describe()
	if !strings.Contains(line, " tot-mem=") || strings.Contains(line, " obl=0 ") || strings.Contains(line, " qbuf=0 ") {
		t.Errorf("CLIENT LIST says %s", line)
	}
	c.roundTrip("PING\r\n", "+PONG\r\n")
	stuck.conn.Close()
	until(t, "the end of the stuck client", func() bool { return s.sessions.len() == 1 })
}

// A command that grows beyond client-query-buffer-limit closes its client, also one
// that is too large for the log and is dropped as it comes.
func TestQueryLimit(t *testing.T) {
	var log notebook
	s := newTestServer(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		o.MaxQuery = 2 << 20
	})
	value := strings.Repeat("x", 1<<20)
	c := s.dial()
	c.roundTrip("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n"+value+"\r\n", "+OK\r\n")
	c.roundTrip("STRLEN k\r\n", ":1048576\r\n")
	for _, announced := range []string{"$4000000\r\n", "$400000000\r\n"} { // the second would be dropped as it comes
		c := s.dial()
		c.send("*3\r\n$3\r\nSET\r\n$6\r\nsecret\r\n" + announced)
		go func() {
			for range 4 {
				if _, err := io.WriteString(c.conn, value); err != nil {
					return
				}
			}
		}()
		_ = c.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := io.Copy(io.Discard, c.conn); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) { // it may be a reset
			t.Errorf("%q: %d bytes, %v", announced, n, err)
		}
	}
	if got := infoFields(t, s, "stats")["client_query_buffer_limit_disconnections"]; got != "2" {
		t.Errorf("INFO counts %s", got)
	}
	if text := log.String(); !strings.Contains(text, "Closing client that reached max query buffer length") || strings.Contains(text, "secret") {
		t.Errorf("the log says %q", text)
	}
}
