package acl

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/raftkv/raftkv/fsm/glob"
	"github.com/raftkv/raftkv/resp/spec"
)

// selector is a set of commands with the keys and channels that they may name. It
// never changes once its User is made.
type selector struct {
	allKeys     bool
	allChannels bool
	keys        []keyPattern // none with allKeys
	channels    []string     // none with allChannels

	// fromAll says that the rules take away from all commands, those of later
	// versions included; otherwise they add to none. rules are those that are left of
	// what was given, in order, in their canonical form.
	fromAll bool
	rules   []string
	granted
}

// granted is what command rules come to, for one table of commands.
type granted struct {
	allowed   []uint64         // a bit for each command of the table
	every     bool             // fromAll, and no bit is missing
	firstArgs map[int][]string // first arguments with which a command that is not allowed may run
}

// access is what may be done with a key.
type access uint8

const (
	mayRead access = 1 << iota
	mayWrite
	mayAll = mayRead | mayWrite
)

// keyPattern is a glob pattern of keys.
type keyPattern struct {
	text string
	may  access
}

// rule is the pattern as a rule.
func (p keyPattern) rule() string {
	switch p.may {
	case mayRead:
		return "%R~" + p.text
	case mayWrite:
		return "%W~" + p.text
	}
	return "~" + p.text
}

func (s *selector) clone() *selector {
	c := *s
	c.keys, c.channels, c.rules = slices.Clone(s.keys), slices.Clone(s.channels), slices.Clone(s.rules)
	return &c // granted is replaced as a whole, never changed
}

// unrestricted says that the selector lets everything through.
func (s *selector) unrestricted() bool { return s.every && s.allKeys && s.allChannels }

// set takes one rule of a selector: keys, channels or commands.
// Source: redis/src/acl.c:ACLSetSelector (7.0).
func (s *selector) set(c *Commands, op string) error {
	switch lower := strings.ToLower(op); {
	case lower == "allkeys" || lower == "~*":
		s.allKeys, s.keys = true, nil
	case lower == "resetkeys":
		s.allKeys, s.keys = false, nil
	case lower == "allchannels" || lower == "&*":
		s.allChannels, s.channels = true, nil
	case lower == "resetchannels":
		s.allChannels, s.channels = false, nil
	case lower == "allcommands" || lower == "+@all":
		s.setAll(c, true)
	case lower == "nocommands" || lower == "-@all":
		s.setAll(c, false)
	case op[0] == '~' || op[0] == '%':
		return s.addKeys(op)
	case op[0] == '&':
		return s.addChannels(op[1:])
	case op[0] == '+' || op[0] == '-':
		return s.addCommands(c, op)
	default:
		return errSyntax
	}
	return nil
}

func (s *selector) setAll(c *Commands, all bool) {
	s.fromAll, s.rules = all, nil
	s.granted = c.grant(all, nil)
}

func (s *selector) addKeys(op string) error {
	if s.allKeys {
		return errAfterAllKeys
	}
	may, text := mayAll, op[1:]
	if op[0] == '%' {
		letters, rest, ok := strings.Cut(text, "~")
		if !ok {
			return errSyntax
		}
		if may, ok = accessOf(letters); !ok {
			return errSyntax
		}
		text = rest
	}
	if hasSpace(text) {
		return errSyntax
	}
	for i := range s.keys {
		if s.keys[i].text == text {
			s.keys[i].may |= may
			return nil
		}
	}
	s.keys = append(s.keys, keyPattern{text, may})
	return nil
}

// accessOf reads what stands between % and ~.
func accessOf(letters string) (may access, ok bool) {
	for _, l := range strings.ToUpper(letters) {
		one := access(0)
		switch l {
		case 'R':
			one = mayRead
		case 'W':
			one = mayWrite
		}
		if one == 0 || may&one != 0 {
			return 0, false
		}
		may |= one
	}
	return may, may != 0
}

