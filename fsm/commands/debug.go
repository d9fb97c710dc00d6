package commands

import (
	"fmt"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
	"github.com/raftkv/raftkv/resp"
	"github.com/raftkv/raftkv/resp/spec"
)

// debugCommands are what of DEBUG looks at keys. The rest is the server's, which also
// says who may call it, and has the declaration that COMMAND shows: in Redis DEBUG is
// one command, and what stands behind it no subcommand.
func debugCommands() []Command { return from(3, []Command{declDebug}) }

var declDebug = Command{
	Command: spec.Command{
		Name: "DEBUG", Syntax: "<DIGEST | DIGEST-VALUE [key [key ...]] | HTSTATS index | HTSTATS-KEY key | OBJECT key | SDSLEN key>", Group: spec.Server,
		Flags: spec.Admin | spec.NoScript | spec.Loading | spec.Stale,
		Since: "1.0.0", Cost: "Depends on the subcommand.",
		Summary: "Holds what looks inside the server.",
	},
	Read: cmdDebug,
}

// debugging are the subcommands that look at keys, with the number of arguments behind
// the name.
var debugging = []struct {
	name        string
	least, most int
	read        func(*keyspace.View, Args, *resp.Writer) error
}{
	{"DIGEST", 0, 0, debugDigest},
	{"DIGEST-VALUE", 0, 1 << 20, debugDigestValue},
	{"HTSTATS", 1, 1, debugTable},
	{"HTSTATS-KEY", 1, 1, debugTableOfKey},
	{"OBJECT", 1, 1, debugObject},
	{"SDSLEN", 1, 1, debugString},
}

func cmdDebug(v *keyspace.View, args Args, w *resp.Writer) error {
	for i := range debugging {
		d := &debugging[i]
		if n := len(args) - 2; is(args[1], d.name) && d.least <= n && n <= d.most {
			return d.read(v, args, w)
		}
	}
	return resp.SubcommandSyntax(args[0], args[1])
}

// debugObject is DEBUG OBJECT. There is no address to tell, and when a key was last used
// is not kept: it says what OBJECT IDLETIME does, and the clock in Redis's 24 bits for it.
func debugObject(v *keyspace.View, args Args, w *resp.Writer) error {
	e, ok := v.Peek(args[2])
	if !ok {
		return resp.ErrNoSuchKey
	}
	const clockBits = 24
	line := fmt.Sprintf("Value at:0x0 refcount:%d encoding:%s serializedlength:%d lru:%d lru_seconds_idle:0",
		references(e), e.Encoding(), serializedLength(v, args[2], e), v.Now()/1000&(1<<clockBits-1))
	if l, isList := e.Value().(keyspace.ListValue); isList {
		fill := v.Limits().ListNode
		nodes, size := rdb.ListNodes(fill, func(fn func(element []byte) bool) { l.Ascend(0, fn) })
		line += fmt.Sprintf(" ql_nodes:%d ql_avg_node:%.2f ql_listpack_max:%d ql_compressed:0 ql_uncompressed_size:%d",
			nodes, float64(l.Len())/float64(nodes), fill, size)
	}
	w.Simple(line)
	return nil
}

// serializedLength is how long the value is in an RDB file, without its type: what DUMP
// gives without type, version and checksum.
func serializedLength(v *keyspace.View, key []byte, e keyspace.Entry) int {
	const around = 1 + 2 + 8
	return len(dumped(v, key, e)) - around
}

// debugString is DEBUG SDSLEN: how much memory key and value take, the two of them
// together as MEMORY USAGE says.
func debugString(v *keyspace.View, args Args, w *resp.Writer) error {
	e, ok := v.Peek(args[2])
	if !ok {
		return resp.ErrNoSuchKey
	}
	text, isText := e.Text()
	if _, isInt := text.Int(); !isText || isInt {
		return resp.ErrNotSDS
	}
	key := len(e.Key())
	w.Simple(fmt.Sprintf("key_sds_len:%d, key_sds_avail:0, key_zmalloc: %d, val_sds_len:%d, val_sds_avail:0, val_zmalloc: %d",
		key, key, text.Len(), e.Size()-key))
	return nil
}

// debugTable is DEBUG HTSTATS. Keys are in a tree in the order of a hash, without a size,
// slots or chains: how many there are is all that can be told.
func debugTable(v *keyspace.View, args Args, w *resp.Writer) error {
	db, err := integer(args[2])
	switch {
	case err != nil:
		return err
	case db < 0 || db >= keyspace.Databases:
		return resp.ErrDebugDB
	}
	v.Within(int(db), func(v *keyspace.View) {
		keys, expire := v.Counts()
		w.Verbatim("txt", "[Dictionary HT]\n"+tableStats(keys)+"[Expires HT]\n"+tableStats(expire))
	})
	return nil
}

func tableStats(n int) string {
	if n == 0 {
		return "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n"
	}
	return fmt.Sprintf("Hash table 0 stats (main hash table):\n number of elements: %d\n", n)
}

// debugTableOfKey is DEBUG HTSTATS-KEY.
func debugTableOfKey(v *keyspace.View, args Args, w *resp.Writer) error {
	e, ok := v.Peek(args[2])
	if !ok {
		return resp.ErrNoSuchKey
	}
	c, isCollection := e.Value().(keyspace.Collection)
	if name := e.Encoding(); !isCollection || name != "hashtable" && name != "skiplist" {
		return resp.ErrNotHashTable
	}
	w.Verbatim("txt", tableStats(c.Len()))
	return nil
}
