package server

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func debugCommand() []command { return []command{declDebug} }

var declDebug = command{
	Command: spec.Command{
		Name: "DEBUG", Arity: -2, Group: spec.Server, Flags: spec.Admin | spec.NoScript | spec.Loading | spec.Stale,
		Since: "1.0.0", Cost: "Depends on the subcommand.",
		Summary: "Holds what looks inside the server, and what tests need. The flag --enable-debug-command allows it; DEBUG HELP lists it.",
	},
	run: cmdDebug,
	// What looks at keys is a data command.
	data: func(args [][]byte) bool {
		if len(args) < 2 {
			return false
		}
		d, ok := debuggings.Get(args[1])
		return ok && d.run == nil
	},
}

// debugging is a part of DEBUG, which to COMMAND and ACL is one command, as in Redis.
type debugging struct {
	spec.Command
	// run is nil for what looks at keys: that is a data command (fsm/commands/debug.go).
	run func(s *Session, args [][]byte, w *resp.Writer) error
}

// debuggings are all parts there are: those here, those that look at keys, and those of
// Redis that make no sense here and say why.
var debuggings = newDebuggings()

func newDebuggings() *spec.Table[debugging] {
	list := []debugging{
		debugPart("CHANGE-REPL-ID", "", debugNever("the cluster's id is for life")),
		debugPart("CLIENT-EVICTION", "", debugClientEviction, "Not available: no client is ever closed for want of memory."),
		debugPart("DIGEST", "", nil, "Outputs a digest of all data, the one that Redis has for the same data."),
		debugPart("DIGEST-VALUE", "[key [key ...]]", nil, "Outputs the digests of the values of keys."),
		debugPart("ERROR", "message", debugError, "Replies with an error of that text."),
		debugPart("HTSTATS", "dbid", nil, "Tells how many keys a database holds, and how many of them expire."),
		debugPart("HTSTATS-KEY", "key", nil, "Tells how many members a large hash, set or sorted set has."),
		debugPart("JMAP", "", debugHeap, "Shows what Go's heap holds, by the sizes of objects."),
		debugPart("LOG", "message", debugLog, "Writes a message to this node's log."),
		debugPart("OBJECT", "key", nil, "Shows how a value is stored, and how long it is in an RDB file."),
		debugPart("POPULATE", "count [prefix] [size]", debugPopulate, "Creates string keys named key:<num>, or with another prefix, through the log. Those there already are left alone."),
		debugPart("PROTOCOL", "type", debugProtocol, "Replies with a value of a type: string, integer, double, bignum, null, array, set, map, attrib, push, verbatim, true, false."),
		debugPart("RELOAD", "[option ...]", debugReload, "Replaces this node's state by what its own snapshot gives, and checks that nothing was lost."),
		debugPart("SDSLEN", "key", nil, "Tells how much memory a string and its key take."),
		debugPart("SET-ACTIVE-EXPIRE", "<0 | 1>", debugActiveExpire, "0 has the whole cluster keep what has expired in memory, where nobody sees it; 1 has it removed again."),
		debugPart("SLEEP", "seconds", debugSleep, "Has this node serve no client for so long. It remains a member of the cluster meanwhile."),
		debugPart("STRINGMATCH-TEST", "", debugMatch, "Has random patterns matched, to see that none ends the server."),
		debugPart("STRUCTSIZE", "", debugStructSize, "Tells the width of this machine's words."),
	}
	for _, how := range []struct{ name, summary string }{
		{"ASSERT", "Ends this node at once by a failed assertion."},
		{"OOM", "Ends this node at once, as it ends without memory."},
		{"PANIC", "Ends this node at once by a panic."},
		{"SEGFAULT", "Ends this node at once by a violation of memory."},
	} {
		list = append(list, debugPart(how.name, "", debugCrash, how.summary))
	}
	for _, gone := range debugLeftOut {
		list = append(list, debugPart(gone.name, gone.syntax, debugNever(gone.why)))
	}
	return spec.NewTable(list, func(d *debugging) *spec.Command { return &d.Command })
}

