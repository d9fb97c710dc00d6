//go:build linux

package report

import (
	"fmt"

	"github.com/raftkv/raftkv/tests/bench"
	"github.com/raftkv/raftkv/tests/bench/peers"
)

// tables are all that a run has something for.
func tables(res *bench.Results) (all []*table) {
	for _, make := range []func(*bench.Results) *table{
		throughput, types, costs, syncs, memory, cold, snapshots, failovers, growth, encrypted, goals,
	} {
		if t := make(res); len(t.rows) > 0 {
			all = append(all, t)
		}
	}
	return all
}

func throughput(res *bench.Results) *table {
	t := &table{
		title:  "Throughput, replies per second (p50 in ms), medians; × is RaftKV's by it",
		header: []string{"shape", "RaftKV, 3 nodes", "Redis always", "×", "everysec", "echo", "×", "etcd, 3 nodes", "×"},
		notes:  []string{"With pipelines the latency is that of one pipeline. Ratios are medians over the rounds, each of neighbours in time."},
	}
	for _, shape := range shapesOf(res.Shapes, false) {
		ours := bench.Find(res.Shapes, shape, peers.RaftKV)
		row := []string{shape, reached(ours)}
		for _, peer := range []string{peers.RedisAlways, peers.RedisEverysec, peers.Echo, peers.Etcd} {
			other := bench.Find(res.Shapes, shape, peer)
			row = append(row, reached(other))
			if peer != peers.RedisEverysec {
				row = append(row, ratio(ours.Ratio(other)))
			}
		}
		t.add(row...)
	}
	return t
}

// shapesOf are the names of the shapes, of the types or all others, in the order of the results.
func shapesOf(results []bench.ShapeResult, types bool) (names []string) {
	for i := range results {
		shape := &results[i].Shape
		if (shape.Group != "") == types && (len(names) == 0 || names[len(names)-1] != shape.Name) {
			names = append(names, shape.Name)
		}
	}
	return names
}

// types are the main commands of each type.
func types(res *bench.Results) *table {
	t := &table{
		title:  "Types, 50 clients, pipelines of 16: replies per second (p50 in ms; CPU s per 100,000), medians",
		header: []string{"command", "type", "RaftKV, 3 nodes", "Redis always", "×"},
		notes: []string{"Keys are random, of some thousand; 1 M is one collection of so many members. Values are of 64 B, members of 14. " +
			"Before each round of writes the keys are empty again, before each of RPOP and SPOP full enough."},
	}
	for _, shape := range shapesOf(res.Shapes, true) {
		ours, redis := bench.Find(res.Shapes, shape, peers.RaftKV), bench.Find(res.Shapes, shape, peers.RedisAlways)
		if ours == nil {
			continue
		}
		t.add(ours.Shape.Command, ours.Shape.Group, withCPU(ours), withCPU(redis), ratio(ours.Ratio(redis)))
	}
	return t
}

// withCPU is a throughput, its latency and what it costs.
func withCPU(r *bench.ShapeResult) string {
	if r == nil {
		return none
	}
	return fmt.Sprintf("%s (%s; %s)", thousands(r.PerSecond()), short(r.Median(func(r bench.Round) float64 { return r.P50 })),
		short(r.Median(func(r bench.Round) float64 { return r.CPU })))
}

// reached is a throughput and its latency.
func reached(r *bench.ShapeResult) string {
	if r == nil {
		return none
	}
	return fmt.Sprintf("%s (%s)", thousands(r.PerSecond()), short(r.Median(func(r bench.Round) float64 { return r.P50 })))
}

// names are how tables call the systems.
var names = map[string]string{
	peers.RaftKV: "RaftKV", peers.RedisAlways: "Redis always", peers.RedisEverysec: "Redis everysec",
	peers.Etcd: "etcd", peers.Echo: "redcon echo",
}

func costs(res *bench.Results) *table {
	t := &table{
		title:  "Costs of SETs over all processes of a system",
		header: []string{"shape", "system", "CPU s per 100,000", "bytes written per byte stored", "per node"},
		notes:  []string{"Stored is what the client sent: key and value, once. Written is what the kernel counts for the processes: logs, snapshots, page-sized leftovers."},
	}
	for i := range res.Costs {
		c := &res.Costs[i]
		if len(c.Rounds) == 0 {
			continue
		}
		const key = 16
		written := c.Median(func(r bench.Round) float64 { return r.Written }) / float64(key+c.Shape.Size)
		nodes := 1.0
		if c.System == peers.RaftKV || c.System == peers.Etcd {
			nodes = 3
		}
		t.add(c.Shape.Name, names[c.System], short(c.Median(func(r bench.Round) float64 { return r.CPU })), short(written), short(written/nodes))
	}
	return t
}

func syncs(res *bench.Results) *table {
	t := &table{
		title:  "Waits for the disk (fsync and its kin) over all processes, counted by strace in runs of their own",
		header: []string{"shape", "system", "per second", "writes per second", "waits per 1,000 writes"},
		notes:  []string{"strace slows them: the last column is what carries over."},
	}
	for _, s := range res.Syncs {
		t.add(s.Shape, names[s.System], short(s.Syncs), thousands(s.PerSecond), short(s.Syncs/s.PerSecond*1000))
	}
	return t
}

