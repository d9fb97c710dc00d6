//go:build linux

package report

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/tests/bench"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

func TestNumbers(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 999.4: "999", 1000: "1,000", 1234567.8: "1,234,568", 100000: "100,000"} {
		if got := thousands(value); got != want {
			t.Errorf("thousands(%v) = %s, want %s", value, got, want)
		}
	}
	for value, want := range map[float64]string{0.123: "0.12", 9.876: "9.88", 12.34: "12.3", 4321: "4,321"} {
		if got := short(value); got != want {
			t.Errorf("short(%v) = %s, want %s", value, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	table := &table{title: "Title", header: []string{"what", "µs", "n"}, notes: []string{"a note"}}
	table.add("a|b", "1", "–")
	table.add("longer one", "22,222", "3")
	const text = `
Title

  what            µs  n
  a|b              1  –
  longer one  22,222  3
  a note
`
	const page = `## Title

| what | µs | n |
|---|--:|--:|
| a\|b | 1 | – |
| longer one | 22,222 | 3 |

a note

`
	var got bytes.Buffer
	if table.text(&got); got.String() != text {
		t.Errorf("text:\n%s\nwant:\n%s", got.String(), text)
	}
	got.Reset()
	if table.markdown(&got); got.String() != page {
		t.Errorf("Markdown:\n%s\nwant:\n%s", got.String(), page)
	}
}

// results are a run of which every part left something.
func results() *bench.Results {
	shape := bench.Shape{Name: "SET c=50 P=16", Part: "set", Command: "SET", Conns: 50, Pipeline: 16, Size: 64}
	ofType := func(command, group string) bench.Shape {
		return bench.Shape{Name: command + " c=50 P=16", Part: "types", Command: command, Group: group, Conns: 50, Pipeline: 16, Size: 64}
	}
	of := func(shape bench.Shape, system string, perSecond float64) bench.ShapeResult {
		return bench.ShapeResult{Shape: shape, System: system, Rounds: []bench.Round{{PerSecond: perSecond, P50: 1.5, P99: 3, CPU: 2, Written: 800}}}
	}
	curve := make([]float64, len(bench.Quantiles))
	for i := range curve {
		curve[i] = float64(i + 1)
	}
	distribution := []bench.Distribution{{Count: 9, P50: 1, P99: 2, P999: 3, Max: 4, Curve: curve}}
	return &bench.Results{
		Conditions: bench.Conditions{
			Started: time.Date(2026, 11, 26, 17, 0, 0, 0, time.UTC), Commit: "abc", CPU: "Some CPU", Cores: 2, Rounds: 3, Filesystem: "ext4",
			Fdatasync: [2]float64{60, 61}, Versions: map[string]string{"etcd": "3.4"}, Idle: map[string]float64{peers.RaftKV: 0.08},
		},
		Shapes: []bench.ShapeResult{
			of(shape, peers.RaftKV, 120000), of(shape, peers.RedisAlways, 240000),
			of(ofType("HGET", "hash"), peers.RaftKV, 500), of(ofType("HGET", "hash"), peers.RedisAlways, 1000),
			of(ofType("HSET", "hash"), peers.RaftKV, 600), of(ofType("HSET", "hash"), peers.RedisAlways, 1000),
			of(ofType("ZADD", "sorted set"), peers.RaftKV, 700), of(ofType("ZADD", "sorted set"), peers.RedisAlways, 1000),
		},
		Costs:     []bench.ShapeResult{of(shape, peers.RaftKV, 1)},
		Syncs:     []bench.Syncs{{System: peers.RaftKV, Shape: shape.Name, PerSecond: 1000, Syncs: 60}},
		Memory:    []bench.MemoryUse{{System: peers.RaftKV, Keys: 1_000_000, Resident: 300 << 20}},
		Cold:      []bench.ColdStart{{System: peers.RaftKV, State: "after a snapshot", Keys: 1_000_000, Seconds: []float64{1, 2, 3}}},
		Snapshots: []bench.SnapshotLoad{{System: peers.RaftKV, Keys: 1_000_000, Rate: 4000, Without: distribution, With: distribution, Took: []float64{1}}},
		Failovers: []bench.Failover{{System: peers.RaftKV, Signal: bench.TermSignal, Next: []float64{8}, Gap: []float64{9}, Calls: 5, Errors: []string{"gone"}, Slowest: 12}},
		Around:    []bench.Point{{At: -0.5, Latency: 1}, {At: 0, Latency: 900}},
		Growth:    []bench.Growth{{System: peers.RaftKV, Test: "GET", Few: 100, Many: 5000, AtFew: []bench.Round{{PerSecond: 10}}, AtMany: []bench.Round{{PerSecond: 9}}}},
		Encrypted: []bench.Encrypted{{Shape: shape, System: peers.RaftKV, Plain: []bench.Round{{PerSecond: 10, CPU: 1}}, TLS: []bench.Round{{PerSecond: 8, CPU: 1.5}}}},
		LeftOut:   []string{"etcd: there is none"},
		Failed:    []string{"growth: it broke"},
	}
}

// lacks says which of the lines a text does not hold.
func lacks(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in:\n%s", line, text)
		}
	}
}

