package spec

import (
	"errors"
	"fmt"
	"strings"
)

// The notation of syntax lines, as a grammar:
//
//	alternatives = sequence { "|" sequence }
//	sequence     = { word | "[" alternatives "]" | "<" alternatives ">" } [ "..." ]
//
// A word without a lower-case letter is a token, written as it stands; any other
// is the name of a value. "..." stands last in a bracket, and what the bracket
// holds repeats what stands before it: "key value [key value ...]".

// maxSyntaxDepth bounds the nesting of brackets.
const maxSyntaxDepth = 16

var (
	errUnbalanced = errors.New("brackets do not match")
	errEmpty      = errors.New("an alternative or bracket is empty")
	errDots       = errors.New(`"..." must stand last in a square bracket`)
	errDepth      = errors.New("brackets are nested too deeply")
)

// ParseSyntax returns the arguments that a syntax line describes, in order. Keys
// look like strings in it: Command.Arguments knows better.
func ParseSyntax(syntax string) ([]Argument, error) {
	p := parser{words: splitSyntax(syntax)}
	top, err := p.alternatives("", 0)
	if err != nil {
		return nil, err
	}
	if len(top.alts) == 1 {
		return sequence(top.alts[0]), nil
	}
	return []Argument{choice(top.alts)}, nil
}

// splitSyntax cuts a syntax line into brackets, bars, "..." and words.
func splitSyntax(s string) []string {
	var words []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n':
			i++
		case isPunct(c):
			words = append(words, s[i:i+1])
			i++
		default:
			start := i
			for i < len(s) && !isPunct(s[i]) && s[i] != ' ' && s[i] != '\t' && s[i] != '\n' {
				i++
			}
			words = append(words, s[start:i])
		}
	}
	return words
}

func isPunct(c byte) bool { return strings.IndexByte("[]<>|", c) >= 0 }

// node is a word or a bracket of a syntax line.
type node struct {
	word     string   // a word, if not empty
	optional bool     // a square bracket
	dots     bool     // the bracket ends with "..."
	repeated bool     // the bracket's content may be given several times
	alts     [][]node // what the bracket holds
}

type parser struct {
	words []string
	next  int
}

// alternatives reads up to the closing bracket, or to the end where closing is "".
func (p *parser) alternatives(closing string, depth int) (node, error) {
	if depth > maxSyntaxDepth {
		return node{}, errDepth
	}
	n := node{optional: closing == "]", alts: [][]node{nil}}
	last := &n.alts[0]
	for p.next < len(p.words) {
		word := p.words[p.next]
		p.next++
		if n.dots && word != closing {
			return node{}, errDots
		}
		switch word {
		case "]", ">":
			if word != closing {
				return node{}, errUnbalanced
			}
			return n, n.finish()
		case "|":
			n.alts = append(n.alts, nil)
			last = &n.alts[len(n.alts)-1]
		case "...":
			if closing != "]" {
				return node{}, errDots
			}
			n.dots = true
		case "[", "<":
			inner, err := p.alternatives(map[string]string{"[": "]", "<": ">"}[word], depth+1)
			if err != nil {
				return node{}, err
			}
			*last = appendNode(*last, inner)
		default:
			*last = append(*last, node{word: word})
		}
	}
	if closing != "" {
		return node{}, errUnbalanced
	}
	if len(n.alts) == 1 && len(n.alts[0]) == 0 {
		return n, nil // no arguments at all
	}
	return n, n.finish()
}

// finish checks a bracket that has been read whole. A last alternative that ends
// with a repetition of all of them makes the bracket itself repeatable.
func (n *node) finish() error {
	for _, alt := range n.alts {
		if len(alt) == 0 {
			return errEmpty
		}
	}
	if len(n.alts) < 2 {
		return nil
	}
	last := n.alts[len(n.alts)-1]
	tail := last[len(last)-1]
	if !tail.dots || len(tail.alts) != len(n.alts) || len(last) < 2 {
		return nil
	}
	whole := append(append([][]node(nil), n.alts[:len(n.alts)-1]...), last[:len(last)-1])
	if equalAlts(whole, tail.alts) {
		n.alts, n.repeated = whole, true
	}
	return nil
}

// appendNode adds a bracket to a sequence. "[x ...]" after x folds with it into
// one repeated x; "[x ...]" after anything else is an optional repeated x.
func appendNode(seq []node, n node) []node {
	if !n.dots {
		return append(seq, n)
	}
	n.dots, n.repeated = false, true
	if len(n.alts) == 1 {
		x := n.alts[0]
		if k := len(seq) - len(x); k >= 0 && equalNodes(seq[k:], x) {
			n.optional = false
			return append(seq[:k:k], n)
		}
	}
	if k := len(seq) - 1; k >= 0 && !seq[k].optional && seq[k].word == "" && equalAlts(seq[k].alts, n.alts) {
		seq[k].repeated = true // <a | b> [<a | b> ...] written as [a | b ...]
		return seq
	}
	n.dots = true // finish may still find that it repeats its whole bracket
	return append(seq, n)
}

func equalAlts(a, b [][]node) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equalNodes(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalNodes(a, b []node) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].word != b[i].word || a[i].optional != b[i].optional || !equalAlts(a[i].alts, b[i].alts) {
			return false
		}
	}
	return true
}

