package dict

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
)

// The first records go, few and many at once, of tables of all sizes, between other
// writes; what a snapshot or a fork's original shows stays.
func TestDropFirst(t *testing.T) {
	for _, p := range pickers {
		t.Run(p.name, func(t *testing.T) {
			r := rand.New(rand.NewSource(3))
			var c Cursor[int]
			for round := range 18 {
				tab := New[int]()
				var want model
				var shots []*Table[int]
				var wants []model
				for range []int{10, 300, 4000}[round%3] {
					pos, key := p.pick(r)
					e := entry{pos, key, randomData(r), nil}
					if round%2 == 0 {
						e.ref = new(int)
					}
					c.Seek(tab, pos, []byte(key), nil)
					c.Put([]byte(key), nil, []byte(e.data), e.ref)
					want.put(e)
				}
				for len(want) > 0 {
					switch r.Intn(8) {
					case 0:
						shots, wants = append(shots, tab.Snapshot()), append(wants, slices.Clone(want))
					case 1:
						shots, wants = append(shots, tab), append(wants, slices.Clone(want))
						tab = tab.Fork()
					}
					n := min(len(want), []int{0, 1, 3, 60, 500, r.Intn(len(want) + 2)}[r.Intn(6)])
					c.DropFirst(tab, n)
					want = slices.Clone(want[n:])
					equal(t, fmt.Sprint("without the first ", n), tab, want)
					pos, key := p.pick(r)
					e := entry{pos, key, randomData(r), nil}
					if n > 0 {
						c.Seek(tab, pos, []byte(key), nil)
						c.Put([]byte(key), nil, []byte(e.data), nil)
						want.put(e)
						remove(tab, pos, key)
						want.delete(pos, key)
					}
				}
				for i := range shots {
					equal(t, "what was kept", shots[i], wants[i])
				}
			}
		})
	}
}

// A large table of three levels, from which parts of every size are cut off.
func TestDropFirstOfALargeTable(t *testing.T) {
	full := New[int]()
	var c Cursor[int]
	const all = 400_000
	for i := range all {
		key := []byte("a longer key")
		c.SeekEnd(full, uint64(i), key)
		c.Put(key, nil, nil, nil)
	}
	for _, n := range []int{0, 1, 77, 150, 151, 10_000, 38_000, 39_000, 77_777, 300_000, 399_000, 399_900, all - 1, all} {
		tab := full.Fork()
		c.DropFirst(tab, n)
		check(t, tab)
		if pos, _, ok := tab.Min(); tab.Len() != all-n || ok && pos != uint64(n) {
			t.Fatalf("without the first %d there are %d, the first at %d", n, tab.Len(), pos)
		}
		c.Seek(tab, all-1, []byte("a longer key"), nil)
		if c.Delete() == (n == all) {
			t.Fatalf("without the first %d the last is not as it should be", n)
		}
		check(t, tab)
	}
	check(t, full)
	if full.Len() != all {
		t.Fatal("the original has changed")
	}
}
