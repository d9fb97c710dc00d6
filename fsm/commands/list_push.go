package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declLMPop = Command{
	Command: spec.Command{
		Name: "LMPOP", Syntax: "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]",
		Group: spec.List, Keys: countedKeys(1, spec.RW|spec.Access|spec.Delete),
		Since: "7.0.0", Cost: "O(N+M) with N the number of keys and M the number of elements returned",
		Summary: "Removes and returns elements from an end of the first list that exists.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return popFirst(t, args[1:], nil, w) },
}

// countedKeys are keys whose number stands at an index.
func countedKeys(at int, f spec.KeyFlags) []spec.KeySpec {
	return []spec.KeySpec{{Flags: f, Index: at, KeyCount: true, FirstKey: 1, Step: 1}}
}

// popFirst is LMPOP from its number of keys on, and BLMPOP, which has a timeout.
func popFirst(t *keyspace.Txn, args Args, timeout []byte, w *resp.Writer) error {
	keys, last, count, err := parsePopFirst(args)
	if err == nil && timeout != nil {
		err = checkTimeout(timeout)
	}
	if err != nil {
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
	n := int(min(count, int64(l.Len())))
	w.Array(2)
	w.Bulk(key)
	w.Array(n)
	popping{key, l, n, last}.run(t, w)
	return nil
}

func parsePopFirst(args Args) (keys Args, last bool, count int64, err error) {
	numKeys, err := atLeast(args[0], 1, resp.ErrNumKeys)
	if err != nil {
		return nil, false, 0, err
	}
	if numKeys > int64(len(args)-2) {
		return nil, false, 0, resp.ErrSyntax
	}
	keys, rest := args[1:1+numKeys], args[1+numKeys:]
	last, ok := listEnd(rest[0])
	rest, count = rest[1:], 1
	if len(rest) > 0 && ok {
		if len(rest) == 1 || !is(rest[0], "COUNT") {
			return nil, false, 0, resp.ErrSyntax
		}
		if count, err = atLeast(rest[1], 1, resp.ErrCount); err != nil {
			return nil, false, 0, err
		}
		ok = len(rest) == 2
	}
	if !ok {
		return nil, false, 0, resp.ErrSyntax
	}
	return keys, last, count, nil
}

// listEnd reads LEFT or RIGHT: whether the last elements of a list are meant.
func listEnd(arg []byte) (last, ok bool) {
	last = is(arg, "RIGHT")
	return last, last || is(arg, "LEFT")
}

// firstList returns the first of some keys that exists, nil where none does, and its
// value for changing.
func firstList(t *keyspace.Txn, keys Args) (key []byte, l keyspace.ListValue, err error) {
	for _, key := range keys {
		l, ok, err := keyspace.Edit[keyspace.ListValue](t, key)
		if err != nil {
			return nil, l, err
		}
		if ok {
			return key, l, nil
		}
	}
	return nil, l, nil
}

// popping is n elements of the list under a key, from its start or its end.
type popping struct {
	key  []byte
	list keyspace.ListValue
	n    int
	last bool
}

// run writes the elements, the outermost first, and takes them out.
func (p popping) run(t *keyspace.Txn, w *resp.Writer) {
	if p.n == 0 {
		return
	}
	from := 0
	if p.last {
		from = p.list.Len() - p.n
	}
	if w != nil {
		left := p.n
		write := func(element []byte) bool {
			w.Bulk(element)
			left--
			return left > 0
		}
		if p.last {
			p.list.Descend(p.list.Len()-1, write)
		} else {
			p.list.Ascend(0, write)
		}
	}
	p.list.Delete(from, from+p.n)
	t.Changed(p.key)
}

var declLPop = Command{
	Command: spec.Command{
		Name: "LPOP", Syntax: "key [count]",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Access | spec.Delete), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(N) with N the number of elements returned",
		Summary: "Removes and returns the first elements of a list.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return popEnd(t, args, false, w) },
}

// popEnd is LPOP and RPOP.
func popEnd(t *keyspace.Txn, args Args, last bool, w *resp.Writer) error {
	if len(args) > 3 {
		return resp.WrongArity(string(args[0]))
	}
	counted, count := len(args) == 3, int64(1)
	if counted {
		var err error
		if count, err = atLeast(args[2], 0, resp.ErrNotPositive); err != nil {
			return err
		}
	}
	l, ok, err := keyspace.Edit[keyspace.ListValue](t, args[1])
	switch {
	case err != nil:
		return err
	case !ok && counted:
		w.NullArray()
		return nil
	case !ok:
		w.Null()
		return nil
	}
	n := int(min(count, int64(l.Len())))
	if counted {
		w.Array(n)
	}
	popping{args[1], l, n, last}.run(t, w)
	return nil
}

var declLPush = Command{
	Command: spec.Command{
		Name: "LPUSH", Syntax: "key element [element ...]",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(N) with N the number of elements to add",
		Summary: "Puts elements before all others of a list, which is created where it doesn't exist.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return push(t, args, pushFront, w) },
}

var declLPushX = Command{
	Command: spec.Command{
		Name: "LPUSHX", Syntax: "key element [element ...]",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.2.0", Cost: "O(N) with N the number of elements to add",
		Summary: "Puts elements before all others of a list that exists.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return push(t, args, pushFront|onlyThere, w) },
}

var declRPop = Command{
	Command: spec.Command{
		Name: "RPOP", Syntax: "key [count]",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Access | spec.Delete), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(N) with N the number of elements returned",
		Summary: "Removes and returns the last elements of a list.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return popEnd(t, args, true, w) },
}

var declRPush = Command{
	Command: spec.Command{
		Name: "RPUSH", Syntax: "key element [element ...]",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(N) with N the number of elements to add",
		Summary: "Puts elements behind all others of a list, which is created where it doesn't exist.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return push(t, args, 0, w) },
}

var declRPushX = Command{
	Command: spec.Command{
		Name: "RPUSHX", Syntax: "key element [element ...]",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.2.0", Cost: "O(N) with N the number of elements to add",
		Summary: "Puts elements behind all others of a list that exists.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error { return push(t, args, onlyThere, w) },
}

// pushMode says how a push differs from RPUSH.
type pushMode uint8

const (
	pushFront pushMode = 1 << iota // before all others
	onlyThere                      // only where there is a list
)

// push is LPUSH, LPUSHX, RPUSH and RPUSHX.
func push(t *keyspace.Txn, args Args, mode pushMode, w *resp.Writer) error {
	l, ok, err := keyspace.Edit[keyspace.ListValue](t, args[1])
	if err != nil {
		return err
	}
	if !ok {
		if mode&onlyThere != 0 {
			w.Int(0)
			return nil
		}
		l = t.NewList()
		t.Set(args[1], l, 0)
	}
	for _, element := range args[2:] {
		if mode&pushFront != 0 {
			l.PushFront(element)
		} else {
			l.PushBack(element)
		}
	}
	t.Changed(args[1])
	w.Int(int64(l.Len()))
	return nil
}