// sequence turns nodes into arguments. A token takes the values that follow it:
// one value carries the token itself, several become a block that does.
func sequence(nodes []node) []Argument {
	args := make([]Argument, 0, len(nodes))
	for i := 0; i < len(nodes); {
		if !nodes[i].isToken() {
			args = append(args, nodes[i].argument())
			i++
			continue
		}
		token := nodes[i].word
		i++
		start := i
		for i < len(nodes) && nodes[i].isValue() {
			i++
		}
		args = append(args, tokenArgument(token, sequence(nodes[start:i])))
	}
	return args
}

func tokenArgument(token string, values []Argument) Argument {
	switch {
	case len(values) == 0:
		return Argument{Name: tokenName(token), Type: PureToken, Token: token}
	case len(values) == 1 && values[0].Token == "" && values[0].Type != PureToken:
		values[0].Token = token
		return values[0]
	}
	return Argument{Name: joinNames(values, "_"), Type: Block, Token: token, Arguments: values}
}

func (n *node) isToken() bool {
	return n.word != "" && strings.ToUpper(n.word) == n.word
}

// isValue says whether a token may take n: a value, or a bracket that must be
// given. A repetition that has a token of its own stands for itself.
func (n *node) isValue() bool {
	if n.word != "" {
		return !n.isToken()
	}
	return !n.optional && !(n.repeated && n.alts[0][0].isToken())
}

// argument turns one node, which is no token, into an argument.
func (n *node) argument() Argument {
	if n.word != "" {
		return Argument{Name: n.word, Type: valueType(n.word)}
	}
	a := choice(n.alts)
	a.Optional = a.Optional || n.optional
	if n.repeated || n.dots {
		a.Multiple = true
		a.MultipleToken = a.Token != ""
	}
	return a
}

// choice turns alternatives into one argument.
func choice(alts [][]node) Argument {
	if len(alts) == 1 {
		return single(sequence(alts[0]))
	}
	a := Argument{Type: OneOf}
	for _, alt := range alts {
		a.Arguments = append(a.Arguments, single(sequence(alt)))
	}
	a.Name = joinNames(a.Arguments, "_or_")
	return a
}

// single returns the arguments as one, a block if they are several.
func single(args []Argument) Argument {
	if len(args) == 1 {
		return args[0]
	}
	b := Argument{Name: joinNames(args, "_"), Type: Block, Arguments: args}
	if args[0].Type == PureToken && !args[0].Optional {
		// "TOKEN [value]": the block carries the token, as in Redis's own table.
		b.Token, b.Arguments = args[0].Token, args[1:]
	}
	return b
}

// joinNames names a block or choice by what it is made of.
func joinNames(args []Argument, sep string) string {
	const most = 48
	name := ""
	for i := range args {
		if i > 0 && len(name)+len(args[i].Name) > most {
			break
		}
		if i > 0 {
			name += sep
		}
		name += args[i].Name
	}
	return name
}

// tokenName names a pure token: its own word, or another one where Redis has it.
func tokenName(token string) string {
	switch token {
	case "*":
		return "auto_id"
	case "=":
		return "equal"
	case "~":
		return "approximately"
	case "$":
		return "new_id"
	case "ALPHA":
		return "sorting" // as Redis calls it
	case `""`:
		return "empty_string"
	}
	return lower(token)
}

// valueType tells a value's type by its name, as Redis's names do.
func valueType(name string) ArgumentType {
	switch name {
	case "pattern":
		return Pattern
	case "score", "longitude", "latitude", "radius", "width", "height", "weight":
		return Double
	case "seconds", "milliseconds", "count", "index", "offset", "start", "stop", "end", "cursor",
		"db", "index1", "index2", "destination-db", "numkeys", "increment", "decrement", "len", "min-match-len",
		"timeout", "ttl", "rank", "num-matches", "numreplicas", "numlocal", "bit", "slot", "length",
		"protover", "client-id", "minidletime", "min-idle-time", "port", "limit", "frequency", "maxage",
		"ms", "entries_read", "entries_added":
		return Integer
	}
	if strings.HasPrefix(name, "unix-time") {
		return UnixTime
	}
	return Str
}

// String renders an argument tree back in the notation of syntax lines.
func (a Argument) String() string {
	inner := a.inner()
	if a.Multiple {
		rest := inner
		if a.Token != "" && !a.MultipleToken {
			inner = a.Token + " " + inner
		}
		inner = fmt.Sprintf("%s [%s ...]", inner, rest)
	}
	if a.Optional {
		return "[" + inner + "]"
	}
	return inner
}

func (a Argument) inner() string {
	var text string
	switch a.Type {
	case PureToken:
		return a.Token
	case Block, OneOf:
		parts := make([]string, len(a.Arguments))
		for i, arg := range a.Arguments {
			parts[i] = arg.String()
		}
		if a.Type == Block {
			text = strings.Join(parts, " ")
		} else if text = strings.Join(parts, " | "); !a.Optional || a.Token != "" || a.Multiple {
			text = "<" + text + ">"
		}
	default:
		text = a.Name
	}
	if a.Token != "" && (!a.Multiple || a.MultipleToken) {
		text = a.Token + " " + text
	}
	return text
}
