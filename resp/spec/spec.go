// Package spec says what a command is: its name, syntax, keys, flags and docs.
// Arity, COMMAND's replies, key extraction, ACL categories and wrong-arity
// errors are derived from that and written nowhere else. It knows no handlers.
package spec

// Command declares one command or subcommand.
type Command struct {
	// Name is the upper-case name; a subcommand's is its own word alone ("KILL").
	Name string
	// Syntax is the argument part of the command's usage line in the notation of
	// Redis's documentation: words in capitals are tokens, others are values,
	// [x] is optional, "x [x ...]" repeats, | separates alternatives. The arity
	// and the arguments of COMMAND DOCS are derived from it.
	Syntax string
	// Arity overrides the arity derived from Syntax where Redis's own table does
	// not follow from it. 0 means: derive it.
	Arity int
	Group Group
	Keys  []KeySpec
	Flags Flags
	// Categories are ACL categories beyond those that follow from Group, Flags
	// and the kind of handler.
	Categories Categories
	// Tips are COMMAND INFO's tips ("request_policy:all_shards").
	Tips []string
	// Since is the Redis version that brought the command ("1.0.0"), Cost its
	// complexity ("O(1)"), Summary one sentence in our own words.
	Since, Cost, Summary string
	// Deprecated, where not empty, is "since version; replacement" for COMMAND DOCS.
	Deprecated string
	// NoGroupCategory says that the ACL category of Group does not apply: Redis's
	// own table leaves it out for a few commands.
	NoGroupCategory bool
	// BlockNames are pairs: the name of a block or a token as it follows from Syntax, and
	// the one that Redis's own table has, which COMMAND DOCS shows.
	BlockNames [][2]string
	// CallFlags, of a command with a key that has VariableFlags, returns the
	// flags of such a key in one call, whose words args are.
	CallFlags func(args [][]byte) KeyFlags
	// CallKeys, of a command with keys that Unknown stands for, or that a Keyword may not
	// find (it may be another argument, or stand there twice), returns all keys of one
	// call, whose words args are; none where the notation shall tell. What the handler
	// uses and what the ACL looks at must be the same keys.
	CallKeys func(args [][]byte) []KeyPos
	// CallPattern returns the place of the first option of one call that makes it read
	// keys which only the data name (SORT's BY and GET), 0 where there is none. nil: never.
	CallPattern func(args [][]byte) int
	// Kind is set by the table that joins declarations and handlers: it says
	// whether the command reads or writes keys.
	Kind Kind
	// Container is the parent's name where this is a subcommand.
	Container string
	// Subcommands are those of a container (CLIENT, CONFIG, COMMAND ...).
	Subcommands []Command
}

// Kind says what a command does with keys; which field of its declaration holds
// the handler decides it.
type Kind uint8

const (
	// Session commands touch no keys: they belong to the connection or the server.
	Session Kind = iota
	// Read commands leave the keyspace as it is ("readonly" in COMMAND).
	Read
	// Write commands go through the log ("write" in COMMAND).
	Write
)

// Group is Redis's command group; COMMAND DOCS shows it.
type Group string

// The groups, Redis's and our own.
const (
	Bitmap       Group = "bitmap"
	Cluster      Group = "cluster"
	Connection   Group = "connection"
	Generic      Group = "generic"
	Geo          Group = "geo"
	Hash         Group = "hash"
	HyperLogLog  Group = "hyperloglog"
	List         Group = "list"
	PubSubGroup  Group = "pubsub"
	Scripting    Group = "scripting"
	SetGroup     Group = "set"
	SortedSet    Group = "sorted-set"
	Server       Group = "server"
	Stream       Group = "stream"
	String       Group = "string"
	Transactions Group = "transactions"
	// RaftGroup holds what Redis does not have: RAFT.*.
	RaftGroup Group = "raft"
)

// Flags are the command flags of COMMAND INFO, beside "write", "readonly" and
// "movablekeys", which are derived.
type Flags uint32

// The flags, each with the name that COMMAND INFO gives it in lower case.
const (
	DenyOOM Flags = 1 << iota
	Admin
	PubSub
	NoScript
	Blocking
	Loading
	Stale
	SkipMonitor
	SkipSlowlog
	Asking
	Fast
	NoAuth
	MayReplicate
	NoMandatoryKeys
	NoAsyncLoading
	NoMulti
	AllowBusy
)

// KeyFlags say what a command does with a key: Redis's key specification flags.
type KeyFlags uint16

// RW, RO, OW and RM exclude each other: read and write, read only, overwrite,
// remove. Access, Update, Insert and Delete say what happens to the user's data;
// NotKey is no key but routed as one; Incomplete finds only some of the keys;
// VariableFlags depend on the arguments (see Command.CallFlags).
const (
	RW KeyFlags = 1 << iota
	RO
	OW
	RM
	Access
	Update
	Insert
	Delete
	NotKey
	Incomplete
	VariableFlags
)

// KeySpec tells where keys stand among the arguments, as Redis's key
// specifications do: begin-search by Index (or after Keyword, searched from
// StartFrom), then find-keys by range (Last, Step, Limit), or by a count that
// stands at argument Begin+CountAt when KeyCount is set.
type KeySpec struct {
	Flags     KeyFlags
	Notes     string
	Index     int    // begin search: this argument (the command's name is 0)
	Keyword   string // begin search: the argument after this word, if not empty
	StartFrom int    // where the search for Keyword starts; negative: from the end, backwards
	Last      int    // range: last key, relative to the first; -1: the last argument, -2: the last but one
	Step      int    // range: distance between keys
	Limit     int    // range with Last -1: 2 means the first half of the rest, and so on; 0: no limit
	KeyCount  bool   // find keys by count
	CountAt   int    // with KeyCount: where the count stands, relative to the begin
	FirstKey  int    // with KeyCount: where the first key stands, relative to the begin
	Unknown   bool   // neither can be said by this notation
	// Options are, with Unknown, the words behind which such keys, or patterns of such,
	// stand: for COMMAND DOCS.
	Options []string
}

// OneKey is a single key as first argument.
func OneKey(f KeyFlags) []KeySpec { return []KeySpec{KeyAt(1, f)} }

// AllKeys are keys from the first argument to the last.
func AllKeys(f KeyFlags) []KeySpec { return []KeySpec{{Flags: f, Index: 1, Last: -1, Step: 1}} }

// KeyAt is a single key at one position, for commands whose keys differ in flags.
func KeyAt(index int, f KeyFlags) KeySpec { return KeySpec{Flags: f, Index: index, Step: 1} }

// Categories are ACL categories.
type Categories uint32

// The categories, in the order in which COMMAND INFO lists them.
const (
	CatKeyspace Categories = 1 << iota
	CatRead
	CatWrite
	CatSet
	CatSortedSet
	CatList
	CatHash
	CatString
	CatBitmap
	CatHyperLogLog
	CatGeo
	CatStream
	CatPubSub
	CatAdmin
	CatFast
	CatSlow
	CatBlocking
	CatDangerous
	CatConnection
	CatTransaction
	CatScripting
)
