package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func hashCommands() []Command {
	return []Command{
		// hash.go
		declHDel, declHGet, declHGetAll, declHLen, declHSet,
	}
}

var declHDel = Command{
	Command: spec.Command{
		Name: "HDEL", Syntax: "key field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Delete), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(N) with N the number of fields to remove",
		Summary: "Removes fields of a hash, and the hash with its last one.",
	},
	Write: cmdHDel,
}

func cmdHDel(t *keyspace.Txn, args Args, w *resp.Writer) error {
	h, ok, err := keyspace.Edit[keyspace.HashValue](t, args[1])
	if err != nil {
		return err
	}
	n := 0
	for _, field := range args[2:] {
		if ok && h.Delete(field) {
			n++
		}
	}
	if n > 0 {
		t.Changed(args[1])
	}
	w.Int(int64(n))
	return nil
}

var declHGet = Command{
	Command: spec.Command{
		Name: "HGET", Syntax: "key field",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(1)",
		Summary: "Returns the value of a field of a hash.",
	},
	Read: cmdHGet,
}

func cmdHGet(v *keyspace.View, args Args, w *resp.Writer) error {
	h, ok, err := keyspace.Find[keyspace.HashValue](v, args[1])
	if err != nil {
		return err
	}
	if ok {
		if value, there := h.Get(args[2]); there {
			w.Bulk(value)
			return nil
		}
	}
	w.Null()
	return nil
}

var declHGetAll = Command{
	Command: spec.Command{
		Name: "HGETALL", Syntax: "key",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output_order"},
		Since: "2.0.0", Cost: "O(N) with N the number of fields",
		Summary: "Returns all fields of a hash with their values.",
	},
	Read: cmdHGetAll,
}

func cmdHGetAll(v *keyspace.View, args Args, w *resp.Writer) error {
	h, ok, err := keyspace.Find[keyspace.HashValue](v, args[1])
	if err != nil {
		return err
	}
	if !ok {
		w.Map(0)
		return nil
	}
	w.Map(h.Len())
	h.Each(func(field, value []byte) bool {
		w.Bulk(field)
		w.Bulk(value)
		return true
	})
	return nil
}

var declHLen = Command{
	Command: spec.Command{
		Name: "HLEN", Syntax: "key",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(1)",
		Summary: "Returns the number of fields of a hash.",
	},
	Read: cmdHLen,
}

func cmdHLen(v *keyspace.View, args Args, w *resp.Writer) error {
	h, ok, err := keyspace.Find[keyspace.HashValue](v, args[1])
	switch {
	case err != nil:
		return err
	case ok:
		w.Int(int64(h.Len()))
	default:
		w.Int(0)
	}
	return nil
}

var declHSet = Command{
	Command: spec.Command{
		Name: "HSET", Syntax: "key field value [field value ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.0.0", Cost: "O(N) with N the number of fields to set",
		Summary: "Sets fields of a hash, which is created where it doesn't exist.",
	},
	Write: cmdHSet,
	Grows: growsByEnlarging,
}

func cmdHSet(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if len(args)%2 != 0 {
		return resp.WrongArity(string(args[0]))
	}
	h, err := hashToSet(t, args[1])
	if err != nil {
		return err
	}
	n := 0
	for pairs := args[2:]; len(pairs) > 0; pairs = pairs[2:] {
		if h.Set(pairs[0], pairs[1], t.Limits().Hash) {
			n++
		}
	}
	t.Changed(args[1])
	w.Int(int64(n))
	return nil
}

// hashToSet returns the hash under a key for setting a field, a new one if need be.
func hashToSet(t *keyspace.Txn, key []byte) (keyspace.HashValue, error) {
	h, ok, err := keyspace.Edit[keyspace.HashValue](t, key)
	if err == nil && !ok {
		h = t.NewHash()
		t.Set(key, h, 0)
	}
	return h, err
}

// growsByEnlarging is for what may make a small hash a large one.
func growsByEnlarging(v *keyspace.View, args Args) int64 {
	if e, ok := v.Peek(args[1]); ok {
		if h, is := e.Value().(keyspace.HashValue); is {
			return int64(h.Enlarging())
		}
	}
	return 0
}
