package commands

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
)

func (g generator) bitKey() string {
	if g.IntN(30) == 0 {
		return "set"
	}
	return "b" + strconv.Itoa(g.IntN(5))
}

// bitString is short, or long enough to lie in chunks, and often of one bit's value with
// few exceptions.
func (g generator) bitString() string {
	n := []int{0, 1, 2, 5, 9, 40, 4000, 5000, 65536, 70000, 140000}[g.IntN(11)]
	b := bytes.Repeat([]byte{[]byte{0, 0xff, 0xa5}[g.IntN(3)]}, n)
	for range g.IntN(3) {
		if n > 0 {
			b[g.IntN(n)] = byte(g.IntN(256))
		}
	}
	return string(b)
}

func (g generator) bitIndex() string {
	return g.pick("0", "1", "3", "7", "8", "9", "15", "16", "100", "-1", "-2", "-8", "-9", "-100", "39999", "65535", "65536", "524288", "600000",
		"9223372036854775807", "-9223372036854775808", strconv.Itoa(g.IntN(80)-40), strconv.Itoa(g.IntN(1_200_000)), "x")
}

func (g generator) bitOffset() string {
	if g.IntN(4) > 0 {
		return strconv.Itoa(g.IntN(300))
	}
	return g.pick("0", "7", "32767", "32768", "33000", "524287", "524288", "700000", "-1", "4294967296", "#0", "#3", "#70000", "#-1", "x", "", "#", "#9223372036854775807")
}

func (g generator) encoding() string {
	return g.pick("u1", "u8", "u63", "u64", "u0", "i1", "i8", "i64", "i65", "i", "", "x8", "u08", "u8\x00", "u"+strconv.Itoa(1+g.IntN(63)), "i"+strconv.Itoa(1+g.IntN(64)), "i"+strconv.Itoa(1+g.IntN(64)))
}

func (g generator) bigNumber() string {
	if g.IntN(2) == 0 {
		return strconv.FormatInt(int64(g.Uint64())>>g.IntN(64), 10)
	}
	return g.pick("0", "1", "-1", "127", "128", "255", "256", "-128", "9223372036854775807", "-9223372036854775808", "x")
}

func (g generator) fieldOps() (args []string) {
	for range 1 + g.IntN(4) {
		switch g.IntN(8) {
		case 0, 1:
			args = append(args, g.pick("GET", "get"), g.encoding(), g.bitOffset())
		case 2, 3, 4:
			args = append(args, g.pick("INCRBY", "incrby"), g.encoding(), g.bitOffset(), g.bigNumber())
		case 5, 6:
			args = append(args, g.pick("SET", "set"), g.encoding(), g.bitOffset(), g.bigNumber())
		case 7:
			args = append(args, "OVERFLOW", g.pick("WRAP", "SAT", "FAIL", "fail", "FOO"))
		}
	}
	if g.IntN(20) == 0 {
		args = append(args, g.pick("GET", "FOO", "SET u8 0"))
	}
	return args
}

func (g generator) bitCommand() []string {
	k := g.bitKey()
	unit := func(args ...string) []string { // some of the last words are left out
		return args[:len(args)-g.IntN(4)]
	}
	switch g.IntN(16) {
	case 0, 1:
		return []string{"SET", "b" + strconv.Itoa(g.IntN(5)), g.bitString()}
	case 2:
		return []string{"DEL", "b" + strconv.Itoa(g.IntN(5))}
	case 3, 4:
		return unit("BITCOUNT", k, g.bitIndex(), g.bitIndex(), g.pick("BIT", "BYTE", "bit", "FOO"))
	case 5, 6, 7:
		return unit("BITPOS", k, g.pick("0", "1", "0", "1", "2", "x"), g.bitIndex(), g.bitIndex(), g.pick("BIT", "BYTE", "bit", "FOO"))
	case 8:
		return []string{"GETBIT", k, g.bitOffset()}
	case 9, 10:
		return []string{"SETBIT", k, g.bitOffset(), g.pick("0", "1", "1", "2", "-1", "x")}
	case 11, 12:
		args := []string{"BITOP", g.pick("AND", "OR", "XOR", "NOT", "not", "FOO"), "b" + strconv.Itoa(g.IntN(5))}
		return g.some(args, g.bitKey)
	case 13:
		return append([]string{"BITFIELD_RO", k}, g.fieldOps()...)
	}
	return append([]string{"BITFIELD", k}, g.fieldOps()...)
}

// TestSameAsRedisBitmaps runs random sequences of bitmap commands, and compares the
// strings now and then.
func TestSameAsRedisBitmaps(t *testing.T) {
	steps := 20000
	if testing.Short() {
		steps = 4000
	}
	beside(t, func(t *testing.T, real *realRedis, our *ours) {
		g := generator{rand.New(rand.NewPCG(uint64(our.w.Proto()), 6))}
		var last []string
		errors := 0
		check := func(args ...string) {
			t.Helper()
			last = append(last[max(0, len(last)-8):], fmt.Sprintf("%.90q", args))
			got, want := our.do(args...), real.do(args...)
			if !bytes.Equal(got, want) {
				t.Fatalf("after %s\n got %.300q\nwant %.300q", strings.Join(last, "\n"), got, want)
			}
			if got[0] == '-' {
				errors++
			}
		}
		check("SADD", "set", "x")
		for step := range steps {
			check(g.bitCommand()...)
			if step%10 == 0 {
				check("GET", "b"+strconv.Itoa(g.IntN(5)))
			}
			if step%500 == 0 {
				our.space.Snapshot() // from here on values in place are shared
			}
		}
		if errors > steps/2 {
			t.Errorf("%d of %d commands were refused: this shows little", errors, steps)
		}
	})
}

// TestHugeBitmap goes to the last bit that a string can have.
func TestHugeBitmap(t *testing.T) {
	if testing.Short() {
		t.Skip("half a gigabyte")
	}
	our := newOurs(2)
	for _, tt := range []struct{ line, want string }{
		{"SETBIT k 4294967295 1", ":0"},
		{"SETBIT k 4294967296 1", "-" + string(resp.ErrBitOffset)},
		{"STRLEN k", ":536870912"},
		{"GETBIT k 4294967295", ":1"},
		{"BITCOUNT k", ":1"},
		{"BITCOUNT k 1 -2 BIT", ":0"},
		{"BITPOS k 1", ":4294967295"},
		{"BITPOS k 1 -8 -1 BIT", ":4294967295"},
		{"BITOP NOT k k", ":536870912"},
		{"BITCOUNT k", ":4294967295"},
		{"BITPOS k 0", ":4294967295"},
		{"BITPOS k 0 0 -2 BIT", ":-1"},
		{"BITFIELD k GET u9 4294967288", "*1\r\n:508"}, // seven ones, a zero, and one bit behind the end
		{"BITFIELD k SET u8 4294967289 1", "-" + string(resp.ErrStringTooLong)},
		{"BITFIELD k SET u8 4294967288 7", "*1\r\n:254"},
		{"STRLEN k", ":536870912"},
	} {
		if got := string(our.do(strings.Split(tt.line, " ")...)); got != tt.want+"\r\n" {
			t.Errorf("%s: %q, want %q", tt.line, got, tt.want)
		}
	}
}
