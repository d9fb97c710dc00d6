package server

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// catalog is every command of the server, session and data commands alike,
// ordered by name. It never changes once it is made.
type catalog struct {
	all    []spec.Command
	byName *spec.Table[spec.Command]
	subs   map[string]*spec.Table[spec.Command] // by the container's upper-case name

	info, docs [2]kept // all of COMMAND and of COMMAND DOCS, in RESP2 and RESP3
}

// kept is a reply that never changes: long, the same for every client, and asked
// for by many when they connect. It is made when it is first asked for.
type kept struct {
	once  sync.Once
	reply []byte
}

func (k *kept) write(w *resp.Writer, do func(w *resp.Writer)) {
	k.once.Do(func() {
		own := resp.NewWriter(w.Proto(), nil)
		do(own)
		k.reply = slices.Clip(own.Bytes())
	})
	w.Raw(k.reply)
}

func newCatalog(session []command, data []spec.Command) *catalog {
	self := func(c *spec.Command) *spec.Command { return c }
	list := slices.Clone(data)
	for i := range session {
		one := session[i].Command
		if at := slices.IndexFunc(list, func(c spec.Command) bool { return c.Name == one.Name }); at >= 0 {
			list[at] = joined(one, &list[at])
		} else {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b spec.Command) int { return cmp.Compare(a.Name, b.Name) })
	c := &catalog{byName: spec.NewTable(list, self), subs: make(map[string]*spec.Table[spec.Command])}
	c.all = c.byName.All()
	for i := range c.all {
		if one := &c.all[i]; len(one.Subcommands) > 0 {
			c.subs[one.Name] = spec.NewTable(slices.Clone(one.Subcommands), self)
		}
	}
	return c
}

// joined is a command of which both the session and the Machine have a part: the former
// has the declaration, and of a container both have subcommands.
func joined(own spec.Command, data *spec.Command) spec.Command {
	own.Subcommands = slices.Clone(own.Subcommands)
	for _, sub := range data.Subcommands {
		if !slices.ContainsFunc(own.Subcommands, func(c spec.Command) bool { return c.Name == sub.Name }) {
			own.Subcommands = append(own.Subcommands, sub)
		}
	}
	slices.SortFunc(own.Subcommands, func(a, b spec.Command) int { return cmp.Compare(a.Name, b.Name) })
	return own
}

// named finds a command by its full name, "get" or "client|kill".
func (c *catalog) named(name []byte) (*spec.Command, bool) {
	container, sub, isSub := strings.Cut(string(name), "|")
	one, ok := c.byName.Get([]byte(container))
	if !ok || !isSub {
		return one, ok
	}
	if subs := c.subs[one.Name]; subs != nil {
		return subs.Get([]byte(sub))
	}
	return nil, false
}

// called finds the command of a command line.
func (c *catalog) called(args [][]byte) (*spec.Command, bool) {
	one, ok := c.byName.Get(args[0])
	if !ok || len(args) == 1 {
		return one, ok
	}
	if subs := c.subs[one.Name]; subs != nil {
		return subs.Get(args[1])
	}
	return one, true
}

func commandCommands() []command { return []command{declCommand()} }

// aboutCommands are the flags of COMMAND and all its subcommands.
const aboutCommands = spec.Loading | spec.Stale

func declCommand() command {
	sub := func(name, syntax, since, summary string, run func(*Session, [][]byte, *resp.Writer) error) command {
		return command{
			Command: spec.Command{
				Name: name, Syntax: syntax, Group: spec.Server, Categories: spec.CatConnection, Flags: aboutCommands,
				Since: since, Cost: "O(N), where N is the number of commands", Summary: summary,
			},
			run: run, early: true,
		}
	}
	unordered := func(c command) command {
		c.Tips = []string{"nondeterministic_output_order"}
		return c
	}
	withLine := func(c command) command {
		c.Arity = -4 // Redis's own; a command line of one word has no keys anyway
		c.Cost = "O(N), where N is the number of arguments"
		return c
	}
	help := helpCommand("COMMAND", spec.Server, aboutCommands, "5.0.0")
	help.Categories = spec.CatConnection
	all := unordered(sub("COMMAND", "", "2.8.13", "Describes all commands.", cmdCommandInfo))
	all.Arity = -1
	all.sub = []command{
		sub("COUNT", "", "2.8.13", "Returns the number of commands.", cmdCommandCount),
		unordered(sub("DOCS", "[command-name [command-name ...]]", "7.0.0", "Documents the commands, or all of them.", cmdCommandDocs)),
		withLine(sub("GETKEYS", "command [arg [arg ...]]", "2.8.13", "Returns the keys in a command line.", cmdCommandGetkeys)),
		withLine(sub("GETKEYSANDFLAGS", "command [arg [arg ...]]", "7.0.0",
			"Returns the keys in a command line, and what the command does with each.", cmdCommandGetkeysandflags)),
		help,
		unordered(sub("INFO", "[command-name [command-name ...]]", "2.8.13", "Describes the commands, or all of them.", cmdCommandInfo)),
		unordered(sub("LIST", "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", "7.0.0",
			"Returns the names of the commands.", cmdCommandList)),
	}
	return all
}

