package server

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// inline joins command lines into one packet.
func inline(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

func TestPipelines(t *testing.T) {
	tests := []struct {
		name     string
		in       []string
		want     string
		sizes    string // of the proposals of each Submit
		barriers int
	}{
		{"a write", []string{"SET a 1"}, "+OK\r\n", "[[1]]", 0},
		{"a read", []string{"GET a"}, "$-1\r\n", "[]", 1},
		{"writes go together", []string{"SET a 1", "INCR a", "DEL a b"}, "+OK\r\n:2\r\n:1\r\n", "[[3]]", 0},
		{"reads share a barrier", []string{"GET a", "PING", "EXISTS a", "DBSIZE"}, "$-1\r\n+PONG\r\n:0\r\n:0\r\n", "[]", 1},
		{"reads ride with writes", []string{"GET a", "SET a 1", "GET a", "INCR a"}, "$-1\r\n+OK\r\n$1\r\n1\r\n:2\r\n", "[[4]]", 0},
		{"a reply of the session in between", []string{"SET a 1", "PING", "INCR a", "ECHO x", "GET a"},
			"+OK\r\n+PONG\r\n:2\r\n$1\r\nx\r\n$1\r\n2\r\n", "[[1 1 1]]", 0},
		{"errors of commands", []string{"SET a x", "INCR a", "SET a", "NOSUCH", "GET a"},
			"+OK\r\n-ERR value is not an integer or out of range\r\n-ERR wrong number of arguments for 'set' command\r\n" +
				"-ERR unknown command 'NOSUCH', with args beginning with: \r\n$1\r\nx\r\n", "[[2 1]]", 0},
		{"databases", []string{"SET a 0", "SELECT 3", "SET a 3", "GET a", "SELECT 0", "GET a"},
			"+OK\r\n+OK\r\n+OK\r\n$1\r\n3\r\n+OK\r\n$1\r\n0\r\n", "[[1 2 1]]", 0},
		{"protocols", []string{"SET a 1", "GET none", "HELLO 3", "GET none", "RESET", "GET none"},
			"+OK\r\n$-1\r\n" + hello3 + "_\r\n+RESET\r\n$-1\r\n", "[[2 1]]", 1},
		{"what depends waits", []string{"SET a 1", "WATCH a", "SET b 1"}, "+OK\r\n+OK\r\n+OK\r\n", "[[1] [1]]", 1},
		{"a transaction among writes", []string{"SET a 1", "MULTI", "INCR a", "GET a", "EXEC", "INCR a"},
			"+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n$1\r\n2\r\n:3\r\n", "[[1 2 1]]", 0},
		{"nothing after QUIT", []string{"SET a 1", "QUIT", "SET a 2"}, "+OK\r\n+OK\r\n", "[[1]]", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestServer(t)
			c := s.dial()
			c.send(inline(tt.in...))
			c.expect(tt.want)
			if strings.Contains(tt.name, "QUIT") {
				c.expectEOF()
			} else {
				c.roundTrip("PING\r\n", "+PONG\r\n")
			}
			if got := fmt.Sprint(s.fake.takeSizes()); got != tt.sizes {
				t.Errorf("proposed %s, want %s", got, tt.sizes)
			}
			if got := s.fake.barriers; got != tt.barriers {
				t.Errorf("%d barriers, want %d", got, tt.barriers)
			}
		})
	}
}

// A proposal holds no more than an entry can take in one piece.
func TestLargePipelineIsDivided(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	value := strings.Repeat("x", 100_000)
	var in strings.Builder
	for i := range 9 {
		fmt.Fprintf(&in, "*3\r\n$3\r\nSET\r\n$1\r\n%d\r\n$100000\r\n%s\r\n", i, value)
	}
	c.roundTrip(in.String(), strings.Repeat("+OK\r\n", 9))
	for _, submit := range s.fake.takeSizes() {
		for _, n := range submit {
			if n > 2 {
				t.Errorf("%d commands of 100 kB in one proposal", n)
			}
		}
	}
}

