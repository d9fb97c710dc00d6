package scripts

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

var rewrite = flag.Bool("rewrite", false, "record the replies of the real Redis in the scripts")

func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }

// client is one connection of a script.
type client interface {
	// do sends a command and returns its reply. Protocol 2 or 3 holds from here on.
	do(proto int, args []string) (resp.Value, error)
	close()
}

// target is what a script runs against; it hands out connections.
type target interface {
	// open connects a client to databases that the first one found empty.
	open() (client, error)
	// between is called before each step, where no client is in a transaction.
	between(t *testing.T, st *step)
	// unasked says whether a reply is a refusal that a change of leader explains which
	// between did not make: a script has to begin anew then.
	unasked(reply string) bool
}

// stay is for targets where nothing happens between steps.
type stay struct{}

func (stay) between(*testing.T, *step) {}

func (stay) unasked(string) bool { return false }

// session is a script that runs.
type session struct {
	t       *testing.T
	target  target
	clients map[string]client
	proto   map[string]int
	held    map[string]bool // clients in a transaction or with watched keys
}

// run plays a script and compares, or records, the replies. It begins anew where the
// target says so: not for ever, as leaders that keep changing are a fault as well.
func run(t *testing.T, target target, s *script) {
	t.Helper()
	for left := 3; !play(t, target, s, left > 0); left-- {
	}
}

// play is run, once; done is false where the script has to begin anew, which it may say
// only if again is true.
func play(t *testing.T, target target, s *script, again bool) (done bool) {
	t.Helper()
	x := &session{t: t, target: target, clients: map[string]client{}, proto: map[string]int{}, held: map[string]bool{}}
	defer func() {
		for _, c := range x.clients {
			c.close()
		}
	}()
	if v, err := x.do("a", []string{"FLUSHALL"}); err == nil && again && target.unasked(resp.FormatCLI(v)) {
		return false
	} else if err != nil || v.Err() != nil {
		t.Fatalf("FLUSHALL: %v, %v", resp.FormatCLI(v), err)
	}
	for _, st := range s.steps() {
		if len(x.held) == 0 {
			target.between(t, st)
		}
		got := x.step(st)
		switch {
		case st.matches(got):
		case again && target.unasked(got):
			return false
		case *rewrite && st.pattern == nil && !st.until:
			st.reply = got
		default:
			t.Errorf("%s:%d: %s\ngot:\n%s\nwant:\n%s", s.path, st.line, st.command, got, st.reply)
		}
		if t.Failed() && len(x.held) > 0 {
			t.FailNow() // what follows in a transaction only repeats the failure
		}
	}
	return true
}

// step runs one step and returns its reply in redis-cli's form.
func (x *session) step(st *step) string {
	x.t.Helper()
	if st.proto != 0 {
		x.proto[st.client] = st.proto
	}
	show := func() string {
		v, err := x.do(st.client, st.args)
		if err != nil {
			x.t.Fatalf("line %d: %s: %v", st.line, st.command, err)
		}
		x.hold(st, v)
		return st.show(v)
	}
	reply := show()
	if st.until {
		_ = proc.Poll(20*time.Second, func() error { // what is wrong then is told by run
			if !st.matches(reply) {
				reply = show()
			}
			if st.matches(reply) {
				return nil
			}
			return errors.New(reply)
		})
	}
	return reply
}

// hold notes which clients a change of leader would rob of a transaction.
func (x *session) hold(st *step, v resp.Value) {
	switch strings.ToUpper(st.args[0]) {
	case "MULTI", "WATCH":
		x.held[st.client] = true
	case "EXEC", "DISCARD", "RESET", "UNWATCH":
		if v.Kind != resp.KindSimple || string(v.Str) != "QUEUED" {
			delete(x.held, st.client)
		}
	}
}

func (x *session) do(name string, args []string) (resp.Value, error) {
	c := x.clients[name]
	if c == nil {
		var err error
		if c, err = x.target.open(); err != nil {
			return resp.Value{}, err
		}
		x.clients[name] = c
	}
	return c.do(max(x.proto[name], 2), args)
}

// conn is a client on a socket.
type conn struct {
	net   net.Conn
	in    *resp.Reader
	proto int
}

func dial(network, addr string) (*conn, error) {
	c, err := net.DialTimeout(network, addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{net: c, in: resp.NewReader(bufio.NewReader(c)), proto: 2}, nil
}

func (c *conn) close() { c.net.Close() }

func (c *conn) do(proto int, args []string) (resp.Value, error) {
	if proto != c.proto {
		v, err := c.send([]string{"HELLO", fmt.Sprint(proto)})
		if err == nil {
			err = v.Err()
		}
		if err != nil {
			return v, err
		}
		c.proto = proto
	}
	return c.send(args)
}

func (c *conn) send(args []string) (resp.Value, error) {
	w := resp.NewWriter(2, nil)
	w.Array(len(args))
	for _, a := range args {
		w.BulkString(a)
	}
	if err := c.net.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return resp.Value{}, err
	}
	if _, err := c.net.Write(w.Bytes()); err != nil {
		return resp.Value{}, err
	}
	return c.in.Read()
}

// unavailable skips a test for want of a program, but never in CI, where nothing
// may be left out.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip("NOT RUN: " + why)
}
