package security

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

const (
	byCommand = "restricted user"
	byHTTP    = "restricted user, HTTP"
	noKey     = "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n"
	aborted   = "-EXECABORT Transaction discarded because of previous errors.\r\n"
)

// form is a way of sending a command, and what comes of one that is refused with a text.
type form struct {
	name    string
	raw     func(words []string) string
	refused func(text string) string
}

// forms are all ways there are.
var forms = []form{
	{"plain", func(w []string) string { return line(w...) }, same},
	{"upper case", func(w []string) string { return line(cased(w, strings.ToUpper)...) }, same},
	{"mixed case", func(w []string) string { return line(cased(w, mixedCase)...) }, same},
	{"inline", func(w []string) string { return inline(w...) }, same},
	{"pipelined", func(w []string) string { return line("PING") + line(w...) + line("PING") + line(w...) },
		func(text string) string { return "+PONG\r\n" + text + "+PONG\r\n" + text }},
	{"in MULTI/EXEC", func(w []string) string { return line("MULTI") + line("PING") + line(w...) + line("EXEC") },
		func(text string) string { return "+OK\r\n+QUEUED\r\n" + text + aborted }},
	{"in RESP3", func(w []string) string { return line("HELLO", "3") + line(w...) + line("HELLO", "2") },
		func(text string) string { return text }},
}

func same(text string) string { return text }

// cased changes the case of what names the command.
func cased(words []string, how func(string) string) []string {
	words = slices.Clone(words)
	words[0] = how(words[0])
	if len(words) > 1 && slices.Contains([]string{"OBJECT", "MEMORY", "CONFIG", "ACL", "CLIENT"}, strings.ToUpper(words[0])) {
		words[1] = how(words[1])
	}
	return words
}

func mixedCase(s string) string {
	b := []byte(strings.ToLower(s))
	for i := 0; i < len(b); i += 2 {
		b[i] = strings.ToUpper(string(b[i]))[0]
	}
	return string(b)
}

