package server

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/fsm/system"
)

const hello2 = "*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n" + RedisVersion + "\r\n$5\r\nproto\r\n:2\r\n" +
	"$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

const hello3 = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n" + RedisVersion + "\r\n$5\r\nproto\r\n:3\r\n" +
	"$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"

// Texts recorded from redis-server 7.0.15, but for version and mode.
func TestSessionCommands(t *testing.T) {
	const arity = "-ERR wrong number of arguments for '%' command\r\n"
	wrong := func(name string) string { return strings.Replace(arity, "%", name, 1) }
	tests := []struct{ in, want string }{
		{"PING", "+PONG\r\n"},
		{"ping hi", "$2\r\nhi\r\n"},
		{"PING a b", wrong("ping")},
		{"ECHO x", "$1\r\nx\r\n"},
		{"ECHO", wrong("echo")},
		{"SELECT 15", "+OK\r\n"},
		{"SELECT a", "-ERR value is not an integer or out of range\r\n"},
		{"SELECT 03", "-ERR value is not an integer or out of range\r\n"},
		{"SELECT 16", "-ERR DB index is out of range\r\n"},
		{"SELECT -1", "-ERR DB index is out of range\r\n"},
		{"SELECT 99999999999", "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n"},
		{"SELECT 99999999999999999999", "-ERR value is not an integer or out of range\r\n"},
		{"HELLO", hello2},
		{"HELLO 2", hello2},
		{"HELLO 3", hello3},
		{"HELLO 3 AUTH default any SETNAME me", hello3},
		{"HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"},
		{"HELLO 03", "-ERR Protocol version is not an integer or out of range\r\n"},
		{"HELLO 4", "-NOPROTO unsupported protocol version\r\n"},
		{"HELLO 3 AUTH", "-ERR Syntax error in HELLO option 'AUTH'\r\n"},
		{`HELLO 3 SETNAME "a b"`, "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"},
		{"AUTH a", "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?\r\n"},
		{"AUTH a b", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"},
		{"AUTH default b", "+OK\r\n"},
		{"AUTH a b c", "-ERR syntax error\r\n"},
		{"READONLY", "+OK\r\n"},
		{"READWRITE", "+OK\r\n"},
		{"ASKING", "+OK\r\n"},
		{"RESET", "+RESET\r\n"},
		{"RESET a", wrong("reset")},
		{"TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n123456\r\n"},
		{"TIME a", wrong("time")},
		{"WAIT a b", "-ERR value is not an integer or out of range\r\n"},
		{"WAIT 0 a", "-ERR timeout is not an integer or out of range\r\n"},
		{"WAIT 0 -1", "-ERR timeout is negative\r\n"},
		{"WAIT 0 0", ":0\r\n"},
		{"WAIT 1 5", ":0\r\n"},
		{"CLUSTER", wrong("cluster")},
		{"cluster foo", "-ERR unknown subcommand 'foo'. Try CLUSTER HELP.\r\n"},
		{"CLUSTER KEYSLOT", wrong("cluster|keyslot")},
		{"CLUSTER KEYSLOT {user1000}.following", ":3443\r\n"},
		{"CLUSTER MYID", "$40\r\n" + nodeName("node1") + "\r\n"},
		{"CLUSTER SLOTS", "*1\r\n*4\r\n:0\r\n:16383\r\n" + slotsNode("6379", "node1") + slotsNode("6380", "node2")},
		{"REPLICAOF a", wrong("replicaof")},
		{"REPLICAOF NO ONE", "-ERR REPLICAOF is not available: " + insteadReplicaOf + "\r\n"},
		{"CLUSTER MEET a 1", "-ERR CLUSTER MEET is not available: use RAFT.JOIN\r\n"},
		{"SYNC", "-ERR SYNC is not available: " + insteadSync + "\r\n"},
		{"RAFT.JOIN n nowhere", "-ERR 'nowhere' is not a raft address; give host:port\r\n"},
		{"RAFT.JOIN n h:1 VOTER", "-ERR syntax error\r\n"},
		{"RAFT.JOIN n h:1 learner", "+OK\r\n"},
		{"RAFT.LEAVE a b", wrong("raft.leave")},
		{"RAFT.TRANSFER", "+OK\r\n"},
		{"RAFT.SNAPSHOT", "+OK\r\n"},
		{"RAFT.REBUILD", "+OK\r\n"},
		{"RAFT.REBUILD a b", wrong("raft.rebuild")},
		{"RAFT.AUDIT now", wrong("raft.audit")},
		{"RAFT.TOKEN", wrong("raft.token")},
		{"RAFT.TOKEN CREATE", "$13\r\nraftkv-join-x\r\n"},
		{"RAFT.TOKEN CREATE 60", "$13\r\nraftkv-join-x\r\n"},
		{"RAFT.TOKEN CREATE 0", "-" + string(errTokenTTL) + "\r\n"},
		{"RAFT.TOKEN CREATE 2592001", "-" + string(errTokenTTL) + "\r\n"},
		{"RAFT.TOKEN CREATE 1h", "-" + string(errTokenTTL) + "\r\n"},
		{"RAFT.TOKEN CREATE 1 2", "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try RAFT.TOKEN HELP.\r\n"},
		{"RAFT.TOKEN LIST", "*4\r\n$8\r\nrequired\r\n$3\r\nyes\r\n$6\r\ntokens\r\n*1\r\n*4\r\n$2\r\nid\r\n" + bulk(system.HashToken("raftkv-join-x")[:8]) + "$7\r\nexpires\r\n:1700000000\r\n"},
		{"RAFT.TOKEN OFF", "+OK\r\n"},
		{"RAFT.TOKEN OFF now", "-ERR wrong number of arguments for 'raft.token|off' command\r\n"},
		{"EXEC", "-ERR EXEC without MULTI\r\n"},
		{"DISCARD", "-ERR DISCARD without MULTI\r\n"},
		{"UNWATCH", "+OK\r\n"},
		{"MULTI a", wrong("multi")},
		{"QUIT a b", "+OK\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			s := newTestServer(t, func(o *Options) {
				o.Now = func() time.Time { return time.Unix(1700000000, 123456789) }
			})
			c := s.dial()
			c.send(tt.in + "\r\n")
			c.expect(tt.want)
			if strings.HasPrefix(tt.in, "QUIT") {
				c.expectEOF()
				return
			}
			c.roundTrip("PING\r\n", "+PONG\r\n")
		})
	}
}

