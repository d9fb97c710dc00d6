package keyspace

import (
	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/zset"
)

// ZSetValue is the value of a sorted set.
type ZSetValue struct{ *zset.Set }

// NewZSet returns an empty sorted set for Txn.Set.
func (t *Txn) NewZSet() ZSetValue { return ZSetValue{zset.New(&t.space.kit)} }

// BuildZSet returns a Builder of a sorted set for Txn.Set. It must be done before
// anything else of the Txn changes.
func (t *Txn) BuildZSet() *zset.Builder { return zset.NewBuilder(&t.space.kit) }

// BuildZSet returns a Builder of a sorted set that lives as long as the View.
func (v *View) BuildZSet() *zset.Builder {
	return zset.NewBuilder(&dict.Kit{Hasher: v.space.kit.Hasher}) // others read at the same time
}

// Type implements Value.
func (z ZSetValue) Type() Type { return ZSet }

// Encoding implements Value.
func (z ZSetValue) Encoding() string {
	if z.Small() {
		return "listpack"
	}
	return "skiplist"
}

// Clone implements Value.
func (z ZSetValue) Clone() Value { return ZSetValue{z.Set.Clone()} }

type zsetLoader struct{ *zset.Loader }

// Done implements Loader.
func (l zsetLoader) Done() (Collection, error) {
	s, err := l.Loader.Done()
	if err != nil {
		return nil, err
	}
	return ZSetValue{s}, nil
}
