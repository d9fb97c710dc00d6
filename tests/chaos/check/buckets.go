package check

import (
	"cmp"
	"slices"
)

// bucket is what ended within a piece of time.
type bucket struct {
	ok, failed, unknown int
	p99                 int64 // ns, of the acknowledged; 0 where there are none
}

func (b bucket) total() int { return b.ok + b.failed + b.unknown }

// timeline is a run in pieces, as both pictures show it.
type timeline struct {
	length  int64 // ns, of the whole
	piece   int64 // ns
	buckets []bucket
	nodes   []string
	faults  []Fault // leadership included; no open end, by their beginning
}

// newTimeline cuts a run into n pieces. Operations count where they ended.
func newTimeline(h *History, faults []Fault, n int) *timeline {
	ops := h.Ops()
	t := &timeline{length: 1}
	for _, op := range ops {
		t.length = max(t.length, op.Return)
	}
	for _, f := range faults {
		t.length = max(t.length, f.From, f.To)
	}
	t.piece = t.length/int64(n) + 1
	t.buckets = make([]bucket, n)
	latencies := make([][]int64, n)
	for _, op := range ops {
		i := op.Return / t.piece
		switch b := &t.buckets[i]; op.Outcome {
		case OK:
			b.ok++
			latencies[i] = append(latencies[i], op.Return-op.Call)
		case Failed:
			b.failed++
		default:
			b.unknown++
		}
	}
	for i, l := range latencies {
		if len(l) > 0 {
			slices.Sort(l)
			t.buckets[i].p99 = l[(len(l)*99-1)/100]
		}
	}
	t.addFaults(h.Meta().Nodes, faults)
	return t
}

// addFaults closes open ends and names the lanes: the run's nodes in their order, then
// others that have a fault.
func (t *timeline) addFaults(nodes []string, faults []Fault) {
	t.nodes = slices.Clone(nodes)
	for _, f := range faults {
		if f.To == 0 {
			f.To = t.length
		}
		t.faults = append(t.faults, f)
		if f.Node != "" && !slices.Contains(t.nodes, f.Node) {
			t.nodes = append(t.nodes, f.Node)
		}
	}
	slices.SortStableFunc(t.faults, func(a, b Fault) int { return cmp.Compare(a.From, b.From) })
}

// lane are the intervals of one node, leadership or faults.
func (t *timeline) lane(node string, leading bool) []Fault {
	var lane []Fault
	for _, f := range t.faults {
		if (f.Node == node || f.Node == "") && (f.Kind == Leading) == leading {
			lane = append(lane, f)
		}
	}
	return lane
}

// kinds are the kinds of faults by name.
func (t *timeline) kinds() []string {
	var kinds []string
	for _, f := range t.faults {
		if f.Kind != Leading && !slices.Contains(kinds, f.Kind) {
			kinds = append(kinds, f.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// rows puts intervals that overlap into different rows, the earliest first.
func rows(lane []Fault) [][]Fault {
	var rows [][]Fault
next:
	for _, f := range lane {
		for i := range rows {
			if rows[i][len(rows[i])-1].To <= f.From {
				rows[i] = append(rows[i], f)
				continue next
			}
		}
		rows = append(rows, []Fault{f})
	}
	return rows
}

// most is the largest number of operations of a piece; at least 1.
func (t *timeline) most() int {
	most := 1
	for _, b := range t.buckets {
		most = max(most, b.total())
	}
	return most
}

// rate is n operations of a piece as operations per second.
func (t *timeline) rate(n int) float64 { return float64(n) / (float64(t.piece) / 1e9) }
