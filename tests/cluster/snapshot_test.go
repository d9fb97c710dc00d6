package cluster

import (
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// A node that was away while the others wrote a snapshot and cut their logs, and
// a node that has nothing at all, are brought up by the snapshot.
func TestSnapshotAndInstall(t *testing.T) {
	c := proc.StartCluster(t, 3)
	client := c.Client()
	keys := fill(t, client, "early", 1000)

	lagging := c.Follower()
	lagging.Kill()
	keys = append(keys, fill(t, client, "meanwhile", 3000)...)
	snapshots := map[*proc.Node]int64{}
	for _, n := range c.Nodes {
		if n != lagging {
			n.MustDo("RAFT.SNAPSHOT")
			s, err := n.Status()
			check(t, err)
			if s.SnapshotIndex == 0 {
				t.Errorf("%s has no snapshot after RAFT.SNAPSHOT", n.ID)
			}
			snapshots[n] = s.SnapshotIndex
		}
	}
	keys = append(keys, fill(t, client, "afterwards", 100)...)

	lagging.Start()
	c.WaitCaughtUp(lagging)
	checkAll(t, []*proc.Node{lagging}, keys)

	fresh := proc.NewNode(t, "fresh").Start().WaitReady(patience)
	c.Leader().MustDo("RAFT.JOIN", "fresh", fresh.Raft)
	c.Add(fresh)
	c.WaitVoters(4)
	c.WaitCaughtUp(fresh)
	s, err := fresh.Status()
	check(t, err)
	if want := snapshots[c.Leader()]; s.SnapshotIndex < want {
		t.Errorf("the fresh node's snapshot index is %d, want at least %d: it was not brought up by a snapshot", s.SnapshotIndex, want)
	}
	checkAll(t, c.Nodes, keys)

	// What was installed survives a kill.
	fresh.Kill()
	lagging.Kill()
	fresh.Start()
	lagging.Start()
	c.WaitCaughtUp(fresh)
	c.WaitCaughtUp(lagging)
	checkAll(t, c.Nodes, keys)
}
