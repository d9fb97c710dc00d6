// Package logstore is where Raft's state lies on disk: the log in a bbolt file or
// a directory of segments, the vote in a bbolt file, the snapshots in a directory. It
// gives hashicorp/raft its LogStore, StableStore and SnapshotStore, and sees to
// it that what is read is what was written: every entry, value and block
// carries a checksum, every file the cluster it belongs to. It does not know
// what an entry means, what the node does about an error, or where the files
// lie. DESIGN.md has the formats and what survives which crash.
package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"

	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

const (
	sumSize = 4

	// logMmap is reserved address space, not memory: the log can grow this far
	// without bbolt mapping anew, for which a writer waits for all readers.
	logMmap = 1 << 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Log is Raft's log (raft.LogStore) in one bbolt file. Each entry is stored with
// a CRC32C over its index, term, type, data and extensions, which is checked
// whenever it is read from disk; the newest entries are also kept in memory.
// Entries must not be changed once they were handed over. After a write that
// failed, all later writes fail: the process must end, and learn from disk what
// was written. Safe for concurrent use.
type Log struct {
	file  *boltFile
	cache *cache
}

// CreateLog makes a new, empty log for the cluster with this UUID and opens it.
// After a crash the file is either not there or complete. An existing log
// without entries is replaced; one with entries is ErrHasState.
func CreateLog(path, uuid string) (*Log, error) {
	if err := createFile(path, logFile(uuid)); err != nil {
		return nil, err
	}
	return OpenLog(path, uuid)
}

// OpenLog opens the log that CreateLog made. Errors wrap ErrMissing, ErrInUse,
// ErrForeign or ErrDamaged. Its pages are checked here, the entries when they
// are read: see Verify.
func OpenLog(path, uuid string) (*Log, error) {
	return openLog(path, logFile(uuid))
}

// ReadLog opens a log for reading only; not a byte of it is changed, and nobody
// can open it for writing meanwhile. Its errors are OpenLog's.
func ReadLog(path, uuid string) (*Log, error) {
	k := logFile(uuid)
	k.readOnly = true
	return openLog(path, k)
}

func openLog(path string, k sealed) (*Log, error) {
	f, err := openFile(path, k)
	if err != nil {
		return nil, err
	}
	if err := f.checkTail(); err != nil {
		f.Close()
		return nil, err
	}
	return &Log{file: f, cache: newCache()}, nil
}

func logFile(uuid string) sealed {
	return sealed{
		kind: "log", uuid: uuid, mmap: logMmap,
		used: func(f *boltFile) (bool, error) {
			_, last, err := f.ends()
			return last > 0, err
		},
	}
}

// Close closes the file. Nothing may use the log any more.
func (l *Log) Close() error { return l.file.Close() }

// Bytes returns the size of the file, which does not shrink when entries go.
func (l *Log) Bytes() (int64, error) {
	info, err := os.Stat(l.file.path)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// FirstIndex returns the first index in the log, 0 if it is empty.
func (l *Log) FirstIndex() (uint64, error) {
	first, _, err := l.file.ends()
	return first, err
}

// LastIndex returns the last index in the log, 0 if it is empty.
func (l *Log) LastIndex() (uint64, error) {
	_, last, err := l.file.ends()
	return last, err
}

// GetLog reads one entry into log. It returns raft.ErrLogNotFound, or an
// *EntryError if the entry is not what was stored.
func (l *Log) GetLog(index uint64, log *raft.Log) error {
	if l.cache.get(index, log) {
		return nil
	}
	return l.load(index, log)
}

// load reads an entry from the file.
func (l *Log) load(index uint64, log *raft.Log) error {
	err := l.file.view(func(logs, _ *bbolt.Bucket) error {
		val := logs.Get(indexKey(index))
		if val == nil {
			return raft.ErrLogNotFound
		}
		return openEntry(val, index, log)
	})
	if err == nil || errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	return &EntryError{l.file.path, index, reason(err)}
}

// openEntry decodes a stored entry and checks that it is the one of that index.
func openEntry(val []byte, index uint64, log *raft.Log) error {
	var stored raft.Log
	if err := decodeEntry(val, &stored); err != nil {
		return err
	}
	if err := unseal(&stored, index); err != nil {
		return err
	}
	*log = stored
	return nil
}

// StoreLog stores one entry; see StoreLogs.
func (l *Log) StoreLog(log *raft.Log) error { return l.StoreLogs([]*raft.Log{log}) }

// StoreLogs returns once all entries are on disk, or none of them is known to be.
func (l *Log) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	sealed := make([]raft.Log, len(logs))
	for i, log := range logs {
		sealed[i] = *log
		seal(&sealed[i])
	}
	err := l.file.append(sealed)
	if err == nil {
		l.cache.add(logs)
	}
	return err
}

// cutSlice is how many entries of the log's head go in one transaction: some
// milliseconds, for which an append may have to wait.
const cutSlice = 8192

// DeleteRange removes the entries from one index to another, both included: the head
// of the log after a snapshot, or a tail that another leader replaces. A crash may
// leave a part of a head, never of a tail: that would be a hole.
func (l *Log) DeleteRange(from, to uint64) error {
	l.cache.remove(from, to)
	first, last, err := l.file.ends()
	if err != nil {
		return err
	}
	if first == 0 || from > first {
		return l.file.cut(from, to)
	}
	for at, end := first, min(to, last); at <= end; at += cutSlice {
		if err := l.file.cut(at, min(at+cutSlice-1, end)); err != nil {
			return err
		}
	}
	return nil
}

// Verify reads all entries from disk. None may be damaged, and none above after,
// the index of the newest snapshot, may be missing; raft would panic over it, or
// end when a follower needs it.
func (l *Log) Verify(after uint64) error {
	return l.Each(after, func(*raft.Log) error { return nil })
}

// Each does what Verify does and calls fn with each entry, in order, until fn
// returns an error. Below after there may be gaps. fn must not write to the log.
func (l *Log) Each(after uint64, fn func(*raft.Log) error) error {
	prev, at, bad := uint64(0), uint64(0), false
	err := l.file.view(func(logs, _ *bbolt.Bucket) error {
		c := logs.Cursor()
		for k, val := c.First(); k != nil; k, val = c.Next() {
			at = binary.BigEndian.Uint64(k)
			if next := max(prev, after) + 1; at > next {
				return l.hole(prev, after, next)
			}
			var entry raft.Log
			if err := openEntry(val, at, &entry); err != nil {
				bad = true
				return err
			}
			prev = at
			if err := fn(&entry); err != nil {
				return err
			}
		}
		return nil
	})
	if bad {
		return &EntryError{l.file.path, at, reason(err)}
	}
	return err
}

// hole describes that the entry next is not there.
func (l *Log) hole(prev, after, next uint64) error {
	if prev == 0 {
		return damaged(l.file.path, fmt.Sprintf("it begins behind entry %d, and the newest snapshot ends at %d", next, after))
	}
	return &EntryError{l.file.path, next, "it is missing"}
}

// Exists says whether a file of this package is at path, in whatever state.
func Exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// seal puts the entry's checksum before its extensions, which raft-boltdb
// stores with it. The data is not copied.
func seal(log *raft.Log) {
	sealed := make([]byte, 0, sumSize+len(log.Extensions))
	sealed = binary.LittleEndian.AppendUint32(sealed, entrySum(log))
	log.Extensions = append(sealed, log.Extensions...)
}

// unseal checks the entry that was found under index and takes the checksum out.
func unseal(log *raft.Log, index uint64) error {
	if log.Index != index {
		return fmt.Errorf("entry %d lies in its place", log.Index)
	}
	if len(log.Extensions) < sumSize {
		return errors.New("its checksum is gone")
	}
	sum := binary.LittleEndian.Uint32(log.Extensions)
	log.Extensions = log.Extensions[sumSize:]
	if len(log.Extensions) == 0 {
		log.Extensions = nil
	}
	if sum != entrySum(log) {
		return errors.New("wrong checksum")
	}
	return nil
}

func entrySum(log *raft.Log) uint32 {
	var head [25]byte
	binary.LittleEndian.PutUint64(head[0:], log.Index)
	binary.LittleEndian.PutUint64(head[8:], log.Term)
	head[16] = byte(log.Type)
	binary.LittleEndian.PutUint64(head[17:], uint64(len(log.Data)))
	sum := crc32.Update(0, castagnoli, head[:])
	sum = crc32.Update(sum, castagnoli, log.Data)
	return crc32.Update(sum, castagnoli, log.Extensions)
}
