package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// serverCommands are those of Redis's server group that work on keys.
func serverCommands() []Command {
	return []Command{declDBSize, declFlushAll, declFlushDB, declMemory, declSwapDB}
}

var declDBSize = Command{
	Command: spec.Command{
		Name: "DBSIZE", Group: spec.Server, Flags: spec.Fast, Categories: spec.CatKeyspace,
		Tips:  []string{"request_policy:all_shards", "response_policy:agg_sum"},
		Since: "1.0.0", Cost: "O(log N) with N the number of keys that expire",
		Summary: "Counts the keys of the database.",
	},
	Read: func(v *keyspace.View, _ Args, w *resp.Writer) error {
		w.Int(int64(v.Len()))
		return nil
	},
}

var declFlushAll = Command{
	Command: spec.Command{
		Name: "FLUSHALL", Syntax: "[ASYNC | SYNC]",
		Group: spec.Server, Categories: spec.CatKeyspace | spec.CatDangerous,
		Tips:  []string{"request_policy:all_shards", "response_policy:all_succeeded"},
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Deletes all keys of all databases.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		if err := checkFlushMode(args); err != nil {
			return err
		}
		t.FlushAll()
		w.OK()
		return nil
	},
}

var declFlushDB = Command{
	Command: spec.Command{
		Name: "FLUSHDB", Syntax: "[ASYNC | SYNC]",
		Group: spec.Server, Categories: spec.CatKeyspace | spec.CatDangerous,
		Tips:  []string{"request_policy:all_shards", "response_policy:all_succeeded"},
		Since: "1.0.0", Cost: "O(1)",
		Summary: "Deletes all keys of the database.",
	},
	Write: func(t *keyspace.Txn, args Args, w *resp.Writer) error {
		if err := checkFlushMode(args); err != nil {
			return err
		}
		t.FlushDB()
		w.OK()
		return nil
	},
}

// checkFlushMode takes ASYNC and SYNC, which are the same here: the keys are gone
// at once, their memory is given back in the background.
func checkFlushMode(args Args) error {
	if len(args) == 1 || len(args) == 2 && (is(args[1], "ASYNC") || is(args[1], "SYNC")) {
		return nil
	}
	return resp.ErrSyntax
}

var declMemory = Command{
	Command: spec.Command{
		Name: "MEMORY", Group: spec.Server,
		Since: "4.0.0", Cost: "Depends on the subcommand.",
		Summary: "Holds the commands that tell about memory.",
	},
	Sub: []Command{declMemoryHelp, declMemoryUsage},
}

var declMemoryHelp = Command{
	Command: spec.Command{
		Name: "HELP", Group: spec.Server, Flags: spec.Loading | spec.Stale,
		Since: "4.0.0", Cost: "O(1)", Summary: "Lists the subcommands.",
	},
}

var declMemoryUsage = Command{
	Command: spec.Command{
		Name: "USAGE", Syntax: "key [SAMPLES count]",
		Group: spec.Server, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RO)},
		Since: "4.0.0", Cost: "O(1)",
		Summary: "Estimates how much memory a key takes with its value.",
	},
	Read: cmdMemoryUsage,
}

// cmdMemoryUsage takes SAMPLES and needs none: sizes are counted as values change.
func cmdMemoryUsage(v *keyspace.View, args Args, w *resp.Writer) error {
	for i := 3; i < len(args); i += 2 {
		if !is(args[i], "SAMPLES") || i+1 == len(args) {
			return resp.ErrSyntax
		}
		n, err := integer(args[i+1])
		if err != nil {
			return err
		}
		if n < 0 {
			return resp.ErrSyntax
		}
	}
	if e, ok := v.Peek(args[2]); ok {
		w.Int(int64(e.Size()))
	} else {
		w.Null()
	}
	return nil
}

var declSwapDB = Command{
	Command: spec.Command{
		Name: "SWAPDB", Syntax: "index1 index2",
		Group: spec.Server, Flags: spec.Fast, Categories: spec.CatKeyspace | spec.CatDangerous,
		Since: "4.0.0", Cost: "O(1)",
		Summary: "Exchanges the contents of two databases.",
	},
	Write: cmdSwapDB,
}

func cmdSwapDB(t *keyspace.Txn, args Args, w *resp.Writer) error {
	a, okA := keyspace.ParseInt(args[1])
	if !okA || a < math.MinInt32 || a > math.MaxInt32 {
		return resp.ErrSwapFirst
	}
	b, okB := keyspace.ParseInt(args[2])
	if !okB || b < math.MinInt32 || b > math.MaxInt32 {
		return resp.ErrSwapSecond
	}
	if min(a, b) < 0 || max(a, b) >= keyspace.Databases {
		return resp.ErrDBRange
	}
	t.SwapDB(int(a), int(b))
	w.OK()
	return nil
}
