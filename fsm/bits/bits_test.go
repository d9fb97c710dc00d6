package bits

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand"
	"testing"
)

// spell writes the bits as text, bit 0 first.
func spell(b []byte) (text string) {
	for _, c := range b {
		text += fmt.Sprintf("%08b", c)
	}
	return text
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	switch r.Intn(4) {
	case 0:
	case 1:
		for i := range b {
			b[i] = 0xff
		}
	default:
		r.Read(b)
		return b
	}
	if n > 0 && r.Intn(2) == 0 {
		b[r.Intn(n)] ^= 1 << r.Intn(8)
	}
	return b
}

func TestCountAndFind(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 3000 {
		b := random(r, r.Intn(80))
		text := []byte(spell(b))
		if got, want := Count(b), bytes.Count(text, []byte("1")); got != want {
			t.Fatalf("Count(%s) = %d, want %d", text, got, want)
		}
		if got, want := Find(b, true), bytes.IndexByte(text, '1'); got != want {
			t.Fatalf("the first 1 of %s is at %d, want %d", text, got, want)
		}
		if got, want := Find(b, false), bytes.IndexByte(text, '0'); got != want {
			t.Fatalf("the first 0 of %s is at %d, want %d", text, got, want)
		}
	}
}

func TestCombine(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for range 1000 {
		n := r.Intn(40)
		a, b := random(r, n), random(r, n)
		for op, one := range []func(x, y byte) byte{
			And: func(x, y byte) byte { return x & y },
			Or:  func(x, y byte) byte { return x | y },
			Xor: func(x, y byte) byte { return x ^ y },
			Not: func(_, y byte) byte { return ^y },
		} {
			got, want := bytes.Clone(a), make([]byte, n)
			for i := range want {
				want[i] = one(a[i], b[i])
			}
			if Combine(Op(op), got, b); !bytes.Equal(got, want) {
				t.Fatalf("%x %d %x = %x, want %x", a, op, b, got, want)
			}
		}
	}
}

// A field is the number that its bits spell, and writing one changes no other bit.
func TestGetAndPut(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for range 20000 {
		f := Field{Signed: r.Intn(2) == 0, Width: 1 + r.Intn(63)}
		if f.Signed {
			f.Width += r.Intn(2)
		}
		b := random(r, 20)
		at := r.Intn(len(b)*8 - f.Width + 1)
		number := func(b []byte) int64 {
			n, _ := new(big.Int).SetString(spell(b)[at:at+f.Width], 2)
			if f.Signed && n.Bit(f.Width-1) == 1 {
				n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(f.Width)))
			}
			return n.Int64()
		}
		if got, want := f.Get(b, at), number(b); got != want {
			t.Fatalf("%v at %d of %s is %d, want %d", f, at, spell(b), got, want)
		}
		value := f.wrap(r.Uint64())
		got := bytes.Clone(b)
		f.Put(got, at, value)
		if number(got) != value || spell(got)[:at] != spell(b)[:at] || spell(got)[at+f.Width:] != spell(b)[at+f.Width:] {
			t.Fatalf("%v of %d at %d of %s makes %s", f, value, at, spell(b), spell(got))
		}
	}
}

// Add and Fit, against integers that know no bound.
func TestOverflow(t *testing.T) {
	r := rand.New(rand.NewSource(4))
	number := func() int64 { return int64(r.Uint64()) >> r.Intn(64) }
	for range 100_000 {
		f := Field{Signed: r.Intn(2) == 0, Width: 1 + r.Intn(63)}
		if f.Signed {
			f.Width += r.Intn(2)
		}
		how := Overflow(r.Intn(3))
		value, increment := f.wrap(uint64(number())), number()
		least, most := f.bounds()
		check := func(name string, exact *big.Int, low int64, got int64, ok bool) {
			want, wantOK := exact.Int64(), true
			if over := exact.Cmp(big.NewInt(most)) > 0; over || exact.Cmp(big.NewInt(least)) < 0 {
				wrapped := new(big.Int).And(exact, new(big.Int).SetUint64(1<<64-1)) // two's complement
				switch {
				case how == Wrap:
					want = f.wrap(wrapped.Uint64())
				case how == Fail:
					want, wantOK = 0, false
				case over:
					want = most
				default:
					want = low
				}
			}
			if got != want || ok != wantOK {
				t.Fatalf("%s: %v, %d and %d by %d is %d, %v; want %d, %v", name, f, value, increment, how, got, ok, want, wantOK)
			}
		}
		got, ok := f.Add(value, increment, how)
		check("Add", new(big.Int).Add(big.NewInt(value), big.NewInt(increment)), least, got, ok)
		low := least
		if !f.Signed {
			low = most // negative counts as too large
		}
		got, ok = f.Fit(increment, how)
		check("Fit", big.NewInt(increment), low, got, ok)
	}
}

func BenchmarkCount(b *testing.B) { piece(b, func(x, _ []byte) { Count(x) }) }
func BenchmarkFind(b *testing.B)  { piece(b, func(x, _ []byte) { Find(x, true) }) }
func BenchmarkCombine(b *testing.B) {
	piece(b, func(x, y []byte) { Combine(Or, x, y) })
}

func piece(b *testing.B, fn func(x, y []byte)) {
	x, y := make([]byte, 64<<10), make([]byte, 64<<10)
	b.SetBytes(int64(len(x)))
	for range b.N {
		fn(x, y)
	}
}
