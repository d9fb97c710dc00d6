package logstore

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// files is how the segmented log reaches its disk. Tests put one in its place
// that forgets, tears and fails.
type files interface {
	// open opens a file that is there.
	open(path string, write bool) (file, error)
	// create makes an empty file, or empties the one that is there.
	create(path string) (file, error)
	mkdir(path string) error
	rename(from, to string) error
	remove(path string) error
	removeAll(path string) error
	// list returns the names in a directory.
	list(dir string) ([]string, error)
	// syncDir makes created, renamed and removed names durable.
	syncDir(dir string) error
	// lock keeps others from locking the file until it is closed, where shared
	// from locking it exclusively; ErrInUse where it is locked already.
	lock(f file, path string, shared bool) error
}

// file is an open file.
type file interface {
	io.ReaderAt
	io.WriterAt
	// reserve takes the room for a file of that size, where the system can.
	reserve(size int64) error
	// Sync returns once what was written, and the file's size, are on disk.
	Sync() error
	// append writes b at that place, behind which there are only zeroes, and returns
	// once it is on disk.
	append(b []byte, at int64) error
	// full says that nothing will be appended any more: what only that needs goes.
	full()
	Size() (int64, error)
	// Truncate cuts the file to that size.
	Truncate(size int64) error
	Close() error
}

// osFiles is the operating system's.
type osFiles struct{}

func (osFiles) open(path string, write bool) (file, error) {
	flag := os.O_RDONLY
	if write {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func (osFiles) create(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return nil, err
	}
	return &osFile{File: f}, nil
}

func (osFiles) mkdir(path string) error { return os.Mkdir(path, 0o700) }

func (osFiles) rename(from, to string) error { return os.Rename(from, to) }

func (osFiles) remove(path string) error { return os.Remove(path) }

func (osFiles) removeAll(path string) error { return os.RemoveAll(path) }

func (osFiles) list(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (osFiles) syncDir(dir string) error { return syncDir(dir) }

func (osFiles) lock(f file, path string, shared bool) error {
	how := syscall.LOCK_EX
	if shared {
		how = syscall.LOCK_SH
	}
	return await(lockTimeout, func() error {
		err := syscall.Flock(int(f.(*osFile).Fd()), how|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return inUse(path)
		}
		return err
	})
}

// await repeats fn, for so long at most, while it says that the file is in use.
func await(limit time.Duration, fn func() error) error {
	const pause = 20 * time.Millisecond
	for end := time.Now().Add(limit); ; time.Sleep(pause) {
		if err := fn(); !errors.Is(err, ErrInUse) || time.Now().After(end) {
			return err
		}
	}
}

type osFile struct {
	*os.File
	direct directWriter
}

// Sync leaves out what is of no use for reading the data back, as the time of
// the last change.
func (f *osFile) Sync() error { return datasync(f.File) }

func (f *osFile) append(b []byte, at int64) error {
	if done, err := f.direct.write(f.File, b, at); done || err != nil {
		return err
	}
	if _, err := f.WriteAt(b, at); err != nil {
		return err
	}
	return f.Sync()
}

func (f *osFile) full() { f.direct.release() }

func (f *osFile) Close() error { return errors.Join(f.direct.close(), f.File.Close()) }

func (f *osFile) reserve(size int64) error { return reserve(f.File, size) }

func (f *osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// diskFull reports whether an error says that there is no space.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
