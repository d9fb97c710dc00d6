package logstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	fileMode    = 0o600
	lockTimeout = time.Second
	tmpSuffix   = ".tmp"
)

// sentinelKey, in the store's conf bucket, holds "kind/format/uuid": that this
// file has been created by us, for which use, and for which cluster. Without it
// an empty or swapped file would open as that of a fresh node.
var sentinelKey = []byte("raftkv.file")

// boltFile is one open bbolt file with its sentinel.
type boltFile struct {
	db   *bbolt.DB
	path string

	mu     sync.Mutex
	failed error // the first failed write; guarded by mu
}

func boltOptions(mmap int) *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lockTimeout,
		NoFreelistSync:  true, // rebuilt at open; saves writing it at each commit
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: mmap,
	}
}

// sealed says how a file of one kind is made and recognised.
type sealed struct {
	kind     string // "log" or "vote"
	uuid     string // of the cluster; "" for any
	mmap     int    // address space to reserve, bytes
	room     int    // bytes of disk that a fresh file takes at once, so that it can be written when the disk is full
	readOnly bool
	fill     func(conf *bbolt.Bucket) error // first content, or nil
	used     func(*boltFile) (bool, error)  // whether it holds state
}

const formatVersion = "1"

func (k sealed) sentinel() string { return k.kind + "/" + formatVersion + "/" + k.uuid }

