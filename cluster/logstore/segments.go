package logstore

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
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
	waste *disposal

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

// Close closes all files. Nothing may use the log any more.
func (s *Segments) Close() error {
	s.spare.stop()
	s.waste.finish()
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

// Bytes returns what all files take up, with those that were prepared, but without
// those on their way out.
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
	seg, err := s.spare.take(segmentStart + size + boundsRoom) // on an error the newest goes on
	if err != nil {
		if !errors.Is(err, ErrNoSpace) {
			s.failed = err
		}
		return nil, err
	}
	if n := len(s.segs); n > 0 {
		s.segs[n-1].file.full()
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
	err := seg.file.append(buf, seg.end)
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
// that is on disk, and the segments without entries of the log will not come back. Their
// files go a piece at a time, behind it.
func (s *Segments) DeleteRange(min, max uint64) error {
	dead, err := s.cut(min, max)
	if err != nil {
		return err
	}
	return s.discard(dead)
}

// cut writes down what is left, and returns the segments that hold nothing of that.
func (s *Segments) cut(min, max uint64) (dead []*segment, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	b, err := s.bounds.without(min, max)
	if err != nil || b == s.bounds {
		return nil, err
	}
	s.cache.remove(min, max)
	seg, err := s.begin(recordHead, 0)
	if err != nil {
		return nil, err
	}
	s.enc.addBounds(b)
	if err := s.commit(seg, b); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.segs {
		old.trim(b)
	}
	seg.end, s.bounds = s.at.end, b
	return s.dead(), nil
}

// dead takes those segments out of the log, from the oldest on, that hold nothing of
// it. The newest stays: it says what the log is. s.mu is held.
func (s *Segments) dead() []*segment {
	n := 0
	for n < len(s.segs)-1 && len(s.segs[n].places) == 0 {
		n++
	}
	dead := s.segs[:n:n]
	s.segs = slices.Clone(s.segs[n:])
	return dead
}

// discard has the files of segments removed that the log does not have any more. They
// lose their names first, durably: a segment of which a part is gone would be damage.
func (s *Segments) discard(dead []*segment) (err error) {
	if len(dead) == 0 {
		return nil
	}
	var waste []string
	for _, seg := range dead {
		waste = append(waste, seg.path+tmpSuffix)
		err = errors.Join(err, seg.file.Close(), s.disk.rename(seg.path, seg.path+tmpSuffix))
	}
	if err == nil {
		err = s.disk.syncDir(s.dir)
	}
	if err != nil {
		s.fail(err)
		return fmt.Errorf("%s: %w", s.dir, reasonOf(err))
	}
	s.waste.take(waste...)
	return nil
}

// idlePause is how soon after the last append the note of it is made durable.
const idlePause = time.Second
