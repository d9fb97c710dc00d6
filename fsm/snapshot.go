package fsm

import (
	"crypto/sha256"
	"errors"
	"io"

	"github.com/raftkv/raftkv/fsm/entry"
	"github.com/raftkv/raftkv/fsm/snapshot"
)

// DigestForm is raised with every change of the bytes that one and the same state is
// written as: digests of different forms say nothing of each other, and are not
// compared while the programs of a cluster differ.
const DigestForm = 2

// Snapshot is the state at one position. It may be written from any goroutine
// while the Machine goes on, any number of times, until it is released.
type Snapshot struct {
	m     *Machine
	state snapshot.Frozen
}

// Snapshot returns the state as it is now; later entries do not change it. The
// time it takes does not depend on the number of keys.
func (m *Machine) Snapshot() *Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.look()
	return &Snapshot{m, snapshot.Frozen{
		Meta:   snapshot.Meta{Index: s.at.Index, Term: s.at.Term, Now: s.now},
		System: s.system,
		Keys:   m.keys.Snapshot(),
	}}
}

// Release says that the snapshot is done with; writing it afterwards panics. Until then
// each write of the Machine to a place that the snapshot shows must copy that first;
// without a release it does so for ever.
func (s *Snapshot) Release() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.state.Keys.Release()
}

// Position returns the position that the snapshot was taken at.
func (s *Snapshot) Position() Position {
	return Position{Index: s.state.Index, Term: s.state.Term}
}

// WriteTo writes the snapshot's binary form: the same bytes on every replica.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) { return snapshot.Write(w, &s.state) }

// Digest is the SHA-256 of the binary form, so of everything that replicas must
// agree on.
func (s *Snapshot) Digest() [32]byte {
	h := sha256.New()
	if _, err := s.WriteTo(h); err != nil {
		panic("fsm: digest: " + err.Error()) // a hash takes everything; so the state itself is broken
	}
	return [32]byte(h.Sum(nil))
}

// Digest returns the digest of the state as it is now: equal on all replicas at
// the same position.
func (m *Machine) Digest() [32]byte {
	s := m.Snapshot()
	defer s.Release()
	return s.Digest()
}

// Restore replaces the state with the one that r holds, its position and clock
// included, all or nothing: until the whole has been read and found sound, the
// Machine goes on with the old one. The error is one line.
func (m *Machine) Restore(r io.Reader) error {
	loaded, err := snapshot.Read(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replace(loaded.Space, loaded.System)
	m.publish(Position{Index: loaded.Index, Term: loaded.Term}, loaded.Now, loaded.System)
	return nil
}

// Newer says whether an error, of Restore or of what decodes entries, means that a
// program that knows more wrote what was read.
func Newer(err error) bool {
	return errors.Is(err, snapshot.ErrVersion) || errors.Is(err, entry.ErrVersion)
}

// Become replaces the state with another Machine's, its position and clock included,
// at once. The other one must not be changed any more.
func (m *Machine) Become(other *Machine) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.becomeLocked(other)
}

// BecomeAt does so if this Machine is at that position, and says whether it was.
func (m *Machine) BecomeAt(other *Machine, at Position) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.look().at != at {
		return false
	}
	m.becomeLocked(other)
	return true
}

// becomeLocked is Become for those who hold mu.
func (m *Machine) becomeLocked(other *Machine) {
	s := other.look()
	m.replace(other.keys, s.system)
	m.publish(s.at, s.now, s.system)
}
