package commands

import (
	"bytes"
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func listCommands() []Command {
	return []Command{
		// list.go
		declLIndex, declLInsert, declLLen, declLPos, declLRange, declLRem, declLSet, declLTrim,
		// list_push.go
		declLMPop, declLPop, declLPush, declLPushX, declRPop, declRPush, declRPushX,
		// list_move.go
		declBLMove, declBLMPop, declBLPop, declBRPop, declBRPopLPush, declLMove, declRPopLPush,
	}
}

var declLIndex = Command{
	Command: spec.Command{
		Name: "LINDEX", Syntax: "key index",
		Group: spec.List, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "1.0.0", Cost: "O(log(N)) with N the length of the list",
		Summary: "Returns an element of a list by its index, which counts from the end if it is negative.",
	},
	Read: cmdLIndex,
}

func cmdLIndex(v *keyspace.View, args Args, w *resp.Writer) error {
	l, ok, err := keyspace.Find[keyspace.ListValue](v, args[1])
	if err != nil {
		return err
	}
	if !ok {
		w.Null()
		return nil
	}
	i, err := integer(args[2])
	if err != nil {
		return err
	}
	if i < 0 {
		i += int64(l.Len())
	}
	if i < 0 || i >= int64(l.Len()) {
		w.Null()
	} else {
		w.Bulk(l.At(int(i)))
	}
	return nil
}

var declLInsert = Command{
	Command: spec.Command{
		Name: "LINSERT", Syntax: "key <BEFORE | AFTER> pivot element",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM,
		Since: "2.2.0", Cost: "O(N) with N the number of elements before the pivot",
		Summary: "Inserts an element into a list, before or behind the first that equals another one.",
	},
	Write: cmdLInsert,
}

func cmdLInsert(t *keyspace.Txn, args Args, w *resp.Writer) error {
	behind := is(args[2], "AFTER")
	if !behind && !is(args[2], "BEFORE") {
		return resp.ErrSyntax
	}
	l, ok, err := keyspace.Edit[keyspace.ListValue](t, args[1])
	if err != nil {
		return err
	}
	if !ok {
		w.Int(0)
		return nil
	}
	i, found := 0, false
	l.Ascend(0, func(element []byte) bool {
		if found = bytes.Equal(element, args[3]); !found {
			i++
		}
		return !found
	})
	if !found {
		w.Int(-1)
		return nil
	}
	if behind {
		i++
	}
	l.Insert(i, args[4])
	t.Changed(args[1])
	w.Int(int64(l.Len()))
	return nil
}

var declLLen = Command{
	Command: spec.Command{
		Name: "LLEN", Syntax: "key",
		Group: spec.List, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Returns the length of a list.",
	},
	Read: cmdLLen,
}

func cmdLLen(v *keyspace.View, args Args, w *resp.Writer) error {
	l, ok, err := keyspace.Find[keyspace.ListValue](v, args[1])
	switch {
	case err != nil:
		return err
	case ok:
		w.Int(int64(l.Len()))
	default:
		w.Int(0)
	}
	return nil
}

var declLPos = Command{
	Command: spec.Command{
		Name: "LPOS", Syntax: "key element [RANK rank] [COUNT num-matches] [MAXLEN len]",
		Group: spec.List, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "6.0.6", Cost: "O(N) with N the number of elements that are looked at",
		Summary: "Returns the indexes of a list's elements that equal another one.",
	},
	Read: cmdLPos,
}

func cmdLPos(v *keyspace.View, args Args, w *resp.Writer) error {
	o, err := parseLPosOptions(args[3:])
	if err != nil {
		return err
	}
	l, ok, err := keyspace.Find[keyspace.ListValue](v, args[1])
	if err != nil {
		return err
	}
	var matches []int
	if ok {
		matches = o.find(l, args[2])
	}
	switch {
	case o.many:
		w.Array(len(matches))
		for _, i := range matches {
			w.Int(int64(i))
		}
	case len(matches) > 0:
		w.Int(int64(matches[0]))
	default:
		w.Null()
	}
	return nil
}

// lposOptions are LPOS's options.
type lposOptions struct {
	rank   int64 // of the first match that counts; negative from the end
	many   bool  // COUNT was given
	count  int64 // 0: all
	maxLen int64 // elements to look at, 0: all
}

func parseLPosOptions(args Args) (o lposOptions, err error) {
	o.rank, o.count = 1, 1
	for ; len(args) > 0; args = args[2:] {
		switch {
		case len(args) > 1 && is(args[0], "RANK"):
			if o.rank, err = integer(args[1]); err != nil {
				return o, err
			}
			if o.rank == 0 {
				return o, resp.ErrRankZero
			}
		case len(args) > 1 && is(args[0], "COUNT"):
			o.many = true
			if o.count, err = atLeast(args[1], 0, resp.ErrCountBelow0); err != nil {
				return o, err
			}
		case len(args) > 1 && is(args[0], "MAXLEN"):
			if o.maxLen, err = atLeast(args[1], 0, resp.ErrMaxLenBelow0); err != nil {
				return o, err
			}
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

// find returns the indexes of the matches that count, in the order of the search.
func (o *lposOptions) find(l keyspace.ListValue, element []byte) (matches []int) {
	i, step := 0, 1
	skip := o.rank - 1
	if o.rank < 0 {
		i, step = l.Len()-1, -1
		skip = -1 - o.rank
		if o.rank == math.MinInt64 { // in Redis its negative is itself, which is below any rank
			skip = 0
		}
	}
	looked := int64(0)
	visit := func(have []byte) bool {
		if bytes.Equal(have, element) {
			if skip--; skip < 0 {
				matches = append(matches, i)
			}
		}
		i += step
		looked++
		return looked != o.maxLen && (o.count == 0 || int64(len(matches)) < o.count)
	}
	if step > 0 {
		l.Ascend(i, visit)
	} else {
		l.Descend(i, visit)
	}
	return matches
}

var declLRange = Command{
	Command: spec.Command{
		Name: "LRANGE", Syntax: "key start stop",
		Group: spec.List, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "1.0.0", Cost: "O(log(N)+M) with N the length of the list and M the number of elements returned",
		Summary: "Returns the elements of a list from one index to another.",
	},
	Read: cmdLRange,
}

func cmdLRange(v *keyspace.View, args Args, w *resp.Writer) error {
	r, err := parseRange(args[2], args[3])
	if err != nil {
		return err
	}
	l, ok, err := keyspace.Find[keyspace.ListValue](v, args[1])
	if err != nil {
		return err
	}
	if !ok {
		w.Array(0)
		return nil
	}
	from, to := r.within(l.Len())
	writeElements(w, l, from, to-from)
	return nil
}

// writeElements writes n elements from one index on.
func writeElements(w *resp.Writer, l keyspace.ListValue, from, n int) {
	w.Array(n)
	if n == 0 || w == nil {
		return
	}
	l.Ascend(from, func(element []byte) bool {
		w.Bulk(element)
		n--
		return n > 0
	})
}

var declLRem = Command{
	Command: spec.Command{
		Name: "LREM", Syntax: "key count element",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Delete),
		Since: "1.0.0", Cost: "O(N) with N the length of the list",
		Summary: "Removes elements that equal another one from a list: the first, the last, or all of them.",
	},
	Write: cmdLRem,
}

func cmdLRem(t *keyspace.Txn, args Args, w *resp.Writer) error {
	count, err := integer(args[2])
	if err != nil {
		return err
	}
	l, ok, err := keyspace.Edit[keyspace.ListValue](t, args[1])
	if err != nil {
		return err
	}
	n := 0
	if ok {
		switch most := l.Len(); {
		case count > 0:
			n = l.Remove(args[3], int(min(count, int64(most))), false)
		case count < 0:
			n = l.Remove(args[3], int(min(uint64(-count), uint64(most))), true)
		default:
			n = l.Remove(args[3], most, false)
		}
	}
	if n > 0 {
		t.Changed(args[1])
	}
	w.Int(int64(n))
	return nil
}

var declLSet = Command{
	Command: spec.Command{
		Name: "LSET", Syntax: "key index element",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM,
		Since: "1.0.0", Cost: "O(log(N)) with N the length of the list",
		Summary: "Puts another element in place of one of a list, by its index.",
	},
	Write: cmdLSet,
}

func cmdLSet(t *keyspace.Txn, args Args, w *resp.Writer) error {
	l, ok, err := keyspace.Edit[keyspace.ListValue](t, args[1])
	if err != nil {
		return err
	}
	if !ok {
		return resp.ErrNoSuchKey
	}
	i, err := integer(args[2])
	if err != nil {
		return err
	}
	if i < 0 {
		i += int64(l.Len())
	}
	if i < 0 || i >= int64(l.Len()) {
		return resp.ErrOutOfRange
	}
	l.Set(int(i), args[3])
	t.Changed(args[1])
	w.OK()
	return nil
}

var declLTrim = Command{
	Command: spec.Command{
		Name: "LTRIM", Syntax: "key start stop",
		Group: spec.List, Keys: spec.OneKey(spec.RW | spec.Delete),
		Since: "1.0.0", Cost: "O(log(N)) with N the length of the list",
		Summary: "Removes all elements of a list but those from one index to another.",
	},
	Write: cmdLTrim,
}

func cmdLTrim(t *keyspace.Txn, args Args, w *resp.Writer) error {
	r, err := parseRange(args[2], args[3])
	if err != nil {
		return err
	}
	l, ok, err := keyspace.Edit[keyspace.ListValue](t, args[1])
	if err != nil {
		return err
	}
	if ok {
		from, to := r.within(l.Len())
		l.Delete(to, l.Len())
		l.Delete(0, from)
		t.Changed(args[1])
	}
	w.OK()
	return nil
}

// indexRange is a range of indexes as a client gives it: both ends belong to it, and
// negative ones count from the end.
type indexRange struct{ start, stop int64 }

func parseRange(start, stop []byte) (r indexRange, err error) {
	if r.start, err = integer(start); err == nil {
		r.stop, err = integer(stop)
	}
	return r, err
}

// within is the range of n elements, from included and to not. An empty one is at the
// start of them.
func (r indexRange) within(n int) (from, to int) {
	size := int64(n)
	if r.start < 0 {
		r.start = max(0, r.start+size)
	}
	if r.stop < 0 {
		r.stop += size
	}
	if r.start > r.stop || r.start >= size {
		return 0, 0
	}
	return int(r.start), int(min(r.stop, size-1)) + 1
}

// atLeast reads an integer that must not be below least; the error is fault, whatever
// is wrong.
func atLeast(arg []byte, least int64, fault resp.Error) (int64, error) {
	n, ok := keyspace.ParseInt(arg)
	if !ok || n < least {
		return 0, fault
	}
	return n, nil
}
