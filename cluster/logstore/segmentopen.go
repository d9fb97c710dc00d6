package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// segmentOptions are what tests change.
type segmentOptions struct {
	disk     files
	size     int64 // of a segment
	readOnly bool
	quiet    bool  // no goroutines: segments are prepared when they are needed, and removed at once
	step     int64 // that is cut off a segment at once when it is removed
}

func defaultSegments() segmentOptions {
	return segmentOptions{disk: osFiles{}, size: segmentSize, step: disposalStep}
}

// CreateSegments makes a new, empty log in a directory of its own, for the
// cluster with this UUID, and opens it. After a crash the directory is either not
// there or complete. An existing log without entries is replaced; one with
// entries is ErrHasState.
func CreateSegments(path, uuid string) (*Segments, error) {
	return createSegments(path, uuid, defaultSegments())
}

// OpenSegments opens the log that CreateSegments made, reads all of it, and cuts
// off what a crash left of the last append. Errors wrap ErrMissing, ErrInUse,
// ErrForeign or ErrDamaged.
func OpenSegments(path, uuid string) (*Segments, error) {
	return openSegments(path, uuid, defaultSegments())
}

// ReadSegments opens the log for reading only; not a byte of it is changed, and
// nobody can open it for writing meanwhile. Its errors are OpenSegments'.
func ReadSegments(path, uuid string) (*Segments, error) {
	o := defaultSegments()
	o.readOnly = true
	return openSegments(path, uuid, o)
}

func createSegments(path, uuid string, o segmentOptions) (*Segments, error) {
	if len(uuid) > maxUUID {
		return nil, fmt.Errorf("%s: a cluster's UUID has at most %d bytes", path, maxUUID)
	}
	if err := replaceableSegments(path, o); err != nil {
		return nil, err
	}
	tmp := path + tmpSuffix
	if err := errors.Join(o.disk.removeAll(tmp), o.disk.mkdir(tmp)); err != nil {
		return nil, err
	}
	if err := freshSegments(o, tmp, uuid); err != nil {
		return nil, errors.Join(spaceless(path, err), o.disk.removeAll(tmp))
	}
	// What is replaced goes first: a directory that is not empty is in the way.
	if err := o.disk.removeAll(path); err != nil {
		return nil, err
	}
	if err := o.disk.rename(tmp, path); err != nil {
		return nil, err
	}
	if err := o.disk.syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return openSegments(path, uuid, o)
}

// freshSegments makes the files of an empty log: its note and its first segment.
func freshSegments(o segmentOptions, dir, uuid string) error {
	who := newIdentity(uuid)
	seg, err := makeSegment(o.disk, dir, headOf{id: 1, size: o.size, who: who})
	if err != nil {
		return err
	}
	if err := seg.file.Close(); err != nil {
		return err
	}
	f, err := o.disk.create(filepath.Join(dir, noteName))
	if err != nil {
		return err
	}
	n := &tailNote{file: f, who: who}
	if err := errors.Join(n.setNewest(1), f.Close()); err != nil {
		return err
	}
	return o.disk.syncDir(dir)
}

// replaceableSegments returns nil if there is nothing, or a log without entries.
func replaceableSegments(path string, o segmentOptions) error {
	_, err := o.disk.list(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	o.readOnly = true
	s, err := openSegments(path, "", o)
	if err != nil {
		return err
	}
	last, err := s.LastIndex()
	if err == nil && last > 0 {
		err = &FileError{path, ErrHasState, "already holds state; it is not replaced"}
	}
	return errors.Join(err, s.Close())
}

func openSegments(path, uuid string, o segmentOptions) (_ *Segments, err error) {
	if _, err := o.disk.list(path); err != nil {
		return nil, listError(path, err)
	}
	note, err := openNote(o.disk, filepath.Join(path, noteName), uuid, !o.readOnly)
	if err != nil {
		return nil, err
	}
	r := &recovery{disk: o.disk, dir: path, note: note, write: !o.readOnly}
	if err = r.read(); err == nil && !o.readOnly {
		err = spaceless(path, r.mend())
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	s := &Segments{
		waste: &disposal{disk: o.disk, step: o.step, inline: o.quiet},
		dir:   path, disk: o.disk, cache: newCache(), note: note, at: r.at,
		segs: r.segs[:r.used:r.used], bounds: r.bounds,
		spare: &spares{disk: o.disk, dir: path, size: o.size, note: note, ready: slices.Clone(r.segs[r.used:]), newest: r.segs[len(r.segs)-1].id},
	}
	s.waste.failed, s.spare.waste = s.fail, s.waste
	if o.readOnly {
		s.failed = errors.New("it was opened for reading only")
		return s, nil
	}
	if err := s.discard(s.dead()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if !o.quiet {
		s.spare.start(s.fail)
	}
	return s, nil
}

func listError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return missing(path)
	case errors.Is(err, syscall.ENOTDIR):
		return foreign(path, "is no directory")
	}
	return fmt.Errorf("%s: cannot be opened: %w", path, reasonOf(err))
}

// reasonOf is what went wrong without the path.
func reasonOf(err error) error {
	var on *os.PathError
	if errors.As(err, &on) {
		return on.Err
	}
	return err
}

// spaceless turns the system's word for a full disk into ours. It is for what
// changed nothing that counts.
func spaceless(path string, err error) error {
	if err != nil && diskFull(err) {
		return fmt.Errorf("%s: %w", path, ErrNoSpace)
	}
	return err
}
