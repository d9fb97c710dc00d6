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

// makeZSet knows only in the end whether the set is a small one, as Redis does: a small
// one has no negative zero, so it must not be one on the way.
func makeZSet(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	b, limits := t.BuildZSet(), t.Limits().ZSet
	if o.Packed {
		limits.Value = math.MaxInt
	}
	for i, member := range o.Items {
		if _, there := b.Score(member); there {
			return nil
		}
		b.Set(member, o.Scores[i])
	}
	return keyspace.ZSetValue{Set: b.Done(limits)}
}
