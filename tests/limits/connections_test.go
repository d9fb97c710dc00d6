package limits

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// TestLimits attacks one cluster in many ways.
func TestLimits(t *testing.T) {
	tg := start(t)
	framing(t, tg)
	readers(t, tg)
	memory(t, tg)
	overHTTP(t, tg)
}

// TestDescriptors has more clients connect than there are file descriptors: those that
// are too many are told so, and the reserve leaves Raft and the disk alone.
func TestDescriptors(t *testing.T) {
	const descriptors = 1024
	binary := wrapper(t, descriptors)
	var nodes []*proc.Node
	for i := range 3 {
		n := proc.NewNode(t, fmt.Sprintf("node%d", i+1))
		n.Binary = binary
		nodes = append(nodes, n)
	}
	tg := targetOf(t, proc.StartClusterOf(t, nodes...))
	if n := logged(t, tg.leader, "maxclients has been reduced to"); n != 1 {
		t.Errorf("%d warnings of maxclients, want 1", n)
	}
	if got, err := tg.leader.Do("CONFIG", "SET", "maxclients", "5000"); err == nil || !strings.Contains(err.Error(), "The operating system is not able to handle the specified number of clients, try with") {
		t.Errorf("CONFIG SET maxclients: %v, %v", got, err)
	}
	tg.attack(t, "idle connections at 1,024 descriptors", everyday, func(t *testing.T) (string, string) {
		idle := size(2000, 9000)
		const refusal = "-ERR max number of clients reached\r\n"
		kept := 0
		for i := range idle {
			c := dial(t, tg.leader.RESP)
			err := c.try("PING\r\n", "+PONG\r\n")
			switch {
			case err == nil:
				kept++
			case kept == 0 || !strings.Contains(err.Error(), fmt.Sprintf("%q", refusal[:7])):
				t.Fatalf("connection %d: %v", i, err)
			}
		}
		if open := openFiles(t, tg.leader); open > descriptors-64 {
			t.Errorf("%d files are open", open)
		}
		if n := logged(t, tg.leader, "cannot accept"); n > 0 {
			t.Errorf("%d accepts failed", n)
		}
		// What needs descriptors goes on: a snapshot, and connections between nodes.
		tg.leader.MustDo("SAVE")
		return fmt.Sprintf("%d connections", idle), fmt.Sprintf("served %d, %q to the others", kept, refusal[1:len(refusal)-2])
	})
	for _, n := range nodes {
		if n != tg.leader {
			tg.WaitCaughtUp(n)
		}
	}
}

// openFiles counts a node's descriptors.
func openFiles(t *testing.T, n *proc.Node) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestStrangersOnRaftPort has more connect to the Raft port than there are file
// descriptors, and say nothing: they do not take what the log and the members need.
func TestStrangersOnRaftPort(t *testing.T) {
	const descriptors = 1024
	binary := wrapper(t, descriptors)
	var nodes []*proc.Node
	for i := range 3 {
		n := proc.NewNode(t, fmt.Sprintf("node%d", i+1))
		n.Binary = binary
		nodes = append(nodes, n)
	}
	tg := targetOf(t, proc.StartClusterOf(t, nodes...))
	tg.attack(t, "silent strangers on the Raft port", everyday, func(t *testing.T) (string, string) {
		connections := size(1500, 9000)
		most := 0
		for i := range connections {
			dial(t, tg.leader.Raft)
			if i%100 == 0 {
				most = max(most, openFiles(t, tg.leader))
			}
		}
		if most > descriptors-256 {
			t.Errorf("%d files were open", most)
		}
		tg.leader.MustDo("SAVE")
		return fmt.Sprintf("%d connections at %d descriptors", connections, descriptors), fmt.Sprintf("%d files open at the most", most)
	})
}

func overHTTP(t *testing.T, tg *target) {
	tg.attack(t, "HTTP: one header byte at a time", everyday, func(t *testing.T) (string, string) {
		connections := size(200, 2000)
		var slow []*client
		for range connections {
			slow = append(slow, dial(t, tg.leader.HTTP))
		}
		const request = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "
		for i := range request {
			for _, c := range slow {
				if _, err := c.Write([]byte{request[i]}); err != nil {
					t.Fatal(err)
				}
			}
		}
		begin := time.Now()
		res, err := http.Get("http://" + tg.leader.HTTP + "/healthz")
		if err != nil || res.StatusCode != 200 {
			t.Errorf("another request: %v, %v", res, err)
		} else {
			res.Body.Close()
		}
		took := time.Since(begin)
		if full() {
			for _, c := range slow {
				_, _ = c.rest()
			}
			if waited := time.Since(begin); waited > patience {
				t.Errorf("they were cut after %s", waited)
			}
			return fmt.Sprintf("%d connections", connections), "another request at once; they are cut after 10 s"
		}
		return fmt.Sprintf("%d connections", connections), fmt.Sprintf("another request took %s", took.Round(time.Millisecond))
	})
	tg.attack(t, "HTTP: giant headers", everyday, func(t *testing.T) (string, string) {
		connections := size(100, 2000)
		header := "GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20)
		for range connections {
			c := dial(t, tg.leader.HTTP)
			go c.flood([]byte(header), len(header), patience)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Fatalf("%v, %v", res, err)
			}
			c.Close()
		}
		return fmt.Sprintf("%d of a megabyte", connections), "431"
	})
	tg.attack(t, "HTTP: half-sent bodies", everyday, func(t *testing.T) (string, string) {
		connections := size(200, 2000)
		for range connections {
			c := dial(t, tg.leader.HTTP)
			if _, err := fmt.Fprintf(c, "PUT /key/k HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\nabc"); err != nil {
				t.Fatal(err)
			}
		}
		return fmt.Sprintf("%d PUTs that announce 16 MB and send 3 bytes", connections), "waits"
	})
}
