package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func stringCommands() []Command {
	return []Command{
		// string.go
		declAppend, declGet, declGetDel, declGetRange, declGetSet, declMGet, declMSet,
		declMSetNX, declSetNX, declSetRange, declStrLen, declSubStr,
		// string_set.go
		declGetEx, declPSetEx, declSet, declSetEx,
		// string_number.go
		declDecr, declDecrBy, declIncr, declIncrBy, declIncrByFloat,
		// string_lcs.go
		declLCS,
	}
}

var declAppend = Command{
	Command: spec.Command{
		Name: "APPEND", Syntax: "key value",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.0.0", Cost: "O(N) with N the length of the appended value, whatever the length of the string",
		Summary: "Adds a value to the end of a string, which is created where it doesn't exist.",
	},
	Write: cmdAppend,
}

func cmdAppend(t *keyspace.Txn, args Args, w *resp.Writer) error {
	n, err := t.WriteString(args[1], keyspace.AtEnd, args[2])
	if err != nil {
		return err
	}
	w.Int(int64(n))
	return nil
}

var declGet = Command{
	Command: spec.Command{
		Name: "GET", Syntax: "key",
		Group: spec.String, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Returns the string stored under a key.",
	},
	Read: cmdGet,
}

func cmdGet(v *keyspace.View, args Args, w *resp.Writer) error {
	_, err := get(v, args[1], w)
	return err
}

var declGetDel = Command{
	Command: spec.Command{
		Name: "GETDEL", Syntax: "key",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Access | spec.Delete), Flags: spec.Fast,
		Since: "6.2.0", Cost: "O(1)",
		Summary: "Returns the string stored under a key and deletes the key.",
	},
	Write: cmdGetDel,
}

func cmdGetDel(t *keyspace.Txn, args Args, w *resp.Writer) error {
	found, err := get(&t.View, args[1], w)
	if found {
		t.Delete(args[1])
	}
	return err
}

var declGetRange = Command{
	Command: spec.Command{
		Name: "GETRANGE", Syntax: "key start end",
		Group: spec.String, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "2.4.0", Cost: "O(N) with N the length of the returned string",
		Summary: "Returns a part of a string; negative indexes count from its end.",
	},
	Read: cmdGetRange,
}

func cmdGetRange(v *keyspace.View, args Args, w *resp.Writer) error {
	start, err := integer(args[2])
	if err != nil {
		return err
	}
	end, err := integer(args[3])
	if err != nil {
		return err
	}
	text, _, err := v.String(args[1])
	if err != nil {
		return err
	}
	size := int64(text.Len())
	// Before anything is cut to size, as in Redis: "-1 -2" is empty even where
	// both would end up at 0.
	if size == 0 || start < 0 && end < 0 && start > end {
		w.BulkString("")
		return nil
	}
	if start < 0 {
		start = max(0, size+start)
	}
	if end < 0 {
		end = max(0, size+end)
	}
	end = min(end, size-1)
	if start > end {
		w.BulkString("")
		return nil
	}
	text.BulkRange(w, int(start), int(end)+1)
	return nil
}

var declGetSet = Command{
	Command: spec.Command{
		Name: "GETSET", Syntax: "key value",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(1)", Deprecated: "6.2.0; `SET` with the `!GET` argument",
		Summary: "Stores a string under a key and returns the one that was there.",
	},
	Write: cmdGetSet,
}

func cmdGetSet(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if _, err := get(&t.View, args[1], w); err != nil {
		return err
	}
	t.SetString(args[1], args[2], 0)
	return nil
}

var declMGet = Command{
	Command: spec.Command{
		Name: "MGET", Syntax: "key [key ...]",
		Group: spec.String, Keys: spec.AllKeys(spec.RO | spec.Access), Flags: spec.Fast,
		Tips:  []string{"request_policy:multi_shard"},
		Since: "1.0.0", Cost: "O(N) with N the number of keys",
		Summary: "Returns the strings of several keys, null for each that holds none.",
	},
	Read: cmdMGet,
}

func cmdMGet(v *keyspace.View, args Args, w *resp.Writer) error {
	w.Array(len(args) - 1)
	for _, key := range args[1:] {
		// Another type counts as no string here.
		if text, ok, err := v.String(key); ok && err == nil {
			text.Bulk(w)
		} else {
			w.Null()
		}
	}
	return nil
}

var declMSet = Command{
	Command: spec.Command{
		Name: "MSET", Syntax: "key value [key value ...]",
		Group: spec.String, Keys: keyValuePairs(spec.OW | spec.Update), Flags: spec.DenyOOM,
		Tips:  []string{"request_policy:multi_shard", "response_policy:all_succeeded"},
		Since: "1.0.1", Cost: "O(N) with N the number of keys",
		Summary: "Stores strings under several keys at once, whatever was there before.",
	},
	Write: cmdMSet,
}

func cmdMSet(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if len(args)%2 == 0 {
		return resp.WrongArity("mset")
	}
	setPairs(t, args[1:])
	w.OK()
	return nil
}

