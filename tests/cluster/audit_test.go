package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// dropping starts three nodes, of which the last drops the tail of every entry
// that holds several proposals, as long as it follows.
func dropping(t *testing.T, flags ...string) (c *proc.Cluster, bad *proc.Node) {
	t.Helper()
	var nodes []*proc.Node
	for i := range 3 {
		n := proc.NewNode(t, fmt.Sprintf("node%d", i+1), flags...)
		n.Binary = proc.BuildFaults(t)
		nodes = append(nodes, n)
	}
	bad = nodes[2]
	bad.Env = []string{"RAFTKV_FAULT=drop-tail"}
	return proc.StartClusterOf(t, nodes...), bad
}

// verdict takes apart what RAFT.AUDIT answers.
func verdict(t *testing.T, n *proc.Node) (all string, nodes map[string]string) {
	t.Helper()
	nodes = map[string]string{}
	top, _ := n.MustDo("RAFT.AUDIT").(map[any]any)
	all, _ = top["verdict"].(string)
	list, _ := top["nodes"].([]any)
	for _, node := range list {
		f, _ := node.(map[any]any)
		id, _ := f["id"].(string)
		nodes[id], _ = f["verdict"].(string)
	}
	return all, nodes
}

// diverges waits until the node says of itself that it has diverged.
func diverges(t *testing.T, n *proc.Node) {
	t.Helper()
	proc.Eventually(t, patience, n.ID+" has diverged", func() error {
		s, err := n.Status()
		if err == nil && s.Role != "diverged" {
			err = errors.New(s.Role)
		}
		return err
	})
}

// A node that drops a batch's tail is found by an audit, serves nothing, over a
// restart too, and is rebuilt by one command.
func TestAuditFindsADroppedTail(t *testing.T) {
	c, bad := dropping(t)
	w := startWriters(t, c, 8) // so that entries hold several proposals
	w.writes(t, patience, "at first")
	began := time.Now()
	proc.Eventually(t, patience, "an audit finds node3", func() error {
		all, nodes := verdict(t, c.Nodes[0])
		if all != "differs" || nodes["node3"] != "differs" || nodes["node1"] != "ok" || nodes["node2"] != "ok" {
			return fmt.Errorf("%s: %v", all, nodes)
		}
		return nil
	})
	t.Logf("found after %.1f s", time.Since(began).Seconds())
	diverges(t, bad)

	reader := bad.ReadOnly()
	if err := reader.Get(ctx, "w0:0").Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
		t.Errorf("GET at the diverged node after READONLY: %v, want MOVED", err)
	}
	if err := reader.DBSize(ctx).Err(); err != nil { // by way of the leader
		t.Errorf("DBSIZE: %v", err)
	}
	if err := bad.Ready(); err == nil {
		t.Error("the diverged node says that it is ready")
	}
	bad.Kill()
	bad.Env = nil
	bad.Start()
	diverges(t, bad)
	if err := bad.Ready(); err == nil {
		t.Error("the diverged node is ready after a restart")
	}
	w.writes(t, patience, "with node3 diverged")

	began = time.Now()
	if reply := c.Nodes[0].MustDo("RAFT.REBUILD", bad.ID); reply != "OK" {
		t.Fatalf("RAFT.REBUILD: %v", reply)
	}
	t.Logf("rebuilt in %.2f s", time.Since(began).Seconds())
	w.writes(t, patience, "after the rebuild")
	w.end()
	c.WaitCaughtUp(bad)
	if all, nodes := verdict(t, bad); all != "ok" {
		t.Errorf("after the rebuild: %s: %v", all, nodes)
	}
	checkAll(t, c.Nodes, w.acked)
	bad.Kill()
	bad.Start().WaitReady(patience)
	c.WaitCaughtUp(bad)
	if all, nodes := verdict(t, bad); all != "ok" {
		t.Errorf("after a restart: %s: %v", all, nodes)
	}
	checkAll(t, []*proc.Node{bad}, w.acked)
}

// Audits run by themselves, and INFO and /metrics tell of them.
func TestAuditByItself(t *testing.T) {
	c, bad := dropping(t, "--audit-interval", "1s")
	w := startWriters(t, c, 8)
	w.writes(t, patience, "at first")
	began := time.Now()
	diverges(t, bad)
	t.Logf("found after %.1f s", time.Since(began).Seconds())
	// The node marks itself before the leader, which told it to, has its answer.
	proc.Eventually(t, patience, "the leader shows it", func() error {
		info := c.Nodes[0].Client().Info(ctx, "raft").Val()
		lines := strings.Split(info, "\r\n")
		if !slices.Contains(lines, "raft_last_audit_verdict:differs") || slices.Contains(lines, "raft_last_audit_index:0") {
			return fmt.Errorf("INFO raft: %s", info)
		}
		return nil
	})
	w.end()
	if err := bad.Client().Set(ctx, "k", "v", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "MOVED") {
		t.Errorf("SET at the diverged node: %v, want MOVED", err)
	}
}
