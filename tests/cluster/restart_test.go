package cluster

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// All nodes are killed at once, under load, and come back with everything.
func TestKillAll(t *testing.T) {
	c := proc.StartCluster(t, 3)
	keys := fill(t, c.Client(), "before", 500)
	a := &audit{last: time.Now()}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		client := attentive(t, c)
		writers.Go(func() { a.write(client, w, stop) })
	}
	a.waitProgress(t, 200)
	for _, n := range c.Nodes {
		n.Kill()
	}
	close(stop)
	for _, n := range c.Nodes {
		n.Start()
	}
	writers.Wait()
	c.WaitVoters(3)
	for _, n := range c.Nodes {
		c.WaitCaughtUp(n)
	}
	checkAll(t, c.Nodes, append(keys, a.acked...))
}

// A cluster of one, killed after each of its first steps, keeps what it said.
func TestKillSingle(t *testing.T) {
	n := proc.NewNode(t, "single").Start().WaitReady(patience)
	n.Kill() // still pristine
	n.Start().WaitReady(patience)
	n.MustDo("SET", "a", "1")
	n.Kill()
	n.Start().WaitReady(patience)
	if got := n.MustDo("GET", "a"); got != "1" {
		t.Errorf("GET a = %v, want 1", got)
	}
	n.MustDo("RAFT.SNAPSHOT")
	n.MustDo("SET", "b", "2")
	n.Kill()
	n.Start().WaitReady(patience)
	if a, b := n.MustDo("GET", "a"), n.MustDo("GET", "b"); a != "1" || b != "2" {
		t.Errorf("after a snapshot and a kill: a = %v, b = %v, want 1 and 2", a, b)
	}
}

// A node comes back on other addresses of every kind while the others run: they
// learn them from it.
func TestRestartElsewhere(t *testing.T) {
	c := proc.StartCluster(t, 3)
	keys := fill(t, c.Client(), "k", 100)
	moved := c.Follower()
	moved.Term()
	moved.Raft, moved.RESP, moved.HTTP = proc.FreeAddr(t), proc.FreeAddr(t), proc.FreeAddr(t)
	moved.Start()
	c.WaitCaughtUp(moved)
	proc.Eventually(t, patience, "all nodes know the new addresses", func() error {
		for _, n := range c.Nodes {
			s, err := n.Status()
			if err != nil {
				return err
			}
			if m, _ := s.Member(moved.ID); m.RESP != moved.RESP || m.HTTP != moved.HTTP || m.Raft != moved.Raft {
				return errors.New(n.ID + " has the old ones")
			}
		}
		return nil
	})
	checkAll(t, c.Nodes, keys)
}

// All nodes come back on other addresses at once, and find each other by the
// seeds that --join names.
func TestRestartAllElsewhere(t *testing.T) {
	c := proc.StartCluster(t, 3)
	keys := fill(t, c.Client(), "k", 100)
	for _, n := range c.Nodes {
		n.Kill()
		n.Raft, n.RESP, n.HTTP = proc.FreeAddr(t), proc.FreeAddr(t), proc.FreeAddr(t)
	}
	for _, n := range c.Nodes {
		n.Flags = []string{"--join", c.Nodes[0].Raft + "," + c.Nodes[1].Raft + "," + c.Nodes[2].Raft}
		n.Start()
	}
	c.WaitVoters(3)
	keys = append(keys, fill(t, c.Client(), "after", 100)...)
	for _, n := range c.Nodes {
		c.WaitCaughtUp(n)
	}
	checkAll(t, c.Nodes, keys)
}

// What cannot start says in one line why, and ends with an error.
func TestRefusedStarts(t *testing.T) {
	running := proc.NewNode(t, "running").Start().WaitReady(patience)
	running.MustDo("SET", "k", "v")
	for _, c := range []struct {
		name  string
		setup func(n *proc.Node)
		want  string
	}{
		{"raft port taken", func(n *proc.Node) { n.Raft = running.Raft }, running.Raft},
		{"resp port taken", func(n *proc.Node) { n.RESP = running.RESP }, running.RESP},
		{"http port taken", func(n *proc.Node) { n.HTTP = running.HTTP }, running.HTTP},
		{"data dir in use", func(n *proc.Node) { n.Dir, n.ID = running.Dir, running.ID }, "in use"},
		{"data dir of another node", func(n *proc.Node) { n.Dir = copyOf(t, running.Dir) }, "running"},
		{"foreign data dir", func(n *proc.Node) {
			check(t, os.MkdirAll(n.Dir, 0o700))
			check(t, os.WriteFile(n.Dir+"/photo.jpg", []byte("x"), 0o600))
		}, "photo.jpg"},
		{"unknown flag", func(n *proc.Node) { n.Flags = []string{"--resp-adr", "x"} }, "--resp-adr"},
		{"bad address", func(n *proc.Node) { n.HTTP = "nowhere" }, "nowhere"},
		{"open without a password", func(n *proc.Node) {
			n.Flags = []string{"--resp-advertise", n.RESP}
			n.RESP = "0.0.0.0" + n.RESP[strings.LastIndex(n.RESP, ":"):]
		}, "password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := proc.NewNode(t, "refused")
			c.setup(n)
			n.Start()
			if err := n.Wait(patience); err == nil {
				t.Error("it ended with status 0")
			} else if n.Running() {
				t.Errorf("it runs: %v", err)
			}
			line := lastLine(n.LogTail(1))
			if !strings.Contains(line, c.want) {
				t.Errorf("it said %q, want something about %q", line, c.want)
			}
			if strings.Contains(n.LogTail(100), "goroutine ") {
				t.Errorf("it panicked:\n%s", n.LogTail(100))
			}
		})
	}
	if got := running.MustDo("GET", "k"); got != "v" {
		t.Errorf("the running node answers %v, want v", got)
	}
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir() + "/copy"
	check(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
