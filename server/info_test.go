package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
)

// infoFields reads INFO's reply as clients do: lines end with CRLF.
func infoFields(t *testing.T, s *testServer, sections ...string) map[string]string {
	t.Helper()
	v, err := resp.Parse([]byte(localDo(t, s, append([]string{"INFO"}, sections...)...)))
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]string)
	for _, line := range strings.Split(v.Text(), "\r\n") {
		if strings.Contains(line, "\n") {
			t.Errorf("a bare line feed in %q", line)
		}
		if name, value, ok := strings.Cut(line, ":"); ok {
			if _, twice := fields[name]; twice {
				t.Errorf("%s stands there twice", name)
			}
			fields[name] = value
		}
	}
	return fields
}

func TestInfo(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.Version, o.Commit = "1.0", "abc" })
	c := s.dial()
	c.roundTrip("SET k v\r\n", "+OK\r\n")
	c.roundTrip("SET x v EX 100\r\n", "+OK\r\n")
	c.roundTrip("SELECT 3\r\n", "+OK\r\n")
	c.roundTrip("SET k v\r\n", "+OK\r\n")
	want := map[string]string{
		"redis_version": RedisVersion, "redis_mode": "cluster", "redis_git_sha1": "abc", "raftkv_version": "1.0",
		"connected_clients": "1", "blocked_clients": "0", "maxclients": "10000", "loading": "0",
		"rdb_bgsave_in_progress": "0", "aof_rewrite_in_progress": "0", "total_connections_received": "1",
		"cluster_enabled": "1", "role": "master", "raft_node_id": "node1", "raft_cluster_version": "2", "raft_known_versions": "node1=3,node2=?", "raft_term": "1", "run_id": s.runID,
		"db3": "keys=1,expires=0,avg_ttl=0", "tcp_port": fmt.Sprint(s.port()), "master_repl_offset": fmt.Sprint(s.machine.Applied().Index),
	}
	for _, sections := range [][]string{nil, {"ALL"}, {"everything"}, {"default", "cpu"}} {
		got := infoFields(t, s, sections...)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%v: %s is %q, want %q", sections, name, got[name], value)
			}
		}
		for _, name := range []string{"used_memory", "used_memory_human", "total_commands_processed", "used_cpu_user", "uptime_in_seconds", "process_id"} {
			if got[name] == "" || got[name] == "0" && name == "used_memory" {
				t.Errorf("%v: %s is %q", sections, name, got[name])
			}
		}
		if !strings.HasPrefix(got["db0"], "keys=2,expires=1,avg_ttl=") {
			t.Errorf("db0 is %q", got["db0"])
		}
	}
	if got := infoFields(t, s, "keyspace", "CLUSTER"); len(got) != 3 {
		t.Errorf("two sections: %v", got)
	}
	if got := localDo(t, s, "INFO", "nosuch"); got != "$0\r\n\r\n" {
		t.Errorf("no section: %q", got)
	}
}

