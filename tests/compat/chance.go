package compat

import (
	"slices"
	"strconv"
	"strings"

	"github.com/raftkv/raftkv/resp"
)

// memberOf are the commands that tell whether a value has a member.
var memberOf = map[string]string{"SRANDMEMBER": "SISMEMBER", "HRANDFIELD": "HEXISTS", "ZRANDMEMBER": "ZSCORE"}

// samePicks compares random picks: the same shape, all of them members with their own
// values, and none twice where the count forbids it.
func samePicks(x *exchange, a, b resp.Value) bool {
	if !sameShape(a, b) {
		return false
	}
	picks := picked(x, a)
	if len(x.args) > 2 && !strings.HasPrefix(string(x.args[2]), "-") {
		unique := slices.Clone(picks)
		slices.Sort(unique)
		if len(slices.Compact(unique)) != len(picks) {
			return false
		}
	}
	isMember := memberOf[strings.ToUpper(string(x.args[0]))]
	for _, pick := range picks {
		if there := x.player.tell(isMember, string(x.args[1]), pick); there.IsNull() || there.Err() != nil || there.Kind == resp.KindInt && there.Int != 1 {
			return false
		}
	}
	return true
}

// sameRandomKey compares RANDOMKEY: there is one on both ends, and ours is a key.
func sameRandomKey(x *exchange, a, b resp.Value) bool {
	return a.Kind == b.Kind && (a.IsNull() || x.player.tell("EXISTS", a.Text()).Int == 1)
}

// picked are the members of a reply, without their values.
func picked(x *exchange, v resp.Value) (members []string) {
	if v.Elems == nil && v.Kind == resp.KindBulk {
		return []string{v.Text()}
	}
	withValues := len(x.args) > 3
	for i := 0; i < len(v.Elems); i++ {
		e := v.Elems[i]
		if e.Elems != nil { // RESP3: pairs
			members = append(members, e.Elems[0].Text())
			continue
		}
		members = append(members, e.Text())
		if withValues {
			i++
		}
	}
	return members
}

// sameShape compares kinds and lengths.
func sameShape(a, b resp.Value) bool {
	return a.Kind == b.Kind && len(a.Elems) == len(b.Elems) && slices.EqualFunc(a.Elems, b.Elems, sameShape)
}

// samePops compares SPOP, and undoes what ours took for what Redis did. A set that all
// was taken from is gone on both ends.
func samePops(x *exchange, a, b resp.Value) bool {
	if !sameShape(a, b) {
		return false
	}
	ours, theirs := texts(a), texts(b)
	if a.Kind == resp.KindBulk {
		ours, theirs = []string{a.Text()}, []string{b.Text()}
	}
	key := string(x.args[1])
	slices.Sort(ours)
	slices.Sort(theirs)
	if slices.Equal(ours, theirs) {
		return true
	}
	if x.player.tell("EXISTS", key).Int == 0 {
		return false // all was taken, and not the same
	}
	added := x.player.tell(append([]string{"SADD", key}, ours...)...)
	taken := x.player.tell(append([]string{"SREM", key}, theirs...)...)
	return added.Int == int64(len(ours)) && taken.Int == int64(len(theirs))
}

func texts(v resp.Value) (all []string) {
	for _, e := range v.Elems {
		all = append(all, e.Text())
	}
	return all
}

// isScan says whether a command begins a walk of SCAN and its kind.
func isScan(args [][]byte) bool {
	at := cursorAt(args)
	return at > 0 && at < len(args) && string(args[at]) == "0"
}

// cursorAt is where a walk's cursor stands; 0 for other commands.
func cursorAt(args [][]byte) int {
	switch strings.ToUpper(string(args[0])) {
	case "SCAN":
		return 1
	case "HSCAN", "SSCAN", "ZSCAN":
		return 2
	}
	return 0
}

// sameWalk compares what whole walks find. From a cursor in the middle, which means
// something else in Redis, only the shape can be compared.
func sameWalk(x *exchange, a, b resp.Value) bool {
	if a.Kind != b.Kind || len(a.Elems) != 2 || len(b.Elems) != 2 {
		return false
	}
	if !isScan(x.args) {
		return true
	}
	ours, ok := x.walk(a, func(args [][]byte) ([]byte, error) {
		reply, _, err := x.player.own(args)
		return reply, err
	})
	theirs, ok2 := x.walk(b, x.player.conn.Do)
	return ok && ok2 && slices.Equal(ours, theirs)
}

// walk goes on to the end of a walk and returns what it found, each once.
func (x *exchange) walk(v resp.Value, do func([][]byte) ([]byte, error)) (found []string, ok bool) {
	name := strings.ToUpper(string(x.args[0]))
	pairs := name == "HSCAN" || name == "ZSCAN"
	args := slices.Clone(x.args)
	for range 10_000 {
		if len(v.Elems) != 2 {
			return nil, false
		}
		found = append(found, parts(v.Elems[1], pairs)...)
		cursor := v.Elems[0].Text()
		if _, err := strconv.ParseUint(cursor, 10, 64); err != nil {
			return nil, false
		}
		if cursor == "0" {
			slices.Sort(found)
			return slices.Compact(found), true
		}
		args[cursorAt(args)] = []byte(cursor)
		raw, err := do(args)
		if err != nil {
			return nil, false
		}
		if v, err = resp.Parse(raw); err != nil {
			return nil, false
		}
	}
	return nil, false
}
