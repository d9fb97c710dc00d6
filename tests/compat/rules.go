package compat

import (
	"bytes"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/resp"
)

// leftOut are the commands that are not compared, with the reason.
var leftOut = map[string]string{
	"debug":          "looks into the process, and Redis refuses it to clients by default",
	"migrate":        "needs another server",
	"restore-asking": "is RESTORE",
	"object|help":    "lists the subcommands there are, in our own words",
	"memory|help":    "as OBJECT HELP",
	"xinfo|help":     "as OBJECT HELP",
	"xgroup|help":    "as OBJECT HELP",
	"pfdebug":        "looks into the representation, which Redis changes as it counts",
	"pfselftest":     "looks at no key, and takes a second",
}

// rule says how far the replies of some commands may differ.
type rule struct {
	commands string // their full names, separated by spaces
	why      string
	same     func(x *exchange, ours, theirs resp.Value) bool
	asks     bool // same looks at the state
}

// rules are all there are: every other reply, and every error, is the same, byte by byte.
var rules = []rule{
	{"ttl expiretime", "the clock goes on between the two runs of a command", within(2), false},
	{"pttl pexpiretime", "the same, in milliseconds", within(3000), false},
	{"object|idletime", "is 0 here, as a read changes nothing; Redis has a clock for it that may even seem to go back", integers, false},
	{"object|refcount", "what Redis shares follows from the history", integers, false},
	{"object|encoding", "of strings: a function of the content here, in Redis of the history, too; SORT, a read, makes a sorted set a large one there", sameEncoding, false},
	{"memory|usage", "memory is laid out otherwise; Redis shows it of keys whose time has come, too", sameUsage, false},
	{"dbsize", "Redis counts keys whose time has come, until somebody looks at them", sameCount, false},
	{"keys sunion sinter sdiff", "the order is a hash table's", sameMembers, false},
	{"hgetall hkeys hvals smembers", "the order is a hash table's, where it is one", sameTable, true},
	{"dump", "texts are compressed as memory that is not initialized has it in Redis; the order is a hash table's, where it is one; lists are cut into nodes otherwise; a set of integers has them as wide there as the widest that it ever had; the clock goes on for what is pending: both hold the same", sameDump, true},
	{"randomkey", "chance: a key that is there", sameRandomKey, true},
	{"srandmember hrandfield zrandmember", "chance: of the same shape, and members", samePicks, true},
	{"spop", "chance: as many; what either took away is put to rights", samePops, true},
	{"scan hscan sscan zscan", "cursors and order are a hash table's: what whole walks find is the same", sameWalk, true},
	{"sort sort_ro", "the order is a hash table's, where a set is not to be sorted", sameSort, true},
	{"xpending xinfo|consumers xinfo|stream", "the clock goes on: idle and delivery times; a consumer has one field more, 7.2's inactive or active-time, and is seen where it gets nothing, too; radix-tree-nodes tells of a tree that there is not here", sameStream, false},
}

// newer are the command lines that a later Redis gave a meaning, which is ours, and that
// 7.0 refuses.
var newer = []struct {
	commands, why string
	refusal       string // 7.0's, in part
	line          func(args [][]byte) bool
}{
	{"zrank zrevrank", "7.2's WITHSCORE", "wrong number of arguments", func(args [][]byte) bool { return len(args) > 3 }},
	{"xread", "7.4's +, the last entry", "Invalid stream ID", func(args [][]byte) bool { return has(args, "+") }},
}

func isNewer(name string, x *exchange) bool {
	for _, n := range newer {
		if slices.Contains(strings.Fields(n.commands), name) && n.line(x.args) && bytes.Contains(x.theirs, []byte(n.refusal)) {
			return true
		}
	}
	return false
}

// parting are the commands whose replies say nothing where Redis leaves them open. What
// is stored may be another thing from then on, so the sequence ends there.
var parting = []struct {
	commands string
	why      string
	open     func(x *exchange) bool
}{
	{"zrangebylex zrevrangebylex zremrangebylex zlexcount zrange zrangestore", "an order of members is defined for equal scores only", unequalScores},
	{"sort sort_ro", "what sorts equal by texts of other keys has no order in Redis", sortsTexts},
	{"sort sort_ro", "Redis takes an earlier number that was too large for a mistake of this command's (it never resets errno)", staleErrno},
	{"exec", "what changes a stream's groups or its last id is a change of the key for WATCH here, and in Redis it is none", groupsChanged},
	{"exec", madeInside, func(*exchange) bool { return false }}, // compare sees to it
	{"exec", "the version of an absent key rises where another key of its bucket comes into being, and where databases are swapped", absentChanged},
}