// keyed are lines of all commands with keys; each @ is one.
var keyed = []string{
	"APPEND @ v", "DECR @", "DECRBY @ 1", "GET @", "GETDEL @", "GETEX @", "GETEX @ PERSIST", "GETEX @ EX 9", "GETRANGE @ 0 -1", "GETSET @ v",
	"INCR @", "INCRBY @ 1", "INCRBYFLOAT @ 1", "LCS @ @", "LCS @ @ LEN", "LCS @ @ IDX WITHMATCHLEN", "MGET @ @ @", "MSET @ v @ v @ v", "MSETNX @ v @ v",
	"PSETEX @ 900000 v", "SET @ v", "SET @ v GET", "SET @ v XX KEEPTTL", "SET @ v NX GET", "SETEX @ 900 v", "SETNX @ v", "SETRANGE @ 1 v", "STRLEN @", "SUBSTR @ 0 -1",
	"COPY @ @", "COPY @ @ REPLACE", "COPY @ @ DB 1 REPLACE", "DEL @ @ @", "EXISTS @ @", "EXPIRE @ 900", "EXPIRE @ 900 NX", "EXPIREAT @ 9999999999", "EXPIRETIME @", "MOVE @ 1",
	"OBJECT ENCODING @", "OBJECT FREQ @", "OBJECT IDLETIME @", "OBJECT REFCOUNT @", "PERSIST @", "PEXPIRE @ 900000", "PEXPIREAT @ 9999999999999", "PEXPIRETIME @", "PTTL @",
	"RENAME @ @", "RENAMENX @ @", "TOUCH @ @", "TTL @", "TYPE @", "UNLINK @ @ @", "MEMORY USAGE @", "MEMORY USAGE @ SAMPLES 0", "WATCH @ @",

	"BITCOUNT @", "BITCOUNT @ 0 -1 BIT", "BITFIELD @ GET u8 0", "BITFIELD @ SET u8 0 1 INCRBY i5 1 1", "BITFIELD_RO @ GET u8 0", "BITOP AND @ @ @", "BITOP NOT @ @", "BITPOS @ 1", "GETBIT @ 1", "SETBIT @ 1 1",
	"PFADD @ a b", "PFCOUNT @ @", "PFMERGE @ @ @",

	"HDEL @ f g", "HEXISTS @ f", "HGET @ f", "HGETALL @", "HINCRBY @ f 1", "HINCRBYFLOAT @ f 1", "HKEYS @", "HLEN @", "HMGET @ f g", "HMSET @ f v", "HRANDFIELD @", "HRANDFIELD @ 2 WITHVALUES", "HSCAN @ 0",
	"HSET @ f v g w", "HSETNX @ f v", "HSTRLEN @ f", "HVALS @", "HEXPIRE @ 900 FIELDS 1 f", "HEXPIREAT @ 9999999999 FIELDS 1 f", "HEXPIRETIME @ FIELDS 1 f", "HPERSIST @ FIELDS 1 f",
	"HPEXPIRE @ 900000 FIELDS 1 f", "HPEXPIREAT @ 9999999999999 FIELDS 1 f", "HPEXPIRETIME @ FIELDS 1 f", "HPTTL @ FIELDS 1 f", "HTTL @ FIELDS 1 f",

	"BLMOVE @ @ LEFT RIGHT 1", "BLMPOP 1 2 @ @ LEFT", "BLPOP @ @ 1", "BRPOP @ @ 1", "BRPOPLPUSH @ @ 1", "LINDEX @ 0", "LINSERT @ BEFORE a b", "LLEN @", "LMOVE @ @ LEFT RIGHT", "LMPOP 2 @ @ LEFT", "LPOP @", "LPOP @ 2",
	"LPOS @ a", "LPUSH @ a b", "LPUSHX @ a", "LRANGE @ 0 -1", "LREM @ 0 a", "LSET @ 0 a", "LTRIM @ 0 -1", "RPOP @", "RPOPLPUSH @ @", "RPUSH @ a b", "RPUSHX @ a",

	"SADD @ a b", "SCARD @", "SDIFF @ @ @", "SDIFFSTORE @ @ @", "SINTER @ @ @", "SINTERCARD 2 @ @", "SINTERSTORE @ @ @", "SISMEMBER @ a", "SMEMBERS @", "SMISMEMBER @ a b", "SMOVE @ @ a", "SPOP @", "SPOP @ 2",
	"SRANDMEMBER @", "SRANDMEMBER @ -2", "SREM @ a b", "SSCAN @ 0", "SUNION @ @ @", "SUNIONSTORE @ @ @",

	"BZMPOP 1 2 @ @ MIN", "BZPOPMAX @ @ 1", "BZPOPMIN @ @ 1", "ZADD @ 1 a 2 b", "ZADD @ XX INCR 1 a", "ZCARD @", "ZCOUNT @ -inf +inf", "ZDIFF 2 @ @", "ZDIFFSTORE @ 2 @ @", "ZINCRBY @ 1 a", "ZINTER 2 @ @", "ZINTERCARD 2 @ @",
	"ZINTERSTORE @ 2 @ @ WEIGHTS 1 2", "ZLEXCOUNT @ - +", "ZMPOP 2 @ @ MIN", "ZMSCORE @ a b", "ZPOPMAX @", "ZPOPMIN @ 2", "ZRANDMEMBER @", "ZRANGE @ 0 -1", "ZRANGE @ - + BYLEX REV", "ZRANGEBYLEX @ - +", "ZRANGEBYSCORE @ -inf +inf",
	"ZRANGESTORE @ @ 0 -1", "ZRANK @ a", "ZREM @ a b", "ZREMRANGEBYLEX @ - +", "ZREMRANGEBYRANK @ 0 -1", "ZREMRANGEBYSCORE @ -inf +inf", "ZREVRANGE @ 0 -1", "ZREVRANGEBYLEX @ + -", "ZREVRANGEBYSCORE @ +inf -inf", "ZREVRANK @ a",
	"ZSCAN @ 0", "ZSCORE @ a", "ZUNION 2 @ @", "ZUNIONSTORE @ 2 @ @ AGGREGATE MAX",

	"GEOADD @ 1 1 a", "GEODIST @ a b", "GEOHASH @ a", "GEOPOS @ a", "GEORADIUS @ 1 1 1 m", "GEORADIUS @ 1 1 1 m STORE @", "GEORADIUS @ 1 1 1 m STOREDIST @", "GEORADIUS_RO @ 1 1 1 m", "GEORADIUSBYMEMBER @ a 1 m",
	"GEORADIUSBYMEMBER @ a 1 m STORE @", "GEORADIUSBYMEMBER_RO @ a 1 m", "GEOSEARCH @ FROMLONLAT 1 1 BYRADIUS 1 m", "GEOSEARCHSTORE @ @ FROMMEMBER a BYBOX 1 1 m",

	"XACK @ g 1", "XADD @ * f v", "XADD @ NOMKSTREAM MAXLEN ~ 9 * f v", "XAUTOCLAIM @ g c 0 0", "XCLAIM @ g c 0 1", "XDEL @ 1", "XGROUP CREATE @ g 0 MKSTREAM", "XGROUP CREATECONSUMER @ g c", "XGROUP DELCONSUMER @ g c",
	"XGROUP DESTROY @ g", "XGROUP SETID @ g 0", "XINFO CONSUMERS @ g", "XINFO GROUPS @", "XINFO STREAM @ FULL", "XLEN @", "XPENDING @ g", "XRANGE @ - +", "XREAD COUNT 1 STREAMS @ @ 0 0", "XREAD BLOCK 1 STREAMS @ 0",
	"XREADGROUP GROUP g c STREAMS @ @ > >", "XREVRANGE @ + -", "XSETID @ 9-9", "XTRIM @ MAXLEN 9",

	"DUMP @",
}

