package logstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/hashicorp/raft"
)

// A snapshot file, numbers little-endian:
//
//	magic (8), length of the head (4), CRC32C of the head (4), head (JSON)
//	blocks: length (4), CRC32C (4), content; all but the last are of blockSize
//	end: 0 (4), CRC32C (4), bytes of content in all blocks (8)
//
// The checksum of a block covers its number and starts from the head's, so a
// block of another place or another snapshot does not fit.
const (
	snapshotMagic = "RKVSNAP1"
	headPrefix    = len(snapshotMagic) + 8
	maxHead       = 16 << 20
	blockSize     = 1 << 20
	blockPrefix   = 8
	endSize       = 16
)

// snapshotHead is what the file says about its snapshot.
type snapshotHead struct {
	Version            raft.SnapshotVersion
	Index, Term        uint64
	Configuration      raft.Configuration
	ConfigurationIndex uint64
}

// sink writes one snapshot. It is written under a temporary name and synced
// block by block, so that the fsyncs of the log never wait for a great heap of
// its pages; Close gives it its name. One goroutine uses it.
type sink struct {
	store *Snapshots
	id    string
	file  *os.File
	tmp   string

	block  []byte // the one being filled, behind blockPrefix bytes
	headCS uint32
	blocks uint64 // written
	total  uint64 // bytes of content written
	err    error  // the first that happened; all later calls return it
	ended  bool   // closed or cancelled
}

func newSink(s *Snapshots, id string, head *snapshotHead) (*sink, error) {
	js, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	tmp := s.path(id) + tmpSuffix
	file, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return nil, err
	}
	k := &sink{store: s, id: id, file: file, tmp: tmp, headCS: crc32.Checksum(js, castagnoli)}
	k.block = make([]byte, blockPrefix, blockPrefix+blockSize)
	out := []byte(snapshotMagic)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(js)))
	out = binary.LittleEndian.AppendUint32(out, k.headCS)
	if _, err := file.Write(append(out, js...)); err != nil {
		k.err = err
		return nil, errors.Join(err, k.discard())
	}
	return k, nil
}

// ID returns the name under which Open finds the snapshot.
func (k *sink) ID() string { return k.id }

// Write adds content.
func (k *sink) Write(p []byte) (int, error) {
	if k.ended {
		return 0, os.ErrClosed
	}
	n := 0
	for n < len(p) && k.err == nil {
		room := min(cap(k.block)-len(k.block), len(p)-n)
		k.block = append(k.block, p[n:n+room]...)
		n += room
		if len(k.block) == cap(k.block) {
			k.err = k.flush()
		}
	}
	return n, k.err
}

// flush writes the block that is being filled, and waits until it is on disk.
func (k *sink) flush() error {
	content := k.block[blockPrefix:]
	binary.LittleEndian.PutUint32(k.block, uint32(len(content)))
	binary.LittleEndian.PutUint32(k.block[4:], blockSum(k.headCS, k.blocks, content))
	if _, err := k.file.Write(k.block); err != nil {
		return err
	}
	k.blocks++
	k.total += uint64(len(content))
	k.block = k.block[:blockPrefix]
	return k.file.Sync()
}

// Close makes the snapshot complete and durable, and removes those beyond the
// number to retain. After an error nothing is left of it.
func (k *sink) Close() error {
	if k.ended {
		return k.err
	}
	k.ended = true
	if k.err == nil {
		k.err = k.finish()
	}
	if k.err != nil {
		return fmt.Errorf("snapshot %s: %w", k.id, errors.Join(k.err, k.discard()))
	}
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	if err := os.Rename(k.tmp, k.store.path(k.id)); err != nil {
		k.err = err
		return errors.Join(err, os.Remove(k.tmp))
	}
	if k.err = syncDir(k.store.dir); k.err != nil {
		return k.err // it may be there after a power loss or not: both are consistent
	}
	if k.err = k.store.note(parsed(k.id).index); k.err != nil {
		return k.err // the same; raft does not cut its log
	}
	k.store.reap()
	return nil
}

// finish writes what is left and the end, and closes the file.
func (k *sink) finish() error {
	if len(k.block) > blockPrefix {
		if err := k.flush(); err != nil {
			return err
		}
	}
	end := make([]byte, 4, endSize)
	total := binary.LittleEndian.AppendUint64(nil, k.total)
	end = binary.LittleEndian.AppendUint32(end, blockSum(k.headCS, k.blocks, total))
	if _, err := k.file.Write(append(end, total...)); err != nil {
		return err
	}
	if err := k.file.Sync(); err != nil {
		return err
	}
	return k.file.Close()
}

// Cancel gives the snapshot up; nothing is left of it.
func (k *sink) Cancel() error {
	if k.ended {
		return nil
	}
	k.ended = true
	return k.discard()
}

func (k *sink) discard() error {
	k.file.Close() // its content is given up, and it may be closed already
	return os.Remove(k.tmp)
}

func blockSum(seed uint32, number uint64, content []byte) uint32 {
	sum := crc32.Update(seed, castagnoli, binary.LittleEndian.AppendUint64(nil, number))
	return crc32.Update(sum, castagnoli, content)
}
