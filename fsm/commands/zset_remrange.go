package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

const remRangeCost = "O(M log N) with N the size of the sorted set and M the number of members removed"

var declZRemRangeByLex = Command{
	Command: spec.Command{
		Name: "ZREMRANGEBYLEX", Syntax: "key min max",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Delete),
		Since: "2.8.9", Cost: remRangeCost,
		Summary: "Removes the members of a sorted set between two, where all scores are the same.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return zremRange(t, args, w, byLex) },
}

var declZRemRangeByRank = Command{
	Command: spec.Command{
		Name: "ZREMRANGEBYRANK", Syntax: "key start stop",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Delete),
		Since: "2.0.0", Cost: remRangeCost,
		Summary: "Removes a range of a sorted set's members by rank.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return zremRange(t, args, w, byRank) },
}

var declZRemRangeByScore = Command{
	Command: spec.Command{
		Name: "ZREMRANGEBYSCORE", Syntax: "key min max",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Delete),
		Since: "1.2.0", Cost: remRangeCost,
		Summary: "Removes the members of a sorted set with scores in a range.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return zremRange(t, args, w, byScore) },
}

// zremRange does what the ZREMRANGEs do.
func zremRange(t *keyspace.Txn, args Args, w *resp.Writer, by rangeKind) error {
	r := zrange{by: by}
	if err := r.parseEnds(args[2], args[3]); err != nil {
		return err
	}
	z, ok, err := keyspace.Edit[keyspace.ZSetValue](t, args[1])
	if err != nil {
		return err
	}
	from, to := 0, 0
	if ok {
		from, to = r.within(z.Set)
	}
	if from < to {
		z.DeleteRange(from, to)
		t.Changed(args[1])
	}
	w.Int(int64(to - from))
	return nil
}