// places where a restricted user can be connected.
func places(w *witness) []*proc.Node { return []*proc.Node{w.leader, w.c.Follower()} }

// TestARestrictedUser: through no form of no command, at no node, does a user get further
// than its rules go.
func TestARestrictedUser(t *testing.T) {
	t.Parallel()
	// DEBUG is allowed, so what keeps it from a user is the user's rules.
	w := before(t, guarded(t, append([]string{"--enable-debug-command", "yes"}, patient...)...))
	for _, user := range [][]any{
		{"nothing", "on", ">pw", "~*", "&*", "+ping", "+multi", "+exec", "+hello"},
		{"app", "on", ">pw", "~app:*", "%R~ro:*", "%W~wo:*", "&*", "+@all", "-@admin", "-@dangerous"},
	} {
		w.leader.MustDo(append([]any{"ACL", "SETUSER"}, user...)...)
	}
	w.everyCommand(t)
	w.everyKey(t)
	w.halfKeys(t)
	w.otherKeys(t)
	w.aroundTheKeys(t)
	w.restrictedHTTP(t)
	w.changedMeanwhile(t)
}

// everyCommand: who may do nothing gets NOPERM for whatever command the node knows.
func (w *witness) everyCommand(t *testing.T) {
	w.attack(t, byCommand, "commands it may not run", func(t *testing.T) (string, string) {
		count := 0
		list := commands(t, w.leader)
		for _, n := range places(w) {
			c := dialAs(t, n, "nothing", "pw")
			for _, d := range list {
				if strings.Contains(d.flags, "no_auth") || slices.Contains([]string{"ping", "multi", "exec"}, d.words[0]) {
					continue // as in Redis: AUTH, HELLO, QUIT, RESET are everybody's
				}
				words := d.anyLine("key1")
				for _, f := range forms {
					got := c.say(f.raw(words))
					name := "'" + strings.Join(d.words, "|") + "'"
					if f.name == "in MULTI/EXEC" { // where some may not even be asked for
						if !strings.HasPrefix(got, "+OK\r\n+QUEUED\r\n-") || !strings.HasSuffix(got, aborted) || strings.Count(got, "QUEUED") != 1 {
							t.Errorf("%s at %s, %s: %q", words, n.ID, f.name, got)
						}
					} else if !strings.Contains(got, "-NOPERM this user has no permissions to run the "+name+" command\r\n") || strings.Contains(got, "value") {
						t.Errorf("%s at %s, %s: %q", words, n.ID, f.name, got)
					}
					count++
				}
			}
		}
		return fmt.Sprintf("all %d commands and subcommands, %d forms, leader and follower: %d lines", len(list), len(forms), count), "NOPERM each time; AUTH, HELLO, QUIT, RESET are open as in Redis"
	})
}

