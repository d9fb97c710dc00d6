package cluster

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

// logText is what a node has logged.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logText) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// Where all nodes have moved they cannot find each other. Each names its own new
// address meanwhile and says once what to do; --join on one then brings all together.
func TestAllMoved(t *testing.T) {
	nodes := trio(t)
	nodes[0].write(t, "SET k v")
	eventually(t, "all are voters everywhere", func() bool {
		for _, tn := range nodes {
			if len(tn.otherVoters()) != 2 || len(tn.machine.Members()) != 3 {
				return false
			}
		}
		return true
	})
	for _, tn := range nodes {
		tn.stop(t)
		tn.addr = freeAddr(t)
	}
	var log logText
	nodes[0].logs = &log
	nodes[0].run(t, "n1")
	for _, m := range nodes[0].Status(background(t)).Nodes {
		if m.ID == "n1" && m.Raft != nodes[0].addr {
			t.Errorf("n1 says that it is at %s, and listens on %s", m.Raft, nodes[0].addr)
		}
	}
	const hint = "start this one with --join ADDR of one of them"
	eventually(t, "n1 says what to do", func() bool { return log.count(hint) > 0 })
	nodes[0].stop(t)
	nodes[1].run(t, "n2")
	nodes[2].run(t, "n3")
	nodes[0].run(t, "n1", nodes[1].addr, nodes[2].addr)
	leaderOf(t, nodes)
	if got := nodes[2].read(t, "GET k"); got != "$1\r\nv\r\n" {
		t.Errorf("GET = %q", got)
	}
	if n := log.count(hint); n != 1 {
		t.Errorf("said %d times, want once", n)
	}
}

func TestIsolation(t *testing.T) {
	i := isolation{patience: timings[LAN].leaderless}
	for step, tt := range []struct {
		lost  time.Duration
		heard bool
		want  bool
	}{
		{0, false, false},
		{2 * time.Second, false, false}, // an election
		{6 * time.Second, true, false},  // no majority, but somebody is there
		{7 * time.Second, false, true},
		{8 * time.Second, false, false},
		{9 * time.Second, true, false},
		{10 * time.Second, false, false}, // once an outage
		{0, true, false},
		{6 * time.Second, false, true},
	} {
		if got := i.begins(tt.lost, tt.heard); got != tt.want {
			t.Errorf("step %d: %v, want %v", step, got, tt.want)
		}
	}
}

// A node that was pledged and has heard nothing of its cluster yet is a learner.
func TestJustPledged(t *testing.T) {
	a := newNode(t, "n1")
	a.run(t, "n1")
	if _, err := a.pledge(pledgeRequest{Cluster: "c", Inviter: "n0", ID: "n1"}); err != nil {
		t.Fatal(err)
	}
	s := a.Status(background(t))
	if s.Role != system.Learner || len(s.Nodes) != 1 || s.Nodes[0].ID != "n1" || s.Nodes[0].Role != system.Learner || s.Nodes[0].Raft != a.addr {
		t.Errorf("role %s, nodes %+v", s.Role, s.Nodes)
	}
}
