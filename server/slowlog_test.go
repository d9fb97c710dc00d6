package server

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSlowlog(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.Now = func() time.Time { return time.Unix(1700000000, 0) } })
	c := s.dial()
	addr := c.conn.LocalAddr().String()
	entry := func(id, name string, words ...string) string {
		e := "*6\r\n:" + id + "\r\n:1700000000\r\n:0\r\n*" + strconv.Itoa(len(words)) + "\r\n"
		for _, w := range append(words, addr, name) {
			e += "$" + strconv.Itoa(len(w)) + "\r\n" + w + "\r\n"
		}
		return e
	}
	for _, tt := range []struct{ in, want string }{
		{"SLOWLOG LEN", ":0\r\n"},
		{"SLOWLOG GET", "*0\r\n"},
		{"SLOWLOG GET x", "-" + string(errSlowlogCount) + "\r\n"},
		{"SLOWLOG GET -2", "-" + string(errSlowlogCount) + "\r\n"},
		{"SLOWLOG get 1 2", "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.\r\n"},
		{"SLOWLOG foo", "-ERR unknown subcommand 'foo'. Try SLOWLOG HELP.\r\n"},
		{"CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 2", "+OK\r\n"},
		{"SLOWLOG RESET", "+OK\r\n"},
	} {
		c.send(tt.in + "\r\n")
		c.expect(tt.want)
	}
	c.send("SET k v\r\n")
	c.expect("+OK\r\n")
	c.send("SLOWLOG GET 1\r\n")
	c.expect("*1\r\n" + entry("2", "", "SET", "k", "v"))
	c.send("AUTH default secret\r\n")
	c.expect("+OK\r\n")
	c.send("SLOWLOG GET -1\r\n")
	c.expect("*2\r\n" + entry("4", "", "AUTH", "(redacted)", "(redacted)") + entry("3", "", "SLOWLOG", "GET", "1"))
	c.send("CONFIG SET slowlog-log-slower-than -1\r\nPING\r\nSLOWLOG RESET\r\nSLOWLOG LEN\r\n")
	c.expect("+OK\r\n+PONG\r\n+OK\r\n:0\r\n")
}

func TestSlowlogHidesAndShortens(t *testing.T) {
	fields := func(line string) (args [][]byte) {
		for _, w := range strings.Fields(line) {
			args = append(args, []byte(w))
		}
		return args
	}
	for in, want := range map[string]string{
		"GET k":                       "GET k",
		"auth u p":                    "auth (redacted) (redacted)",
		"HELLO 3 AUTH u p SETNAME n":  "HELLO 3 AUTH (redacted) (redacted) SETNAME n",
		"CONFIG SET timeout 1":        "CONFIG SET timeout 1",
		"config set requirepass word": "config set requirepass (redacted)",
		// Refused, or done twice, and secrets all the same.
		"HELLO 3 AUTH a p AUTH b q":              "HELLO 3 AUTH (redacted) (redacted) AUTH (redacted) (redacted)",
		"HELLO 3 AUTH auth auth SETNAME n":       "HELLO 3 AUTH (redacted) (redacted) SETNAME n",
		"HELLO AUTH u":                           "HELLO AUTH (redacted)",
		"CONFIG SET requirepass a requirepass b": "CONFIG SET requirepass (redacted) requirepass (redacted)",
		"CONFIG SET timeout requirepass a":       "CONFIG SET timeout requirepass (redacted)",
	} {
		if got := strings.Join(shorten(hideSecrets(fields(in))), " "); got != want {
			t.Errorf("%s: got %s", in, got)
		}
	}
	long := append(fields(strings.Repeat("a ", 40)), []byte(strings.Repeat("x", 200)))
	if got := shorten(long); len(got) != 32 || got[31] != "... (10 more arguments)" {
		t.Errorf("got %q", got)
	}
	if got, want := shorten(long[40:]), []string{strings.Repeat("x", 128) + "... (72 more bytes)"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestModule(t *testing.T) {
	s := newTestServer(t)
	if got := localDo(t, s, "MODULE", "LIST"); got != "*0\r\n" {
		t.Error(got)
	}
	if got := localDo(t, s, "MODULE", "LOAD", "x"); got != "-ERR MODULE LOAD is not available: this server has no modules\r\n" {
		t.Error(got)
	}
}