func (s *selector) addChannels(pattern string) error {
	switch {
	case s.allChannels:
		return errAfterAllChannels
	case hasSpace(pattern):
		return errSyntax
	}
	if !slices.Contains(s.channels, pattern) {
		s.channels = append(s.channels, pattern)
	}
	return nil
}

// maxRules bounds the command rules of a selector, as each new one is weighed against
// all others; there are a tenth as many commands.
const maxRules = 4096

// addCommands takes +x or -x. What the new rule makes meaningless is left out, the
// rule itself too where it changes nothing. Only where rules are left out is all that is
// left gone through: every node waits while it reads a user's rules.
func (s *selector) addCommands(c *Commands, op string) error {
	rule, err := c.canonical(op)
	if err != nil {
		return err
	}
	if len(s.rules) >= maxRules {
		return errTooMany
	}
	wanted := s.granted.clone()
	changes := c.apply(&wanted, rule)
	c.complete(&wanted, s.fromAll)
	if rule[1] != '@' && !changes {
		return nil
	}
	target, below := rule[1:], rule[1:]+"|"
	rest := slices.DeleteFunc(slices.Clone(s.rules), func(old string) bool {
		return strings.EqualFold(old[1:], target) || strings.HasPrefix(old[1:], below)
	})
	keep := changes
	if len(rest) < len(s.rules) {
		without := c.grant(s.fromAll, rest)
		keep = !without.equal(&wanted)
	}
	if keep || !c.mayDrop(s.fromAll, rule) {
		rest = append(rest, rule)
	}
	if len(rest) <= len(s.rules) { // some are gone
		rest = c.tidy(s.fromAll, rest)
	}
	s.rules, s.granted = rest, wanted
	return nil
}

// tidy leaves out those rules that mean nothing where they stand, now that others are
// gone.
func (c *Commands) tidy(fromAll bool, rules []string) []string {
	g := c.grant(fromAll, nil)
	return slices.DeleteFunc(rules, func(rule string) bool { return !c.apply(&g, rule) && c.mayDrop(fromAll, rule) })
}

// mayDrop says whether a rule that changes nothing means nothing: a category may get
// commands in a later version, unless the rule only leads back to the beginning.
func (c *Commands) mayDrop(fromAll bool, rule string) bool {
	return rule[1] != '@' || (rule[0] == '+') == fromAll && !c.isEmpty(rule[2:])
}

func (c *Commands) isEmpty(category string) bool {
	cat, _ := spec.CategoryByName(category)
	return len(c.In(cat)) == 0
}

// canonical checks a command rule and returns it in the form that is kept: names in
// lower case.
func (c *Commands) canonical(op string) (string, error) {
	sign, name := op[:1], op[1:]
	if category, ok := strings.CutPrefix(name, "@"); ok {
		category = strings.ToLower(category)
		if _, ok := spec.CategoryByName(category); !ok {
			return "", errUnknown
		}
		return sign + "@" + category, nil
	}
	if _, ok := c.find(name); ok {
		return sign + strings.ToLower(name), nil
	}
	bar := strings.LastIndexByte(name, '|')
	if sign == "-" || bar < 0 {
		return "", errUnknown
	}
	i, ok := c.find(name[:bar])
	switch arg := name[bar+1:]; {
	case !ok:
		return "", errUnknown
	case c.list[i].parent >= 0:
		return "", errFirstArgOfSub
	case arg == "" || hasSpace(arg):
		return "", errSyntax
	case len(c.list[i].subs) > 0:
		return "", errUnknown
	default:
		return sign + c.list[i].name + "|" + arg, nil
	}
}

// grant says what canonical rules come to.
func (c *Commands) grant(fromAll bool, rules []string) granted {
	g := granted{allowed: make([]uint64, (len(c.list)+63)/64)}
	if fromAll {
		for i := range c.list {
			g.put(i, true)
		}
	}
	for _, rule := range rules {
		c.apply(&g, rule)
	}
	c.complete(&g, fromAll)
	return g
}

