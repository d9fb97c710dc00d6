//go:build linux

package bench

import (
	"slices"
	"time"
)

// Results are all that a run measured. Of what did not run, nothing is there.
type Results struct {
	Conditions Conditions     `json:"conditions"`
	Shapes     []ShapeResult  `json:"shapes,omitempty"`
	Costs      []ShapeResult  `json:"costs,omitempty"`
	Syncs      []Syncs        `json:"syncs,omitempty"`
	Memory     []MemoryUse    `json:"memory,omitempty"`
	Cold       []ColdStart    `json:"cold,omitempty"`
	Snapshots  []SnapshotLoad `json:"snapshots,omitempty"`
	Failovers  []Failover     `json:"failovers,omitempty"`
	Around     []Point        `json:"around,omitempty"` // writes around a kill -9 of the leader
	Growth     []Growth       `json:"growth,omitempty"`
	Encrypted  []Encrypted    `json:"encrypted,omitempty"`
	LeftOut    []string       `json:"left_out,omitempty"` // what could not run, and why
	Failed     []string       `json:"failed,omitempty"`   // parts that ended with an error
}

// Round is one measurement of a shape. Latencies are in milliseconds; with
// pipelines they are those of a whole pipeline.
type Round struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	// CPU is seconds of all the server's processes per 100,000 requests.
	CPU float64 `json:"cpu_s_per_100k"`
	// Written is bytes handed to disks per request, by all the server's processes.
	Written float64 `json:"bytes_written_per_request"`
}

// ShapeResult is what one system reached in one shape.
type ShapeResult struct {
	Shape  Shape   `json:"shape"`
	System string  `json:"system"`
	Rounds []Round `json:"rounds,omitempty"`
}

// PerSecond is the median throughput, 0 where there is none.
func (r *ShapeResult) PerSecond() float64 {
	return r.Median(func(r Round) float64 { return r.PerSecond })
}

// Median is the median of something over the rounds, 0 where there are none.
func (r *ShapeResult) Median(of func(Round) float64) float64 {
	if r == nil {
		return 0
	}
	return Median(each(r.Rounds, of))
}

// Ratio is the median of the ratios of rounds that were measured next to each other;
// ok is false where one has none.
func (r *ShapeResult) Ratio(other *ShapeResult) (ratio float64, ok bool) {
	if r == nil || other == nil {
		return 0, false
	}
	return ratioOf(r.Rounds, other.Rounds)
}

func ratioOf(rounds, others []Round) (ratio float64, ok bool) {
	var ratios []float64
	for i := range min(len(rounds), len(others)) {
		if others[i].PerSecond > 0 {
			ratios = append(ratios, rounds[i].PerSecond/others[i].PerSecond)
		}
	}
	return Median(ratios), len(ratios) > 0
}

// Find returns the result of a shape, by name, and a system; nil where there is none.
func Find(results []ShapeResult, shape, system string) *ShapeResult {
	for i := range results {
		if results[i].Shape.Name == shape && results[i].System == system {
			return &results[i]
		}
	}
	return nil
}

// Syncs are the calls that waited for the disk, in a run of their own under strace.
type Syncs struct {
	System    string  `json:"system"`
	Shape     string  `json:"shape"`
	PerSecond float64 `json:"writes_per_second"`
	Syncs     float64 `json:"syncs_per_second"`
}

// MemoryUse is what a system holds, in bytes of the largest of its processes.
type MemoryUse struct {
	System    string `json:"system"`
	Keys      int    `json:"keys"`
	Empty     int64  `json:"empty"`    // resident before the load
	Resident  int64  `json:"resident"` // after the load, at rest
	Anonymous int64  `json:"anonymous"`
	Peak      int64  `json:"peak"`
}

// PerKey is resident memory per key, in bytes.
func (m *MemoryUse) PerKey() float64 { return float64(m.Resident) / float64(m.Keys) }

// ColdStart is how long a system takes from the start of its processes to the first
// acknowledged SET, in seconds, after kill -9.
type ColdStart struct {
	System string `json:"system"`
	// State says what lay on the disks.
	State   string    `json:"state"`
	Keys    int       `json:"keys"`
	Seconds []float64 `json:"seconds"`
}

