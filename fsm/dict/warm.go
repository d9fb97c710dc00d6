package dict

import "bytes"

// Probe is a place of a table that is about to be sought.
type Probe[P any] struct {
	Table *Table[P]
	Pos   uint64

	node  *node[P] // at last the leaf where the place is
	span  span
	i     int    // in the leaf: where the record is, if the guess was right
	moves uint64 // the table's, when the leaf was found
}

// Warm brings into the processor's caches what seeking these places will look at. A
// search in a large table mostly waits for memory, each step for the one before; here
// the steps of many searches wait side by side. It only reads, and where it guesses
// wrong, nothing is lost but the guess. The result has no meaning; it is there so that
// the reads are not optimized away.
func Warm[P any](probes []Probe[P]) (sum byte) {
	for i := range probes {
		p := &probes[i]
		p.node, p.span, p.moves = &p.Table.root, everything, p.Table.moves
	}
	for deeper := true; deeper; {
		deeper = false
		for i := range probes {
			p := &probes[i]
			if in := p.node.in; in != nil {
				k := in.child(p.Pos, nil, &p.span)
				p.node = &in.kids[k]
				sum += byte(in.counts[k]) // which an insert changes
				deeper = true
			}
		}
	}
	for i := range probes {
		p := &probes[i]
		p.i = p.node.near(p.Pos, p.span)
	}
	const line = 64
	for i := range probes {
		p := &probes[i]
		if p.node.n == 0 {
			continue
		}
		record := p.node.raw(p.i)
		sum += record[0] + record[min(line, len(record)-1)] + record[min(2*line, len(record)-1)]
		sum += p.node.page[p.node.low-1] // where a new one would go
	}
	return sum
}

// near is the index of the record that probably is the first at or above position x.
// Unlike firstSlot it has no branch that depends on the slots.
func (n *node[P]) near(x uint64, s span) int {
	i := 0
	if int(n.n) > window {
		i = s.guess(x, int(n.n))
	}
	count := i
	for end := min(i+window, int(n.n)); i < end; i++ {
		count += below(n.pos(i), x)
	}
	return max(0, min(count, int(n.n)-1))
}

// leads says whether the probe found the record (pos, key) and it is there still.
func (p *Probe[P]) leads(t *Table[P], pos uint64, key []byte) bool {
	if p == nil || p.Table != t || p.moves != t.moves || p.Pos != pos || p.node == nil {
		return false
	}
	n := p.node
	if p.i < int(n.n) && n.pos(p.i) == pos && bytes.Equal(n.key(p.i), key) {
		return true
	}
	i, ok := n.find(pos, key, p.span)
	if ok {
		p.i = i
	}
	return ok
}

// Ref is the pointer of the record with that key at a place that has been warmed; nil
// where there is none, or it was not found at once.
func (p *Probe[P]) Ref(key []byte) *P {
	if p.node == nil || p.node.refs == nil || !p.leads(p.Table, p.Pos, key) {
		return nil
	}
	return p.node.refs.of[p.i]
}

// GetWarm is Get for a place that has been warmed.
func (t *Table[P]) GetWarm(p *Probe[P], key []byte) (r Record[P], ok bool) {
	if p.leads(t, p.Pos, key) {
		return p.node.record(p.i), true
	}
	return t.Get(p.Pos, key)
}
