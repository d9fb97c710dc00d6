package pack

import (
	"bytes"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

func items(s Seq) (list [][]byte) {
	for at := 0; at < len(s); {
		var item []byte
		item, at = s.Next(at)
		list = append(list, bytes.Clone(item))
	}
	return list
}

func equal(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// Random splices, against a slice of slices.
func TestAgainstModel(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	random := func() []byte {
		return []byte(strings.Repeat(string(rune('a'+r.Intn(3))), []int{0, 1, 2, 3, 127, 128, 300, 20000}[r.Intn(8)]))
	}
	for range 200 {
		var s Seq
		var want [][]byte
		for range 50 {
			fresh := make([][]byte, r.Intn(4))
			for i := range fresh {
				fresh[i] = random()
			}
			from := r.Intn(len(want) + 1)
			to := from + r.Intn(min(4, len(want)-from+1))
			offset := func(n int) (at int) {
				for range n {
					_, at = s.Next(at)
				}
				return at
			}
			a, b := offset(from), offset(to)
			if r.Intn(3) == 0 {
				s, want = s.Append(fresh...), append(want, fresh...)
			} else {
				s, want = s.Splice(a, b, fresh...), slices.Replace(want, from, to, fresh...)
			}
			if got := items(s); !equal(got, want) {
				t.Fatalf("it holds %q, want %q", got, want)
			}
			size := 0
			for _, item := range want {
				size += Size(len(item))
			}
			if n, ok := s.Count(); size != len(s) || n != len(want) || !ok {
				t.Fatalf("%d items of %d bytes together are in %d bytes", len(want), size, len(s))
			}
			look, stride := random(), 1+r.Intn(2)
			i := -1
			for j := 0; j < len(want) && i < 0; j += stride {
				if bytes.Equal(want[j], look) {
					i = j
				}
			}
			at, next, ok := s.Find(look, stride)
			if ok != (i >= 0) || ok && (at != offset(i) || next != offset(i+1)) {
				t.Fatalf("Find = %d, %d, %v, want item %d", at, next, ok, i)
			}
		}
	}
}

// What comes from outside may be anything.
func FuzzCount(f *testing.F) {
	f.Add([]byte(Seq(nil).Append([]byte("a"), []byte(""), make([]byte, 300))))
	f.Add([]byte{0x80, 0})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Seq(b)
		if n, ok := s.Count(); ok {
			if list := items(s); len(list) != n || !bytes.Equal(Seq(nil).Append(list...), s) {
				t.Fatalf("%x is said to hold %d items, and holds %q", b, n, list)
			}
		}
	})
}
