package hll

import (
	"encoding/binary"
	"math"
)

// estimate is the cardinality that follows from how many registers have which rank
// (Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017). All
// replicas compute the same: no operation is fused with another.
func estimate(ranks *[64]int) uint64 {
	const (
		m     = float64(registers)
		alpha = 0.721347520444481703680 // 0.5/ln(2)
	)
	z := m * tau((m-float64(ranks[rankBits+1]))/m)
	for j := rankBits; j >= 1; j-- {
		z = float64(z+float64(ranks[j])) * 0.5
	}
	z = float64(z) + float64(m*sigma(float64(ranks[0])/m))
	return uint64(math.Round(float64(alpha*m) * m / z))
}

func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x = float64(x * x)
		before := z
		z = z + float64(x*y)
		y += y
		if z == before {
			return z
		}
	}
}

func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y *= 0.5
		z = z - float64(float64((1-x)*(1-x))*y)
		if z == before {
			return z / 3
		}
	}
}

// hash is MurmurHash64A (Appleby), under Redis's seed.
func hash(b []byte) uint64 {
	const (
		seed = 0xadc83b19
		m    = 0xc6a4a7935bd1e995
		r    = 47
	)
	h := seed ^ uint64(len(b))*m
	for ; len(b) >= 8; b = b[8:] {
		k := binary.LittleEndian.Uint64(b) * m
		k = (k ^ k>>r) * m
		h = (h ^ k) * m
	}
	if len(b) > 0 {
		var rest uint64
		for i, c := range b {
			rest |= uint64(c) << (8 * i)
		}
		h = (h ^ rest) * m
	}
	h = (h ^ h>>r) * m
	return h ^ h>>r
}
