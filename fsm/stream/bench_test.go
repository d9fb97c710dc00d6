package stream

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

var (
	benchLimits = Limits{Bytes: 4096, Entries: 100}
	benchPairs  = asBytes([]string{"sensor", "17", "temperature", "21.5", "humidity", "40"})
	benchSizes  = []int{100, 1_000_000}
)

// filled is a stream of n entries.
func filled(n int) *Stream {
	s := New(&dict.Kit{})
	for i := range n {
		s.Append(ID{uint64(i + 1), 0}, benchPairs, benchLimits)
	}
	return s
}

// pendingAll is filled with a group that has all entries pending with one consumer.
func pendingAll(n int) *Stream {
	s := filled(n)
	s.Create([]byte("g"), ID{}, 0)
	e, _ := s.Edit([]byte("g"))
	c := e.Create([]byte("alice"), 1)
	for i := range n {
		id := ID{uint64(i + 1), 0}
		e.Deliver(id)
		e.Assign(Pending{ID: id, Time: 1, Count: 1}, c)
	}
	return s
}

func each(b *testing.B, make func(n int) *Stream, fn func(s *Stream, n int)) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := make(n)
			b.ReportAllocs()
			for b.Loop() {
				fn(s, n)
			}
		})
	}
}

// An entry is added and the first one trimmed, so that the size stays.
func BenchmarkAppendAndTrim(b *testing.B) {
	each(b, filled, func(s *Stream, n int) {
		next, _ := s.Last().Next()
		s.Append(next, benchPairs, benchLimits)
		s.Trim(Trim{MaxLen: uint64(n)})
	})
}

func BenchmarkAppend(b *testing.B) {
	each(b, filled, func(s *Stream, _ int) {
		next, _ := s.Last().Next()
		s.Append(next, benchPairs, benchLimits)
	})
}

func BenchmarkGet(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	each(b, filled, func(s *Stream, n int) { s.Get(ID{uint64(1 + r.Intn(n)), 0}) })
}

// A range of 100 entries at a random place.
func BenchmarkRange100(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	each(b, filled, func(s *Stream, n int) {
		left := 100
		s.Ascend(ID{uint64(1 + r.Intn(n-99)), 0}, func(e Entry) bool {
			e.Each(func(_, _ []byte) {})
			left--
			return left > 0
		})
	})
}

func BenchmarkClone(b *testing.B) {
	each(b, pendingAll, func(s *Stream, _ int) { s.Clone() })
}

// A clone and a change of its group: what the first XACK after a snapshot costs.
func BenchmarkCloneAndAck(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	each(b, pendingAll, func(s *Stream, n int) {
		e, _ := s.Clone().Edit([]byte("g"))
		e.Ack(ID{uint64(1 + r.Intn(n)), 0})
	})
}

// An entry is acknowledged and delivered again.
func BenchmarkAckAndAssign(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	each(b, pendingAll, func(s *Stream, n int) {
		e, _ := s.Edit([]byte("g"))
		c, _ := e.Consumer([]byte("alice"))
		id := ID{uint64(1 + r.Intn(n)), 0}
		e.Ack(id)
		e.Assign(Pending{ID: id, Time: 1, Count: 1}, c)
	})
}

// A consumer goes that has everything, or half of it.
func BenchmarkRemoveConsumer(b *testing.B) {
	for _, every := range []int{1, 2} {
		b.Run(fmt.Sprint("every ", every), func(b *testing.B) {
			s := pendingAll(1_000_000)
			e, _ := s.Edit([]byte("g"))
			other := e.Create([]byte("bob"), 1)
			for i := every - 1; i > 0 && i < 1_000_000; i += every {
				e.Assign(Pending{ID: ID{uint64(i), 0}}, other)
			}
			for b.Loop() {
				e, _ := s.Clone().Edit([]byte("g"))
				c, _ := e.Consumer([]byte("alice"))
				e.Remove(c)
			}
		})
	}
}

// Half of a stream is trimmed at once.
func BenchmarkTrimHalf(b *testing.B) {
	each(b, filled, func(s *Stream, n int) { s.Clone().Trim(Trim{MaxLen: uint64(n / 2)}) })
}

// What a stream takes for each entry and for each pending one, beside the values.
func BenchmarkMemory(b *testing.B) {
	for range b.N {
		s := pendingAll(1_000_000)
		g, _ := s.Group([]byte("g"))
		b.ReportMetric(float64(s.Size()-g.bytes)/1e6, "B/entry")
		b.ReportMetric(float64(g.bytes)/1e6, "B/pending")
	}
}
