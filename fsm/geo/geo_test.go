package geo

import (
	"math"
	"math/big"
	"math/rand"
	"testing"
)

func randomPoint(r *rand.Rand) Point {
	return Point{r.Float64()*360 - 180, r.Float64()*2*MaxLatitude - MaxLatitude}
}

// Positions, their scores and geohashes as Redis 7.0.15 has them.
func TestKnown(t *testing.T) {
	for _, tt := range []struct {
		p     Point
		score float64
		hash  string
		back  Point
	}{
		{Point{13.361389, 38.115556}, 3479099956230698, "sqc8b49rny0", Point{13.36138933897018433, 38.11555639549629859}},
		{Point{15.087269, 37.502669}, 3479447370796909, "sqdtr74hyu0", Point{15.08726745843887329, 37.50266842333162032}},
		{Point{0, 0}, 3377699720527872, "s0000000000", Point{0.00000268220901489, 0.00000126736058093}},
		{Point{-180, -85.05112878}, 0, "00bh0hbj200", Point{-179.99999731779098511, -85.05112751263941905}},
	} {
		score := Score(tt.p)
		back := FromScore(score)
		if score != tt.score || Hash(score) != tt.hash || math.Abs(back.Longitude-tt.back.Longitude) > 1e-15 || math.Abs(back.Latitude-tt.back.Latitude) > 1e-15 {
			t.Errorf("%v: score %.0f, hash %s, back at %v; want %+v", tt.p, score, Hash(score), back, tt)
		}
	}
}

// A score leads back to within half a cell.
func TestScores(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 100_000 {
		p := randomPoint(r)
		q := FromScore(Score(p))
		if math.Abs(p.Longitude-q.Longitude) > 360.0/(1<<26) || math.Abs(p.Latitude-q.Latitude) > 180.0/(1<<26) || Score(q) != Score(p) {
			t.Fatalf("%v came back as %v", p, q)
		}
	}
	for _, score := range []float64{-1, -1e300, math.Inf(-1), math.Inf(1), 1e19, 1.5e19, 1 << 63, 1 << 53, 0.5} {
		if p := FromScore(score); !p.Valid() {
			t.Errorf("%v is at %v", score, p)
		}
	}
}

// C's conversion, of which Go leaves more open.
func TestToUint64(t *testing.T) {
	for f, want := range map[float64]uint64{
		0: 0, 1.9: 1, -0.5: 0, -1: math.MaxUint64, -1 << 62: 3 << 62, -1 << 63: 1 << 63, -1e300: 1 << 63, math.Inf(-1): 1 << 63,
		1 << 63: 1 << 63, 3 << 62: 3 << 62, 1 << 64: 0, 1e300: 0, math.Inf(1): 0,
	} {
		if got := toUint64(f); got != want {
			t.Errorf("%v: %x, want %x", f, got, want)
		}
	}
}

