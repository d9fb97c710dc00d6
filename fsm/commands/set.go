package commands

import (
	"bytes"
	"strconv"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func setCommands() []Command {
	return []Command{
		// set.go
		declSAdd, declSCard, declSIsMember, declSMembers, declSMIsMember, declSMove, declSRem, declSScan,
		// set_random.go
		declSPop, declSRandMember,
		// set_algebra.go
		declSDiff, declSDiffStore, declSInter, declSInterCard, declSInterStore, declSUnion, declSUnionStore,
	}
}

var declSAdd = Command{
	Command: spec.Command{
		Name: "SADD", Syntax: "key member [member ...]",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(N) with N the number of members to add",
		Summary: "Adds members to a set, which is created where it doesn't exist.",
	},
	Write: cmdSAdd,
	Grows: func(v *keyspace.View, args Args) int64 { return setEnlarging(v, args[1]) },
}

func cmdSAdd(t *keyspace.Txn, args Args, w *resp.Writer) error {
	s, err := setToAdd(t, args[1])
	if err != nil {
		return err
	}
	n := 0
	for _, member := range args[2:] {
		if s.Add(member, t.Limits().Set) {
			n++
		}
	}
	if n > 0 {
		t.Changed(args[1])
	}
	w.Int(int64(n))
	return nil
}

// setToAdd returns the set under a key for adding a member, a new one if need be.
func setToAdd(t *keyspace.Txn, key []byte) (keyspace.SetValue, error) {
	s, ok, err := keyspace.Edit[keyspace.SetValue](t, key)
	if err == nil && !ok {
		s = t.NewSet()
		t.Set(key, s, 0)
	}
	return s, err
}

// setEnlarging is what a set may grow by, beyond a new member's bytes, when it takes
// another form.
func setEnlarging(v *keyspace.View, key []byte) int64 {
	if e, ok := v.Peek(key); ok {
		if s, is := e.Value().(keyspace.SetValue); is {
			return int64(s.Enlarging())
		}
	}
	return 0
}

var declSCard = Command{
	Command: spec.Command{
		Name: "SCARD", Syntax: "key",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Returns the number of members of a set.",
	},
	Read: cmdSCard,
}

func cmdSCard(v *keyspace.View, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Find[keyspace.SetValue](v, args[1])
	switch {
	case err != nil:
		return err
	case ok:
		w.Int(int64(s.Len()))
	default:
		w.Int(0)
	}
	return nil
}

var declSIsMember = Command{
	Command: spec.Command{
		Name: "SISMEMBER", Syntax: "key member",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Says whether a set has a member.",
	},
	Read: cmdSIsMember,
}

func cmdSIsMember(v *keyspace.View, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Find[keyspace.SetValue](v, args[1])
	if err != nil {
		return err
	}
	one(w, ok && s.Has(args[2]))
	return nil
}

var declSMembers = Command{
	Command: spec.Command{
		Name: "SMEMBERS", Syntax: "key",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output_order"},
		Since: "1.0.0", Cost: "O(N) with N the number of members",
		Summary: "Returns all members of a set.",
	},
	Read: cmdSMembers,
}

func cmdSMembers(v *keyspace.View, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Find[keyspace.SetValue](v, args[1])
	switch {
	case err != nil:
		return err
	case ok:
		writeSet(w, s)
	default:
		w.Set(0)
	}
	return nil
}

var declSMIsMember = Command{
	Command: spec.Command{
		Name: "SMISMEMBER", Syntax: "key member [member ...]",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "6.2.0", Cost: "O(N) with N the number of members asked about",
		Summary: "Says of each of several members whether a set has it.",
	},
	Read: cmdSMIsMember,
}

func cmdSMIsMember(v *keyspace.View, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Find[keyspace.SetValue](v, args[1])
	if err != nil {
		return err
	}
	w.Array(len(args) - 2)
	for _, member := range args[2:] {
		one(w, ok && s.Has(member))
	}
	return nil
}

var declSMove = Command{
	Command: spec.Command{
		Name: "SMOVE", Syntax: "source destination member",
		Group: spec.SetGroup, Flags: spec.Fast,
		Keys:  []spec.KeySpec{spec.KeyAt(1, spec.RW|spec.Access|spec.Delete), spec.KeyAt(2, spec.RW|spec.Insert)},
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Moves a member from one set to another.",
	},
	Write: cmdSMove,
	Grows: func(v *keyspace.View, args Args) int64 { return setEnlarging(v, args[2]) },
}

func cmdSMove(t *keyspace.Txn, args Args, w *resp.Writer) error {
	from, to, member := args[1], args[2], args[3]
	sets, err := lookUpSets(t.Get, Args{from, to})
	switch {
	case !t.Exists(from): // then the destination's type does not matter
		w.Int(0)
		return nil
	case err != nil:
		return err
	case !sets[0].Has(member):
		w.Int(0)
		return nil
	case !bytes.Equal(from, to):
		source, _, _ := keyspace.Edit[keyspace.SetValue](t, from)
		source.Delete(member)
		t.Changed(from)
		target, err := setToAdd(t, to)
		if err != nil {
			return err
		}
		target.Add(member, t.Limits().Set)
		t.Changed(to)
	}
	w.Int(1)
	return nil
}

var declSRem = Command{
	Command: spec.Command{
		Name: "SREM", Syntax: "key member [member ...]",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RW | spec.Delete), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(N) with N the number of members to remove",
		Summary: "Removes members of a set, and the set with its last one.",
	},
	Write: cmdSRem,
}

func cmdSRem(t *keyspace.Txn, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Edit[keyspace.SetValue](t, args[1])
	if err != nil {
		return err
	}
	n := 0
	for _, member := range args[2:] {
		if ok && s.Delete(member) {
			n++
		}
	}
	if n > 0 {
		t.Changed(args[1])
	}
	w.Int(int64(n))
	return nil
}

var declSScan = Command{
	Command: spec.Command{
		Name: "SSCAN", Syntax: "key cursor [MATCH pattern] [COUNT count]",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "2.8.0", Cost: "O(log N + COUNT) for every call with N the number of members",
		Summary: "Walks through the members of a set, a few for each call.",
	},
	Read: cmdSScan,
}

func cmdSScan(v *keyspace.View, args Args, w *resp.Writer) error {
	cursor, ok := parseCursor(args[2])
	if !ok {
		return resp.ErrInvalidCursor
	}
	s, ok, err := keyspace.Find[keyspace.SetValue](v, args[1])
	if err != nil {
		return err
	}
	w.Array(2)
	if !ok { // as in Redis, whatever the options are
		w.BulkString("0")
		w.Array(0)
		return nil
	}
	o, err := parseScanOptions(args[3:], false)
	if err != nil {
		return err
	}
	var found memberList
	next := s.Scan(cursor, int(o.count), func(member []byte) {
		if !o.hasPattern || glob.MatchAll(o.pattern, member) {
			found.add(member)
		}
	})
	w.BulkString(strconv.FormatUint(next, 10))
	w.Array(found.n)
	found.write(w)
	return nil
}

// writeSet writes all members of a set as a set.
func writeSet(w *resp.Writer, s keyspace.SetValue) {
	w.Set(s.Len())
	s.Each(func(member []byte) bool {
		w.Bulk(member)
		return true
	})
}
