package list

import (
	"fmt"
	"math/rand"
	"testing"
)

// filled is a list of n different elements of 16 bytes.
func filled(n int) *List {
	l := &List{}
	for i := range n {
		l.PushBack(fmt.Appendf(nil, "%016d", i))
	}
	return l
}

// each runs a benchmark beside a short and a long list.
func each(b *testing.B, fn func(b *testing.B, l *List)) {
	for _, n := range []int{100, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := filled(n)
			b.ReportAllocs()
			b.ResetTimer()
			fn(b, l)
		})
	}
}

var element16 = []byte("0123456789abcdef")

func BenchmarkPushFront(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		for range b.N {
			l.PushFront(element16)
		}
	})
}

func BenchmarkPushBack(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		for range b.N {
			l.PushBack(element16)
		}
	})
}

// A queue of constant length.
func BenchmarkPushFrontPopBack(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		for range b.N {
			l.PushFront(element16)
			l.Delete(l.Len()-1, l.Len())
		}
	})
}

func BenchmarkAt(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		r := rand.New(rand.NewSource(1))
		for range b.N {
			l.At(r.Intn(l.Len()))
		}
	})
}

func BenchmarkSet(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		r := rand.New(rand.NewSource(1))
		for range b.N {
			l.Set(r.Intn(l.Len()), element16)
		}
	})
}

func BenchmarkInsertDelete(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		r := rand.New(rand.NewSource(1))
		for range b.N {
			i := r.Intn(l.Len())
			l.Insert(i, element16)
			l.Delete(i, i+1)
		}
	})
}

// All elements, for LPOS, LINSERT and LRANGE; the time is for each of them.
func BenchmarkAscend(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		for i := 0; i < b.N; i += l.Len() {
			l.Ascend(0, func([]byte) bool { return true })
		}
	})
}

// Every fourth element goes; the time is for each that is looked at.
func BenchmarkRemove(b *testing.B) {
	const n = 1_000_000
	for i := 0; i < b.N; i += n {
		b.StopTimer()
		l := &List{}
		for j := range n {
			l.PushBack(fmt.Append(nil, "element-", j%4))
		}
		b.StartTimer()
		if l.Remove([]byte("element-1"), -1, false) != n/4 {
			b.Fatal("not removed")
		}
	}
}

// What the clone and the first change after it cost.
func BenchmarkCloneAndPush(b *testing.B) {
	each(b, func(b *testing.B, l *List) {
		for range b.N {
			l = l.Clone()
			l.PushBack(element16)
		}
	})
}

// All but 100 elements of a million go at once.
func BenchmarkTrim(b *testing.B) {
	l := filled(1_000_000)
	b.ResetTimer()
	for range b.N {
		c := l.Clone()
		c.Delete(100, c.Len())
	}
}

func BenchmarkMemory(b *testing.B) {
	l := filled(1_000_000)
	b.ReportMetric(float64(l.Size())/1e6, "counted-bytes/element")
	b.ReportMetric(float64(buffers(&l.root))/1e6, "real-bytes/element")
}
