package cluster

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// A node that is told to join under an id that is in use ends, and says in one
// line what to do; the cluster does not notice.
func TestJoinUnderTakenID(t *testing.T) {
	c := proc.StartCluster(t, 3)
	for _, taken := range []string{"node1", "node3"} {
		n := proc.NewNode(t, taken, "--join", c.Nodes[0].Raft).Start()
		var status *exec.ExitError
		if err := n.Wait(patience); !errors.As(err, &status) {
			t.Errorf("%s: ended with %v, want a status other than 0", taken, err)
		}
		if line := lastLine(n.LogTail(1)); !strings.Contains(line, "in use") || !strings.Contains(line, "--node-id") {
			t.Errorf("%s: its last line is %q", taken, line)
		}
	}
	c.WaitVoters(3)
	c.Leader().MustDo("SET", "k", "v")
}

// A seed that cannot be reached, or is no Raft address, is named once, and asked
// again until it is there.
func TestJoinUnreachableSeed(t *testing.T) {
	first := proc.NewNode(t, "node1")
	stranger := proc.NewNode(t, "stranger").Start().WaitReady(patience)
	n := proc.NewNode(t, "node2", "--join", first.Raft+","+stranger.RESP).Start()
	warnings := func() (count int, line string) {
		for l := range strings.Lines(n.LogTail(1000)) {
			if strings.Contains(l, "keeps trying") {
				count, line = count+1, l
			}
		}
		return count, line
	}
	proc.Eventually(t, patience, "it warns", func() error {
		if count, _ := warnings(); count == 0 {
			return errors.New("no warning yet")
		}
		return nil
	})
	first.Start().WaitReady(patience)
	proc.Eventually(t, patience, "it has joined", func() error { return n.Ready() })
	count, line := warnings()
	for _, part := range []string{"cannot reach " + first.Raft, stranger.RESP + " is not the Raft address"} {
		if !strings.Contains(line, part) {
			t.Errorf("it warned %q, want %q in it", line, part)
		}
	}
	// The second seed's text may come a moment after the first's, not more.
	if count > 2 {
		t.Errorf("%d warnings of the same", count)
	}
}

// Clients that still come to a removed node are sent to the cluster it left.
func TestClientsOfRemovedNode(t *testing.T) {
	c := proc.StartCluster(t, 3)
	gone := c.Follower()
	leader := c.Leader()
	leader.MustDo("SET", "k", "v")
	leader.MustDo("RAFT.LEAVE", gone.ID)
	proc.Eventually(t, patience, "it knows that it was removed", func() error {
		s, err := gone.Status()
		if err == nil && (s.Role != "removed" || s.Leader != leader.RESP || len(s.Nodes) != 2) {
			err = errors.New(s.Role + " " + s.Leader)
		}
		return err
	})
	for _, cmd := range [][]any{{"SET", "k", "w"}, {"GET", "k"}, {"DBSIZE"}, {"FLUSHALL"}} {
		if _, err := gone.Do(cmd...); err == nil || !strings.HasPrefix(err.Error(), "MOVED ") || !strings.HasSuffix(err.Error(), " "+leader.RESP) {
			t.Errorf("%v: %v, want MOVED to %s", cmd, err, leader.RESP)
		}
	}
	if _, err := gone.ReadOnly().Get(ctx, "k").Result(); err == nil {
		t.Error("it answered a read after READONLY")
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{gone.RESP}})
	defer client.Close()
	if got, err := client.Get(ctx, "k").Result(); got != "v" || err != nil {
		t.Errorf("a cluster client that knows the removed node only: %q, %v", got, err)
	}
	proc.Eventually(t, patience, "its slots name the remaining two", func() error {
		reply, err := gone.Do("CLUSTER", "SLOTS")
		if err != nil {
			return err
		}
		// One range: first and last slot, then each node as host, port, id, metadata.
		got := fmt.Sprint(reply)
		if host, port, _ := net.SplitHostPort(leader.RESP); !strings.HasPrefix(got, fmt.Sprintf("[[0 16383 [%s %s ", host, port)) || strings.Contains(got, gone.ID) {
			return errors.New(got)
		}
		return nil
	})
}

// A node that was removed while it was down leaves its id behind for good: a fresh
// one under it is refused, however it asks. It would be one voter with two data
// directories as soon as the old one is started again, and a write that was
// acknowledged with the help of the one is not in the other.
func TestIDOfRemovedNodeIsNotTakenAgain(t *testing.T) {
	c := proc.StartCluster(t, 3)
	leader, old := c.Leader(), c.Follower()
	leader.MustDo("SET", "k", "v")
	old.Kill()
	leader.MustDo("RAFT.LEAVE", old.ID)
	for i, n := range c.Nodes {
		if n == old {
			c.Nodes = append(c.Nodes[:i:i], c.Nodes[i+1:]...)
			break
		}
	}

	fresh := proc.NewNode(t, old.ID).Start().WaitReady(patience)
	for _, n := range c.Nodes {
		_, err := n.Do("RAFT.JOIN", old.ID, fresh.Raft)
		if err == nil || !strings.Contains(err.Error(), "used once") {
			t.Errorf("%s took a fresh node in under the id of a removed one: %v", n.ID, err)
		}
	}
	expectJSON(t, "POST", "http://"+leader.HTTP+"/join", fmt.Sprintf(`{"node_id": %q, "raft_address": %q}`, old.ID, fresh.Raft), 409, "", "")
	asking := proc.NewNode(t, old.ID, "--join", leader.Raft).Start()
	var status *exec.ExitError
	if err := asking.Wait(patience); !errors.As(err, &status) {
		t.Errorf("a fresh node that asked by --join ended with %v, want a status other than 0", err)
	}
	if line := lastLine(asking.LogTail(1)); !strings.Contains(line, "used once") || !strings.Contains(line, "--node-id") || !strings.Contains(line, "--data-dir") {
		t.Errorf("its last line is %q", line)
	}

	// The old directory finds out that it is none of theirs, and a new id is welcome.
	old.Start()
	proc.Eventually(t, patience, "the old one knows that it was removed", func() error {
		s, err := old.Status()
		if err == nil && s.Role != "removed" {
			err = errors.New(s.Role)
		}
		return err
	})
	if tail := old.LogTail(50); !strings.Contains(tail, "a fresh --data-dir and a new --node-id") {
		t.Errorf("it says:\n%s", tail)
	}
	leader.MustDo("RAFT.JOIN", "another", proc.NewNode(t, "another").Start().WaitReady(patience).Raft)
	if s, err := leader.Status(); err != nil || s.Voters() != 3 {
		t.Errorf("voters: %+v, %v, want 3", s, err)
	}
}