// everyKey: of each line with keys, each key in turn is one that is not the user's.
func (w *witness) everyKey(t *testing.T) {
	for _, d := range commands(t, w.leader) {
		if !d.keyed || !w.may("app", d) {
			continue
		}
		if !slices.ContainsFunc(keyed, func(l string) bool {
			return strings.HasPrefix(strings.ToLower(l)+" ", strings.Join(d.words, " ")+" ")
		}) {
			t.Errorf("no line of %v is tried", d.words)
		}
	}
	own := dialAs(t, w.leader, "app", "pw")
	for _, l := range keyed { // with keys of its own it may: so it is the keys that are refused
		if got := own.say(line(strings.Fields(strings.ReplaceAll(l, "@", "app:1"))...)); strings.Contains(got, "NOPERM") {
			t.Errorf("%s: %q", l, got)
		}
	}
	w.clean(t, "app:1")
	for _, n := range places(w) {
		name := map[bool]string{true: "keys it may not touch", false: "keys it may not touch, READONLY at a follower"}[n == w.leader]
		w.attack(t, byCommand, name, func(t *testing.T) (string, string) {
			c := dialAs(t, n, "app", "pw")
			if got := c.say(line("READONLY")); got != "+OK\r\n" {
				t.Fatal(got)
			}
			count := 0
			for _, l := range keyed {
				for i := range strings.Count(l, "@") {
					words := keysIn(l, i, "key1")
					for _, f := range forms {
						got := c.say(f.raw(words))
						ok := strings.HasSuffix(got, f.refused(noKey))
						switch {
						case f.name == "in RESP3":
							ok = strings.Contains(got, noKey)
						case f.name == "in MULTI/EXEC" && words[0] == "WATCH":
							ok = strings.HasSuffix(got, aborted)
						}
						if !ok || strings.Contains(got, "value1") {
							t.Errorf("%s at %s, %s: %q", words, n.ID, f.name, got)
						}
						count++
					}
				}
			}
			if got := w.leader.MustDo("PTTL", "key1"); got != int64(-1) {
				t.Errorf("key1 expires in %v", got)
			}
			return fmt.Sprintf("%d lines with a foreign key in each place, %d forms: %d lines", len(keyed), len(forms), count), "NOPERM each time"
		})
	}
}

// keysIn is a line whose i-th key is a foreign one and whose others are the user's.
func keysIn(l string, i int, foreign string) []string {
	words := strings.Fields(l)
	at := 0
	for j, word := range words {
		if word != "@" {
			continue
		}
		words[j] = "app:1"
		if at == i {
			words[j] = foreign
		}
		at++
	}
	return words
}

// may says what ACL DRYRUN says of a command with a key of the user's own.
func (w *witness) may(user string, d declared) bool {
	args := []any{"ACL", "DRYRUN", user}
	for _, word := range d.anyLine("app:1") {
		args = append(args, word)
	}
	got, err := w.leader.Do(args...)
	return err == nil && got == "OK"
}

// clean removes keys that a test made.
func (w *witness) clean(t *testing.T, keys ...string) {
	t.Helper()
	c := dialAs(t, w.leader, "default", w.leader.Password)
	for _, db := range []string{"1", "0"} {
		if got := c.say(line("SELECT", db) + line(append([]string{"DEL"}, keys...)...)); strings.Contains(got, "-") {
			t.Fatalf("%q", got)
		}
	}
}

