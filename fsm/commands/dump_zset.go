package commands

import (
	"math"

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
	z, limits := t.NewZSet(), t.Limits().ZSet
	if o.Packed {
		limits.Value = math.MaxInt
	}
	for i, member := range o.Items {
		if !z.Set.Set(member, o.Scores[i], limits) {
			return nil
		}
	}
	return z
}
