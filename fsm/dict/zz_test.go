package dict

import (
	"math/rand"
	"testing"
)

func BenchmarkZMap(b *testing.B) {
	t, keys, _ := filled(million)
	m := map[string]blob{}
	t.Ascend(0, func(_ uint64, e blob) bool { m[e.Key()] = e; return true })
	i := 0
	n := 0
	for b.Loop() {
		e := m[string(keys[i])]
		n += len(e.Key())
		if i++; i == million {
			i = 0
		}
	}
}
func BenchmarkZChase(b *testing.B) {
	p := rand.Perm(8 << 20)
	i := 0
	for b.Loop() {
		i = p[i]
	}
}
func BenchmarkZGetNoKey(b *testing.B) {
	t, _, pos := filled(million)
	i := 0
	n := 0
	for b.Loop() {
		s := everything
		nd := t.root
		for nd.kids != nil {
			nd = nd.kids[childIndex(nd, pos[i], "", &s)]
		}
		n += nd.firstSlot(pos[i], s)
		if i++; i == million {
			i = 0
		}
	}
}
func BenchmarkZDescend(b *testing.B) {
	t, _, pos := filled(million)
	i := 0
	n := 0
	for b.Loop() {
		s := everything
		nd := t.root
		for nd.kids != nil {
			nd = nd.kids[childIndex(nd, pos[i], "", &s)]
		}
		n += nd.epochInt()
		if i++; i == million {
			i = 0
		}
	}
}
func (n *node[E]) epochInt() int { return int(n.epoch) }