// halfKeys: what may be read only is not written, and what may be written only not read.
func (w *witness) halfKeys(t *testing.T) {
	w.attack(t, byCommand, "keys it may only read, or only write", func(t *testing.T) (string, string) {
		for _, key := range []string{"ro:1", "wo:1"} {
			w.leader.MustDo("SET", key, "half")
		}
		refused := []string{
			"SET ro:1 v", "SET ro:1 v GET", "SETNX ro:1 v", "APPEND ro:1 v", "GETDEL ro:1", "GETEX ro:1", "GETSET ro:1 v", "DEL ro:1", "UNLINK ro:1", "EXPIRE ro:1 9", "PERSIST ro:1",
			"RENAME ro:1 app:1", "RENAME app:1 ro:1", "COPY app:1 ro:1", "MOVE ro:1 1", "INCR ro:1", "MSET app:1 v ro:1 v",
			"GET wo:1", "GETEX wo:1", "GETDEL wo:1", "GETSET wo:1 v", "SET wo:1 v GET", "GETRANGE wo:1 0 -1", "SUBSTR wo:1 0 -1", "MGET ro:1 wo:1", "LCS ro:1 wo:1", "COPY wo:1 app:1",
			"RENAME wo:1 app:1", "INCR wo:1", "INCRBYFLOAT wo:1 1",

			"SETBIT ro:1 1 1", "PFADD ro:1 a", "PFMERGE ro:1 app:1", "HSET ro:1 f v", "HDEL ro:1 f", "HEXPIRE ro:1 9 FIELDS 1 f", "LPUSH ro:1 a", "LPOP ro:1", "LTRIM ro:1 0 0", "LMOVE app:1 ro:1 LEFT LEFT", "LMOVE ro:1 app:1 LEFT LEFT",
			"SADD ro:1 a", "SREM ro:1 a", "SMOVE ro:1 app:1 a", "SUNIONSTORE ro:1 app:1", "ZADD ro:1 1 a", "ZPOPMIN ro:1", "ZRANGESTORE ro:1 app:1 0 -1", "ZUNIONSTORE ro:1 1 app:1", "GEOADD ro:1 1 1 a",
			"GEOSEARCHSTORE ro:1 app:1 FROMMEMBER a BYBOX 1 1 m", "GEORADIUS app:1 1 1 1 m STORE ro:1", "XADD ro:1 * f v", "XDEL ro:1 1", "XTRIM ro:1 MAXLEN 1", "XGROUP CREATE ro:1 g 0", "XACK ro:1 g 1", "XSETID ro:1 9",
			"GETBIT wo:1 1", "BITCOUNT wo:1", "BITFIELD wo:1 SET u8 0 1", "BITFIELD_RO wo:1 GET u8 0", "BITOP NOT app:1 wo:1", "PFCOUNT wo:1", "PFMERGE app:1 wo:1", "DUMP wo:1", "HGET wo:1 f", "HGETALL wo:1", "HINCRBY wo:1 f 1",
			"HRANDFIELD wo:1", "LPOP wo:1", "LRANGE wo:1 0 -1", "LMOVE wo:1 app:1 LEFT LEFT", "SMEMBERS wo:1", "SPOP wo:1", "SMOVE wo:1 app:1 a", "SUNIONSTORE app:1 wo:1", "SSCAN wo:1 0", "ZRANGE wo:1 0 -1", "ZPOPMIN wo:1",
			"ZINCRBY wo:1 1 a", "ZUNIONSTORE app:1 1 wo:1", "ZRANGESTORE app:1 wo:1 0 -1", "GEOSEARCHSTORE app:1 wo:1 FROMMEMBER a BYBOX 1 1 m", "GEOPOS wo:1 a", "XRANGE wo:1 - +", "XREAD STREAMS wo:1 0", "XREADGROUP GROUP g c STREAMS wo:1 >",
			"XINFO STREAM wo:1",
		}
		c := dialAs(t, w.leader, "app", "pw")
		for _, l := range refused {
			for _, f := range forms {
				if got := c.say(f.raw(strings.Fields(l))); !strings.Contains(got, noKey) || strings.Contains(got, "half") {
					t.Errorf("%s, %s: %q", l, f.name, got)
				}
			}
		}
		for _, l := range []string{"GET ro:1", "COPY ro:1 app:1", "MGET ro:1 app:1", "SET wo:1 v", "COPY ro:1 wo:1 REPLACE", "DEL wo:1", "LPUSH wo:1 a", "DEL wo:1", "HSET wo:1 f v", "DEL wo:1"} {
			if got := c.say(line(strings.Fields(l)...)); strings.Contains(got, "-") {
				t.Errorf("%s: %q", l, got)
			}
		}
		w.clean(t, "app:1", "ro:1", "wo:1")
		return fmt.Sprintf("%%R~ro:* and %%W~wo:*: %d lines, %d forms", len(refused), len(forms)), "NOPERM each time; what its half allows is done"
	})
}

// otherKeys: lines in which the word before the keys stands twice, or is another argument.
func (w *witness) otherKeys(t *testing.T) {
	w.attack(t, byCommand, "a second key word", func(t *testing.T) (string, string) {
		w.leader.MustDo("ACL", "SETUSER", "words", "on", ">pw", "~streams", "~STREAMS", "~app:*", "%W~wo:*", "+@all", "-@admin")
		w.leader.MustDo("XADD", "secret", "1", "f", "v")
		w.leader.MustDo("XGROUP", "CREATE", "secret", "g", "0")
		w.leader.MustDo("GEOADD", "app:1", "0", "0", "m")
		w.leader.MustDo("SET", "wo:1", "half")
		c := dialAs(t, w.leader, "words", "pw")
		lines := []string{
			"XREADGROUP NOACK GROUP g streams STREAMS secret >", "XREADGROUP NOACK GROUP g streams streams secret >", "XREADGROUP NOACK GROUP g c STREAMS\x00 secret >", "XREAD STREAMS\x00 secret 0",
			"GEORADIUS app:1 0 0 1 m STORE app:1 STORE secret", "GEORADIUS app:1 0 0 1 m STORE\x00 secret", "GEORADIUSBYMEMBER app:1 m 1 m STOREDIST app:1 STOREDIST\x00 secret", "SET wo:1 v GET\x00",
		}
		for _, l := range lines {
			if got := c.say(line(strings.Fields(l)...)); got != noKey {
				t.Errorf("%q: %q", l, got)
			}
		}
		w.leader.MustDo("ACL", "DELUSER", "words")
		w.clean(t, "app:1", "wo:1", "secret")
		return fmt.Sprintf("%q", lines), "NOPERM each time"
	})
}

