package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declXInfo = Command{
	Command: spec.Command{
		Name: "XINFO", Group: spec.Stream,
		Since: "5.0.0", Cost: "Depends on the subcommand.",
		Summary: "Holds the commands that tell about streams and their groups.",
	},
	Sub: []Command{declXInfoConsumers, declXInfoGroups, declXInfoHelp, declXInfoStream},
}

var declXInfoConsumers = Command{
	Command: spec.Command{
		Name: "CONSUMERS", Syntax: "key groupname",
		Group: spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RO|spec.Access)},
		Tips:  []string{"nondeterministic_output"},
		Since: "5.0.0", Cost: "O(N) with N the number of consumers",
		Summary: "Tells about the consumers of a group.",
	},
	Read: cmdXInfoConsumers,
}

// theStream returns the stream that a subcommand tells about.
func theStream(v *keyspace.View, key []byte) (keyspace.StreamValue, error) {
	s, ok, err := keyspace.Find[keyspace.StreamValue](v, key)
	if err == nil && !ok {
		err = resp.ErrNoSuchKey
	}
	return s, err
}

func cmdXInfoConsumers(v *keyspace.View, args Args, w *resp.Writer) error {
	s, err := theStream(v, args[2])
	if err != nil {
		return err
	}
	g, ok := s.Group(args[3])
	if !ok {
		return resp.NoGroupInKey(args[2], args[3])
	}
	w.Array(g.Consumers())
	g.EachConsumer(func(c *stream.Consumer) bool {
		w.Map(4)
		w.BulkString("name")
		w.Bulk(c.Name())
		named(w, "pending", int64(c.Pending()))
		named(w, "idle", max(0, v.Now()-c.Seen))
		inactive := int64(stream.Never)
		if c.Active != stream.Never {
			inactive = max(0, v.Now()-c.Active) // below 0 it would look like never
		}
		named(w, "inactive", inactive)
		return true
	})
	return nil
}

// named writes a name and a number.
func named(w *resp.Writer, name string, n int64) {
	w.BulkString(name)
	w.Int(n)
}

// namedID writes a name and an ID.
func namedID(w *resp.Writer, name string, id stream.ID) {
	w.BulkString(name)
	writeID(w, id)
}

var declXInfoGroups = Command{
	Command: spec.Command{
		Name: "GROUPS", Syntax: "key",
		Group: spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RO|spec.Access)},
		Since: "5.0.0", Cost: "O(N) with N the number of groups",
		Summary: "Tells about the groups of a stream.",
	},
	Read: cmdXInfoGroups,
}

func cmdXInfoGroups(v *keyspace.View, args Args, w *resp.Writer) error {
	s, err := theStream(v, args[2])
	if err != nil {
		return err
	}
	w.Array(s.Groups())
	s.EachGroup(func(name []byte, g *stream.Group) {
		w.Map(6)
		w.BulkString("name")
		w.Bulk(name)
		named(w, "consumers", int64(g.Consumers()))
		named(w, "pending", int64(g.Pending()))
		writeProgress(w, s, g)
	})
	return nil
}

// writeProgress writes how far a group has read: three pairs.
func writeProgress(w *resp.Writer, s keyspace.StreamValue, g *stream.Group) {
	namedID(w, "last-delivered-id", g.Last())
	w.BulkString("entries-read")
	maybe(w, g.Read(), g.Read() != stream.Unknown)
	lag, ok := s.Lag(g)
	w.BulkString("lag")
	maybe(w, lag, ok)
}

// maybe writes a number that is known, or null.
func maybe(w *resp.Writer, n int64, known bool) {
	if known {
		w.Int(n)
	} else {
		w.Null()
	}
}

var declXInfoHelp = Command{
	Command: spec.Command{
		Name: "HELP", Group: spec.Stream, Flags: spec.Loading | spec.Stale,
		Since: "5.0.0", Cost: "O(1)", Summary: "Lists the subcommands.",
	},
}

var declXInfoStream = Command{
	Command: spec.Command{
		Name: "STREAM", Syntax: "key [FULL [COUNT count]]",
		BlockNames: [][2]string{{"full_count", "full"}},
		Group:      spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RO|spec.Access)},
		Since: "5.0.0", Cost: "O(log N) with N the number of entries; FULL: O(N) with N the number of what is told",
		Summary: "Tells about a stream, with FULL also what it holds.",
	},
	Read: cmdXInfoStream,
}

