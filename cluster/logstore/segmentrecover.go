package logstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// recovery reads a log's segments from the oldest to the newest and finds out
// which entries it has, where they lie and where the next append goes; or what is
// damaged. It changes nothing on disk until mend.
type recovery struct {
	disk  files
	dir   string
	note  *tailNote
	write bool // the files are to be written

	segs   []*segment // without a hole, the oldest first
	others []string   // paths of what may go: files that were never finished, segments of no use
	used   int        // how many of segs, from the oldest, hold records
	bounds bounds
	known  uint64   // entries from this index on have a known place
	at     position // behind the last whole append
	batch  int64    // where in its segment the last append begins
	torn   []*segment
	noted  bool // the position of the note was met, with its sum

	buf    []byte
	staged []record // of the append that is being read
}

// read does all of it.
func (r *recovery) read() error {
	ids, err := r.list()
	if err != nil {
		return err
	}
	for _, id := range ids {
		seg, err := r.openSegment(id)
		if err != nil {
			return err
		}
		r.segs = append(r.segs, seg)
		if err := r.segment(seg); err != nil {
			return err
		}
	}
	return r.check()
}

// list returns the ids of the segments that are there without a hole up to the
// newest. Older ones are of no use: a crash cut off their removal.
func (r *recovery) list() ([]uint64, error) {
	names, err := r.disk.list(r.dir)
	if err != nil {
		return nil, err
	}
	var ids []uint64
	for _, name := range names {
		if id, ok := segmentID(name); ok {
			ids = append(ids, id)
		} else if strings.HasSuffix(name, tmpSuffix) {
			r.others = append(r.others, filepath.Join(r.dir, name))
		}
	}
	slices.Sort(ids)
	if newest := r.note.newest; len(ids) == 0 || ids[len(ids)-1] < newest {
		return nil, missing(filepath.Join(r.dir, segmentName(newest)))
	}
	from := len(ids) - 1
	for from > 0 && ids[from-1] == ids[from]-1 {
		from--
	}
	for _, id := range ids[:from] {
		r.others = append(r.others, filepath.Join(r.dir, segmentName(id)))
	}
	return ids[from:], nil
}

func (r *recovery) openSegment(id uint64) (*segment, error) {
	seg := &segment{id: id, path: filepath.Join(r.dir, segmentName(id)), end: segmentStart}
	f, err := r.disk.open(seg.path, r.write)
	if err != nil {
		return nil, err
	}
	seg.file = f
	if err := r.loadHead(seg); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return seg, nil
}

func (r *recovery) loadHead(seg *segment) error {
	size, err := seg.file.Size()
	if err != nil {
		return err
	}
	if size < segmentStart {
		return damaged(seg.path, fmt.Sprintf("it was cut short: %d bytes", size))
	}
	head := make([]byte, segmentInfo)
	if _, err := seg.file.ReadAt(head, 0); err != nil {
		return err
	}
	h, err := parseSegmentHead(head, seg.path)
	if err == nil {
		err = h.check(r.note.who, seg.id, seg.path)
	}
	if err != nil {
		return err
	}
	if size < h.size {
		return damaged(seg.path, fmt.Sprintf("it was cut short: %d bytes of %d", size, h.size))
	}
	seg.size, seg.seed = h.size, h.sum
	return nil
}

// load reads the segment's content.
func (r *recovery) load(seg *segment) ([]byte, error) {
	if int64(cap(r.buf)) < seg.size {
		r.buf = make([]byte, seg.size)
	}
	b := r.buf[:seg.size]
	if _, err := io.ReadFull(io.NewSectionReader(seg.file, 0, seg.size), b); err != nil {
		return nil, fmt.Errorf("%s: %w", seg.path, reasonOf(err))
	}
	return b, nil
}

// segment takes up all whole appends of a segment, and looks at what is behind.
func (r *recovery) segment(seg *segment) error {
	b, err := r.load(seg)
	if err != nil {
		return err
	}
	r.staged = r.staged[:0]
	bad := errNoRecord
	for pos := seg.end; pos < seg.size; {
		h, ok := parseHead(b[pos:], pos, seg.size, seg.seed)
		if !ok || int64(h.batch) != seg.end {
			break
		}
		if err := r.follows(seg, &h); err != nil {
			return err
		}
		if !h.bodyFits(b[pos:]) {
			bad = errBody
			break
		}
		r.staged = append(r.staged, h)
		pos += h.size()
		if h.flags&flagLast != 0 {
			if err := r.take(seg, pos); err != nil {
				return err
			}
		}
	}
	return r.rest(b, seg, bad)
}

var (
	errNoRecord = errors.New("there is no valid record in its place")
	errBody     = errors.New("wrong checksum")
)

// follows checks that a valid record follows the one that was before it when it
// was written. An append is written only after the one before was acknowledged,
// and a segment is begun only then; so no crash explains it if not.
func (r *recovery) follows(seg *segment, h *record) error {
	first := h.at == segmentStart
	prev := r.at.sum
	if n := len(r.staged); n > 0 {
		prev = r.staged[n-1].sum
	}
	switch {
	case (h.kind == recordLink) != first:
		return r.lost(seg, errors.New("it is not linked to the segment before"))
	case first && seg == r.segs[0]:
		return nil // what was before is gone with its entries; check sees to that
	case first:
		before, b := r.segs[len(r.segs)-2], bounds{h.index, h.term}
		if h.prev != prev || b != r.bounds || h.appended != before.end || r.used != len(r.segs)-1 {
			return damaged(before.path, fmt.Sprintf("it ends with entry %d at byte %d, but when the next segment was begun it ended with entry %d at byte %d",
				r.bounds.last, before.end, b.last, h.appended))
		}
	case h.prev != prev:
		return r.lost(seg, errors.New("the record before is not the one that was there when it was written"))
	}
	return nil
}

