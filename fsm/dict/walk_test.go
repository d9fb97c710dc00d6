package dict

import (
	"fmt"
	"math/rand"
	"slices"
	"testing"
)

// Tables are forked, and forks of forks, two of one included; all are written through
// one cursor, and none sees what is written to another. What was forked stays as it was.
func TestForks(t *testing.T) {
	for _, p := range pickers {
		t.Run(p.name, func(t *testing.T) {
			r := rand.New(rand.NewSource(2))
			type version struct {
				tab  *Table[int]
				want model
			}
			live := []version{{New[int](), nil}}
			var left []version
			var c Cursor[int]
			for i := range 12000 {
				at := r.Intn(len(live))
				v := &live[at]
				pos, key := p.pick(r)
				c.Seek(v.tab, pos, []byte(key), nil)
				if r.Intn(10) < 7 == (i/3000%2 == 0) {
					e := entry{pos, key, randomData(r), nil}
					c.Put([]byte(key), nil, []byte(e.data), nil)
					v.want.put(e)
				} else if ok, wantOK := c.Delete(), v.want.delete(pos, key); ok != wantOK {
					t.Fatalf("Delete of (%d, %q) = %v, want %v", pos, key, ok, wantOK)
				}
				switch r.Intn(800) {
				case 0:
					left = append(left, *v)
					twin := version{v.tab.Fork(), slices.Clone(v.want)}
					v.tab, v.want = v.tab.Fork(), slices.Clone(v.want)
					live = append(live, twin)
				case 1:
					if len(live) > 1 {
						live = slices.Delete(live, at, at+1)
					}
				}
			}
			for i, v := range slices.Concat(left, live) {
				equal(t, fmt.Sprint("version ", i), v.tab, v.want)
			}
		})
	}
}

// A write to a fork copies the nodes on its way and nothing else, once.
func TestWriteToForkCopiesOnlyAPath(t *testing.T) {
	tab := New[int]()
	for i := range 100_000 {
		put(tab, uint64(i), "key", "data")
	}
	fork := tab.Fork()
	shared := func() (n int) {
		for i := range tab.root.in.kids {
			if a, b := &tab.root.in.kids[i], &fork.root.in.kids[i]; a.in == b.in && (a.in != nil || &a.page[0] == &b.page[0]) {
				n++
			}
		}
		return n
	}
	all := len(tab.root.in.kids)
	if got := shared(); got != all {
		t.Fatalf("%d of %d nodes are shared before a write", got, all)
	}
	for range 2 {
		put(fork, 5000, "key", "else")
		if got := shared(); got != all-1 {
			t.Fatalf("%d of %d nodes are shared after a write", got, all)
		}
	}
}
