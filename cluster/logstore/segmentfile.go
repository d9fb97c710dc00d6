package logstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	segmentMagic  = "raftkvLS"
	segmentFormat = 1
	// segmentStart is where the records begin: the head has a page of its own.
	segmentStart = 4096
	segmentInfo  = 256 // bytes of the head that mean something; it lies within one sector
	segmentUUID  = 72  // where in the head the cluster's UUID begins
	maxUUID      = segmentInfo - segmentUUID
	segmentStep  = 64 << 10 // sizes of segments are multiples of it
	segmentExt   = ".seg"
	zeroStep     = 1 << 20 // bytes written between two syncs of a file that is prepared
	// maxSegment is what positions, which have 32 bits, allow for with some room.
	maxSegment = 3 << 30
)

// segment is one file of the log. It is made whole and full of zeroes, then
// written from front to back, once.
type segment struct {
	id   uint64 // counts up by one, and no id comes twice
	path string
	file file
	size int64  // room for head and records
	seed uint32 // the sum of its head, which holds random bytes: no other file's records are valid here

	// base is the index of the first entry of the log that lies here, and places is
	// where it and those behind it begin. guarded by Segments.mu
	base   uint64
	places []uint32
	end    int64 // behind the last record; guarded by Segments.mu
}

func segmentName(id uint64) string { return fmt.Sprintf("%016d%s", id, segmentExt) }

// segmentID is the id in a file's name; false: that is no segment.
func segmentID(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentExt)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return id, err == nil && id > 0
}

// identity is what all files of one log have in common.
type identity struct {
	uuid string   // of the cluster
	log  [16]byte // random: a file of another node of the same cluster is noticed
}

// segmentHead is the head of a segment as it lies on disk.
func segmentHead(who identity, id uint64, size int64) []byte {
	b := make([]byte, segmentInfo)
	copy(b, segmentMagic)
	binary.LittleEndian.PutUint32(b[12:], segmentFormat)
	binary.LittleEndian.PutUint64(b[16:], id)
	binary.LittleEndian.PutUint64(b[24:], uint64(size))
	copy(b[32:], who.log[:])
	rand.Read(b[48:64])
	binary.LittleEndian.PutUint32(b[64:], uint32(len(who.uuid)))
	copy(b[segmentUUID:], who.uuid)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	return b
}

// headOf is what the files of a log begin with.
type headOf struct {
	id   uint64
	size int64
	who  identity
	sum  uint32
}

// parseSegmentHead reads a head; path is for its errors.
func parseSegmentHead(b []byte, path string) (h headOf, err error) {
	if len(b) < segmentInfo || string(b[:8]) != segmentMagic {
		return h, damaged(path, "its head is overwritten")
	}
	if f := binary.LittleEndian.Uint32(b[12:]); f != segmentFormat && binary.LittleEndian.Uint32(b[8:]) == crc32.Checksum(b[12:segmentInfo], castagnoli) {
		return h, foreign(path, fmt.Sprintf("has format %d, and this raftkv knows %d; use the version that wrote it", f, segmentFormat))
	}
	h.sum = binary.LittleEndian.Uint32(b[8:])
	n := binary.LittleEndian.Uint32(b[64:])
	if h.sum != crc32.Checksum(b[12:segmentInfo], castagnoli) || n > maxUUID {
		return h, damaged(path, "wrong checksum of its head")
	}
	h.id = binary.LittleEndian.Uint64(b[16:])
	h.size = int64(binary.LittleEndian.Uint64(b[24:]))
	copy(h.who.log[:], b[32:])
	h.who.uuid = string(b[segmentUUID : segmentUUID+n])
	return h, nil
}

// check says how the head differs from that of the log's segment with this id.
func (h *headOf) check(who identity, id uint64, path string) error {
	switch {
	case h.who.uuid != who.uuid:
		return ofCluster(path, h.who.uuid, who.uuid)
	case h.who.log != who.log:
		return misplaced(path, "belongs to the log of another node; it was copied from there")
	case h.id != id:
		return damaged(path, fmt.Sprintf("it is segment %d under the name of segment %d", h.id, id))
	case h.size < segmentStart || h.size > maxSegment:
		return damaged(path, "impossible size in its head")
	}
	return nil
}

