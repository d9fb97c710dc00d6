package commands

import (
	"slices"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/pack"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declSDiff = Command{
	Command: setsSpec("SDIFF", "Returns the members of a set that are in none of others."),
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return writeResult(v, args, w, diffSets)
	},
}

var declSDiffStore = Command{
	Command: setStoreSpec("SDIFFSTORE", spec.OW, "Stores the members of a set that are in none of others."),
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return storeResult(t, args, w, diffSets)
	},
	Grows: func(v *keyspace.View, args Args) int64 { return setCopy(v, args[2]) },
}

var declSInter = Command{
	Command: setsSpec("SINTER", "Returns the members that several sets have in common."),
	Read:    cmdSInter,
}

func cmdSInter(v *keyspace.View, args Args, w *resp.Writer) error {
	sets, err := lookUpSets(v.Get, args[1:])
	if err != nil {
		return err
	}
	var found memberList
	intersect(sets, found.add)
	w.Set(found.n)
	found.write(w)
	return nil
}

var declSInterCard = Command{
	Command: spec.Command{
		Name: "SINTERCARD", Syntax: "numkeys key [key ...] [LIMIT limit]",
		Group: spec.SetGroup, Keys: []spec.KeySpec{{Flags: spec.RO | spec.Access, Index: 1, KeyCount: true, FirstKey: 1, Step: 1}},
		Since: "7.0.0", Cost: "O(N*M) at worst with N the number of members of the smallest set and M the number of sets",
		Summary: "Counts the members that several sets have in common.",
	},
	Read: cmdSInterCard,
}

func cmdSInterCard(v *keyspace.View, args Args, w *resp.Writer) error {
	numKeys, ok := keyspace.ParseInt(args[1])
	if !ok || numKeys < 1 {
		return resp.ErrNumKeys
	}
	if numKeys > int64(len(args)-2) {
		return resp.ErrTooManyKeys
	}
	limit := int64(0)
	for rest := args[2+numKeys:]; len(rest) > 0; rest = rest[2:] {
		if len(rest) < 2 || !is(rest[0], "LIMIT") {
			return resp.ErrSyntax
		}
		if limit, ok = keyspace.ParseInt(rest[1]); !ok || limit < 0 {
			return resp.ErrLimitNegative
		}
	}
	sets, err := lookUpSets(v.Get, args[2:2+numKeys])
	if err != nil {
		return err
	}
	n := int64(0)
	intersect(sets, func([]byte) bool {
		n++
		return n != limit
	})
	w.Int(n)
	return nil
}

var declSInterStore = Command{
	Command: setStoreSpec("SINTERSTORE", spec.RW, "Stores the members that several sets have in common."),
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return storeResult(t, args, w, interSets)
	},
	Grows: func(v *keyspace.View, args Args) int64 {
		least := setCopy(v, args[2])
		for _, key := range args[3:] {
			least = min(least, setCopy(v, key))
		}
		return least
	},
}

var declSUnion = Command{
	Command: setsSpec("SUNION", "Returns the members that at least one of several sets has."),
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return writeResult(v, args, w, uniteSets)
	},
}

var declSUnionStore = Command{
	Command: setStoreSpec("SUNIONSTORE", spec.OW, "Stores the members that at least one of several sets has."),
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		return storeResult(t, args, w, uniteSets)
	},
	Grows: func(v *keyspace.View, args Args) (n int64) {
		for _, key := range args[2:] {
			n += setCopy(v, key)
		}
		return n
	},
}

