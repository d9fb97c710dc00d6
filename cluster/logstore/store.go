package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/raft"
)

// Store is Raft's log with what a node needs of it beside raft.LogStore. Both
// kinds keep the same promises:
//
//   - StoreLogs and DeleteRange return once what they did is on disk. Entries must
//     not be changed once they were handed over.
//   - GetLog returns what was stored, raft.ErrLogNotFound, or an *EntryError.
//   - After a write that failed all later writes are ErrWriteFailed: the process
//     must end, and learn from disk what was written. ErrNoSpace alone is milder:
//     nothing was written, and a later write may succeed.
type Store interface {
	raft.LogStore
	// Verify says whether all that raft will need is there and whole, given the
	// index of the newest snapshot. Call it before raft.NewRaft, which panics
	// over a bad entry.
	Verify(after uint64) error
	// Each does what Verify does and calls fn with each entry, in order, until fn
	// returns an error. fn must not write to the log.
	Each(after uint64, fn func(*raft.Log) error) error
	// Bytes is what the log takes up on disk.
	Bytes() (int64, error)
	Close() error
}

// Kind is a way of keeping the log on disk.
type Kind string

const (
	// Bolt is one bbolt file: see Log.
	Bolt Kind = "bolt"
	// Segmented is a directory of files that are written front to back: see Segments.
	Segmented Kind = "segments"
)

// DefaultKind is what a fresh data directory gets where nobody chose.
const DefaultKind = Segmented

// Kinds are all there are.
var Kinds = []Kind{Bolt, Segmented}

// Name is what a log of this kind is called in the directory of Raft's stores.
func (k Kind) Name() string {
	if k == Segmented {
		return "log"
	}
	return "log.db"
}

// Path is where a log of this kind lies in the directory of Raft's stores.
func (k Kind) Path(dir string) string { return filepath.Join(dir, k.Name()) }

// CheckKind refuses what is no kind.
func CheckKind(k Kind) error {
	if slices.Contains(Kinds, k) {
		return nil
	}
	return fmt.Errorf("there is no log store %q: there are %q", string(k), Kinds)
}

// Find says which kinds of log are in the directory of Raft's stores.
func Find(dir string) (found []Kind, err error) {
	for _, k := range Kinds {
		there, statErr := Exists(k.Path(dir))
		err = errors.Join(err, statErr)
		if there {
			found = append(found, k)
		}
	}
	return found, err
}

// Create makes a new, empty log in the directory dir for the cluster with this
// UUID and opens it. After a crash there is either no log or a complete one. One
// without entries is replaced; one with entries is ErrHasState.
func (k Kind) Create(dir, uuid string) (Store, error) {
	if k == Segmented {
		return opened(CreateSegments(k.Path(dir), uuid))
	}
	return opened(CreateLog(k.Path(dir), uuid))
}

// Open opens the log that Create made. Errors wrap ErrMissing, ErrInUse,
// ErrForeign or ErrDamaged.
func (k Kind) Open(dir, uuid string) (Store, error) {
	if k == Segmented {
		return opened(OpenSegments(k.Path(dir), uuid))
	}
	return opened(OpenLog(k.Path(dir), uuid))
}

// Read opens the log for reading only; not a byte is changed, and nobody can
// open it for writing meanwhile.
func (k Kind) Read(dir, uuid string) (Store, error) {
	if k == Segmented {
		return opened(ReadSegments(k.Path(dir), uuid))
	}
	return opened(ReadLog(k.Path(dir), uuid))
}

// Remove removes a log of this kind that is of no use any more, for good.
func (k Kind) Remove(dir string) error {
	if err := os.RemoveAll(k.Path(dir)); err != nil {
		return err
	}
	return syncDir(dir)
}

// opened keeps a nil pointer from becoming a Store that is not nil.
func opened[S Store](s S, err error) (Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