// SnapshotLoad is how long writes took at a fixed rate, in milliseconds by round,
// without and with a snapshot in progress.
type SnapshotLoad struct {
	System  string         `json:"system"`
	Keys    int            `json:"keys"`
	Rate    int            `json:"rate"`
	Without []Distribution `json:"without"`
	With    []Distribution `json:"with"`
	// Took is how long each snapshot took, in seconds.
	Took []float64 `json:"took_s"`
}

// Distribution is of latencies, in milliseconds.
type Distribution struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
	// Curve has a latency for each of Quantiles.
	Curve []float64 `json:"curve"`
}

// Failover is what happened to writes when the leader ended, in milliseconds.
type Failover struct {
	System string `json:"system"`
	Signal string `json:"signal"` // kill -9 or SIGTERM
	// Next is from the signal to the first write that another node acknowledged, for
	// etcd, whose followers pass writes on, to the first that was sent after it.
	Next []float64 `json:"next_ms"`
	// Gap is the longest time without an acknowledgement.
	Gap []float64 `json:"gap_ms"`
	// What a ClusterClient of go-redis with defaults saw meanwhile, where it ran.
	Calls   int      `json:"client_calls,omitempty"`
	Errors  []string `json:"client_errors,omitempty"`
	Slowest float64  `json:"client_slowest_ms,omitempty"`
}

// Point is a write: when it was due, in seconds after the signal, and how many
// milliseconds later it was acknowledged.
type Point struct {
	At      float64 `json:"at_s"`
	Latency float64 `json:"ms"`
}

// Growth is throughput with few and with many keys.
type Growth struct {
	System string  `json:"system"`
	Test   string  `json:"test"`
	Few    int     `json:"few"`
	Many   int     `json:"many"`
	AtFew  []Round `json:"at_few"`
	AtMany []Round `json:"at_many"`
}

// Ratio is the throughput with many keys by that with few.
func (g *Growth) Ratio() (ratio float64, ok bool) { return ratioOf(g.AtMany, g.AtFew) }

// Conditions are what the figures depend on.
type Conditions struct {
	Started    time.Time `json:"started"`
	Took       float64   `json:"took_s"`
	Commit     string    `json:"commit"`
	Go         string    `json:"go"`
	CPU        string    `json:"cpu"`
	Cores      int       `json:"cores"`
	MemoryGB   float64   `json:"memory_gb"`
	Kernel     string    `json:"kernel"`
	Filesystem string    `json:"filesystem"`
	// Fdatasync is the median time of an append of 64 B with fdatasync, in
	// microseconds, before and after the run.
	Fdatasync [2]float64 `json:"fdatasync_us"`
	Load      float64    `json:"load_average"`
	// Busy is the share of all cores that other processes used just before the run.
	Busy     float64           `json:"busy"`
	Versions map[string]string `json:"versions"`
	// Idle is the share of one core that the servers use together while nobody asks
	// anything of them: those that don't run at the moment disturb the others by it.
	Idle   map[string]float64 `json:"idle,omitempty"`
	Rounds int                `json:"rounds"`
	Quick  bool               `json:"quick"` // sizes for development: figures mean little
	Parts  []string           `json:"parts"`
}

// Warnings says what makes the figures doubtful.
func (c *Conditions) Warnings() (warnings []string) {
	if c.Quick {
		warnings = append(warnings, "a quick run: sizes are for development, the figures mean little")
	}
	if c.Rounds < 3 {
		warnings = append(warnings, "fewer than three rounds: no medians worth the name")
	}
	if c.Busy > 0.1 {
		warnings = append(warnings, "other processes were busy when the run began")
	}
	if before, after := c.Fdatasync[0], c.Fdatasync[1]; before > 0 && after > 0 && max(before, after) > 1.5*min(before, after) {
		warnings = append(warnings, "the disk's speed changed much during the run")
	}
	return warnings
}

// Quantiles are those of a Distribution's Curve.
var Quantiles = []float64{0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999}

// Median is the middle value, the mean of the two in the middle, or 0 where there
// are none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile is the smallest of the values that a share q of them does not exceed.
func Percentile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// each takes one field of all elements.
func each[E any](all []E, of func(E) float64) []float64 {
	out := make([]float64, len(all))
	for i, e := range all {
		out[i] = of(e)
	}
	return out
}
