package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
)

const (
	noteName   = "tail"
	noteMagic  = "raftkvLT"
	noteSize   = 512 // one sector, which is written as a whole or not at all
	noteFormat = 1
	noteUUID   = 88
)

// position is a place between two appends: behind so many bytes of a segment, of
// which the last record has this sum. Segment 0 is before the first append.
type position struct {
	segment uint64
	end     int64
	sum     uint32
	index   uint64 // the log's last entry there, for messages
}

// behind reports whether p is further on than other.
func (p position) behind(other position) bool {
	return p.segment > other.segment || p.segment == other.segment && p.end > other.end
}

// tailNote is a file that says how far the log reached, so that a last append
// that was acknowledged is told from one that a crash cut off: a record alone
// does not know that it was the last. It is written after each append without
// waiting for the disk, so it survives the death of the process; when the power
// goes it may be older than the log, never newer. It is made durable before a new
// segment is used, soon after the last append, and at a clean close. It also
// tells which segment is the newest there must be.
type tailNote struct {
	path string
	file file
	who  identity

	mu     sync.Mutex
	newest uint64   // segment; guarded by mu
	at     position // guarded by mu
	synced position // what is surely on disk; guarded by mu
	buf    [noteSize]byte
}

// set notes the position, without waiting for the disk.
func (n *tailNote) set(at position) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at = at
	return n.write()
}

// setNewest notes, durably, that a segment exists.
func (n *tailNote) setNewest(id uint64) error {
	n.mu.Lock()
	n.newest = id
	err := n.write()
	n.mu.Unlock()
	if err != nil {
		return err
	}
	return n.sync()
}

// sync makes the note durable. An append that comes meanwhile does not wait.
func (n *tailNote) sync() error {
	n.mu.Lock()
	at := n.at
	n.mu.Unlock()
	if err := n.file.Sync(); err != nil {
		return err
	}
	n.mu.Lock()
	n.synced = at
	n.mu.Unlock()
	return nil
}

// now returns what is noted, and whether that is on disk.
func (n *tailNote) now() (at position, durable bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at, n.at == n.synced
}

// write puts the note into the file. n.mu is held.
func (n *tailNote) write() error {
	b := n.buf[:]
	clear(b)
	copy(b, noteMagic)
	binary.LittleEndian.PutUint32(b[12:], noteFormat)
	binary.LittleEndian.PutUint64(b[16:], n.newest)
	binary.LittleEndian.PutUint64(b[24:], n.at.segment)
	binary.LittleEndian.PutUint64(b[32:], uint64(n.at.end))
	binary.LittleEndian.PutUint32(b[40:], n.at.sum)
	binary.LittleEndian.PutUint64(b[48:], n.at.index)
	copy(b[56:], n.who.log[:])
	binary.LittleEndian.PutUint32(b[80:], uint32(len(n.who.uuid)))
	copy(b[noteUUID:], n.who.uuid)
	binary.LittleEndian.PutUint32(b[8:], crc32.Checksum(b[12:], castagnoli))
	_, err := n.file.WriteAt(b, 0)
	return err
}

// openNote opens and reads the note of a log of this cluster, "" for any, and
// locks it, which locks the log.
func openNote(disk files, path, uuid string, write bool) (_ *tailNote, err error) {
	n := &tailNote{path: path}
	if n.file, err = disk.open(path, write); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, missing(path)
		}
		return nil, err
	}
	if err = disk.lock(n.file, path, !write); err == nil {
		err = n.read(uuid)
	}
	if err != nil {
		return nil, errors.Join(err, n.file.Close())
	}
	return n, nil
}

func (n *tailNote) read(uuid string) error {
	b := n.buf[:]
	if size, err := n.file.Size(); err != nil {
		return err
	} else if size != noteSize {
		return damaged(n.path, fmt.Sprintf("it has %d bytes, not %d", size, noteSize))
	}
	if _, err := n.file.ReadAt(b, 0); err != nil {
		return err
	}
	length := binary.LittleEndian.Uint32(b[80:])
	whole := binary.LittleEndian.Uint32(b[8:]) == crc32.Checksum(b[12:], castagnoli)
	switch format := binary.LittleEndian.Uint32(b[12:]); {
	case string(b[:8]) != noteMagic:
		return damaged(n.path, "its head is overwritten")
	case !whole:
		return damaged(n.path, "wrong checksum")
	case format != noteFormat:
		return foreign(n.path, fmt.Sprintf("has format %d, and this raftkv knows %d; use the version that wrote it", format, noteFormat))
	case length > maxUUID:
		return damaged(n.path, "impossible length")
	}
	n.newest = binary.LittleEndian.Uint64(b[16:])
	n.at = position{
		segment: binary.LittleEndian.Uint64(b[24:]), end: int64(binary.LittleEndian.Uint64(b[32:])),
		sum: binary.LittleEndian.Uint32(b[40:]), index: binary.LittleEndian.Uint64(b[48:]),
	}
	copy(n.who.log[:], b[56:])
	n.who.uuid = string(b[noteUUID : noteUUID+length])
	if uuid != "" && n.who.uuid != uuid {
		return ofCluster(n.path, n.who.uuid, uuid)
	}
	return nil
}
