package spec

import "strings"

// WriteDocs writes the command's entry of COMMAND DOCS, the map alone: the name
// that stands before it is the caller's. Source: redis/src/server.c:addReplyCommandDocs (7.0).
func WriteDocs(w Reply, c *Command) {
	args := c.Arguments()
	texts := [][2]string{{"summary", c.Summary}, {"since", c.Since}, {"group", string(c.Group)}, {"complexity", c.Cost}}
	n := 0
	for _, t := range texts {
		if t[1] != "" {
			n++
		}
	}
	since, replacement, deprecated := c.deprecation()
	for _, more := range []bool{deprecated, since != "", replacement != "", len(args) > 0, len(c.Subcommands) > 0} {
		if more {
			n++
		}
	}
	w.Map(n)
	for _, t := range texts {
		writePair(w, t[0], t[1])
	}
	if deprecated {
		w.BulkString("doc_flags")
		writeStatusSet(w, "", []string{"deprecated"})
	}
	writePair(w, "deprecated_since", since)
	writePair(w, "replaced_by", replacement)
	if len(args) > 0 {
		w.BulkString("arguments")
		writeArguments(w, args)
	}
	if len(c.Subcommands) > 0 {
		w.BulkString("subcommands")
		w.Map(len(c.Subcommands))
		for i := range c.Subcommands {
			w.BulkString(c.Subcommands[i].FullName())
			WriteDocs(w, &c.Subcommands[i])
		}
	}
}

// deprecation splits Deprecated, "since version; replacement".
func (c *Command) deprecation() (since, replacement string, ok bool) {
	if c.Deprecated == "" {
		return "", "", false
	}
	since, replacement, _ = strings.Cut(c.Deprecated, ";")
	since = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(since), "since "))
	return since, strings.TrimSpace(replacement), true
}

// writePair writes a name and a text, or nothing where the text is empty.
func writePair(w Reply, name, text string) {
	if text != "" {
		w.BulkString(name)
		w.BulkString(text)
	}
}

func writeArguments(w Reply, args []Argument) {
	w.Array(len(args))
	for i := range args {
		args[i].write(w)
	}
}

func (a *Argument) write(w Reply) {
	flags := a.flagNames()
	n := 2
	for _, more := range []bool{a.KeySpec > 0, a.Token != "", len(flags) > 0, len(a.Arguments) > 0} {
		if more {
			n++
		}
	}
	w.Map(n)
	writePair(w, "name", a.Name)
	writePair(w, "type", string(a.Type))
	if a.KeySpec > 0 {
		w.BulkString("key_spec_index")
		w.Int(int64(a.KeySpec - 1))
	}
	if a.Token == `""` {
		w.BulkString("token")
		w.BulkString("")
	} else {
		writePair(w, "token", a.Token)
	}
	if len(flags) > 0 {
		w.BulkString("flags")
		writeStatusSet(w, "", flags)
	}
	if len(a.Arguments) > 0 {
		w.BulkString("arguments")
		writeArguments(w, a.Arguments)
	}
}

func (a *Argument) flagNames() []string {
	var bits uint64
	for i, set := range [...]bool{a.Optional, a.Multiple, a.MultipleToken} {
		if set {
			bits |= 1 << i
		}
	}
	return appendBits(nil, bits, []string{"optional", "multiple", "multiple_token"})
}
