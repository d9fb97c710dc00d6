// Package acl is the rules engine of Redis's access control lists: it reads the
// words of ACL SETUSER, keeps what they come to as a User, writes a User back as
// rules, and says whether a user may run a command line. It also keeps the log of
// what was refused. It knows the declarations of commands, but no connections, no
// replication and no clock: who is who, and where users are kept, is for others.
package acl

import (
	"slices"
	"strings"
	"sync"

	"github.com/raftkv/raftkv/resp/spec"
)

// Commands is the table of the commands that rules can speak of. Its content never
// changes; any goroutine may use it.
type Commands struct {
	list   []known
	byName map[string]int // full name, "get" or "config|set" → index in list
	byDecl sync.Map       // *spec.Command → index in list, -1 for one that is not in it
}

// known is a command or a subcommand.
type known struct {
	name       string
	categories spec.Categories
	parent     int   // index of the container, -1 where there is none
	subs       []int // of a container
}

// NewCommands returns the table of these commands and their subcommands, which are
// resolved declarations (see spec.Command.Resolve).
func NewCommands(list []spec.Command) *Commands {
	c := &Commands{byName: make(map[string]int)}
	for i := range list {
		at := c.add(&list[i], -1)
		for j := range list[i].Subcommands {
			sub := c.add(&list[i].Subcommands[j], at)
			c.list[at].subs = append(c.list[at].subs, sub)
		}
	}
	return c
}

func (c *Commands) add(decl *spec.Command, parent int) int {
	name := decl.FullName()
	c.byName[name] = len(c.list)
	c.list = append(c.list, known{name: name, categories: decl.ACL(), parent: parent})
	return len(c.list) - 1
}

// find returns the index of a command by its full name in any case.
func (c *Commands) find(name string) (int, bool) {
	i, ok := c.byName[strings.ToLower(name)]
	return i, ok
}

// index returns the place of a declaration, -1 for one that is not in the table.
func (c *Commands) index(decl *spec.Command) int {
	if i, ok := c.byDecl.Load(decl); ok {
		return i.(int)
	}
	i, ok := c.byName[decl.FullName()]
	if !ok {
		i = -1
	}
	c.byDecl.Store(decl, i)
	return i
}

// In returns the full names of the commands of a category, ordered.
func (c *Commands) In(category spec.Categories) []string {
	var names []string
	for i := range c.list {
		if c.list[i].categories&category != 0 {
			names = append(names, c.list[i].name)
		}
	}
	slices.Sort(names)
	return names
}

// each calls fn for the command and all that are below it.
func (c *Commands) each(i int, fn func(i int)) {
	fn(i)
	for _, sub := range c.list[i].subs {
		fn(sub)
	}
}

// eachIn calls fn for the commands that a category rule speaks of: those of the
// category, and with a container all its subcommands, whatever theirs are. That is
// Redis's own way (acl.c:ACLSetSelectorCommandBitsForCategory, 7.0).
func (c *Commands) eachIn(category spec.Categories, fn func(i int)) {
	for i := range c.list {
		if c.list[i].categories&category != 0 {
			c.each(i, fn)
		}
	}
}
