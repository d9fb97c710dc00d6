package logstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/hashicorp/raft"
)

// A record is a head of recordHead bytes, then data and extensions of an entry,
// then zeroes up to a multiple of recordAlign. All numbers are little-endian.
const (
	recordHead  = 56
	recordAlign = 8
)

// The kinds of record. A zero stands for none: what was never written is zero.
const (
	// recordEntry is a log entry.
	recordEntry = 1
	// recordBounds says which entries the log has from here on; all others of
	// those before are gone.
	recordBounds = 2
	// recordLink is the first one of a segment. It holds the bounds, too, and
	// where the segment before ends.
	recordLink = 3
)

// flagLast marks the last record of an append. Without it the append is not whole.
const flagLast = 1

// record is the head of a record. Its sum covers all of it, with the sum of its
// segment's head before: it is valid at its own place in its own segment only.
// As it also holds the body's sum and the sum of the record before, a chain of
// valid heads proves content and order.
type record struct {
	sum      uint32
	bodySum  uint32 // of data, extensions and padding
	prev     uint32 // sum of the record before, also across segments; 0 of the very first
	at       uint32 // where in the segment it lies
	batch    uint32 // where the first record of its append lies
	dataLen  uint32
	extLen   uint32
	kind     uint8
	logType  uint8
	flags    uint8
	index    uint64 // an entry's, or the bounds' first; 0 where the log is empty
	term     uint64 // an entry's, or the bounds' last
	appended int64  // AppendedAt in ns since 1970, 0 for none; of a link: where the segment before ends
}

// size is how much room the record takes.
func (r *record) size() int64 { return recordSize(int64(r.dataLen), int64(r.extLen)) }

func recordSize(data, ext int64) int64 {
	return (recordHead + data + ext + recordAlign - 1) &^ (recordAlign - 1)
}

// logSize is how much room an entry takes.
func logSize(log *raft.Log) int64 {
	return recordSize(int64(len(log.Data)), int64(len(log.Extensions)))
}

// put writes the head into b and sets its sum; seed is the segment's.
func (r *record) put(b []byte, seed uint32) {
	_ = b[recordHead-1]
	binary.LittleEndian.PutUint32(b[4:], r.bodySum)
	binary.LittleEndian.PutUint32(b[8:], r.prev)
	binary.LittleEndian.PutUint32(b[12:], r.at)
	binary.LittleEndian.PutUint32(b[16:], r.batch)
	binary.LittleEndian.PutUint32(b[20:], r.dataLen)
	binary.LittleEndian.PutUint32(b[24:], r.extLen)
	b[28], b[29], b[30], b[31] = r.kind, r.logType, r.flags, 0
	binary.LittleEndian.PutUint64(b[32:], r.index)
	binary.LittleEndian.PutUint64(b[40:], r.term)
	binary.LittleEndian.PutUint64(b[48:], uint64(r.appended))
	r.sum = crc32.Update(seed, castagnoli, b[4:recordHead])
	binary.LittleEndian.PutUint32(b, r.sum)
}

// parseHead reads the head of the record that lies at that place; false says
// that no valid one does. limit is how far the segment reaches.
func parseHead(b []byte, at, limit int64, seed uint32) (r record, ok bool) {
	if len(b) < recordHead || int64(binary.LittleEndian.Uint32(b[12:])) != at {
		return r, false
	}
	r = record{
		sum:      binary.LittleEndian.Uint32(b),
		bodySum:  binary.LittleEndian.Uint32(b[4:]),
		prev:     binary.LittleEndian.Uint32(b[8:]),
		at:       binary.LittleEndian.Uint32(b[12:]),
		batch:    binary.LittleEndian.Uint32(b[16:]),
		dataLen:  binary.LittleEndian.Uint32(b[20:]),
		extLen:   binary.LittleEndian.Uint32(b[24:]),
		kind:     b[28],
		logType:  b[29],
		flags:    b[30],
		index:    binary.LittleEndian.Uint64(b[32:]),
		term:     binary.LittleEndian.Uint64(b[40:]),
		appended: int64(binary.LittleEndian.Uint64(b[48:])),
	}
	ok = r.kind >= recordEntry && r.kind <= recordLink && b[31] == 0 && at+r.size() <= limit &&
		r.sum == crc32.Update(seed, castagnoli, b[4:recordHead])
	return r, ok
}

