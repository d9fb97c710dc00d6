package logstore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/hashicorp/raft"
)

// snapshotReader streams a snapshot's content, each block verified before any
// of it is handed out.
type snapshotReader struct {
	file *os.File
	path string
	head snapshotHead

	headCS uint32
	number uint64 // of the next block
	total  uint64 // bytes of content in the file, by its verified end
	left   uint64 // of them, not loaded yet
	ready  []byte // verified, to be handed out
	block  []byte // the buffer behind ready
	err    error  // what every later Read returns
}

// openSnapshot reads head and end of the file: they are whole, and the file is
// exactly as long as they say.
func openSnapshot(path string) (*snapshotReader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r := &snapshotReader{file: file, path: path}
	if err := r.readFrame(); err != nil {
		file.Close()
		return nil, snapshotDamaged(path, err)
	}
	r.left = r.total
	return r, nil
}

func (r *snapshotReader) readFrame() error {
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	headSize, err := r.readHead(info.Size())
	if err != nil {
		return err
	}
	var end [endSize]byte
	if _, err := r.file.ReadAt(end[:], info.Size()-endSize); err != nil {
		return err
	}
	r.total = binary.LittleEndian.Uint64(end[8:])
	if r.total > uint64(info.Size()) {
		return errors.New("it is not complete")
	}
	blocks := (r.total + blockSize - 1) / blockSize
	if binary.LittleEndian.Uint32(end[:]) != 0 || binary.LittleEndian.Uint32(end[4:]) != blockSum(r.headCS, blocks, end[8:]) {
		return errors.New("it is not complete")
	}
	if uint64(info.Size()) != uint64(headSize)+r.total+blocks*blockPrefix+endSize {
		return errors.New("its length is wrong")
	}
	return nil
}

// readHead leaves the file at its first block and returns where that is.
func (r *snapshotReader) readHead(size int64) (int, error) {
	prefix := make([]byte, headPrefix)
	if _, err := io.ReadFull(r.file, prefix); err != nil {
		return 0, err
	}
	if string(prefix[:len(snapshotMagic)]) != snapshotMagic {
		return 0, errors.New("not a snapshot, or of another version of raftkv")
	}
	length := binary.LittleEndian.Uint32(prefix[len(snapshotMagic):])
	r.headCS = binary.LittleEndian.Uint32(prefix[len(snapshotMagic)+4:])
	if length > maxHead || int64(length) > size {
		return 0, errors.New("impossible length of its head")
	}
	js := make([]byte, length)
	if _, err := io.ReadFull(r.file, js); err != nil {
		return 0, err
	}
	if crc32.Checksum(js, castagnoli) != r.headCS {
		return 0, errors.New("wrong checksum of its head")
	}
	return headPrefix + len(js), json.Unmarshal(js, &r.head)
}

func (r *snapshotReader) meta(id string) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version: r.head.Version, ID: id, Index: r.head.Index, Term: r.head.Term,
		Configuration: r.head.Configuration, ConfigurationIndex: r.head.ConfigurationIndex,
		Size: int64(r.total),
	}
}

// Read returns verified content.
func (r *snapshotReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.ready) == 0 && r.err == nil {
		r.err = r.load()
	}
	if len(r.ready) == 0 {
		return 0, r.err
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// load reads and verifies the next block.
func (r *snapshotReader) load() error {
	if r.left == 0 {
		return io.EOF
	}
	size := min(r.left, blockSize)
	if r.block == nil {
		r.block = make([]byte, blockPrefix+size)
	}
	block := r.block[:blockPrefix+size]
	if _, err := io.ReadFull(r.file, block); err != nil {
		return snapshotDamaged(r.path, err)
	}
	content := block[blockPrefix:]
	if uint64(binary.LittleEndian.Uint32(block)) != size || binary.LittleEndian.Uint32(block[4:]) != blockSum(r.headCS, r.number, content) {
		return snapshotDamaged(r.path, fmt.Errorf("wrong checksum of block %d", r.number))
	}
	r.number++
	r.left -= size
	r.ready = content
	return nil
}

// Close ends the reading.
func (r *snapshotReader) Close() error { return r.file.Close() }

func snapshotDamaged(path string, reason error) error {
	return &FileError{path, ErrDamaged, fmt.Sprintf("the snapshot is damaged (%v); an older one would lose writes and is not used: restore this node from the others", reason)}
}
