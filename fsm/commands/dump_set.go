package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
)

var dumpSet = dump{kind: rdb.Set, append: appendSet, make: makeSet}

func appendSet(v *keyspace.View, key, dst []byte) []byte {
	s, _, _ := keyspace.Find[keyspace.SetValue](v, key)
	return rdb.AppendSet(dst, s.Ints(), s.Len(), s.Each)
}

func makeSet(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	s, limits := t.NewSet(), t.Limits().Set
	if o.Packed { // which one of integers is not, either
		limits.Ints, limits.Value = 0, math.MaxInt
	}
	for _, member := range o.Items {
		if !s.Add(member, limits) {
			return nil
		}
	}
	return s
}
