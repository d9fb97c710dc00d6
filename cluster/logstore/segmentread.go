package logstore

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// readAhead is how much is read at once where many entries are.
const readAhead = 1 << 20

// place is where an entry lies.
type place struct {
	seg   *segment
	at    int64
	limit int64 // it ends there at the latest
}

// find returns an entry's place; false: the log does not have it.
func (s *Segments) find(index uint64) (place, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, seg := range slices.Backward(s.segs) {
		if seg.holds(index) {
			i := index - seg.base
			p := place{seg, int64(seg.places[i]), seg.end}
			if i+1 < uint64(len(seg.places)) {
				p.limit = int64(seg.places[i+1])
			}
			return p, true
		}
	}
	return place{}, false
}

// GetLog reads one entry into log. It returns raft.ErrLogNotFound, or an
// *EntryError if the entry is not what was stored.
func (s *Segments) GetLog(index uint64, log *raft.Log) error {
	if s.cache.get(index, log) {
		return nil
	}
	p, ok := s.find(index)
	if !ok {
		return raft.ErrLogNotFound
	}
	got, err := p.read(index)
	if err != nil {
		if _, ok := s.find(index); !ok {
			return raft.ErrLogNotFound // it was removed meanwhile: the file is closed, or cut down
		}
		return &EntryError{p.seg.path, index, reasonOf(err).Error()}
	}
	*log = got
	return nil
}

// read reads the entry from disk. Behind an entry there may be records of others
// that were cut off: then its head is read first.
func (p place) read(index uint64) (raft.Log, error) {
	size := p.limit - p.at
	if size > readAhead {
		head := make([]byte, recordHead)
		if _, err := p.seg.file.ReadAt(head, p.at); err != nil {
			return raft.Log{}, err
		}
		h, ok := parseHead(head, p.at, p.limit, p.seg.seed)
		if !ok {
			return raft.Log{}, errors.New("wrong checksum of its head")
		}
		size = h.size()
	}
	b := make([]byte, size)
	if _, err := p.seg.file.ReadAt(b, p.at); err != nil {
		return raft.Log{}, err
	}
	return openRecord(b, uint64(p.at), index, p.seg.seed)
}

// Verify says whether the log begins where the newest snapshot, up to the entry
// after, ends. That the entries are whole was seen at open, when all of them were read.
func (s *Segments) Verify(after uint64) error {
	b := s.extent()
	if !b.empty() && b.first > after+1 {
		return damaged(s.dir, fmt.Sprintf("it begins behind entry %d, and the newest snapshot ends at %d", after+1, after))
	}
	return nil
}

// Each does what Verify does, reads all entries from disk, and calls fn with each,
// in order, until fn returns an error. fn must not write to the log.
func (s *Segments) Each(after uint64, fn func(*raft.Log) error) error {
	if err := s.Verify(after); err != nil {
		return err
	}
	s.mu.RLock()
	var all []reader
	for _, seg := range s.segs {
		if len(seg.places) > 0 {
			all = append(all, reader{seg: seg, base: seg.base, places: slices.Clone(seg.places), end: seg.end})
		}
	}
	s.mu.RUnlock()
	for i := range all {
		if err := all[i].each(fn); err != nil {
			return err
		}
	}
	return nil
}

// reader reads a segment's entries one after the other.
type reader struct {
	seg    *segment
	base   uint64
	places []uint32
	end    int64

	buf  []byte // never written to again: the entries keep it
	from int64  // where in the segment it begins
}

func (r *reader) each(fn func(*raft.Log) error) error {
	for i, at := range r.places {
		index := r.base + uint64(i)
		limit := r.end
		if i+1 < len(r.places) {
			limit = int64(r.places[i+1])
		}
		log, err := r.read(place{r.seg, int64(at), limit}, index)
		if err != nil {
			return &EntryError{r.seg.path, index, reasonOf(err).Error()}
		}
		if err := fn(&log); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) read(p place, index uint64) (raft.Log, error) {
	if p.limit-p.at > readAhead {
		return p.read(index)
	}
	if p.at < r.from || p.limit > r.from+int64(len(r.buf)) {
		r.from = p.at
		r.buf = make([]byte, min(readAhead, r.end-p.at))
		if _, err := r.seg.file.ReadAt(r.buf, p.at); err != nil {
			return raft.Log{}, err
		}
	}
	return openRecord(r.buf[p.at-r.from:p.limit-r.from], uint64(p.at), index, r.seg.seed)
}
