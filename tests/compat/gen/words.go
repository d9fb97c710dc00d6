package gen

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/resp/spec"
)

// kinds say what the keys of a group's commands hold, as the first letter of their names.
var kinds = map[spec.Group]string{
	spec.String: "s", spec.Hash: "h", spec.List: "l", spec.SetGroup: "t", spec.SortedSet: "z", spec.Geo: "z",
	spec.Bitmap: "s", spec.HyperLogLog: "p", spec.Stream: "x",
}

// Keys are all that it uses, but for the odd ones.
func Keys() (keys []string) {
	for _, kind := range []string{"s", "h", "l", "t", "z", "p", "x"} {
		keys = append(keys, kind+"0", kind+"1", kind+"2", "{a}"+kind, "{b}"+kind)
	}
	return append(keys, "", "k\x00")
}

// makers are the commands that make what many others need: how much more often they
// are made.
var makers = map[string]int{"xadd": 5, "xgroup|create": 2, "xreadgroup": 4, "xclaim": 1, "pfadd": 1}

// AnyKey is a key that the next commands may be about.
func (g *Generator) AnyKey() []byte {
	g.kind = g.pick("s", "h", "l", "t", "z", "p", "x")
	if len(g.theme) > 0 {
		if kind := kinds[g.theme[g.IntN(len(g.theme))].Group]; kind != "" {
			g.kind = kind
		}
	}
	return g.key()
}

// Setting is a value for a setting of the forms: mostly so low that a few elements get
// beyond it.
func (g *Generator) Setting(name string) int64 {
	switch {
	case name == "list-max-listpack-size":
		return []int64{-2, -1, -5, -6, 0, 1, 2, 3, 4, 5, 8, 64}[g.IntN(12)]
	case name == "hll-sparse-max-bytes":
		return []int64{0, 20, 60, 200, 3000, 16000, 20000}[g.IntN(7)]
	case name == "stream-node-max-bytes":
		return []int64{0, 1, 40, 60, 100, 200, 4096}[g.IntN(7)]
	case g.IntN(12) == 0:
		return []int64{512, 128, 1 << 20}[g.IntN(3)]
	}
	return g.Int64N(12)
}

func (g *Generator) key() []byte {
	kind := g.kind
	switch g.IntN(40) {
	case 0, 1:
		kind = g.pick("s", "h", "l", "t", "z", "p", "x")
	case 2:
		return []byte(g.pick("", "k\x00"))
	case 3, 4:
		if kind == "z" { // a set is a sorted set to those that join them
			kind = "t"
		}
	}
	n := g.IntN(5)
	if g.few {
		n = []int{0, 0, 4}[g.IntN(3)]
	}
	if n < 3 {
		return []byte(kind + strconv.Itoa(n))
	}
	return []byte(g.pick("{a}", "{b}") + kind)
}

