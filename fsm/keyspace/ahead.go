package keyspace

import (
	"bytes"
	"math"
	"strings"

	"github.com/raftkv/raftkv/fsm/dict"
)

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

	// What the keys' commands are about: of large collections a member each, whose place
	// is that with the number at.
	args    [AheadMost][][]byte
	members [AheadMost][]byte
	at      [AheadMost]int8
	places  [AheadMost]dict.Probe[dict.None]
	placed  int
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
	p := &a.probes[i]
	p.Table = s.dbs[db].keys
	if i > 0 && bytes.Equal(key, a.keys[i-1]) { // many commands for one collection
		p.Pos = a.probes[i-1].Pos
	} else {
		p.Pos = s.position(key)
	}
	return i
}

// Warm fetches what the keys' use will look at.
func (a *Ahead) Warm() { a.sum += dict.Warm(a.probes[:a.n]) }

// AddMember takes the arguments of key i's command, which may be about a member of a
// collection. Their bytes must stay as they are until Drop.
func (a *Ahead) AddMember(i int, args [][]byte) { a.args[i] = args }

// WarmMembers fetches what the commands will look at in collections, once Warm was called:
// of a large one the member's place, of a small one the first warmMost bytes, of a short
// list both ends, of a stream the last one. The way there from the key's record is one of
// several pointers, so each step is made for all keys before the next one.
func (a *Ahead) WarmMembers(s *Space) {
	var objects [AheadMost]*object
	for i := range a.n {
		if ofCollections(a.args[i]) {
			objects[i] = a.probes[i].Ref(a.keys[i])
		}
	}
	for _, obj := range objects[:a.n] {
		if obj != nil {
			a.sum += byte(obj.epoch)
		}
	}
	var memory [AheadMost][2][]byte
	for i, obj := range objects[:a.n] {
		if obj != nil {
			memory[i] = a.lies(s, i, obj)
		}
	}
	const line = 64
	for i := range memory[:a.n] {
		for _, b := range memory[i] {
			for at := 0; at < min(len(b), warmMost); at += line {
				a.sum += b[at]
			}
		}
	}
	a.sum += dict.Warm(a.places[:a.placed])
}

// ofCollections says of a command with a third word, by the first letter of its name,
// whether it probably looks into a collection: EXPIRE, COPY or DEL do not.
func ofCollections(args [][]byte) bool {
	return len(args) > 2 && len(args[0]) > 0 && strings.IndexByte("ghlrsxz", args[0][0]|0x20) >= 0
}

// warmMost is how much of a small collection is fetched: those of all keys together stay
// in the cache until they are needed.
const warmMost = 4096

// lies finds where key i's command will look in a collection: it takes the place in a
// table, and returns other memory.
func (a *Ahead) lies(s *Space, i int, obj *object) (memory [2][]byte) {
	args := a.args[i]
	member := args[2]
	var large *dict.Table[dict.None]
	switch v := obj.value.(type) {
	case SetValue:
		large, memory[0] = v.Lies()
	case HashValue:
		large, memory[0] = v.Lies()
	case ZSetValue:
		large, memory[0] = v.Lies()
		if n := len(args); n == 4 || n == 5 { // behind a score, or a longitude and a latitude
			member = args[n-1]
		}
	case ListValue:
		memory[0], memory[1] = v.Ends()
	case StreamValue:
		a.place(dict.Probe[dict.None]{Table: v.Entries(), Pos: math.MaxUint64})
	}
	if large != nil {
		a.members[i], a.at[i] = member, a.place(dict.Probe[dict.None]{Table: large, Pos: s.kit.Position(member)})
	}
	return memory
}

// place takes a place in a collection, and returns its number.
func (a *Ahead) place(p dict.Probe[dict.None]) int8 {
	a.places[a.placed] = p
	a.placed++
	return int8(a.placed - 1)
}

// ExpectMember tells the collections that the member of key i is going to be changed; of
// none if i is negative. Only who may write may call it.
func (a *Ahead) ExpectMember(s *Space, i int) {
	if i < 0 || i >= a.n || a.members[i] == nil {
		s.kit.Expect(nil, nil)
		return
	}
	s.kit.Expect(a.members[i], &a.places[a.at[i]])
}

// Drop forgets the keys, and all that was found of them.
func (a *Ahead) Drop() {
	clear(a.keys[:a.n])
	clear(a.probes[:a.n])
	clear(a.args[:a.n])
	clear(a.members[:a.n])
	clear(a.places[:a.placed])
	a.n, a.placed = 0, 0
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