// Neither many reads nor their replies gather without bound.
func TestManyReads(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	value := strings.Repeat("x", 1000)
	reply := "$1000\r\n" + value + "\r\n"
	c.roundTrip("SET a "+value+"\r\n", "+OK\r\n")
	s.fake.takeSizes()
	c.roundTrip(strings.Repeat("GET a\r\n", 1000), strings.Repeat(reply, 1000))
	if got := s.fake.takeSizes(); len(got) != 0 {
		t.Errorf("reads were proposed: %v", got)
	}
	c.roundTrip("SET b 1\r\n"+strings.Repeat("GET a\r\n", 1000), "+OK\r\n"+strings.Repeat(reply, 1000))
	for _, submit := range s.fake.takeSizes() {
		for _, n := range submit {
			if n > ridingReads+1 {
				t.Errorf("%d commands went through the log together", n)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	const clusterdown, tryagain = "-CLUSTERDOWN The cluster has no leader\r\n", "-TRYAGAIN Too many commands are waiting\r\n"
	unknown := "-" + string(resp.ErrUnknown) + "\r\n"
	tests := []struct {
		name string
		err  error
		in   []string
		want string
	}{
		{"all behind it too", system.ErrOverloaded, []string{"SET a 1", "PING", "SET bad 1", "PING", "SET a 2", "INCR a"},
			"+OK\r\n+PONG\r\n" + tryagain + "+PONG\r\n" + tryagain + tryagain},
		{"also in the next segment", system.ErrNoLeader, []string{"SET bad 1", "INCR a", "WATCH a", "SET a 1", "GET a", "FLUSHALL"},
			strings.Repeat(clusterdown, 6)},
		{"also a transaction", system.ErrUnknownOutcome, []string{"SET bad 1", "MULTI", "INCR a", "EXEC"},
			unknown + "+OK\r\n+QUEUED\r\n" + unknown},
		{"moved, each with its slot", &system.NotLeaderError{Leader: node2}, []string{"SET bad 1", "GET foo", "PING", "SET {foo}1 x", "WATCH foo"},
			"-MOVED 8498 127.0.0.1:6380\r\n-MOVED 12182 127.0.0.1:6380\r\n+PONG\r\n-MOVED 12182 127.0.0.1:6380\r\n-MOVED 12182 127.0.0.1:6380\r\n"},
		{"not the next pipeline", system.ErrOverloaded, []string{"SET bad 1"}, tryagain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestServer(t)
			s.fake.set(func(f *fake) {
				f.refuse = func(_ int, p *system.Proposal) error {
					for _, c := range p.Commands {
						if len(c.Args) > 1 && string(c.Args[1]) == "bad" {
							return tt.err
						}
					}
					return nil
				}
			})
			c := s.dial()
			c.roundTrip(inline(tt.in...), tt.want)
			c.roundTrip("SET c 1\r\nGET c\r\n", "+OK\r\n$1\r\n1\r\n")
			if got := localDo(t, s, "GET", "a"); strings.Contains(got, "2") {
				t.Errorf("a command behind a refused one was done: %q", got)
			}
		})
	}
}

// What the log may still hold after an unknown outcome is never written to again.
func TestUnknownOutcomeKeepsItsMemory(t *testing.T) {
	s := newTestServer(t)
	var kept [][]byte
	s.fake.set(func(f *fake) {
		f.refuse = func(_ int, p *system.Proposal) error {
			if kept != nil {
				return nil
			}
			kept = p.Commands[0].Args
			return system.ErrUnknownOutcome
		}
	})
	c := s.dial()
	c.roundTrip("SET first value\r\n", "-"+string(resp.ErrUnknown)+"\r\n")
	c.send("*3\r\n$3\r\nSET\r\n$5\r\nother\r\n$5\r\nthing\r\n")
	c.expect("+OK\r\n")
	c.roundTrip(strings.Repeat("SET other thing\r\n", 100), strings.Repeat("+OK\r\n", 100))
	if got := fmt.Sprintf("%s", kept); got != "[SET first value]" {
		t.Errorf("got %s", got)
	}
}

func TestNothingIsProposedBeforeTheLastOutcome(t *testing.T) {
	s := newTestServer(t)
	gate := make(chan struct{})
	s.fake.set(func(f *fake) { f.gate = gate })
	c := s.dial()
	c.send("SET a 1\r\n")
	until(t, "the first entry", func() bool { return s.stats.commands.Load() == 1 })
	c.send("INCR a\r\nINCR a\r\n")
	if n := s.stats.commands.Load(); n != 1 {
		t.Errorf("%d commands were taken up", n)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	c.expect("+OK\r\n:2\r\n:3\r\n")
	if got := fmt.Sprint(s.fake.takeSizes()); got != "[[1] [2]]" {
		t.Errorf("proposed %s", got)
	}
}

// A key that is due by the leader's clock, but not by the log, needs an entry first.
func TestTick(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SET a 1 PX 1000\r\nGET a\r\n", "+OK\r\n$1\r\n1\r\n")
	s.fake.set(func(f *fake) { f.now += 1001 })
	c.roundTrip("PING\r\nGET a\r\nGET b\r\n", "+PONG\r\n$-1\r\n$-1\r\n")
	if s.fake.ticks != 1 {
		t.Errorf("%d ticks", s.fake.ticks)
	}
}

func TestReplyModes(t *testing.T) {
	s := newTestServer(t)
	session := newSession(s.Server, nil)
	defer session.cancel()
	run := func(lines ...string) string {
		session.out.w.Reset(2)
		for _, line := range lines {
			session.handle(parseLine(t, session, line+"\r\n"))
		}
		session.segment.flush()
		return string(session.out.w.Bytes())
	}
	session.replies = replySkip
	if got := run("SET a 1", "GET a", "PING"); got != "$1\r\n1\r\n+PONG\r\n" {
		t.Errorf("skip: %q", got)
	}
	session.replies = replySkip
	if got := run("PING", "GET a"); got != "$1\r\n1\r\n" {
		t.Errorf("skip of a session command: %q", got)
	}
	session.replies = replyOff
	if got := run("SET a 2", "NOSUCH", "PING", "MULTI", "INCR a", "EXEC", "GET a"); got != "" {
		t.Errorf("off: %q", got)
	}
	session.replies = replyOn
	if got := run("GET a"); got != "$1\r\n3\r\n" {
		t.Errorf("on again: %q", got)
	}
}

// A handler that panics ends its own connection.
func TestPanic(t *testing.T) {
	s := newTestServer(t)
	s.commands = newCommandTable(append(sessionCommands(), command{
		Command: spec.Command{Name: "PANIC", Since: "1.0.0", Group: spec.Server, Cost: "O(1)", Summary: "Panics."},
		run:     func(*Session, [][]byte, *resp.Writer) error { panic("planted") },
	}), nil)
	other, c := s.dial(), s.dial()
	c.send("SET a 1\r\nPANIC\r\nPING\r\n")
	c.expect("+OK\r\n-" + string(errPanic) + "\r\n")
	c.expectEOF()
	other.roundTrip("GET a\r\n", "$1\r\n1\r\n")
}

// A client that sends and never reads costs a bounded buffer, and holds up nobody.
func TestSlowReader(t *testing.T) {
	s := newTestServer(t)
	other := s.dial()
	value := strings.Repeat("x", 1_000_000)
	other.roundTrip("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\n"+value+"\r\n", "+OK\r\n")
	slow := s.dial()
	_ = slow.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	slow.send(strings.Repeat("GET a\r\n", 100))
	other.roundTrip("GET a\r\n", "$1000000\r\n"+value+"\r\n")
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
		t.Errorf("shutdown: %v", err)
	}
	until(t, "the end of the slow one", func() bool { return s.sessions.len() == 0 })
}

// What runs when the server stops is ended, and its client told.
func TestShutdownWhileBusy(t *testing.T) {
	s := newTestServer(t)
	gate := make(chan struct{})
	s.fake.set(func(f *fake) { f.gate = gate })
	c := s.dial()
	c.send("SET a 1\r\n")
	until(t, "the command", func() bool { return s.stats.commands.Load() == 1 })
	c.send("SET a 2\r\n") // comes too late
	ended := make(chan error)
	go func() { ended <- s.Shutdown(context.Background()) }()
	until(t, "the shutdown", func() bool { return s.stopping.Err() != nil })
	select {
	case err := <-ended:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	close(gate)
	c.expect("+OK\r\n")
	c.expectEOF()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSegmentsAreCounted(t *testing.T) {
	s := newTestServer(t)
	s.dial().roundTrip("SET a 1\r\nPING\r\nGET a\r\n", "+OK\r\n+PONG\r\n$1\r\n1\r\n")
	var seen []string
	s.Calls(func(name string, calls int64) { seen = append(seen, fmt.Sprint(name, calls)) })
	if got := fmt.Sprint(seen); got != "[echo1 get1 ping1 set1]" {
		t.Errorf("got %s", got)
	}
}

// TestResetAnswersAgain: RESET ends CLIENT REPLY OFF before its own reply, as Redis does.
func TestResetAnswersAgain(t *testing.T) {
	c := newTestServer(t).dial()
	c.roundTrip("CLIENT REPLY OFF\r\nPING\r\nRESET\r\nPING\r\n", "+RESET\r\n+PONG\r\n")
	c.roundTrip("CLIENT REPLY SKIP\r\nRESET\r\nPING\r\n", "+PONG\r\n")
}