// complete works out every.
func (c *Commands) complete(g *granted, fromAll bool) {
	g.every = fromAll
	for i := range c.list {
		g.every = g.every && g.has(i)
	}
}

// clone is a copy that can be changed.
func (g *granted) clone() granted {
	n := granted{allowed: slices.Clone(g.allowed), every: g.every, firstArgs: maps.Clone(g.firstArgs)}
	for i, args := range n.firstArgs {
		n.firstArgs[i] = slices.Clip(args) // what is appended goes elsewhere
	}
	return n
}

// apply adds a canonical rule, and says whether that changes anything.
func (c *Commands) apply(g *granted, rule string) (changes bool) {
	put := func(i int) { changes = g.put(i, rule[0] == '+') || changes }
	if category, ok := strings.CutPrefix(rule[1:], "@"); ok {
		cat, _ := spec.CategoryByName(category)
		c.eachIn(cat, put)
	} else if i, ok := c.byName[rule[1:]]; ok {
		c.each(i, put)
	} else {
		name, arg, _ := strings.Cut(rule[1:], "|")
		changes = g.allowFirstArg(c.byName[name], arg)
	}
	return changes
}

func (g *granted) has(i int) bool { return i >= 0 && g.allowed[i/64]&(1<<(i%64)) != 0 }

// put allows a command or not, and says whether that changes anything.
func (g *granted) put(i int, on bool) (changes bool) {
	changes = g.has(i) != on || len(g.firstArgs[i]) > 0
	delete(g.firstArgs, i)
	if on {
		g.allowed[i/64] |= 1 << (i % 64)
	} else {
		g.allowed[i/64] &^= 1 << (i % 64)
	}
	return changes
}

// allowFirstArg allows a command with one first argument, and says whether that changes
// anything: where it is allowed altogether it does not.
func (g *granted) allowFirstArg(i int, arg string) (changes bool) {
	if g.has(i) || slices.ContainsFunc(g.firstArgs[i], func(have string) bool { return strings.EqualFold(have, arg) }) {
		return false
	}
	if g.firstArgs == nil {
		g.firstArgs = make(map[int][]string)
	}
	g.firstArgs[i] = append(g.firstArgs[i], arg)
	return true
}

func (g *granted) equal(o *granted) bool {
	if g.every != o.every || !slices.Equal(g.allowed, o.allowed) || len(g.firstArgs) != len(o.firstArgs) {
		return false
	}
	for i, args := range g.firstArgs {
		if !slices.Equal(args, o.firstArgs[i]) {
			return false
		}
	}
	return true
}

// describe is the selector as rules, from which set makes the same one.
func (s *selector) describe() []string {
	rules := s.describeKeys()
	if s.allChannels {
		rules = append(rules, "&*")
	} else {
		rules = append(rules, "resetchannels")
		rules = append(rules, s.describeChannels()...)
	}
	return append(rules, s.describeCommands()...)
}

func (s *selector) describeKeys() []string {
	if s.allKeys {
		return []string{"~*"}
	}
	rules := make([]string, 0, len(s.keys))
	for _, p := range s.keys {
		rules = append(rules, p.rule())
	}
	return rules
}

func (s *selector) describeChannels() []string {
	if s.allChannels {
		return []string{"&*"}
	}
	rules := make([]string, 0, len(s.channels))
	for _, p := range s.channels {
		rules = append(rules, "&"+p)
	}
	return rules
}

func (s *selector) describeCommands() []string {
	if s.fromAll {
		return append([]string{"+@all"}, s.rules...)
	}
	return append([]string{"-@all"}, s.rules...)
}

// line is a command line that is looked at by several selectors.
type line struct {
	decl  *spec.Command
	id    int
	args  [][]byte
	keys  []spec.KeyPos
	found bool // keys has been filled
	sound bool // the keys could be told
}

// lines are those at rest: each check needs one, for a moment.
var lines = sync.Pool{New: func() any { return new(line) }}

