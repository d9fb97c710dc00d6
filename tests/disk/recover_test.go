package disk

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// Two of three nodes are lost for good: the third goes on alone with all that was
// acknowledged, fresh nodes join it, and what comes back of the old cluster is
// refused and disturbs nothing.
func TestRecover(t *testing.T) {
	c := proc.StartCluster(t, 3)
	keys := fill(t, c.Leader(), "early", 300)
	c.Leader().MustDo("RAFT.SNAPSHOT")
	keys = append(keys, fill(t, c.Leader(), "late", 300)...)
	for _, n := range c.Nodes {
		c.WaitCaughtUp(n)
	}
	survivor, returns := c.Nodes[0], c.Nodes[1]

	if out, status := raftkv(t, "check", "--data-dir", survivor.Dir); status != 1 || !strings.Contains(out, "a node runs") {
		t.Errorf("check of a running node: status %d, %q", status, out)
	}
	survivor.Kill()
	c.Leader().MustDo("SET", "only-there", "1")
	refuseWhileQuorum(t, survivor, c)
	for _, n := range c.Nodes {
		n.Kill()
	}
	returnsDir := copyOf(t, returns.Dir)
	check(t, os.RemoveAll(returns.Dir))
	check(t, os.RemoveAll(c.Nodes[2].Dir))
	old := report(t, survivor.Dir)

	for _, c := range []struct {
		what, stdin, want string
		status            int
		args              []string
	}{
		{"without a confirmation", "", "not confirmed", 1, []string{survivor.Dir}},
		{"with a wrong confirmation", "yes\n", "not confirmed", 1, []string{survivor.Dir}},
		{"where another one holds more", "", "holds more", 1, []string{survivor.Dir, "--yes", "--compare", returnsDir}},
		{"of a copy, unasked", "", "may hold writes", 0, []string{copyOf(t, survivor.Dir), "--yes", "--compare", survivor.Dir}},
		{"confirmed", old.ClusterID + "\n", "are lost", 0, []string{survivor.Dir}},
	} {
		cmd := exec.Command(proc.Build(t), append([]string{"recover", "--data-dir"}, c.args...)...)
		cmd.Stdin = strings.NewReader(c.stdin)
		out, _ := cmd.CombinedOutput() // its status says it
		if got := cmd.ProcessState.ExitCode(); got != c.status || !strings.Contains(string(out), c.want) {
			t.Fatalf("recover %s: status %d, %s", c.what, got, out)
		}
	}
	now := report(t, survivor.Dir)
	if now.ClusterID == old.ClusterID || len(now.Configuration.Voters) != 1 || now.Term < old.Term {
		t.Errorf("recovered: %+v, was %+v", now, old)
	}

	cutOff(t, survivor.Dir, old.ClusterID, now.ClusterID)
	out, status := raftkv(t, "recover", "--data-dir", survivor.Dir)
	if status != 0 || !strings.Contains(out, "what was left of it is done now") {
		t.Errorf("recover after one that was cut off: status %d, %q", status, out)
	}
	if kept := report(t, filepath.Join(survivor.Dir, "before-recover-"+old.ClusterID)); kept.ClusterID != old.ClusterID {
		t.Errorf("kept: %+v", kept)
	}
	if out, status := raftkv(t, "recover", "--data-dir", survivor.Dir); status != 1 || !strings.Contains(out, "nothing to recover") {
		t.Errorf("recover once more: status %d, %q", status, out)
	}

	survivor.Flags = nil
	survivor.Start().WaitReady(patience)
	checkAll(t, survivor, keys)
	if got, err := survivor.Do("GET", "only-there"); err != redis.Nil {
		t.Errorf("what only the lost nodes had: %v, %v", got, err)
	}
	r := proc.ClusterOf(t, survivor)
	for _, id := range []string{"fresh1", "fresh2"} {
		fresh := proc.NewNode(t, id).Start().WaitReady(patience)
		r.Leader().MustDo("RAFT.JOIN", id, fresh.Raft)
		r.Add(fresh)
	}
	oldMemberReturns(t, returns, returnsDir, survivor)
	keys = append(keys, fill(t, r.Leader(), "after", 100)...)
	for _, n := range r.Nodes {
		proc.Eventually(t, patience, n.ID+" has all", func() error {
			if missing := lost(t, n, keys); len(missing) > 0 {
				return errors.New("it lacks " + missing[0])
			}
			return nil
		})
	}
	survivor.Kill()
	survivor.Start().WaitReady(patience)
	checkAll(t, survivor, keys)
}

