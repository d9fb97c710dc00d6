package server

import (
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// command is a session command: one that belongs to the connection, the server
// or the cluster, and not to the keyspace. It is declared directly above its
// handler, like a data command.
type command struct {
	spec.Command
	// run writes the reply to w, or returns an error, and then nothing it wrote is
	// kept. args[0] is the command's name, the number of arguments is right, and
	// they are valid only during the call: what stays must be copied.
	run func(s *Session, args [][]byte, w *resp.Writer) error
	// sub are the subcommands of a container, which has no run of its own unless it
	// can be called alone.
	sub []command
	// early says that the command neither depends on the data commands before it
	// in the same pipeline nor has to wait for their outcome: it may run while
	// those still wait to be proposed with the ones behind it.
	early bool
	// late, where it is set, says of an early command that this call is not.
	late func(args [][]byte) bool
	// data says of a call that it is the Machine's: a data command of the same name has
	// what looks at keys. A container needs no such word: which of its subcommands are
	// data commands follows from who declares them.
	data func(args [][]byte) bool
	// immediate commands run inside MULTI too, instead of being queued.
	immediate bool
	// deferred says that the segment writes the reply, in its turn: run gets no
	// Writer, and only its error is answered at once (EXEC).
	deferred bool
	// denied marks what stands in a transaction for a command that its user may not
	// run: it needs no permission to say so.
	denied bool
}

// sessionCommands joins the lists; each file of commands has one.
func sessionCommands() []command {
	lists := [][]command{
		connectionCommands(),
		transactionCommands(),
		adminCommands(),
		clusterCommands(),
		raftCommands(),
		neverCommands(),
		commandCommands(),
		infoCommands(),
		saveCommands(),
		clientCommands(),
		configCommands(),
		slowlogCommands(),
		aclCommands(),
		debugCommand(),
		memoryCommands(),
	}
	var all []command
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// commandTable finds session commands and their subcommands.
type commandTable struct {
	byName *spec.Table[command]
	subs   map[string]*spec.Table[command] // by the container's upper-case name
	// shared are the containers, by their upper-case names, of which the Machine has
	// some subcommands.
	shared map[string]bool
}

// newCommandTable indexes the commands; data are the Machine's. A name declared twice panics.
func newCommandTable(all []command, data []spec.Command) *commandTable {
	t := &commandTable{subs: make(map[string]*spec.Table[command]), shared: make(map[string]bool)}
	for i := range data {
		t.shared[data[i].Name] = len(data[i].Subcommands) > 0
	}
	decl := func(c *command) *spec.Command { return &c.Command }
	for i := range all {
		c := &all[i]
		for j := range c.sub {
			c.sub[j].Container = c.Name
			c.Subcommands = append(c.Subcommands, c.sub[j].Command)
		}
		if len(c.sub) > 0 {
			t.subs[c.Name] = spec.NewTable(c.sub, decl)
		}
	}
	t.byName = spec.NewTable(all, decl)
	return t
}

// find returns the session command that args name, a subcommand where args[0] is
// a container, after checking the number of arguments. ok is false where args[0]
// is no session command.
func (t *commandTable) find(args [][]byte) (c *command, ok bool, err error) {
	c, ok = t.byName.Get(args[0])
	if !ok || c.data != nil && c.data(args) {
		return nil, false, nil
	}
	if subs := t.subs[c.Name]; subs != nil && (len(args) > 1 || c.run == nil) {
		if len(args) < 2 {
			return nil, true, resp.WrongArity(c.Name)
		}
		sub, found := subs.Get(args[1])
		if !found && t.shared[c.Name] {
			return nil, false, nil
		}
		if !found {
			return nil, true, unknownSubcommand(args)
		}
		c = sub
	}
	if !c.Accepts(len(args)) {
		return c, true, resp.WrongArity(c.FullName())
	}
	return c, true, nil
}

// unknownSubcommand is Redis's error for a container's unknown second word.
func unknownSubcommand(args [][]byte) resp.Error {
	const shown = 128
	name := args[1][:min(len(args[1]), shown)]
	return resp.Error("ERR unknown subcommand '" + string(name) + "'. Try " + upper(args[0]) + " HELP.")
}

// upper is the upper-case form of an ASCII word.
func upper(word []byte) string {
	b := make([]byte, len(word))
	for i, c := range word {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		b[i] = c
	}
	return string(b)
}
