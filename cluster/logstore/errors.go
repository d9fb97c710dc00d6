package logstore

import (
	"errors"
	"fmt"
)

// What can be wrong with a file of this package. Every error about a file is
// one line that begins with its path, and wraps one of these.
var (
	// ErrMissing: the file is not there, although the caller says it must be.
	ErrMissing = errors.New("missing")
	// ErrInUse: another process has the file open.
	ErrInUse = errors.New("in use by another process")
	// ErrForeign: the file is intact but belongs to another cluster, or is no
	// file of this kind.
	ErrForeign = errors.New("foreign")
	// ErrDamaged: the file's content is not what was written.
	ErrDamaged = errors.New("damaged")
	// ErrHasState: a file that was to be created is there and holds state.
	ErrHasState = errors.New("already holds state")
	// ErrWriteFailed: an earlier write or fsync of this file failed, so what is
	// on disk is not known; nothing more is written until the process restarts.
	ErrWriteFailed = errors.New("an earlier write failed")
	// ErrNoSpace: the disk is full and nothing was written. A later write may succeed.
	ErrNoSpace = errors.New("no space left on the disk")
	// ErrNoStagedTerm: a vote's candidate came without its term.
	ErrNoStagedTerm = errors.New("vote without a term")
)

// FileError says what is wrong with which file. It wraps the sentinel Kind.
type FileError struct {
	Path   string
	Kind   error  // one of the sentinels above
	Detail string // the rest of the line: what was found, and what to do
}

// Error returns one line.
func (e *FileError) Error() string { return e.Path + ": " + e.Detail }

// Unwrap returns the sentinel.
func (e *FileError) Unwrap() error { return e.Kind }

// EntryError says that a stored log entry is not what was written. It wraps ErrDamaged.
type EntryError struct {
	Path   string
	Index  uint64
	Reason string
}

// Error returns one line.
func (e *EntryError) Error() string {
	return fmt.Sprintf("%s: log entry %d is damaged (%s); restore this node from the others: remove it from the cluster, give it an empty data dir and a new node id, and join it again", e.Path, e.Index, e.Reason)
}

// Unwrap returns ErrDamaged.
func (e *EntryError) Unwrap() error { return ErrDamaged }

func missing(path string) error {
	return &FileError{path, ErrMissing, "is missing although this node has state; was it removed, or is the data dir not the right one?"}
}

func inUse(path string) error {
	return &FileError{path, ErrInUse, "in use by another process; stop that process or choose another data dir"}
}

func foreign(path, detail string) error {
	return &FileError{path, ErrForeign, detail}
}

// misplaced is for a file of raftkv's that is another's. A flipped bit in a name that no
// checksum covers looks the same.
func misplaced(path, detail string) error {
	return foreign(path, detail+"; put the right one back, or restore this node from the others")
}

func ofCluster(path, found, want string) error {
	return misplaced(path, fmt.Sprintf("belongs to cluster %.50q, not to %q", found, want))
}

func damaged(path string, reason any) error {
	return &FileError{path, ErrDamaged, fmt.Sprintf("is damaged (%v); restore this node from the others", reason)}
}

// reason is what went wrong, without the path, for an error that names it anyway.
func reason(err error) string {
	var in *FileError
	if errors.As(err, &in) {
		return in.Detail
	}
	return err.Error()
}
