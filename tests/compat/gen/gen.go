// Package gen makes random command lines from the declarations' syntax: mostly well
// formed, with keys of the right type and arguments that fit their names, few enough of
// each that commands meet; some with an edge value, an option twice, a word too many or
// too few, a key of another type. It knows nothing of what runs them.
package gen

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/raftkv/raftkv/resp/spec"
)

// Generator makes command lines. The same seed and declarations give the same ones.
type Generator struct {
	*rand.Rand
	// Now is the time that absolute times are made around, Unix milliseconds.
	Now int64
	// Near makes times to live that run out after a few commands. Otherwise they are so
	// far away, and so far apart, that two clocks cannot change their order.
	Near bool
	// Long makes some values longer than what lies in a table's entry.
	Long bool
	// Dumps are serialized values for RESTORE.
	Dumps [][]byte

	all    []*spec.Command
	syntax map[*spec.Command][]spec.Argument
	theme  []*spec.Command // those of the theme
	few    bool            // few keys: commands meet
	common []*spec.Command // of no type
	group  spec.Group      // of the command in the making
	name   string          // its full name
	kind   string          // what its keys hold
	times  int             // how often the last repeated key, or what is counted, was given
}

// New returns a Generator for declarations. Tokens that allowed refuses are left out,
// and commands whose name alone it refuses, with "" as the token.
func New(seed uint64, specs []spec.Command, allowed func(command, token string) bool) *Generator {
	g := &Generator{Rand: rand.New(rand.NewPCG(seed, 1)), syntax: map[*spec.Command][]spec.Argument{}}
	for i := range specs {
		g.add(&specs[i], allowed)
	}
	g.Theme()
	return g
}

func (g *Generator) add(c *spec.Command, allowed func(command, token string) bool) {
	for i := range c.Subcommands {
		g.add(&c.Subcommands[i], allowed)
	}
	if len(c.Subcommands) > 0 || allowed != nil && !allowed(c.FullName(), "") {
		return
	}
	g.all, g.syntax[c] = append(g.all, c), c.Arguments()
	if allowed != nil {
		g.syntax[c] = trim(g.syntax[c], func(token string) bool { return allowed(c.FullName(), token) })
	}
	if kinds[c.Group] == "" {
		g.common = append(g.common, c)
	}
}

// trim leaves out the arguments that a refused token introduces.
func trim(args []spec.Argument, allowed func(token string) bool) []spec.Argument {
	for i := range args {
		args[i].Arguments = trim(args[i].Arguments, allowed)
	}
	return slices.DeleteFunc(args, func(a spec.Argument) bool {
		empty := (a.Type == spec.Block || a.Type == spec.OneOf) && len(a.Arguments) == 0
		return a.Token != "" && !allowed(a.Token) || empty
	})
}

// Commands are those that it makes.
func (g *Generator) Commands() []*spec.Command { return g.all }

// Theme chooses what the next commands are about: one to three groups, or all; and
// whether they are about all keys or a few.
func (g *Generator) Theme() {
	g.few = g.IntN(2) == 0
	var groups []spec.Group
	for _, c := range g.all {
		if kinds[c.Group] != "" && !slices.Contains(groups, c.Group) {
			groups = append(groups, c.Group)
		}
	}
	g.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	if g.IntN(4) > 0 {
		groups = groups[:min(len(groups), 1+g.IntN(3))]
	}
	g.theme = g.theme[:0]
	for _, c := range g.all {
		if slices.Contains(groups, c.Group) {
			for range 1 + makers[c.FullName()] {
				g.theme = append(g.theme, c)
			}
		}
	}
}

// Command makes one command line.
func (g *Generator) Command() (*spec.Command, [][]byte) {
	c := g.choose()
	switch c.Name {
	case "FLUSHALL", "FLUSHDB", "SWAPDB": // else little would ever be there
		if g.IntN(15) > 0 {
			c = g.choose()
		}
	}
	g.group, g.name, g.times = c.Group, c.FullName(), 1
	if g.kind = kinds[c.Group]; g.kind == "" {
		g.kind = g.pick("s", "h", "l", "t", "z", "x")
	}
	var args [][]byte
	for word := range strings.SplitSeq(strings.ToUpper(g.name), "|") {
		args = append(args, g.anyCase(word))
	}
	names := len(args)
	args = g.sequence(args, g.syntax[c])
	return c, g.spoil(args, names)
}