// take applies the staged records, a whole append that ends at end.
func (r *recovery) take(seg *segment, end int64) error {
	for i := range r.staged {
		if err := r.apply(seg, &r.staged[i]); err != nil {
			return err
		}
	}
	r.batch, seg.end = seg.end, end
	r.used = len(r.segs)
	r.at = position{seg.id, end, r.staged[len(r.staged)-1].sum, r.bounds.last}
	if note := r.note.at; note.segment == seg.id && note.end == end && note.sum == r.at.sum {
		r.noted = true
	}
	r.staged = r.staged[:0]
	return nil
}

func (r *recovery) apply(seg *segment, h *record) error {
	b := bounds{h.index, h.term}
	switch h.kind {
	case recordLink:
		if seg == r.segs[0] {
			r.bounds, r.known = b, b.last+1
		}
		return nil
	case recordBounds:
		if !b.within(r.bounds) {
			return damaged(seg.path, fmt.Sprintf("impossible bounds %d to %d at byte %d", b.first, b.last, h.at))
		}
		r.bounds = b
		r.known = min(r.known, b.last+1)
		for _, s := range r.segs {
			s.trim(b)
		}
		return nil
	}
	switch {
	case r.bounds.empty():
		r.bounds = bounds{h.index, h.index}
		r.known = h.index
	case h.index == r.bounds.last+1:
		r.bounds.last++
	default:
		return damaged(seg.path, fmt.Sprintf("entry %d lies behind entry %d", h.index, r.bounds.last))
	}
	seg.note(h.index, h.at)
	return nil
}

// rest looks at what is behind the last whole append of a segment. What a crash
// left of an append that nobody was told of is cut off. What was acknowledged
// shows by what is behind it, or by the note: then its loss is damage.
func (r *recovery) rest(b []byte, seg *segment, bad error) error {
	if r.note.at.segment == seg.id && !r.noted {
		return r.lost(seg, bad)
	}
	if !anyByte(b[seg.end:]) {
		return nil
	}
	if r.later(b, seg) {
		return r.lost(seg, bad)
	}
	r.torn = append(r.torn, seg)
	return nil
}

// later reports whether a valid record of another append than the one at the
// segment's end lies behind that.
func (r *recovery) later(b []byte, seg *segment) bool {
	for pos := seg.end; pos+recordHead <= seg.size; pos += recordAlign {
		if int64(binary.LittleEndian.Uint32(b[pos+12:])) != pos {
			continue
		}
		if h, ok := parseHead(b[pos:], pos, seg.size, seg.seed); ok && int64(h.batch) != seg.end {
			return true
		}
	}
	return false
}

// lost describes that the entry behind the last whole one is not what it was.
func (r *recovery) lost(seg *segment, why error) error {
	return &EntryError{seg.path, r.bounds.last + 1, why.Error()}
}

// check looks at the whole once all segments are read.
func (r *recovery) check() error {
	oldest := r.segs[0]
	switch {
	case r.used == 0 && oldest.id > 1:
		return missing(filepath.Join(r.dir, segmentName(oldest.id-1)))
	case !r.bounds.empty() && r.bounds.first < r.known:
		return missing(filepath.Join(r.dir, segmentName(oldest.id-1)))
	}
	return nil
}

// mend makes the disk what was read: what a crash cut off goes, and all the rest
// is surely on disk, also where it was only in the system's memory.
func (r *recovery) mend() error {
	for _, seg := range r.torn {
		if seg.id < r.at.segment {
			continue // all of it is there, and nothing will be written behind it
		}
		if err := r.clean(seg); err != nil {
			return err
		}
	}
	if err := r.rewrite(); err != nil {
		return err
	}
	// A start that was killed may have cleaned one of these without a sync: what the
	// zeroes hide must not come back when the segment before has gone on.
	for _, seg := range r.segs[r.used:] {
		if err := seg.file.Sync(); err != nil {
			return err
		}
	}
	for _, path := range r.others {
		if err := gone(r.disk.remove(path)); err != nil {
			return err
		}
	}
	if err := r.disk.syncDir(r.dir); err != nil {
		return err
	}
	if r.at.behind(r.note.at) {
		if err := r.note.set(r.at); err != nil {
			return err
		}
	}
	return r.note.setNewest(r.segs[len(r.segs)-1].id)
}

// clean overwrites what is behind the segment's end, so that no record of an
// append that was cut off is ever met again.
func (r *recovery) clean(seg *segment) error {
	b, err := r.load(seg)
	if err != nil {
		return err
	}
	used := int64(len(bytes.TrimRight(b, "\x00")))
	return zero(seg.file, seg.end, used)
}

// rewrite writes the last append once more. If the sync of that append failed, the
// system may hold it in memory as if it were on disk: then a sync alone does nothing.
func (r *recovery) rewrite() error {
	if r.used == 0 {
		return nil
	}
	seg := r.segs[r.used-1]
	b := make([]byte, seg.end-r.batch)
	if _, err := seg.file.ReadAt(b, r.batch); err != nil {
		return err
	}
	if _, err := seg.file.WriteAt(b, r.batch); err != nil {
		return err
	}
	return seg.file.Sync()
}

func (r *recovery) close() (err error) {
	for _, seg := range r.segs {
		err = errors.Join(err, seg.file.Close())
	}
	return errors.Join(err, r.note.file.Close())
}

// anyByte reports whether a byte is not zero.
func anyByte(b []byte) bool {
	for len(b) >= 8 {
		if binary.NativeEndian.Uint64(b) != 0 {
			return true
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return true
		}
	}
	return false
}
