package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// segmentSize is what a segment has room for, unless one append needs more.
	segmentSize = 16 << 20
	// boundsRoom is kept free at a segment's end: entries can be removed, which
	// takes a record, when the disk has no room for another segment.
	boundsRoom = 4096
	// maxAppend is what goes to disk at once; only a StoreLogs of more waits for
	// the disk more than once.
	maxAppend = 1 << 30
	// keptBuffer is the largest buffer that is kept for the next append.
	keptBuffer = 4 << 20
)

// Segments is Raft's log in a directory of segments: files that are made whole
// and full of zeroes, then written front to back and never changed. So StoreLogs
// waits for the disk once, and the disk writes nothing but the entries. Removing
// entries appends a record that says which are left; segments without entries of
// the log go. Every record is chained to the one before by checksums, and reading
// them all at open tells what a crash cut off from what was damaged. The newest
// entries are also kept in memory. Safe for concurrent use.
type Segments struct {
	dir   string
	disk  files
	cache *cache
	note  *tailNote
	spare *spares

	writing sync.Mutex // held by who appends
	enc     encoder    // guarded by writing
	places  []uint32   // of the entries that are being appended; guarded by writing
	at      position   // behind the last append; guarded by writing
	failed  error      // the first failed write; guarded by writing
	closed  bool       // guarded by writing

	mu     sync.RWMutex
	segs   []*segment // with records, the oldest first; guarded by mu
	bounds bounds     // guarded by mu
}

// segmentOptions are what tests change.
type segmentOptions struct {
	disk     files
	size     int64 // of a segment
	readOnly bool
	quiet    bool // no goroutine: segments are prepared when they are needed
}

func defaultSegments() segmentOptions { return segmentOptions{disk: osFiles{}, size: segmentSize} }

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
		dir: path, disk: o.disk, cache: newCache(), note: note, at: r.at,
		segs: r.segs[:r.used:r.used], bounds: r.bounds,
		spare: &spares{disk: o.disk, dir: path, size: o.size, note: note, ready: slices.Clone(r.segs[r.used:]), newest: r.segs[len(r.segs)-1].id},
	}
	if o.readOnly {
		s.failed = errors.New("it was opened for reading only")
		return s, nil
	}
	if err := s.dropDead(); err != nil {
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

// Close closes all files. Nothing may use the log any more.
func (s *Segments) Close() error {
	s.spare.stop()
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.failed == nil {
		err = s.note.sync()
		s.failed = fs.ErrClosed
	}
	for _, seg := range append(slices.Clone(s.segs), s.spare.ready...) {
		err = errors.Join(err, seg.file.Close())
	}
	return errors.Join(err, s.note.file.Close())
}

// Bytes returns what all files take up, with those that were prepared.
func (s *Segments) Bytes() (size int64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, seg := range s.segs {
		size += seg.size
	}
	return size + noteSize + s.spare.bytes(), nil
}

// FirstIndex returns the first index in the log, 0 if it is empty.
func (s *Segments) FirstIndex() (uint64, error) { return s.extent().first, nil }

// LastIndex returns the last index in the log, 0 if it is empty.
func (s *Segments) LastIndex() (uint64, error) { return s.extent().last, nil }

func (s *Segments) extent() bounds {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.bounds
}

// StoreLog stores one entry; see StoreLogs.
func (s *Segments) StoreLog(log *raft.Log) error { return s.StoreLogs([]*raft.Log{log}) }

// StoreLogs returns once all entries are on disk. They must follow each other,
// and the log's last one; behind a gap, as an installed snapshot leaves it, the
// log begins anew, and what was before is gone. On ErrNoSpace nothing was stored.
func (s *Segments) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.follow(logs); err != nil {
		return err
	}
	for first := true; len(logs) > 0; first = false {
		n, size := 1, logSize(logs[0])
		for n < len(logs) && size+logSize(logs[n]) <= maxAppend {
			size += logSize(logs[n])
			n++
		}
		err := s.append(logs[:n], size)
		if err != nil {
			if !first && s.failed == nil { // a part of them is stored
				s.failed = err
				return s.usable()
			}
			return err
		}
		logs = logs[n:]
	}
	return nil
}

// usable says whether the log may be written to. s.writing is held.
func (s *Segments) usable() error {
	if s.failed != nil {
		return fmt.Errorf("%s: %w: %w", s.dir, ErrWriteFailed, s.failed)
	}
	return nil
}

// follow checks that the entries can be stored.
func (s *Segments) follow(logs []*raft.Log) error {
	if first := logs[0].Index; first == 0 || first <= s.bounds.last {
		return fmt.Errorf("%s: entry %d cannot be stored behind entry %d", s.dir, first, s.bounds.last)
	}
	for i, log := range logs {
		if log.Index != logs[0].Index+uint64(i) {
			return fmt.Errorf("%s: entry %d cannot be stored behind entry %d", s.dir, log.Index, logs[0].Index+uint64(i)-1)
		}
		if logSize(log) > maxAppend {
			return fmt.Errorf("%s: entry %d is too large: %d bytes", s.dir, log.Index, logSize(log))
		}
	}
	return nil
}

