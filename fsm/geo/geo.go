// Package geo is Redis's geohash: positions on the earth as 52-bit integers, which a
// sorted set keeps as scores, the distance of two positions, and which ranges of scores
// hold all positions of an area. It computes the same on every processor. It knows no
// sorted sets, no commands and no replies.
package geo

import "math"

// The positions that there are, in degrees. Those of the Mercator projection: the poles
// have no place in it.
const (
	MinLongitude, MaxLongitude = -180.0, 180.0
	MinLatitude, MaxLatitude   = -85.05112878, 85.05112878
)

// Point is a position in degrees.
type Point struct{ Longitude, Latitude float64 }

// Valid says whether a position can be encoded.
func (p Point) Valid() bool {
	return p.Longitude >= MinLongitude && p.Longitude <= MaxLongitude && p.Latitude >= MinLatitude && p.Latitude <= MaxLatitude
}

// maxStep is the bits of each coordinate in a score.
const maxStep = 26

// cell is a rectangle of the earth: step bits of latitude and of longitude, interleaved,
// a latitude's bit last. The zero cell is none.
type cell struct {
	bits uint64
	step uint
}

// span is the range of one coordinate.
type span struct{ min, max float64 }

var (
	longitudes = span{MinLongitude, MaxLongitude}
	latitudes  = span{MinLatitude, MaxLatitude}
)

// encode returns the cell that a position is in, among cells of that step.
func encode(p Point, longitudes, latitudes span, step uint) cell {
	return cell{interleave(latitudes.index(p.Latitude, step), longitudes.index(p.Longitude, step)), step}
}

// index is the place of a coordinate among 2^step of them. The greatest coordinate is
// beyond the last place, as in Redis.
func (s span) index(x float64, step uint) uint32 {
	return uint32((x - s.min) / (s.max - s.min) * float64(uint64(1)<<step))
}

// at is the coordinate where a place begins.
func (s span) at(index uint32, step uint) float64 {
	part := float64(index) / float64(uint64(1)<<step)
	return s.min + float64(part*(s.max-s.min))
}

// area is what a cell covers.
func (c cell) area() (longitude, latitude span) {
	lat, long := deinterleave(c.bits)
	return span{longitudes.at(long, c.step), longitudes.at(long+1, c.step)}, span{latitudes.at(lat, c.step), latitudes.at(lat+1, c.step)}
}

// Score returns the score of a valid position.
func Score(p Point) float64 { return float64(encode(p, longitudes, latitudes, maxStep).bits) }

// FromScore returns the middle of the cell that a score stands for. Any score stands for
// one, as in Redis.
func FromScore(score float64) Point {
	long, lat := cell{toUint64(score), maxStep}.area()
	return Point{
		Longitude: min(max((long.min+long.max)/2, MinLongitude), MaxLongitude),
		Latitude:  min(max((lat.min+lat.max)/2, MinLatitude), MaxLatitude),
	}
}

// toUint64 is C's conversion of a double on the processors that Redis's behaviour is
// known from, also where C leaves it open: negative numbers wrap around.
func toUint64(f float64) uint64 {
	const two63 = 1 << 63
	switch {
	case f >= two63*2:
		return 0
	case f >= two63:
		return uint64(f-two63) + two63
	case f < -two63:
		return two63
	}
	return uint64(int64(f))
}

// Hash returns the usual geohash of a score's position, of 11 characters. That one has
// latitudes up to the poles.
func Hash(score float64) string {
	const alphabet = "0123456789bcdefghjkmnpqrstuvwxyz"
	bits := encode(FromScore(score), longitudes, span{-90, 90}, maxStep).bits
	var text [11]byte
	for i := range text {
		text[i] = alphabet[0]
		if i < 10 { // there are 52 bits, so the last character says nothing
			text[i] = alphabet[bits>>(52-5*(i+1))&31]
		}
	}
	return string(text[:])
}

// interleave gives the bits of x the even places and those of y the odd ones.
func interleave(x, y uint32) uint64 { return spread(x) | spread(y)<<1 }

// deinterleave is its inverse.
func deinterleave(bits uint64) (x, y uint32) { return gather(bits), gather(bits >> 1) }

var spreadMasks = [...]uint64{0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f, 0x00ff00ff00ff00ff, 0x0000ffff0000ffff}

// spread puts a zero before each bit.
func spread(v uint32) uint64 {
	x := uint64(v)
	for i := len(spreadMasks) - 1; i >= 0; i-- {
		x = (x | x<<(1<<i)) & spreadMasks[i]
	}
	return x
}

// gather takes every second bit.
func gather(x uint64) uint32 {
	x &= spreadMasks[0]
	for i := 1; i < len(spreadMasks); i++ {
		x = (x | x>>(1<<(i-1))) & spreadMasks[i]
	}
	return uint32(x | x>>16)
}

// earthRadius is the quadratic mean radius of WGS-84, in meters.
const earthRadius = 6372797.560856

const degree = math.Pi / 180

// radians turns degrees into radians.
func radians(degrees float64) float64 { return float64(degrees * degree) }

// Distance returns the length of the great circle between two positions, in meters.
func Distance(a, b Point) float64 {
	lat1, lat2 := radians(a.Latitude), radians(b.Latitude)
	u := sin((lat2 - lat1) / 2)
	v := sin((radians(b.Longitude) - radians(a.Longitude)) / 2)
	// The haversine formula, rounded after each step.
	cosines := float64(float64(float64(cos(lat1)*cos(lat2))*v) * v)
	h := float64(u*u) + cosines
	return float64(2 * earthRadius * asin(math.Sqrt(h)))
}