func slotsNode(port, id string) string {
	return "*4\r\n$9\r\n127.0.0.1\r\n:" + port + "\r\n$40\r\n" + nodeName(id) + "\r\n*0\r\n"
}

func TestRequirePass(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.RequirePass = "secret" })
	const noauth, wrongpass = "-NOAUTH Authentication required.\r\n", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	for _, tt := range []struct{ in, want string }{
		{"PING", noauth},
		{"RAFT.STATUS", noauth},
		{"MULTI", noauth},
		{"HELLO 3", "-" + string(errHelloNoAuth) + "\r\n"},
		{"HELLO 3 AUTH default wrong", wrongpass},
		{"AUTH wrong", wrongpass},
		{"AUTH somebody secret", wrongpass},
		{"AUTH default secret", "+OK\r\n"},
		{"AUTH secret", "+OK\r\n"},
		{"QUIT", "+OK\r\n"},
	} {
		c := s.dial()
		c.send(tt.in + "\r\n")
		c.expect(tt.want)
	}
	c := s.dial()
	// The limits of who gave no password end within the same packet.
	c.send("AUTH secret\r\nPING a b c d e f g h i j k\r\nECHO " + strings.Repeat("x", 20000) + "\r\n")
	c.expect("+OK\r\n-ERR wrong number of arguments for 'ping' command\r\n$20000\r\n" + strings.Repeat("x", 20000) + "\r\n")
	c.roundTrip("AUTH wrong\r\nPING\r\n", wrongpass+"+PONG\r\n")
	c.send("RESET\r\nPING\r\n")
	c.expect("+RESET\r\n" + noauth)
	// What stands before a mistake in a HELLO has taken effect, but for the protocol.
	for _, tt := range []struct{ in, want string }{
		{"HELLO 3 SETNAME x", "-" + string(errHelloNoAuth) + "\r\n+OK\r\n$1\r\nx\r\n"},
		{"HELLO 3 AUTH default wrong SETNAME x", wrongpass + "+OK\r\n$-1\r\n"},
		{"HELLO 3 SETNAME x AUTH default wrong", wrongpass + "+OK\r\n$1\r\nx\r\n"},
		{`HELLO 3 SETNAME x SETNAME "b c"`, "-" + string(errClientName) + "\r\n+OK\r\n$1\r\nx\r\n"},
		{"HELLO 3 SETNAME x BAD", "-ERR Syntax error in HELLO option 'BAD'\r\n+OK\r\n$1\r\nx\r\n"},
		{"HELLO 9 SETNAME x", "-NOPROTO unsupported protocol version\r\n+OK\r\n$-1\r\n"},
	} {
		s.dial().roundTrip(tt.in+"\r\nAUTH secret\r\nCLIENT GETNAME\r\n", tt.want)
	}
	s.dial().roundTrip("HELLO 3 SETNAME x AUTH default secret BAD\r\nCLIENT GETNAME\r\n", "-ERR Syntax error in HELLO option 'BAD'\r\n$1\r\nx\r\n")
	c = s.dial()
	c.send("*11\r\n")
	c.expect("-ERR Protocol error: unauthenticated multibulk length\r\n")
	c.expectEOF()
}

