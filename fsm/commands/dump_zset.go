package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
)

var dumpZSet = dump{kind: rdb.ZSet, append: appendZSet, make: makeZSet}

func appendZSet(v *keyspace.View, key, dst []byte) []byte {
	z, _, _ := keyspace.Find[keyspace.ZSetValue](v, key)
	if z.Small() {
		return rdb.AppendZSet(dst, true, z.Len(), z.Each)
	}
	return rdb.AppendZSet(dst, false, z.Len(), func(fn func(member []byte, score float64) bool) { z.Descend(0, z.Len(), fn) })
}

func makeZSet(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	z := t.NewZSet()
	for i, member := range o.Items {
		if !z.Set.Set(member, o.Scores[i], t.Limits().ZSet) {
			return nil
		}
	}
	return z
}