func (g *Generator) choose() *spec.Command {
	if len(g.theme) == 0 || len(g.common) > 0 && g.IntN(5) == 0 {
		return g.common[g.IntN(len(g.common))]
	}
	return g.theme[g.IntN(len(g.theme))]
}

// spoil does to some what users do wrong.
func (g *Generator) spoil(args [][]byte, names int) [][]byte {
	switch g.IntN(60) {
	case 0:
		return append(args, g.any())
	case 1:
		return args[:max(len(args)-1, 1)]
	case 2:
		if at := g.IntN(len(args)); at >= names {
			args[at] = g.odd()
		}
	case 3:
		if at := names + 1; at < len(args) {
			at += g.IntN(len(args) - at)
			return slices.Insert(args, at, g.any())
		}
	}
	return args
}

func (g *Generator) anyCase(word string) []byte {
	if g.IntN(8) == 0 {
		return bytes.ToLower([]byte(word))
	}
	return []byte(word)
}

// Pick returns one of some words.
func (g *Generator) Pick(from ...string) string { return g.pick(from...) }

func (g *Generator) pick(from ...string) string { return from[g.IntN(len(from))] }

// sequence makes arguments in their order, of options that stand side by side in any.
func (g *Generator) sequence(args [][]byte, list []spec.Argument) [][]byte {
	for i := 0; i < len(list); {
		options := i
		for options < len(list) && list[options].Optional && list[options].Type != spec.Key {
			options++
		}
		if options > i {
			for _, at := range g.order(options - i) {
				args = g.given(args, list, i+at)
			}
			i = options
			continue
		}
		args = g.given(args, list, i)
		i++
	}
	return args
}

// order is an order of n options: the declared one or another, one of them twice at times.
func (g *Generator) order(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	if g.IntN(2) == 0 {
		g.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	if g.IntN(20) == 0 {
		order = append(order, g.IntN(n))
	}
	return order
}

// given makes the argument at one place of a list, as often as it is to be given.
func (g *Generator) given(args [][]byte, list []spec.Argument, at int) [][]byte {
	a := &list[at]
	if a.Optional && g.IntN(3) > 0 {
		return args
	}
	times := 1
	switch {
	case !a.Multiple:
	case counted(list, at):
		if times = g.times; g.IntN(25) == 0 {
			times = 1 + g.IntN(3)
		}
	default:
		times += g.IntN(3)
		if g.IntN(400) == 0 {
			times += 500 + g.IntN(60) // what no small form takes
		}
		g.times = times
	}
	for n := range times {
		if a.Token != "" && (n == 0 || a.MultipleToken || a.Type == spec.PureToken) {
			args = append(args, g.anyCase(a.Token))
		}
		args = g.argument(args, a)
	}
	return args
}

// counted says whether a repeated argument is to be given as often as a number before
// it says, or as something else was.
func counted(list []spec.Argument, at int) bool {
	name := list[at].Name
	return name == "weight" || name == "id" && at > 0 && list[at-1].Multiple ||
		at > 0 && isCount(list[at-1].Name)
}

func isCount(name string) bool { return name == "numkeys" || name == "numfields" }

func (g *Generator) argument(args [][]byte, a *spec.Argument) [][]byte {
	switch a.Type {
	case spec.PureToken:
		return args
	case spec.Block:
		return g.sequence(args, a.Arguments)
	case spec.OneOf:
		i := g.IntN(len(a.Arguments))
		if g.name == "xadd" && a.Arguments[i].Token == "*" && g.IntN(8) > 0 { // after an id of today none of few is left
			i = len(a.Arguments) - 1
		}
		return g.sequence(args, a.Arguments[i:i+1])
	case spec.Key:
		return append(args, g.key())
	}
	return append(args, g.word(a))
}

// Only keeps to a group or a command, beside those of no type; "" takes all.
func (g *Generator) Only(name string) error {
	if name == "" {
		return nil
	}
	kept := slices.DeleteFunc(slices.Clone(g.all), func(c *spec.Command) bool {
		return !strings.EqualFold(string(c.Group), name) && !strings.EqualFold(c.FullName(), name) && !strings.EqualFold(c.Container, name)
	})
	if len(kept) == 0 {
		return fmt.Errorf("no command is %q, nor in a group of that name", name)
	}
	g.all = kept
	g.Theme()
	return nil
}