// What one client breaks is nobody else's business.
func TestMalformedInput(t *testing.T) {
	s := newTestServer(t)
	other := s.dial()
	for _, tt := range []struct{ in, want string }{
		{"*1\r\n$9223372036854775807\r\nabc", "-ERR Protocol error: invalid bulk length\r\n"},
		{"*9223372036854775807\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
		{"*1\r\nX4\r\n", "-ERR Protocol error: expected '$', got 'X'\r\n"},
		{"*1\r\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\n"},
		{"GET \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
		{"PING\r\n*a\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"},
		{strings.Repeat("a", 70000), "-ERR Protocol error: too big inline request\r\n"},
	} {
		c := s.dial()
		c.send(tt.in)
		c.expect(tt.want)
		c.expectEOF()
		other.roundTrip("PING\r\n", "+PONG\r\n")
	}
	c := s.dial()
	c.roundTrip("*0\r\n*-1\r\n\r\n\r\nPING\r\n", "+PONG\r\n")
}

func TestCommandTooLarge(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.MaxCommand = 1000 })
	c := s.dial()
	long := strings.Repeat("x", 2000)
	c.roundTrip("PING\r\n*2\r\n$4\r\nECHO\r\n$2000\r\n"+long+"\r\nPING\r\n",
		"+PONG\r\n-ERR command exceeds the maximum size of 1000 bytes\r\n+PONG\r\n")
}

func TestMaxClients(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.MaxClients = 1 })
	c := s.dial()
	c.roundTrip("PING\r\n", "+PONG\r\n")
	refused := s.dial()
	refused.expect("-ERR max number of clients reached\r\n")
	refused.expectEOF()
	c.conn.Close()
	until(t, "the place of the first", func() bool { return s.sessions.len() == 0 })
	s.dial().roundTrip("PING\r\n", "+PONG\r\n")
}

func TestIdleTimeout(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.Timeout = time.Second })
	s.dial().expectEOF()
}

// A client that sends a command slowly is not idle, as in Redis.
func TestSlowIsNotIdle(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.Timeout = time.Second })
	c := s.dial()
	const command = "*1\r\n$4\r\nPING\r\n"
	for i := range command {
		c.send(command[i : i+1])
		<-time.After(120 * time.Millisecond) // 14 of them are longer than the timeout
	}
	c.expect("+PONG\r\n")
	c.expectEOF()
}

// CONFIG SET timeout counts for those who are idle already; who waits for a command's
// end is not idle, and still noticed when it leaves.
func TestTimeoutOfTheIdle(t *testing.T) {
	s := newTestServer(t)
	idle, waiting, admin := s.dial(), s.dial(), s.dial()
	idle.roundTrip("PING\r\n", "+PONG\r\n")
	waiting.send("WAIT 5 0\r\n")
	until(t, "a waiting client", func() bool {
		for _, session := range s.sessions.all() {
			if session.about.blocked.Load() {
				return true
			}
		}
		return false
	})
	admin.roundTrip("CONFIG SET timeout 1000\r\n", "+OK\r\n")
	idle.roundTrip("PING\r\n", "+PONG\r\n")
	admin.roundTrip("CONFIG SET timeout 0\r\n", "+OK\r\n")
	idle.roundTrip("PING\r\n", "+PONG\r\n")
	admin.roundTrip("CONFIG SET timeout 1\r\n", "+OK\r\n")
	idle.expectEOF()
	admin.expectEOF()
	until(t, "the end of all but one", func() bool { return s.sessions.len() == 1 })
	waiting.conn.Close()
	until(t, "the end of the one that waited", func() bool { return s.sessions.len() == 0 })
}

