package keyspace

import "github.com/raftkv/raftkv/fsm/stream"

// StreamValue is the value of a stream.
type StreamValue struct{ *stream.Stream }

// NewStream returns an empty stream for Txn.Set.
func (t *Txn) NewStream() StreamValue { return StreamValue{stream.New(&t.space.kit)} }

// BuildStream returns a Builder of a stream for Txn.Set.
func (t *Txn) BuildStream() *stream.Builder { return stream.NewBuilder(&t.space.kit) }

// Type implements Value.
func (s StreamValue) Type() Type { return Stream }

// Encoding implements Value.
func (s StreamValue) Encoding() string { return "stream" }

// Clone implements Value.
func (s StreamValue) Clone() Value { return StreamValue{s.Stream.Clone()} }

type streamLoader struct{ *stream.Loader }

// Done implements Loader.
func (l streamLoader) Done() (Collection, error) {
	s, err := l.Loader.Done()
	if err != nil {
		return nil, err
	}
	return StreamValue{s}, nil
}
