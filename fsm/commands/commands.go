// Package commands has the data commands: a declaration and a handler each, one
// file for each of Redis's command groups. A handler checks its arguments in
// Redis's order, works on a View or a Txn, and writes its reply; it knows no
// connections, no log and no clock.
package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// Args are a command's arguments; Args[0] is its name, of a subcommand Args[1]
// too. Their number has been checked.
type Args [][]byte

// Command is a declaration with its handler. Exactly one of Read, Write, Plain and
// Sub is set. An error that a handler returns is a resp.Error; whatever it wrote
// before is to be taken back then. The Writer may be nil.
type Command struct {
	spec.Command
	// From is the cluster version that the command came with; below it there is no such
	// command. 0: it was always there.
	From uint64
	// Read is the handler of a command that changes nothing.
	Read func(*keyspace.View, Args, *resp.Writer) error
	// Write is the handler of a command that may change something.
	Write func(*keyspace.Txn, Args, *resp.Writer) error
	// Grows says, before the command runs, how many bytes it may make the keyspace
	// take beyond what its arguments do: what it copies, or fills with zeros. nil: none.
	// Redis has nothing like it; the leader keeps to maxmemory by it (see Machine.Growth).
	Grows func(*keyspace.View, Args) int64
	// Plain is the handler of a command that looks at no key at all. HELP gets one
	// by itself, which lists its container's subcommands.
	Plain func(Args, *resp.Writer) error
	// Sub are the subcommands of a container.
	Sub []Command
}

// All returns all data commands, with Kind, Container and Subcommands set.
func All() []Command {
	var all []Command
	for _, group := range [][]Command{
		stringCommands(), hashCommands(), listCommands(), setCommands(), zsetCommands(), from(3, streamCommands()), geoCommands(), bitmapCommands(),
		hyperLogLogCommands(), genericCommands(), serverCommands(), debugCommands(),
	} {
		all = append(all, group...)
	}
	for i := range all {
		all[i].complete()
	}
	return all
}

// from says with which cluster version commands came.
func from(version uint64, list []Command) []Command {
	for i := range list {
		list[i].From = version
	}
	return list
}

// complete fills in what follows from which handler is set.
func (c *Command) complete() {
	switch {
	case c.Read != nil:
		c.Kind = spec.Read
	case c.Write != nil:
		c.Kind = spec.Write
	default:
		c.Kind = spec.Session
	}
	c.Sub = append([]Command(nil), c.Sub...) // All may be called again
	for i := range c.Sub {
		sub := &c.Sub[i]
		sub.Container = c.Name
		sub.complete()
		c.Subcommands = append(c.Subcommands, sub.Command)
	}
	for i := range c.Sub {
		if sub := &c.Sub[i]; sub.Name == "HELP" {
			container := c.Command
			sub.Plain = func(_ Args, w *resp.Writer) error {
				spec.WriteHelp(w, &container)
				return nil
			}
		}
	}
}
