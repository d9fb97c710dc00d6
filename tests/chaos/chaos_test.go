//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/chaos/check"
	"github.com/raftkv/raftkv/tests/chaos/nemesis"
	"github.com/raftkv/raftkv/tests/chaos/network"
	"github.com/raftkv/raftkv/tests/chaos/workload"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// seedEnv chooses another schedule than the usual one.
const seedEnv = "RAFTKV_CHAOS_SEED"

// TestMain builds the binary where the network is still there, in case go has to
// fetch something, and runs the tests in a network of their own.
func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) (code int) {
	if network.Inside() || os.Getenv(proc.FaultsEnv) != "" {
		return network.Main(m.Run)
	}
	dir, err := os.MkdirTemp("", "raftkv-chaos-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = proc.BuildTo(filepath.Join(dir, "raftkv"), "-tags", "faults")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return network.Main(m.Run, proc.FaultsEnv+"="+filepath.Join(dir, "raftkv"))
}

// output hands the run's lines to the test's log.
type output struct{ t *testing.T }

func (o output) Write(p []byte) (int, error) {
	o.t.Logf("%s", p)
	return len(p), nil
}

// TestChaos is a short run of all workloads under all sorts of faults. make chaos
// does it for longer. What it leaves behind after a failure is what explains it.
func TestChaos(t *testing.T) {
	if _, err := proc.NoteSources(); err != nil {
		t.Fatal(err)
	}
	seed := uint64(1)
	if text := os.Getenv(seedEnv); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
	}
	dir, err := os.MkdirTemp("", "raftkv-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	res, err := Run(context.Background(), Options{
		Binary: os.Getenv(proc.FaultsEnv), Dir: dir, Nodes: 3, Seed: seed, Duration: 25 * time.Second,
		Workloads: workload.All, Short: true, Out: output{t},
	})
	if err != nil {
		t.Fatalf("%s=%d, see %s: %v", seedEnv, seed, dir, err)
	}
	t.Logf("%s=%d\n%s", seedEnv, seed, res.Summary)
	for _, v := range res.Violations {
		t.Error(v)
	}
	if t.Failed() {
		t.Logf("kept in %s: %v", dir, res.Files)
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// started is a run whose cluster stands, without clients and faults.
func started(t *testing.T) *run {
	t.Helper()
	r, err := begin(Options{Binary: os.Getenv(proc.FaultsEnv), Dir: t.TempDir(), Nodes: 3, Out: output{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.close)
	return r
}

// The whole machinery finds a cluster guilty that lost an acknowledged write, by
// reading the nodes. The nodes are real, and the write was never made.
func TestLostWriteIsNoticed(t *testing.T) {
	r := started(t)
	s := workload.NewSession(r.rec, r.env.Places[0], workload.Plain)
	defer s.Close()
	op := s.Do(context.Background(), check.Op{Workload: check.Register, Kind: check.Set, Key: "k", Arg: "made"})
	if op.Outcome != check.OK {
		t.Fatal(op.Error)
	}
	op.Arg, op.Call, op.Return = "never made", r.rec.History.Now(), r.rec.History.Now()
	r.rec.History.Record(op)
	r.finish()
	res, err := r.judge()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(res.Violations, "\n")
	if !strings.Contains(all, "not linearizable") || !strings.Contains(all, "audit failed") {
		t.Errorf("violations %q, want one of the history and one of the audit", all)
	}
}

// Nodes that hold different keys are noticed, also where no client named the key.
func TestDifferentKeysAreNoticed(t *testing.T) {
	r := started(t)
	odd := r.fleet.Nodes[2]
	// A node that has gone its own way: one that was swapped for a cluster of its own.
	odd.Kill()
	if err := odd.Replace(nil); err != nil {
		t.Fatal(err)
	}
	proc.Eventually(t, settleTime, "a write to the odd one", func() error {
		_, err := odd.Do(context.Background(), "SET", "odd", "1")
		return err
	})
	if err := r.compareKeys(); err == nil || !strings.Contains(err.Error(), "odd") {
		t.Errorf("%v, want an error that names the key", err)
	}
}

// A cluster that does not come back is noticed, and a process that ended by itself.
func TestServiceThatStaysAwayIsNoticed(t *testing.T) {
	r := started(t)
	r.settle = 3 * time.Second
	if found := r.fleet.Faults(); len(found) > 0 {
		t.Fatal(found)
	}
	r.fleet.Nodes[0].Kill()
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	r.fleet.Nodes[1].Do(ctx, "SHUTDOWN") // answers nothing where it works
	proc.Eventually(t, settleTime, "the node ended", func() error {
		if r.fleet.Nodes[1].Running() {
			return errors.New("it runs")
		}
		return nil
	})
	if r.awaitService(nemesis.Step{Kinds: []string{"kill"}}) || len(r.violations) == 0 {
		t.Error("two of three nodes are down, and the service is said to be back")
	}
	if found := r.fleet.Faults(); len(found) != 1 || !strings.Contains(found[0], "ended by itself") {
		t.Errorf("faults of the nodes: %q, want the one that ended by itself", found)
	}
}
