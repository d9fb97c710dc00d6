package resp

import (
	"strings"
	"testing"
)

// The texts are what redis-server 7.0.15 replies.
func TestErrorTexts(t *testing.T) {
	words := func(s string) [][]byte {
		var b [][]byte
		for _, w := range strings.Split(s, " ") {
			b = append(b, []byte(w))
		}
		return b
	}
	long := strings.Repeat("x", 200)
	tests := []struct {
		got  Error
		want string
	}{
		{UnknownCommand(words("FOO")), "ERR unknown command 'FOO', with args beginning with: "},
		{UnknownCommand(words("foo bar baz")), "ERR unknown command 'foo', with args beginning with: 'bar' 'baz' "},
		{UnknownCommand(words("x a\x00b c")), "ERR unknown command 'x', with args beginning with: 'a' 'c' "},
		{UnknownCommand(words(long + " " + long + " c")), "ERR unknown command '" + long[:128] + "', with args beginning with: '" + long[:128] + "' "},
		{
			UnknownCommand(words("x " + long[:100] + " " + long + " c")),
			"ERR unknown command 'x', with args beginning with: '" + long[:100] + "' '" + long[:25] + "' ",
		},
		{UnknownSubcommand([]byte("Object"), []byte("xx")), "ERR unknown subcommand 'xx'. Try OBJECT HELP."},
		{SubcommandSyntax([]byte("object"), []byte("FREQ")), "ERR unknown subcommand or wrong number of arguments for 'FREQ'. Try OBJECT HELP."},
		{WrongArity("CLIENT|NO-EVICT"), "ERR wrong number of arguments for 'client|no-evict' command"},
		{InvalidExpire("SET"), "ERR invalid expire time in 'set' command"},
		{Moved(12182, "127.0.0.1:6380"), "MOVED 12182 127.0.0.1:6380"},
		{Errorf("ERR %d of %s", 3, "x"), "ERR 3 of x"},
	}
	for _, tt := range tests {
		if string(tt.got) != tt.want {
			t.Errorf("got  %q\nwant %q", tt.got, tt.want)
		}
	}
}
