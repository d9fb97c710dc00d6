//go:build linux

package workload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/network"
)

func TestMain(m *testing.M) { os.Exit(network.Main(m.Run)) }

// server answers each command with what reply says, in RESP; "" closes the
// connection. The commands that a connection begins with get an error, which
// go-redis takes for an old server.
type server struct{ reply func(args []string) string }

func serve(t *testing.T, addr string, s *server) {
	t.Helper()
	net, err := twoSides()
	if err != nil {
		t.Fatal(err)
	}
	side := net.Side(0)
	if strings.HasPrefix(addr, net.Side(1).Host()+":") {
		side = net.Side(1)
	}
	ln, err := side.Listen(port(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.talk(c)
		}
	}()
}

func (s *server) talk(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		args, err := readCommand(in)
		if err != nil {
			return
		}
		reply := "-ERR unknown command\r\n"
		if name := strings.ToUpper(args[0]); name != "HELLO" && name != "CLIENT" {
			if reply = s.reply(args); reply == "" {
				return
			}
		}
		if _, err := c.Write([]byte(reply)); err != nil {
			return
		}
	}
}

func readCommand(in *bufio.Reader) (args []string, err error) {
	var count, size int
	if _, err := fmt.Fscanf(in, "*%d\r\n", &count); err != nil {
		return nil, err
	}
	for range count {
		if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
			return nil, err
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		args = append(args, strings.TrimSuffix(line, "\r\n"))
	}
	return args, nil
}

// twoSides is the network of all tests here, which takes a second to come up; each
// test has a port of its own.
var twoSides = sync.OnceValues(func() (*network.Network, error) { return network.New(2) })

var lastPort = 6378

func port(addr string) (n int) {
	fmt.Sscanf(addr[strings.IndexByte(addr, ':'):], ":%d", &n)
	return n
}

// session is a client next to the first of two nodes, and where these are.
func session(t *testing.T, mode Mode) (s *Session, own, far string) {
	t.Helper()
	n, err := twoSides()
	if err != nil {
		t.Fatal(err)
	}
	lastPort++
	own, far = fmt.Sprintf("%s:%d", n.Side(0).Host(), lastPort), fmt.Sprintf("%s:%d", n.Side(1).Host(), lastPort)
	s = NewSession(NewRecorder(check.NewHistory(check.Meta{})), Place{
		Side: n.Side(0), Own: own, Addrs: []string{own, far}, Names: map[string]string{own: "node1", far: "node2"},
	}, mode)
	t.Cleanup(s.Close)
	return s, own, far
}

func always(reply string) *server { return &server{reply: func([]string) string { return reply }} }

var set = check.Op{Workload: check.Register, Kind: check.Set, Key: "k", Arg: "v"}

// What a client may say of its operation is decided by what it saw.
func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name     string
		own, far *server // nil: nobody listens
		want     check.Outcome
		node     string
	}{
		{"acknowledged", always("+OK\r\n"), nil, check.OK, "node1"},
		{"nobody listens", nil, nil, check.Failed, ""},
		{"own node is down", nil, always("+OK\r\n"), check.OK, "node2"},
		{"closed after the command", always(""), always("+OK\r\n"), check.Unknown, ""},
		{"moved", always("-MOVED 1 FAR\r\n"), always("+OK\r\n"), check.OK, "node2"},
		{"moved to where nobody listens", always("-MOVED 1 FAR\r\n"), nil, check.Failed, ""},
		{"moved, and closed there", always("-MOVED 1 FAR\r\n"), always(""), check.Unknown, ""},
		{"no leader", always("-CLUSTERDOWN The cluster has no leader\r\n"), always("+OK\r\n"), check.Failed, ""},
		{"too busy", always("-TRYAGAIN Too many commands are waiting\r\n"), nil, check.Failed, ""},
		{"unknown to the server", always("-UNKNOWN the outcome of this command is not known\r\n"), always("+OK\r\n"), check.Unknown, ""},
		{"any other error", always("-ERR what is this\r\n"), always("+OK\r\n"), check.Unknown, ""},
	} {
		for _, mode := range []Mode{Plain, Follower} {
			t.Run(tt.name+"/"+string(mode), func(t *testing.T) {
				s, own, far := session(t, mode)
				for addr, srv := range map[string]*server{own: tt.own, far: tt.far} {
					if srv != nil {
						serve(t, addr, &server{reply: around(srv.reply, far)})
					}
				}
				op := s.Do(context.Background(), set)
				if op.Outcome != tt.want || tt.node != "" && op.Node != tt.node {
					t.Errorf("%s by %s (%s), want %s by %s", op.Outcome, op.Node, op.Error, tt.want, tt.node)
				}
				if got := len(s.rec.Strange()); (got > 0) != (tt.name == "any other error") {
					t.Errorf("%d strange errors", got)
				}
			})
		}
	}
}

// around answers READONLY, with which a follower's client begins, and has FAR stand
// for the other node.
func around(reply func([]string) string, far string) func([]string) string {
	return func(args []string) string {
		if strings.EqualFold(args[0], "READONLY") {
			return "+OK\r\n"
		}
		return strings.ReplaceAll(reply(args), "FAR", far)
	}
}

