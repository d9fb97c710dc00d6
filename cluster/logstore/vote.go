package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"go.etcd.io/bbolt"
)

// voteRoom is several times what the few small values ever take: a vote can be
// written down on a full disk.
const voteRoom = 256 << 10

// Raft's keys, and ours that replaces its last two.
var (
	keyCurrentTerm  = []byte("CurrentTerm")
	keyLastVoteTerm = []byte("LastVoteTerm")
	keyLastVoteCand = []byte("LastVoteCand")
	keyVote         = []byte("raftkv.vote")
)

// Vote is Raft's stable store (raft.StableStore): the current term, and the last
// vote. Raft writes a vote in two calls, term first; between them a crash would
// leave the new term with the old candidate, who could then get a second vote in
// that term. So the term is only staged, and both are stored as one value when
// the candidate comes. A staged term cannot be read.
//
// A key that is not there is the error whose text is exactly "not found", as
// raft expects it. After a write that failed, all later writes fail. Safe for
// concurrent use.
type Vote struct {
	file *boltFile

	mu     sync.Mutex
	staged *uint64 // the term of the vote that is being written, or nil; guarded by mu
}

// CreateVote makes a new, empty store for the cluster with this UUID and opens
// it, in the same way as CreateLog.
func CreateVote(path, uuid string) (*Vote, error) {
	if err := createFile(path, voteFile(uuid)); err != nil {
		return nil, err
	}
	return OpenVote(path, uuid)
}

// OpenVote opens the store that CreateVote made. Its errors are OpenLog's.
func OpenVote(path, uuid string) (*Vote, error) {
	return openVote(path, voteFile(uuid))
}

// ReadVote opens the store for reading only, as ReadLog does.
func ReadVote(path, uuid string) (*Vote, error) {
	k := voteFile(uuid)
	k.readOnly = true
	return openVote(path, k)
}

func openVote(path string, k sealed) (*Vote, error) {
	f, err := openFile(path, k)
	if err != nil {
		return nil, err
	}
	v := &Vote{file: f}
	if err := v.complete(); err != nil {
		f.Close()
		return nil, err
	}
	return v, nil
}

// voteFile: a fresh file already holds both values, as zeroes, so that one whose
// key was damaged is not taken for one that was never written.
func voteFile(uuid string) sealed {
	return sealed{
		kind: "vote", uuid: uuid, room: voteRoom,
		fill: func(conf *bbolt.Bucket) error {
			zero := make([]byte, 8)
			return errors.Join(
				conf.Put(sealedKey(keyCurrentTerm), sealValue(keyCurrentTerm, zero)),
				conf.Put(sealedKey(keyVote), sealValue(keyVote, zero)))
		},
		used: func(f *boltFile) (bool, error) {
			v := &Vote{file: f}
			_, termErr := v.Get(keyCurrentTerm)
			_, voteErr := v.Get(keyLastVoteTerm)
			if errors.Is(termErr, errNotFound) && errors.Is(voteErr, errNotFound) {
				return false, nil
			}
			return true, nil // or unreadable: then it is not ours to replace
		},
	}
}

// complete says whether both values are there and whole. In raft-boltdb's own
// form there may be no vote.
func (v *Vote) complete() error {
	_, plainErr := v.plain(keyCurrentTerm)
	for _, key := range [][]byte{keyCurrentTerm, keyVote} {
		_, err := v.get(key)
		if errors.Is(err, errNotFound) && plainErr != nil {
			return damaged(v.file.path, fmt.Sprintf("its %q is gone", key))
		}
		if err != nil && !errors.Is(err, errNotFound) {
			return err
		}
	}
	return nil
}

// Close closes the file.
func (v *Vote) Close() error { return v.file.Close() }