// bodyFits reports whether b, a whole record, has the body that its head speaks of.
func (r *record) bodyFits(b []byte) bool {
	return crc32.Checksum(b[recordHead:r.size()], castagnoli) == r.bodySum
}

// entry makes of a whole record the log entry in it, which keeps b.
func (r *record) entry(b []byte) raft.Log {
	log := raft.Log{Index: r.index, Term: r.term, Type: raft.LogType(r.logType)}
	at := int64(recordHead)
	if n := int64(r.dataLen); n > 0 {
		log.Data = b[at : at+n : at+n]
		at += n
	}
	if n := int64(r.extLen); n > 0 {
		log.Extensions = b[at : at+n : at+n]
	}
	if r.appended != 0 {
		log.AppendedAt = time.Unix(0, r.appended)
	}
	return log
}

// openRecord reads the entry with this index from b, which begins with it.
func openRecord(b []byte, at, index uint64, seed uint32) (raft.Log, error) {
	r, ok := parseHead(b, int64(at), int64(at)+int64(len(b)), seed)
	switch {
	case !ok:
		return raft.Log{}, errors.New("wrong checksum of its head")
	case r.kind != recordEntry || r.index != index:
		return raft.Log{}, errors.New("another record lies in its place")
	case !r.bodyFits(b):
		return raft.Log{}, errors.New("wrong checksum")
	}
	return r.entry(b), nil
}

// encoder lays the records of one append out in memory.
type encoder struct {
	seed  uint32 // the segment's
	batch uint32 // where in the segment the append begins
	prev  uint32 // sum of the last record
	buf   []byte
	last  int    // where in buf the last record begins
	head  record // of the last record
}

// reset makes the encoder ready for an append of so many bytes.
func (e *encoder) reset(seg *segment, prev uint32, size int64) {
	e.seed, e.batch, e.prev, e.buf = seg.seed, uint32(seg.end), prev, e.buf[:0]
	if int64(cap(e.buf)) < size {
		e.buf = make([]byte, 0, size)
	}
}

// at is where in the segment the next record will lie.
func (e *encoder) at() uint32 { return e.batch + uint32(len(e.buf)) }

// add appends a record. What is known only here need not be set in head.
func (e *encoder) add(head record, data, ext []byte) {
	head.dataLen, head.extLen = uint32(len(data)), uint32(len(ext))
	head.at, head.batch, head.prev = e.at(), e.batch, e.prev
	e.last = len(e.buf)
	e.buf = append(e.buf, make([]byte, recordHead)...)
	e.buf = append(append(e.buf, data...), ext...)
	for len(e.buf)%recordAlign != 0 {
		e.buf = append(e.buf, 0)
	}
	b := e.buf[e.last:]
	head.bodySum = crc32.Checksum(b[recordHead:], castagnoli)
	head.put(b, e.seed)
	e.head, e.prev = head, head.sum
}

// addLog appends an entry.
func (e *encoder) addLog(log *raft.Log) {
	head := record{kind: recordEntry, logType: uint8(log.Type), index: log.Index, term: log.Term}
	if !log.AppendedAt.IsZero() {
		head.appended = log.AppendedAt.UnixNano()
	}
	e.add(head, log.Data, log.Extensions)
}

// addBounds appends the bounds that count from here on.
func (e *encoder) addBounds(b bounds) {
	e.add(record{kind: recordBounds, index: b.first, term: b.last}, nil, nil)
}

// addLink begins a segment behind one that ends there.
func (e *encoder) addLink(b bounds, before int64) {
	e.add(record{kind: recordLink, index: b.first, term: b.last, appended: before}, nil, nil)
}

// finish marks the append's last record and returns all bytes.
func (e *encoder) finish() []byte {
	e.head.flags |= flagLast
	e.head.put(e.buf[e.last:], e.seed)
	e.prev = e.head.sum
	return e.buf
}
