package set

import "github.com/raftkv/raftkv/fsm/dict"

// Sample calls fn with n members picked at random, each once and in the set's order;
// there must be as many. below is the source of chance: an even pick of 0 to n-1.
func (s *Set) Sample(n int, below func(n uint64) uint64, fn func(member []byte)) {
	const walk = 3 // picks of fewer members than one in so many are worth no walk through all
	if n*walk <= s.Len() {
		ranks(s.Len(), n, below).Ascend(0, func(rank uint64, _ dict.Record[dict.None]) bool {
			fn(s.At(int(rank)))
			return true
		})
		return
	}
	rest := s.Len()
	s.Each(func(member []byte) bool { // Knuth's algorithm S
		if below(uint64(rest)) < uint64(n) {
			fn(member)
			n--
		}
		rest--
		return n > 0
	})
}

// ranks picks n of the numbers 0 to of-1, each choice of n as likely as the others; they
// are the positions of the table. It is Floyd's algorithm (Bentley, 1987).
func ranks(of, n int, below func(uint64) uint64) *dict.Table[dict.None] {
	picked := dict.New[dict.None]()
	var c dict.Cursor[dict.None]
	for last := of - n; last < of; last++ {
		rank := below(uint64(last) + 1)
		if c.Seek(picked, rank, nil, nil) {
			rank = uint64(last)
			c.Seek(picked, rank, nil, nil)
		}
		c.Put(nil, nil, nil, nil)
	}
	return picked
}
