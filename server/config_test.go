package server

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Texts recorded from redis-server 7.0.15, but for what is fixed here.
func TestConfig(t *testing.T) {
	c := newTestServer(t).dial()
	failed := func(name, why string) string {
		return "-ERR CONFIG SET failed (possibly related to argument '" + name + "') - " + why + "\r\n"
	}
	for _, tt := range []struct{ in, want string }{
		{"CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n"},
		{"CONFIG GET nosuch", "*0\r\n"},
		{"CONFIG GET save AppendOnly save", "*4\r\n$10\r\nappendonly\r\n$2\r\nno\r\n$4\r\nsave\r\n$0\r\n\r\n"},
		{"CONFIG GET maxmemory*", "*4\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n"},
		{"CONFIG GET databases", "*2\r\n$9\r\ndatabases\r\n$2\r\n16\r\n"},
		{"CONFIG SET maxmemory", "-ERR wrong number of arguments for 'config|set' command\r\n"},
		{"CONFIG SET timeout 1 maxclients", "-ERR syntax error\r\n"},
		{"CONFIG SET nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"},
		{"CONFIG SET timeout 5 nosuch 3", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"},
		{"CONFIG SET databases 4", failed("databases", "can't set immutable config")},
		{"CONFIG SET save 60", failed("save", "it is always '' here")},
		{`CONFIG SET save "" maxmemory-policy noeviction appendonly NO`, "+OK\r\n"},
		{"CONFIG SET maxmemory 1x", failed("maxmemory", "argument must be a memory value")},
		{"CONFIG SET maxmemory -1", failed("maxmemory", "argument must be a memory value")},
		{"CONFIG SET maxmemory 100mb", "+OK\r\n"},
		{"CONFIG GET maxmemory", "*2\r\n" + bulk("maxmemory") + bulk("104857600")},
		{`CONFIG SET maxmemory ""`, "+OK\r\n"},
		{"CONFIG GET maxmemory", "*2\r\n" + bulk("maxmemory") + bulk("0")},
		{"CONFIG SET maxmemory-policy NOEVICTION", "+OK\r\n"},
		{"CONFIG SET maxmemory-policy lru", failed("maxmemory-policy", "argument(s) must be one of the following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, allkeys-random, noeviction")},
		{"CONFIG SET maxmemory-policy allkeys-lru", failed("maxmemory-policy", "it is always 'noeviction' here: no acknowledged key is ever thrown out")},
		{"CONFIG SET client-query-buffer-limit 1023kb", failed("client-query-buffer-limit", "argument must be between 1048576 and 9223372036854775807 inclusive")},
		{"CONFIG SET client-query-buffer-limit -1", failed("client-query-buffer-limit", "argument must be a memory value")},
		{"CONFIG GET client-query-buffer-limit", "*2\r\n" + bulk("client-query-buffer-limit") + bulk("1073741824")},
		{"CONFIG SET timeout abc", failed("timeout", "argument couldn't be parsed into an integer")},
		{"CONFIG SET timeout -1", failed("timeout", "argument must be between 0 and 2147483647 inclusive")},
		{"CONFIG SET maxclients 0", failed("maxclients", "argument must be between 1 and 4294967295 inclusive")},
		{"CONFIG SET timeout 1 TIMEOUT 2", failed("timeout", "duplicate parameter")},
		{"CONFIG SET timeout 5 maxclients x", failed("maxclients", "argument couldn't be parsed into an integer")},
		{"CONFIG GET timeout", "*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n"}, // all or nothing
		{"CONFIG SET proto-max-bulk-len 1", failed("proto-max-bulk-len", "argument must be between 1048576 and 9223372036854775807 inclusive")},
		{"CONFIG SET proto-max-bulk-len x", failed("proto-max-bulk-len", "argument must be a memory value")},
		{"CONFIG SET proto-max-bulk-len 2mb timeout 7", "+OK\r\n"},
		{"CONFIG GET proto-max-bulk-len timeout", "*4\r\n$18\r\nproto-max-bulk-len\r\n$7\r\n2097152\r\n$7\r\ntimeout\r\n$1\r\n7\r\n"},
		{"CONFIG SET protected-mode maybe", failed("protected-mode", "argument must be 'yes' or 'no'")},
		{"CONFIG SET protected-mode NO", "+OK\r\n"},
		{"CONFIG GET protected-mode", "*2\r\n" + bulk("protected-mode") + bulk("no")},
		{"CONFIG SET protected-mode yes", "+OK\r\n"},
		{"CONFIG GET protected-mode", "*2\r\n" + bulk("protected-mode") + bulk("yes")},
		{"CONFIG REWRITE", "-ERR The server is running without a config file\r\n"},
		{"CONFIG RESETSTAT x", "-ERR wrong number of arguments for 'config|resetstat' command\r\n"},
	} {
		c.roundTrip(tt.in+"\r\n", tt.want)
	}
}

func TestConfigSetTakesEffect(t *testing.T) {
	s := newTestServer(t)
	old := s.dial()
	old.roundTrip("CONFIG SET maxclients 1 requirepass secret\r\n", "+OK\r\n")
	refused := s.dial()
	refused.expect("-ERR max number of clients reached\r\n")
	old.roundTrip("CONFIG SET maxclients 10\r\n", "+OK\r\n")
	fresh := s.dial()
	fresh.send("PING\r\n")
	fresh.expect("-NOAUTH Authentication required.\r\n")
	fresh.roundTrip("AUTH secret\r\n", "+OK\r\n")
	old.roundTrip(`CONFIG SET requirepass ""`+"\r\n", "+OK\r\n")
	s.dial().roundTrip("PING\r\n", "+PONG\r\n")
}

func TestConfigShowsWhereItRuns(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.DataDir, o.Unprotected = "/data", true })
	c := s.dial()
	c.roundTrip("CONFIG GET dir bind protected-mode\r\n", "*6\r\n"+bulk("bind")+bulk("127.0.0.1")+bulk("dir")+bulk("/data")+bulk("protected-mode")+bulk("no"))
	c.roundTrip("CONFIG GET port\r\n", "*2\r\n"+bulk("port")+bulk(fmt.Sprint(s.port())))
}

func TestParameters(t *testing.T) {
	if !slices.IsSortedFunc(parameters, func(a, b parameter) int { return strings.Compare(a.name, b.name) }) {
		t.Error("not in order")
	}
	for text, want := range map[string]int64{"0": 0, "12": 12, "1b": 1, "2k": 2000, "2KB": 2048, "1m": 1e6, "1mb": 1 << 20, "1g": 1e9, "3gb": 3 << 30} {
		if got, ok := parseBytes(text); !ok || got != want {
			t.Errorf("%q: got %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "kb", "-1", "1x", "1 kb", "9223372036854775807kb", "99999999999999999999"} {
		if got, ok := parseBytes(text); ok {
			t.Errorf("%q: got %d", text, got)
		}
	}
}
