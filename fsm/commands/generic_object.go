package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declObject = Command{
	Command: spec.Command{
		Name: "OBJECT", Group: spec.Generic,
		Since: "2.2.3", Cost: "Depends on the subcommand.",
		Summary: "Holds the commands that look at how a value is stored.",
	},
	Sub: []Command{declObjectEncoding, declObjectFreq, declObjectHelp, declObjectIdleTime, declObjectRefCount},
}

var declObjectEncoding = Command{
	Command: objectSpec("ENCODING", "2.2.3", "Tells the internal representation of a value."),
	Read:    cmdObjectEncoding,
}

// cmdObjectEncoding tells what Redis would have chosen for the content, by its
// thresholds at their defaults. In Redis the history counts too (a short string
// after APPEND is raw); here it never does, so that all replicas agree.
func cmdObjectEncoding(v *keyspace.View, args Args, w *resp.Writer) error {
	if e, ok := v.Get(args[2]); ok {
		w.BulkString(e.Encoding())
	} else {
		w.Null()
	}
	return nil
}

var declObjectFreq = Command{
	Command: objectSpec("FREQ", "4.0.0", "Would tell how often a key is used; that is not counted."),
	Read:    cmdObjectFreq,
}

// cmdObjectFreq answers as Redis does under every policy but LFU, its default
// included: access frequency belongs to one node and is not counted here.
func cmdObjectFreq(v *keyspace.View, args Args, w *resp.Writer) error {
	if v.Exists(args[2]) {
		return resp.ErrNoLFU
	}
	w.Null()
	return nil
}

var declObjectHelp = Command{
	Command: spec.Command{
		Name: "HELP", Group: spec.Generic, Flags: spec.Loading | spec.Stale,
		Since: "6.2.0", Cost: "O(1)", Summary: "Lists the subcommands.",
	},
}

var declObjectIdleTime = Command{
	Command: objectSpec("IDLETIME", "2.2.3", "Answers 0: when a key was last used is not kept."),
	Read:    cmdObjectIdleTime,
}

// cmdObjectIdleTime always answers 0, "just used". When a key was last used is not
// replicated state, as a read changes nothing; 0 is the one answer that leads
// nobody to throw away a key that is in use.
func cmdObjectIdleTime(v *keyspace.View, args Args, w *resp.Writer) error {
	if v.Exists(args[2]) {
		w.Int(0)
	} else {
		w.Null()
	}
	return nil
}

var declObjectRefCount = Command{
	Command: objectSpec("REFCOUNT", "2.2.3", "Tells how many references a value has: 1, but for small shared integers."),
	Read:    cmdObjectRefCount,
}

// cmdObjectRefCount answers 1, as nothing is shared here, and what Redis answers
// for the integers that it shares, so that a client which tests for them sees the
// same. Source: redis/src/server.h:OBJ_SHARED_INTEGERS, OBJ_SHARED_REFCOUNT.
func cmdObjectRefCount(v *keyspace.View, args Args, w *resp.Writer) error {
	e, ok := v.Get(args[2])
	if !ok {
		w.Null()
		return nil
	}
	w.Int(references(e))
	return nil
}

// references is how many references a value has.
func references(e keyspace.Entry) int64 {
	if text, isText := e.Text(); isText {
		if n, isInt := text.Int(); isInt && n >= 0 && n < 10000 {
			return math.MaxInt32
		}
	}
	return 1
}

// objectSpec is the declaration of a subcommand of OBJECT that takes a key.
func objectSpec(name, since, summary string) spec.Command {
	return spec.Command{
		Name: name, Syntax: "key",
		Group: spec.Generic, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RO)},
		Tips:  []string{"nondeterministic_output"},
		Since: since, Cost: "O(1)", Summary: summary,
	}
}
