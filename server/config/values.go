package config

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
)

// Secret is a string that shows itself in no log.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(set)"
}

// LogValue hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Bytes is a size in bytes, read in Redis's units: k, m and g are powers of 1000,
// kb, mb and gb of 1024.
type Bytes int64

var units = []struct {
	suffix string
	factor int64
}{
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1}, {"", 1},
}

// UnmarshalText reads a number with a unit, in either case.
func (b *Bytes) UnmarshalText(text []byte) error {
	lower := strings.ToLower(string(text))
	for _, u := range units {
		digits, ok := strings.CutSuffix(lower, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || int64(n) > math.MaxInt64/u.factor {
			break
		}
		*b = Bytes(int64(n) * u.factor)
		return nil
	}
	return fmt.Errorf("%q is no size: write a number with b, k, kb, m, mb, g or gb behind it", text)
}
