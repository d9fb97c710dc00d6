package commands

import (
	"bytes"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp/spec"
)

// The keys that the ACL looks at are the ones that the handler uses, whatever else has the
// name of the word before them. Redis 7.0 looks for the first such word, so that there
// a user of "streams" reads any stream, and one of a single destination writes to any.
func TestKeysThatTheHandlerUses(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"XREADGROUP GROUP streams streams STREAMS a >", "a"},
		{"XREADGROUP NOACK GROUP g streams STREAMS a >", "a"},
		{"XREADGROUP COUNT 1 GROUP streams streams STREAMS a streams > >", "a streams"},
		{"XREADGROUP NOACK GROUP g streams STREAMS\x00x a b 0 0", "a b"},
		{"XREADGROUP COUNT x GROUP g c STREAMS a >", "a"},
		{"XREAD STREAMS\x00 a streams b 0 0 0", "a streams b"},
		{"GEORADIUS a 0 0 1 m STORE b", "a b"},
		{"GEORADIUS a 0 0 1 m STORE b STORE c", "a b c"},
		{"GEORADIUS a 0 0 1 m STORE\x00 b", "a b"},
		{"GEORADIUSBYMEMBER a STORE 1 m COUNT 5 storedist b STORE c", "a b c"},
		{"GEORADIUSBYMEMBER a STORE 1 m", "a"},
	} {
		args := Args(bytes.Fields([]byte(tt.line)))
		for _, c := range All() {
			if c.Name != string(args[0]) {
				continue
			}
			keys, _ := spec.Keys(nil, &c.Command, args)
			var got []string
			for _, k := range keys {
				got = append(got, string(args[k.Pos]))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%q: keys %q, want %s", tt.line, got, tt.want)
			}
			if first, _ := spec.FirstKey(&c.Command, args); string(first) != "a" {
				t.Errorf("%q: the first key is %q", tt.line, first)
			}
		}
	}
}

// SET reads with GET, whatever stands behind a NUL.
func TestSetReadsWithGet(t *testing.T) {
	for word, want := range map[string]bool{"GET": true, "get": true, "GET\x00": true, "gEt\x00x": true, "GETS": false, "GE\x00T": false} {
		args := Args{[]byte("SET"), []byte("k"), []byte("v"), []byte(word)}
		keys, _ := spec.Keys(nil, &declSet.Command, args)
		if got := keys[0].Flags&spec.Access != 0; got != want {
			t.Errorf("SET with %q reads: %v", word, got)
		}
	}
}
