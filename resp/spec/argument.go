package spec

import (
	"slices"
	"strings"
)

// ArgumentType is what COMMAND DOCS calls an argument's type.
type ArgumentType string

// The types of arguments. Block is a sequence, OneOf a choice; both hold
// arguments of their own.
const (
	Str       ArgumentType = "string"
	Integer   ArgumentType = "integer"
	Double    ArgumentType = "double"
	Key       ArgumentType = "key"
	Pattern   ArgumentType = "pattern"
	UnixTime  ArgumentType = "unix-time"
	PureToken ArgumentType = "pure-token"
	Block     ArgumentType = "block"
	OneOf     ArgumentType = "oneof"
)

// Argument is one node of a command's argument tree, as COMMAND DOCS shows it.
type Argument struct {
	Name string
	Type ArgumentType
	// Token is the word before the value, or the whole of a PureToken.
	Token string
	// KeySpec is, for a Key, 1 + the index in Command.Keys of the
	// specification that finds it; 0 for anything else.
	KeySpec  int
	Optional bool
	// Multiple says that the value may be given several times, MultipleToken
	// that its token is then written each time.
	Multiple, MultipleToken bool
	Arguments               []Argument // of a Block or OneOf
}

// Arguments returns the argument tree that follows from Syntax, with the keys
// marked that Keys finds. It is nil where Syntax is not well formed, which
// Resolve refuses.
func (c *Command) Arguments() []Argument {
	args, err := ParseSyntax(c.Syntax)
	if err != nil {
		return nil
	}
	m := keyMarker{command: c, pos: 1, known: true}
	if c.Container != "" {
		m.pos = 2
	}
	m.mark(args, "")
	if strings.HasSuffix(c.Name, "FLOAT") {
		retype(args, "increment", Double)
	}
	if c.Flags&Blocking != 0 {
		retype(args, "timeout", Double)
	}
	switch c.Group {
	case Bitmap:
		retype(args, "value", Integer)
	case SortedSet:
		c.retypeSortedSet(args)
	case Stream:
		retype(args, "start", Str) // IDs
		retype(args, "end", Str)
		if c.Name != "XPENDING" {
			retype(args, "min-idle-time", Str) // as Redis's own table has it
		}
	}
	for _, pair := range c.BlockNames {
		rename(args, pair[0], pair[1])
	}
	return args
}

// retypeSortedSet makes of types what Redis's own table has for sorted sets.
func (c *Command) retypeSortedSet(args []Argument) {
	retype(args, "weight", Integer)
	if strings.HasSuffix(c.Name, "BYSCORE") || c.Name == "ZCOUNT" {
		retype(args, "min", Double)
		retype(args, "max", Double)
	}
	if c.Name == "ZRANGE" {
		retype(args, "start", Str)
		retype(args, "stop", Str)
	}
}

// rename gives the blocks and tokens called from another name.
func rename(args []Argument, from, to string) {
	for i := range args {
		if args[i].Name == from && (args[i].Type == Block || args[i].Type == PureToken) {
			args[i].Name = to
		}
		rename(args[i].Arguments, from, to)
	}
}

// keyMarker walks an argument tree in the order of the command line and finds
// the leaves at which a key specification begins, and those that its range ends at.
type keyMarker struct {
	command *Command
	pos     int  // the argument number of the next leaf
	known   bool // false behind the first argument that may be missing or repeated
}

func (m *keyMarker) mark(args []Argument, keyword string) {
	for i := range args {
		a := &args[i]
		if a.Optional {
			m.known = false
		}
		if a.Token != "" {
			m.pos, keyword = m.pos+1, a.Token
		}
		switch a.Type {
		case PureToken:
		case Block:
			m.mark(a.Arguments, keyword)
		case OneOf:
			m.markChoice(a.Arguments, keyword)
		default:
			if k := m.specAt(keyword); k > 0 {
				a.KeySpec = k
				if a.Type != Pattern {
					a.Type = Key
				}
			}
			m.pos++
		}
		keyword = "" // only what directly follows a token is found by it
		if a.Multiple {
			m.known = false
		}
	}
}

// markChoice marks each alternative from the same position; behind the choice
// the position is known if all take one word, which is all that is needed.
func (m *keyMarker) markChoice(alts []Argument, keyword string) {
	start, known := m.pos, m.known
	for i := range alts {
		m.pos, m.known = start, known
		m.mark(alts[i:i+1], keyword)
		known = known && m.pos == start+1
	}
	m.known = known
}

// specAt returns 1 + the index of the key specification whose first key, or one of
// a range that ends at an argument's number, stands at the current position, or
// directly behind keyword; 0 if there is none.
func (m *keyMarker) specAt(keyword string) int {
	for i, k := range m.command.Keys {
		first := k.Index
		if k.KeyCount {
			first += k.FirstKey
		}
		switch {
		case k.Unknown:
			if slices.Contains(k.Options, keyword) {
				return i + 1
			}
		case k.Keyword != "":
			if strings.EqualFold(k.Keyword, keyword) {
				return i + 1
			}
		case m.known && (m.pos == first || first < m.pos && m.pos <= first+k.Last && (m.pos-first)%k.Step == 0):
			return i + 1
		}
	}
	return 0
}

// retype changes the type of the values called name.
func retype(args []Argument, name string, t ArgumentType) {
	for i := range args {
		if a := &args[i]; a.Name == name && (a.Type == Integer || a.Type == Double || a.Type == Str) {
			a.Type = t
		}
		retype(args[i].Arguments, name, t)
	}
}
