package commands

import (
	"math/big"
	"strings"

	"github.com/raftkv/raftkv/resp"
)

// longDouble is the number type of INCRBYFLOAT and its kind: the x87 extended
// double that C calls long double on the machines that Redis's behaviour is
// known from, 64 bits of mantissa, computed in software so that every
// replica agrees whatever its processor. The zero value is 0.
type longDouble struct {
	f   *big.Float // nil for 0 and where inf is set
	inf bool
}

const (
	ldPrecision = 64
	// ldMaxExp bounds finite numbers: they are below 2 to this power.
	ldMaxExp = 16384
	// ldMinExp bounds numbers above zero: half the smallest, which still rounds to
	// zero, is 2 to the power ldMinExp-1.
	ldMinExp = -16445
	// maxLongDouble is the longest text that Redis reads as such a number.
	maxLongDouble = 5*1024 - 1
)

// parseLongDouble reads the text of a number as C's strtold does, without spaces
// around it: decimal or hexadecimal, inf and infinity. The nearest number is
// taken, the even one of two. What rounds to zero or infinity is refused, and so
// is nan. Source: redis/src/util.c:string2ld.
func parseLongDouble(s string) (longDouble, error) {
	if len(s) > maxLongDouble {
		return longDouble{}, resp.ErrNotFloat
	}
	text := s
	negative := strings.HasPrefix(text, "-")
	if negative || strings.HasPrefix(text, "+") {
		text = text[1:]
	}
	if lower := strings.ToLower(text); lower == "inf" || lower == "infinity" {
		return longDouble{inf: true}, nil
	}
	base, expBase, expMark := 10, int64(10), byte('e')
	if len(text) > 2 && text[0] == '0' && text[1]|0x20 == 'x' {
		text, base, expBase, expMark = text[2:], 16, 2, 'p'
	}
	digits, exp, ok := scanNumber(text, base, expMark)
	if !ok {
		return longDouble{}, resp.ErrNotFloat
	}
	if digits == "" {
		return longDouble{}, nil
	}
	mantissa, _ := new(big.Int).SetString(digits, base)
	// Far out of range, and the power too large to compute.
	if exp > 17000 || exp < -38000 {
		return longDouble{}, resp.ErrNotFloat
	}
	f := scale(mantissa, expBase, exp)
	if negative {
		f.Neg(f)
	}
	if e := f.MantExp(nil); e > ldMaxExp || tooSmall(f) {
		return longDouble{}, resp.ErrNotFloat
	}
	return longDouble{f: f}, nil
}

// scanNumber splits a number without its sign into its digits, without point and
// without leading zeros, and the exponent that belongs to them as an integer.
func scanNumber(s string, base int, expMark byte) (digits string, exp int, ok bool) {
	perDigit := 1 // of the exponent; a hexadecimal digit is four bits
	if base == 16 {
		perDigit = 4
	}
	var b strings.Builder
	i, point, any := 0, false, false
	for ; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '.' && !point:
			point = true
			continue
		case !isDigit(c, base):
		default:
			any = true
			if c != '0' || b.Len() > 0 {
				b.WriteByte(c)
			}
			if point {
				exp -= perDigit
			}
			continue
		}
		break
	}
	if !any {
		return "", 0, false
	}
	if i == len(s) {
		return b.String(), exp, true
	}
	if s[i]|0x20 != expMark {
		return "", 0, false
	}
	written, ok := scanExponent(s[i+1:])
	return b.String(), exp + written, ok
}

func isDigit(c byte, base int) bool {
	return '0' <= c && c <= '9' || base == 16 && 'a' <= c|0x20 && c|0x20 <= 'f'
}

// scanExponent reads the digits of an exponent; beyond a million they don't count.
func scanExponent(s string) (n int, ok bool) {
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	for i := range len(s) {
		if !isDigit(s[i], 10) {
			return 0, false
		}
		n = min(n*10+int(s[i]-'0'), 1_000_000)
	}
	if negative {
		n = -n
	}
	return n, len(s) > 0
}

// scale is mantissa * base^exp, rounded once.
func scale(mantissa *big.Int, base int64, exp int) *big.Float {
	f := new(big.Float).SetPrec(ldPrecision)
	power := exp
	if power < 0 {
		power = -power
	}
	pow := new(big.Int).Exp(big.NewInt(base), big.NewInt(int64(power)), nil)
	if exp >= 0 {
		return f.SetInt(mantissa.Mul(mantissa, pow))
	}
	return f.Quo(new(big.Float).SetInt(mantissa), new(big.Float).SetInt(pow)) // both exact
}

// tooSmall says whether a number that is not 0 rounds to 0.
func tooSmall(f *big.Float) bool {
	var m big.Float
	e := f.MantExp(&m) // 0.5 <= |m| < 1
	half := m.Abs(&m).Cmp(big.NewFloat(0.5)) == 0
	return e < ldMinExp || e == ldMinExp && half
}

// plus adds. It refuses a result that is not finite.
func (a longDouble) plus(b longDouble) (longDouble, error) {
	if a.inf || b.inf {
		return longDouble{}, resp.ErrNaNOrInf
	}
	if a.f == nil || b.f == nil {
		if a.f == nil {
			return b, nil
		}
		return a, nil
	}
	sum := new(big.Float).SetPrec(ldPrecision).Add(a.f, b.f)
	if sum.MantExp(nil) > ldMaxExp {
		return longDouble{}, resp.ErrNaNOrInf
	}
	return longDouble{f: sum}, nil
}

// append writes the number as Redis stores it: 17 decimals without the zeros at
// their end, never an exponent, never "-0". Source: redis/src/util.c:ld2string,
// LD_STR_HUMAN.
func (a longDouble) append(dst []byte) []byte {
	if a.f == nil {
		return append(dst, '0')
	}
	text := strings.TrimRight(a.f.Text('f', 17), "0")
	text = strings.TrimSuffix(text, ".")
	if text == "-0" {
		text = "0"
	}
	return append(dst, text...)
}
