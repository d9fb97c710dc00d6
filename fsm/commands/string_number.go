package commands

import (
	"math"
	"strconv"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declDecr = Command{
	Command: spec.Command{
		Name: "DECR", Syntax: "key",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Takes one from the integer stored under a key; an absent key counts as 0.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return increment(t, args[1], -1, w) },
}

var declDecrBy = Command{
	Command: spec.Command{
		Name: "DECRBY", Syntax: "key decrement",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Takes a number from the integer stored under a key; an absent key counts as 0.",
	},
	Write: cmdDecrBy,
}

func cmdDecrBy(t *keyspace.Txn, args Args, w *resp.Writer) error {
	n, err := integer(args[2])
	if err != nil {
		return err
	}
	if n == math.MinInt64 { // its negative is no int64
		return resp.ErrDecrOverflow
	}
	return increment(t, args[1], -n, w)
}

var declIncr = Command{
	Command: spec.Command{
		Name: "INCR", Syntax: "key",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Adds one to the integer stored under a key; an absent key counts as 0.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return increment(t, args[1], 1, w) },
}

var declIncrBy = Command{
	Command: spec.Command{
		Name: "INCRBY", Syntax: "key increment",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Adds a number to the integer stored under a key; an absent key counts as 0.",
	},
	Write: cmdIncrBy,
}

func cmdIncrBy(t *keyspace.Txn, args Args, w *resp.Writer) error {
	n, err := integer(args[2])
	if err != nil {
		return err
	}
	return increment(t, args[1], n, w)
}

var declIncrByFloat = Command{
	Command: spec.Command{
		Name: "INCRBYFLOAT", Syntax: "key increment",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.6.0", Cost: "O(1)",
		Summary: "Adds a floating point number to the one stored under a key; an absent key counts as 0.",
	},
	Write: cmdIncrByFloat,
	Grows: func(*keyspace.View, Args) int64 { return maxLongDouble },
}

func cmdIncrByFloat(t *keyspace.Txn, args Args, w *resp.Writer) error {
	text, found, err := t.String(args[1])
	if err != nil {
		return err
	}
	old := longDouble{}
	if found {
		if text.Len() > maxLongDouble {
			return resp.ErrNotFloat
		}
		if old, err = parseLongDouble(text.String()); err != nil {
			return err
		}
	}
	by, err := parseLongDouble(string(args[2]))
	if err != nil {
		return err
	}
	sum, err := old.plus(by)
	if err != nil {
		return err
	}
	value := sum.append(nil)
	t.SetString(args[1], value, expiryOf(t, args[1]))
	w.Bulk(value)
	return nil
}

// increment adds to the integer under a key. The expiry time stays.
func increment(t *keyspace.Txn, key []byte, by int64, w *resp.Writer) error {
	e, found := t.Get(key)
	var old int64
	if found {
		text, ok := e.Text()
		if !ok {
			return resp.ErrWrongType
		}
		if old, ok = text.Int(); !ok {
			return resp.ErrNotInteger
		}
	}
	if by > 0 && old > math.MaxInt64-by || by < 0 && old < math.MinInt64-by {
		return resp.ErrOverflow
	}
	var buf [20]byte
	t.SetString(key, strconv.AppendInt(buf[:0], old+by, 10), e.ExpireAt())
	w.Int(old + by)
	return nil
}

// expiryOf is a key's expiry time, 0 where it has none or doesn't exist.
func expiryOf(t *keyspace.Txn, key []byte) int64 {
	if e, ok := t.Get(key); ok {
		return e.ExpireAt()
	}
	return 0
}