func TestInfoOnFollower(t *testing.T) {
	s := newTestServer(t)
	s.fake.set(func(f *fake) { f.leader, f.self = node2, false })
	got := infoFields(t, s, "replication")
	for name, want := range map[string]string{"role": "slave", "master_host": "127.0.0.1", "master_port": "6380", "master_link_status": "up"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	s.fake.set(func(f *fake) { f.leader = system.Member{} })
	if got := infoFields(t, s, "replication"); got["role"] != "slave" || got["master_link_status"] != "down" {
		t.Errorf("without a leader: %v", got)
	}
}

func TestResetstat(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("PING\r\n", "+PONG\r\n")
	if got := localDo(t, s, "CONFIG", "RESETSTAT"); got != "+OK\r\n" {
		t.Fatal(got)
	}
	got := infoFields(t, s, "stats")
	if got["total_connections_received"] != "0" || got["total_commands_processed"] != "1" {
		t.Errorf("after the reset: %v", got)
	}
	if _, accepted, _ := s.Connections(); accepted != 1 {
		t.Errorf("the counters themselves went back: %d", accepted)
	}
}

// TestUsage: what commands cost and how they failed, in pipelines, transactions
// and alone.
func TestUsage(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SET k v\r\nINCR k\r\nGET k\r\nGET none\r\nMGET k none\r\n",
		"+OK\r\n-ERR value is not an integer or out of range\r\n$1\r\nv\r\n$-1\r\n*2\r\n$1\r\nv\r\n$-1\r\n")
	c.roundTrip("GET k\r\nGETRANGE k x 1\r\nGET none\r\n", "$1\r\nv\r\n-ERR value is not an integer or out of range\r\n$-1\r\n")
	c.roundTrip("GET\r\nNOSUCH\r\nCLIENT KILL x\r\n", "-ERR wrong number of arguments for 'get' command\r\n"+
		"-ERR unknown command 'NOSUCH', with args beginning with: \r\n-ERR No such client\r\n")
	c.roundTrip("MULTI\r\nINCR n\r\nINCR k\r\nGET k\r\nEXEC\r\n",
		"+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n:1\r\n-ERR value is not an integer or out of range\r\n$1\r\nv\r\n")
	s.fake.set(func(f *fake) { f.leader, f.self = node2, false })
	c.roundTrip("SET k v\r\n", "-MOVED 7629 127.0.0.1:6380\r\n")
	s.fake.set(func(f *fake) { f.leader, f.self = node1, true })
	check := func(when string, want map[string]string) {
		t.Helper()
		got := infoFields(t, s, "commandstats", "errorstats", "stats")
		for name, value := range want {
			calls, _, _ := strings.Cut(got[name], ",usec=")
			if _, ends, ok := strings.Cut(got[name], ",rejected_calls"); ok {
				calls += ",rejected_calls" + ends
			}
			if calls != value {
				t.Errorf("%s, %s: got %q, want %q", when, name, got[name], value)
			}
		}
	}
	check("before", map[string]string{
		"cmdstat_set": "calls=1,rejected_calls=1,failed_calls=0", "cmdstat_get": "calls=5,rejected_calls=1,failed_calls=0",
		"cmdstat_incr": "calls=3,rejected_calls=0,failed_calls=2", "cmdstat_getrange": "calls=1,rejected_calls=0,failed_calls=1",
		"cmdstat_mget": "calls=1,rejected_calls=0,failed_calls=0", "cmdstat_client|kill": "calls=1,rejected_calls=0,failed_calls=1",
		"cmdstat_exec": "calls=1,rejected_calls=0,failed_calls=0", "cmdstat_del": "",
		"errorstat_ERR": "count=6", "errorstat_MOVED": "count=1", "total_error_replies": "7",
		"keyspace_hits": "4", "keyspace_misses": "3",
	})
	localDo(t, s, "CONFIG", "RESETSTAT")
	check("after", map[string]string{"cmdstat_get": "", "errorstat_ERR": "", "keyspace_hits": "0", "total_error_replies": "0"})
	if got := infoFields(t, s); got["cmdstat_info"] != "" {
		t.Errorf("commandstats without being asked for: %v", got)
	}
}

// TestUsageOnFollower: replies of one proposal are answered one by one there.
func TestUsageOnFollower(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("SET k v\r\nREADONLY\r\n", "+OK\r\n+OK\r\n")
	s.fake.set(func(f *fake) { f.leader, f.self = node2, false })
	c.roundTrip("GET k\r\nGETRANGE k x 1\r\nDBSIZE\r\n", "$1\r\nv\r\n-ERR value is not an integer or out of range\r\n:1\r\n")
	got := infoFields(t, s, "commandstats", "errorstats")
	for name, want := range map[string]string{"cmdstat_get": "failed_calls=0", "cmdstat_getrange": "failed_calls=1", "cmdstat_dbsize": "failed_calls=0", "errorstat_ERR": "count=1"} {
		if !strings.HasSuffix(got[name], want) {
			t.Errorf("%s: got %q, want …%s", name, got[name], want)
		}
	}
}

// TestMayHoldError: what looks like an error in a value is none.
func TestMayHoldError(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	c.roundTrip("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8\r\na\r\n-ERR \r\n", "+OK\r\n")
	c.roundTrip("GET k\r\nDBSIZE\r\n", "$8\r\na\r\n-ERR \r\n:1\r\n")
	if got := infoFields(t, s, "stats")["total_error_replies"]; got != "0" {
		t.Errorf("%s errors", got)
	}
}

func TestRates(t *testing.T) {
	start := time.Unix(100, 0)
	r := &rates{at: start}
	if ops, in, out := r.measure(start.Add(2*time.Second), counts{commands: 10, bytesIn: 100, bytesOut: 200}); ops != 5 || in != 50 || out != 100 {
		t.Errorf("got %v %v %v", ops, in, out)
	}
	if ops, _, _ := r.measure(start.Add(2*time.Second+rateSpan/2), counts{commands: 1000}); ops != 5 {
		t.Errorf("too soon: got %v", ops)
	}
}
