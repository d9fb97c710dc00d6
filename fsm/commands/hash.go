package commands

import (
	"github.com/raftkv/raftkv/fsm/hash"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

func hashCommands() []Command {
	return []Command{
		// hash.go
		declHDel, declHExists, declHGet, declHGetAll, declHKeys, declHLen, declHMGet,
		declHMSet, declHSet, declHSetNX, declHStrLen, declHVals,
		// hash_number.go
		declHIncrBy, declHIncrByFloat,
		// hash_walk.go
		declHRandField, declHScan,
		// hash_expire.go
		declHExpire, declHExpireAt, declHExpireTime, declHPersist, declHPExpire,
		declHPExpireAt, declHPExpireTime, declHPTTL, declHTTL,
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
	h, err := keyspace.EditHash(t, args[1])
	if err != nil {
		return err
	}
	n := 0
	for _, field := range args[2:] {
		if h.Delete(field) {
			n++
		}
	}
	h.Done()
	w.Int(int64(n))
	return nil
}

var declHExists = Command{
	Command: spec.Command{
		Name: "HEXISTS", Syntax: "key field",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(1)",
		Summary: "Tells whether a hash has a field.",
	},
	Read: cmdHExists,
}

func cmdHExists(v *keyspace.View, args Args, w *resp.Writer) error {
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	_, ok := h.Get(args[2])
	one(w, ok)
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
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	writeField(h, args[2], w)
	return nil
}

// writeField writes the value of a field, null where there is none.
func writeField(h keyspace.HashView, name []byte, w *resp.Writer) {
	if f, ok := h.Get(name); ok {
		w.Bulk(f.Value)
	} else {
		w.Null()
	}
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
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	w.Map(h.Len())
	h.Each(func(f hash.Field) {
		w.Bulk(f.Name)
		w.Bulk(f.Value)
	})
	return nil
}

var declHKeys = Command{
	Command: spec.Command{
		Name: "HKEYS", Syntax: "key",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output_order"},
		Since: "2.0.0", Cost: "O(N) with N the number of fields",
		Summary: "Returns the names of all fields of a hash.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return eachField(v, args[1], w, func(f hash.Field) []byte { return f.Name })
	},
}

// eachField writes a list of what part takes from each field of a hash.
func eachField(v *keyspace.View, key []byte, w *resp.Writer, part func(hash.Field) []byte) error {
	h, err := keyspace.FindHash(v, key)
	if err != nil {
		return err
	}
	w.Array(h.Len())
	h.Each(func(f hash.Field) { w.Bulk(part(f)) })
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
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	w.Int(int64(h.Len()))
	return nil
}

var declHMGet = Command{
	Command: spec.Command{
		Name: "HMGET", Syntax: "key field [field ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access), Flags: spec.Fast,
		Since: "2.0.0", Cost: "O(N) with N the number of fields asked for",
		Summary: "Returns the values of fields of a hash.",
	},
	Read: cmdHMGet,
}

func cmdHMGet(v *keyspace.View, args Args, w *resp.Writer) error {
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	w.Array(len(args) - 2)
	for _, name := range args[2:] {
		writeField(h, name, w)
	}
	return nil
}

var declHMSet = Command{
	Command: spec.Command{
		Name: "HMSET", Syntax: "key field value [field value ...]",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Update), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.0.0", Cost: "O(N) with N the number of fields to set",
		Deprecated: "since 4.0.0; `HSET` with multiple field-value pairs",
		Summary:    "Sets fields of a hash, which is created where it doesn't exist.",
	},
	Write: cmdHMSet,
	Grows: growsByEnlarging,
}

func cmdHMSet(t *keyspace.Txn, args Args, w *resp.Writer) error {
	if _, err := setFields(t, args); err != nil {
		return err
	}
	w.OK()
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
	n, err := setFields(t, args)
	if err != nil {
		return err
	}
	w.Int(n)
	return nil
}

// setFields sets the fields that HSET names and returns how many are new. They lose the
// expiry times that they had.
func setFields(t *keyspace.Txn, args Args) (created int64, err error) {
	if len(args)%2 != 0 {
		return 0, resp.WrongArity(string(args[0]))
	}
	h, err := keyspace.EditHash(t, args[1])
	if err != nil {
		return 0, err
	}
	for pairs := args[2:]; len(pairs) > 0; pairs = pairs[2:] {
		if h.Set(hash.Field{Name: pairs[0], Value: pairs[1]}) {
			created++
		}
	}
	h.Done()
	return created, nil
}

// growsByEnlarging is for what may make a small hash a large one.
func growsByEnlarging(v *keyspace.View, args Args) int64 {
	enlarging, _ := keyspace.HashGrowth(v, args[1])
	return int64(enlarging)
}

var declHSetNX = Command{
	Command: spec.Command{
		Name: "HSETNX", Syntax: "key field value",
		Group: spec.Hash, Keys: spec.OneKey(spec.RW | spec.Insert), Flags: spec.DenyOOM | spec.Fast,
		Since: "2.0.0", Cost: "O(1)",
		Summary: "Sets a field that the hash doesn't have yet.",
	},
	Write: cmdHSetNX,
	Grows: growsByEnlarging,
}

func cmdHSetNX(t *keyspace.Txn, args Args, w *resp.Writer) error {
	h, err := keyspace.EditHash(t, args[1])
	if err != nil {
		return err
	}
	_, there := h.Get(args[2])
	if !there {
		h.Set(hash.Field{Name: args[2], Value: args[3]})
		h.Done()
	}
	one(w, !there)
	return nil
}

var declHStrLen = Command{
	Command: spec.Command{
		Name: "HSTRLEN", Syntax: "key field",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO), Flags: spec.Fast,
		Since: "3.2.0", Cost: "O(1)",
		Summary: "Returns the length of the value of a field, 0 where there is none.",
	},
	Read: cmdHStrLen,
}

func cmdHStrLen(v *keyspace.View, args Args, w *resp.Writer) error {
	h, err := keyspace.FindHash(v, args[1])
	if err != nil {
		return err
	}
	f, _ := h.Get(args[2])
	w.Int(int64(len(f.Value)))
	return nil
}

var declHVals = Command{
	Command: spec.Command{
		Name: "HVALS", Syntax: "key",
		Group: spec.Hash, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output_order"},
		Since: "2.0.0", Cost: "O(N) with N the number of fields",
		Summary: "Returns the values of all fields of a hash.",
	},
	Read: func(v *keyspace.View, args Args, w *resp.Writer) error {
		return eachField(v, args[1], w, func(f hash.Field) []byte { return f.Value })
	},
}
