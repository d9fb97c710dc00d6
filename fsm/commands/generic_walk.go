package commands

import (
	"strconv"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declKeys = Command{
	Command: spec.Command{
		Name: "KEYS", Syntax: "pattern",
		Group: spec.Generic, Categories: spec.CatDangerous,
		Tips:  []string{"request_policy:all_shards", "nondeterministic_output_order"},
		Since: "1.0.0", Cost: "O(N) with N the number of keys in the database",
		Summary: "Lists all keys that match a pattern. SCAN does it without holding up others.",
	},
	Read: cmdKeys,
}

func cmdKeys(v *keyspace.View, args Args, w *resp.Writer) error {
	pattern := string(args[1])
	var keys [][]byte
	v.Each(func(e keyspace.Entry) bool {
		if key := e.Key(); glob.MatchAll(pattern, key) {
			keys = append(keys, key)
		}
		return true
	})
	writeKeys(w, keys)
	return nil
}

var declRandomKey = Command{
	Command: spec.Command{
		Name: "RANDOMKEY", Group: spec.Generic,
		Tips:  []string{"request_policy:all_shards", "nondeterministic_output"},
		Since: "1.0.0", Cost: "O(log N) with N the number of keys in the database",
		Summary: "Returns a key picked at random.",
	},
	Read: cmdRandomKey,
}

func cmdRandomKey(v *keyspace.View, _ Args, w *resp.Writer) error {
	if key, ok := v.RandomKey(); ok {
		w.Bulk(key)
	} else {
		w.Null()
	}
	return nil
}

var declScan = Command{
	Command: spec.Command{
		Name: "SCAN", Syntax: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
		Group: spec.Generic,
		Tips:  []string{"nondeterministic_output", "request_policy:special"},
		Since: "2.8.0", Cost: "O(log N + COUNT) for every call with N the number of keys in the database",
		Summary: "Walks through the keys of a database, a few for each call.",
	},
	Read: cmdScan,
}

func cmdScan(v *keyspace.View, args Args, w *resp.Writer) error {
	cursor, ok := parseCursor(args[1])
	if !ok {
		return resp.ErrInvalidCursor
	}
	o, err := parseScanOptions(args[2:], true)
	if err != nil {
		return err
	}
	var keys [][]byte
	next := v.Scan(cursor, int(o.count), func(e keyspace.Entry) {
		key := e.Key()
		if o.hasPattern && !glob.MatchAll(o.pattern, key) || o.typ != nil && !is(o.typ, upperName(e.Type())) {
			return
		}
		keys = append(keys, key)
	})
	w.Array(2)
	w.BulkString(strconv.FormatUint(next, 10))
	writeKeys(w, keys)
	return nil
}

// upperName is a type's name as is wants it.
func upperName(t keyspace.Type) string {
	b := []byte(t.String())
	for i, c := range b {
		b[i] = upper(c)
	}
	return string(b)
}

type scanOptions struct {
	pattern    string
	hasPattern bool
	count      int64
	typ        []byte // nil for all types
}

// parseScanOptions reads what may stand behind the cursor of SCAN and its kind, of which
// only that of keys knows TYPE.
func parseScanOptions(args Args, ofKeys bool) (o scanOptions, err error) {
	o.count = 10
	for ; len(args) > 0; args = args[2:] {
		if len(args) < 2 {
			return o, resp.ErrSyntax
		}
		switch {
		case is(args[0], "COUNT"):
			if o.count, err = integer(args[1]); err != nil {
				return o, err
			}
			if o.count < 1 {
				return o, resp.ErrSyntax
			}
		case is(args[0], "MATCH"):
			o.pattern, o.hasPattern = string(args[1]), true
		case ofKeys && is(args[0], "TYPE"):
			o.typ = append([]byte{}, args[1]...)
		default:
			return o, resp.ErrSyntax
		}
	}
	return o, nil
}

// parseCursor reads a cursor as C's strtoul does with leading spaces forbidden: an
// optional sign, of which a minus negates modulo 2^64, then decimal digits, up to
// a NUL. No digits at all make 0, but only of an empty text.
// Source: redis/src/db.c:parseScanCursorOrReply.
func parseCursor(arg []byte) (cursor uint64, ok bool) {
	for i, c := range arg {
		if c == 0 {
			arg = arg[:i]
			break
		}
	}
	if len(arg) == 0 {
		return 0, true
	}
	negative := arg[0] == '-'
	if negative || arg[0] == '+' {
		arg = arg[1:]
	}
	cursor, err := strconv.ParseUint(string(arg), 10, 64) // takes neither signs nor "_" at base 10
	if err != nil {
		return 0, false
	}
	if negative {
		cursor = -cursor
	}
	return cursor, true
}

func writeKeys(w *resp.Writer, keys [][]byte) {
	w.Array(len(keys))
	for _, key := range keys {
		w.Bulk(key)
	}
}
