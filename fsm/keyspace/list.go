package keyspace

import "github.com/raftkv/raftkv/fsm/list"

// ListValue is the value of a list.
type ListValue struct{ *list.List }

// NewList returns an empty list for Txn.Set.
func (t *Txn) NewList() ListValue { return ListValue{&list.List{}} }

// Type implements Value.
func (l ListValue) Type() Type { return List }

// Encoding implements Value: in Redis 7.0 every list has this one.
func (l ListValue) Encoding() string { return "quicklist" }

// Clone implements Value.
func (l ListValue) Clone() Value { return ListValue{l.List.Clone()} }

type listLoader struct{ *list.Loader }

// Done implements Loader.
func (l listLoader) Done() (Collection, error) {
	v, err := l.Loader.Done()
	if err != nil {
		return nil, err
	}
	return ListValue{v}, nil
}
