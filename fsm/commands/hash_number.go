package commands

import (
	"math"
	"strconv"

	"github.com/raftkv/raftkv/fsm/hash"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declHIncrBy = Command{
	Command: spec.Command{
		Name: "HINCRBY", Syntax: "key field increment",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.0.0", Cost: "O(1)",
		Summary: "Adds a number to the integer in a field of a hash; an absent field counts as 0.",
	},
	Write: cmdHIncrBy,
	Grows: growsByEnlarging,
}

func cmdHIncrBy(t *keyspace.Txn, args Args, w *resp.Writer) error {
	by, err := integer(args[3])
	if err != nil {
		return err
	}
	h, err := keyspace.EditHash(t, args[1])
	if err != nil {
		return err
	}
	var old int64
	f, found := h.Get(args[2])
	if found {
		var ok bool
		if old, ok = keyspace.ParseInt(f.Value); !ok {
			return resp.ErrHashNotInteger
		}
	}
	if by > 0 && old > math.MaxInt64-by || by < 0 && old < math.MinInt64-by {
		return resp.ErrOverflow
	}
	var buf [20]byte
	h.Set(hash.Field{Name: args[2], Value: strconv.AppendInt(buf[:0], old+by, 10), Expires: f.Expires})
	h.Done()
	w.Int(old + by)
	return nil
}

var declHIncrByFloat = Command{
	Command: spec.Command{
		Name: "HINCRBYFLOAT", Syntax: "key field increment",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.6.0", Cost: "O(1)",
		Summary: "Adds a floating point number to the one in a field of a hash; an absent field counts as 0.",
	},
	Write: cmdHIncrByFloat,
	Grows: func(v *keyspace.View, args Args) int64 {
		return growsByEnlarging(v, args) + maxLongDouble + maxLongDouble/8
	},
}

func cmdHIncrByFloat(t *keyspace.Txn, args Args, w *resp.Writer) error {
	by, err := parseLongDouble(string(args[3]))
	switch {
	case err != nil:
		return err
	case by.inf:
		return resp.ErrValueNaNOrInf
	}
	h, err := keyspace.EditHash(t, args[1])
	if err != nil {
		return err
	}
	old := longDouble{}
	f, found := h.Get(args[2])
	if found {
		if old, err = parseLongDouble(string(f.Value[:min(len(f.Value), maxLongDouble+1)])); err != nil {
			return resp.ErrHashNotFloat
		}
	}
	sum, err := old.plus(by)
	if err != nil {
		return err
	}
	value := sum.append(nil)
	h.Set(hash.Field{Name: args[2], Value: value, Expires: f.Expires})
	h.Done()
	w.Bulk(value)
	return nil
}
