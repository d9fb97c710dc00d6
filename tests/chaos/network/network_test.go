//go:build linux

package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m.Run)) }

const (
	port = 7000
	// passes is how long a message may take that nothing drops, on a busy machine;
	// dropped is how long one is waited for that must not arrive. TCP sends it again
	// after 200 ms, 600 ms and so on, so a path that is open would bring it in time.
	passes  = 10 * time.Second
	dropped = 1500 * time.Millisecond
)

// lines is a listener that hands over every line that it gets, whoever sends it.
func lines(t *testing.T, s *Side) <-chan string {
	t.Helper()
	ln, err := s.Listen(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	got := make(chan string, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					got <- in.Text()
				}
			}()
		}
	}()
	return got
}

func newNetwork(t *testing.T, sides int) *Network {
	t.Helper()
	n, err := New(sides)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func dial(t *testing.T, from, to *Side, limit time.Duration) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, err := from.Dial(ctx, fmt.Sprintf("%s:%d", to.Host(), port))
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func connect(t *testing.T, from, to *Side) net.Conn {
	t.Helper()
	c, err := dial(t, from, to, passes)
	if err != nil {
		t.Fatalf("side %d to side %d: %v", from.number, to.number, err)
	}
	return c
}

func send(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
}

func arrives(t *testing.T, got <-chan string, want string) {
	t.Helper()
	select {
	case line := <-got:
		if line != want {
			t.Errorf("got %q, want %q", line, want)
		}
	case <-time.After(passes):
		t.Errorf("%q did not arrive", want)
	}
}

func lost(t *testing.T, got <-chan string) {
	t.Helper()
	select {
	case line := <-got:
		t.Errorf("%q arrived through a cut path", line)
	case <-time.After(dropped):
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A cut path drops what an established connection sends, and what a new one would;
// the other direction goes on; what was sent meanwhile arrives after the mend.
func TestCutIsOneWayAndSilent(t *testing.T) {
	n := newNetwork(t, 3)
	a, b, c := n.Side(0), n.Side(1), n.Side(2)
	atA, atB := lines(t, a), lines(t, b)
	fromB, fromA, fromC := connect(t, b, a), connect(t, a, b), connect(t, c, b)
	send(t, fromA, "a1")
	arrives(t, atB, "a1")

	// What B sends on its own connections gets to A; A's acknowledgements do not get
	// back, and B does not notice yet.
	check(t, n.Cut([]Path{{0, 1}}))
	send(t, fromB, "b1")
	arrives(t, atA, "b1")
	send(t, fromA, "a2")
	lost(t, atB)
	send(t, fromC, "c1")
	arrives(t, atB, "c1")
	for _, pair := range [][2]*Side{{a, b}, {b, a}} { // a handshake needs both directions
		if _, err := dial(t, pair[0], pair[1], dropped); err == nil {
			t.Errorf("side %d connected to side %d", pair[0].number, pair[1].number)
		} else if e, ok := err.(net.Error); !ok || !e.Timeout() {
			t.Errorf("side %d to side %d: %v, want silence", pair[0].number, pair[1].number, err)
		}
	}

	check(t, n.Mend([]Path{{0, 1}}))
	arrives(t, atB, "a2")
	send(t, connect(t, a, b), "a3")
	arrives(t, atB, "a3")
}

// A side's clients share its node's fate, and reach their own node always.
func TestClientsShareTheirSide(t *testing.T) {
	n := newNetwork(t, 2)
	atA := lines(t, n.Side(0))
	own, other := connect(t, n.Side(0), n.Side(0)), connect(t, n.Side(1), n.Side(0))
	check(t, n.Cut([]Path{{0, 1}, {1, 0}}))
	send(t, own, "own")
	arrives(t, atA, "own")
	send(t, other, "other")
	lost(t, atA)
	check(t, n.MendAll())
	arrives(t, atA, "other")
}

// Two faults may cut the same path; it passes once both are over.
func TestCutsAreCounted(t *testing.T) {
	n := newNetwork(t, 2)
	atB := lines(t, n.Side(1))
	c := connect(t, n.Side(0), n.Side(1))
	p := []Path{{0, 1}}
	check(t, n.Cut(p))
	check(t, n.Cut(p))
	check(t, n.Mend(p))
	send(t, c, "x")
	lost(t, atB)
	check(t, n.Mend(p))
	arrives(t, atB, "x")
	if err := n.Mend(p); err == nil {
		t.Error("a path that was not cut was mended")
	}
}

// A refused path resets what is sent on an established connection, and refuses new
// ones at once; the other direction goes on, and so do the other sides.
func TestRefuseIsOneWayAndLoud(t *testing.T) {
	n := newNetwork(t, 3)
	a, b, c := n.Side(0), n.Side(1), n.Side(2)
	atA, atB, atC := lines(t, a), lines(t, b), lines(t, c)
	fromNode := func(from, to *Side) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), passes)
		defer cancel()
		conn, err := from.DialLocal(ctx, fmt.Sprintf("%s:%d", to.Host(), port))
		if err == nil {
			t.Cleanup(func() { conn.Close() })
		}
		return conn, err
	}
	old, err := fromNode(a, b)
	check(t, err)
	back, err := fromNode(b, a)
	check(t, err)
	send(t, old, "a1")
	arrives(t, atB, "a1")

	p := []Path{{0, 1}}
	check(t, n.Refuse(p))
	send(t, back, "b1") // A's acknowledgement is refused, but the line has arrived
	arrives(t, atA, "b1")
	if _, err := fromNode(a, b); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection: %v, want it refused", err)
	}
	send(t, old, "a2") // the kernel takes it; what it hears of it is a reset
	old.SetReadDeadline(time.Now().Add(passes))
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the old connection: %v, want it reset", err)
	}
	lost(t, atB)
	other, err := fromNode(a, c)
	check(t, err)
	send(t, other, "a3")
	arrives(t, atC, "a3")

	check(t, n.Allow(p))
	again, err := fromNode(a, b)
	check(t, err)
	send(t, again, "a4")
	arrives(t, atB, "a4")
	if err := n.Allow(p); err == nil {
		t.Error("a path that was not refused was allowed")
	}
	check(t, n.Refuse(p))
	check(t, n.MendAll())
	again, err = fromNode(a, b)
	check(t, err)
	send(t, again, "a5")
	arrives(t, atB, "a5")
}

// A process started on a side is in that side's namespace, and dies with the network.
func TestStart(t *testing.T) {
	n := newNetwork(t, 2)
	cmd := exec.Command("cat", "/proc/net/fib_trie")
	var out strings.Builder
	cmd.Stdout = &out
	check(t, n.Side(1).Start(cmd))
	check(t, cmd.Wait())
	if own, other := n.Side(1).Host(), n.Side(0).Host(); !strings.Contains(out.String(), own) || strings.Contains(out.String(), other) {
		t.Errorf("the process does not see %s alone:\n%s", own, out.String())
	}

	sleeper := exec.Command("sleep", "1000")
	check(t, n.Side(0).Start(sleeper))
	n.Close()
	ended := make(chan error, 1)
	go func() { ended <- sleeper.Wait() }()
	select {
	case <-ended:
	case <-time.After(passes):
		sleeper.Process.Kill()
		t.Error("a process outlived its network")
	}
}
