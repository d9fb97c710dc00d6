package zset

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

var benchLimits = Limits{Entries: 128, Value: 64}

// filled is a set of n members with random scores.
func filled(n int) (*Set, [][]byte) {
	r := rand.New(rand.NewSource(1))
	s := New(&dict.Kit{Hasher: dict.NewHasher([16]byte{1})})
	members := make([][]byte, n)
	for i := range members {
		members[i] = fmt.Appendf(nil, "member:%08d", i)
		s.Set(members[i], float64(r.Intn(1<<30)), benchLimits)
	}
	r.Shuffle(n, func(i, j int) { members[i], members[j] = members[j], members[i] })
	return s, members
}

func sizes(b *testing.B, run func(b *testing.B, s *Set, members [][]byte)) {
	for _, n := range []int{100, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, members := filled(n)
			b.ReportAllocs()
			b.ResetTimer()
			run(b, s, members)
		})
	}
}

func BenchmarkScore(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		for i := range b.N {
			s.Score(members[i%len(members)])
		}
	})
}

func BenchmarkRank(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		for i := range b.N {
			s.Rank(members[i%len(members)])
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		for i := range b.N {
			s.Set(members[i%len(members)], float64(i*7919%(1<<30)), benchLimits)
		}
	})
}

func BenchmarkDeleteAndAdd(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		for i := range b.N {
			m := members[i%len(members)]
			score, _ := s.Score(m)
			s.Delete(m)
			s.Set(m, score, benchLimits)
		}
	})
}

func BenchmarkRange100ByRank(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		n := 0
		for i := range b.N {
			from := i * 7919 % max(1, s.Len()-99)
			s.Ascend(from, from+100, func([]byte, float64) bool {
				n++
				return true
			})
		}
	})
}

func BenchmarkRange100Reverse(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		n := 0
		for i := range b.N {
			from := i * 7919 % max(1, s.Len()-99)
			s.Descend(from, from+100, func([]byte, float64) bool {
				n++
				return true
			})
		}
	})
}

func BenchmarkBetween(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		for i := range b.N {
			low := float64(i * 7919 % (1 << 30))
			s.Between(Bound{Score: low}, Bound{Score: low + 1e6})
		}
	})
}

func BenchmarkCloneAndUpdate(b *testing.B) {
	sizes(b, func(b *testing.B, s *Set, members [][]byte) {
		for i := range b.N {
			s = s.Clone()
			s.Set(members[i%len(members)], float64(i*7919%(1<<30)), benchLimits)
		}
	})
}

func BenchmarkInsertMillion(b *testing.B) {
	for range b.N {
		s, _ := filled(1_000_000)
		b.ReportMetric(float64(s.Size())/1e6, "B/member")
	}
}