// setsSpec is the declaration of a command that works on sets alone.
func setsSpec(name, summary string) spec.Command {
	return spec.Command{
		Name: name, Syntax: "key [key ...]",
		Group: spec.SetGroup, Keys: spec.AllKeys(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output_order"},
		Since: "1.0.0", Cost: setsCost(name), Summary: summary,
	}
}

// setStoreSpec is the declaration of a command that stores such a result.
func setStoreSpec(name string, how spec.KeyFlags, summary string) spec.Command {
	return spec.Command{
		Name: name, Syntax: "destination key [key ...]",
		Group: spec.SetGroup, Flags: spec.DenyOOM,
		Keys:  []spec.KeySpec{spec.KeyAt(1, how|spec.Update), {Flags: spec.RO | spec.Access, Index: 2, Last: -1, Step: 1}},
		Since: "1.0.0", Cost: setsCost(name), Summary: summary,
	}
}

func setsCost(name string) string {
	if name == "SINTER" || name == "SINTERSTORE" {
		return "O(N*M) at worst with N the number of members of the smallest set and M the number of sets"
	}
	return "O(N) with N the number of members of all sets"
}

// setCopy is what the members of a set take in another one, at the most.
func setCopy(v *keyspace.View, key []byte) int64 {
	if e, ok := v.Peek(key); ok {
		if s, is := e.Value().(keyspace.SetValue); is {
			return int64(s.Size() + s.Enlarging())
		}
	}
	return 0
}

// operation puts the result of sets together in another one. One without members may
// be the zero SetValue.
type operation func(sets []keyspace.SetValue, result keyspace.SetValue, v *keyspace.View)

func writeResult(v *keyspace.View, args Args, w *resp.Writer, op operation) error {
	sets, err := lookUpSets(v.Get, args[1:])
	if err != nil {
		return err
	}
	result := v.NewSet()
	op(sets, result, v)
	writeSet(w, result)
	return nil
}

// storeResult puts the result under the first key, whatever was there before, or
// deletes that one where it is empty.
func storeResult(t *keyspace.Txn, args Args, w *resp.Writer, op operation) error {
	sets, err := lookUpSets(t.Get, args[2:])
	if err != nil {
		return err
	}
	result := t.NewSet()
	op(sets, result, &t.View)
	if result.Len() > 0 {
		t.Set(args[1], result, 0)
	} else {
		t.Delete(args[1])
	}
	w.Int(int64(result.Len()))
	return nil
}

// lookUpSets returns the sets under keys, the zero SetValue where there is none.
func lookUpSets(get func(key []byte) (keyspace.Entry, bool), keys Args) ([]keyspace.SetValue, error) {
	sets := make([]keyspace.SetValue, len(keys))
	for i, key := range keys {
		e, ok := get(key)
		if !ok {
			continue
		}
		if sets[i], ok = e.Value().(keyspace.SetValue); !ok {
			return nil, resp.ErrWrongType
		}
	}
	return sets, nil
}

// size is the number of members of a set that may be none.
func size(s keyspace.SetValue) int {
	if s.Set == nil {
		return 0
	}
	return s.Len()
}

// intersect calls fn with the members that all sets have, until it returns false. It
// changes the order of sets.
func intersect(sets []keyspace.SetValue, fn func(member []byte) bool) {
	slices.SortStableFunc(sets, func(a, b keyspace.SetValue) int { return size(a) - size(b) })
	if size(sets[0]) == 0 {
		return
	}
	sets[0].Each(func(member []byte) bool {
		for _, s := range sets[1:] {
			if s.Set != sets[0].Set && !s.Has(member) {
				return true
			}
		}
		return fn(member)
	})
}

func interSets(sets []keyspace.SetValue, result keyspace.SetValue, v *keyspace.View) {
	intersect(sets, func(member []byte) bool {
		result.Add(member, v.Limits().Set)
		return true
	})
}

func uniteSets(sets []keyspace.SetValue, result keyspace.SetValue, v *keyspace.View) {
	for _, s := range sets {
		addAll(result, s, v)
	}
}

// addAll adds all members of a set that may be none.
func addAll(to, from keyspace.SetValue, v *keyspace.View) {
	if size(from) > 0 {
		from.Each(func(member []byte) bool {
			to.Add(member, v.Limits().Set)
			return true
		})
	}
}

// diffSets takes one of Redis's two ways, the same one: the encoding of the result may
// depend on which. Either each member of the first set is looked for in the others, or
// the others' members are removed from a copy of it.
func diffSets(sets []keyspace.SetValue, result keyspace.SetValue, v *keyspace.View) {
	first := sets[0]
	if size(first) == 0 {
		return
	}
	looks, removals := 0, 0
	for _, s := range sets {
		if s.Set != nil {
			looks, removals = looks+first.Len(), removals+s.Len()
		}
	}
	if looks/2 > removals {
		removeMembers(sets, result, v)
		return
	}
	others := slices.DeleteFunc(sets[1:], func(s keyspace.SetValue) bool { return s.Set == nil })
	slices.SortStableFunc(others, func(a, b keyspace.SetValue) int { return b.Len() - a.Len() })
	first.Each(func(member []byte) bool {
		for _, s := range others {
			if s.Set == first.Set {
				return false
			}
			if s.Has(member) {
				return true
			}
		}
		result.Add(member, v.Limits().Set)
		return true
	})
}

func removeMembers(sets []keyspace.SetValue, result keyspace.SetValue, v *keyspace.View) {
	addAll(result, sets[0], v)
	for _, s := range sets[1:] {
		if size(s) == 0 {
			continue
		}
		s.Each(func(member []byte) bool {
			result.Delete(member)
			return result.Len() > 0
		})
	}
}

// memberList holds copies of members whose number is not known yet.
type memberList struct {
	members pack.Seq
	n       int
}

// add always returns true.
func (l *memberList) add(member []byte) bool {
	l.members = l.members.Append(member)
	l.n++
	return true
}

func (l *memberList) each(fn func(member []byte)) {
	for at := 0; at < len(l.members); {
		var member []byte
		member, at = l.members.Next(at)
		fn(member)
	}
}

// write writes them as bulk strings, behind what announces them.
func (l *memberList) write(w *resp.Writer) { l.each(w.Bulk) }
