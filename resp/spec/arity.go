package spec

import "fmt"

// Arity returns the number of arguments as Redis counts it: the name included,
// and both words of a subcommand; positive means exactly, negative at least.
// It follows from Syntax unless the declaration overrides it.
func Arity(c *Command) int {
	if c.Arity != 0 {
		return c.Arity
	}
	base := 1
	if c.Container != "" {
		base = 2
	}
	if len(c.Subcommands) > 0 && c.Syntax == "" {
		return -2
	}
	args, err := ParseSyntax(c.Syntax)
	if err != nil {
		return -base
	}
	n, exact := count(args)
	if exact {
		return base + n
	}
	return -(base + n)
}

// Accepts says whether a command line of argc words, the name included, has the
// right number of arguments. Fast once the command is resolved.
func (c *Command) Accepts(argc int) bool {
	arity := Arity(c)
	return argc == arity || arity < 0 && argc >= -arity
}

// Resolve checks the declaration and fills in what follows from other fields
// and is asked often: Arity, and Container and the like of its subcommands.
// Resolving twice changes nothing.
func (c *Command) Resolve() error {
	if c.Name == "" || len(c.Name) > maxName {
		return fmt.Errorf("a name must have 1 to %d characters", maxName)
	}
	if _, err := ParseSyntax(c.Syntax); err != nil {
		return fmt.Errorf("syntax %q: %w", c.Syntax, err)
	}
	for i := range c.Subcommands {
		sub := &c.Subcommands[i]
		sub.Container = c.Name
		if err := sub.Resolve(); err != nil {
			return fmt.Errorf("%s: %w", sub.Name, err)
		}
	}
	c.Arity = Arity(c)
	return nil
}

// FullName returns the name as COMMAND and error texts show it: in lower case,
// a subcommand's with its container ("client|kill").
func (c *Command) FullName() string {
	if c.Container == "" {
		return lower(c.Name)
	}
	return lower(c.Container) + "|" + lower(c.Name)
}

// count returns the smallest number of words that a sequence of arguments
// takes, and whether it is the only one.
func count(args []Argument) (n int, exact bool) {
	exact = true
	for i := range args {
		m, e := args[i].count()
		n += m
		exact = exact && e
	}
	return n, exact
}

func (a *Argument) count() (n int, exact bool) {
	if a.Optional {
		return 0, false
	}
	switch a.Type {
	case PureToken:
		n, exact = 0, true // the token itself is counted below
	case Block:
		n, exact = count(a.Arguments)
	case OneOf:
		for i := range a.Arguments {
			m, e := a.Arguments[i].count()
			if i == 0 {
				n, exact = m, e
			}
			exact = exact && e && m == n
			n = min(n, m)
		}
	default:
		n, exact = 1, true
	}
	if a.Token != "" {
		n++
	}
	return n, exact && !a.Multiple
}