const madeInside = "the consumer of what gets nothing is made in 7.2, and not in 7.0: within a transaction that cannot be put to rights"

// verdict is what comes of a comparison.
type verdict int

const (
	same verdict = iota
	differs
	part // the replies may differ, and the states with them
)

// asks says whether the replies of a command can be judged only beside the state that
// they were given in.
func asks(name string) bool {
	for i := range rules {
		if rules[i].asks && slices.Contains(strings.Fields(rules[i].commands), name) {
			return true
		}
	}
	for i := range parting {
		if slices.Contains(strings.Fields(parting[i].commands), name) {
			return name != "exec"
		}
	}
	return false
}

// compare says whether the replies are as equal as they can be, and which command it is
// about: of a transaction, the one within.
func (x *exchange) compare() (verdict, string) {
	name := fullName(x.player.rig, x.args)
	if x.inner == nil {
		return x.compareAs(name), name
	}
	verdict, at := same, len(x.inner)
	for i := 0; i < len(x.inner) && verdict == same && !bytes.Equal(x.ours, x.theirs); i++ {
		if verdict, name = x.inner[i].compare(); verdict != same {
			at = i
		}
	}
	if verdict != part && slices.ContainsFunc(x.inner[:at], gotNothing) {
		x.player.result.Parted[madeInside]++
		return part, name
	}
	return verdict, name
}

func (x *exchange) compareAs(name string) verdict {
	switch {
	case x.within && asks(name): // never made: where a shorter sequence has it, nothing is known
		return same
	case name == "spop": // the sets may differ where the replies don't: of two equal pops
		if x.matches(name) {
			return same
		}
		return differs
	case name == "sort" && x.after != nil && bytes.Equal(x.ours, x.theirs):
		return x.storedOtherwise()
	case isNewer(name, x):
		if x.player.session.multi { // it has spoilt the transaction there, and not here
			return part
		}
		return same
	case bytes.Equal(x.ours, x.theirs), x.matches(name):
		return same
	}
	for i := range parting {
		if slices.Contains(strings.Fields(parting[i].commands), name) && parting[i].open(x) {
			x.player.result.Parted[parting[i].why]++
			return part
		}
	}
	return differs
}

func (x *exchange) matches(name string) bool {
	for i := range rules {
		if !slices.Contains(strings.Fields(rules[i].commands), name) {
			continue
		}
		ours, err := resp.Parse(x.ours)
		theirs, err2 := resp.Parse(x.theirs)
		if err != nil || err2 != nil {
			return false
		}
		if ours.Err() != nil || theirs.Err() != nil {
			return bytes.Equal(x.ours, x.theirs)
		}
		return rules[i].same(x, ours, theirs)
	}
	return false
}

func sortsTexts(x *exchange) bool {
	return sortsByTexts(x.args) && len(x.ours) > 0 && len(x.theirs) > 0 && x.ours[0] == x.theirs[0]
}

func sortsByTexts(args [][]byte) bool { return has(args, "BY") && has(args, "ALPHA") }

// storedOtherwise says whether a SORT has stored another order than Redis, and nothing else.
func (x *exchange) storedOtherwise() verdict {
	raw, _, err := x.player.own(aftermath(x.args))
	if err != nil {
		return differs
	}
	ours, err := resp.Parse(raw)
	theirs, err2 := resp.Parse(x.after)
	switch {
	case bytes.Equal(raw, x.after):
		return same
	case err == nil && err2 == nil && len(ours.Elems) == len(theirs.Elems):
		return part
	}
	return differs
}

// groupsChanged says that only our end saw a change of what was watched.
func groupsChanged(x *exchange) bool {
	ofGroups := strings.Fields("xgroup|create xgroup|createconsumer xgroup|delconsumer xgroup|destroy xgroup|setid xreadgroup xack xclaim xautoclaim xsetid")
	return isNull(x.ours) && !isNull(x.theirs) &&
		slices.ContainsFunc(x.player.session.ran, func(name string) bool { return slices.Contains(ofGroups, name) })
}

