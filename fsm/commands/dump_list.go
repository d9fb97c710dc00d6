package commands

import (
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
)

var dumpList = dump{kind: rdb.List, append: appendList, make: makeList}

func appendList(v *keyspace.View, key, dst []byte) []byte {
	l, _, _ := keyspace.Find[keyspace.ListValue](v, key)
	return rdb.AppendList(dst, v.Limits().ListNode, func(fn func(element []byte) bool) { l.Ascend(0, fn) })
}

func makeList(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	l := t.NewList()
	for _, element := range o.Items {
		l.PushBack(element)
	}
	return l
}