// createFile makes the file durable under its name in one step, so a crash
// leaves either nothing or a complete file. A file that is there and holds no
// state is the trace of such a crash and is replaced, whatever its cluster.
func createFile(path string, k sealed) error {
	if err := replaceable(path, k); err != nil {
		return err
	}
	tmp := path + tmpSuffix
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := writeFresh(tmp, k); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeFresh(path string, k sealed) error {
	db, err := bbolt.Open(path, fileMode, boltOptions(0))
	if err != nil {
		return openError(path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(bucketLogs); err != nil {
			return err
		}
		conf, err := tx.CreateBucket(bucketConf)
		if err == nil {
			err = conf.Put(sentinelKey, []byte(k.sentinel()))
		}
		if err == nil && k.fill != nil {
			err = k.fill(conf)
		}
		return err
	})
	return errors.Join(err, db.Close(), takeRoom(path, k.room))
}

// takeRoom writes zeroes behind a file's content until it is so large, and waits
// until they are on disk.
func takeRoom(path string, room int) error {
	file, err := os.OpenFile(path, os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && int64(room) > info.Size() {
		if _, err = file.WriteAt(make([]byte, int64(room)-info.Size()), info.Size()); err == nil {
			err = file.Sync()
		}
	}
	return errors.Join(err, file.Close())
}

// replaceable returns nil if there is no file, or one of this kind without state.
func replaceable(path string, k sealed) error {
	there, err := Exists(path)
	if err != nil || !there {
		return err
	}
	k.uuid = "" // any
	f, err := openFile(path, k)
	if err != nil {
		return err
	}
	used, err := k.used(f)
	if err == nil && used {
		err = &FileError{path, ErrHasState, "already holds state; it is not replaced"}
	}
	return errors.Join(err, f.Close())
}

// openFile opens a file that must be there, whole, of this kind and cluster and
// not in use. All pages are checked before bbolt sees them for writing:
// rebuilding its free list it walks them in a goroutine of its own, where a
// panic could not be recovered.
func openFile(path string, k sealed) (*boltFile, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, missing(path)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, foreign(path, "is no regular file")
	case info.Size() == 0:
		return nil, damaged(path, "it is empty")
	}
	if err := inspect(path, k); err != nil {
		return nil, err
	}
	f := &boltFile{path: path}
	opts := boltOptions(k.mmap)
	opts.ReadOnly = k.readOnly
	err = guarded(path, func() (err error) {
		f.db, err = bbolt.Open(path, fileMode, opts)
		return err
	})
	if err != nil {
		return nil, openError(path, err)
	}
	return f, nil
}

// Close closes the file.
func (f *boltFile) Close() error { return f.db.Close() }

// inspect checks pages and sentinel under bbolt's own shared lock, without
// changing the file.
func inspect(path string, k sealed) error {
	var file *os.File
	opts := boltOptions(0)
	opts.ReadOnly = true
	opts.OpenFile = func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	return guarded(path, func() error {
		whole := false
		defer func() {
			if !whole && file != nil {
				file.Close() // bbolt panicked halfway, or has closed it: a second time does no harm
			}
		}()
		db, err := bbolt.Open(path, fileMode, opts)
		if err != nil {
			return openError(path, err)
		}
		err = checkPages(file, path)
		if err == nil {
			err = checkSentinel(db, path, k)
		}
		whole = true
		return errors.Join(err, db.Close())
	})
}

func openError(path string, err error) error {
	var already *FileError
	var denied *os.PathError
	var errno syscall.Errno
	switch {
	case errors.As(err, &already):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return inUse(path)
	case errors.As(err, &denied):
		return fmt.Errorf("%s: cannot be opened: %w", path, denied.Err) // permissions
	case errors.As(err, &errno):
		return fmt.Errorf("%s: %w", path, err) // no memory to map it, no space
	default:
		return damaged(path, err)
	}
}

// checkSentinel looks for the two buckets, and for the sentinel in the second.
func checkSentinel(db *bbolt.DB, path string, k sealed) error {
	return db.View(func(tx *bbolt.Tx) error {
		logs, conf := tx.Bucket(bucketLogs), tx.Bucket(bucketConf)
		if logs == nil && conf == nil || conf != nil && conf.Get(sentinelKey) == nil {
			return foreign(path, "was not made by raftkv; choose another data dir")
		}
		if logs == nil || conf == nil {
			return damaged(path, "one of its buckets is gone")
		}
		return k.compare(path, string(conf.Get(sentinelKey)))
	})
}

// compare says how the sentinel that was found differs from the expected one.
func (k sealed) compare(path, found string) error {
	part := strings.SplitN(found, "/", 3)
	switch {
	case len(part) != 3:
		return damaged(path, "its sentinel is unreadable")
	case part[0] != k.kind:
		return misplaced(path, fmt.Sprintf("is a %.20q file, not a %q file", part[0], k.kind))
	case part[1] != formatVersion:
		return foreign(path, fmt.Sprintf("has format %.20q, and this raftkv knows %q; use the version that wrote it", part[1], formatVersion))
	case k.uuid != "" && part[2] != k.uuid:
		return ofCluster(path, part[2], k.uuid)
	}
	return nil
}

// write runs fn, which changes the file, unless an earlier one failed: after a
// failed fsync the kernel may have dropped the pages, and a later success would
// prove nothing about them.
func (f *boltFile) write(fn func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return fmt.Errorf("%s: %w: %v", f.path, ErrWriteFailed, f.failed)
	}
	err := guarded(f.path, fn)
	if err == nil {
		return nil
	}
	if noSpace(err) {
		return fmt.Errorf("%s: %w", f.path, ErrNoSpace)
	}
	f.failed = err
	return fmt.Errorf("%s: %w", f.path, err)
}

// noSpace reports whether a commit ended because the disk is full, before
// anything of it counts: bbolt writes pages that nothing refers to first, and
// rolls back when that fails. It is a write that must say so; from a sync the
// same number would leave in doubt what is on disk.
func noSpace(err error) bool {
	var write *os.PathError
	return errors.As(err, &write) && write.Op == "write" &&
		(errors.Is(write.Err, syscall.ENOSPC) || errors.Is(write.Err, syscall.EDQUOT))
}

// guarded turns a panic of bbolt, or a fault in its memory map (a file cut
// short, an unreadable sector), into an error.
func guarded(path string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = damaged(path, r)
		}
	}()
	return fn()
}

// syncDir makes created, renamed and removed names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
