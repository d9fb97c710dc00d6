package dict

import (
	"fmt"
	"math/rand"
	"runtime"
	"testing"
)

// blob is laid out as the keyspace's element: a string that holds the key among
// other things, and a pointer.
type blob struct {
	data string
	obj  *int
}

func (b blob) Key() string { return b.data[:len(b.data)-8] }

const million = 1_000_000

func filled(n int) (*Table[blob], [][]byte, []uint64) {
	t := New[blob]()
	h := NewHasher([16]byte{1})
	keys, pos := make([][]byte, n), make([]uint64, n)
	for i := range n {
		keys[i] = fmt.Appendf(nil, "key:%012d", i)
		pos[i] = h.Hash(keys[i]) >> 11
		t.Put(pos[i], blob{data: string(keys[i]) + "12345678", obj: nil})
	}
	r := rand.New(rand.NewSource(1))
	r.Shuffle(n, func(i, j int) { keys[i], keys[j], pos[i], pos[j] = keys[j], keys[i], pos[j], pos[i] })
	return t, keys, pos
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, million} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t, keys, pos := filled(n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := t.Get(pos[i], keys[i]); !ok {
					b.Fatal("not found")
				}
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// BenchmarkGetChained makes each lookup wait for the one before, as the requests of
// a server do; the others overlap as far as the processor can look ahead. The
// built-in map stands beside it for what this machine's memory allows.
func BenchmarkGetChained(b *testing.B) {
	t, keys, pos := filled(million)
	m := make(map[string]blob, million)
	t.Ascend(0, func(_ uint64, e blob) bool {
		m[e.Key()] = e
		return true
	})
	b.Run("table", func(b *testing.B) {
		i := 0
		for b.Loop() {
			e, _ := t.Get(pos[i], keys[i])
			i = (i + len(e.data)) % million
		}
	})
	b.Run("map", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = (i + len(m[string(keys[i])].data)) % million
		}
	})
}

func BenchmarkPutReplace(b *testing.B) {
	t, keys, pos := filled(million)
	data := make([]string, million)
	for i, k := range keys {
		data[i] = string(k) + "87654321"
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		t.Put(pos[i], blob{data: data[i]})
		if i++; i == million {
			i = 0
		}
	}
}

// One element goes and another comes, so that the table stays at a million.
func BenchmarkDeletePut(b *testing.B) {
	t, keys, pos := filled(million)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e, _ := t.Delete(pos[i], keys[i])
		t.Put(pos[i], e)
		if i++; i == million {
			i = 0
		}
	}
}

// BenchmarkInsert builds a table of a million, in random order.
func BenchmarkInsert(b *testing.B) {
	_, keys, pos := filled(million)
	data := make([]string, million)
	for i, k := range keys {
		data[i] = string(k) + "87654321"
	}
	for b.Loop() {
		t := New[blob]()
		for i, p := range pos {
			t.Put(p, blob{data: data[i]})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/elem")
}

func BenchmarkSnapshot(b *testing.B) {
	t, _, _ := filled(million)
	b.ReportAllocs()
	var last *Table[blob]
	for b.Loop() {
		last = t.Snapshot()
	}
	runtime.KeepAlive(last)
}

// BenchmarkPutAfterSnapshot is the dearest write: each one copies its whole path.
func BenchmarkPutAfterSnapshot(b *testing.B) {
	t, keys, pos := filled(million)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e, _ := t.Get(pos[i], keys[i])
		t.Snapshot()
		t.Put(pos[i], e)
		if i++; i == million {
			i = 0
		}
	}
}

func BenchmarkAscend(b *testing.B) {
	t, _, _ := filled(million)
	for b.Loop() {
		t.Ascend(0, func(uint64, blob) bool { return true })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/elem")
}

func BenchmarkCountRangeAt(b *testing.B) {
	t, _, pos := filled(million)
	i := 0
	for b.Loop() {
		t.CountRange(pos[i], pos[i]+1<<39)
		t.At(i)
		if i++; i == million {
			i = 0
		}
	}
}

func BenchmarkHash16(b *testing.B) {
	h := NewHasher([16]byte{1})
	key := []byte("key:000000000001")
	for b.Loop() {
		h.Hash(key)
	}
}

// BenchmarkBytes shows what the table adds to what its elements point to.
func BenchmarkBytes(b *testing.B) {
	for _, order := range []string{"random", "ascending"} {
		b.Run(order, func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				t, r := New[blob](), rand.New(rand.NewSource(1))
				for i := range million {
					pos := uint64(i)
					if order == "random" {
						pos = r.Uint64()
					}
					t.Put(pos, blob{data: "123456789"})
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/million, "B/elem")
				runtime.KeepAlive(t)
			}
		})
	}
}
