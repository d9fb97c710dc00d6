package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/zset"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declZAdd = Command{
	Command: spec.Command{
		Name: "ZADD", Syntax: "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.2.0", Cost: "O(log N) for each member with N the size of the sorted set",
		Summary:    "Adds members to a sorted set, or gives them other scores.",
		BlockNames: [][2]string{{"ch", "change"}, {"incr", "increment"}},
	},
	Write: cmdZAdd,
	Grows: growsByMembers,
}

func cmdZAdd(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseZAdd(args[2:])
	if err != nil {
		return err
	}
	return o.parseAndRun(t, args[1], w)
}

// zadd is what ZADD's arguments say: options, and members, each the last of so many words.
type zadd struct {
	nx, xx, gt, lt, ch, incr bool
	words                    Args
	each                     int
}

// parseZAdd reads them, from the options on.
func parseZAdd(args Args) (o zadd, err error) {
	for len(args) > 0 && o.take(args[0]) {
		args = args[1:]
	}
	switch {
	case len(args) == 0 || len(args)%2 != 0:
		return o, resp.ErrSyntax
	case o.nx && o.xx:
		return o, resp.ErrZAddNXXX
	case o.gt && o.nx, o.lt && o.nx, o.gt && o.lt:
		return o, resp.ErrZAddGTLTNX
	case o.incr && len(args) > 2:
		return o, resp.ErrZAddIncr
	}
	o.words, o.each = args, 2
	return o, nil
}

// take says whether an argument is an option, and notes it.
func (o *zadd) take(arg []byte) bool {
	switch {
	case is(arg, "NX"):
		o.nx = true
	case is(arg, "XX"):
		o.xx = true
	case is(arg, "CH"):
		o.ch = true
	case is(arg, "INCR"):
		o.incr = true
	case is(arg, "GT"):
		o.gt = true
	case is(arg, "LT"):
		o.lt = true
	default:
		return false
	}
	return true
}

// fewMembers is for how many members there is room without an allocation.
const fewMembers = 8

// parseAndRun is run with the scores before the members.
func (o *zadd) parseAndRun(t *keyspace.Txn, key []byte, w *resp.Writer) error {
	scores := make([]float64, 0, fewMembers)
	for i := 0; i < len(o.words); i += o.each {
		f, err := double(o.words[i])
		if err != nil {
			return err
		}
		scores = append(scores, f)
	}
	return o.run(t, key, scores, w)
}

// run does what ZADD and ZINCRBY do, with a score for each member.
func (o *zadd) run(t *keyspace.Txn, key []byte, scores []float64, w *resp.Writer) error {
	z, found, err := keyspace.Edit[keyspace.ZSetValue](t, key)
	if err != nil {
		return err
	}
	if !found {
		z = t.NewZSet()
	}
	added, updated := 0, 0
	var last zaddResult
	for i, score := range scores {
		if last, err = o.apply(z.Set, o.words[(i+1)*o.each-1], score, t.Limits().ZSet); err != nil {
			return err
		}
		if last.added {
			added++
		}
		if last.updated {
			updated++
		}
	}
	switch {
	case found && added+updated > 0:
		t.Changed(key)
	case !found && added > 0:
		t.Set(key, z, 0)
	}
	switch {
	case o.incr && last.done:
		w.Double(last.score)
	case o.incr:
		w.Null()
	case o.ch:
		w.Int(int64(added + updated))
	default:
		w.Int(int64(added))
	}
	return nil
}

// zaddResult is what became of one member. done says that no option stood against it.
type zaddResult struct {
	score                float64
	added, updated, done bool
}

// apply gives one member its score, if the options let it.
// Source: redis/src/t_zset.c:zsetAdd.
func (o *zadd) apply(z *zset.Set, member []byte, score float64, limits zset.Limits) (r zaddResult, err error) {
	place := z.Find(member)
	old := place.Score
	if !place.Found {
		if o.xx {
			return r, nil
		}
		z.SetAt(place, member, score, limits)
		return zaddResult{score: score, added: true, done: true}, nil
	}
	if o.nx {
		return r, nil
	}
	if o.incr {
		if score += old; math.IsNaN(score) {
			return r, resp.ErrScoreNaN
		}
	}
	if o.lt && score >= old || o.gt && score <= old {
		return r, nil
	}
	if score == old {
		return zaddResult{score: score, done: true}, nil
	}
	z.SetAt(place, member, score, limits)
	return zaddResult{score: score, updated: true, done: true}, nil
}

var declZIncrBy = Command{
	Command: spec.Command{
		Name: "ZINCRBY", Syntax: "key increment member",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.2.0", Cost: "O(log N) with N the size of the sorted set",
		Summary: "Adds a number to the score of a member, which is added with it where it doesn't exist.",
	},
	Write: cmdZIncrBy,
	Grows: growsByMembers,
}

func cmdZIncrBy(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseZAdd(args[2:]) // as in Redis, which takes the increment NX for ZADD's option
	if err != nil {
		return err
	}
	o.incr = true
	return o.parseAndRun(t, args[1], w)
}

// growsByMembers is for what adds members to a sorted set: each lies in two tables, and
// a small set may become a large one.
func growsByMembers(v *keyspace.View, args Args) (n int64) {
	for _, arg := range args[2:] {
		n += int64(len(arg) + len(arg)/4)
	}
	if e, ok := v.Peek(args[1]); ok {
		if z, is := e.Value().(keyspace.ZSetValue); is {
			n += int64(z.Enlarging())
		}
	}
	return n
}
