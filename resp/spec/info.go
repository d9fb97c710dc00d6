package spec

// Reply is what the renderers of this package write to; *resp.Writer is one.
// Map, Set and Array announce what the caller writes next.
type Reply interface {
	Array(n int)
	Map(n int)
	Set(n int)
	Int(n int64)
	Simple(s string)
	BulkString(s string)
}

// WriteInfo writes the command's entry of COMMAND INFO: an array of ten.
// Source: redis/src/server.c:addReplyCommandInfo (7.0).
func WriteInfo(w Reply, c *Command) {
	first, last, step := c.LegacyKeys()
	w.Array(10)
	w.BulkString(c.FullName())
	w.Int(int64(Arity(c)))
	writeStatusSet(w, "", c.FlagNames())
	w.Int(int64(first))
	w.Int(int64(last))
	w.Int(int64(step))
	writeStatusSet(w, "@", c.ACL().Names())
	w.Set(len(c.Tips))
	for _, tip := range c.Tips {
		w.BulkString(tip)
	}
	w.Set(len(c.Keys))
	for i := range c.Keys {
		c.Keys[i].write(w)
	}
	if len(c.Subcommands) == 0 {
		w.Set(0)
		return
	}
	w.Array(len(c.Subcommands))
	for i := range c.Subcommands {
		WriteInfo(w, &c.Subcommands[i])
	}
}

// WriteKeyFlags writes a key's flags as COMMAND GETKEYSANDFLAGS shows them.
func WriteKeyFlags(w Reply, f KeyFlags) { writeStatusSet(w, "", f.Names()) }

func writeStatusSet(w Reply, prefix string, names []string) {
	w.Set(len(names))
	for _, name := range names {
		w.Simple(prefix + name)
	}
}

// write writes one key specification.
func (k *KeySpec) write(w Reply) {
	n := 3
	if k.Notes != "" {
		n++
	}
	w.Map(n)
	if k.Notes != "" {
		w.BulkString("notes")
		w.BulkString(k.Notes)
	}
	w.BulkString("flags")
	WriteKeyFlags(w, k.Flags)
	w.BulkString("begin_search")
	k.writeBegin(w)
	w.BulkString("find_keys")
	k.writeFind(w)
}

func (k *KeySpec) writeBegin(w Reply) {
	switch {
	case k.Unknown:
		writeSearch(w, "unknown")
	case k.Keyword != "":
		writeSearch(w, "keyword", field{"keyword", 0, k.Keyword}, field{"startfrom", k.StartFrom, ""})
	default:
		writeSearch(w, "index", field{"index", k.Index, ""})
	}
}

func (k *KeySpec) writeFind(w Reply) {
	step := max(k.Step, 1)
	switch {
	case k.Unknown:
		writeSearch(w, "unknown")
	case k.KeyCount:
		writeSearch(w, "keynum", field{"keynumidx", k.CountAt, ""}, field{"firstkey", k.FirstKey, ""}, field{"keystep", step, ""})
	default:
		writeSearch(w, "range", field{"lastkey", k.Last, ""}, field{"keystep", step, ""}, field{"limit", k.Limit, ""})
	}
}

// field is one pair of a search's specification: a text if not empty, else a number.
type field struct {
	name   string
	number int
	text   string
}

func writeSearch(w Reply, kind string, fields ...field) {
	w.Map(2)
	w.BulkString("type")
	w.BulkString(kind)
	w.BulkString("spec")
	w.Map(len(fields))
	for _, f := range fields {
		w.BulkString(f.name)
		if f.text != "" {
			w.BulkString(f.text)
		} else {
			w.Int(int64(f.number))
		}
	}
}
