package keyspace

import (
	"fmt"

	"github.com/raftkv/raftkv/fsm/hash"
	"github.com/raftkv/raftkv/fsm/list"
	"github.com/raftkv/raftkv/fsm/set"
	"github.com/raftkv/raftkv/fsm/stream"
	"github.com/raftkv/raftkv/fsm/zset"
	"github.com/raftkv/raftkv/resp"
)

// Collection is a value with members: of every type but strings.
type Collection interface {
	Value
	// Len is the number of members. Without any the key does not exist; only a stream
	// may be empty.
	Len() int
	// Parts calls fn with the snapshot form in pieces of at least one byte, each valid
	// during the call, until fn returns an error, which it returns. The form is a
	// function of the state: equal replicas give the same pieces.
	Parts(fn func(part []byte) error) error
}

// Loader makes a collection from the pieces of Collection.Parts, which may come from
// anywhere.
type Loader interface {
	// Add takes the next piece, which it does not keep.
	Add(part []byte) error
	Done() (Collection, error)
}

// NewLoader returns a Loader for a collection of that type.
func (s *Space) NewLoader(t Type) (Loader, error) {
	switch t {
	case Hash:
		return hashLoader{hash.NewLoader(&s.kit)}, nil
	case Set:
		return setLoader{set.NewLoader(&s.kit)}, nil
	case ZSet:
		return zsetLoader{zset.NewLoader(&s.kit)}, nil
	case List:
		return listLoader{list.NewLoader()}, nil
	case Stream:
		return streamLoader{stream.NewLoader(&s.kit)}, nil
	}
	return nil, fmt.Errorf("value of unknown type %d", t)
}

// Adopt returns a collection of this Space that is equal to another Space's.
func (s *Space) Adopt(c Collection) (Collection, error) {
	load, err := s.NewLoader(c.Type())
	if err == nil {
		err = c.Parts(load.Add)
	}
	if err != nil {
		return nil, err
	}
	return load.Done()
}

// Limits are up to what sizes collections are kept as small ones, which is also what
// OBJECT ENCODING tells. All replicas have the same.
type Limits struct {
	Hash hash.Limits
	Set  set.Limits
	// SparseHLL is up to what length a HyperLogLog stays sparse: hll-sparse-max-bytes.
	SparseHLL int
	// ListNode is how a list is cut into nodes where Redis's form of it is shown:
	// list-max-listpack-size.
	ListNode int
	ZSet     zset.Limits
	// Stream says how long the runs of entries are that trimming with "~" removes.
	Stream stream.Limits
}

// DefaultLimits are Redis 7.0's.
var DefaultLimits = Limits{
	Hash: hash.Limits{Entries: 512, Value: 64},
	Set:  set.Limits{Ints: 512, Entries: 128, Value: 64}, // the last two are 7.2's

	SparseHLL: 3000,
	ListNode:  -2,
	ZSet:      zset.Limits{Entries: 128, Value: 64},
	Stream:    stream.Limits{Bytes: 4096, Entries: 100},
}

// SetLimits changes them. Values keep their forms until they change.
func (s *Space) SetLimits(l Limits) { s.limits = l }

// Limits are those in force.
func (v *View) Limits() *Limits { return &v.space.limits }

// Find returns the collection under a key, which must not be changed; ok is false where
// there is no such key, and the error is resp.ErrWrongType where it holds something else.
// For hashes there is FindHash, which hides fields whose time has come.
func Find[C Collection](v *View, key []byte) (c C, ok bool, err error) {
	e, ok := v.Get(key)
	if !ok {
		return c, false, nil
	}
	if c, ok = e.Value().(C); !ok {
		return c, false, resp.ErrWrongType
	}
	return c, true, nil
}

// Edit returns the collection under a key for changing in place; ok and err are Find's.
// After a change Changed must be called; without one nothing has happened. For hashes
// there is EditHash.
func Edit[C Collection](t *Txn, key []byte) (c C, ok bool, err error) {
	e, ok := t.Get(key)
	if !ok {
		return c, false, nil
	}
	if _, ok = e.Value().(C); !ok {
		return c, false, resp.ErrWrongType
	}
	return t.edit(e).obj.value.(C), true, nil
}
