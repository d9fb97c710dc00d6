package cluster

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// staleEnv is how many rounds the stale-read probe does.
const staleEnv = "RAFTKV_STALE_ROUNDS"

const (
	staleReaders = 16
	// staleLead is for how long heartbeats gather, unanswered: several of them, but not
	// for so long that the leader steps down for want of answers (250 ms).
	staleLead = 150 * time.Millisecond
)

// A leader that was replaced without noticing must not answer from what it has.
// The followers stop first, so that the leader's heartbeats to them are under
// way; then the leader stops; the followers go on, answer those heartbeats,
// elect one of them and acknowledge a write; reads are sent to the old leader,
// which then goes on and finds both the reads and the answers. Raft's own
// VerifyLeader counts them.
func TestNoStaleRead(t *testing.T) {
	for _, tt := range []struct {
		name    string
		learner bool
	}{{"voters only", false}, {"with a learner", true}} {
		t.Run(tt.name, func(t *testing.T) {
			c := proc.StartCluster(t, 3)
			if tt.learner {
				addLearner(t, c)
			}
			rounds := envInt(t, staleEnv, 2)
			p := &staleProbe{c: c}
			for i := range rounds {
				p.round(t, i)
			}
			t.Logf("%d rounds, %d reads: %d stale, %d redirected or refused, %d of the new value", rounds, p.stale+p.refused+p.fresh, p.stale, p.refused, p.fresh)
			if p.stale > 0 {
				t.Errorf("%d stale reads", p.stale)
			}
			if p.refused+p.fresh == 0 {
				t.Error("no read was answered: the probe proves nothing")
			}
		})
	}
}

// The probe must find what it is for: with the planted bug that makes
// VerifyLeader the read barrier, a stale read shows within a bounded number of rounds.
func TestStaleProbeFindsVerifyLeader(t *testing.T) {
	rounds := envInt(t, staleEnv, 40)
	var nodes []*proc.Node
	for i := range 3 {
		n := proc.NewNode(t, fmt.Sprintf("node%d", i+1))
		n.Binary, n.Env = proc.BuildFaults(t), []string{"RAFTKV_FAULT=verify-leader"}
		nodes = append(nodes, n)
	}
	c := proc.StartClusterOf(t, nodes...)
	addLearner(t, c)
	p := &staleProbe{c: c}
	start := time.Now()
	for i := range rounds {
		if p.round(t, i); p.stale > 0 {
			t.Logf("the planted bug was found in round %d, after %.1f s: %d stale reads", i+1, time.Since(start).Seconds(), p.stale)
			return
		}
	}
	t.Fatalf("no stale read in %d rounds with the planted bug: the probe proves nothing", rounds)
}

// addLearner starts one more node and adds it without a vote.
func addLearner(t *testing.T, c *proc.Cluster) {
	t.Helper()
	n := proc.NewNode(t, "learner")
	n.Binary, n.Env = c.Nodes[0].Binary, c.Nodes[0].Env
	n.Start().WaitReady(patience)
	c.Leader().MustDo("RAFT.JOIN", n.ID, n.Raft, "LEARNER")
	n.WaitReady(patience)
}

// staleProbe counts what a deposed leader answered.
type staleProbe struct {
	c                     *proc.Cluster
	stale, refused, fresh int
}

func (p *staleProbe) round(t *testing.T, i int) {
	t.Helper()
	old := p.c.Leader()
	var others []*proc.Node
	for _, n := range p.c.Nodes {
		n.WaitReady(patience)
		if n != old {
			others = append(others, n)
		}
	}
	before, after := fmt.Sprint("old", i), fmt.Sprint("new", i)
	if _, err := old.Do("SET", "k", before); err != nil {
		t.Logf("round %d: leadership moved (%v), left out", i, err)
		return
	}
	readers := p.dial(t, old)
	for _, n := range others {
		n.Signal(syscall.SIGSTOP)
	}
	time.Sleep(staleLead)
	old.Signal(syscall.SIGSTOP)
	for _, n := range others {
		n.Signal(syscall.SIGCONT)
	}
	proc.Eventually(t, patience, "a new leader acknowledges", func() (err error) {
		for _, n := range others {
			if _, err = n.Do("SET", "k", after); err == nil {
				return nil
			}
		}
		return err
	})
	for _, conn := range readers {
		_, err := conn.Write([]byte("GET k\r\n"))
		check(t, err)
	}
	old.Signal(syscall.SIGCONT)
	for _, conn := range readers {
		check(t, conn.SetReadDeadline(time.Now().Add(patience)))
		p.count(t, conn, before, after)
		conn.Close()
	}
}

func (p *staleProbe) dial(t *testing.T, n *proc.Node) (conns []net.Conn) {
	t.Helper()
	for range staleReaders {
		conn, err := net.Dial("tcp", n.RESP)
		check(t, err)
		conns = append(conns, conn)
	}
	return conns
}

// count reads one reply: an error, or a bulk string.
func (p *staleProbe) count(t *testing.T, conn net.Conn, before, after string) {
	t.Helper()
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	check(t, err)
	if strings.HasPrefix(line, "-") {
		p.refused++
		return
	}
	value, err := in.ReadString('\n')
	check(t, err)
	switch strings.TrimSpace(value) {
	case before:
		p.stale++
	case after:
		p.fresh++
	default:
		t.Errorf("a read was answered with %q", value)
	}
}
