package dict

// None is the pointer of a record in a table that needs no pointers.
type None = struct{}

// Kit is what the tables of all collections of a keyspace share: the hash that gives
// members their positions, and the writer's cursor, which is large. Only one goroutine
// may write at a time.
type Kit struct {
	Hasher Hasher
	Cursor Cursor[None]

	// A member that is about to be used, its position, and its place, which has been
	// warmed. The place is its owner's, who may use it for another one meanwhile.
	member []byte
	pos    uint64
	place  *Probe[None]
}

// Expect tells that these bytes, not equal ones, are a member that is going to be used,
// and where; nil that nothing is known of the next one. Only who may write may call it.
func (k *Kit) Expect(member []byte, at *Probe[None]) {
	if k.member, k.place = member, at; at != nil {
		k.pos = at.Pos
	}
}

func (k *Kit) expects(member []byte) bool {
	return len(member) == len(k.member) && len(member) > 0 && &member[0] == &k.member[0]
}

// Seek puts the writer's cursor to a member of a table that is ordered by hash, and says
// whether it is there.
func (k *Kit) Seek(t *Table[None], member []byte) bool {
	if k.expects(member) {
		return k.Cursor.Seek(t, k.pos, member, k.place)
	}
	return k.Cursor.Seek(t, k.Position(member), member, nil)
}

// memberBits is how many bits a member's position has: every client's number type
// holds it, so that it can be SSCAN's cursor.
const memberBits = 53

// Position is where a member stands in a table that is ordered by hash.
func (k *Kit) Position(member []byte) uint64 {
	if k.expects(member) {
		return k.pos
	}
	return k.Hasher.Hash(member) >> (64 - memberBits)
}

// RecordCost is the memory that a record takes in a table beside its key and its data,
// in bytes: its slot and the lengths (14), its part of the nodes above (4), and at the
// usual fill of the pages a tenth of everything. It follows from the sizes alone.
func RecordCost(key, data int) int {
	const fixed = 18
	return fixed + (fixed+key+data)/10
}
