package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

var declXGroup = Command{
	Command: spec.Command{
		Name: "XGROUP", Group: spec.Stream,
		Since: "5.0.0", Cost: "Depends on the subcommand.",
		Summary: "Holds the commands that make and change consumer groups.",
	},
	Sub: []Command{declXGroupCreate, declXGroupCreateConsumer, declXGroupDelConsumer, declXGroupDestroy, declXGroupHelp, declXGroupSetID},
}

var declXGroupCreate = Command{
	Command: spec.Command{
		Name: "CREATE", Syntax: "key groupname <id | $> [MKSTREAM] [ENTRIESREAD entries_read]",
		Group: spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RW|spec.Insert)}, Flags: spec.DenyOOM,
		Since: "5.0.0", Cost: "O(1)",
		Summary: "Makes a consumer group, and with MKSTREAM the stream, that has read up to an ID.",
	},
	Write: cmdXGroupCreate,
	Grows: func(*keyspace.View, Args) int64 { return stream.EmptySize + stream.GroupSize },
}

// groupOptions are the options of CREATE and SETID.
type groupOptions struct {
	create bool
	read   int64
}

func parseGroupOptions(args Args, create bool) (o groupOptions, err error) {
	o.read = stream.Unknown
	for more := args[5:]; len(more) > 0; more = more[1:] {
		switch {
		case create && is(more[0], "MKSTREAM"):
			o.create = true
		case is(more[0], "ENTRIESREAD") && len(more) > 1:
			if o.read, err = integer(more[1]); err != nil {
				return o, err
			}
			if o.read < stream.Unknown {
				return o, resp.ErrGroupRead
			}
			more = more[1:]
		default:
			return o, resp.SubcommandSyntax(args[0], args[1])
		}
	}
	return o, nil
}

func cmdXGroupCreate(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseGroupOptions(args, true)
	if err != nil {
		return err
	}
	s, ok, err := keyspace.Edit[keyspace.StreamValue](t, args[2])
	if err != nil {
		return err
	}
	if !ok && !o.create {
		return resp.ErrGroupNoKey
	}
	const most = 8 // Redis looks at the number of arguments only now
	if len(args) > most {
		return resp.SubcommandSyntax(args[0], args[1])
	}
	var last stream.ID
	if is(args[4], "$") {
		if ok {
			last = s.Last()
		}
	} else if last, err = strictID(args[4], 0); err != nil {
		return err
	}
	if !ok {
		s = t.NewStream()
		t.Set(args[2], s, 0)
	}
	if !s.Create(args[3], last, o.read) {
		return resp.ErrGroupBusy
	}
	t.Changed(args[2])
	w.OK()
	return nil
}

var declXGroupCreateConsumer = Command{
	Command: spec.Command{
		Name: "CREATECONSUMER", Syntax: "key groupname consumername",
		Group: spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RW|spec.Insert)}, Flags: spec.DenyOOM,
		Since: "6.2.0", Cost: "O(1)",
		Summary: "Makes a consumer of a group.",
	},
	Write: cmdXGroupCreateConsumer,
	Grows: func(_ *keyspace.View, args Args) int64 { return consumerGrowth(args[4]) },
}

func cmdXGroupCreateConsumer(t *keyspace.Txn, args Args, w *resp.Writer) error {
	_, g, err := theGroup(t, args)
	if err != nil {
		return err
	}
	_, there := g.Consumer(args[4])
	if !there {
		g.Create(args[4], t.Now())
		t.Changed(args[2])
	}
	one(w, !there)
	return nil
}

// theGroup returns the group that a subcommand needs, for changing it, and its stream.
func theGroup(t *keyspace.Txn, args Args) (s keyspace.StreamValue, g stream.Editor, err error) {
	s, ok, err := keyspace.Edit[keyspace.StreamValue](t, args[2])
	switch {
	case err != nil:
		return s, g, err
	case !ok:
		return s, g, resp.ErrGroupNoKey
	}
	if g, ok = s.Edit(args[3]); !ok {
		return s, g, resp.NoGroupInKey(args[2], args[3])
	}
	return s, g, nil
}

var declXGroupDelConsumer = Command{
	Command: spec.Command{
		Name: "DELCONSUMER", Syntax: "key groupname consumername",
		Group: spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RW|spec.Delete)},
		Since: "5.0.0", Cost: "O(N log M) with N the number of entries pending with the consumer and M of all pending ones",
		Summary: "Removes a consumer of a group, and what is pending with it.",
	},
	Write: cmdXGroupDelConsumer,
}

func cmdXGroupDelConsumer(t *keyspace.Txn, args Args, w *resp.Writer) error {
	_, g, err := theGroup(t, args)
	if err != nil {
		return err
	}
	pending := 0
	if c, ok := g.Consumer(args[4]); ok {
		pending = c.Pending()
		g.Remove(c)
		t.Changed(args[2])
	}
	w.Int(int64(pending))
	return nil
}

var declXGroupDestroy = Command{
	Command: spec.Command{
		Name: "DESTROY", Syntax: "key groupname",
		Group: spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RW|spec.Delete)},
		Since: "5.0.0", Cost: "O(1)",
		Summary: "Removes a consumer group.",
	},
	Write: cmdXGroupDestroy,
}

func cmdXGroupDestroy(t *keyspace.Txn, args Args, w *resp.Writer) error {
	s, ok, err := keyspace.Edit[keyspace.StreamValue](t, args[2])
	switch {
	case err != nil:
		return err
	case !ok:
		return resp.ErrGroupNoKey
	}
	gone := s.Destroy(args[3])
	if gone {
		t.Changed(args[2])
	}
	one(w, gone)
	return nil
}

var declXGroupHelp = Command{
	Command: spec.Command{
		Name: "HELP", Group: spec.Stream, Flags: spec.Loading | spec.Stale,
		Since: "5.0.0", Cost: "O(1)", Summary: "Lists the subcommands.",
	},
}

var declXGroupSetID = Command{
	Command: spec.Command{
		Name: "SETID", Syntax: "key groupname <id | $> [ENTRIESREAD entries_read]",
		Group: spec.Stream, Keys: []spec.KeySpec{spec.KeyAt(2, spec.RW|spec.Update)},
		Since: "5.0.0", Cost: "O(1)",
		Summary: "Sets the ID up to which a group has read.",
	},
	Write: cmdXGroupSetID,
}

func cmdXGroupSetID(t *keyspace.Txn, args Args, w *resp.Writer) error {
	o, err := parseGroupOptions(args, false)
	if err != nil {
		return err
	}
	s, g, err := theGroup(t, args)
	if err != nil {
		return err
	}
	if len(args) != 5 && len(args) != 7 {
		return resp.SubcommandSyntax(args[0], args[1])
	}
	var last stream.ID
	if is(args[4], "$") {
		last = s.Last()
	} else if last, err = anyID(args[4], 0); err != nil {
		return err
	}
	g.SetLast(last, o.read)
	t.Changed(args[2])
	w.OK()
	return nil
}