func TestText(t *testing.T) {
	var got bytes.Buffer
	Text(&got, results())
	lacks(t, strings.Join(strings.Fields(got.String()), " "),
		"SET c=50 P=16 120,000 (1.50) 240,000 (1.50) 0.50 – – – – –", "ZADD sorted set 700 (1.50; 2.00) 1,000 (1.50; 2.00) 0.70", "HSET c=50 P=16, ratio to Redis always ≥ 0.60 0.60 yes",
		"SET c=50 P=16 RaftKV 2.00 10.0 3.33", // CPU; 800 bytes written for 16 and 64; a third of it per node
		"SET c=50 P=16 RaftKV 60.0 1,000 60.0", "RaftKV 1,000,000 0 300 0 0 315", "RaftKV 1,000,000 after a snapshot 2.00 3.00",
		"RaftKV 1,000,000 4,000 with 1.00 2.00 3.00 4.00 1.00", "RaftKV SIGTERM 1 8.00 8.00 8.00 9.00 9.00 5 1 12.0", "go-redis, SIGTERM: gone",
		"RaftKV GET 100 10 5,000 9 0.90", "SET c=50 P=16 RaftKV 10 (1.00) 8 (1.50) 0.80", "LEFT OUT: etcd: there is none", "FAILED: growth: it broke", "SET c=50 P=16, ratio to Redis always ≥ 0.80 0.50 NO",
		"of one core, idle: RaftKV 8 %")
}

func TestSpeed(t *testing.T) {
	var got bytes.Buffer
	Speed(&got, results())
	lacks(t, got.String(), "2026-11-26, commit abc: Some CPU, 2 cores", "| SET, 50 clients, pipelines of 16 | 120,000 | 240,000 | 0.50 | – | – |",
		"| hash | HGET 500 (0.50), HSET 600 (0.60) |\n| sorted set | ZADD 700 (0.70) |", "SIGTERM of the leader, 1 times: next write after 8 ms in the median")
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	pictures, err := drawAll(dir, results())
	if err != nil {
		t.Fatal(err)
	}
	if len(pictures) != 3 {
		t.Errorf("%d pictures, want 3", len(pictures))
	}
	for name, want := range map[string]string{"throughput": "120,000", "kill": "seconds after the kill", "snapshot": "99.9 %"} {
		svg, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		lacks(t, string(svg), want)
		if png, err := os.Stat(filepath.Join(dir, name+".png")); err != nil || png.Size() < 1000 {
			t.Errorf("%s.png: %v, %v", name, png, err)
		}
	}
}

// A run of one part draws and shows only that.
func TestNothingForWhatDidNotRun(t *testing.T) {
	res := &bench.Results{Memory: results().Memory}
	dir := t.TempDir()
	if err := Write(dir, res); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"throughput.svg", "kill.svg", "snapshot.svg"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	if all := tables(res); len(all) != 2 { // memory and the goals
		t.Errorf("%d tables, want 2", len(all))
	}
}
