package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
)

var dumpSet = dump{kind: rdb.Set, append: appendSet, make: makeSet}

func appendSet(v *keyspace.View, key, dst []byte) []byte {
	s, _, _ := keyspace.Find[keyspace.SetValue](v, key)
	return rdb.AppendSet(dst, s.Ints(), s.Len(), s.Each)
}

func makeSet(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	s := t.NewSet()
	for _, member := range o.Items {
		if !s.Add(member, t.Limits().Set) {
			return nil
		}
	}
	return s
}