// A command that was sent is never sent again, although the connection was closed
// without an answer, and a timeout leaves its outcome open.
func TestNothingIsSentTwice(t *testing.T) {
	s, own, far := session(t, Plain)
	got := make(chan string, 100)
	serve(t, own, &server{reply: func(args []string) string { got <- args[0]; return "" }})
	serve(t, far, always("+OK\r\n"))
	if op := s.Do(context.Background(), set); op.Outcome != check.Unknown {
		t.Errorf("%s, want unknown", op.Outcome)
	}
	s.Close() // so that whatever was sent has been
	if len(got) != 1 {
		t.Errorf("sent %d times", len(got))
	}

	s, own, _ = session(t, Plain)
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	serve(t, own, &server{reply: func([]string) string { <-silent; return "" }})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if op := s.Do(ctx, set); op.Outcome != check.Unknown {
		t.Errorf("after a timeout: %s, want unknown", op.Outcome)
	}
}

// Where the WATCH was refused nothing may rely on it, whatever the GET behind it got.
func TestCASNeedsItsWatch(t *testing.T) {
	for _, mode := range []Mode{Plain, Follower} {
		s, own, far := session(t, mode)
		sets := make(chan string, 100)
		replies := func(watch string) *server {
			return &server{reply: around(func(args []string) string {
				switch args[0] {
				case "WATCH":
					return watch
				case "GET":
					return "$1\r\na\r\n"
				case "MULTI":
					sets <- args[0]
				}
				return ""
			}, far)}
		}
		serve(t, own, replies("-MOVED 1 FAR\r\n"))
		serve(t, far, replies("-CLUSTERDOWN The cluster has no leader\r\n"))
		s.CAS(context.Background(), check.Register, "k", "b")
		if ops := s.rec.History.Ops(); len(ops) != 1 || ops[0].Kind != check.Get || ops[0].Outcome != check.Failed || len(sets) > 0 {
			t.Errorf("%s: %v; %d transactions", mode, ops, len(sets))
		}
	}
}

// A WATCH is worth nothing on another connection: where the one that watched is
// gone, the transaction must not be sent on a new one.
func TestCASKeepsItsConnection(t *testing.T) {
	s, own, _ := session(t, Plain)
	seen := make(chan string, 100)
	serve(t, own, &server{reply: func(args []string) string {
		seen <- args[0]
		switch args[0] {
		case "WATCH":
			return "+OK\r\n"
		case "GET":
			return "$1\r\na\r\n"
		}
		return ""
	}})
	s.CAS(context.Background(), check.Register, "k", "b")
	s.CAS(context.Background(), check.Register, "k", "c")
	ops := s.rec.History.Ops()
	if len(ops) != 4 || ops[0].Kind != check.Get || ops[1].Kind != check.CAS || ops[1].Expect.Text != "a" || ops[1].Outcome != check.Unknown {
		t.Errorf("%v", ops)
	}
	if got := len(seen); got != 6 { // WATCH, GET, MULTI, twice
		t.Errorf("%d commands were sent", got)
	}

	// Broken between the two halves: nothing of the second is sent.
	c := s.caller
	ctx := context.Background()
	_, conn := c.callAndKeep(ctx, false, []any{"WATCH", "k"}, []any{"GET", "k"})
	if a := c.send(ctx, conn, [][]any{{"MULTI"}}); a.outcome != check.Unknown {
		t.Errorf("%s, want unknown", a.outcome)
	}
	before := len(seen)
	if a := c.send(ctx, conn, [][]any{{"MULTI"}, {"SET", "k", "d"}, {"EXEC"}}); a.outcome != check.Failed {
		t.Errorf("on a broken connection: %s, want failed", a.outcome)
	}
	conn.Close()
	if len(seen) != before {
		t.Error("a transaction was sent without its WATCH")
	}
}

// A transaction's outcome is EXEC's, and its parts are recorded.
func TestTxn(t *testing.T) {
	for _, tt := range []struct {
		name, queued, exec string
		want               check.Outcome
	}{
		{"done", "+QUEUED\r\n", "*2\r\n:14\r\n$1\r\nx\r\n", check.OK},
		{"refused while it was queued", "-MOVED 1 FAR\r\n", "-EXECABORT Transaction discarded because of previous errors.\r\n", check.Failed},
		{"not done", "+QUEUED\r\n", "*-1\r\n", check.Failed},
		{"unknown", "+QUEUED\r\n", "-UNKNOWN the outcome of this command is not known\r\n", check.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, own, _ := session(t, Plain)
			serve(t, own, &server{reply: func(args []string) string {
				switch args[0] {
				case "MULTI":
					return "+OK\r\n"
				case "EXEC":
					return tt.exec
				}
				return tt.queued
			}})
			s.Txn(context.Background(), check.ListAppend, []check.Step{{Kind: check.Append, Key: "a", Arg: "t"}, {Kind: check.Get, Key: "b"}})
			op := s.rec.History.Ops()[0]
			if op.Outcome != tt.want {
				t.Fatalf("%s (%s), want %s", op.Outcome, op.Error, tt.want)
			}
			if tt.want == check.OK && (op.Steps[0].Result.Int != 14 || op.Steps[1].Result.Text != "x") {
				t.Errorf("results %+v", op.Steps)
			}
		})
	}
}

func TestOutcomeOfErrors(t *testing.T) {
	network := errors.New("read: connection reset by peer")
	for _, tt := range []struct {
		err     error
		written bool
		want    check.Outcome
		strange bool
	}{
		{network, false, check.Failed, false},
		{network, true, check.Unknown, false},
		{context.DeadlineExceeded, true, check.Unknown, false},
		{redis.TxFailedErr, true, check.Unknown, true}, // of no command that is sent here
	} {
		if got := outcome(tt.err, tt.written); got != tt.want {
			t.Errorf("%v, written %v: %s, want %s", tt.err, tt.written, got, tt.want)
		}
		if got := unexpected(tt.err); got != tt.strange {
			t.Errorf("%v: strange %v", tt.err, got)
		}
	}
}
