package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/resp"
)

// Texts recorded from redis-server 7.0.15, those of SETINFO from 7.2's source.
func TestClient(t *testing.T) {
	c := newTestServer(t).dial()
	for _, tt := range []struct{ in, want string }{
		{"CLIENT ID", ":1\r\n"},
		{"CLIENT GETNAME", "$-1\r\n"},
		{"CLIENT SETNAME me", "+OK\r\n"},
		{"CLIENT GETNAME", "$2\r\nme\r\n"},
		{`CLIENT SETNAME "a b"`, "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
		{`CLIENT SETNAME ""`, "+OK\r\n"},
		{"CLIENT GETNAME", "$-1\r\n"},
		{"CLIENT SETINFO lib-name lib", "+OK\r\n"},
		{"CLIENT SETINFO LIB-VER 1.2", "+OK\r\n"},
		{"CLIENT SETINFO lib-x 1", "-ERR Unrecognized option 'lib-x'\r\n"},
		{`CLIENT SETINFO lib-ver "1 2"`, "-ERR lib-ver cannot contain spaces, newlines or special characters.\r\n"},
		{"CLIENT CAPA redirect", "+OK\r\n"},
		{"CLIENT LIST TYPE foo", "-ERR Unknown client type 'foo'\r\n"},
		{"CLIENT LIST TYPE pubsub", "$0\r\n\r\n"},
		{"CLIENT LIST ID 98 99", "$0\r\n\r\n"},
		{"CLIENT LIST ID", "-ERR syntax error\r\n"},
		{"CLIENT LIST ID x", "-ERR Invalid client ID\r\n"},
		{"CLIENT LIST foo", "-ERR syntax error\r\n"},
		{"CLIENT KILL x", "-ERR No such client\r\n"},
		{"CLIENT KILL ID", "-ERR No such client\r\n"},
		{"CLIENT KILL ID 0", "-ERR client-id should be greater than 0\r\n"},
		{"CLIENT KILL ID x", "-ERR client-id should be greater than 0\r\n"},
		{"CLIENT KILL ID 99", ":0\r\n"},
		{"CLIENT KILL ID 1", ":0\r\n"}, // itself, which SKIPME spares
		{"CLIENT KILL ID 1 SKIPME", "-ERR syntax error\r\n"},
		{"CLIENT KILL foo bar", "-ERR syntax error\r\n"},
		{"CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'\r\n"},
		{"CLIENT KILL TYPE replica SKIPME no", ":0\r\n"},
		{"CLIENT KILL SKIPME maybe", "-ERR syntax error\r\n"},
		{"CLIENT KILL USER nobody", "-ERR No such user 'nobody'\r\n"},
		{"CLIENT KILL ADDR 1.1.1.1:1", ":0\r\n"},
		{"CLIENT NO-EVICT maybe", "-ERR syntax error\r\n"},
		{"CLIENT NO-EVICT on", "+OK\r\n"},
		{"CLIENT NO-TOUCH on", "+OK\r\n"},
		{"CLIENT REPLY foo", "-ERR syntax error\r\n"},
	} {
		c.roundTrip(tt.in+"\r\n", tt.want)
	}
}

// lines returns what CLIENT LIST says, by field, of each client.
func lines(t *testing.T, s *testServer, options ...string) []map[string]string {
	t.Helper()
	v, err := resp.Parse([]byte(localDo(t, s, append([]string{"CLIENT", "LIST"}, options...)...)))
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for _, line := range strings.Split(strings.TrimSuffix(v.Text(), "\n"), "\n") {
		fields := make(map[string]string)
		for _, f := range strings.Fields(line) {
			name, value, _ := strings.Cut(f, "=")
			fields[name] = value
		}
		all = append(all, fields)
	}
	return all
}

func TestClientList(t *testing.T) {
	s := newTestServer(t)
	a, b := s.dial(), s.dial()
	b.roundTrip("PING\r\n", "+PONG\r\n")
	a.send("CLIENT SETNAME alice\r\nCLIENT SETINFO lib-name lib\r\nSELECT 2\r\nREADONLY\r\nMULTI\r\nGET k\r\n")
	a.expect(strings.Repeat("+OK\r\n", 5) + "+QUEUED\r\n")
	all := lines(t, s)
	if len(all) != 2 {
		t.Fatalf("%d lines", len(all))
	}
	byAddr := make(map[string]map[string]string)
	for _, l := range all {
		byAddr[l["addr"]] = l
	}
	line := byAddr[a.conn.LocalAddr().String()]
	for name, want := range map[string]string{
		"laddr": s.addr, "name": "alice", "flags": "xr", "db": "2", "multi": "1", "cmd": "get", "user": "default", "resp": "2", "lib-name": "lib", "lib-ver": "",
	} {
		if line[name] != want {
			t.Errorf("%s: got %q, want %q", name, line[name], want)
		}
	}
	if other := byAddr[b.conn.LocalAddr().String()]; other["flags"] != "N" || other["multi"] != "-1" || other["name"] != "" {
		t.Errorf("the other one: %v", other)
	}
	if one := lines(t, s, "ID", line["id"], "99"); len(one) != 1 || one[0]["name"] != "alice" {
		t.Errorf("by id: %v", one)
	}
	if normal := lines(t, s, "TYPE", "normal"); len(normal) != 2 {
		t.Errorf("by type: %v", normal)
	}
}

func TestClientKill(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("PING\r\n", "+PONG\r\n")
	victim := func() *client {
		v := s.dial()
		v.roundTrip("PING\r\n", "+PONG\r\n")
		return v
	}
	v := victim()
	c.roundTrip("CLIENT KILL "+v.conn.LocalAddr().String()+"\r\n", "+OK\r\n")
	v.expectCut()
	v = victim()
	c.roundTrip(fmt.Sprintf("CLIENT KILL ADDR %s LADDR %s USER default TYPE normal\r\n", v.conn.LocalAddr(), s.addr), ":1\r\n")
	v.expectCut()
	v = victim()
	c.roundTrip("CLIENT KILL TYPE normal\r\n", ":1\r\n")
	v.expectCut()
	c.send("CLIENT KILL TYPE normal SKIPME no\r\n")
	c.expect(":1\r\n")
	c.expectEOF()
}

// expectCut expects the end of the connection, orderly or not.
func (c *client) expectCut() {
	c.t.Helper()
	if n, err := c.conn.Read(make([]byte, 10)); err == nil {
		c.t.Fatalf("%d bytes instead of the end", n)
	}
}

func TestClientReply(t *testing.T) {
	const refused = "*1\r\n-ERR Command not allowed inside a transaction\r\n"
	for _, tt := range []struct {
		name, want string
		in         []string
	}{
		{"off and on", "+OK\r\n$1\r\nv\r\n", []string{"CLIENT REPLY OFF", "SET k v", "PING", "NOSUCH", "GET k", "CLIENT REPLY ON", "GET k"}},
		{"skip", "$1\r\nv\r\n", []string{"CLIENT REPLY SKIP", "SET k v", "GET k"}},
		{"skip a session command", "+PONG\r\n", []string{"CLIENT REPLY SKIP", "PING x", "PING"}},
		{"skip within off", "+OK\r\n", []string{"CLIENT REPLY OFF", "CLIENT REPLY SKIP", "PING", "PING", "CLIENT REPLY ON"}},
		{"on after skip", "+OK\r\n+PONG\r\n", []string{"CLIENT REPLY SKIP", "CLIENT REPLY ON", "PING"}},
		{"in a transaction", "+OK\r\n+QUEUED\r\n" + refused, []string{"MULTI", "CLIENT REPLY OFF", "EXEC"}},
	} {
		t.Run(tt.name, func(t *testing.T) { newTestServer(t).dial().roundTrip(inline(tt.in...), tt.want) })
	}
}
