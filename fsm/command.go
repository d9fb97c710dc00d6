package fsm

import (
	"errors"
	"slices"
	"sync"

	"github.com/raftkv/raftkv/fsm/commands"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/system"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// command is a data command ready to be found and run.
type command struct {
	commands.Command
	sub *spec.Table[command] // of a container, otherwise nil
}

// table has all data commands. It never changes, but in tests, so all Machines share it.
var table = sync.OnceValue(func() *spec.Table[command] { return newTable(commands.All()) })

func newTable(list []commands.Command) *spec.Table[command] {
	items := make([]command, len(list))
	for i := range list {
		items[i].Command = list[i]
		if len(list[i].Sub) > 0 {
			items[i].sub = newTable(withContainer(&list[i]))
		}
	}
	return spec.NewTable(items, func(c *command) *spec.Command { return &c.Command.Command })
}

// withContainer returns a container's subcommands, none of which is there before it is.
func withContainer(c *commands.Command) []commands.Command {
	sub := slices.Clone(c.Sub)
	for i := range sub {
		sub[i].From = max(sub[i].From, c.From)
	}
	return sub
}

// errNotARead answers a write where only reads may run. The server asks Lookup
// what a command is, so no client ever sees it.
const errNotARead resp.Error = "ERR a command that writes cannot run as a read"

// find is Lookup for those who run what they find, in a cluster of that version. The
// error is a resp.Error; with one comes how far it got: the container of an unknown
// subcommand, a command with a wrong number of arguments, or nil.
func find(args [][]byte, version uint64) (*command, error) {
	if len(args) == 0 {
		return nil, resp.UnknownCommand([][]byte{nil})
	}
	c, ok := table().Get(args[0])
	if !ok || c.From > version {
		return nil, resp.UnknownCommand(args)
	}
	if c.sub != nil && len(args) > 1 {
		sub, ok := c.sub.Get(args[1])
		if !ok || sub.From > version {
			return c, resp.UnknownSubcommand(args[0], args[1])
		}
		c = sub
	}
	if !c.Accepts(len(args)) {
		return c, resp.WrongArity(c.FullName())
	}
	return c, nil
}

// find does the same in the cluster as it is now. Its version is asked for, which takes
// a lock, only where a command did not come with the first.
func (m *Machine) find(args [][]byte) (*command, error) {
	c, err := find(args, system.NewestVersion)
	if c != nil && c.From > system.FirstVersion {
		return find(args, m.version())
	}
	return c, err
}

// finder is find with a memory: most commands are the same as the one before.
type finder struct {
	last *command // none of a container
	name [16]byte // as the last one was written
	n    int
}

func (f *finder) find(args [][]byte, version uint64) (*command, error) {
	if len(args) > 0 && f.n > 0 && string(args[0]) == string(f.name[:f.n]) && f.last.From <= version {
		if !f.last.Accepts(len(args)) {
			return nil, resp.WrongArity(f.last.FullName())
		}
		return f.last, nil
	}
	c, err := find(args, version)
	if err == nil && c.Container == "" && c.sub == nil && len(args[0]) <= len(f.name) {
		f.last, f.n = c, copy(f.name[:], args[0])
	}
	return c, err
}

// read runs a command that changes nothing.
func (c *command) read(v *keyspace.View, args [][]byte, w *resp.Writer) error {
	switch {
	case c.Read != nil:
		return c.Read(v, args, w)
	case c.Plain != nil:
		return c.Plain(args, w)
	}
	return errNotARead
}

// writeError takes back what a handler wrote and answers with its error.
func writeError(w *resp.Writer, mark int, err error) {
	w.Truncate(mark)
	var reply resp.Error
	if !errors.As(err, &reply) {
		reply = resp.Error("ERR " + err.Error())
	}
	w.Error(reply)
}

// Lookup finds the data command that args name (a subcommand where args[0] is a
// container) and checks the number of arguments. The error is a resp.Error with
// Redis's text: unknown command, unknown subcommand, wrong number of arguments. A
// command that is too new for the cluster is an unknown one.
func (m *Machine) Lookup(args [][]byte) (*spec.Command, error) {
	c, err := m.find(args)
	if err != nil {
		return nil, err
	}
	return &c.Command.Command, nil
}

// Specs returns the declarations of all data commands, with their Kind set, those
// that are too new for the cluster included.
func (m *Machine) Specs() []spec.Command {
	all := table().All()
	specs := make([]spec.Command, len(all))
	for i := range all {
		specs[i] = all[i].Command.Command
	}
	return specs
}
