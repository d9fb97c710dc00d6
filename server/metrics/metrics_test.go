package metrics

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

func source() Source {
	return Source{
		Connections: func() Connections { return Connections{Open: 2, Accepted: 7, Rejected: 1} },
		Databases:   func() []Database { return []Database{{Keys: 5, Expires: 3}, {}} },
		Bytes:       func() int64 { return 4096 },
		Commands: func(each func(string, int64)) {
			each("get", 2)
			each("config", 1)
		},
		LastSnapshot: func() int64 { return 1700000000 },
		Version:      "v1", Commit: "abc",
		Status: func(ctx context.Context) system.Status {
			return system.Status{
				NodeID: "n1", ClusterID: "c", Role: system.Follower, Term: 4, Leader: system.Member{ID: "n2"},
				Audit:          system.AuditReport{Time: 1600000000, Nodes: []system.NodeDigest{{ID: "n1", Verdict: system.AuditDiffers}, {ID: "n2", Verdict: system.AuditOK}}},
				ClusterVersion: 3, CommitIndex: 11, AppliedIndex: 10, LastLogIndex: 12, SnapshotIndex: 6,
				Nodes: []system.MemberStatus{
					{Member: system.Member{ID: "n2"}, Reachable: true, Lag: 3},
					{Member: system.Member{ID: "n3"}, Lag: 99},
				},
			}
		},
	}
}

func scrape(t *testing.T, r *Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	r := New()
	r.Watch(source())
	r.Write(2 * time.Millisecond)
	r.Batch(3)
	got := scrape(t, r)
	for _, want := range []string{
		`raftkv_commands_total{command="get"} 2`,
		`raftkv_commands_total{command="config"} 1`,
		`raftkv_write_seconds_count 1`,
		`raftkv_batch_proposals_bucket{le="2"} 0`,
		`raftkv_batch_proposals_bucket{le="4"} 1`,
		`raftkv_connections 2`,
		`raftkv_connections_accepted_total 7`,
		`raftkv_connections_rejected_total 1`,
		`raftkv_keys{db="0"} 5`,
		`raftkv_keys_expiring{db="0"} 3`,
		`raftkv_keys_bytes 4096`,
		`raftkv_info{cluster_id="c",commit="abc",node_id="n1",version="v1"} 1`,
		`raftkv_raft_role{role="follower"} 1`,
		`raftkv_raft_role{role="leader"} 0`,
		`raftkv_raft_term 4`,
		`raftkv_raft_has_leader 1`,
		`raftkv_raft_commit_index 11`,
		`raftkv_raft_applied_index 10`,
		`raftkv_raft_last_log_index 12`,
		`raftkv_raft_snapshot_index 6`,
		`raftkv_raft_cluster_version 3`,
		`raftkv_raft_last_snapshot_timestamp_seconds 1.7e+09`,
		`raftkv_raft_diverged 0`,
		`raftkv_raft_last_audit_timestamp_seconds 1.6e+09`,
		`raftkv_raft_audit_differing_nodes 1`,
		`raftkv_raft_node_reachable{id="n3"} 0`,
		`raftkv_raft_node_lag{id="n2"} 3`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
	} {
		if !strings.Contains(got, "\n"+want) {
			t.Errorf("no line %q", want)
		}
	}
	if strings.Contains(got, `raftkv_raft_node_lag{id="n3"}`) {
		t.Error("a lag of a node that does not answer")
	}
}

// TestTwoRegistries: nothing is shared, so two nodes may live in one process.
func TestTwoRegistries(t *testing.T) {
	a, b := New(), New()
	a.Watch(source())
	b.Watch(source())
	a.Batch(1)
	if !strings.Contains(scrape(t, b), "raftkv_batch_proposals_count 0") {
		t.Error("a batch of one node shows on the other")
	}
}