// debugLeftOut are the parts of Redis 7.2's DEBUG that have no counterpart here.
var debugLeftOut = []struct{ name, syntax, why string }{
	{"AOF-FLUSH-SLEEP", "microsec", "there is no append-only file; nothing is acknowledged before it is on disk"},
	{"CLUSTERLINK", "KILL <TO | FROM | ALL> node-id", "nodes talk Raft, not Redis's cluster bus"},
	{"CONFIG-REWRITE-FORCE-ALL", "", "the configuration file is never written"},
	{"CRASH-AND-RECOVER", "[milliseconds]", "DEBUG PANIC ends the node, whoever started it starts it again"},
	{"DICT-RESIZING", "<0 | 1>", "tables are trees, which never resize"},
	{"DROP-CLUSTER-PACKET-FILTER", "packet-type", "nodes talk Raft, not Redis's cluster bus"},
	{"LEAK", "string", "memory that nobody refers to is collected"},
	{"LISTPACK", "key", "values are not kept in listpacks; DUMP shows the form that Redis has"},
	{"LOADAOF", "", "there is no append-only file; use DEBUG RELOAD"},
	{"MALLCTL", "key [value]", "the allocator is Go's; see MEMORY MALLOC-STATS"},
	{"MALLCTL-STR", "key [value]", "the allocator is Go's; see MEMORY MALLOC-STATS"},
	{"PAUSE-CRON", "<0 | 1>", "there is no cron job"},
	{"QUICKLIST", "key [0 | 1]", "lists are not kept in quicklists; see DEBUG OBJECT"},
	{"QUICKLIST-PACKED-THRESHOLD", "size", "a list keeps elements of all sizes in the same way"},
	{"REPLICATE", "string [string ...]", "nothing reaches another node but through the log"},
	{"REPLYBUFFER", "<PEAK-RESET-TIME | RESIZING> value", "a client has a reply buffer only while there are replies in it"},
	{"RESTART", "[milliseconds]", "SHUTDOWN ends the node, whoever started it starts it again"},
	{"SET-DISABLE-DENY-SCRIPTS", "<0 | 1>", "there are no scripts"},
	{"SET-SKIP-CHECKSUM-VALIDATION", "<0 | 1>", "what is damaged is never taken in"},
	{"ZIPLIST", "key", "values are not kept in ziplists; DUMP shows the form that Redis has"},
}

func debugPart(name, syntax string, run func(*Session, [][]byte, *resp.Writer) error, summary ...string) debugging {
	d := debugging{Command: spec.Command{Name: name, Syntax: syntax, Container: "DEBUG", Group: spec.Server}, run: run}
	if len(summary) > 0 {
		d.Summary = summary[0]
	}
	return d
}

// debugNever answers for a part that makes no sense here.
func debugNever(why string) func(*Session, [][]byte, *resp.Writer) error {
	return func(_ *Session, args [][]byte, _ *resp.Writer) error {
		return resp.Error("ERR DEBUG " + upper(args[1]) + " is not available: " + why)
	}
}

func cmdDebug(s *Session, args [][]byte, w *resp.Writer) error {
	if upper(args[1]) == "HELP" && len(args) == 2 {
		debugHelp(w)
		return nil
	}
	d, ok := debuggings.Get(args[1])
	if !ok || !d.Accepts(len(args)) || d.run == nil {
		return resp.SubcommandSyntax(args[0], args[1])
	}
	return d.run(s, args, w)
}

// debugHelp lists the parts that do something.
func debugHelp(w *resp.Writer) {
	help := spec.Command{Name: "DEBUG"}
	for _, d := range debuggings.All() {
		if d.Summary != "" {
			help.Subcommands = append(help.Subcommands, d.Command)
		}
	}
	spec.WriteHelp(w, &help)
}

// errDebugDenied is Redis's text to the letter.
const errDebugDenied resp.Error = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, " +
	"otherwise you need to set this option in the configuration file, and then restart the server."

// debugDenied says whether enable-debug-command keeps a command from this client.
func (s *Session) debugDenied(decl *spec.Command) bool {
	if decl.Flags&spec.Admin == 0 || decl.Name != "DEBUG" || s.srv.opts.DebugCommand == "yes" {
		return false
	}
	if s.srv.opts.DebugCommand != "local" || s.conn == nil {
		return true
	}
	at, err := netip.ParseAddrPort(s.about.addr)
	return err != nil || !at.Addr().Unmap().IsLoopback()
}

