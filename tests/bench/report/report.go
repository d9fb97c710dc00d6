//go:build linux

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/tests/bench"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// Text writes conditions and tables for a terminal.
func Text(w io.Writer, res *bench.Results) {
	fmt.Fprintln(w)
	for _, line := range conditions(&res.Conditions) {
		fmt.Fprintln(w, line)
	}
	for _, line := range remarks(res) {
		fmt.Fprintln(w, line)
	}
	for _, t := range tables(res) {
		t.text(w)
	}
}

// Write puts report.md, speed.md, results.json and the pictures into a directory.
func Write(dir string, res *bench.Results) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(struct {
		*bench.Results
		Goals []bench.Verdict `json:"goals"`
	}{res, bench.Judge(res)}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "results.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	pictures, err := drawAll(dir, res)
	if err != nil {
		return err
	}
	var page bytes.Buffer
	markdown(&page, res, pictures)
	var speed bytes.Buffer
	Speed(&speed, res)
	for name, text := range map[string][]byte{"report.md": page.Bytes(), "speed.md": speed.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func markdown(w io.Writer, res *bench.Results, pictures []picture) {
	fmt.Fprintf(w, "# RaftKV measured, %s\n\n", res.Conditions.Started.Format("2006-01-02 15:04"))
	for _, line := range append(conditions(&res.Conditions), remarks(res)...) {
		fmt.Fprintf(w, "- %s\n", line)
	}
	fmt.Fprintln(w)
	for _, p := range pictures {
		fmt.Fprintf(w, "![%s](%s.svg)\n\n", p.title, p.name)
	}
	for _, t := range tables(res) {
		t.markdown(w)
	}
}

// conditions are lines.
func conditions(c *bench.Conditions) []string {
	lines := []string{
		fmt.Sprintf("%s, commit %s, %s, %d rounds, %.0f s, parts: %s", c.Started.Format("2006-01-02 15:04"), c.Commit, c.Go, c.Rounds, c.Took,
			strings.Join(c.Parts, " ")),
		fmt.Sprintf("%s, %d cores, %.0f GB; %s; %s, fdatasync of 64 B %.0f µs before, %.0f µs after", c.CPU, c.Cores, c.MemoryGB, c.Kernel, c.Filesystem,
			c.Fdatasync[0], c.Fdatasync[1]),
		fmt.Sprintf("load average %.2f at the start, others used %.0f %% of the cores", c.Load, 100*c.Busy),
		"clients and all servers share these cores; three nodes each of RaftKV (default flags) and etcd, one redis-server; all data on one disk",
	}
	for _, program := range sortedKeys(c.Versions) {
		lines = append(lines, program+": "+c.Versions[program])
	}
	if len(c.Idle) > 0 {
		var idle []string
		for _, system := range sortedKeys(c.Idle) {
			idle = append(idle, fmt.Sprintf("%s %.0f %%", names[system], 100*c.Idle[system]))
		}
		lines = append(lines, "of one core, idle: "+strings.Join(idle, ", "))
	}
	return lines
}

// remarks are what a reader must not miss.
func remarks(res *bench.Results) (lines []string) {
	for _, w := range res.Conditions.Warnings() {
		lines = append(lines, "WARNING: "+w)
	}
	for _, l := range res.LeftOut {
		lines = append(lines, "LEFT OUT: "+l)
	}
	for _, f := range res.Failed {
		lines = append(lines, "FAILED: "+f)
	}
	return lines
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Speed writes the README's table, ready to paste.
func Speed(w io.Writer, res *bench.Results) {
	c := &res.Conditions
	fmt.Fprintf(w, "%s, commit %s: %s, %d cores that clients and all nodes share, %s, fdatasync %.0f µs. Replies per second, medians of %d rounds;\n",
		c.Started.Format("2006-01-02"), c.Commit, c.CPU, c.Cores, c.Filesystem, c.Fdatasync[0], c.Rounds)
	fmt.Fprintf(w, "`make bench` measures it anew. Every write is on the disks of a majority and every read is linearizable; the Redis is one node.\n\n")
	t := &table{header: []string{"64 B values", "RaftKV, 3 nodes", "Redis, `appendfsync always`", "ratio", "etcd, 3 nodes", "ratio"}}
	for _, shape := range shapesOf(res.Shapes, false) {
		ours := bench.Find(res.Shapes, shape, peers.RaftKV)
		if ours.PerSecond() == 0 {
			continue
		}
		redis, etcd := bench.Find(res.Shapes, shape, peers.RedisAlways), bench.Find(res.Shapes, shape, peers.Etcd)
		t.add(ours.Shape.Words(), perSecond(ours), perSecond(redis), ratio(ours.Ratio(redis)), perSecond(etcd), ratio(ours.Ratio(etcd)))
	}
	for _, t := range []*table{t, speedOfTypes(res)} {
		if len(t.rows) > 0 {
			t.markdown(w)
		}
	}
	for _, line := range inWords(res) {
		fmt.Fprintf(w, "- %s\n", line)
	}
}

// speedOfTypes has a line for each type: its commands, how many a second, and the ratio.
func speedOfTypes(res *bench.Results) *table {
	t := &table{header: []string{"50 clients, pipelines of 16", "RaftKV's replies per second (ratio to Redis)"}}
	line, group := []string{}, ""
	flush := func() {
		if len(line) > 0 {
			t.add(group, strings.Join(line, ", "))
		}
	}
	for _, shape := range shapesOf(res.Shapes, true) {
		ours := bench.Find(res.Shapes, shape, peers.RaftKV)
		if ours.PerSecond() == 0 {
			continue
		}
		if ours.Shape.Group != group {
			flush()
			line, group = nil, ours.Shape.Group
		}
		line = append(line, fmt.Sprintf("%s %s (%s)", ours.Shape.Command, thousands(ours.PerSecond()),
			ratio(ours.Ratio(bench.Find(res.Shapes, shape, peers.RedisAlways)))))
	}
	flush()
	return t
}

func perSecond(r *bench.ShapeResult) string {
	if r == nil || len(r.Rounds) == 0 {
		return none
	}
	return thousands(r.PerSecond())
}

// inWords are the figures that fit no table of throughput.
func inWords(res *bench.Results) (lines []string) {
	for _, f := range res.Failovers {
		if f.System != peers.RaftKV {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s of the leader, %d times: next write after %.0f ms in the median, p95 %.0f ms", f.Signal, len(f.Next),
			bench.Median(f.Next), bench.Percentile(f.Next, 0.95)))
	}
	for i := range res.Memory {
		m := &res.Memory[i]
		lines = append(lines, fmt.Sprintf("memory with %s keys: %s %s MB, %.0f bytes a key", thousands(float64(m.Keys)), names[m.System],
			megabytes(m.Resident), m.PerKey()))
	}
	for _, l := range res.Snapshots {
		with, without := []float64{}, []float64{}
		for i := range l.With {
			with, without = append(with, l.With[i].P999), append(without, l.Without[i].P999)
		}
		lines = append(lines, fmt.Sprintf("p99.9 of %s SETs per second with %s keys: %s %.1f ms, while a snapshot is written %.1f ms", thousands(float64(l.Rate)),
			thousands(float64(l.Keys)), names[l.System], bench.Median(without), bench.Median(with)))
	}
	for _, c := range res.Cold {
		lines = append(lines, fmt.Sprintf("cold start with %s keys, %s: %s %.1f s", thousands(float64(c.Keys)), c.State, names[c.System], bench.Median(c.Seconds)))
	}
	return lines
}
