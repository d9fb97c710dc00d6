//go:build linux

package chaos

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/workload"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// TestPlantedBugsAreFound switches on bugs that the server does not have, one at
// a time, and runs what `make chaos` runs, with the faults that should bring them
// out. What clients saw, or what the nodes hold at the end, must give each away
// within a few schedules; that a node merely stays away does not count. The
// planted read barrier has a probe of its own: tests/cluster, TestStaleProbeFindsVerifyLeader.
func TestPlantedBugsAreFound(t *testing.T) {
	if _, err := proc.NoteSources(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		bug    string
		faults []string
	}{
		{"ack-before-disk", []string{"kill-all"}},
		{"drop-tail", []string{"kill-leader", "transfer"}},
		{"local-clock", []string{"clock-forward", "clock-back", "transfer"}},
	} {
		t.Run(tt.bug, func(t *testing.T) {
			const tries = 3
			start := time.Now()
			for seed := uint64(1); seed <= tries; seed++ {
				found := plantedRun(t, Options{
					Binary: os.Getenv(proc.FaultsEnv), Dir: t.TempDir(), Nodes: 3, Seed: seed, Duration: 12 * time.Second,
					Workloads: workload.All, Faults: tt.faults, Short: true, Planted: tt.bug, Out: output{t},
				})
				if found != "" {
					t.Logf("found with seed %d, %.0f s after the start: %s", seed, time.Since(start).Seconds(), found)
					return
				}
			}
			t.Errorf("not found in %d runs", tries)
		})
	}
}

// plantedRun returns the violations that the history, the audit or the comparison
// of the nodes found, as one line.
func plantedRun(t *testing.T, opts Options) string {
	t.Helper()
	r, err := begin(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.settle = 10 * time.Second // a cluster with these bugs may never come to rest
	if err := r.work(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.finish()
	res, err := r.judge()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, v := range res.Violations {
		for _, proof := range []string{"not linearizable", "audit failed", "differ"} {
			if strings.Contains(v, proof) {
				found = append(found, v)
			}
		}
	}
	return strings.ReplaceAll(strings.Join(found, "; "), "\n", " ")
}