// keptKeys is how many keys' places a line at rest has room for at most.
const keptKeys = 1024

func (l *line) release() {
	l.decl, l.args = nil, nil
	if cap(l.keys) > keptKeys {
		l.keys = nil
	}
	lines.Put(l)
}

// keysOf finds the line's keys, once.
func (l *line) keysOf() ([]spec.KeyPos, bool) {
	if !l.found {
		l.found = true
		l.keys, l.sound = spec.Keys(l.keys, l.decl, l.args)
	}
	return l.keys, l.sound
}

// check is acl.c:ACLSelectorCheckCmd (7.0).
func (s *selector) check(l *line) Denial {
	if !s.every && l.decl.Flags&spec.NoAuth == 0 && !s.has(l.id) && !s.allowsFirstArg(l) {
		return Denial{Reason: DeniedCommand}
	}
	if !s.allKeys && l.decl.HasKeys() {
		keys, sound := l.keysOf()
		for _, k := range keys {
			if !s.allowsKey(l.args[k.Pos], needed(k.Flags)) {
				return Denial{DeniedKey, k.Pos}
			}
		}
		if !sound { // a line whose keys nobody can tell is none that a user of some keys may run
			return Denial{DeniedKey, len(l.args) - 1}
		}
	}
	if !s.allChannels {
		if at, ok := s.channelDenied(l); ok {
			return Denial{DeniedChannel, at}
		}
	}
	if l.decl.CallPattern != nil && !s.readsAll() {
		if at := l.decl.CallPattern(l.args); at > 0 {
			return Denial{DeniedPattern, at}
		}
	}
	return Denial{}
}

// readsAll is acl.c:ACLSelectorHasUnrestrictedKeyAccess (7.0), for reading.
func (s *selector) readsAll() bool {
	return s.allKeys || slices.ContainsFunc(s.keys, func(p keyPattern) bool { return p.text == "*" && p.may&mayRead != 0 })
}

func (s *selector) allowsFirstArg(l *line) bool {
	if len(l.args) < 2 || l.id < 0 {
		return false
	}
	return slices.ContainsFunc(s.firstArgs[l.id], func(arg string) bool { return strings.EqualFold(arg, string(l.args[1])) })
}

// needed is what a key's flags ask for; nothing for a command that only looks whether
// the key is there.
func needed(f spec.KeyFlags) (need access) {
	if f&spec.Access != 0 {
		need |= mayRead
	}
	if f&(spec.Insert|spec.Delete|spec.Update) != 0 {
		need |= mayWrite
	}
	return need
}

func (s *selector) allowsKey(key []byte, need access) bool {
	for i := range s.keys {
		if p := &s.keys[i]; p.may&need == need && glob.Match(p.text, key) {
			return true
		}
	}
	return false
}

// channels tells which arguments of a command are channels; patterns must be named by
// the user's rules as they are.
func channels(l *line) (first, last int, patterns bool) {
	switch l.decl.Name {
	case "PUBLISH", "SPUBLISH":
		return 1, 1, false
	case "SUBSCRIBE", "SSUBSCRIBE":
		return 1, len(l.args) - 1, false
	case "PSUBSCRIBE":
		return 1, len(l.args) - 1, true
	}
	return 1, 0, false
}

func (s *selector) channelDenied(l *line) (at int, denied bool) {
	if l.decl.Container != "" {
		return 0, false
	}
	first, last, patterns := channels(l)
	for at := first; at <= last; at++ {
		if !s.allowsChannel(l.args[at], patterns) {
			return at, true
		}
	}
	return 0, false
}

func (s *selector) allowsChannel(name []byte, pattern bool) bool {
	for _, p := range s.channels {
		if pattern && bytes.Equal([]byte(p), name) || !pattern && glob.Match(p, name) {
			return true
		}
	}
	return false
}

// hasSpace says whether a word has what separates words, or a zero byte.
func hasSpace(text string) bool { return strings.ContainsAny(text, " \t\n\v\f\r\x00") }