// debugClientEviction answers as Redis does without maxmemory-clients.
func debugClientEviction(*Session, [][]byte, *resp.Writer) error {
	return resp.Error("ERR maxmemory-clients is disabled.")
}

func debugError(_ *Session, args [][]byte, _ *resp.Writer) error { return resp.Error(args[2]) }

func debugLog(s *Session, args [][]byte, w *resp.Writer) error {
	s.srv.log.Warn("DEBUG LOG: "+string(args[2]), "client", s.about.addr)
	w.OK()
	return nil
}

// debugProtocol writes the values that Redis's own tests of clients expect.
func debugProtocol(_ *Session, args [][]byte, w *resp.Writer) error {
	three := func(each func(i int64)) {
		for i := range int64(3) {
			each(i)
		}
	}
	switch upper(args[2]) {
	case "STRING":
		w.BulkString("Hello World")
	case "INTEGER":
		w.Int(12345)
	case "DOUBLE":
		w.Double(3.141)
	case "BIGNUM":
		w.BigNumber("1234567999999999999999999999999999999")
	case "NULL":
		w.Null()
	case "ARRAY":
		w.Array(3)
		three(w.Int)
	case "SET":
		w.Set(3)
		three(w.Int)
	case "MAP":
		w.Map(3)
		three(func(i int64) {
			w.Int(i)
			w.Bool(i == 1)
		})
	case "ATTRIB":
		debugAttribute(w)
	case "PUSH":
		if w.Proto() < 3 {
			return resp.Error("ERR RESP2 is not supported by this command")
		}
		w.Push(2)
		w.BulkString("server-cpu-usage")
		w.Int(42)
		w.BulkString("Some real reply following the push reply")
	case "VERBATIM":
		w.Verbatim("txt", "This is a verbatim\nstring")
	case "TRUE", "FALSE":
		w.Bool(upper(args[2]) == "TRUE")
	default:
		return resp.Error("ERR Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false")
	}
	return nil
}

// debugAttribute writes an attribute, which RESP2 does not have, and what it is of.
func debugAttribute(w *resp.Writer) {
	if w.Proto() == 3 {
		w.Attribute(1)
		w.BulkString("key-popularity")
		w.Array(2)
		w.BulkString("key:123")
		w.Int(90)
	}
	w.BulkString("Some real reply following the attribute")
}

// debugStructSize tells what is true of Redis's line: there are no robj and no sds here.
func debugStructSize(_ *Session, _ [][]byte, w *resp.Writer) error {
	w.BulkString(fmt.Sprintf("bits:%d ", strconv.IntSize))
	return nil
}

// debugMatch matches random patterns; one that panics ends the connection with an error.
func debugMatch(_ *Session, _ [][]byte, w *resp.Writer) error {
	word := func() string {
		const letters = `ab*?[]^-\c`
		b := make([]byte, rand.IntN(20))
		for i := range b {
			b[i] = letters[rand.IntN(len(letters))]
		}
		return string(b)
	}
	for range 100_000 {
		glob.Match(word(), word())
	}
	w.Simple("Apparently Redis did not crash: test passed")
	return nil
}

// debugActiveExpire changes the cluster's setting, as how much an entry removes must be
// the same on all nodes. As in Redis, what is no number is 0.
func debugActiveExpire(s *Session, args [][]byte, w *resp.Writer) error {
	if err := s.permittedBehind(args); err != nil {
		return err
	}
	on := system.Value{Name: system.ActiveExpire}
	if leadingNumber(args[2]) != 0 {
		on.N = 1
	}
	if err := s.changeSettings([]system.Value{on}); err != nil {
		return err
	}
	w.OK()
	return nil
}

// debugCrash ends the process without any order, for tests of what comes after.
func debugCrash(s *Session, args [][]byte, _ *resp.Writer) error {
	if s.srv.opts.Crash == nil {
		return resp.Error("ERR this process cannot be ended by a command")
	}
	how := upper(args[1])
	s.srv.log.Error("this node ends by command", "command", "DEBUG "+how, "client", s.about.addr)
	s.srv.opts.Crash(how)
	return resp.Error("ERR the node did not end")
}
