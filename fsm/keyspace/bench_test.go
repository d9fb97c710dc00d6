package keyspace

import (
	"fmt"
	"runtime"
	"testing"
)

const benchKeys = 1_000_000

// benchKey writes the i-th key, of 16 bytes, into a buffer: keys in an array would
// add a cache miss of the benchmark's own.
func benchKey(buf []byte, i int) []byte {
	buf = append(buf[:0], "key:000000000000"...)
	for p := 15; i > 0; p-- {
		buf[p] = byte('0' + i%10)
		i /= 10
	}
	return buf
}

// filled is a space of benchKeys keys with values of 64 bytes.
func filled() *Space {
	s := newSpace()
	value := make([]byte, 64)
	var key []byte
	for i := range benchKeys {
		key = benchKey(key, i*7919%benchKeys)
		s.Txn(0, 1, 0).SetString(key, value, 0)
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	s := filled()
	b.ReportAllocs()
	i, key := 0, []byte(nil)
	for b.Loop() {
		i = (i + 611953) % benchKeys
		key = benchKey(key, i)
		if _, ok, _ := s.View(0, Instant{1, 1}).String(key); !ok {
			b.Fatal("missing")
		}
	}
}

func BenchmarkSet(b *testing.B) {
	s := filled()
	value := make([]byte, 64)
	b.ReportAllocs()
	i, key := 0, []byte(nil)
	for b.Loop() {
		i = (i + 611953) % benchKeys
		key = benchKey(key, i)
		s.Txn(0, 1, 0).SetString(key, value, 0)
	}
}

func BenchmarkAppendToLongString(b *testing.B) {
	s := newSpace()
	tx, key, data := s.Txn(0, 1, 0), []byte("k"), make([]byte, 10)
	tx.SetString(key, make([]byte, 64<<20), 0)
	i := 0
	for b.Loop() {
		if i++; i%1000 == 0 {
			s.Snapshot() // everything is shared again
		}
		if i%1_000_000 == 0 {
			tx.SetString(key, make([]byte, 64<<20), 0)
		}
		text, _, _ := tx.String(key)
		if _, err := tx.WriteString(key, text.Len(), data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	s := filled()
	s.Txn(0, 1, 0).Delete(benchKey(nil, 0))
	for b.Loop() {
		s.Snapshot()
	}
}

// TestMemoryPerKey holds the budget: at most 64 bytes over key and value.
func TestMemoryPerKey(t *testing.T) {
	if testing.Short() {
		t.Skip("a million keys")
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	s := newSpace()
	value := make([]byte, 64)
	before := heap()
	for i := range benchKeys {
		s.Txn(0, 1, 0).SetString(fmt.Appendf(nil, "key:%012d", i), value, 0)
	}
	used := heap() - before
	over := float64(used)/benchKeys - 16 - 64
	t.Logf("%.1f bytes over key and value; Bytes says %.1f", over, float64(s.Bytes())/benchKeys-80)
	if over > 64 {
		t.Errorf("%.1f bytes over key and value", over)
	}
	if est := float64(s.Bytes()) / float64(used); est < 0.85 || est > 1.15 {
		t.Errorf("Bytes estimates %.2f of what is used", est)
	}
	runtime.KeepAlive(s)
}