// An append to one argument must not overwrite the next.
func TestArgumentsAreApart(t *testing.T) {
	s := newTestServer(t)
	session := newSession(s.Server, nil)
	defer session.cancel()
	args := parseLine(t, session, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n")
	_ = append(args[1], "overwritten"...)
	if got := string(args[2]); got != "b" {
		t.Errorf("got %q", got)
	}
	_ = append(args, nil)
}

func TestClusterInfo(t *testing.T) {
	s := newTestServer(t)
	reply := localDo(t, s, "CLUSTER", "INFO")
	for _, line := range []string{"cluster_state:ok\r\n", "cluster_slots_assigned:16384\r\n", "cluster_known_nodes:2\r\n", "cluster_size:1\r\n"} {
		if !strings.Contains(reply, line) {
			t.Errorf("no %q in %q", line, reply)
		}
	}
	s.fake.set(func(f *fake) { f.leader.ID = "" })
	if reply := localDo(t, s, "CLUSTER", "INFO"); !strings.Contains(reply, "cluster_state:fail\r\n") {
		t.Errorf("without a leader: %q", reply)
	}
}

func TestRole(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	offset := strconv.FormatUint(s.machine.Applied().Index, 10)
	c.roundTrip("ROLE\r\n", "*3\r\n$6\r\nmaster\r\n:"+offset+"\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n$1\r\n0\r\n")
	s.fake.set(func(f *fake) { f.leader, f.self = node2, false })
	c.roundTrip("ROLE\r\n", "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6380\r\n$9\r\nconnected\r\n:"+offset+"\r\n")
	s.fake.set(func(f *fake) { f.leader.ID = "" })
	c.roundTrip("ROLE\r\n", "*5\r\n$5\r\nslave\r\n$0\r\n\r\n:0\r\n$7\r\nconnect\r\n:"+offset+"\r\n")
}

func TestRaftStatus(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	node := func(id, role, rest string) string {
		m := node1
		if id == "node2" {
			m = node2
		}
		return "*18\r\n$2\r\nid\r\n" + bulk(id) + "$4\r\nrole\r\n" + bulk(role) + "$4\r\nraft\r\n" + bulk(m.Raft) +
			"$4\r\nresp\r\n" + bulk(m.RESP) + "$4\r\nhttp\r\n" + bulk(m.HTTP) + rest
	}
	c.roundTrip("RAFT.STATUS\r\n", "*24\r\n$7\r\nnode-id\r\n$5\r\nnode1\r\n$10\r\ncluster-id\r\n$4\r\nuuid\r\n$15\r\ncluster-version\r\n:2\r\n$4\r\nrole\r\n$6\r\nleader\r\n"+
		"$4\r\nterm\r\n:1\r\n$9\r\nleader-id\r\n$5\r\nnode1\r\n$6\r\nleader\r\n"+bulk(node1.RESP)+
		"$12\r\ncommit-index\r\n:0\r\n$13\r\napplied-index\r\n:0\r\n$14\r\nlast-log-index\r\n:0\r\n$14\r\nsnapshot-index\r\n:0\r\n$5\r\nnodes\r\n*2\r\n"+
		node("node1", "leader", "$11\r\nmatch-index\r\n:0\r\n$3\r\nlag\r\n:0\r\n$15\r\nlast-contact-ms\r\n:0\r\n$13\r\nknown-version\r\n:3\r\n")+
		node("node2", "follower", "$11\r\nmatch-index\r\n$-1\r\n$3\r\nlag\r\n$-1\r\n$15\r\nlast-contact-ms\r\n$-1\r\n$13\r\nknown-version\r\n$-1\r\n"))
}

func bulk(s string) string { return "$" + strconv.Itoa(len(s)) + "\r\n" + s + "\r\n" }

func TestRaftAudit(t *testing.T) {
	s := newTestServer(t)
	c := s.dial()
	node := func(id, digest, verdict string) string {
		return "*6\r\n$2\r\nid\r\n" + bulk(id) + "$6\r\ndigest\r\n" + digest + "$7\r\nverdict\r\n" + bulk(verdict)
	}
	c.roundTrip("RAFT.AUDIT\r\n", "*8\r\n$5\r\nindex\r\n:7\r\n$6\r\ndigest\r\n$2\r\nd1\r\n$7\r\nverdict\r\n$10\r\nincomplete\r\n$5\r\nnodes\r\n*2\r\n"+
		node("node1", bulk("d1"), "ok")+node("node2", "$-1\r\n", "unknown"))
	var asked []string
	s.fake.set(func(f *fake) {
		f.admin = func(what string, args ...string) error {
			asked = append(append(asked, what), args...)
			return &system.RefusedError{Reason: "not now"}
		}
	})
	c.roundTrip("RAFT.AUDIT\r\nRAFT.REBUILD node2\r\n", "-ERR not now\r\n-ERR not now\r\n")
	if got := strings.Join(asked, " "); got != "audit rebuild node2" {
		t.Errorf("asked for %q", got)
	}
}