var declMSetNX = Command{
	Command: spec.Command{
		Name: "MSETNX", Syntax: "key value [key value ...]",
		Group: spec.String, Keys: keyValuePairs(spec.OW | spec.Insert), Flags: spec.DenyOOM,
		Tips:  []string{"request_policy:multi_shard", "response_policy:agg_min"},
		Since: "1.0.1", Cost: "O(N) with N the number of keys",
		Summary: "Stores strings under several keys at once, if none of the keys exists.",
	},
	Write: cmdMSetNX,
}

func cmdMSetNX(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if len(args)%2 == 0 {
		return resp.WrongArity("msetnx")
	}
	for i := 1; i < len(args); i += 2 {
		if t.Exists(args[i]) {
			w.Int(0)
			return nil
		}
	}
	setPairs(t, args[1:])
	w.Int(1)
	return nil
}

var declSetNX = Command{
	Command: spec.Command{
		Name: "SETNX", Syntax: "key value",
		Group: spec.String, Keys: spec.OneKey(spec.OW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Stores a string under a key that doesn't exist yet.",
	},
	Write: cmdSetNX,
}

func cmdSetNX(t *keyspace.Txn, args Args, w *resp.Writer) error {
	fresh := !t.Exists(args[1])
	if fresh {
		t.SetString(args[1], args[2], 0)
	}
	one(w, fresh)
	return nil
}

var declSetRange = Command{
	Command: spec.Command{
		Name: "SETRANGE", Syntax: "key offset value",
		Group: spec.String, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM,
		Since: "2.2.0", Cost: "O(N) with N the length of the value, and of the zeros that fill a gap before it",
		Summary: "Overwrites a part of a string, from an offset on.",
	},
	Write: cmdSetRange,
	Grows: growsByGap,
}

func growsByGap(v *keyspace.View, args Args) int64 {
	offset, err := integer(args[2])
	if err != nil || offset < 0 || offset > keyspace.MaxString {
		return 0 // it will fail
	}
	return growsTo(v, args[1], offset)
}

// growsTo is what a string grows by, at the most, that becomes size bytes long, if it is
// not so long already.
func growsTo(v *keyspace.View, key []byte, size int64) int64 {
	old := int64(0)
	if e, ok := v.Peek(key); ok {
		text, _ := e.Text()
		old = int64(text.Len())
	}
	if size <= old {
		return 0
	}
	return stringCost(size - old)
}

// stringCost is the most that a string of that length takes: with the table's overhead
// where it lies in its entry, else with a chunk's for each of its chunks.
func stringCost(size int64) int64 {
	return size + min(size, keyspace.InlineMax)/8 + size/1000
}

func cmdSetRange(t *keyspace.Txn, args Args, w *resp.Writer) error {
	offset, err := integer(args[2])
	if err != nil {
		return err
	}
	if offset < 0 {
		return resp.ErrOffsetRange
	}
	old, _, err := t.String(args[1])
	if err != nil {
		return err
	}
	n := old.Len()
	if len(args[3]) > 0 { // writing nothing changes nothing, not even the length
		if n, err = t.WriteString(args[1], int(offset), args[3]); err != nil {
			return err
		}
	}
	w.Int(int64(n))
	return nil
}

var declStrLen = Command{
	Command: spec.Command{
		Name: "STRLEN", Syntax: "key",
		Group: spec.String, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "2.2.0", Cost: "O(1)",
		Summary: "Returns the length of a string.",
	},
	Read: cmdStrLen,
}

func cmdStrLen(v *keyspace.View, args Args, w *resp.Writer) error {
	text, _, err := v.String(args[1])
	if err != nil {
		return err
	}
	w.Int(int64(text.Len()))
	return nil
}

var declSubStr = Command{
	Command: spec.Command{
		Name: "SUBSTR", Syntax: "key start end",
		Group: spec.String, Keys: spec.OneKey(spec.RO | spec.Access),
		Since: "1.0.0", Cost: "O(N) with N the length of the returned string", Deprecated: "2.0.0; `GETRANGE`",
		Summary: "Returns a part of a string: the old name of GETRANGE.",
	},
	Read: cmdGetRange,
}

// keyValuePairs is the key specification of MSET.
func keyValuePairs(f spec.KeyFlags) []spec.KeySpec {
	return []spec.KeySpec{{Flags: f, Index: 1, Last: -1, Step: 2}}
}

// get writes the string under a key, null where there is none, and says whether
// there was one.
func get(v *keyspace.View, key []byte, w *resp.Writer) (found bool, err error) {
	text, found, err := v.String(key)
	switch {
	case err != nil:
	case found:
		text.Bulk(w)
	default:
		w.Null()
	}
	return found, err
}

func setPairs(t *keyspace.Txn, pairs Args) {
	for i := 0; i < len(pairs); i += 2 {
		t.SetString(pairs[i], pairs[i+1], 0)
	}
}
