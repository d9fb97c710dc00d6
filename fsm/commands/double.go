package commands

import (
	"math"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/resp"
)

// double reads an argument that must be a floating point number: all of it, no space
// before it, not nan, and neither too large nor so small that it would become 0.
// Source: redis/src/util.c:string2d.
func double(arg []byte) (float64, error) { return doubleOr(arg, resp.ErrNotFloat) }

// doubleOr is double with another error.
func doubleOr(arg []byte, fault resp.Error) (float64, error) {
	if f, ok := shortDigits(arg); ok {
		return f, nil
	}
	f, n, lost := strtod(string(arg))
	if len(arg) == 0 || isSpace(arg[0]) || n != len(arg) || lost || math.IsNaN(f) {
		return 0, fault
	}
	return f, nil
}

// shortDigits is what most numbers are: digits alone, so few that the double is exact.
func shortDigits(arg []byte) (f float64, ok bool) {
	const most = 15 // below 2^53
	if len(arg) == 0 || len(arg) > most {
		return 0, false
	}
	n := int64(0)
	for _, c := range arg {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return float64(n), true
}

// strtod reads the number that a text begins with as C's strtod does: spaces before it,
// decimal or hexadecimal, inf and nan. n is how many bytes of the text it took, 0 where
// there is no number; lost says that the number was beyond what a double can be, or so
// small that it became 0.
func strtod(s string) (f float64, n int, lost bool) {
	at := 0
	for at < len(s) && isSpace(s[at]) {
		at++
	}
	start := at
	if at < len(s) && (s[at] == '-' || s[at] == '+') {
		at++
	}
	if f, n := namedDouble(s[at:]); n > 0 {
		if s[start] == '-' {
			f = -f
		}
		return f, at + n, false
	}
	base, expMark := 10, byte('e')
	if len(s) > at+1 && s[at] == '0' && s[at+1]|0x20 == 'x' {
		if digits, _, _ := mantissa(s[at+2:], 16); digits > 0 {
			base, expMark, at = 16, 'p', at+2
		}
	}
	digits, zero, end := mantissa(s[at:], base)
	if digits == 0 {
		return 0, 0, false
	}
	end += at
	exp := exponent(s[end:], expMark)
	text := s[start : end+exp]
	if base == 16 && exp == 0 {
		text += "p0" // Go wants one
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, end + exp, err != nil || f == 0 && !zero
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// namedDouble reads inf, infinity and nan.
func namedDouble(s string) (f float64, n int) {
	if len(s) == 0 || s[0]|0x20 != 'i' && s[0]|0x20 != 'n' {
		return 0, 0
	}
	for _, name := range []string{"infinity", "inf", "nan"} {
		if len(s) < len(name) || !strings.EqualFold(s[:len(name)], name) {
			continue
		}
		if name != "nan" {
			return math.Inf(1), len(name)
		}
		return math.NaN(), len(name)
	}
	return 0, 0
}

// mantissa counts the digits that a text begins with, which may have a point among them,
// and says whether they are all 0, and where they end.
func mantissa(s string, base int) (digits int, zero bool, end int) {
	zero, point := true, false
	for ; end < len(s); end++ {
		switch c := s[end]; {
		case isDigit(c, base):
			digits++
			zero = zero && c == '0'
		case c == '.' && !point:
			point = true
		default:
			return digits, zero, end
		}
	}
	return digits, zero, end
}

// exponent is the length of the exponent that a text begins with, 0 where it has none.
func exponent(s string, mark byte) int {
	if len(s) == 0 || s[0]|0x20 != mark {
		return 0
	}
	at := 1
	if at < len(s) && (s[at] == '-' || s[at] == '+') {
		at++
	}
	first := at
	for at < len(s) && isDigit(s[at], 10) {
		at++
	}
	if at == first {
		return 0
	}
	return at
}
