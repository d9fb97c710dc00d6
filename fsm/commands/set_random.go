package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declSPop = Command{
	Command: spec.Command{
		Name: "SPOP", Syntax: "key [count]",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RW | spec.Access | spec.Delete), Flags: spec.Fast,
		Tips:  []string{"nondeterministic_output"},
		Since: "1.0.0", Cost: "O(log N) for each member returned with N the number of members",
		Summary: "Removes members picked at random from a set and returns them.",
	},
	Write: cmdSPop,
}

func cmdSPop(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if len(args) > 3 {
		return resp.ErrSyntax
	}
	count := int64(1)
	if len(args) == 3 {
		var ok bool
		if count, ok = keyspace.ParseInt(args[2]); !ok || count < 0 {
			return resp.ErrNotPositive
		}
	}
	s, ok, err := keyspace.Edit[keyspace.SetValue](t, args[1])
	switch {
	case err != nil:
		return err
	case len(args) == 3 && (!ok || count == 0):
		w.Set(0)
	case len(args) == 3:
		n := int(min(count, int64(s.Len())))
		w.Set(n)
		if left := s.Len() - n; left > 0 && left*fewLeft <= n {
			rest := popMost(t, s, left, w)
			e, _ := t.Get(args[1])
			t.Set(args[1], rest, e.ExpireAt())
			return nil
		}
		popEach(t, s, n, w)
		t.Changed(args[1])
	case !ok:
		w.Null()
	default:
		popEach(t, s, 1, w)
		t.Changed(args[1])
	}
	return nil
}

// popEach picks and removes n members one by one.
func popEach(t *keyspace.Txn, s keyspace.SetValue, n int, w *resp.Writer) {
	if n == s.Len() { // nothing is left to chance, and the order is as SMEMBERS's
		s.Each(func(member []byte) bool {
			w.Bulk(member)
			return true
		})
		s.Clear()
		return
	}
	rnd := t.Chance()
	var held []byte
	for range n {
		held = append(held[:0], s.At(int(rnd.Below(uint64(s.Len()))))...)
		w.Bulk(held)
		s.Delete(held)
	}
}

// fewLeft is how many members are popped at least for each that is left, where those
// that are left are what is picked.
const fewLeft = 5

// popMost pops all but some members, and returns those that are left as a new set. As in
// Redis, they may be integers alone, and the set one of integers again.
func popMost(t *keyspace.Txn, s keyspace.SetValue, left int, w *resp.Writer) (rest keyspace.SetValue) {
	rest = t.NewSet()
	s.Sample(left, t.Chance().Below, func(member []byte) { rest.Add(member, t.Limits().Set) })
	s.Each(func(member []byte) bool {
		if !rest.Has(member) {
			w.Bulk(member)
		}
		return true
	})
	return rest
}

var declSRandMember = Command{
	Command: spec.Command{
		Name: "SRANDMEMBER", Syntax: "key [count]",
		Group: spec.SetGroup, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "1.0.0", Cost: "O(log N) for each member returned with N the number of members",
		Summary: "Returns members picked at random from a set.",
	},
	Read: cmdSRandMember,
}

func cmdSRandMember(v *keyspace.View, args Args, w *resp.Writer) error {
	if len(args) > 3 {
		return resp.ErrSyntax
	}
	count := int64(1)
	if len(args) == 3 {
		var err error
		if count, err = integer(args[2]); err != nil {
			return err
		}
		if count == math.MinInt64 {
			return resp.ErrLongRange
		}
	}
	s, ok, err := keyspace.Find[keyspace.SetValue](v, args[1])
	switch {
	case err != nil:
		return err
	case len(args) == 2 && ok:
		w.Bulk(s.At(int(v.Chance().Below(uint64(s.Len())))))
	case len(args) == 2:
		w.Null()
	case !ok || count == 0:
		w.Array(0)
	case count < 0:
		return randomMembers(v, s, -count, w)
	default:
		n := int(min(count, int64(s.Len())))
		w.Array(n)
		s.Sample(n, v.Chance().Below, w.Bulk)
	}
	return nil
}

// longestPicks bounds, in bytes and about, the reply of a command that may pick the same
// member again and again: Redis cuts off the client, or is killed for want of memory.
const longestPicks = keyspace.MaxString

// randomMembers writes count picks, each from all members.
func randomMembers(v *keyspace.View, s keyspace.SetValue, count int64, w *resp.Writer) error {
	const least = 24 // bytes of a pick that are taken for granted
	if mean := s.Size() / s.Len(); count > longestPicks/int64(max(mean, least)) {
		return resp.ErrReplyTooLong
	}
	w.Array(int(count))
	rnd := v.Chance()
	for range count {
		w.Bulk(s.At(int(rnd.Below(uint64(s.Len())))))
	}
	return nil
}