// cmdCommandInfo is COMMAND, and COMMAND INFO.
func cmdCommandInfo(s *Session, args [][]byte, w *resp.Writer) error {
	c := s.srv.catalog
	if len(args) <= 2 {
		c.info[w.Proto()-2].write(w, c.writeInfo)
		return nil
	}
	w.Array(len(args) - 2)
	for _, name := range args[2:] {
		if one, ok := c.named(name); ok {
			spec.WriteInfo(w, one)
		} else {
			w.Null() // as Redis, where NullArray would be expected
		}
	}
	return nil
}

func (c *catalog) writeInfo(w *resp.Writer) {
	w.Array(len(c.all))
	for i := range c.all {
		spec.WriteInfo(w, &c.all[i])
	}
}

func cmdCommandCount(s *Session, _ [][]byte, w *resp.Writer) error {
	w.Int(int64(len(s.srv.catalog.all)))
	return nil
}

func cmdCommandDocs(s *Session, args [][]byte, w *resp.Writer) error {
	c := s.srv.catalog
	var list []*spec.Command
	if len(args) == 2 {
		for i := range c.all {
			list = append(list, &c.all[i])
		}
		c.docs[w.Proto()-2].write(w, func(w *resp.Writer) { writeDocs(w, list) })
		return nil
	}
	for _, name := range args[2:] {
		if one, ok := c.named(name); ok {
			list = append(list, one)
		}
	}
	writeDocs(w, list)
	return nil
}

func writeDocs(w *resp.Writer, list []*spec.Command) {
	w.Map(len(list))
	for _, one := range list {
		w.BulkString(one.FullName())
		spec.WriteDocs(w, one)
	}
}

const (
	errNoSuchCommand  resp.Error = "ERR Invalid command specified"
	errNoKeyArguments resp.Error = "ERR The command has no key arguments"
	errCommandArity   resp.Error = "ERR Invalid number of arguments specified for command"
	errCommandArgs    resp.Error = "ERR Invalid arguments specified for command"
)

// keysOf finds the keys of a command line.
func (c *catalog) keysOf(line [][]byte) ([]spec.KeyPos, error) {
	one, ok := c.called(line)
	switch {
	case !ok:
		return nil, errNoSuchCommand
	case !one.HasKeys():
		return nil, errNoKeyArguments
	case !one.Accepts(len(line)):
		return nil, errCommandArity
	}
	keys, ok := spec.Keys(nil, one, line)
	if !ok {
		return nil, errCommandArgs
	}
	return keys, nil
}

func cmdCommandGetkeys(s *Session, args [][]byte, w *resp.Writer) error {
	line := args[2:]
	keys, err := s.srv.catalog.keysOf(line)
	if err != nil {
		return err
	}
	w.Array(len(keys))
	for _, k := range keys {
		w.Bulk(line[k.Pos])
	}
	return nil
}

func cmdCommandGetkeysandflags(s *Session, args [][]byte, w *resp.Writer) error {
	line := args[2:]
	keys, err := s.srv.catalog.keysOf(line)
	if err != nil {
		return err
	}
	w.Array(len(keys))
	for _, k := range keys {
		w.Array(2)
		w.Bulk(line[k.Pos])
		spec.WriteKeyFlags(w, k.Flags)
	}
	return nil
}

func cmdCommandList(s *Session, args [][]byte, w *resp.Writer) error {
	keep, err := listFilter(args[2:])
	if err != nil {
		return err
	}
	var names []string
	take := func(c *spec.Command) {
		if keep(c) {
			names = append(names, c.FullName())
		}
	}
	all := s.srv.catalog.all
	for i := range all {
		take(&all[i])
		for j := range all[i].Subcommands {
			take(&all[i].Subcommands[j])
		}
	}
	w.Array(len(names))
	for _, name := range names {
		w.BulkString(name)
	}
	return nil
}

// listFilter reads COMMAND LIST's options.
func listFilter(options [][]byte) (keep func(*spec.Command) bool, err error) {
	if len(options) == 0 {
		return func(*spec.Command) bool { return true }, nil
	}
	if len(options) != 3 || upper(options[0]) != "FILTERBY" {
		return nil, resp.ErrSyntax
	}
	value := strings.ToLower(string(options[2]))
	switch upper(options[1]) {
	case "MODULE": // there are none
		return func(*spec.Command) bool { return false }, nil
	case "ACLCAT":
		category, ok := spec.CategoryByName(value)
		return func(c *spec.Command) bool { return ok && c.ACL()&category != 0 }, nil
	case "PATTERN":
		return func(c *spec.Command) bool { return glob.Match(value, c.FullName()) }, nil
	}
	return nil, resp.ErrSyntax
}
