package commands

import (
	"bytes"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// Where there is nothing to pop, the blocking commands answer as Redis does inside
// MULTI: null at once.

var declBLMove = Command{
	Command: spec.Command{
		Name: "BLMOVE", Syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout",
		Group: spec.List, Keys: moveKeys(), Flags: spec.DenyOOM | spec.NoScript | spec.Blocking,
		Since: "6.2.0", Cost: "O(1)",
		Summary: "Moves an element from an end of a list to an end of another one, and waits for one.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		m, err := parseMove(args)
		if err == nil {
			err = checkTimeout(args[5])
		}
		if err != nil {
			return err
		}
		return m.run(t, w)
	},
}

// moveKeys are the keys of a list to pop from and of one to push to.
func moveKeys() []spec.KeySpec {
	return []spec.KeySpec{spec.KeyAt(1, spec.RW|spec.Access|spec.Delete), spec.KeyAt(2, spec.RW|spec.Insert)}
}

var declBLMPop = Command{
	Command: spec.Command{
		Name: "BLMPOP", Syntax: "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
		Group: spec.List, Keys: countedKeys(2, spec.RW|spec.Access|spec.Delete), Flags: spec.Blocking,
		Since: "7.0.0", Cost: "O(N+M) with N the number of keys and M the number of elements returned",
		Summary: "Removes and returns elements from an end of the first list that exists, and waits for one.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return popFirst(t, args[2:], args[1], w)
	},
}

var declBLPop = Command{
	Command: spec.Command{
		Name: "BLPOP", Syntax: "key [key ...] timeout",
		Group: spec.List, Keys: allButLast(spec.RW | spec.Access | spec.Delete), Flags: spec.NoScript | spec.Blocking,
		Since: "2.0.0", Cost: "O(N) with N the number of keys",
		Summary: "Removes and returns the first element of the first list that exists, and waits for one.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return blockingPop(t, args, false, w) },
}

// allButLast are keys from the first argument to the last but one.
func allButLast(f spec.KeyFlags) []spec.KeySpec {
	return []spec.KeySpec{{Flags: f, Index: 1, Last: -2, Step: 1}}
}

// blockingPop is BLPOP and BRPOP.
func blockingPop(t *keyspace.Txn, args Args, last bool, w *resp.Writer) error {
	keys, timeout := args[1:len(args)-1], args[len(args)-1]
	if err := checkTimeout(timeout); err != nil {
		return err
	}
	key, l, err := firstList(t, keys)
	if err != nil {
		return err
	}
	if key == nil {
		w.NullArray()
		return nil
	}
	w.Array(2)
	w.Bulk(key)
	popping{key, l, 1, last}.run(t, w)
	return nil
}

var declBRPop = Command{
	Command: spec.Command{
		Name: "BRPOP", Syntax: "key [key ...] timeout",
		Group: spec.List, Keys: allButLast(spec.RW | spec.Access | spec.Delete), Flags: spec.NoScript | spec.Blocking,
		Since: "2.0.0", Cost: "O(N) with N the number of keys",
		Summary: "Removes and returns the last element of the first list that exists, and waits for one.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return blockingPop(t, args, true, w) },
}

var declBRPopLPush = Command{
	Command: spec.Command{
		Name: "BRPOPLPUSH", Syntax: "source destination timeout",
		Group: spec.List, Keys: moveKeys(), Flags: spec.DenyOOM | spec.NoScript | spec.Blocking,
		Since: "2.2.0", Cost: "O(1)",
		Deprecated: "since 6.2.0; `BLMOVE` with the `RIGHT` and `LEFT` arguments",
		Summary:    "Moves the last element of a list to the front of another one, and waits for one.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		if err := checkTimeout(args[3]); err != nil {
			return err
		}
		return move{from: args[1], to: args[2], fromLast: true}.run(t, w)
	},
}

var declLMove = Command{
	Command: spec.Command{
		Name: "LMOVE", Syntax: "source destination <LEFT | RIGHT> <LEFT | RIGHT>",
		Group: spec.List, Keys: moveKeys(), Flags: spec.DenyOOM,
		Since: "6.2.0", Cost: "O(1)",
		Summary: "Moves an element from an end of a list to an end of another one.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		m, err := parseMove(args)
		if err != nil {
			return err
		}
		return m.run(t, w)
	},
}

var declRPopLPush = Command{
	Command: spec.Command{
		Name: "RPOPLPUSH", Syntax: "source destination",
		Group: spec.List, Keys: moveKeys(), Flags: spec.DenyOOM,
		Since: "1.2.0", Cost: "O(1)",
		Deprecated: "since 6.2.0; `LMOVE` with the `RIGHT` and `LEFT` arguments",
		Summary:    "Moves the last element of a list to the front of another one.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return move{from: args[1], to: args[2], fromLast: true}.run(t, w)
	},
}

// move takes an element from an end of a list to an end of another one, or of the same.
type move struct {
	from, to         []byte
	fromLast, toLast bool
}

// parseMove reads LMOVE's arguments, which BLMOVE's begin with.
func parseMove(args Args) (m move, err error) {
	m.from, m.to = args[1], args[2]
	var ok, okTo bool
	m.fromLast, ok = listEnd(args[3])
	m.toLast, okTo = listEnd(args[4])
	if !ok || !okTo {
		return m, resp.ErrSyntax
	}
	return m, nil
}

func (m move) run(t *keyspace.Txn, w *resp.Writer) error {
	src, ok, err := keyspace.Edit[keyspace.ListValue](t, m.from)
	if err != nil {
		return err
	}
	if !ok {
		w.Null()
		return nil
	}
	dst, there, err := keyspace.Edit[keyspace.ListValue](t, m.to)
	if err != nil {
		return err
	}
	if !there {
		dst = t.NewList()
		t.Set(m.to, dst, 0)
	}
	i := 0
	if m.fromLast {
		i = src.Len() - 1
	}
	element := src.At(i)
	w.Bulk(element)
	if bytes.Equal(m.from, m.to) {
		element = bytes.Clone(element) // which the list's change would move
		src.Delete(i, i+1)
		m.push(dst, element)
	} else {
		m.push(dst, element)
		src.Delete(i, i+1)
		t.Changed(m.from)
	}
	t.Changed(m.to)
	return nil
}

func (m move) push(dst keyspace.ListValue, element []byte) {
	if m.toLast {
		dst.PushBack(element)
	} else {
		dst.PushFront(element)
	}
}
