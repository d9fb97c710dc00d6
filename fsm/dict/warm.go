package dict

// Probe is a place of a table that is about to be sought.
type Probe[P any] struct {
	Table *Table[P]
	Pos   uint64

	node *node[P]
	span span
	from int // where in the page the record probably begins
}

// Warm brings into the processor's caches what seeking these places will look at. A
// search in a large table mostly waits for memory, each step for the one before; here
// the steps of many searches wait side by side. It only reads, and where it guesses
// wrong, nothing is lost but the guess. The result has no meaning; it is there so that
// the reads are not optimized away.
func Warm[P any](probes []Probe[P]) (sum byte) {
	for i := range probes {
		p := &probes[i]
		p.node, p.span = &p.Table.root, everything
	}
	for deeper := true; deeper; {
		deeper = false
		for i := range probes {
			p := &probes[i]
			if in := p.node.in; in != nil {
				p.node = &in.kids[in.child(p.Pos, nil, &p.span)]
				deeper = true
			}
		}
	}
	for i := range probes {
		p := &probes[i]
		p.from = p.node.near(p.Pos, p.span)
	}
	const line = 64
	for i := range probes {
		p := &probes[i]
		page := p.node.page
		for at := p.from; at < min(p.from+3*line, len(page)); at += line {
			sum += page[at]
		}
	}
	return sum
}

// near is where the record probably begins that the first slot at or above position x
// leads to. Unlike firstSlot it has no branch that depends on the slots.
func (n *node[P]) near(x uint64, s span) int {
	if n.n == 0 {
		return 0
	}
	i := 0
	if int(n.n) > window {
		i = s.guess(x, int(n.n))
	}
	count := i
	for end := min(i+window, int(n.n)); i < end; i++ {
		count += below(n.pos(i), x)
	}
	return len(n.page) - len(n.raw(min(count, int(n.n)-1)))
}
