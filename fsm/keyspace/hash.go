package keyspace

import "github.com/raftkv/raftkv/fsm/hash"

// HashValue is the value of a hash.
type HashValue struct{ *hash.Map }

// NewHash returns an empty hash for Txn.Set.
func (t *Txn) NewHash() HashValue { return HashValue{hash.New(&t.space.kit)} }

// Type implements Value.
func (h HashValue) Type() Type { return Hash }

// Encoding implements Value.
func (h HashValue) Encoding() string {
	if h.Small() {
		return "listpack"
	}
	return "hashtable"
}

// Clone implements Value.
func (h HashValue) Clone() Value { return HashValue{h.Map.Clone()} }

type hashLoader struct{ *hash.Loader }

// Done implements Loader.
func (l hashLoader) Done() (Collection, error) {
	m, err := l.Loader.Done()
	if err != nil {
		return nil, err
	}
	return HashValue{m}, nil
}