// The ranges hold every position that is inside, each once.
func TestRanges(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	inside := 0
	for range 3000 {
		a := Area{Center: randomPoint(r), Unit: 1, Box: r.Intn(2) == 0}
		if a.Center.Latitude > 75 || a.Center.Latitude < -75 || math.Abs(a.Center.Longitude) > 150 {
			continue // Redis, too, misses some beyond the date line and around the poles
		}
		size := math.Exp(r.Float64() * 14)
		a.Radius, a.Width, a.Height = size, size*(0.5+r.Float64()), size*(0.5+r.Float64())
		ranges := a.Ranges()
		for range 100 {
			p := Point{a.Center.Longitude + r.NormFloat64()*size/1e5, a.Center.Latitude + r.NormFloat64()*size/1e5}
			if !p.Valid() {
				continue
			}
			p = FromScore(Score(p))
			if _, in := a.Distance(p); !in {
				continue
			}
			inside++
			n := 0
			for _, x := range ranges {
				if s := Score(p); s >= x.Min && s < x.Max {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("%v, %.0f m around %v, is in %d of the ranges %v", p, size, a.Center, n, ranges)
			}
		}
	}
	if inside < 10_000 {
		t.Errorf("only %d positions were inside", inside)
	}
}

// Functions are right to the last digit: compared with series of 200 bits.
func TestTrigonometry(t *testing.T) {
	r := rand.New(rand.NewSource(3))
	for i := range 3000 {
		x := (r.Float64()*2 - 1) * math.Pi
		switch i % 4 {
		case 0:
			x = math.Exp(-r.Float64()*30) * math.Copysign(1, x)
		case 1: // near a quarter or a half of a turn
			x = math.Pi/2*float64(r.Intn(5)-2) + r.NormFloat64()*1e-5
		}
		if got, want := sin(x), bigSin(x, 0); got != want {
			t.Errorf("sin(%v) = %v, want %v", x, got, want)
		}
		if got, want := cos(x), bigSin(x, 1); got != want {
			t.Errorf("cos(%v) = %v, want %v", x, got, want)
		}
		s := math.Abs(x) / 4
		if i%2 == 0 {
			s = 1 - s
		}
		if got, want := asin(s), bigAsin(s); got != want {
			t.Errorf("asin(%v) = %v, want %v", s, got, want)
		}
	}
	for _, x := range []float64{0, 1, 1 - 0x1p-53, 0.5, 1e-8, 1e-300} {
		if got, want := asin(x), bigAsin(x); got != want {
			t.Errorf("asin(%v) = %v, want %v", x, got, want)
		}
	}
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if !math.IsNaN(sin(x)) || !math.IsNaN(cos(x)) {
			t.Errorf("sin and cos of %v are numbers", x)
		}
	}
	if !math.IsNaN(asin(1.0000001)) || math.Abs(cos(1e6)-math.Cos(1e6)) > 1e-9 {
		t.Error("arguments out of range")
	}
}

const prec = 300

// bigSin is the sine of x, or with quarter 1 its cosine, by a series.
func bigSin(x float64, quarter int) float64 {
	f, _ := bigSinCos(new(big.Float).SetPrec(prec).SetFloat64(x), quarter).Float64()
	return f
}

func bigSinCos(x *big.Float, quarter int) *big.Float {
	num := func() *big.Float { return new(big.Float).SetPrec(prec) }
	z := num().Mul(x, x)
	term := num().SetInt64(1)
	n := 1
	if quarter == 0 {
		term.Set(x)
		n = 2
	}
	sum := num().Set(term)
	for range 60 {
		term = num().Quo(num().Mul(term, z), num().SetInt64(int64(n*(n+1))))
		term.Neg(term)
		sum.Add(sum, term)
		n += 2
	}
	return sum
}

// bigAsin solves sin(y) = x by Newton's method, from Go's own result on; near 1, where
// that is slow, it goes by the cosine.
func bigAsin(x float64) float64 {
	num := func() *big.Float { return new(big.Float).SetPrec(prec) }
	want := num().SetFloat64(x)
	if x > 0.9 { // asin(x) = asin(2 x sqrt(1-x²))-like identities lose nothing at this precision
		c := num().Sqrt(num().Sub(num().SetInt64(1), num().Mul(want, want)))
		y := num().SetFloat64(math.Acos(x))
		for range 6 {
			e := num().Sub(bigSinCos(y, 0), c)
			y.Sub(y, num().Quo(e, bigSinCos(y, 1)))
		}
		pi, _, _ := big.ParseFloat("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651", 10, prec, big.ToNearestEven)
		f, _ := num().Sub(num().Quo(pi, num().SetInt64(2)), y).Float64()
		return f
	}
	y := num().SetFloat64(math.Asin(x))
	for range 6 {
		e := num().Sub(bigSinCos(y, 0), want)
		y.Sub(y, num().Quo(e, bigSinCos(y, 1)))
	}
	f, _ := y.Float64()
	return f
}

func BenchmarkDistance(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	points := make([]Point, 1000)
	for i := range points {
		points[i] = randomPoint(r)
	}
	for i := range b.N {
		Distance(points[i%1000], points[(i+1)%1000])
	}
}

func BenchmarkRanges(b *testing.B) {
	a := Area{Center: Point{13.361389, 38.115556}, Unit: 1, Radius: 10_000}
	for range b.N {
		a.Ranges()
	}
}

func BenchmarkFromScore(b *testing.B) {
	for i := range b.N {
		FromScore(float64(3479099956230698 + i))
	}
}
