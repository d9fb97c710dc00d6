package commands

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// dumpSamples are commands that make a key k, and the command that shows it whole.
func dumpSamples() map[string]struct{ make, show []string } {
	type sample = struct{ make, show []string }
	samples := map[string]sample{}
	for name, text := range map[string]string{
		"empty": "", "int8": "-128", "int16": "32767", "int32": "-2147483648", "int64": "2147483648", "no int": "007", "text": "hello",
		"binary": "\x00\xff\r\n", "packed": strings.Repeat("abc", 500), "long": strings.Repeat("x", 70_000) + "y",
		"14 bits": strings.Repeat("\x00\x01\x02\x03", 500), "20": strings.Repeat("q", 20), "21": strings.Repeat("q", 21),
	} {
		samples["string "+name] = sample{[]string{"SET", "k", text}, []string{"GET", "k"}}
	}
	hash := func(name string, pairs ...string) {
		samples["hash "+name] = sample{append([]string{"HSET", "k"}, pairs...), []string{"HGETALL", "k"}}
	}
	hash("one", "f", "v")
	hash("numbers", "0", "127", "-1", "128", "4095", "-4096", "4096", "32767", "32768", "-8388608", "8388608", "2147483647", "2147483648", "-9223372036854775808")
	hash("strings", "", "", "a", strings.Repeat("v", 63), "b", strings.Repeat("v", 64), "\x00", "\xff")
	hash("long value", "a", strings.Repeat("v", 65), "b", strings.Repeat("w", 5000))
	var many []string
	for i := range 600 {
		many = append(many, fmt.Sprint("field", i), fmt.Sprint(i))
	}
	hash("small of many", many[:1000]...)
	hash("large", many...)
	return samples
}

// TestDumpBothWays moves values from the real Redis to ours and the other way.
func TestDumpBothWays(t *testing.T) {
	real, our := startRedis(t), newOurs(3)
	real.do("HELLO", "3")
	for name, s := range dumpSamples() {
		t.Run(name, func(t *testing.T) {
			for _, end := range []interface{ do(...string) []byte }{real, our} {
				end.do("FLUSHALL")
				end.do(s.make...)
			}
			theirs, ours := payload(t, real.do("DUMP", "k")), payload(t, our.do("DUMP", "k"))
			for end, got := range map[string][]byte{
				"ours": our.do("RESTORE", "k", "0", theirs, "REPLACE"), "Redis": real.do("RESTORE", "k", "0", ours, "REPLACE"),
			} {
				if string(got) != "+OK\r\n" {
					t.Fatalf("%s answers %q", end, got)
				}
			}
			if got, want := our.do(s.show...), real.do(s.show...); !bytes.Equal(got, want) && !equalLines(got, want) {
				t.Errorf("got %.300q\nwant %.300q", got, want)
			}
			if got, want := our.do("OBJECT", "ENCODING", "k"), real.do("OBJECT", "ENCODING", "k"); !bytes.Equal(got, want) {
				t.Errorf("encoding %q, want %q", got, want)
			}
		})
	}
}

func equalLines(a, b []byte) bool {
	return fmt.Sprint(sortedLines(a)) == fmt.Sprint(sortedLines(b))
}

// payload is the text of a bulk string.
func payload(t *testing.T, reply []byte) string {
	t.Helper()
	_, text, ok := bytes.Cut(reply, []byte("\r\n"))
	if !ok || reply[0] != '$' {
		t.Fatalf("DUMP answers %.100q", reply)
	}
	return string(bytes.TrimSuffix(text, []byte("\r\n")))
}

// TestRestoreGrows: what a payload unpacks to is foretold.
func TestRestoreGrows(t *testing.T) {
	our := newOurs(2)
	for name, s := range dumpSamples() {
		our.do("FLUSHALL")
		our.do(s.make...)
		args := Args{[]byte("RESTORE"), []byte("copy"), []byte("0"), []byte(payload(t, our.do("DUMP", "k")))}
		before := our.space.Bytes()
		foretold := growsByRestore(nil, args)
		if got := our.do("RESTORE", "copy", "0", string(args[3])); string(got) != "+OK\r\n" {
			t.Fatalf("%s: %q", name, got)
		}
		if grown := our.space.Bytes() - before; grown > foretold {
			t.Errorf("%s: %d bytes more, %d were foretold", name, grown, foretold)
		}
	}
}

// TestDumpGroupBelowNothing: a group's count of entries may go over the end of its
// numbers, and its payload is taken all the same, by both.
func TestDumpGroupBelowNothing(t *testing.T) {
	r := newDumpRig(t, 10)
	r.both("XADD", "k", "1-0", "f", "v")
	r.both("XGROUP", "CREATE", "k", "g", "0", "ENTRIESREAD", "9223372036854775807")
	r.both("XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">")
	for _, p := range []string{payload(t, r.real.do("DUMP", "k")), payload(t, r.our.do("DUMP", "k"))} {
		r.both("RESTORE", "k", "0", p, "REPLACE")
		if got, want := r.our.do("XINFO", "GROUPS", "k"), r.real.do("XINFO", "GROUPS", "k"); !bytes.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}
