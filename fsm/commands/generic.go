package commands

import (
	"bytes"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func genericCommands() []Command {
	return []Command{
		// generic.go
		declCopy, declDel, declExists, declMove, declRename, declRenameNX, declTouch,
		declType, declUnlink,
		// generic_expire.go
		declExpire, declExpireAt, declExpireTime, declPersist, declPExpire,
		declPExpireAt, declPExpireTime, declPTTL, declTTL,
		// generic_walk.go
		declKeys, declRandomKey, declScan,
		// generic_object.go
		declObject,
		// generic_sort.go
		declSort, declSortRO,
		// dump.go
		declDump, declRestore, declRestoreAsking,
	}
}

var declCopy = Command{
	Command: spec.Command{
		Name: "COPY", Syntax: "source destination [DB destination-db] [REPLACE]",
		Group: spec.Generic, Flags: spec.DenyOOM,
		Keys:  []spec.KeySpec{spec.KeyAt(1, spec.RO|spec.Access), spec.KeyAt(2, spec.OW|spec.Update)},
		Since: "6.2.0", Cost: "O(N) with N the size of the value",
		Summary: "Copies a key's value and time to live to another key.",
	},
	Write: cmdCopy,
	Grows: growsByCopy,
}

func growsByCopy(v *keyspace.View, args Args) int64 {
	e, ok := v.Peek(args[1])
	if !ok {
		return 0
	}
	return int64(e.Size())
}

func cmdCopy(t *keyspace.Txn, args Args, w *resp.Writer) error {
	from, to := args[1], args[2]
	db, replace := t.DB(), false
	for i := 3; i < len(args); i++ {
		switch {
		case is(args[i], "REPLACE"):
			replace = true
		case is(args[i], "DB") && i+1 < len(args):
			i++
			var err error
			if db, err = database(args[i]); err != nil {
				return err
			}
		default:
			return resp.ErrSyntax
		}
	}
	if db == t.DB() && bytes.Equal(from, to) {
		return resp.ErrSameObject
	}
	free := replace || !t.In(db).Exists(to)
	one(w, t.View.Exists(from) && free && t.CopyTo(db, from, to))
	return nil
}

var declDel = Command{
	Command: spec.Command{
		Name: "DEL", Syntax: "key [key ...]",
		Group: spec.Generic, Keys: spec.AllKeys(spec.RM | spec.Delete),
		Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Since: "1.0.0", Cost: "O(N) with N the number of keys",
		Summary: "Deletes keys.",
	},
	Write: cmdDel,
}

func cmdDel(t *keyspace.Txn, args Args, w *resp.Writer) error {
	var n int64
	for _, key := range args[1:] {
		if t.Delete(key) {
			n++
		}
	}
	w.Int(n)
	return nil
}

var declExists = Command{
	Command: spec.Command{
		Name: "EXISTS", Syntax: "key [key ...]",
		Group: spec.Generic, Keys: spec.AllKeys(spec.RO), Flags: spec.Fast,
		Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Since: "1.0.0", Cost: "O(N) with N the number of keys",
		Summary: "Counts how many of the given keys exist.",
	},
	Read: cmdExists,
}

func cmdExists(v *keyspace.View, args Args, w *resp.Writer) error {
	var n int64
	for _, key := range args[1:] {
		if v.Exists(key) {
			n++
		}
	}
	w.Int(n)
	return nil
}

var declMove = Command{
	Command: spec.Command{
		Name: "MOVE", Syntax: "key db",
		Group: spec.Generic, Keys: spec.OneKey(spec.RW | spec.Access | spec.Update), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Moves a key to another database, if it doesn't exist there.",
	},
	Write: cmdMove,
}

func cmdMove(t *keyspace.Txn, args Args, w *resp.Writer) error {
	db, err := database(args[2])
	if err != nil {
		return err
	}
	if db == t.DB() {
		return resp.ErrSameObject
	}
	one(w, !t.In(db).Exists(args[1]) && t.MoveTo(db, args[1], args[1]))
	return nil
}

var declRename = Command{
	Command: spec.Command{
		Name: "RENAME", Syntax: "key newkey",
		Group: spec.Generic,
		Keys: []spec.KeySpec{
			spec.KeyAt(1, spec.RW|spec.Access|spec.Delete),
			spec.KeyAt(2, spec.OW|spec.Update),
		},
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Gives a key another name, whatever was there before.",
	},
	Write: cmdRename,
}

func cmdRename(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if !t.Exists(args[1]) {
		return resp.ErrNoSuchKey
	}
	if !bytes.Equal(args[1], args[2]) {
		t.Rename(args[1], args[2])
	}
	w.OK()
	return nil
}

var declRenameNX = Command{
	Command: spec.Command{
		Name: "RENAMENX", Syntax: "key newkey",
		Group: spec.Generic, Flags: spec.Fast,
		Keys: []spec.KeySpec{
			spec.KeyAt(1, spec.RW|spec.Access|spec.Delete),
			spec.KeyAt(2, spec.OW|spec.Insert),
		},
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Gives a key another name that no key has yet.",
	},
	Write: cmdRenameNX,
}

func cmdRenameNX(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if !t.Exists(args[1]) {
		return resp.ErrNoSuchKey
	}
	one(w, !t.Exists(args[2]) && t.Rename(args[1], args[2]))
	return nil
}

var declTouch = Command{
	Command: spec.Command{
		Name: "TOUCH", Syntax: "key [key ...]",
		Group: spec.Generic, Keys: spec.AllKeys(spec.RO), Flags: spec.Fast,
		Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Since: "3.2.1", Cost: "O(N) with N the number of keys",
		Summary: "Counts how many of the given keys exist. Access times are not kept, so nothing else happens.",
	},
	Read: cmdExists,
}

var declType = Command{
	Command: spec.Command{
		Name: "TYPE", Syntax: "key",
		Group: spec.Generic, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Tells the type of the value stored under a key.",
	},
	Read: cmdType,
}

func cmdType(v *keyspace.View, args Args, w *resp.Writer) error {
	if e, ok := v.Get(args[1]); ok {
		w.Simple(e.Type().String())
	} else {
		w.Simple("none")
	}
	return nil
}

var declUnlink = Command{
	Command: spec.Command{
		Name: "UNLINK", Syntax: "key [key ...]",
		Group: spec.Generic, Keys: spec.AllKeys(spec.RM | spec.Delete), Flags: spec.Fast,
		Tips:  []string{"request_policy:multi_shard", "response_policy:agg_sum"},
		Since: "4.0.0", Cost: "O(N) with N the number of keys",
		Summary: "Deletes keys, as DEL does: memory is always given back in the background.",
	},
	Write: cmdDel,
}
