package commands

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// geoGenerator makes geo commands. Positions are different ones, so that the order of
// what is found is settled: where distances are equal, Redis's depends on its sorting.
type geoGenerator struct{ zsetGenerator }

func (g geoGenerator) key() string {
	if g.IntN(30) == 0 {
		return g.pick("none", "string")
	}
	return g.pick("city", "city", "world", "poles")
}

// point is a position around the center of a key.
func (g geoGenerator) point(key string) []string {
	if g.IntN(60) == 0 {
		return []string{g.pick("180", "-180", "181", "abc", "nan", "0", "1e300", "inf"), g.pick("85.05112878", "-85.05112878", "86", "90", "0", "", "-1e300")}
	}
	lon, lat := g.Float64()*360-180, g.Float64()*170-85
	switch key {
	case "city":
		lon, lat = 13.361389+g.NormFloat64()*0.3, 38.115556+g.NormFloat64()*0.3
	case "poles":
		lat = math.Copysign(70+g.Float64()*15, lat)
	}
	return []string{strconv.FormatFloat(lon, 'f', 9, 64), strconv.FormatFloat(lat, 'f', 9, 64)}
}

func (g geoGenerator) unit() string {
	return g.pick("m", "km", "KM", "ft", "mi", g.pick("m", "m", "m", "x"))
}

func (g geoGenerator) length(key string) []string {
	if g.IntN(40) == 0 {
		return []string{g.pick("0", "-1", "abc", "1e300", "inf"), g.unit()}
	}
	meters := math.Exp(g.Float64() * 17)
	if key == "city" {
		meters = math.Exp(g.Float64() * 12)
	}
	return []string{strconv.FormatFloat(meters/1000, 'f', 3, 64), "km"}
}

func (g geoGenerator) area(key string) (args []string) {
	if g.IntN(2) == 0 {
		args = append(args, "FROMMEMBER", g.member())
	} else {
		args = append(append(args, "FROMLONLAT"), g.point(key)...)
	}
	l := g.length(key)
	if g.IntN(2) == 0 {
		return append(append(args, "BYRADIUS"), l...)
	}
	return append(append(args, "BYBOX", g.length(key)[0]), l...)
}

func (g geoGenerator) options(args []string) []string {
	args = g.maybe(args, g.pick("ASC", "DESC", "asc"))
	args = g.maybe(args, "COUNT", g.pick("1", "3", "10", "0", "abc"))
	return g.with(args, "WITHDIST", "WITHCOORD", "WITHHASH", "withdist", "ANY", "FOO")
}

func (g geoGenerator) next() []string {
	key := g.key()
	switch g.IntN(12) {
	case 0, 1, 2:
		args := g.with([]string{"GEOADD", key}, "NX", "XX", "CH", "CH")
		for range 1 + g.IntN(3) {
			args = append(append(args, g.point(key)...), g.member())
		}
		if g.IntN(30) == 0 {
			args = args[:len(args)-1]
		}
		return args
	case 3:
		return []string{g.pick("GEOPOS", "GEOHASH"), key, g.member(), g.member()}
	case 4:
		return g.maybe([]string{"GEODIST", key, g.member(), g.member()}, g.unit())
	case 5:
		args := append([]string{"GEORADIUS", key}, g.point(key)...)
		args = g.options(append(args, g.length(key)...))
		return g.maybe(args, g.pick("STORE", "STOREDIST"), "d")
	case 6:
		args := append([]string{"GEORADIUSBYMEMBER", key, g.member()}, g.length(key)...)
		return g.maybe(g.options(args), "STORE", "d")
	case 7:
		args := append([]string{"GEORADIUSBYMEMBER_RO", key, g.member()}, g.length(key)...)
		return g.maybe(g.options(args), "STORE", "d")
	case 8:
		args := append([]string{"GEOSEARCHSTORE", "d", key}, g.area(key)...)
		return g.options(args)
	}
	return g.options(append([]string{"GEOSEARCH", key}, g.area(key)...))
}

