package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/zset"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declZCount = Command{
	Command: spec.Command{
		Name: "ZCOUNT", Syntax: "key min max",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(log N) with N the size of the sorted set",
		Summary: "Counts the members of a sorted set with scores in a range.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return zcount(v, args, w, byScore) },
}

// zcount does what ZCOUNT and ZLEXCOUNT do.
func zcount(v *keyspace.View, args Args, w *resp.Writer, by rangeKind) error {
	r := zrange{by: by}
	if err := r.parseEnds(args[2], args[3]); err != nil {
		return err
	}
	z, err := zsetOrEmpty(v, args[1])
	if err != nil {
		return err
	}
	from, to := r.within(z)
	w.Int(int64(to - from))
	return nil
}

var declZLexCount = Command{
	Command: spec.Command{
		Name: "ZLEXCOUNT", Syntax: "key min max",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "2.8.9", Cost: "O(log N) with N the size of the sorted set",
		Summary: "Counts the members of a sorted set between two, where all scores are the same.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error { return zcount(v, args, w, byLex) },
}

var declZRange = Command{
	Command: spec.Command{
		Name: "ZRANGE", Syntax: "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "1.2.0", Cost: rangeCost,
		Summary: "Returns a range of a sorted set's members, by rank, score or the members themselves.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readRange(v, args, w, zrange{free: true})
	},
}

const rangeCost = "O(log N + M) with N the size of the sorted set and M the number of members returned"

var declZRangeByLex = Command{
	Command: spec.Command{
		Name: "ZRANGEBYLEX", Syntax: "key min max [LIMIT offset count]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "2.8.9", Cost: rangeCost,
		Summary:    "Returns the members of a sorted set between two, where all scores are the same.",
		Deprecated: "6.2.0; `ZRANGE` with the `BYLEX` argument",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readRange(v, args, w, zrange{by: byLex})
	},
}

var declZRangeByScore = Command{
	Command: spec.Command{
		Name: "ZRANGEBYSCORE", Syntax: "key min max [WITHSCORES] [LIMIT offset count]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "1.0.5", Cost: rangeCost,
		Summary:    "Returns the members of a sorted set with scores in a range.",
		Deprecated: "6.2.0; `ZRANGE` with the `BYSCORE` argument",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readRange(v, args, w, zrange{by: byScore})
	},
}

var declZRangeStore = Command{
	Command: spec.Command{
		Name: "ZRANGESTORE", Syntax: "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]",
		Group: spec.SortedSet, Flags: spec.DenyOOM,
		Keys:  []spec.KeySpec{spec.KeyAt(1, spec.OW|spec.Update), spec.KeyAt(2, spec.RO|spec.Access)},
		Since: "6.2.0", Cost: "O(log N + M) with N the size of the sorted set and M the number of members stored",
		Summary: "Stores a range of a sorted set's members under another key.",
	},
	Write: cmdZRangeStore,
	Grows: func(v *keyspace.View, args Args) int64 { return growsBySources(v, args[2:3]) },
}

func cmdZRangeStore(t *keyspace.Txn, args Args, w *resp.Writer) error {
	r := zrange{free: true, store: true}
	if err := r.parse(args[3:]); err != nil {
		return err
	}
	z, err := zsetOrEmpty(&t.View, args[2])
	if err != nil {
		return err
	}
	from, to := r.limited(z)
	b := t.BuildZSet()
	z.Ascend(from, to, func(member []byte, score float64) bool {
		b.Set(member, score)
		return true
	})
	storeZSet(t, args[1], b.Done(t.Limits().ZSet), w)
	return nil
}

// storeZSet stores a result, or deletes the key where it is empty, and answers its size.
func storeZSet(t *keyspace.Txn, key []byte, z *zset.Set, w *resp.Writer) {
	if z.Len() > 0 {
		t.Set(key, keyspace.ZSetValue{Set: z}, 0)
	} else {
		t.Delete(key)
	}
	w.Int(int64(z.Len()))
}

var declZRevRange = Command{
	Command: spec.Command{
		Name: "ZREVRANGE", Syntax: "key start stop [WITHSCORES]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "1.2.0", Cost: rangeCost,
		Summary:    "Returns a range of a sorted set's members by rank, the highest score first.",
		Deprecated: "6.2.0; `ZRANGE` with the `REV` argument",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readRange(v, args, w, zrange{reverse: true})
	},
}

var declZRevRangeByLex = Command{
	Command: spec.Command{
		Name: "ZREVRANGEBYLEX", Syntax: "key max min [LIMIT offset count]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "2.8.9", Cost: rangeCost,
		Summary:    "Returns the members of a sorted set between two, the last one first, where all scores are the same.",
		Deprecated: "6.2.0; `ZRANGE` with the `REV` and `BYLEX` arguments",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readRange(v, args, w, zrange{by: byLex, reverse: true})
	},
}

var declZRevRangeByScore = Command{
	Command: spec.Command{
		Name: "ZREVRANGEBYSCORE", Syntax: "key max min [WITHSCORES] [LIMIT offset count]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "2.2.0", Cost: rangeCost,
		Summary:    "Returns the members of a sorted set with scores in a range, the highest score first.",
		Deprecated: "6.2.0; `ZRANGE` with the `REV` and `BYSCORE` arguments",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return readRange(v, args, w, zrange{by: byScore, reverse: true})
	},
}

// readRange answers with a range; r says what the command's name settles.
func readRange(v *keyspace.View, args Args, w *resp.Writer, r zrange) error {
	if err := r.parse(args[2:]); err != nil {
		return err
	}
	z, err := zsetOrEmpty(v, args[1])
	if err != nil {
		return err
	}
	from, to := r.limited(z)
	writeRandom(w, to-from, r.withScores)
	walk := z.Ascend
	if r.reverse {
		walk = z.Descend
	}
	walk(from, to, func(member []byte, score float64) bool {
		writeMember(w, member, score, r.withScores)
		return true
	})
	return nil
}

// rangeKind is what a range's ends are.
type rangeKind uint8

const (
	byRank rangeKind = iota
	byScore
	byLex
)

// zrange is a range of a sorted set's members as the commands' arguments describe it.
type zrange struct {
	by      rangeKind
	reverse bool
	// free says that options choose by and reverse; of the old commands the name does.
	free       bool
	store      bool // the result is stored, so WITHSCORES is no option
	withScores bool

	start, stop   int64 // ranks, negative ones from the end
	low, high     zset.Bound
	lexLow        zset.LexBound
	lexHigh       zset.LexBound
	offset, count int64 // LIMIT; a negative count is none
}

// parse reads the ends and the options behind them.
// Source: redis/src/t_zset.c:zrangeGenericCommand.
func (r *zrange) parse(args Args) error {
	r.count = -1
	for i := 2; i < len(args); i++ {
		switch left := len(args) - 1 - i; {
		case !r.store && is(args[i], "WITHSCORES"):
			r.withScores = true
		case is(args[i], "LIMIT") && left >= 2:
			var err error
			if r.offset, err = integer(args[i+1]); err == nil {
				r.count, err = integer(args[i+2])
			}
			if err != nil {
				return err
			}
			i += 2
		case r.free && !r.reverse && is(args[i], "REV"):
			r.reverse = true
		case r.free && r.by == byRank && is(args[i], "BYLEX"):
			r.by = byLex
		case r.free && r.by == byRank && is(args[i], "BYSCORE"):
			r.by = byScore
		default:
			return resp.ErrSyntax
		}
	}
	switch {
	case r.count != -1 && r.by == byRank:
		return resp.ErrRangeLimit
	case r.withScores && r.by == byLex:
		return resp.ErrLexScores
	case r.reverse && r.by != byRank:
		return r.parseEnds(args[1], args[0])
	}
	return r.parseEnds(args[0], args[1])
}

// parseEnds reads the lower end and the upper one.
func (r *zrange) parseEnds(low, high []byte) (err error) {
	switch r.by {
	case byRank:
		if r.start, err = integer(low); err == nil {
			r.stop, err = integer(high)
		}
	case byScore:
		if r.low, err = parseBound(low); err == nil {
			r.high, err = parseBound(high)
		}
	default:
		if r.lexLow, err = parseLexBound(low); err == nil {
			r.lexHigh, err = parseLexBound(high)
		}
	}
	return err
}

// parseBound reads an end of a range of scores, behind a "(" where the score itself is
// outside. Unlike a score it may be empty, have spaces before it, and end at a NUL.
// Source: redis/src/t_zset.c:zslParseRange.
func parseBound(arg []byte) (b zset.Bound, err error) {
	if len(arg) > 0 && arg[0] == '(' {
		b.Open, arg = true, arg[1:]
	}
	f, n, _ := strtod(string(arg))
	if n < len(arg) && arg[n] != 0 || math.IsNaN(f) {
		return b, resp.ErrScoreRange
	}
	b.Score = f
	return b, nil
}

// parseLexBound reads an end of a range of members: "-" and "+" for before and behind
// all, or a member behind "[", or "(" where it is outside itself.
func parseLexBound(arg []byte) (b zset.LexBound, err error) {
	switch {
	case len(arg) == 0:
	case (arg[0] == '-' || arg[0] == '+') && (len(arg) == 1 || arg[1] == 0):
		b.Edge, b.Open = 1, true
		if arg[0] == '-' {
			b.Edge = -1
		}
		return b, nil
	case arg[0] == '(' || arg[0] == '[':
		return zset.LexBound{Member: arg[1:], Open: arg[0] == '('}, nil
	}
	return b, resp.ErrLexRange
}

// within returns the ranks of the members of the range, from the first one up to, not
// including, the second.
func (r *zrange) within(z *zset.Set) (from, to int) {
	switch r.by {
	case byScore:
		return z.Between(r.low, r.high)
	case byLex:
		return z.BetweenLex(&r.lexLow, &r.lexHigh, r.reverse)
	}
	n := int64(z.Len())
	start, stop := r.start, r.stop
	if start < 0 {
		start = max(start+n, 0)
	}
	if stop < 0 {
		stop += n
	}
	if stop = min(stop, n-1); start > stop {
		return 0, 0
	}
	if r.reverse {
		start, stop = n-1-stop, n-1-start
	}
	return int(start), int(stop) + 1
}

// limited is within, cut by LIMIT, which of ranks may be there but cuts nothing.
func (r *zrange) limited(z *zset.Set) (from, to int) {
	if from, to = r.within(z); r.by == byRank {
		return from, to
	}
	n := int64(to - from)
	if r.offset < 0 || r.offset >= n {
		return from, from
	}
	skip, count := int(r.offset), n-r.offset
	if r.count >= 0 {
		count = min(count, r.count)
	}
	if r.reverse {
		return to - skip - int(count), to - skip
	}
	return from + skip, from + skip + int(count)
}