// makeSegment makes a segment that is durable under its name, full of zeroes. On
// an error nothing of it stays.
func makeSegment(disk files, dir string, h headOf) (_ *segment, err error) {
	seg := &segment{id: h.id, path: filepath.Join(dir, segmentName(h.id)), size: h.size, end: segmentStart}
	tmp := seg.path + tmpSuffix
	if seg.file, err = disk.create(tmp); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, seg.file.Close(), gone(disk.remove(tmp)))
		}
	}()
	if err := seg.file.reserve(h.size); err != nil {
		return nil, err
	}
	if err := zero(seg.file, 0, h.size); err != nil {
		return nil, err
	}
	if err := seg.writeHead(h.who); err != nil {
		return nil, err
	}
	if err := disk.rename(tmp, seg.path); err != nil {
		return nil, err
	}
	return seg, disk.syncDir(dir)
}

func (seg *segment) writeHead(who identity) error {
	head := segmentHead(who, seg.id, seg.size)
	seg.seed = binary.LittleEndian.Uint32(head[8:])
	if _, err := seg.file.WriteAt(head, 0); err != nil {
		return err
	}
	return seg.file.Sync()
}

// zero overwrites a part of a file, in steps: no heap of dirty pages may make the
// log's own syncs wait.
func zero(f file, from, to int64) error {
	zeroes := make([]byte, min(zeroStep, max(0, to-from)))
	for from < to {
		n := min(int64(len(zeroes)), to-from)
		if _, err := f.WriteAt(zeroes[:n], from); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// grow makes an unused segment larger. Its head, within one sector, changes last.
func (seg *segment) grow(who identity, size int64) (err error, doubtful bool) {
	if err := seg.file.reserve(size); err != nil {
		return err, false
	}
	if err := zero(seg.file, seg.size, size); err != nil {
		return err, false
	}
	seg.size = size
	if err := seg.writeHead(who); err != nil {
		return err, true
	}
	return nil, false
}

// trim leaves those places whose entries are in the bounds.
func (seg *segment) trim(b bounds) {
	if len(seg.places) == 0 {
		return
	}
	if b.empty() || seg.base > b.last || seg.base+uint64(len(seg.places)) <= b.first {
		seg.places = nil
		return
	}
	if over := seg.base + uint64(len(seg.places)) - 1; over > b.last {
		seg.places = seg.places[:b.last-seg.base+1]
	}
	if seg.base < b.first {
		seg.places = seg.places[b.first-seg.base:]
		seg.base = b.first
	}
}

// note puts an entry's place behind those of the entries before it.
func (seg *segment) note(index uint64, at uint32) {
	if len(seg.places) == 0 {
		seg.base = index
	}
	seg.places = append(seg.places, at)
}

// holds reports whether an entry of the log lies here.
func (seg *segment) holds(index uint64) bool {
	return index >= seg.base && index-seg.base < uint64(len(seg.places))
}

// bounds are the first and the last index of a log, both 0 where it is empty.
type bounds struct{ first, last uint64 }

func (b bounds) empty() bool { return b.last == 0 }

// without are the bounds after the entries from min to max were removed.
func (b bounds) without(min, max uint64) (bounds, error) {
	switch {
	case b.empty() || min > max || max < b.first || min > b.last:
		return b, nil
	case min <= b.first && max >= b.last:
		return bounds{}, nil
	case min <= b.first:
		return bounds{max + 1, b.last}, nil
	case max >= b.last:
		return bounds{b.first, min - 1}, nil
	}
	return b, fmt.Errorf("the entries %d to %d lie in the middle of the log, which is from %d to %d", min, max, b.first, b.last)
}

// within reports whether the bounds can follow others: entries only go.
func (b bounds) within(before bounds) bool {
	return b.empty() && b.first == 0 || !b.empty() && b.first >= before.first && b.last <= before.last && b.first <= b.last && b.first > 0
}

// gone is err, unless that says that there was nothing.
func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func newIdentity(uuid string) identity {
	who := identity{uuid: uuid}
	rand.Read(who.log[:])
	return who
}