// append writes entries of that size as one append. s.writing is held.
func (s *Segments) append(logs []*raft.Log, size int64) error {
	anew := !s.bounds.empty() && logs[0].Index > s.bounds.last+1
	if anew {
		size += recordHead
	}
	seg, err := s.begin(size, boundsRoom)
	if err != nil {
		return err
	}
	if anew {
		s.enc.addBounds(bounds{})
	}
	s.places = s.places[:0] // they count only once the entries are on disk
	for _, log := range logs {
		s.places = append(s.places, s.enc.at())
		s.enc.addLog(log)
	}
	b := s.bounds
	if anew || b.empty() {
		b.first = logs[0].Index
	}
	b.last = logs[len(logs)-1].Index
	if err := s.commit(seg, b); err != nil {
		return err
	}
	s.mu.Lock()
	if anew {
		for _, old := range s.segs {
			old.trim(bounds{})
		}
	}
	for i, log := range logs {
		seg.note(log.Index, s.places[i])
	}
	seg.end, s.bounds = s.at.end, b
	s.mu.Unlock()
	s.cache.add(logs)
	return nil
}

// begin makes the encoder ready for an append of that size, in the newest segment
// or, behind a link, in a fresh one. So much room stays behind it. s.writing is held.
func (s *Segments) begin(size, room int64) (*segment, error) {
	before := int64(0)
	if n := len(s.segs); n > 0 {
		seg := s.segs[n-1]
		if seg.end+size+room <= seg.size {
			s.enc.reset(seg, s.at.sum, size)
			return seg, nil
		}
		before = seg.end
	}
	size += recordHead
	seg, err := s.spare.take(segmentStart + size + boundsRoom)
	if err != nil {
		if !errors.Is(err, ErrNoSpace) {
			s.failed = err
		}
		return nil, err
	}
	s.mu.Lock()
	s.segs = append(s.segs, seg)
	s.mu.Unlock()
	s.enc.reset(seg, s.at.sum, size)
	s.enc.addLink(s.bounds, before)
	return seg, nil
}

// commit writes what the encoder holds, behind which the log has these bounds, and
// waits for the disk once. s.writing is held.
func (s *Segments) commit(seg *segment, b bounds) error {
	buf := s.enc.finish()
	_, err := seg.file.WriteAt(buf, seg.end)
	if err == nil {
		err = seg.file.Sync()
	}
	at := position{seg.id, seg.end + int64(len(buf)), s.enc.prev, b.last}
	if err == nil {
		err = s.note.set(at)
	}
	if cap(s.enc.buf) > keptBuffer {
		s.enc.buf = nil
	}
	if err != nil {
		s.failed = err
		return fmt.Errorf("%s: %w", seg.path, reasonOf(err))
	}
	s.at = at
	return nil
}

// fail makes all further writes fail.
func (s *Segments) fail(err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.failed == nil {
		s.failed = err
	}
}

// DeleteRange removes the entries from min to max, both included: the head of the
// log after a snapshot, or a tail that another leader replaces. It returns once
// that is on disk, and segments without entries of the log are gone.
func (s *Segments) DeleteRange(min, max uint64) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	b, err := s.bounds.without(min, max)
	if err != nil || b == s.bounds {
		return err
	}
	s.cache.remove(min, max)
	seg, err := s.begin(recordHead, 0)
	if err != nil {
		return err
	}
	s.enc.addBounds(b)
	if err := s.commit(seg, b); err != nil {
		return err
	}
	s.mu.Lock()
	for _, old := range s.segs {
		old.trim(b)
	}
	seg.end, s.bounds = s.at.end, b
	s.mu.Unlock()
	return s.dropDead()
}

// dropDead removes the segments, from the oldest on, that hold nothing of the log.
// The newest stays: it says what the log is. s.writing is held.
func (s *Segments) dropDead() error {
	s.mu.Lock()
	n := 0
	for n < len(s.segs)-1 && len(s.segs[n].places) == 0 {
		n++
	}
	dead := s.segs[:n]
	s.segs = slices.Clone(s.segs[n:])
	s.mu.Unlock()
	if n == 0 {
		return nil
	}
	var err error
	for _, seg := range dead {
		err = errors.Join(err, seg.file.Close(), s.disk.remove(seg.path))
	}
	if err == nil {
		err = s.disk.syncDir(s.dir)
	}
	if err != nil {
		s.failed = err
		return fmt.Errorf("%s: %w", s.dir, reasonOf(err))
	}
	return nil
}

// idlePause is how soon after the last append the note of it is made durable.
const idlePause = time.Second