// words make the arguments of these names.
var words = map[string]func(*Generator) string{
	"bit":          func(g *Generator) string { return g.pick("0", "1", "0", "1", "2") },
	"consumer":     func(g *Generator) string { return g.pick("c1", "c1", "c2", "c2", "c3") },
	"consumername": func(g *Generator) string { return g.pick("c1", "c1", "c2", "c2", "c3") },
	"count":        (*Generator).count,
	"cursor": func(g *Generator) string {
		return g.pick("0", "0", "0", "0", "0", "0", "7", "abc", "-1", "18446744073709551616")
	},
	"db":             (*Generator).db,
	"destination-db": (*Generator).db,
	"encoding":       (*Generator).bitType,
	"end":            (*Generator).bound,
	"entries-added":  (*Generator).count,
	"entries-read":   (*Generator).count,
	"field":          (*Generator).member,
	"frequency":      func(g *Generator) string { return g.pick("0", "7", "255", "256", "-1") },
	"group":          func(g *Generator) string { return g.pick("g1", "g1", "g1", "g2", "g2", "g3") },
	"groupname":      func(g *Generator) string { return g.pick("g1", "g1", "g1", "g2", "g2", "g3") },
	"height":         (*Generator).distance,
	"id":             (*Generator).id,
	"increment":      (*Generator).increment,
	"index":          (*Generator).small,
	"index1":         (*Generator).db,
	"index2":         (*Generator).db,
	"last-id":        (*Generator).id,
	"lastid":         (*Generator).id,
	"latitude": func(g *Generator) string {
		return g.pick("38.115556", "37.502669", "37.5", "-85.05", "0", "86", "x", "40.7")
	},
	"len":   (*Generator).small,
	"limit": (*Generator).small,
	"longitude": func(g *Generator) string {
		return g.pick("13.361389", "15.087269", "15", "-180", "0", "181", "x", "-74")
	},
	"max":                  (*Generator).bound,
	"max-deleted-entry-id": (*Generator).id,
	"maxlen":               (*Generator).small,
	"member":               (*Generator).member,
	"min":                  (*Generator).bound,
	"min-idle-time":        func(g *Generator) string { return g.pick("0", "0", "0", "100000000", "-1", "x") },
	"min-match-len":        (*Generator).small,
	"ms":                   func(g *Generator) string { return g.pick("0", "1000000", "-1") },
	"num-matches":          (*Generator).small,
	"offset":               (*Generator).offset,
	"operation":            func(g *Generator) string { return g.pick("AND", "OR", "XOR", "NOT", "not") },
	"pattern":              (*Generator).pattern,
	"pivot":                (*Generator).member,
	"radius":               (*Generator).distance,
	"rank":                 (*Generator).small,
	"score":                (*Generator).score,
	"seconds":              func(g *Generator) string { return g.life(1) },
	"milliseconds":         func(g *Generator) string { return g.life(1000) },
	"serialized-value":     (*Generator).dump,
	"start":                (*Generator).bound,
	"stop":                 (*Generator).bound,
	"threshold":            func(g *Generator) string { return g.pick(g.small(), g.id()) },
	"timeout":              func(g *Generator) string { return g.pick("0", "0.01", "1", "100", "-1", "x", "1e3", "inf") },
	"ttl":                  func(g *Generator) string { return g.pick("0", "0", g.life(1000)) },
	"type": func(g *Generator) string {
		return g.pick("string", "hash", "list", "set", "zset", "stream", "ZSET", "x")
	},
	"weight": (*Generator).score,
	"width":  (*Generator).distance,
}

// word makes an argument that is no key.
func (g *Generator) word(a *spec.Argument) []byte {
	switch {
	case isCount(a.Name):
		g.times = 1 + g.IntN(3)
		if g.IntN(40) == 0 {
			return []byte(g.pick("0", "-1", "x", "9223372036854775807", "4"))
		}
		return strconv.AppendInt(nil, int64(g.times), 10)
	case g.IntN(60) == 0:
		return g.odd()
	case a.Type == spec.UnixTime:
		return []byte(g.time(a.Name))
	case words[a.Name] != nil:
		return []byte(words[a.Name](g))
	case a.Type == spec.Integer:
		return []byte(g.integer())
	case a.Type == spec.Double:
		return []byte(g.score())
	case a.Type == spec.Pattern:
		return []byte(g.pattern())
	case g.group == spec.Bitmap:
		return []byte(g.pick("0", "1", "1", g.integer()))
	case g.group == spec.Hash || g.group == spec.Stream || g.group == spec.String || g.group == spec.Generic:
		return g.value()
	}
	return []byte(g.member())
}

// any is some word.
func (g *Generator) any() []byte {
	switch g.IntN(5) {
	case 0:
		return g.key()
	case 1:
		return []byte(g.pick("NX", "XX", "GT", "LT", "COUNT", "WITHSCORES", "LIMIT", "GET", "STORE", "KEEPTTL", "REPLACE", "MATCH", "*"))
	case 2:
		return g.odd()
	}
	return []byte(g.member())
}

