package dict

import (
	"fmt"
	"math/rand"
	"runtime"
	"testing"
)

const million = 1_000_000

// benchData is what the keyspace stores with a value of 64 bytes.
var benchData = make([]byte, 72)

// filled is a table of n records as the keyspace has them, put in random order, and
// their keys in another one.
func filled(n int) (*Table[int], [][]byte, []uint64) {
	t := New[int]()
	h := NewHasher([16]byte{1})
	keys, pos := make([][]byte, n), make([]uint64, n)
	var c Cursor[int]
	for i := range n {
		keys[i] = fmt.Appendf(nil, "key:%012d", i)
		pos[i] = h.Hash(keys[i]) >> 11
		c.Seek(t, pos[i], keys[i], nil)
		c.Put(keys[i], nil, benchData, nil)
	}
	r := rand.New(rand.NewSource(1))
	r.Shuffle(n, func(i, j int) { keys[i], keys[j], pos[i], pos[j] = keys[j], keys[i], pos[j], pos[i] })
	return t, keys, pos
}

var sizes = []int{1000, 100_000, million}

// each runs fn with one index after the other.
func each(b *testing.B, n int, fn func(i int)) {
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		fn(i)
		if i++; i == n {
			i = 0
		}
	}
}

func BenchmarkGet(b *testing.B) {
	for _, n := range sizes {
		t, keys, pos := filled(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			each(b, n, func(i int) {
				if _, ok := t.Get(pos[i], keys[i]); !ok {
					b.Fatal("not found")
				}
			})
		})
	}
}

// BenchmarkGetChained makes each lookup wait for the one before, as the requests of
// a server do; the others overlap as far as the processor can look ahead. The
// built-in map stands beside it for what this machine's memory allows.
func BenchmarkGetChained(b *testing.B) {
	for _, n := range sizes {
		t, keys, pos := filled(n)
		m := make(map[string][]byte, n)
		t.Ascend(0, func(_ uint64, r Record[int]) bool {
			m[string(r.Key)] = append([]byte(nil), r.Data...)
			return true
		})
		b.Run(fmt.Sprintf("table/%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				r, _ := t.Get(pos[i], keys[i])
				i = (i + len(r.Data) + int(r.Data[0])) % n
			}
		})
		b.Run(fmt.Sprintf("map/%d", n), func(b *testing.B) {
			i := 0
			for b.Loop() {
				data := m[string(keys[i])]
				i = (i + len(data) + int(data[0])) % n
			}
		})
	}
}

func BenchmarkPutReplace(b *testing.B) {
	for _, n := range sizes {
		t, keys, pos := filled(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var c Cursor[int]
			each(b, n, func(i int) {
				c.Seek(t, pos[i], keys[i], nil)
				c.Put(keys[i], nil, benchData, nil)
			})
		})
	}
}

// BenchmarkPutOtherLength replaces data by such of another length.
func BenchmarkPutOtherLength(b *testing.B) {
	t, keys, pos := filled(100_000)
	var c Cursor[int]
	each(b, len(keys), func(i int) {
		c.Seek(t, pos[i], keys[i], nil)
		c.Put(keys[i], nil, benchData[i%10:], nil)
	})
}

// One record goes and another comes, so that the table stays at a million.
func BenchmarkDeletePut(b *testing.B) {
	t, keys, pos := filled(million)
	var c Cursor[int]
	each(b, million, func(i int) {
		c.Seek(t, pos[i], keys[i], nil)
		c.Delete()
		j := (i + million/2) % million
		c.Seek(t, pos[j], keys[j], nil)
		c.Delete()
		c.Seek(t, pos[i], keys[i], nil)
		c.Put(keys[i], nil, benchData, nil)
		c.Seek(t, pos[j], keys[j], nil)
		c.Put(keys[j], nil, benchData, nil)
	})
}

// BenchmarkInsert builds a table of a million, in random and in ascending order.
func BenchmarkInsert(b *testing.B) {
	old, keys, pos := filled(million)
	perElement := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/elem")
	}
	b.Run("random", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t := New[int]()
			var c Cursor[int]
			for i, p := range pos {
				c.Seek(t, p, keys[i], nil)
				c.Put(keys[i], nil, benchData, nil)
			}
		}
		perElement(b)
	})
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			t := New[int]()
			var c Cursor[int]
			old.Ascend(0, func(pos uint64, r Record[int]) bool {
				c.SeekEnd(t, pos, r.Key)
				c.Put(r.Key, nil, r.Data, nil)
				return true
			})
		}
		perElement(b)
	})
}

func BenchmarkSnapshot(b *testing.B) {
	t, _, _ := filled(million)
	b.ReportAllocs()
	var last *Table[int]
	for b.Loop() {
		last = t.Snapshot()
	}
	runtime.KeepAlive(last)
}

// BenchmarkPutAfterSnapshot is the dearest write: each one copies its whole path.
func BenchmarkPutAfterSnapshot(b *testing.B) {
	t, keys, pos := filled(million)
	var c Cursor[int]
	each(b, million, func(i int) {
		t.Snapshot()
		c.Seek(t, pos[i], keys[i], nil)
		c.Put(keys[i], nil, benchData, nil)
	})
}

func BenchmarkAscend(b *testing.B) {
	t, _, _ := filled(million)
	for b.Loop() {
		t.Ascend(0, func(uint64, Record[int]) bool { return true })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/elem")
}

func BenchmarkCountRangeAt(b *testing.B) {
	t, _, pos := filled(million)
	each(b, million, func(i int) {
		t.CountRange(pos[i], pos[i]+1<<39)
		t.At(i)
	})
}

func BenchmarkHash16(b *testing.B) {
	h := NewHasher([16]byte{1})
	key := []byte("key:000000000001")
	for b.Loop() {
		h.Hash(key)
	}
}

// BenchmarkBytes shows what a million records of 16 and 72 bytes take beyond that.
func BenchmarkBytes(b *testing.B) {
	for _, order := range []string{"random", "ascending"} {
		b.Run(order, func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				t, r := New[int](), rand.New(rand.NewSource(1))
				var c Cursor[int]
				key := make([]byte, 16)
				for i := range million {
					pos := uint64(i)
					if order == "random" {
						pos = r.Uint64()
					}
					c.Seek(t, pos, key, nil)
					c.Put(key, nil, benchData, nil)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/million-88, "B/elem")
				runtime.KeepAlive(t)
			}
		})
	}
}
