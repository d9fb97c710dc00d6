package check

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
)

// Edge is why one transaction comes before another.
type Edge uint8

const (
	WW Edge = 1 << iota // it appended the token before the other's
	WR                  // the other read its token
	RW                  // it did not read the other's token yet
	RT                  // it had returned before the other was called
)

// String is the edge as papers write it.
func (e Edge) String() string {
	switch e {
	case WW:
		return "ww"
	case WR:
		return "wr"
	case RW:
		return "rw"
	}
	return "rt"
}

type edge struct {
	to    int
	kind  Edge
	key   *list  // nil for RT
	token string // the one that it is about
}

// graph joins the transactions. Its first nodes are they; behind them stands a node
// for each transaction that returned, in the order of the returns. A transaction
// leads to its own return, a return to the next return, and the last return before
// a call to the called transaction. So n transactions need at most 3n edges for the
// n*n pairs that real time orders.
type graph struct {
	txns  int
	edges [][]edge
	count map[Edge]int // of RT those that lead from a return to a transaction
}

func (s *txnSet) graph() *graph {
	g := &graph{txns: len(s.txns), count: make(map[Edge]int)}
	g.edges = make([][]edge, len(s.txns), 2*len(s.txns))
	for _, k := range s.keys {
		if !k.broken {
			s.joinWrites(g, k)
		}
	}
	for i := range s.txns {
		if !s.txns[i].counts() {
			continue
		}
		for _, p := range s.txns[i].parts {
			if p.read && !p.key.broken {
				s.joinRead(g, i, p)
			}
		}
	}
	s.joinTime(g)
	return g
}

func (g *graph) join(from int, e edge) {
	if from == e.to {
		return
	}
	g.edges[from] = append(g.edges[from], e)
	g.count[e.kind]++
}

// joinWrites joins those that wrote a key, each with the next. A token that was
// certainly appended but never read comes after all that were.
func (s *txnSet) joinWrites(g *graph, k *list) {
	for i := 1; i < len(k.order); i++ {
		g.join(k.writer[k.order[i-1]], edge{k.writer[k.order[i]], WW, k, k.order[i]})
	}
	if len(k.order) == 0 {
		return
	}
	last := k.writer[k.order[len(k.order)-1]]
	for _, token := range s.unreadCounted(k) {
		g.join(last, edge{k.writer[token], WW, k, token})
	}
}

// joinRead joins a reader with whose token it read last and whose it did not read.
func (s *txnSet) joinRead(g *graph, reader int, p part) {
	k := p.key
	if p.external > 0 {
		token := k.order[p.external-1]
		g.join(k.writer[token], edge{reader, WR, k, token})
	}
	if p.external < len(k.order) {
		token := k.order[p.external]
		g.join(reader, edge{k.writer[token], RW, k, token})
		return
	}
	for _, token := range s.unreadCounted(k) {
		g.join(reader, edge{k.writer[token], RW, k, token})
	}
}

// unreadCounted are the unread tokens of transactions that certainly happened.
func (s *txnSet) unreadCounted(k *list) []string {
	if k.unreadDone {
		return k.unreadSure
	}
	for _, token := range k.unread() {
		if s.txns[k.writer[token]].counts() {
			k.unreadSure = append(k.unreadSure, token)
		}
	}
	k.unreadDone = true
	return k.unreadSure
}

func (s *txnSet) joinTime(g *graph) {
	var returned []int
	for i := range s.txns {
		if s.txns[i].op.Outcome == OK {
			returned = append(returned, i)
		}
	}
	slices.SortFunc(returned, func(a, b int) int { return cmp.Compare(s.txns[a].op.Return, s.txns[b].op.Return) })
	for i, t := range returned {
		node := g.txns + i
		g.edges = append(g.edges, nil)
		g.edges[t] = append(g.edges[t], edge{to: node, kind: RT})
		if i > 0 {
			g.edges[node-1] = append(g.edges[node-1], edge{to: node, kind: RT})
		}
	}
	for i := range s.txns {
		if !s.txns[i].counts() {
			continue
		}
		before := sort.Search(len(returned), func(n int) bool { return s.txns[returned[n]].op.Return >= s.txns[i].op.Call })
		if before > 0 {
			g.join(g.txns+before-1, edge{to: i, kind: RT})
		}
	}
}

// components are the strongly connected components of more than one node, by
// Tarjan's algorithm, over the edges of the kinds in mask.
func (g *graph) components(mask Edge) [][]int {
	t := tarjan{
		g: g, mask: mask,
		index: make([]int, len(g.edges)), low: make([]int, len(g.edges)), on: make([]bool, len(g.edges)),
	}
	for node := range g.edges {
		if t.index[node] == 0 {
			t.visit(node)
		}
	}
	return t.found
}

type tarjan struct {
	g     *graph
	mask  Edge
	next  int
	index []int // counted from 1 in the order of visits; 0: not visited
	low   []int // the smallest index on the stack that the node reaches
	on    []bool
	stack []int
	found [][]int
}

// frame is a node under visit and the edge to look at next.
type frame struct{ node, edge int }

// visit walks from a node without recursion: chains of returns are as long as the
// history.
func (t *tarjan) visit(root int) {
	walk := []frame{t.enter(root)}
	for len(walk) > 0 {
		f := &walk[len(walk)-1]
		if f.edge == len(t.g.edges[f.node]) {
			t.leave(f.node)
			node := f.node
			walk = walk[:len(walk)-1]
			if len(walk) > 0 {
				parent := walk[len(walk)-1].node
				t.low[parent] = min(t.low[parent], t.low[node])
			}
			continue
		}
		e := t.g.edges[f.node][f.edge]
		f.edge++
		switch {
		case e.kind&t.mask == 0:
		case t.index[e.to] == 0:
			walk = append(walk, t.enter(e.to))
		case t.on[e.to]:
			t.low[f.node] = min(t.low[f.node], t.index[e.to])
		}
	}
}

func (t *tarjan) enter(node int) frame {
	t.next++
	t.index[node], t.low[node], t.on[node] = t.next, t.next, true
	t.stack = append(t.stack, node)
	return frame{node, 0}
}

// leave takes a component off the stack, if node is its root.
func (t *tarjan) leave(node int) {
	if t.low[node] != t.index[node] {
		return
	}
	at := len(t.stack) - 1
	for t.stack[at] != node {
		at--
	}
	component := slices.Clone(t.stack[at:])
	for _, n := range component {
		t.on[n] = false
	}
	t.stack = t.stack[:at]
	if len(component) > 1 {
		slices.Sort(component)
		t.found = append(t.found, component)
	}
}

// explain says in words what the edge from a transaction means.
func (e edge) explain(from, to *Op) string {
	switch e.kind {
	case WW:
		return fmt.Sprintf("#%d -ww-> #%d (appended to %s before its %q)", from.ID, to.ID, e.key.name, e.token)
	case WR:
		return fmt.Sprintf("#%d -wr-> #%d (which read its %q on %s)", from.ID, to.ID, e.token, e.key.name)
	case RW:
		return fmt.Sprintf("#%d -rw-> #%d (whose %q on %s it did not read)", from.ID, to.ID, e.token, e.key.name)
	}
	return fmt.Sprintf("#%d -rt-> #%d (had returned %.3f ms before it was called)", from.ID, to.ID, float64(to.Call-from.Return)/1e6)
}