// odd is a word that is at the edge of what something takes, but of nothing that would
// make or answer gigabytes.
func (g *Generator) odd() []byte {
	word := g.pick("", "-1", "0", "-0", "+1", "01", " 1", "1 ", "1.5", "1e3", "0x10", "nan", "inf", "-inf", "abc", "-", "+", "(", "[", "*", "$", "\x00", "\xff",
		"2147483647", "2147483648", "-2147483649", "4294967296", "9223372036854775807", "-9223372036854775808", "9223372036854775808",
		"18446744073709551615", "18446744073709551616", "1-1", "0-0", "1-", "1e400", "NX", "COUNT")
	if strings.HasPrefix(strings.TrimPrefix(word, "-"), "21474836") && (g.group == spec.Bitmap || g.group == spec.String || strings.Contains(g.name, "rand")) {
		return []byte("abc")
	}
	return []byte(word)
}

// member is one of few, of all lengths that matter.
func (g *Generator) member() string {
	switch n := g.IntN(40); {
	case n < 20:
		return string(rune('a' + g.IntN(8)))
	case n < 30:
		return strconv.Itoa(g.IntN(30) - 5)
	case n == 30:
		return ""
	case n == 31:
		return g.pick("a\x00", "\xff\xfe", "a b", "\"q\"", "\r\n")
	case n == 32:
		return strings.Repeat("m", 64)
	case n == 33:
		return strings.Repeat("m", 65)
	case n == 34:
		return string(g.odd())
	case n == 35:
		return g.pick("100", "127", "128", "4095", "4096", "32767", "32768", "-32769", "8388607", "8388608", "2147483648", "-4096", "-4097", "-8388609")
	case n == 36:
		return g.pick("Palermo", "Catania", "edge1", "edge2")
	}
	return strconv.Itoa(g.IntN(1 << 16))
}

// value is a number, a short string, or one that does not live in its entry.
func (g *Generator) value() []byte {
	switch n := g.IntN(12); {
	case n < 4:
		return []byte(g.member())
	case n == 4:
		return []byte(g.integer())
	case n == 5:
		return []byte(g.score())
	case n == 6 && g.Long:
		return bytes.Repeat([]byte{byte(g.IntN(256))}, g.IntN(9000))
	case n == 7 && g.Long && g.IntN(8) == 0:
		return bytes.Repeat([]byte{byte('a' + g.IntN(26))}, g.IntN(150_000))
	case n == 8:
		return bytes.Repeat([]byte("xyz")[:1+g.IntN(3)], g.IntN(40))
	case n == 9:
		return binary.BigEndian.AppendUint32(nil, g.Uint32())
	}
	return []byte(g.pick("abc", "abcabc", "xaybzc", "hello world", "ohmytext", "mynewtext"))
}

func (g *Generator) small() string { return strconv.Itoa(g.IntN(24) - 8) }

func (g *Generator) integer() string {
	if g.IntN(4) > 0 {
		return strconv.Itoa(g.IntN(140) - 20)
	}
	return string(g.odd())
}

// count stays far from what would be answered with gigabytes.
func (g *Generator) count() string {
	if g.IntN(12) == 0 {
		return g.pick("9223372036854775807", "-9223372036854775808", "9223372036854775808", "2147483648", "x", "", "100", "-100")
	}
	return strconv.Itoa(g.IntN(16) - 4)
}

func (g *Generator) db() string { return g.pick("0", "0", "1", "1", "2", "15", "16", "-1", "x") }

// offset stays far from what would make a string of half a gigabyte.
func (g *Generator) offset() string {
	switch g.IntN(12) {
	case 0:
		return g.pick("-1", "x", "4294967296", "536870912", "9223372036854775807", "-0", "01", "#9223372036854775807")
	case 1:
		return strconv.Itoa(g.IntN(200_000))
	case 2:
		return "#" + strconv.Itoa(g.IntN(20))
	case 3:
		return strconv.Itoa(g.IntN(5000))
	}
	return strconv.Itoa(g.IntN(80))
}

func (g *Generator) bitType() string {
	return g.pick("u", "i") + g.pick("1", "2", "5", "8", "16", "31", "32", "63", "64", "0", "65", "x")
}

