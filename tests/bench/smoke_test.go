//go:build linux

package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/bench"
	"github.com/raftkv/raftkv/tests/bench/echo"
	"github.com/raftkv/raftkv/tests/bench/peers"
	"github.com/raftkv/raftkv/tests/bench/report"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// TestMain is the echo, too: the bench starts it as a process of its own.
func TestMain(m *testing.M) {
	if addr := os.Getenv(peers.EchoEnv); addr != "" {
		fmt.Fprintln(os.Stderr, echo.Serve(addr))
		os.Exit(1)
	}
	os.Exit(proc.Main(m))
}

// unavailable skips a test whose surroundings are missing; in CI it fails instead.
func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// disk makes a directory in the place where make bench has its own by default: a
// test's temporary one may be in memory.
func disk(t *testing.T) string {
	t.Helper()
	if err := os.MkdirAll("results", 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("results", "smoke-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if _, err := bench.Filesystem(dir); err != nil {
		unavailable(t, err.Error())
	}
	return dir
}

// TestSmoke runs all parts with next to no load, against everything but etcd.
func TestSmoke(t *testing.T) {
	for _, program := range []string{"redis-server", "redis-benchmark"} {
		if _, err := peers.Find(program); err != nil {
			unavailable(t, err.Error())
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var progress strings.Builder
	res, err := bench.Run(t.Context(), bench.Options{
		Out: &progress, RaftKV: proc.Build(t), Self: self, Work: disk(t), Rounds: 1, Without: []string{peers.Etcd, peers.RedisEverysec},
		Scale: bench.Scale{
			Long: 50 * time.Millisecond, Keys: 1000, Million: 2000, Many: 4000, Kills: 1, PeerKills: 1,
			Window: 200 * time.Millisecond, Rate: 500, Around: 300 * time.Millisecond,
		},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	if len(res.Failed) > 0 {
		t.Fatalf("%q\n%s", res.Failed, progress.String())
	}
	checkShapes(t, res)
	checkRest(t, res)
	for _, v := range bench.Judge(res) {
		if against := strings.HasSuffix(v.What, "etcd"); v.Measured == against {
			t.Errorf("%s: measured %t", v.What, v.Measured)
		}
	}
	checkReport(t, res)
}

// checkShapes expects a throughput of every shape and system that took part.
func checkShapes(t *testing.T, res *bench.Results) {
	systems := map[string]int{}
	for i := range res.Shapes {
		r := &res.Shapes[i]
		if len(r.Rounds) != 1 || r.PerSecond() <= 0 || r.Rounds[0].P50 <= 0 {
			t.Errorf("%s %s: %+v", r.Shape.Name, r.System, r.Rounds)
		}
		systems[r.System]++
	}
	if systems[peers.RedisAlways] != 58 || systems[peers.Echo] != 14 || systems[peers.RaftKV] != 58 {
		t.Errorf("shapes by system: %v", systems)
	}
}

// checkRest looks at the other parts.
func checkRest(t *testing.T, res *bench.Results) {
	for i := range res.Costs {
		if c := &res.Costs[i]; c.System != peers.Echo && c.Rounds[0].Written < float64(c.Shape.Size) {
			t.Errorf("%s %s: %.0f bytes written for values of %d", c.System, c.Shape.Name, c.Rounds[0].Written, c.Shape.Size)
		}
	}
	checkSyncs(t, res)
	for _, m := range res.Memory {
		if m.Resident < m.Empty || m.Empty < 1<<20 {
			t.Errorf("memory: %+v", m)
		}
	}
	for _, s := range res.Snapshots {
		if with := s.With[0]; len(s.Took) == 0 || with.Count == 0 || with.P999 < with.P50 {
			t.Errorf("snapshot: %+v", s)
		}
	}
	if len(res.Memory) != 2 || len(res.Cold) != 4 || len(res.Snapshots) != 2 || len(res.Failovers) != 2 || len(res.Growth) != 4 || len(res.Encrypted) != 8 {
		t.Errorf("memory %d, cold %d, snapshots %d, failovers %d, growth %d, TLS %d",
			len(res.Memory), len(res.Cold), len(res.Snapshots), len(res.Failovers), len(res.Growth), len(res.Encrypted))
	}
	before, after := 0, 0
	for _, p := range res.Around {
		if p.At < 0 {
			before++
		} else {
			after++
		}
	}
	if before == 0 || after == 0 {
		t.Errorf("%d writes before the kill, %d after it", before, after)
	}
}

// checkSyncs expects waits for the disk under each of the three shapes of both systems
// that keep anything.
func checkSyncs(t *testing.T, res *bench.Results) {
	if _, err := peers.Find("strace"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Error(err)
		}
		return
	}
	if len(res.Syncs) != 6 {
		t.Errorf("waits for the disk were counted %d times, want 6", len(res.Syncs))
	}
	for _, s := range res.Syncs {
		if s.Syncs <= 0 {
			t.Errorf("%s: no wait for the disk in %s", s.System, s.Shape)
		}
	}
}

// checkReport expects all files, and figures in them.
func checkReport(t *testing.T, res *bench.Results) {
	dir := filepath.Join(t.TempDir(), "report")
	if err := report.Write(dir, res); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"report.md": "| SET c=50 P=16 | ", "speed.md": "| SET, 50 clients, pipelines of 16 | ", "results.json": `"per_second"`,
		"throughput.svg": "RaftKV", "throughput.png": "PNG", "kill.svg": "seconds after the kill", "kill.png": "PNG",
		"snapshot.svg": "RaftKV with a snapshot", "snapshot.png": "PNG",
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(text), want) {
			t.Errorf("%s holds no %q", name, want)
		}
	}
}
