package hash

import (
	"fmt"
	"testing"

	"github.com/raftkv/raftkv/fsm/dict"
)

// names are those of n fields.
func names(n int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = fmt.Appendf(nil, "field:%07d", i)
	}
	return list
}

var benchLimits = &Limits{Entries: 512, Value: 64}

// filled is a hash of these fields; one in every expires, if every is not 0.
func filled(list [][]byte, every int) *Map {
	m := New(&dict.Kit{Hasher: dict.NewHasher([16]byte{1})})
	for i, name := range list {
		f := Field{Name: name, Value: []byte("a value of twenty b.")}
		if every > 0 && i%every == 0 {
			f.Expires = int64(1000 + i)
		}
		m.Set(f, 1, benchLimits)
	}
	return m
}

// scatter makes an order in which neighbours have nothing in common.
func scatter(i, n int) int { return int(uint64(i) * 0x9e3779b97f4a7c15 % uint64(n)) }

func BenchmarkHash(b *testing.B) {
	for _, n := range []int{100, 1_000_000} {
		list := names(n)
		value := []byte("another of twenty b.")
		for _, every := range []int{0, 2} {
			m := filled(list, every)
			kind := map[int]string{0: "stay", 2: "half-expire"}[every]
			run := func(name string, fn func(b *testing.B)) {
				b.Run(fmt.Sprintf("%s/%s/%d", name, kind, n), func(b *testing.B) {
					b.ReportAllocs()
					fn(b)
				})
			}
			run("Get", func(b *testing.B) {
				for i := range b.N {
					m.Get(list[scatter(i, n)], 1)
				}
			})
			run("Set", func(b *testing.B) {
				for i := range b.N {
					at := scatter(i, n)
					f, _ := m.Get(list[at], 1)
					m.Set(Field{Name: list[at], Value: value, Expires: f.Expires}, 1, benchLimits)
				}
			})
			run("DeleteAndSet", func(b *testing.B) {
				for i := range b.N {
					at := scatter(i, n)
					f, _ := m.Get(list[at], 1)
					m.Delete(list[at], 1)
					m.Set(Field{Name: list[at], Value: value, Expires: f.Expires}, 1, benchLimits)
				}
			})
			run("Pick", func(b *testing.B) {
				for i := range b.N {
					p := m.Pick(1)
					p.At(scatter(i, n))
				}
			})
			run("Each", func(b *testing.B) {
				for range b.N {
					m.Each(1, func(Field) bool { return true })
				}
			})
			run("CloneAndSet", func(b *testing.B) {
				for i := range b.N {
					c := m.Clone()
					c.Set(Field{Name: list[scatter(i, n)], Value: value}, 1, benchLimits)
				}
			})
		}
	}
	const n = 1_000_000
	list := names(n)
	b.Run("Fill/1000000", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			m := filled(list, 0)
			b.ReportMetric(float64(m.Size())/n, "bytes/field")
		}
	})
	b.Run("FillExpiring/1000000", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			m := filled(list, 1)
			b.ReportMetric(float64(m.Size())/n, "bytes/field")
		}
	})
	b.Run("RemoveDue/1000000", func(b *testing.B) {
		var m *Map
		for i := range b.N {
			if i%n == 0 {
				b.StopTimer()
				m = filled(list, 1)
				b.StartTimer()
			}
			m.RemoveDue(1<<40, 1)
		}
	})
	b.Run("Load/1000000", func(b *testing.B) {
		m := filled(list, 0)
		for range b.N {
			l := NewLoader(m.kit)
			if err := m.Parts(l.Add); err != nil {
				b.Fatal(err)
			}
		}
	})
}
