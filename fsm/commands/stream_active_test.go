package commands

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestConsumerTimes: what each command makes of a consumer's two times, as Redis 7.2
// does: when it last asked, and when it last got something that is pending with it.
func TestConsumerTimes(t *testing.T) {
	const start, never = 1_000_000, -1
	for _, c := range []struct {
		command      string
		seen, active int64 // of consumer c afterwards, in milliseconds since start; seen never: there is none
	}{
		{"XREADGROUP GROUP g c STREAMS s >", 500, 500},
		{"XREADGROUP GROUP g c STREAMS s 18446744073709551615-18446744073709551615", 500, 500},
		{"XREADGROUP GROUP g c NOACK STREAMS s >", 500, never},
		{"XREADGROUP GROUP end c STREAMS s >", 500, never},
		{"XREADGROUP GROUP end c BLOCK 10 STREAMS s >", 500, never},
		{"XREADGROUP GROUP end c NOACK STREAMS s >", 500, never},
		{"XREADGROUP GROUP g c STREAMS s 0", 500, never},
		{"XREADGROUP GROUP g c STREAMS s $", never, never},
		{"XREADGROUP GROUP g c STREAMS s none > >", never, never},
		{"XCLAIM s g c 0 1", 500, 500},
		{"XCLAIM s g c 0 1 JUSTID", 500, 500},
		{"XCLAIM s g c 0 1 TIME 1", 500, 500},
		{"XCLAIM s g c 100000 1", 500, never},
		{"XCLAIM s g c 0 3", 500, never},
		{"XCLAIM s g c 0 3 FORCE JUSTID", 500, 500},
		{"XCLAIM s g c 0 9 FORCE", 500, never},
		{"XCLAIM s g c 0 2", 500, never}, // the entry is gone
		{"XCLAIM s g c 0 LASTID 9", 500, never},
		{"XCLAIM s g c 0 1 FOO", never, never},
		{"XAUTOCLAIM s g c 0 0", 500, 500},
		{"XAUTOCLAIM s g c 0 0 JUSTID", 500, 500},
		{"XAUTOCLAIM s g c 0 2 COUNT 1", 500, never}, // the entry is gone
		{"XAUTOCLAIM s g c 100000 0", 500, never},
		{"XAUTOCLAIM s end c 0 0", 500, never},
		{"XAUTOCLAIM s g c 0 0 COUNT 0", never, never},
		{"XGROUP CREATECONSUMER s g c", 500, never},
		{"XPENDING s g - + 10 c", never, never},
	} {
		our := newOurs(2)
		our.now = start
		do := func(line string) string { return string(our.do(strings.Split(line, " ")...)) }
		for _, line := range []string{"XADD s 1 a 1", "XADD s 2 a 1", "XADD s 3 a 1", "XGROUP CREATE s g 0", "XGROUP CREATE s end $", "XREADGROUP GROUP g b COUNT 2 STREAMS s >", "XDEL s 2"} {
			if reply := do(line); reply[0] == '-' {
				t.Fatalf("%s: %s", line, reply)
			}
		}
		our.now = start + 500
		do(c.command)
		our.now = start + 1200
		group := "g"
		if strings.Contains(c.command, " end ") {
			group = "end"
		}
		got := do("XINFO CONSUMERS s " + group)
		inactive, since := int64(never), c.active
		if since != never {
			inactive, since = 1200-since, start+since
		}
		tail := fmt.Sprintf("$4\r\nidle\r\n:%d\r\n$8\r\ninactive\r\n:%d\r\n", 1200-c.seen, inactive)
		times := fmt.Sprintf("$1\r\nc\r\n$9\r\nseen-time\r\n:%d\r\n$11\r\nactive-time\r\n:%d\r\n", start+c.seen, since)
		full := do("XINFO STREAM s FULL")
		if c.seen == never {
			if strings.Contains(got, "$1\r\nc\r\n") {
				t.Errorf("%s: a consumer is made: %q", c.command, got)
			}
		} else if !strings.HasSuffix(got, tail) || !strings.Contains(full, times) {
			t.Errorf("%s: got %q and %q, want %q and %q", c.command, got, full, tail, times)
		}
	}
}

// TestConsumerTimesStay: what gives a consumer nothing, and what does not concern it,
// leaves the time when it was active, and the second of these the other one, too.
func TestConsumerTimesStay(t *testing.T) {
	for command, seen := range map[string]int64{
		"XREADGROUP GROUP g c STREAMS s >": 7000, "XREADGROUP GROUP g c STREAMS s 0": 7000, "XCLAIM s g c 100000 1": 7000, "XAUTOCLAIM s g c 100000 0": 7000,
		"XACK s g 1": 5000, "XGROUP CREATECONSUMER s g c": 5000, "XCLAIM s g d 0 1": 5000, "XPENDING s g - + 5 c": 5000, "XADD s 9 a 1": 5000,
	} {
		our := newOurs(3)
		our.now = 5000
		for _, line := range []string{"XADD s 1 a 1", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >"} {
			our.do(strings.Split(line, " ")...)
		}
		our.now = 7000
		our.do(strings.Split(command, " ")...)
		want := "$9\r\nseen-time\r\n:" + strconv.FormatInt(seen, 10) + "\r\n$11\r\nactive-time\r\n:5000\r\n"
		if got := our.do("XINFO", "STREAM", "s", "FULL"); !bytes.Contains(got, []byte(want)) {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
}

// Consumers in the replies of XINFO, with the field that 7.0 has not.
var activeFields = []*regexp.Regexp{
	regexp.MustCompile(`(?s)([*%])(10|5)\r\n(\$4\r\nname\r\n\$\d+\r\n.*?\r\n\$9\r\nseen-time\r\n:-?\d+\r\n)\$11\r\nactive-time\r\n:-?\d+\r\n`),
	regexp.MustCompile(`(?s)([*%])(8|4)\r\n(\$4\r\nname\r\n\$\d+\r\n.*?\r\n\$7\r\npending\r\n:\d+\r\n\$4\r\nidle\r\n:\d+\r\n)\$8\r\ninactive\r\n:-?\d+\r\n`),
}

// as70 is a reply of ours as 7.0 would give it: consumers without what 7.2 added.
func as70(reply []byte) []byte {
	less := map[string]string{"10": "8", "5": "4", "8": "6", "4": "3"}
	for _, re := range activeFields {
		reply = re.ReplaceAllFunc(reply, func(b []byte) []byte {
			m := re.FindSubmatch(b)
			return slices.Concat(m[1], []byte(less[string(m[2])]+"\r\n"), m[3])
		})
	}
	return reply
}

// makeConsumer makes on a real 7.0 the consumer that 7.2 makes where there is nothing to
// give to it.
func makeConsumer(real *realRedis, args []string, reply []byte) {
	if reply[0] == '-' {
		return
	}
	switch args[0] {
	case "XCLAIM", "XAUTOCLAIM":
		real.do("XGROUP", "CREATECONSUMER", args[1], args[2], args[3])
	case "XREADGROUP":
		argv := make(Args, len(args))
		for i := range args {
			argv[i] = []byte(args[i])
		}
		if o, err := parseReadOptions(argv, true); err == nil {
			for _, key := range o.keys {
				real.do("XGROUP", "CREATECONSUMER", string(key), string(o.group), string(o.consumer))
			}
		}
	}
}
