package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// dump is how values of a type go into payloads and come out of them: a file each,
// dump_hash.go and so on, but for strings.
type dump struct {
	kind rdb.Kind
	// append appends the payload of the value under a key, which is of this type.
	append func(v *keyspace.View, key, dst []byte) []byte
	// make returns the value that an object holds, nil where it cannot be one: with the
	// same member twice, say. One without members is one whose fields have all expired.
	make func(t *keyspace.Txn, o *rdb.Object) keyspace.Collection
}

// dumps are by type; strings have none.
var dumps = [...]dump{
	keyspace.Hash:   dumpHash,
	keyspace.List:   dumpList,
	keyspace.Set:    dumpSet,
	keyspace.Stream: dumpStream,
	keyspace.ZSet:   dumpZSet,
}

var declDump = Command{
	Command: spec.Command{
		Name: "DUMP", Syntax: "key",
		Group: spec.Generic, Keys: spec.OneKey(spec.RO | spec.Access),
		Tips:  []string{"nondeterministic_output"},
		Since: "2.6.0", Cost: "O(N) with N the size of the value",
		Summary: "Returns a value in Redis's own serialized form, for RESTORE here and there.",
	},
	From: 3,
	Read: cmdDump,
}

func cmdDump(v *keyspace.View, args Args, w *resp.Writer) error {
	e, ok := v.Get(args[1])
	if !ok {
		w.Null()
		return nil
	}
	w.Bulk(dumped(v, args[1], e))
	return nil
}

// dumped is what DUMP gives of an entry.
func dumped(v *keyspace.View, key []byte, e keyspace.Entry) []byte {
	if text, isText := e.Text(); isText {
		return rdb.AppendString(nil, text.AppendTo(make([]byte, 0, text.Len()), 0, text.Len()))
	}
	return dumps[e.Type()].append(v, key, nil)
}

const restoreSyntax = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"

var declRestore = Command{
	Command: spec.Command{
		Name: "RESTORE", Syntax: restoreSyntax,
		Group: spec.Generic, Keys: spec.OneKey(spec.OW | spec.Update), Flags: spec.DenyOOM, Categories: spec.CatDangerous,
		Since: "2.6.0", Cost: "O(N) with N the size of the value, O(N*log(N)) for sorted sets",
		Summary: "Creates a key with a value in the form that DUMP gives, of Redis up to 7.4.",
	},
	From:  3,
	Write: cmdRestore,
	Grows: growsByRestore,
}

var declRestoreAsking = Command{
	Command: spec.Command{
		Name: "RESTORE-ASKING", Syntax: restoreSyntax,
		Group: spec.Server, Keys: spec.OneKey(spec.OW | spec.Update), Flags: spec.DenyOOM | spec.Asking,
		Categories: spec.CatKeyspace | spec.CatDangerous, NoGroupCategory: true,
		Since: "3.0.0", Cost: "O(N) with N the size of the value, O(N*log(N)) for sorted sets",
		Summary: "Is RESTORE, as Redis's own MIGRATE sends it.",
	},
	From:  3,
	Write: cmdRestore,
	Grows: growsByRestore,
}

// restoring are RESTORE's options.
type restoring struct{ replace, absolute bool }

// cmdRestore takes IDLETIME and FREQ and has no use for them: how often keys are used is
// not kept (see OBJECT).
func cmdRestore(t *keyspace.Txn, args Args, w *resp.Writer) error {
	how, err := restoreOptions(args)
	if err != nil {
		return err
	}
	if !how.replace && t.Exists(args[1]) {
		return resp.ErrBusyKey
	}
	at, err := integer(args[2])
	switch {
	case err != nil:
		return err
	case at < 0:
		return resp.ErrRestoreTTL
	case at != 0 && !how.absolute:
		at += t.Now() // past the end of numbers it has come already, as in Redis
	}
	if rdb.Check(args[3]) != nil {
		return resp.ErrPayload
	}
	o, err := rdb.Decode(args[3], keyspace.MaxString)
	if err != nil {
		return resp.ErrBadFormat
	}
	var value keyspace.Collection
	if o.Kind != rdb.String {
		if value = restored(t, o); value == nil {
			return resp.ErrBadFormat
		}
	}
	switch {
	case at != 0 && at <= t.Now(), value != nil && value.Len() == 0 && o.Kind != rdb.Stream:
		t.Delete(args[1]) // a key that never was has not changed
	case value == nil:
		t.SetString(args[1], o.Items[0], at)
	default:
		t.Set(args[1], value, at)
	}
	w.OK()
	return nil
}

func restored(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	for i := range dumps {
		if dumps[i].make != nil && dumps[i].kind == o.Kind {
			return dumps[i].make(t, o)
		}
	}
	return nil
}

func restoreOptions(args Args) (how restoring, err error) {
	idle, freq := false, false
	for i := 4; i < len(args); i++ {
		more := i+1 < len(args)
		switch {
		case is(args[i], "REPLACE"):
			how.replace = true
		case is(args[i], "ABSTTL"):
			how.absolute = true
		case is(args[i], "IDLETIME") && more && !freq:
			i++
			idle, err = true, bounded(args[i], math.MaxInt64, resp.ErrRestoreIdle)
		case is(args[i], "FREQ") && more && !idle:
			i++
			freq, err = true, bounded(args[i], math.MaxUint8, resp.ErrRestoreFreq)
		default:
			err = resp.ErrSyntax
		}
		if err != nil {
			return how, err
		}
	}
	return how, nil
}

// bounded checks a number of 0 to most.
func bounded(arg []byte, most int64, outside resp.Error) error {
	n, err := integer(arg)
	if err == nil && (n < 0 || n > most) {
		err = outside
	}
	return err
}

// growsByRestore unpacks the payload: nothing less tells how large it gets. What a
// member takes beside its bytes is the most that any type's does.
func growsByRestore(_ *keyspace.View, args Args) int64 {
	const key = 256
	if rdb.Check(args[3]) != nil {
		return 0
	}
	o, err := rdb.Decode(args[3], keyspace.MaxString)
	if err != nil {
		return 0
	}
	n := int64(key)
	for _, b := range o.Items {
		n += 2*int64(len(b)) + int64(len(b))/4 + recordMost
	}
	if o.Kind == rdb.Stream {
		n += streamGrowth(o.Stream)
	}
	return n
}

// recordMost is more than what a record of any table takes beside its bytes.
const recordMost = 128
