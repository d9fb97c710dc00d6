package compat

import (
	"strings"
	"testing"
)

func TestGotNothing(t *testing.T) {
	for _, c := range []struct {
		line, reply string
		want        bool
	}{
		{"XREADGROUP GROUP g c STREAMS a b > >", "*1\r\n*2\r\n$1\r\na\r\n*0\r\n", true},
		{"XREADGROUP GROUP g c STREAMS a b > >", "*2\r\n*2\r\n$1\r\na\r\n*0\r\n*2\r\n$1\r\nb\r\n*0\r\n", false},
		{"XREADGROUP GROUP g c STREAMS a b > >", "%1\r\n$1\r\na\r\n*0\r\n", true},
		{"XREADGROUP GROUP g c STREAMS a b > >", "%2\r\n$1\r\na\r\n*0\r\n$1\r\nb\r\n*0\r\n", false},
		{"XREADGROUP GROUP g c STREAMS a >", "_\r\n", true},
		{"XREADGROUP GROUP g c STREAMS a >", "-NOGROUP\r\n", false},
		{"XCLAIM a g c 0 1-1", "*0\r\n", true},
		{"XAUTOCLAIM a g c 0 0", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n", true},
		{"XADD a * f v", "*0\r\n", false},
	} {
		var args [][]byte
		for _, word := range strings.Fields(c.line) {
			args = append(args, []byte(word))
		}
		if got := gotNothing(exchange{step: step{args: args}, theirs: []byte(c.reply)}); got != c.want {
			t.Errorf("%s, %q: %v", c.line, c.reply, got)
		}
	}
}