func cmdXInfoStream(v *keyspace.View, args Args, w *resp.Writer) error {
	s, err := theStream(v, args[2])
	if err != nil {
		return err
	}
	options, count := args[3:], int64(10)
	switch {
	case len(options) == 0:
	case len(options) != 1 && len(options) != 3, !is(options[0], "FULL"), len(options) == 3 && !is(options[1], "COUNT"):
		return resp.SubcommandSyntax(args[0], args[1])
	case len(options) == 3:
		n, err := integer(options[2])
		if err != nil {
			return err
		}
		if n >= 0 {
			count = n
		}
	}
	if len(options) > 0 {
		w.Map(9)
		writeStreamHead(w, s)
		w.BulkString("entries")
		writeRange(w, s, span{end: stream.MaxID}, count)
		w.BulkString("groups")
		w.Array(s.Groups())
		s.EachGroup(func(name []byte, g *stream.Group) { writeGroup(w, s, name, fullGroup{g, count}) })
		return nil
	}
	w.Map(10)
	writeStreamHead(w, s)
	named(w, "groups", int64(s.Groups()))
	w.BulkString("first-entry")
	writeEdge(w, s, s.First())
	w.BulkString("last-entry")
	writeEdge(w, s, s.Top())
	return nil
}

// writeStreamHead writes the seven pairs that tell of the stream itself. Redis's tree has
// some more nodes than keys; how many depends on the IDs, and is told to nobody's use: for
// more than one key it is another number here.
func writeStreamHead(w *resp.Writer, s keyspace.StreamValue) {
	named(w, "length", int64(s.Len()))
	named(w, "radix-tree-keys", int64(s.Nodes()))
	named(w, "radix-tree-nodes", int64(s.Nodes()+1))
	namedID(w, "last-generated-id", s.Last())
	namedID(w, "max-deleted-entry-id", s.MaxDeleted())
	named(w, "entries-added", int64(s.Added()))
	namedID(w, "recorded-first-entry-id", s.First())
}

// writeEdge writes the first or last entry, null in an empty stream.
func writeEdge(w *resp.Writer, s keyspace.StreamValue, id stream.ID) {
	if e, ok := s.Get(id); ok {
		writeEntry(w, e)
	} else {
		w.Null()
	}
}

// fullGroup is a group of which at most count pending entries are told, 0 for all.
type fullGroup struct {
	*stream.Group
	count int64
}

func (g fullGroup) some(n int) int {
	if g.count > 0 {
		return int(min(int64(n), g.count))
	}
	return n
}

func writeGroup(w *resp.Writer, s keyspace.StreamValue, name []byte, g fullGroup) {
	w.Map(7)
	w.BulkString("name")
	w.Bulk(name)
	writeProgress(w, s, g.Group)
	named(w, "pel-count", int64(g.Pending()))
	w.BulkString("pending")
	n := g.some(g.Pending())
	w.Array(n)
	g.Ascend(stream.ID{}, func(p stream.Pending) bool {
		if n == 0 {
			return false
		}
		n--
		w.Array(4)
		writeID(w, p.ID)
		w.Bulk(g.Owner(p).Name())
		w.Int(p.Time)
		w.Int(p.Count)
		return true
	})
	w.BulkString("consumers")
	w.Array(g.Consumers())
	g.EachConsumer(func(c *stream.Consumer) bool {
		writeConsumer(w, g, c)
		return true
	})
}

func writeConsumer(w *resp.Writer, g fullGroup, c *stream.Consumer) {
	w.Map(5)
	w.BulkString("name")
	w.Bulk(c.Name())
	named(w, "seen-time", c.Seen)
	named(w, "active-time", c.Active)
	named(w, "pel-count", int64(c.Pending()))
	w.BulkString("pending")
	n := g.some(c.Pending())
	w.Array(n)
	g.AscendOf(c, stream.ID{}, func(p stream.Pending) bool {
		if n == 0 {
			return false
		}
		n--
		w.Array(3)
		writeID(w, p.ID)
		w.Int(p.Time)
		w.Int(p.Count)
		return true
	})
}