// aroundTheKeys: names that only look like the user's, and ways to become another.
func (w *witness) aroundTheKeys(t *testing.T) {
	w.attack(t, byCommand, "names like its own", func(t *testing.T) (string, string) {
		c := dialAs(t, w.leader, "app", "pw")
		names := []string{"app", "APP:1", " app:1", "xapp:1", "\x00app:1", "ap\x00p:1", "app;1", "", "*", "app*", "{app:}1", "key1\x00app:1"}
		for _, name := range names {
			for _, words := range [][]string{{"GET", name}, {"SET", name, "v"}, {"MGET", "app:1", name}, {"RENAME", "app:1", name}} {
				if got := c.say(line(words...)); got != noKey {
					t.Errorf("%q: %q", words, got)
				}
			}
		}
		return fmt.Sprintf("%q", names), "NOPERM each time"
	})
	w.attack(t, byCommand, "out of its rules", func(t *testing.T) (string, string) {
		for _, n := range places(w) {
			c := dialAs(t, n, "app", "pw")
			for _, words := range [][]string{
				{"ACL", "SETUSER", "app", "allkeys"}, {"ACL", "LIST"}, {"ACL", "GETUSER", "default"}, {"ACL", "DELUSER", "nothing"}, {"ACL", "LOG"}, {"CONFIG", "SET", "requirepass", ""}, {"CONFIG", "GET", "*"},
				{"CLIENT", "LIST"}, {"CLIENT", "KILL", "USER", "default"}, {"FLUSHALL"}, {"FLUSHDB"}, {"SWAPDB", "0", "1"}, {"KEYS", "*"}, {"INFO"}, {"SHUTDOWN"}, {"SLOWLOG", "GET"}, {"MONITOR"},
				{"RAFT.JOIN", "nodeX", "127.0.0.1:1"}, {"RAFT.LEAVE", "node2"}, {"RAFT.TRANSFER"}, {"RAFT.TOKEN", "CREATE"}, {"RAFT.TOKEN", "OFF"}, {"RAFT.REBUILD"}, {"RAFT.SNAPSHOT"}, {"DEBUG", "SLEEP", "0"}, {"SAVE"},
			} {
				for _, f := range forms {
					got := c.say(f.raw(words))
					if f.name == "in MULTI/EXEC" && strings.HasPrefix(got, "+OK\r\n+QUEUED\r\n-ERR Command not allowed inside a transaction\r\n-EXECABORT ") {
						continue // for nobody
					}
					if !strings.Contains(got, "-NOPERM ") && !(words[0] == "MONITOR" && strings.Contains(got, "-ERR unknown command")) {
						t.Errorf("%s at %s, %s: %q", words, n.ID, f.name, got)
					}
				}
			}
			become := line("MULTI") + line("AUTH", "default", "wrong") + line("GET", "key1") + line("EXEC") + line("AUTH", "nothing", "wrong") + line("HELLO", "2", "AUTH", "default", "pw") + line("GET", "key1")
			if got := c.say(become); strings.Contains(got, "value1") || strings.Count(got, "WRONGPASS") < 2 || !strings.HasSuffix(got, noKey) {
				t.Errorf("at %s: %q", n.ID, got)
			}
			c.ask, c.end = line("AUTH", mark, mark), wrongPass // it is nobody now
			if got := c.say(line("RESET") + line("GET", "key1")); !strings.HasPrefix(got, "+RESET\r\n") || strings.Contains(got, "value1") {
				t.Errorf("RESET at %s: %q", n.ID, got)
			}
		}
		return "ACL, CONFIG, CLIENT, FLUSHALL, RAFT.* …, all forms, leader and follower (which would forward); AUTH in MULTI, HELLO AUTH, RESET", "NOPERM, WRONGPASS, NOAUTH"
	})
}