// cutOff makes a recovered directory what it is when the power fails right behind the
// step that switches over: nothing is moved aside yet.
func cutOff(t *testing.T, dir, old, now string) {
	t.Helper()
	before := filepath.Join(dir, "before-recover-"+old)
	check(t, os.Rename(filepath.Join(before, "identity.json"), filepath.Join(dir, "recovered-"+now, "replaced.json")))
	kept, err := os.ReadDir(before)
	check(t, err)
	for _, e := range kept {
		check(t, os.Rename(filepath.Join(before, e.Name()), filepath.Join(dir, e.Name())))
	}
	check(t, os.Remove(before))
}

// refuseWhileQuorum: two of three live, so nothing is to be recovered.
func refuseWhileQuorum(t *testing.T, stopped *proc.Node, c *proc.Cluster) {
	t.Helper()
	before := report(t, stopped.Dir)
	out, status := raftkv(t, "recover", "--data-dir", stopped.Dir, "--yes")
	if status != 1 || !strings.Contains(out, "a quorum can be reached") || !strings.Contains(out, "node2 at "+c.Nodes[1].Raft) {
		t.Errorf("while a quorum lives: status %d, %q", status, out)
	}
	// One that lives is enough too: it and this one are two of three.
	c.Nodes[2].Kill()
	out, status = raftkv(t, "recover", "--data-dir", stopped.Dir, "--yes")
	if status != 1 || !strings.Contains(out, "a quorum can be reached") {
		t.Errorf("while one other lives: status %d, %q", status, out)
	}
	if after := report(t, stopped.Dir); after.ClusterID != before.ClusterID || after.State != before.State {
		t.Errorf("a refused recover changed %+v into %+v", before, after)
	}
}

// oldMemberReturns starts an old member's copy beside the new cluster: it can
// neither join nor lead nor be heard.
func oldMemberReturns(t *testing.T, n *proc.Node, dir string, member *proc.Node) {
	t.Helper()
	n.Dir = dir
	n.Flags = []string{"--join", member.Raft}
	term := status(t, member).Term
	n.Start()
	proc.Eventually(t, patience, "the old member hears why", func() error {
		if log := n.LogTail(200); !strings.Contains(log, "of cluster") {
			return errors.New(lastLine(log))
		}
		return nil
	})
	if _, err := member.Do("RAFT.JOIN", n.ID, n.Raft); err == nil || !strings.Contains(err.Error(), "already holds cluster") {
		t.Errorf("joining the old member: %v", err)
	}
	if _, err := n.Do("SET", "stray", "1"); err == nil {
		t.Error("the old member took a write")
	}
	if got := status(t, member); got.Term != term || got.Role != "leader" {
		t.Errorf("the old member disturbed the new cluster: term %d, %s; was %d", got.Term, got.Role, term)
	}
	n.Kill()
}

func status(t *testing.T, n *proc.Node) *proc.Status {
	t.Helper()
	s, err := n.Status()
	check(t, err)
	return s
}

// checked is what raftkv check prints as JSON, as far as it is looked at.
type checked struct {
	ClusterID     string `json:"cluster_id"`
	State         string `json:"state"`
	Term          int64  `json:"term"`
	Configuration struct {
		Voters []string `json:"voters"`
	} `json:"configuration"`
	Findings []string `json:"findings"`
}

// report checks a sound data directory.
func report(t *testing.T, dir string) (r checked) {
	t.Helper()
	out, status := raftkv(t, "check", "--data-dir", dir, "--format", "json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || status != 0 || len(r.Findings) > 0 {
		t.Fatalf("check: status %d, %v, %s", status, err, out)
	}
	return r
}
