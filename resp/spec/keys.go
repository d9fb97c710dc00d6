package spec

import "math"

// KeyPos is the place of one key among the words of a command line (the name is
// word 0) and what the command does with that key.
type KeyPos struct {
	Pos   int
	Flags KeyFlags
}

// Keys appends to dst the places of the keys in one command line of command c;
// args[0] is the command's name, of a subcommand args[1] its second word. It
// returns false for what Redis calls "Invalid arguments": a key count that is no
// number or too large, keys missing at the end, keys that the notation cannot
// find, or none at all; a command with NoMandatoryKeys then has none and true.
// Arity is not checked. It allocates nothing if dst has room.
// Source: redis/src/db.c:getKeysUsingKeySpecs, getKeysSubcommandImpl (7.0).
func Keys(dst []KeyPos, c *Command, args [][]byte) ([]KeyPos, bool) {
	start := len(dst)
	for i := range c.Keys {
		k := &c.Keys[i]
		if k.Flags&NotKey != 0 {
			continue
		}
		if (k.Unknown || k.Keyword != "") && c.CallKeys != nil {
			if keys := c.CallKeys(args); len(keys) > 0 {
				return append(dst[:start], keys...), true
			}
		}
		r, ok := k.find(args)
		if !ok || k.Flags&Incomplete != 0 {
			return dst[:start], c.Flags&NoMandatoryKeys != 0
		}
		flags := k.Flags
		if flags&VariableFlags != 0 && c.CallFlags != nil {
			flags = c.CallFlags(args)
		}
		for pos := r.first; pos <= r.last; pos += r.step {
			dst = append(dst, KeyPos{Pos: pos, Flags: flags})
		}
	}
	return dst, len(dst) > start || !c.HasKeys() || c.Flags&NoMandatoryKeys != 0
}

// HasKeys says whether any call of the command can name keys.
func (c *Command) HasKeys() bool {
	for i := range c.Keys {
		if c.Keys[i].Flags&NotKey == 0 {
			return true
		}
	}
	return false
}

// FirstKey returns the first key of a command line, whose slot is the line's
// slot, and false if it has none. It allocates nothing but where CallKeys does.
func FirstKey(c *Command, args [][]byte) ([]byte, bool) {
	for i := range c.Keys {
		if c.Keys[i].Flags&NotKey != 0 {
			continue
		}
		if c.Keys[i].Keyword != "" && c.CallKeys != nil {
			if keys := c.CallKeys(args); len(keys) > 0 {
				return args[keys[0].Pos], true
			}
		}
		if r, ok := c.Keys[i].find(args); ok && r.first <= r.last {
			return args[r.first], true
		}
	}
	return nil, false
}

// span is a run of key positions; last < first means none.
type span struct{ first, last, step int }

var noKeys = span{first: 1, last: 0, step: 1}

// find returns where the specification's keys stand in args, all within args.
func (k *KeySpec) find(args [][]byte) (span, bool) {
	if k.Unknown {
		return noKeys, false
	}
	first := k.Index
	if k.Keyword != "" {
		if first = k.afterKeyword(args); first == 0 {
			return noKeys, true // not given: no keys, and no mistake
		}
	}
	r := span{first: first, step: max(k.Step, 1)}
	switch {
	case k.KeyCount:
		n, ok := keyCount(args, first+k.CountAt)
		if !ok {
			return noKeys, false
		}
		r.first = first + k.FirstKey
		if n == 0 {
			return noKeys, true
		}
		if n > len(args)-r.first {
			return noKeys, false
		}
		r.last = r.first + (n-1)*r.step
	case k.Last >= 0:
		r.last = first + k.Last
	case k.Limit > 1:
		r.last = first + (len(args)-first)/k.Limit + k.Last
	default:
		r.last = len(args) + k.Last
	}
	if r.first >= len(args) || r.last >= len(args) || r.last < r.first {
		return noKeys, false
	}
	return r, true
}

// afterKeyword returns the position behind the keyword, 0 if it is not there.
// A negative StartFrom searches backwards from that far before the end.
func (k *KeySpec) afterKeyword(args [][]byte) int {
	if k.StartFrom >= 0 {
		for i := max(k.StartFrom, 1); i < len(args)-1; i++ {
			if foldEqual(args[i], k.Keyword) {
				return i + 1
			}
		}
		return 0
	}
	for i := len(args) + k.StartFrom; i > 1; i-- {
		if foldEqual(args[i], k.Keyword) {
			return i + 1
		}
	}
	return 0
}

// keyCount reads the number of keys that stands at args[at].
func keyCount(args [][]byte, at int) (int, bool) {
	if at >= len(args) || len(args[at]) == 0 || len(args[at]) > 10 {
		return 0, false
	}
	n := 0
	for _, c := range args[at] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n <= math.MaxInt32
}

// foldEqual compares ASCII without regard to case, and without what stands in b behind a
// NUL: for handlers, as for Redis, such an argument is the word, too.
func foldEqual(b []byte, s string) bool {
	if len(b) < len(s) || len(b) > len(s) && b[len(s)] != 0 {
		return false
	}
	for i := range len(s) {
		if lowerByte(b[i]) != lowerByte(s[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// LegacyKeys returns the first key, last key and step that COMMAND INFO shows
// beside the key specifications, all 0 for a command whose keys do not stand in
// one range. Source: redis/src/server.c:populateCommandLegacyRangeSpec (7.0).
func (c *Command) LegacyKeys() (first, last, step int) {
	first, last, step, _ = c.legacyKeys()
	return first, last, step
}

// MovableKeys says whether the legacy triple does not tell the whole truth: the
// "movablekeys" flag, which is derived and never declared.
func (c *Command) MovableKeys() bool {
	_, _, _, movable := c.legacyKeys()
	return movable
}

func (c *Command) legacyKeys() (first, last, step int, movable bool) {
	if len(c.Keys) == 1 && c.Keys[0].isRange() {
		k := &c.Keys[0]
		return k.Index, k.absoluteLast(), max(k.Step, 1), k.Flags&Incomplete != 0
	}
	prev := 0
	for i := range c.Keys {
		k := &c.Keys[i]
		if !k.isRange() || k.Step > 1 || prev != 0 && prev != k.Index-1 {
			movable = true
			continue
		}
		movable = movable || k.Flags&Incomplete != 0
		if first == 0 || k.Index < first {
			first = k.Index
		}
		// A negative last is counted from the end, so it lies behind any other.
		if l := k.absoluteLast(); l < 0 || last >= 0 && l > last {
			last = l
		}
		prev = last
	}
	if first == 0 {
		return 0, 0, 0, movable
	}
	return first, last, 1, movable
}

func (k *KeySpec) isRange() bool { return !k.Unknown && !k.KeyCount && k.Keyword == "" }

// absoluteLast is Last counted from the name, or from the end where negative.
func (k *KeySpec) absoluteLast() int {
	if k.Last >= 0 {
		return k.Index + k.Last
	}
	return k.Last
}