// SetUint64 stores a number. LastVoteTerm is only staged.
func (v *Vote) SetUint64(key []byte, val uint64) error {
	switch string(key) {
	case string(keyLastVoteTerm):
		v.mu.Lock()
		v.staged = &val
		v.mu.Unlock()
		return nil
	case string(keyLastVoteCand):
		return fmt.Errorf("%s is no number", key)
	default:
		return v.put(key, binary.BigEndian.AppendUint64(nil, val))
	}
}

// Set stores a value. LastVoteCand stores the vote whose term was staged;
// without one it is ErrNoStagedTerm.
func (v *Vote) Set(key, val []byte) error {
	switch string(key) {
	case string(keyLastVoteTerm):
		return fmt.Errorf("%s is a number", key)
	case string(keyLastVoteCand):
		v.mu.Lock()
		term := v.staged
		v.staged = nil // written or failed, it is used up
		v.mu.Unlock()
		if term == nil {
			return fmt.Errorf("%s: %w", v.file.path, ErrNoStagedTerm)
		}
		return v.put(keyVote, append(binary.BigEndian.AppendUint64(nil, *term), val...))
	default:
		return v.put(key, val)
	}
}

// GetUint64 returns a number that is on disk.
func (v *Vote) GetUint64(key []byte) (uint64, error) {
	val, err := v.Get(key)
	if err != nil {
		return 0, err
	}
	if len(val) != 8 {
		return 0, damaged(v.file.path, fmt.Sprintf("%s has %d bytes", key, len(val)))
	}
	return binary.BigEndian.Uint64(val), nil
}

// Get returns a value that is on disk.
func (v *Vote) Get(key []byte) ([]byte, error) {
	term := string(key) == string(keyLastVoteTerm)
	if !term && string(key) != string(keyLastVoteCand) {
		val, err := v.get(key)
		if err == nil && string(key) == string(keyCurrentTerm) && zeroTerm(val) {
			return nil, errNotFound
		}
		return val, err
	}
	vote, err := v.get(keyVote)
	if errors.Is(err, errNotFound) {
		return v.plain(key) // as raft-boltdb alone would have stored it
	}
	if err != nil {
		return nil, err
	}
	if len(vote) < 8 {
		return nil, damaged(v.file.path, "its vote is too short")
	}
	if zeroTerm(vote[:8]) {
		return nil, errNotFound
	}
	if term {
		return vote[:8], nil
	}
	return vote[8:], nil
}

// put stores val with a checksum that covers the key too.
func (v *Vote) put(key, val []byte) error {
	return v.file.update(func(_, conf *bbolt.Bucket) error { return conf.Put(sealedKey(key), sealValue(key, val)) })
}

func sealValue(key, val []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, valueSum(key, val)), val...)
}

// unsealValue returns what sealValue was given, if that is what it is.
func unsealValue(key, sealed []byte) (val []byte, ok bool) {
	if len(sealed) < sumSize || binary.LittleEndian.Uint32(sealed) != valueSum(key, sealed[sumSize:]) {
		return nil, false
	}
	return sealed[sumSize:], true
}

// get returns what put stored, or a value of raft-boltdb's own form.
func (v *Vote) get(key []byte) ([]byte, error) {
	sealed, err := v.plain(sealedKey(key))
	if errors.Is(err, errNotFound) {
		return v.plain(key)
	}
	if err != nil {
		return nil, err
	}
	val, ok := unsealValue(key, sealed)
	if !ok {
		return nil, damaged(v.file.path, fmt.Sprintf("wrong checksum of %q", key))
	}
	return val, nil
}

// plain returns a value as it is stored.
func (v *Vote) plain(key []byte) ([]byte, error) { return v.file.get(key) }

// sealedKey keeps values with a checksum apart from raft-boltdb's plain ones.
func sealedKey(key []byte) []byte { return append([]byte("sum:"), key...) }

func valueSum(key, val []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, val)
}

// zeroTerm recognises the values of a fresh file: no term is 0.
func zeroTerm(val []byte) bool { return len(val) == 8 && binary.BigEndian.Uint64(val) == 0 }
