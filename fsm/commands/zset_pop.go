package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declBZMPop = Command{
	Command: spec.Command{
		Name: "BZMPOP", Syntax: "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]",
		Group: spec.SortedSet, Flags: spec.Blocking,
		Keys:  []spec.KeySpec{{Flags: spec.RW | spec.Access | spec.Delete, Index: 2, KeyCount: true, FirstKey: 1, Step: 1}},
		Since: "7.0.0", Cost: "O(K + M log N) with K the number of keys, N the size of the sorted set and M the number of members to pop",
		Summary: "Removes members with the lowest or highest scores from the first of some sorted sets that exists, and returns them.",
	},
	Write: cmdBZMPop,
}

func cmdBZMPop(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseZMPop(args[2:])
	if err == nil {
		err = checkTimeout(args[1])
	}
	if err != nil {
		return err
	}
	return zmpop(t, o, w)
}

var declBZPopMax = Command{
	Command: spec.Command{
		Name: "BZPOPMAX", Syntax: "key [key ...] timeout",
		Group: spec.SortedSet, Keys: blockingPopKeys(), Flags: spec.NoScript | spec.Blocking | spec.Fast,
		Since: "5.0.0", Cost: "O(log N) with N the size of the sorted set",
		Summary: "Removes the member with the highest score from the first of some sorted sets that exists, and returns it.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return bzpop(t, args, w, true) },
}

var declBZPopMin = Command{
	Command: spec.Command{
		Name: "BZPOPMIN", Syntax: "key [key ...] timeout",
		Group: spec.SortedSet, Keys: blockingPopKeys(), Flags: spec.NoScript | spec.Blocking | spec.Fast,
		Since: "5.0.0", Cost: "O(log N) with N the size of the sorted set",
		Summary: "Removes the member with the lowest score from the first of some sorted sets that exists, and returns it.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return bzpop(t, args, w, false) },
}

func blockingPopKeys() []spec.KeySpec {
	return []spec.KeySpec{{Flags: spec.RW | spec.Access | spec.Delete, Index: 1, Last: -2, Step: 1}}
}

// bzpop does what BZPOPMAX and BZPOPMIN do. Where there is nothing to pop it answers at
// once, as Redis does inside a transaction.
func bzpop(t *keyspace.Txn, args Args, w *resp.Writer, highest bool) error {
	last := len(args) - 1
	if err := checkTimeout(args[last]); err != nil {
		return err
	}
	key, z, err := firstZSet(t, args[1:last])
	switch {
	case err != nil:
		return err
	case key == nil:
		w.NullArray()
		return nil
	}
	w.Array(3)
	w.Bulk(key)
	pop(z, 1, highest, func(member []byte, score float64) {
		w.Bulk(member)
		w.Double(score)
	})
	t.Changed(key)
	return nil
}

var declZMPop = Command{
	Command: spec.Command{
		Name: "ZMPOP", Syntax: "numkeys key [key ...] <MIN | MAX> [COUNT count]",
		Group: spec.SortedSet,
		Keys:  []spec.KeySpec{{Flags: spec.RW | spec.Access | spec.Delete, Index: 1, KeyCount: true, FirstKey: 1, Step: 1}},
		Since: "7.0.0", Cost: "O(K + M log N) with K the number of keys, N the size of the sorted set and M the number of members to pop",
		Summary: "Removes members with the lowest or highest scores from the first of some sorted sets that exists, and returns them.",
	},
	Write: cmdZMPop,
}

func cmdZMPop(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseZMPop(args[1:])
	if err != nil {
		return err
	}
	return zmpop(t, o, w)
}

// zmpopOptions are ZMPOP's arguments.
type zmpopOptions struct {
	keys    Args
	highest bool
	count   int64
}

// parseZMPop reads them, from the number of keys on.
func parseZMPop(args Args) (o zmpopOptions, err error) {
	n, ok := keyspace.ParseInt(args[0])
	if !ok || n < 1 {
		return o, resp.ErrNumKeys
	}
	if n >= int64(len(args)-1) {
		return o, resp.ErrSyntax
	}
	o.keys, args = args[1:1+n], args[1+n:]
	switch {
	case is(args[0], "MAX"):
		o.highest = true
	case !is(args[0], "MIN"):
		return o, resp.ErrSyntax
	}
	args = args[1:]
	if len(args) == 0 {
		o.count = 1
		return o, nil
	}
	if !is(args[0], "COUNT") || len(args) < 2 {
		return o, resp.ErrSyntax
	}
	if o.count, ok = keyspace.ParseInt(args[1]); !ok || o.count < 1 {
		return o, resp.ErrCount
	}
	if len(args) > 2 {
		return o, resp.ErrSyntax
	}
	return o, nil
}

// zmpop does what ZMPOP and BZMPOP do.
func zmpop(t *keyspace.Txn, o zmpopOptions, w *resp.Writer) error {
	key, z, err := firstZSet(t, o.keys)
	switch {
	case err != nil:
		return err
	case key == nil:
		w.NullArray()
		return nil
	}
	n := int(min(o.count, int64(z.Len())))
	w.Array(2)
	w.Bulk(key)
	w.Array(n)
	pop(z, n, o.highest, func(member []byte, score float64) {
		w.Array(2)
		w.Bulk(member)
		w.Double(score)
	})
	t.Changed(key)
	return nil
}

var declZPopMax = Command{
	Command: spec.Command{
		Name: "ZPOPMAX", Syntax: "key [count]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Access | spec.Delete), Flags: spec.Fast,
		Since: "5.0.0", Cost: "O(M log N) with N the size of the sorted set and M the number of members to pop",
		Summary: "Removes the members with the highest scores from a sorted set and returns them.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return zpop(t, args, w, true) },
}

var declZPopMin = Command{
	Command: spec.Command{
		Name: "ZPOPMIN", Syntax: "key [count]",
		Group: spec.SortedSet, Keys: spec.OneKey(spec.RW | spec.Access | spec.Delete), Flags: spec.Fast,
		Since: "5.0.0", Cost: "O(M log N) with N the size of the sorted set and M the number of members to pop",
		Summary: "Removes the members with the lowest scores from a sorted set and returns them.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return zpop(t, args, w, false) },
}

// zpop does what ZPOPMAX and ZPOPMIN do.
func zpop(t *keyspace.Txn, args Args, w *resp.Writer, highest bool) error {
	if len(args) > 3 {
		return resp.ErrSyntax
	}
	count, counted := int64(1), len(args) == 3
	if counted {
		var ok bool
		if count, ok = keyspace.ParseInt(args[2]); !ok || count < 0 {
			return resp.ErrNotPositive
		}
	}
	z, ok, err := keyspace.Edit[keyspace.ZSetValue](t, args[1])
	switch {
	case err != nil:
		return err
	case !ok || count == 0:
		w.Array(0)
		return nil
	}
	n := int(min(count, int64(z.Len())))
	if counted {
		writePairs(w, n)
	} else {
		w.Array(2)
	}
	pop(z, n, highest, func(member []byte, score float64) {
		if counted {
			writePair(w, member, score)
			return
		}
		w.Bulk(member)
		w.Double(score)
	})
	t.Changed(args[1])
	return nil
}

// pop removes n members, of which there are as many, and calls fn for each before.
func pop(z keyspace.ZSetValue, n int, highest bool, fn func(member []byte, score float64)) {
	each := func(member []byte, score float64) bool {
		fn(member, score)
		return true
	}
	if highest {
		z.Descend(z.Len()-n, z.Len(), each)
		z.DeleteRange(z.Len()-n, z.Len())
		return
	}
	z.Ascend(0, n, each)
	z.DeleteRange(0, n)
}

// firstZSet returns the first of some keys that exists, nil where none does, and its
// value for changing.
func firstZSet(t *keyspace.Txn, keys Args) (key []byte, z keyspace.ZSetValue, err error) {
	for _, key := range keys {
		z, ok, err := keyspace.Edit[keyspace.ZSetValue](t, key)
		if err != nil {
			return nil, z, err
		}
		if ok {
			return key, z, nil
		}
	}
	return nil, z, nil
}
