package cluster

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// versions returns the cluster version as the nodes have it, and what each knows by
// the first one's account, in the order of the nodes.
func versions(nodes []*proc.Node) (at, knows []int64, err error) {
	for _, n := range nodes {
		s, err := n.Status()
		if err != nil {
			return nil, nil, err
		}
		at = append(at, s.ClusterVersion)
		if knows == nil {
			for _, m := range s.Nodes {
				knows = append(knows, m.Knows)
			}
		}
	}
	return at, knows, nil
}

// awaitVersions waits until the nodes are at these cluster versions and know those.
func awaitVersions(t *testing.T, nodes []*proc.Node, at, knows []int64) {
	t.Helper()
	proc.Eventually(t, patience, fmt.Sprintf("cluster versions %d of programs that know %d", at, knows), func() error {
		gotAt, gotKnows, err := versions(nodes)
		if err == nil && (fmt.Sprint(gotAt) != fmt.Sprint(at) || fmt.Sprint(gotKnows) != fmt.Sprint(knows)) {
			err = fmt.Errorf("%d and %d", gotAt, gotKnows)
		}
		return err
	})
}

// counters increments keys, one after the other, until it is told to end, and then
// returns what each must hold.
func counters(t *testing.T, client redis.UniversalClient) (end func() map[string]int64) {
	t.Helper()
	var (
		done  = make(chan struct{})
		wg    sync.WaitGroup
		total = map[string]int64{}
	)
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			key := fmt.Sprint("counter", i%10)
			if _, err := client.Incr(ctx, key).Result(); err == nil {
				total[key]++
			}
		}
	})
	return func() map[string]int64 {
		close(done)
		wg.Wait()
		return total
	}
}

// checkCounters fails the test if a node has less of them than was acknowledged.
func checkCounters(t *testing.T, nodes []*proc.Node, want map[string]int64) {
	t.Helper()
	if len(want) == 0 {
		t.Error("nothing was written")
	}
	for _, n := range nodes {
		client := n.ReadOnly()
		for key, least := range want {
			if got, err := client.Get(ctx, key).Int64(); err != nil || got < least {
				t.Errorf("%s: %s is %d, %v, want at least %d", n.ID, key, got, err, least)
			}
		}
	}
}

// A cluster is upgraded node by node to a program that knows one cluster version
// more, while a client writes. The version stays until the last of them is new, a
// node can go back until then, and nobody loses a write or comes to another state.
// After that the old program is of no use here: it says so in its last line.
func TestRollingUpgrade(t *testing.T) {
	next := proc.BuildNext(t)
	c := proc.StartCluster(t, 3)
	first, _, err := versions(c.Nodes)
	check(t, err)
	old := first[0]
	same := func(v int64) []int64 { return []int64{v, v, v} }
	awaitVersions(t, c.Nodes, same(old), same(old))
	restart := func(n *proc.Node, binary string) {
		n.Term()
		n.Binary = binary
		n.Start().WaitReady(patience)
	}
	end := counters(t, c.Client())
	for i, binary := range []string{next, next} {
		restart(c.Nodes[i], binary)
	}
	awaitVersions(t, c.Nodes, same(old), []int64{old + 1, old + 1, old})
	restart(c.Nodes[0], "") // back again
	awaitVersions(t, c.Nodes, same(old), []int64{old, old + 1, old})
	restart(c.Nodes[0], next)
	c.Leader().MustDo("RAFT.TRANSFER", "node1")
	awaitVersions(t, c.Nodes, same(old), []int64{old + 1, old + 1, old})
	c.Nodes[2].Term() // nobody knows what it will come back with
	c.Leader().MustDo("SET", "k", "v")
	awaitVersions(t, c.Nodes[:2], []int64{old, old}, []int64{old + 1, old + 1, -1})
	c.Nodes[2].Binary = next
	c.Nodes[2].Start().WaitReady(patience)
	awaitVersions(t, c.Nodes, same(old+1), same(old+1))
	want := end()
	for _, n := range c.Nodes {
		c.WaitCaughtUp(n)
	}
	checkCounters(t, c.Nodes, want)
	if all, nodes := verdict(t, c.Leader()); all != "ok" {
		t.Errorf("audit: %s, %v", all, nodes)
	}
	checkOldProgram(t, c, old)
}

// checkOldProgram: it does not get into a cluster of a newer version, and does not go
// on with a data directory of one, whether that is in its log or in its snapshot.
func checkOldProgram(t *testing.T, c *proc.Cluster, old int64) {
	t.Helper()
	ends := func(n *proc.Node, parts ...string) {
		t.Helper()
		var status *exec.ExitError
		if err := n.Wait(patience); !errors.As(err, &status) {
			t.Errorf("%s ended with %v, want a status other than 0", n.ID, err)
		}
		line := lastLine(n.LogTail(1))
		for _, part := range parts {
			if !strings.Contains(line, part) {
				t.Errorf("%s: its last line is %q, want %q in it", n.ID, line, part)
			}
		}
	}
	ends(proc.NewNode(t, "node4", "--join", c.Leader().Raft).Start(), fmt.Sprintf("knows cluster versions up to %d, and the cluster is at %d", old, old+1))
	knows := fmt.Sprintf("version %d, this program knows up to %d; start this node with the version of raftkv that wrote it", old+1, old)
	n := c.Follower()
	next := n.Binary
	n.Term()
	n.Binary = ""
	ends(n.Start(), "log entry", knows)
	n.Binary = next
	n.Start().WaitReady(patience)
	n.MustDo("RAFT.SNAPSHOT")
	n.Term()
	n.Binary = ""
	ends(n.Start(), "snapshot of a newer version", knows)
	n.Binary = next
	n.Start().WaitReady(patience)
	c.WaitVoters(3)
}
