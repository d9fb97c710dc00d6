package check

import (
	"slices"
	"strings"
)

// masks are the kinds of edges that cycles are looked for with, those first that
// break the weakest promise.
var masks = []Edge{WW, WW | WR, WW | WR | RW, WW | RT, WW | WR | RT, WW | WR | RW | RT}

// starts bounds from how many transactions of one component the shortest cycle is
// looked for.
const starts = 500

// cycles reports the shortest cycle of each component, each component once, under
// the first mask that shows it.
func (s *txnSet) cycles(g *graph) []Anomaly {
	if len(g.components(masks[len(masks)-1])) == 0 {
		return nil
	}
	var found []Anomaly
	reported := make(map[int]bool) // nodes of components that are
	for _, mask := range masks {
		for _, component := range g.components(mask) {
			if slices.ContainsFunc(component, func(n int) bool { return reported[n] }) {
				continue
			}
			for _, n := range component {
				reported[n] = true
			}
			found = append(found, s.describe(g.shortest(component, mask)))
		}
	}
	return found
}

// link is a step of a cycle: a transaction and the edge to the next.
type link struct {
	from int
	edge edge
}

// shortest finds the shortest cycle through the component's transactions. Returns do
// not count as steps.
func (g *graph) shortest(component []int, mask Edge) []link {
	inside := make(map[int]bool, len(component))
	for _, n := range component {
		inside[n] = true
	}
	var best []link
	tried := 0
	for _, n := range component {
		if n >= g.txns || tried == starts || len(best) == 2 {
			break // transactions stand before returns
		}
		tried++
		if c := g.cycleFrom(n, mask, inside, len(best)); c != nil {
			best = c
		}
	}
	return best
}

// cycleFrom walks level by level from a transaction until it meets it again. With a
// bound above 0 it gives up where the cycle would not be shorter than the bound.
func (g *graph) cycleFrom(start int, mask Edge, inside map[int]bool, bound int) []link {
	came := make(map[int]link) // how each node was reached first
	level := []int{start}
	for steps := 1; len(level) > 0 && (bound == 0 || steps < bound); steps++ {
		var next []int
		for i := 0; i < len(level); i++ {
			node := level[i]
			for _, e := range g.edges[node] {
				if e.kind&mask == 0 || !inside[e.to] {
					continue
				}
				if e.to == start {
					return g.trace(start, link{node, e}, came)
				}
				if _, seen := came[e.to]; seen {
					continue
				}
				came[e.to] = link{node, e}
				// A step ends at a transaction; going on among returns is free.
				if e.to >= g.txns {
					level = append(level, e.to)
				} else {
					next = append(next, e.to)
				}
			}
		}
		level = next
	}
	return nil
}

// trace turns the way back from the last link into a cycle of transactions.
func (g *graph) trace(start int, last link, came map[int]link) []link {
	var cycle []link
	to := start
	for l := last; ; l = came[l.from] {
		if l.from < g.txns {
			l.edge.to = to
			cycle = append(cycle, l)
			to = l.from
		}
		if l.from == start {
			break
		}
	}
	slices.Reverse(cycle)
	return cycle
}

// describe names a cycle and explains it.
func (s *txnSet) describe(cycle []link) Anomaly {
	var a Anomaly
	var why []string
	count := make(map[Edge]int)
	for _, l := range cycle {
		count[l.edge.kind]++
		from, to := s.txns[l.from].op, s.txns[l.edge.to].op
		why = append(why, l.edge.explain(from, to))
		a.Ops = append(a.Ops, *from)
	}
	switch {
	case count[RW] > 1:
		a.Name = "G2"
	case count[RW] == 1:
		a.Name = "G-single"
	case count[WR] > 0:
		a.Name = "G1c"
	default:
		a.Name = "G0"
	}
	if count[RT] > 0 {
		a.Name += "-realtime"
	}
	a.Why = "cycle of " + strings.Join(why, ", ")
	return a
}
