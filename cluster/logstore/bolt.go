package logstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/raft"
	"go.etcd.io/bbolt"
)

// The two buckets of a file. They and the form of the entries are those of
// raft-boltdb, whose tools can read our files. It is not used itself because the
// tail of the log has to be noted in the transaction that changes it.
var (
	bucketLogs = []byte("logs") // index, 8 bytes big-endian → raft.Log as msgpack
	bucketConf = []byte("conf")
)

// keyTail, in conf, holds the index of the log's last entry, 0 where there is
// none. conf lies in the page that the checksummed meta page points to, so a
// damaged pointer further down, which would show an older and shorter log, is noticed.
var keyTail = []byte("raftkv.tail")

// errNotFound has the text that raft expects of a stable store.
var errNotFound = errors.New("not found")

var msgpack = msgpackHandle()

// msgpackHandle is raft-boltdb's: times in the old format.
func msgpackHandle() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{}
	h.TimeNotBuiltin = true
	return h
}

// view runs fn, which reads the file.
func (f *boltFile) view(fn func(logs, conf *bbolt.Bucket) error) error {
	return guarded(f.path, func() error {
		return f.db.View(func(tx *bbolt.Tx) error { return fn(tx.Bucket(bucketLogs), tx.Bucket(bucketConf)) })
	})
}

// update runs fn, which changes the file, and returns once that is on disk.
func (f *boltFile) update(fn func(logs, conf *bbolt.Bucket) error) error {
	return f.write(func() error {
		return f.db.Update(func(tx *bbolt.Tx) error { return fn(tx.Bucket(bucketLogs), tx.Bucket(bucketConf)) })
	})
}

// get returns a copy of a value in conf, or errNotFound.
func (f *boltFile) get(key []byte) (val []byte, err error) {
	err = f.view(func(_, conf *bbolt.Bucket) error {
		v := conf.Get(key)
		if v == nil {
			return errNotFound
		}
		val = bytes.Clone(v)
		return nil
	})
	return val, err
}

// ends returns the first and the last index in the log, 0 if it is empty.
func (f *boltFile) ends() (first, last uint64, err error) {
	err = f.view(func(logs, _ *bbolt.Bucket) error {
		if k, _ := logs.Cursor().First(); k != nil {
			first = binary.BigEndian.Uint64(k)
		}
		last = lastIn(logs)
		return nil
	})
	return first, last, err
}

func lastIn(logs *bbolt.Bucket) uint64 {
	k, _ := logs.Cursor().Last()
	if k == nil {
		return 0
	}
	return binary.BigEndian.Uint64(k)
}

// append stores entries and notes the new tail.
func (f *boltFile) append(entries []raft.Log) error {
	return f.update(func(logs, conf *bbolt.Bucket) error {
		for i := range entries {
			var val []byte
			if err := codec.NewEncoderBytes(&val, msgpack).Encode(&entries[i]); err != nil {
				return err
			}
			if err := logs.Put(indexKey(entries[i].Index), val); err != nil {
				return err
			}
		}
		return noteTail(conf, lastIn(logs))
	})
}

// cut removes the entries from min to max and notes the new tail, which is looked
// up first: bbolt's cursor never ends in a tree whose pages were all emptied.
func (f *boltFile) cut(min, max uint64) error {
	return f.update(func(logs, conf *bbolt.Bucket) error {
		tail := lastIn(logs)
		c := logs.Cursor()
		k, _ := c.Seek(indexKey(min))
		if k != nil && max >= tail {
			tail = 0
			if before, _ := c.Prev(); before != nil {
				tail = binary.BigEndian.Uint64(before)
			}
			k, _ = c.Seek(indexKey(min))
		}
		for ; k != nil && binary.BigEndian.Uint64(k) <= max; k, _ = c.Next() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
		return noteTail(conf, tail)
	})
}

func noteTail(conf *bbolt.Bucket, last uint64) error {
	return conf.Put(keyTail, sealValue(keyTail, indexKey(last)))
}

// checkTail compares the log's end with what was noted. A file of raft-boltdb's
// own making, or of an older version of ours, has no note.
func (f *boltFile) checkTail() error {
	val, err := f.get(keyTail)
	if errors.Is(err, errNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	noted, ok := unsealValue(keyTail, val)
	if !ok || len(noted) != 8 {
		return damaged(f.path, "wrong checksum of the note of its last entry")
	}
	_, last, err := f.ends()
	if want := binary.BigEndian.Uint64(noted); err == nil && last != want {
		return damaged(f.path, fmt.Sprintf("it ends at entry %d, but entry %d was stored", last, want))
	}
	return err
}

// decodeEntry reads what append stored. The entry keeps nothing of val.
func decodeEntry(val []byte, log *raft.Log) error {
	return codec.NewDecoder(bytes.NewReader(val), msgpack).Decode(log)
}

func indexKey(index uint64) []byte { return binary.BigEndian.AppendUint64(nil, index) }