// roundedApart counts the distances of two replies that differ by one in the last of their
// four decimals; it is very negative if anything else differs. The sines of Redis's library
// may be wrong in the last digit, which makes such a difference once in a while.
func roundedApart(got, want []byte) (n int) {
	const wrong = math.MinInt / 2
	if bytes.Equal(got, want) {
		return 0
	}
	a, b := strings.Split(string(got), "\r\n"), strings.Split(string(want), "\r\n")
	if len(a) != len(b) {
		return wrong
	}
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		x, err1 := strconv.ParseFloat(a[i], 64)
		y, err2 := strconv.ParseFloat(b[i], 64)
		if err1 != nil || err2 != nil || math.Abs(x-y) > 0.00011 || !strings.Contains(a[i], ".") {
			return wrong
		}
		n++
	}
	return n
}

// TestSameAsRedisGeo runs random sequences.
func TestSameAsRedisGeo(t *testing.T) {
	steps := 30000
	if testing.Short() {
		steps = 3000
	}
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		g := geoGenerator{zsetGenerator{generator{rand.New(rand.NewPCG(uint64(our.w.Proto()), 55))}}}
		var last []string
		found, rounded := 0, 0
		check := func(args ...string) {
			t.Helper()
			last = append(last[max(0, len(last)-3):], fmt.Sprintf("%.300q", args))
			got, want := our.do(args...), real.do(args...)
			if rounded += roundedApart(got, want); rounded < 0 {
				at := 0 // replies are long
				for at < min(len(got), len(want)) && got[at] == want[at] {
					at++
				}
				at = max(0, at-200)
				t.Fatalf("after %s\n got %.600q\nwant %.600q", strings.Join(last, "\n"), got[at:], want[at:])
			}
			if strings.HasPrefix(args[0], "GEOS") && got[0] == '*' && got[1] != '0' {
				found++
			}
		}
		check("SET", "string", "x")
		for step := range steps {
			check(g.next()...)
			if step%100 == 0 {
				check("ZRANGE", "city", "0", "-1", "WITHSCORES")
				check("ZRANGE", "world", "0", "-1", "WITHSCORES")
			}
		}
		t.Logf("%d distances differ in their last decimal", rounded)
		if rounded > 3 {
			t.Errorf("%d distances differ in their last decimal", rounded)
		}
		if found < steps/20 {
			t.Errorf("only %d searches of %d commands found anything", found, steps)
		}
	})
}

// TestStoredDistances compares the distances that are stored, all digits of them. A
// library's sines may be wrong in the last digit, Redis's among them.
func TestStoredDistances(t *testing.T) {
	real, our := startRedis(t), newOurs(2)
	g := geoGenerator{zsetGenerator{generator{rand.New(rand.NewPCG(1, 5))}}}
	same, all := 0, 0
	for range 300 {
		for _, key := range []string{"city", "world"} {
			for range 20 {
				args := append(append([]string{"GEOADD", key}, g.point(key)...), g.member())
				our.do(args...)
				real.do(args...)
			}
			args := append(append([]string{"GEOSEARCHSTORE", "d", key, "FROMLONLAT"}, g.point(key)...), "BYRADIUS", "30000", "km", "STOREDIST")
			our.do(args...)
			real.do(args...)
			a, _ := parseReply(t, our.do("ZRANGE", "d", "0", "-1", "WITHSCORES"))
			b, _ := parseReply(t, real.do("ZRANGE", "d", "0", "-1", "WITHSCORES"))
			got, want := a.([]any), b.([]any)
			if len(got) != len(want) {
				t.Fatalf("%q: %d and %d found", args, len(got)/2, len(want)/2)
			}
			for i := 1; i < len(got); i += 2 {
				x, _ := strconv.ParseFloat(got[i].(string), 64)
				y, _ := strconv.ParseFloat(want[i].(string), 64)
				all++
				if x == y {
					same++
				} else if math.Abs(x-y) > 1e-12*y+1e-9 {
					t.Errorf("%q: %v, want %v", args, got[i], want[i])
				}
			}
		}
	}
	t.Logf("%d of %d are the same to the last digit", same, all)
	if same*100 < all*97 {
		t.Errorf("only %d of %d are the same to the last digit", same, all)
	}
}
