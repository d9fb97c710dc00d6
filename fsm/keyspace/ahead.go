package keyspace

import "github.com/raftkv/raftkv/fsm/dict"

// AheadMost is how many keys an Ahead takes: enough to wait for memory
// side by side, and so few that what was fetched is still there when it is needed.
const AheadMost = 16

// Ahead is a number of keys that are about to be used, in this order. Their places
// are computed and fetched into the processor's caches together, which costs a part
// of what they would cost one after the other. It changes nothing, whatever is done
// to the keys meanwhile. The zero Ahead is empty.
type Ahead struct {
	n      int
	keys   [AheadMost][]byte
	probes [AheadMost]dict.Probe[object]
	sum    byte
}

// Len is the number of keys.
func (a *Ahead) Len() int { return a.n }

// Full says that there is no room for another key.
func (a *Ahead) Full() bool { return a.n == AheadMost }

// Add takes a key of a database, and returns its number. The key's bytes must stay
// as they are until Drop.
func (a *Ahead) Add(s *Space, db int, key []byte) int {
	i := a.n
	a.n++
	a.keys[i] = key
	a.probes[i] = dict.Probe[object]{Table: s.dbs[db].keys, Pos: s.position(key)}
	return i
}

// Warm fetches what the keys' use will look at.
func (a *Ahead) Warm() { a.sum += dict.Warm(a.probes[:a.n]) }

// Drop forgets the keys, and all that was found of them.
func (a *Ahead) Drop() {
	clear(a.keys[:a.n])
	clear(a.probes[:a.n])
	a.n = 0
}

// Expect tells the View that it is going to use key i of an Ahead, whose place is
// known therefore; none of them if i is negative.
func (v *View) Expect(a *Ahead, i int) {
	if i < 0 {
		v.expected = nil
		return
	}
	v.expected, v.found = a.keys[i], &a.probes[i]
}

// place is where a key stands in its database's table.
func (v *View) place(key []byte) place {
	if e := v.expected; len(key) == len(e) && len(key) > 0 && &key[0] == &e[0] { // the same bytes, not equal ones
		return place{v.found.Pos, v.found}
	}
	return place{pos: v.space.position(key)}
}