// absentChanged says that only our end saw a change of a key that was and is absent.
func absentChanged(x *exchange) bool {
	s := &x.player.session
	return isNull(x.ours) && !isNull(x.theirs) && slices.ContainsFunc(s.watched, func(w entry.Watch) bool {
		const absentBit = 1
		return w.Version&absentBit != 0 && x.player.typeOf(w.DB, string(w.Key)) == "none"
	})
}

func isNull(reply []byte) bool { return string(reply) == "*-1\r\n" || string(reply) == "_\r\n" }

func staleErrno(x *exchange) bool {
	return string(x.theirs) == "-ERR One or more scores can't be converted into double\r\n"
}

// unequalScores says whether a command asks for an order of members where not all scores
// are the same. Where it has changed the set already, that cannot be seen any more.
func unequalScores(x *exchange) bool {
	name := strings.ToUpper(string(x.args[0]))
	key := 1
	if name == "ZRANGESTORE" {
		key = 2
	}
	byLex := slices.ContainsFunc(x.args, func(arg []byte) bool { return strings.EqualFold(string(arg), "BYLEX") })
	if strings.HasPrefix(name, "ZRANGE") && name != "ZRANGEBYLEX" && !byLex || key >= len(x.args) {
		return false
	}
	if name == "ZREMRANGEBYLEX" {
		return true
	}
	all := x.player.tell("ZRANGE", string(x.args[key]), "0", "-1", "WITHSCORES").Elems
	return len(all) > 0 && all[0].Elems[1].Double != all[len(all)-1].Elems[1].Double
}

// within is for numbers that are near each other, but for -1 and -2, which are none.
func within(n int64) func(*exchange, resp.Value, resp.Value) bool {
	return func(_ *exchange, a, b resp.Value) bool {
		return a.Kind == resp.KindInt && b.Kind == resp.KindInt && a.Int >= 0 && b.Int >= 0 && max(a.Int-b.Int, b.Int-a.Int) <= n
	}
}

func integers(_ *exchange, a, b resp.Value) bool {
	return a.Kind == resp.KindInt && b.Kind == resp.KindInt
}

func sameUsage(_ *exchange, a, b resp.Value) bool {
	return b.Kind == resp.KindInt && (a.Kind == resp.KindInt || a.IsNull())
}

func sameCount(x *exchange, a, b resp.Value) bool {
	return integers(x, a, b) && a.Int <= b.Int
}

func sameEncoding(x *exchange, a, b resp.Value) bool {
	ofStrings := []string{"int", "embstr", "raw"}
	if x.player.sorted && a.Text() == "listpack" && b.Text() == "skiplist" {
		return true
	}
	return a.Kind == b.Kind && slices.Contains(ofStrings, a.Text()) && slices.Contains(ofStrings, b.Text())
}

// parts are the elements of a reply, sorted, of pairs in one array or map the pairs.
func parts(v resp.Value, pairs bool) []string {
	var all []string
	for i := 0; i < len(v.Elems); i++ {
		b := v.Elems[i].Append(nil)
		if pairs && i+1 < len(v.Elems) {
			i++
			b = v.Elems[i].Append(b)
		}
		all = append(all, string(b))
	}
	slices.Sort(all)
	return all
}

func sameMembers(_ *exchange, a, b resp.Value) bool {
	return a.Kind == b.Kind && slices.Equal(parts(a, false), parts(b, false))
}

func sameTable(x *exchange, a, b resp.Value) bool {
	pairs := strings.EqualFold(string(x.args[0]), "HGETALL")
	return x.player.tell("OBJECT", "ENCODING", string(x.args[1])).Text() == "hashtable" &&
		a.Kind == b.Kind && slices.Equal(parts(a, pairs), parts(b, pairs))
}

// sameSort compares what SORT shows of a set as it lies there.
func sameSort(x *exchange, a, b resp.Value) bool {
	by := slices.IndexFunc(x.args, func(arg []byte) bool { return strings.EqualFold(string(arg), "BY") })
	if by < 0 || by+1 >= len(x.args) || bytes.Contains(x.args[by+1], []byte("*")) ||
		x.player.tell("OBJECT", "ENCODING", string(x.args[1])).Text() != "hashtable" {
		return false
	}
	if slices.ContainsFunc(x.args, func(arg []byte) bool { return strings.EqualFold(string(arg), "LIMIT") }) {
		return len(a.Elems) == len(b.Elems)
	}
	return sameMembers(x, a, b)
}
