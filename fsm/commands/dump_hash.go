package commands

import (
	"math"

	"github.com/raftkv/raftkv/fsm/hash"
	"github.com/raftkv/raftkv/fsm/keyspace"
	"github.com/raftkv/raftkv/fsm/rdb"
)

var dumpHash = dump{kind: rdb.Hash, append: appendHash, make: makeHash}

// appendHash shows the fields that are there. Redis before 7.4 refuses those with times.
func appendHash(v *keyspace.View, key, dst []byte) []byte {
	h, _ := keyspace.FindHash(v, key)
	stored, _, _ := keyspace.Find[keyspace.HashValue](v, key)
	timed := false
	h.Each(func(f hash.Field) { timed = timed || f.Expires != 0 })
	if timed {
		return rdb.AppendTimedHash(dst, h.Len(), func(fn func(field, value []byte, expires int64)) {
			h.Each(func(f hash.Field) { fn(f.Name, f.Value, f.Expires) })
		})
	}
	return rdb.AppendHash(dst, stored.Small(), h.Len(), func(fn func(field, value []byte) bool) {
		h.Each(func(f hash.Field) { fn(f.Name, f.Value) })
	})
}

func makeHash(t *keyspace.Txn, o *rdb.Object) keyspace.Collection {
	h, limits := t.NewHash(), t.Limits().Hash
	if o.Packed {
		limits.Value = math.MaxInt
	}
	for i := 0; i < len(o.Items); i += 2 {
		f := hash.Field{Name: o.Items[i], Value: o.Items[i+1]}
		if o.Expires != nil {
			f.Expires = o.Expires[i/2]
		}
		if f.Expires != 0 && f.Expires <= t.Now() {
			continue
		}
		if !h.Set(f, t.Now(), &limits) {
			return nil
		}
	}
	return h
}