func memory(res *bench.Results) *table {
	t := &table{
		title:  "Memory of one process, MB, with keys of 16 B and values of 64 B",
		header: []string{"system", "keys", "empty", "resident", "of it anonymous", "peak", "resident bytes per key"},
		notes:  []string{"Resident counts the pages of mapped files too; of a cluster it is the largest node's."},
	}
	for i := range res.Memory {
		m := &res.Memory[i]
		t.add(names[m.System], thousands(float64(m.Keys)), megabytes(m.Empty), megabytes(m.Resident), megabytes(m.Anonymous),
			megabytes(m.Peak), thousands(m.PerKey()))
	}
	return t
}

func cold(res *bench.Results) *table {
	t := &table{
		title:  "Cold start: kill -9 of all processes, start of all, to the first acknowledged SET, seconds",
		header: []string{"system", "keys", "on the disk", "median", "worst"},
	}
	for _, c := range res.Cold {
		t.add(names[c.System], thousands(float64(c.Keys)), c.State, short(bench.Median(c.Seconds)), short(bench.Percentile(c.Seconds, 1)))
	}
	return t
}

func snapshots(res *bench.Results) *table {
	t := &table{
		title:  "SETs at a fixed rate, ms from when they were due, without and with a snapshot in progress",
		header: []string{"system", "keys", "rate", "", "p50", "p99", "p99.9", "max", "a snapshot takes, s"},
		notes:  []string{"Redis rewrites its append-only file. Medians over the rounds."},
	}
	for _, s := range res.Snapshots {
		for _, side := range []struct {
			name   string
			rounds []bench.Distribution
			took   string
		}{{"without", s.Without, ""}, {"with", s.With, short(bench.Median(s.Took))}} {
			of := func(field func(bench.Distribution) float64) string {
				var values []float64
				for _, d := range side.rounds {
					values = append(values, field(d))
				}
				return short(bench.Median(values))
			}
			t.add(names[s.System], thousands(float64(s.Keys)), thousands(float64(s.Rate)), side.name,
				of(func(d bench.Distribution) float64 { return d.P50 }), of(func(d bench.Distribution) float64 { return d.P99 }),
				of(func(d bench.Distribution) float64 { return d.P999 }), of(func(d bench.Distribution) float64 { return d.Max }), side.took)
		}
	}
	return t
}

func failovers(res *bench.Results) *table {
	t := &table{
		title:  "The leader ends, ms",
		header: []string{"system", "signal", "times", "next write: median", "p95", "worst", "longest gap: median", "p95", "go-redis calls", "errors", "slowest"},
		notes:  []string{"RaftKV's next write is the first that another node acknowledged. etcd's followers pass writes on, so the first that was sent after the signal counts there."},
	}
	for i := range res.Failovers {
		f := &res.Failovers[i]
		calls, failed, slowest := none, none, none
		if f.Calls > 0 {
			calls, failed, slowest = thousands(float64(f.Calls)), fmt.Sprint(len(f.Errors)), short(f.Slowest)
		}
		t.add(names[f.System], f.Signal, fmt.Sprint(len(f.Next)), short(bench.Median(f.Next)), short(bench.Percentile(f.Next, 0.95)),
			short(bench.Percentile(f.Next, 1)), short(bench.Median(f.Gap)), short(bench.Percentile(f.Gap, 0.95)), calls, failed, slowest)
		for n, text := range f.Errors {
			if n == shownErrors {
				t.notes = append(t.notes, fmt.Sprintf("… and %d more", len(f.Errors)-n))
				break
			}
			t.notes = append(t.notes, "go-redis, "+f.Signal+": "+text)
		}
	}
	return t
}

// shownErrors is how many of a client's errors a report shows.
const shownErrors = 5

func growth(res *bench.Results) *table {
	t := &table{
		title:  "Throughput with many keys, c=50 P=16, replies per second",
		header: []string{"system", "command", "few keys", "reached", "many keys", "reached", "×"},
	}
	for i := range res.Growth {
		g := &res.Growth[i]
		at := func(rounds []bench.Round) string {
			r := bench.ShapeResult{Rounds: rounds}
			return thousands(r.PerSecond())
		}
		t.add(names[g.System], g.Test, thousands(float64(g.Few)), at(g.AtFew), thousands(float64(g.Many)), at(g.AtMany), ratio(g.Ratio()))
	}
	return t
}

func encrypted(res *bench.Results) *table {
	t := &table{
		title:  "Throughput with TLS and ACLs, replies per second (CPU s per 100,000)",
		header: []string{"shape", "system", "without", "with", "×"},
		notes:  []string{"Clients show a certificate and are a user who may run what is not dangerous on key:*; RaftKV's nodes speak TLS with each other, too. redis-benchmark pays for its half on the same cores."},
	}
	for i := range res.Encrypted {
		e := &res.Encrypted[i]
		at := func(rounds []bench.Round) string {
			r := bench.ShapeResult{Rounds: rounds}
			return fmt.Sprintf("%s (%s)", thousands(r.PerSecond()), short(r.Median(func(r bench.Round) float64 { return r.CPU })))
		}
		t.add(e.Shape.Name, names[e.System], at(e.Plain), at(e.TLS), ratio(e.Ratio()))
	}
	return t
}

func goals(res *bench.Results) *table {
	t := &table{title: "Goals", header: []string{"what", "goal", "measured", "met"}}
	for _, v := range bench.Judge(res) {
		measured, met := none, "not measured"
		if v.Measured {
			measured, met = v.Show(v.Value), "yes"
			if !v.Met {
				met = "NO"
			}
		}
		what := v.What
		if v.Note != "" {
			what += " (" + v.Note + ")"
		}
		t.add(what, v.Wanted, measured, met)
	}
	return t
}
