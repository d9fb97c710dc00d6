package hll

import (
	"bytes"
	"fmt"
	"math/rand"
	"testing"
)

const sparseMax = 3000

// ranks are the registers as a model: what Place says of all elements.
func (u *Union) add(element []byte) bool {
	register, rank := Place(element)
	changed := u.ranks[register] < rank
	u.ranks[register] = max(u.ranks[register], rank)
	return changed
}

func element(r *rand.Rand, among int) []byte { return fmt.Appendf(nil, "element:%d", r.Intn(among)) }

func check(t *testing.T, b []byte, want *Union) {
	t.Helper()
	got, err := Registers(b)
	if err != nil || !bytes.Equal(got, want.ranks[:]) {
		t.Fatalf("%v, its registers are not what was added", err)
	}
	Stale(b)
	if n, err := Count(b); err != nil || n != want.Count() {
		t.Fatalf("Count = %d, %v, want %d", n, err, want.Count())
	}
	if !Valid(b, len(b)) || !Dense(b) && len(b) > sparseMax {
		t.Fatalf("%d bytes, dense: %v", len(b), Dense(b))
	}
}

// Random elements against an array of registers, from the first on until the sparse one
// has long become dense; a dense one next to it, changed by patches.
func TestAgainstModel(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, among := range []int{1, 10, 500, 3000, 100_000} {
		var want Union
		b := New()
		wide, _ := ToDense(New())
		for i := range min(among*2, 8000) {
			e := element(r, among)
			before := len(b)
			raised := want.add(e)
			var changed bool
			var err error
			if b, changed, err = Add(b, e, sparseMax); err != nil || changed != raised {
				t.Fatalf("Add: %v, %v, want %v", changed, err, raised)
			}
			if !Dense(b) && len(b) > before+MaxSparseGrowth {
				t.Fatalf("it grew from %d to %d bytes", before, len(b))
			}
			p, ok := Raise(wide, e)
			if ok != raised {
				t.Fatalf("Raise: %v, want %v", ok, raised)
			}
			if ok {
				copy(wide[p.Offset:], p.Bytes)
				p = Invalidate(wide)
				copy(wide[p.Offset:], p.Bytes)
			}
			if i%500 == 0 {
				check(t, b, &want)
			}
		}
		check(t, b, &want)
		check(t, wide, &want)
		if made, _ := ToDense(b); !bytes.Equal(made, wide) {
			t.Fatal("the sparse one, made dense, is not the dense one")
		}
	}
}

// A union written into a sparse one in one go is what elements one by one make of it.
func TestInto(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for _, among := range []int{1, 5, 100, 700, 1500, 5000} {
		for range 20 {
			var u Union
			b := New()
			for range r.Intn(among) + 1 {
				b, _, _ = Add(b, element(r, among), sparseMax)
			}
			other := New()
			for range r.Intn(among) + 1 {
				e := element(r, among)
				other, _, _ = Add(other, e, sparseMax)
			}
			for _, one := range [][]byte{b, other} {
				if err := u.Merge(one); err != nil {
					t.Fatal(err)
				}
			}
			want := bytes.Clone(b)
			if u.dense {
				want, _ = ToDense(want)
			}
			for register, rank := range u.ranks {
				if rank > 0 && Dense(want) {
					setDense(want[header:], register, rank)
				} else if rank > 0 {
					want, _, _ = setSparse(want, register, rank, sparseMax) // from the beginning each time
				}
			}
			Stale(want)
			got, err := u.Into(b, sparseMax)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%v: %d bytes, want %d", err, len(got), len(want))
			}
			check(t, got, &u)
		}
	}
}

func TestSelfTest(t *testing.T) {
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
}

// FuzzAnyString takes strings from anywhere: an error, or registers that are sound and
// stay so.
func FuzzAnyString(f *testing.F) {
	f.Add([]byte("\x7f\xff"), []byte("a"))
	f.Add([]byte("\x7f\xfe\x80"), []byte("a"))
	f.Add([]byte("\x7f"), []byte("a"))
	f.Add([]byte("\x84\x3f\x7f\xbb"), []byte("abc"))
	f.Fuzz(func(t *testing.T, runs, e []byte) {
		b := append(New()[:header], runs...)
		if !Valid(b, len(b)) {
			t.Fatal("it is not valid")
		}
		before, err := Registers(b)
		if text, err2 := Decode(b); (err == nil) != (err2 == nil) || err == nil && text == "" {
			t.Fatalf("%v, decoded %q, %v", err, text, err2)
		}
		sum, changed, err2 := Add(bytes.Clone(b), e, sparseMax)
		if err != nil || err2 != nil {
			return // what is corrupt may show, or lie behind the register
		}
		var want Union
		copy(want.ranks[:], before)
		if want.add(e) != changed {
			t.Fatalf("Add: %v", changed)
		}
		after, err := Registers(sum)
		if err != nil || !bytes.Equal(after, want.ranks[:]) {
			t.Fatalf("%v: other registers came out", err)
		}
		if n, err := Count(sum); err != nil || n != want.Count() && changed {
			t.Fatalf("Count = %d, %v", n, err)
		}
		var u Union
		if err := u.Merge(b); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Into(New(), sparseMax); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, elements := range []int{100, 1_000, 1_000_000} {
		b.Run(fmt.Sprint(elements), func(b *testing.B) {
			r := rand.New(rand.NewSource(1))
			s := New()
			for range elements {
				s, _, _ = Add(s, element(r, elements), sparseMax)
			}
			e := make([][]byte, 1000)
			for i := range e {
				e[i] = element(r, elements)
			}
			b.ResetTimer()
			for i := range b.N {
				s, _, _ = Add(s, e[i%len(e)], sparseMax)
			}
		})
	}
}

func BenchmarkCount(b *testing.B) {
	for _, elements := range []int{100, 1_000, 1_000_000} {
		r := rand.New(rand.NewSource(1))
		s := New()
		for range elements {
			s, _, _ = Add(s, element(r, elements), sparseMax)
		}
		b.Run(fmt.Sprint(elements), func(b *testing.B) {
			for range b.N {
				_, _ = Count(s)
			}
		})
		b.Run(fmt.Sprint("two of ", elements), func(b *testing.B) {
			for range b.N {
				var u Union
				_ = u.Merge(s)
				_ = u.Merge(s)
				u.Count()
			}
		})
	}
}
