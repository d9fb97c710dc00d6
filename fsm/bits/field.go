package bits

import "math"

// Field is an integer type of any width.
type Field struct {
	Signed bool
	Width  int // 1 to 64 bits, 63 where it is not signed
}

// Window is how many bytes a field of any width and offset can touch.
const Window = 9

// Get reads the field that begins at a bit of b.
func (f Field) Get(b []byte, at int) int64 {
	var v uint64
	for rest := f.Width; rest > 0; {
		n := min(8-at%8, rest) // what of it lies in this byte
		part := b[at/8] >> (8 - at%8 - n) & (1<<n - 1)
		v = v<<n | uint64(part)
		at, rest = at+n, rest-n
	}
	return f.wrap(v)
}

// Put writes the field that begins at a bit of b.
func (f Field) Put(b []byte, at int, value int64) {
	for rest := f.Width; rest > 0; {
		n := min(8-at%8, rest)
		shift := 8 - at%8 - n
		mask := byte(1<<n-1) << shift
		part := byte(uint64(value)>>(rest-n)) << shift
		b[at/8] = b[at/8]&^mask | part&mask
		at, rest = at+n, rest-n
	}
}

// wrap is the field's integer that has the same lowest bits.
func (f Field) wrap(v uint64) int64 {
	unused := 64 - f.Width
	if f.Signed {
		return int64(v<<unused) >> unused
	}
	return int64(v << unused >> unused)
}

// Overflow says what becomes of an integer that does not fit its field.
type Overflow byte

// The ways of BITFIELD's OVERFLOW.
const (
	Wrap Overflow = iota
	Saturate
	Fail
)

// Fit is the field's value for an integer; ok is false where it does not fit and how is
// Fail. Where nothing negative fits, it counts as too large, as in Redis.
func (f Field) Fit(value int64, how Overflow) (fit int64, ok bool) {
	least, most := f.bounds()
	switch {
	case value >= least && value <= most:
		return value, true
	case value < least && f.Signed:
		return f.overflow(uint64(value), least, how)
	}
	return f.overflow(uint64(value), most, how)
}

// Add is a field's value and an increment together; ok is as Fit's.
func (f Field) Add(value, increment int64, how Overflow) (sum int64, ok bool) {
	least, most := f.bounds()
	wrapped := uint64(value) + uint64(increment)
	switch {
	case increment > 0 && value > most-increment:
		return f.overflow(wrapped, most, how)
	case increment < 0 && value < math.MinInt64-increment, increment < 0 && value+increment < least:
		return f.overflow(wrapped, least, how)
	}
	return value + increment, true
}

func (f Field) bounds() (least, most int64) {
	if f.Signed {
		return -1 << (f.Width - 1), 1<<(f.Width-1) - 1
	}
	return 0, 1<<f.Width - 1
}

func (f Field) overflow(wrapped uint64, bound int64, how Overflow) (int64, bool) {
	switch how {
	case Wrap:
		return f.wrap(wrapped), true
	case Saturate:
		return bound, true
	}
	return 0, false
}
