package spec

// flagNames are the names that COMMAND INFO shows, in its order; a flag's index
// here is its bit.
var flagNames = [...]string{
	"denyoom", "admin", "pubsub", "noscript", "blocking", "loading", "stale", "skip_monitor", "skip_slowlog",
	"asking", "fast", "no_auth", "may_replicate", "no_mandatory_keys", "no_async_loading", "no_multi", "allow_busy",
}

var keyFlagNames = [...]string{
	"RW", "RO", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
}

var categoryNames = [...]string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
	"stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
}

// groupCategories are the ACL categories that follow from a group; the other
// groups (server, cluster, raft) have none.
var groupCategories = map[Group]Categories{
	Bitmap: CatBitmap, Connection: CatConnection, Generic: CatKeyspace, Geo: CatGeo, Hash: CatHash,
	HyperLogLog: CatHyperLogLog, List: CatList, PubSubGroup: CatPubSub, Scripting: CatScripting, SetGroup: CatSet,
	SortedSet: CatSortedSet, Stream: CatStream, String: CatString, Transactions: CatTransaction,
}

// FlagNames returns the flags as COMMAND INFO shows them, the derived ones
// ("write", "readonly", "movablekeys") included, in Redis's order.
func (c *Command) FlagNames() []string {
	var names []string
	if !c.isContainer() {
		switch c.Kind {
		case Write:
			names = append(names, "write")
		case Read:
			names = append(names, "readonly")
		}
	}
	names = appendBits(names, uint64(c.Flags), flagNames[:])
	if c.MovableKeys() {
		names = append(names, "movablekeys")
	}
	return names
}

// Names returns the names of a key's flags as COMMAND INFO shows them.
func (f KeyFlags) Names() []string { return appendBits(nil, uint64(f), keyFlagNames[:]) }

// Names returns the names of the categories without "@", in Redis's order.
func (c Categories) Names() []string { return appendBits(nil, uint64(c), categoryNames[:]) }

// CategoryByName returns the category of that lower-case name, without "@".
func CategoryByName(name string) (Categories, bool) {
	for i, n := range categoryNames {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// ACL returns all ACL categories of the command: those declared, that of its
// group, and those that its flags imply.
// Source: redis/src/acl.c, setImplicitACLCategories (7.0).
func (c *Command) ACL() Categories {
	cats := c.Categories
	if !c.isContainer() {
		if !c.NoGroupCategory {
			cats |= groupCategories[c.Group]
		}
		switch {
		case c.Kind == Write:
			cats |= CatWrite
		case c.Kind == Read && cats&CatScripting == 0:
			cats |= CatRead
		}
	}
	for _, imply := range [...]struct {
		flag Flags
		cats Categories
	}{
		{Admin, CatAdmin | CatDangerous}, {PubSub, CatPubSub}, {Fast, CatFast}, {Blocking, CatBlocking},
	} {
		if c.Flags&imply.flag != 0 {
			cats |= imply.cats
		}
	}
	if cats&CatFast == 0 {
		cats |= CatSlow
	}
	return cats
}

// isContainer says that the command is a place for its subcommands: neither
// group nor kind give it flags or categories of its own.
func (c *Command) isContainer() bool { return len(c.Subcommands) > 0 }

func appendBits(names []string, bits uint64, table []string) []string {
	for i, name := range table {
		if bits&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
