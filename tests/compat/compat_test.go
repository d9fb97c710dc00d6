package compat

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/realredis"
)

// TestSameAsRedis is a short make compat, always of the same commands.
func TestSameAsRedis(t *testing.T) {
	o := Options{Commands: 20_000, Seed: 1, Most: 3}
	if testing.Short() {
		o.Commands = 4000
	}
	var out bytes.Buffer
	o.Out = &out
	result, err := Run(o)
	unavailable(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(result.Summary())
	if len(result.Differing) > 0 {
		t.Errorf("%s%s", out.Bytes(), result.Summary())
	}
}

// TestFindsDifferences plants wrong replies: each is found, and made as short as it can be.
func TestFindsDifferences(t *testing.T) {
	tests := []struct {
		name, command, reply, with string   // ^ is the reply's begin
		only                       string   // the group or the command that is made
		want                       []string // the commands of the script
	}{
		{"a number", "STRLEN", ":3\r\n", ":4\r\n", "string", []string{"3 bytes", "STRLEN"}},
		{"a missing write", "APPEND", ":", ":1", "string", []string{"APPEND"}},
		{"a kind", "HGETALL", "%", "*", "hash", []string{"HGETALL"}},
		{"an order's member", "KEYS", "$2\r\nh0\r\n", "$2\r\nh7\r\n", "hash", []string{"h0", "KEYS"}},
		{"in a transaction", "EXEC", ":0\r\n", ":7\r\n", "hexists", []string{"MULTI", "1", "EXEC"}},
		{"a transaction that is not to run", "EXEC", "^*-1\r\n", "^*0\r\n", "string", []string{"WATCH", "changes", "MULTI", "EXEC"}},
		{"an entry's id", "XRANGE", "$3\r\n1-1\r\n", "$3\r\n1-2\r\n", "stream", []string{"XADD", "XRANGE"}},
		{"a form", "OBJECT", "$8\r\nskiplist\r\n", "$8\r\nlistpack\r\n", "sorted-set", []string{"CONFIG", "member", "OBJECT"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := newRig()
			unavailable(t, err)
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			r.distort = func(args [][]byte, reply []byte) []byte {
				if strings.EqualFold(string(args[0]), tt.command) {
					return bytes.Replace(append([]byte("^"), reply...), []byte(tt.reply), []byte(tt.with), 1)[1:]
				}
				return reply
			}
			var out bytes.Buffer
			result, err := r.run(Options{Commands: 100_000, Seed: 2, Only: tt.only, Most: 1, Out: &out})
			if err != nil {
				t.Fatal(err)
			}
			lines := commandLines(out.String())
			if len(result.Differing) == 0 || len(lines) != len(tt.want) {
				t.Fatalf("found %v, shown as\n%s", result.Differing, out.Bytes())
			}
			if last := strings.ToUpper(lines[len(lines)-1]); !strings.Contains(last, tt.command) {
				t.Errorf("the last command is %q", last)
			}
		})
	}
}

// commandLines are the commands of a printed script.
func commandLines(script string) (lines []string) {
	for block := range strings.SplitSeq(script, "\n\n") {
		if line, _, _ := strings.Cut(block, "\n"); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestSeedDecides shows that a seed decides the commands.
func TestSeedDecides(t *testing.T) {
	r, err := newRig()
	unavailable(t, err)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	made := func(seed uint64) (text string) {
		if err := r.generator(Options{Seed: seed}); err != nil {
			t.Fatal(err)
		}
		for n := range uint64(5) {
			for _, st := range r.sequence(seed, n).steps {
				text += commandLine(st.args) + "\n"
			}
		}
		return text
	}
	nine := made(9)
	if again := made(9); again != nine || made(10) == nine {
		t.Error("the same seed gives others, or another one the same")
	}
}

// unavailable skips a test for want of the right Redis, but never in CI, where nothing
// may be left out.
func unavailable(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, realredis.ErrUnavailable) {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("NOT RUN: ", err)
	}
}
