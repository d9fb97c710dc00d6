package compat

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/fsm/rdb"
	"github.com/raftkv/raftkv/resp"
)

// leftOut are the commands that are not compared, with the reason.
var leftOut = map[string]string{
	"debug":                   "looks into the process, and Redis refuses it to clients by default",
	"debug|jmap":              "as DEBUG",
	"debug|object":            "as DEBUG",
	"debug|sleep":             "as DEBUG",
	"debug|set-active-expire": "as DEBUG",
	"migrate":                 "needs another server",
	"restore-asking":          "is RESTORE",
	"object|help":             "lists the subcommands there are, in our own words",
	"memory|help":             "as OBJECT HELP",
	"xinfo|help":              "as OBJECT HELP",
	"xgroup|help":             "as OBJECT HELP",
	"pfdebug":                 "looks into the representation, which Redis changes as it counts",
	"pfselftest":              "looks at no key, and takes a second",
}

// rule says how far the replies of some commands may differ.
type rule struct {
	commands string // their full names, separated by spaces
	why      string
	same     func(x *exchange, ours, theirs resp.Value) bool
}

// rules are all there are: every other reply, and every error, is the same, byte by byte.
var rules = []rule{
	{"ttl expiretime", "the clock goes on between the two runs of a command", within(2)},
	{"pttl pexpiretime", "the same, in milliseconds", within(3000)},
	{"object|idletime", "is 0 here, as a read changes nothing; Redis has a clock for it that may even seem to go back", integers},
	{"object|refcount", "what Redis shares follows from the history", integers},
	{"object|encoding", "of strings: a function of the content here, in Redis of the history, too; SORT, a read, makes a sorted set a large one there", sameEncoding},
	{"memory|usage", "memory is laid out otherwise; Redis shows it of keys whose time has come, too", sameUsage},
	{"dbsize", "Redis counts keys whose time has come, until somebody looks at them", sameCount},
	{"keys sunion sinter sdiff", "the order is a hash table's", sameMembers},
	{"hgetall hkeys hvals smembers", "the order is a hash table's, where it is one", sameTable},
	{"dump", "the order is a hash table's, where it is one, and lists are cut into nodes otherwise: both hold the same", sameDump},
	{"randomkey", "chance", func(_ *exchange, a, b resp.Value) bool { return a.Kind == b.Kind }},
	{"srandmember hrandfield zrandmember", "chance: of the same shape, and members", samePicks},
	{"spop", "chance: as many; what either took away is put to rights", samePops},
	{"scan hscan sscan zscan", "cursors and order are a hash table's: what whole walks find is the same", sameWalk},
	{"sort sort_ro", "the order is a hash table's, where a set is not to be sorted", sameSort},
	{"xpending xinfo|consumers xinfo|stream", "the clock goes on: idle and delivery times", sameStream},
}

// takesMore says whether a command line has a word that a newer Redis gave a meaning,
// which 7.0 refuses by the number of words.
func takesMore(name string, args [][]byte, theirs []byte) bool {
	return (name == "zrank" || name == "zrevrank") && len(args) > 3 && bytes.Contains(theirs, []byte("wrong number of arguments"))
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
}

// verdict is what comes of a comparison.
type verdict int

const (
	same verdict = iota
	differs
	part // the replies may differ, and the states with them
)

// compare says whether the replies are as equal as they can be.
func (x *exchange) compare() verdict {
	name := fullName(x.player.rig, x.args)
	switch {
	case name == "spop": // the sets may differ where the replies don't: of two equal pops
		if x.matches(name) {
			return same
		}
		return differs
	case bytes.Equal(x.ours, x.theirs), takesMore(name, x.args, x.theirs), x.matches(name):
		return same
	}
	for i := range parting {
		if slices.Contains(strings.Fields(parting[i].commands), name) && parting[i].open(x) {
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
	has := func(word string) bool {
		return slices.ContainsFunc(x.args, func(arg []byte) bool { return strings.EqualFold(string(arg), word) })
	}
	return has("BY") && has("ALPHA") && len(x.ours) > 0 && len(x.theirs) > 0 && x.ours[0] == x.theirs[0]
}

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

// sameDump compares what two payloads hold. That each end takes the other's is seen by
// RESTOREs that are made of them.
func sameDump(x *exchange, a, b resp.Value) bool {
	if a.Kind != b.Kind || a.Kind != resp.KindBulk || rdb.Check(a.Str) != nil || rdb.Check(b.Str) != nil {
		return false
	}
	ours, err := rdb.Decode(a.Str, resp.MaxBulk)
	theirs, err2 := rdb.Decode(b.Str, resp.MaxBulk)
	if err != nil || err2 != nil || ours.Kind != theirs.Kind || len(ours.Items) != len(theirs.Items) {
		return false
	}
	switch ours.Kind {
	case rdb.Hash, rdb.Set, rdb.ZSet:
		table := x.player.tell("OBJECT", "ENCODING", string(x.args[1])).Text() == "hashtable"
		return (table || x.player.sorted && ours.Kind == rdb.ZSet) && slices.Equal(memberTexts(ours), memberTexts(theirs))
	case rdb.List:
		return slices.EqualFunc(ours.Items, theirs.Items, bytes.Equal) // cut into nodes otherwise
	}
	return false
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

// memberTexts are the members, sorted, with what belongs to each.
func memberTexts(o *rdb.Object) (all []string) {
	for i := 0; i < len(o.Items); i++ {
		text := fmt.Sprintf("%q", o.Items[i])
		switch o.Kind {
		case rdb.Hash:
			i++
			text += fmt.Sprintf(" %q", o.Items[i])
		case rdb.ZSet:
			text += fmt.Sprint(" ", o.Scores[i])
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}
