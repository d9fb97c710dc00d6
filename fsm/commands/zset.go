package commands

import (
	"math"
	"strconv"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/zset"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func zsetCommands() []Command {
	return []Command{
		// zset.go
		declZCard, declZMScore, declZRank, declZRem, declZRevRank, declZScan, declZScore,
		// zset_add.go
		declZAdd, declZIncrBy,
		// zset_pop.go
		declBZMPop, declBZPopMax, declBZPopMin, declZMPop, declZPopMax, declZPopMin,
		// zset_random.go
		declZRandMember,
		// zset_range.go
		declZCount, declZLexCount, declZRange, declZRangeByLex, declZRangeByScore,
		declZRangeStore, declZRevRange, declZRevRangeByLex, declZRevRangeByScore,
		// zset_remrange.go
		declZRemRangeByLex, declZRemRangeByRank, declZRemRangeByScore,
		// zset_combine.go
		declZDiff, declZDiffStore, declZInter, declZInterCard, declZInterStore, declZUnion,
		declZUnionStore,
	}
}

var declZCard = Command{
	Command: spec.Command{
		Name: "ZCARD", Syntax: "key",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "1.2.0", Cost: "O(1)",
		Summary: "Returns the number of members of a sorted set.",
	},
	Read: cmdZCard,
}

func cmdZCard(v *keyspace.View, args Args, w *resp.Writer) error {
	z, err := zsetOrEmpty(v, args[1])
	if err == nil {
		w.Int(int64(z.Len()))
	}
	return err
}

var declZMScore = Command{
	Command: spec.Command{
		Name: "ZMSCORE", Syntax: "key member [member ...]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "6.2.0", Cost: "O(N) with N the number of members asked for",
		Summary: "Returns the scores of members of a sorted set.",
	},
	Read: cmdZMScore,
}

func cmdZMScore(v *keyspace.View, args Args, w *resp.Writer) error {
	z, err := zsetOrEmpty(v, args[1])
	if err != nil {
		return err
	}
	w.Array(len(args) - 2)
	for _, member := range args[2:] {
		writeScore(w, z, member)
	}
	return nil
}

var declZRank = Command{
	Command: spec.Command{
		Name: "ZRANK", Syntax: "key member [WITHSCORE]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(log N) with N the size of the sorted set",
		Summary: "Tells how many members have a lower score than one.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return zrank(v, args, w, false) },
}

// zrank does what ZRANK and ZREVRANK do.
func zrank(v *keyspace.View, args Args, w *resp.Writer, reverse bool) error {
	withScore := len(args) == 4
	switch {
	case len(args) > 4:
		return resp.WrongArity(string(args[0]))
	case withScore && !is(args[3], "WITHSCORE"):
		return resp.ErrSyntax
	}
	z, err := zsetOrEmpty(v, args[1])
	if err != nil {
		return err
	}
	rank, score, ok := z.Rank(args[2])
	if reverse {
		rank = z.Len() - 1 - rank
	}
	switch {
	case ok && withScore:
		w.Array(2)
		w.Int(int64(rank))
		w.Double(score)
	case ok:
		w.Int(int64(rank))
	case withScore:
		w.NullArray()
	default:
		w.Null()
	}
	return nil
}

var declZRem = Command{
	Command: spec.Command{
		Name: "ZREM", Syntax: "key member [member ...]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Delete), Flags: spec.Fast,
		Since: "1.2.0", Cost: "O(M log N) with N the size of the sorted set and M the number of members to remove",
		Summary: "Removes members of a sorted set, and the set with its last one.",
	},
	Write: cmdZRem,
}

func cmdZRem(t *keyspace.Txn, args Args, w *resp.Writer) error {
	z, ok, err := keyspace.Edit[keyspace.ZSetValue](t, args[1])
	if err != nil {
		return err
	}
	n := 0
	for _, member := range args[2:] {
		if ok && z.Delete(member) {
			n++
		}
	}
	if n > 0 {
		t.Changed(args[1])
	}
	w.Int(int64(n))
	return nil
}

var declZRevRank = Command{
	Command: spec.Command{
		Name: "ZREVRANK", Syntax: "key member [WITHSCORE]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(log N) with N the size of the sorted set",
		Summary: "Tells how many members have a higher score than one.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return zrank(v, args, w, true) },
}

var declZScan = Command{
	Command: spec.Command{
		Name: "ZSCAN", Syntax: "key cursor [MATCH pattern] [COUNT count]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "2.8.0", Cost: "O(log N + COUNT) for every call with N the size of the sorted set",
		Summary: "Walks through the members of a sorted set, a few for each call.",
	},
	Read: cmdZScan,
}

func cmdZScan(v *keyspace.View, args Args, w *resp.Writer) error {
	cursor, ok := parseCursor(args[2])
	if !ok {
		return resp.ErrInvalidCursor
	}
	z, found, err := keyspace.Find[keyspace.ZSetValue](v, args[1])
	if err != nil {
		return err
	}
	w.Array(2)
	if !found { // then Redis does not look at the options
		w.BulkString("0")
		w.Array(0)
		return nil
	}
	o, err := parseScanOptions(args[3:], false)
	if err != nil {
		return err
	}
	var members [][]byte
	var scores []float64
	next := z.Scan(cursor, int(o.count), func(member []byte, score float64) {
		if !o.hasPattern || glob.MatchAll(o.pattern, member) {
			members, scores = append(members, member), append(scores, score)
		}
	})
	w.BulkString(strconv.FormatUint(next, 10))
	w.Array(2 * len(members))
	var text [32]byte
	for i, member := range members {
		w.Bulk(member)
		w.Bulk(appendScanned(text[:0], scores[i], z.Small())) // no double in RESP3 either
	}
	return nil
}

// appendScanned appends a score as ZSCAN shows it: of a small sorted set as a listpack
// keeps it, which is as an integer where it is one.
func appendScanned(dst []byte, score float64, small bool) []byte {
	const most = 1 << 62
	if small && -most <= score && score <= most && score == math.Trunc(score) {
		return strconv.AppendInt(dst, int64(score), 10)
	}
	return resp.AppendDouble(dst, score)
}

var declZScore = Command{
	Command: spec.Command{
		Name: "ZSCORE", Syntax: "key member",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "1.2.0", Cost: "O(1)",
		Summary: "Returns the score of a member of a sorted set.",
	},
	Read: cmdZScore,
}

func cmdZScore(v *keyspace.View, args Args, w *resp.Writer) error {
	z, err := zsetOrEmpty(v, args[1])
	if err == nil {
		writeScore(w, z, args[2])
	}
	return err
}

// zsetOrEmpty returns the sorted set under a key, an empty one where there is no key.
func zsetOrEmpty(v *keyspace.View, key []byte) (*zset.Set, error) {
	z, ok, err := keyspace.Find[keyspace.ZSetValue](v, key)
	if !ok {
		return &noMembers, err
	}
	return z.Set, nil
}

var noMembers zset.Set // never changed

// writeScore writes the score of a member, null where it is none.
func writeScore(w *resp.Writer, z *zset.Set, member []byte) {
	if score, ok := z.Score(member); ok {
		w.Double(score)
	} else {
		w.Null()
	}
}

// writePairs announces n members with their scores: pairs in RESP3, one list in RESP2.
func writePairs(w *resp.Writer, n int) {
	if w.Proto() == 3 {
		w.Array(n)
	} else {
		w.Array(2 * n)
	}
}

// writePair writes one of them.
func writePair(w *resp.Writer, member []byte, score float64) {
	if w.Proto() == 3 {
		w.Array(2)
	}
	w.Bulk(member)
	w.Double(score)
}