func (g *Generator) score() string {
	switch n := g.IntN(20); {
	case n < 10:
		return strconv.Itoa(g.IntN(20) - 5)
	case n < 15:
		return strconv.FormatFloat(float64(g.IntN(1000)-500)/8, 'g', -1, 64)
	case n < 17:
		return g.pick("inf", "-inf", "+inf", "1e300", "-1e300", "1e-300", "-0", "0", "3.0")
	case n < 18:
		return g.pick("9007199254740993", "0.1", "1.1", "123456789012345678", "1e17", "1e16", "0.3333333333333333", "17179869184")
	}
	return strconv.FormatFloat(g.NormFloat64()*100, 'g', -1, 64)
}

func (g *Generator) increment() string {
	if g.group == spec.SortedSet || strings.HasSuffix(g.name, "float") {
		return g.score()
	}
	return g.integer()
}

func (g *Generator) distance() string {
	return g.pick("0", "1", "100", "200", "1000", "5000.5", "100000", "-1", "x")
}

// bound is an end of a range: of indexes, scores, members, or ids.
func (g *Generator) bound() string {
	switch {
	case g.group == spec.Stream:
		return g.pick("-", "+", "-", "+", g.id(), "("+g.id())
	case g.group != spec.SortedSet:
		return g.small()
	case strings.Contains(g.name, "lex"), g.IntN(8) == 0:
		return g.pick("-", "+", "[", "(", "[", "(", "[") + g.member()
	case strings.Contains(g.name, "score"), g.IntN(4) == 0, strings.HasSuffix(g.name, "count"):
		return g.pick("", "", "(") + g.score()
	}
	return g.small()
}

// id is a stream entry's.
func (g *Generator) id() string {
	switch n := g.IntN(20); {
	case n < 9:
		return strconv.Itoa(1+g.IntN(12)) + "-" + strconv.Itoa(g.IntN(3))
	case n < 11:
		return strconv.Itoa(g.IntN(14))
	case n < 12:
		return strconv.Itoa(g.IntN(12)) + "-*"
	case n < 14:
		return g.pick("$", ">", ">", "0", "*")
	case n < 15:
		return g.pick("18446744073709551615-18446744073709551615", "18446744073709551615", "0-0", "0-1", "18446744073709551616-1")
	}
	return g.pick(">", "0", "$", "0-0", strconv.Itoa(20+g.IntN(100))+"-1")
}

func (g *Generator) pattern() string {
	switch g.IntN(6) {
	case 0:
		return g.pick("h*->a", "s*", "*", "#", "nosort", "h*->b", "s0")
	case 1:
		return g.pick("[a-d]*", "?", "", "\\*", "[^a]", "m*", "h?llo")
	}
	return g.pick("*", "*", "?0", "[h-t]*", "{a}*", "a*", "s1")
}

// dump is a serialized value, at times one that is broken.
func (g *Generator) dump() string {
	if len(g.Dumps) == 0 {
		return string(g.value())
	}
	d := bytes.Clone(g.Dumps[g.IntN(len(g.Dumps))])
	if len(d) > 0 && g.IntN(12) == 0 {
		d[g.IntN(len(d))] ^= 1 << g.IntN(8)
	}
	return string(d)
}

// life is a time to live, in seconds times scale.
func (g *Generator) life(scale int64) string {
	switch {
	case g.IntN(10) == 0:
		return g.pick("0", "-1", "x", "", "9223372036854775807", "-9223372036854775808", "9223372036854775")
	case g.Near:
		return strconv.FormatInt(g.Int64N(130), 10)
	}
	return strconv.FormatInt((1000+10*g.Int64N(1_000_000))*scale, 10)
}

// time is an absolute time, in seconds or milliseconds by the argument's name.
func (g *Generator) time(name string) string {
	ms := (4_000_000_000 + 10*g.Int64N(4)) * 1000
	switch {
	case g.IntN(10) == 0:
		return g.pick("1", "0", "-1", "x", "9223372036854775807")
	case g.Near:
		ms = g.Now + g.Int64N(400) - 50
	}
	if !strings.Contains(name, "milli") {
		ms /= 1000
	}
	return strconv.FormatInt(ms, 10)
}
