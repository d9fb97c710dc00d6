package keyspace

import (
	"github.com/raftkv/raftkv/fsm/dict"
	"github.com/raftkv/raftkv/fsm/set"
)

// SetValue is the value of a set.
type SetValue struct{ *set.Set }

// NewSet returns an empty set for Txn.Set.
func (t *Txn) NewSet() SetValue { return SetValue{set.New(&t.space.kit)} }

// NewSet returns an empty set that belongs to no keyspace: for what is put together
// while others read, too.
func (v *View) NewSet() SetValue { return SetValue{set.New(&dict.Kit{Hasher: v.space.hasher})} }

// Type implements Value.
func (s SetValue) Type() Type { return Set }

// Encoding implements Value. Redis 7.0 knows two: a set that is neither of integers nor
// large has the second one's name.
func (s SetValue) Encoding() string {
	if s.Ints() {
		return "intset"
	}
	return "hashtable"
}

// Clone implements Value.
func (s SetValue) Clone() Value { return SetValue{s.Set.Clone()} }

type setLoader struct{ *set.Loader }

// Done implements Loader.
func (l setLoader) Done() (Collection, error) {
	s, err := l.Loader.Done()
	if err != nil {
		return nil, err
	}
	return SetValue{s}, nil
}
