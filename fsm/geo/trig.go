package geo

import "math"

// Go's own sine, cosine and arc sine may differ between processors in the last digit, as
// the compiler may fuse their additions with multiplications, and stored distances would
// differ between replicas then. Those here are computed with twice the digits and rounded
// at the end, so they are also what a good C library gives but for one case in many.

// double is a number of twice the digits: hi, and lo below hi's last digit.
type double struct{ hi, lo float64 }

// quickSum is a + b exactly; a must not be the smaller one.
func quickSum(a, b float64) double {
	s := a + b
	return double{s, b - (s - a)}
}

// exactSum is a + b exactly.
func exactSum(a, b float64) double {
	s := a + b
	t := s - a
	return double{s, (a - (s - t)) + (b - t)}
}

// exactProduct is a * b exactly.
func exactProduct(a, b float64) double {
	p := float64(a * b)
	return double{p, math.FMA(a, b, -p)} // the same on every processor
}

func (a double) plus(b double) double {
	s := exactSum(a.hi, b.hi)
	return quickSum(s.hi, s.lo+(a.lo+b.lo))
}

func (a double) times(b double) double {
	p := exactProduct(a.hi, b.hi)
	return quickSum(p.hi, p.lo+(float64(a.hi*b.lo)+float64(a.lo*b.hi)))
}

func (a double) negative() double { return double{-a.hi, -a.lo} }

// over is a / b.
func (a double) over(b double) double {
	q := a.hi / b.hi
	r := a.plus(b.times(double{q, 0}).negative())
	return quickSum(q, r.hi/b.hi)
}

// halfPi is a quarter of a turn.
var halfPi = double{math.Pi / 2, 6.123233995736766e-17}

// The Taylor series of the sine over x and of the cosine, both in the square of x: the first
// coefficients in full, then what is so small that a float64 has digits enough.
var (
	sineHead = [...]double{
		{1, 0}, {-1.0 / 6, -9.25185853854297e-18}, {1.0 / 120, 1.1564823173178714e-19}, {-1.0 / 5040, -1.7209558293420705e-22}, {1.0 / 362880, -1.858393274046472e-22},
	}
	sineTail = [...]float64{
		-1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000, -1.0 / 121645100408832000, 1.0 / 51090942171709440000, -1.0 / 25852016738884976640000,
	}
	cosineHead = [...]double{
		{1, 0}, {-0.5, 0}, {1.0 / 24, 2.3129646346357427e-18}, {-1.0 / 720, 5.300543954373577e-20}, {1.0 / 40320, 2.1511947866775882e-23},
	}
	cosineTail = [...]float64{
		-1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000, -1.0 / 6402373705728000, 1.0 / 2432902008176640000, -1.0 / 1124000727777607680000,
	}
)

// series sums a series at z.
func series(head []double, tail []float64, z double) double {
	sum := 0.0
	for i := len(tail) - 1; i >= 0; i-- {
		sum = float64(sum*z.hi) + tail[i]
	}
	d := double{sum, 0}
	for i := len(head) - 1; i >= 0; i-- {
		d = d.times(z).plus(head[i])
	}
	return d
}

// reduce returns x less so many quarters of a turn that an eighth is left at the most.
func reduce(x float64) (r double, quarters int) {
	k := math.Round(x / halfPi.hi)
	r = double{x, 0}
	if k != 0 {
		r = r.plus(halfPi.times(double{k, 0}).negative())
	}
	return r, int(k)
}

// quarter returns the sine of r after so many quarters of a turn.
func quarter(r double, quarters int) (sine double) {
	z := r.times(r)
	if quarters&1 == 0 {
		sine = r.times(series(sineHead[:], sineTail[:], z))
	} else {
		sine = series(cosineHead[:], cosineTail[:], z)
	}
	if quarters&2 != 0 {
		return sine.negative()
	}
	return sine
}

// turn brings an angle, if it is a large one, near 0, without its last digits: nothing
// that depends on large angles needs them.
func turn(x float64) float64 {
	if math.Abs(x) > 4*math.Pi {
		return math.Mod(x, 2*math.Pi)
	}
	return x
}

func sin(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.NaN()
	}
	if x == 0 {
		return x
	}
	r, quarters := reduce(turn(x))
	return quarter(r, quarters).hi
}

func cos(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return math.NaN()
	}
	r, quarters := reduce(turn(x))
	return quarter(r, quarters+1).hi
}

// asin is the angle of a sine of 0 to 1, NaN of a greater one.
func asin(x float64) float64 {
	switch {
	case x > 1 || math.IsNaN(x):
		return math.NaN()
	case x < 1e-8: // x^3/6 is below the last digit
		return x
	}
	y := asinGuess(x)
	for range 2 { // Newton's method doubles the digits each time
		r, quarters := reduce(y)
		s, c := quarter(r, quarters), quarter(r, quarters+1)
		y = double{y, 0}.plus(double{x, 0}.plus(s.negative()).over(c)).hi
	}
	return y
}

// asinGuess has eight digits or so (Abramowitz and Stegun, 4.4.46).
func asinGuess(x float64) float64 {
	if x < 1e-3 {
		return x + float64(float64(x*x)*x)/6
	}
	sum := 0.0
	for _, c := range [...]float64{-0.0012624911, 0.0066700901, -0.0170881256, 0.0308918810, -0.0501743046, 0.0889789874, -0.2145988016, 1.5707963050} {
		sum = float64(sum*x) + c
	}
	return halfPi.hi - float64(math.Sqrt(1-x)*sum)
}
