package logstore

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// directBlock is what places, lengths and memory of direct writes are multiples
	// of: no disk that is sold has larger blocks.
	directBlock = 4096
	// directMost is the longest append that goes past the system's cache: a longer one
	// costs more to lay out here than its copy there costs.
	directMost = 256 << 10
)

// directWriter writes durably, past the system's cache: one call in place of two, and
// the disk is told to keep the bytes as it gets them. It writes whole blocks. What
// precedes the bytes in their first block it writes again, as it was; behind them it
// writes zeroes. So it is of use only where nothing but zeroes follows.
type directWriter struct {
	file    *os.File // of its own; nil before the first use
	useless bool     // the file system can't
	buf     []byte   // aligned; begins with the bytes of the block that end is in
	end     int64    // behind the last write
}

// write returns once b is on disk at that place; done is false where that has to be
// done another way.
func (w *directWriter) write(f *os.File, b []byte, at int64) (done bool, err error) {
	if w.useless || len(b) > directMost {
		w.end = 0
		return false, nil
	}
	if w.file == nil && !w.open(f) {
		return false, nil
	}
	head := int(at % directBlock)
	length := (head + len(b) + directBlock - 1) / directBlock * directBlock
	if err := w.prepare(f, at, length); err != nil {
		return false, err
	}
	copy(w.buf[head:], b)
	clear(w.buf[head+len(b) : length])
	_, err = w.file.WriteAt(w.buf[:length], at-int64(head))
	if errors.Is(err, unix.EINVAL) { // refused, and not failed: this file system wants another alignment
		w.useless = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	w.end = at + int64(len(b))
	copy(w.buf, w.buf[(head+len(b))/directBlock*directBlock:length])
	return true, nil
}

// open opens the file once more, under whatever name it has by now.
func (w *directWriter) open(f *os.File) bool {
	var err error
	w.file, err = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDWR|unix.O_DIRECT|unix.O_DSYNC, 0)
	w.useless = err != nil
	return err == nil
}

// prepare makes the buffer so long, beginning with what precedes at in its block.
func (w *directWriter) prepare(f *os.File, at int64, length int) error {
	head := at % directBlock
	known := w.end == at && len(w.buf) > 0
	if len(w.buf) < length {
		old := w.buf
		w.buf = aligned(max(length, 2*len(old)))
		copy(w.buf, old)
	}
	if known || head == 0 {
		return nil
	}
	_, err := f.ReadAt(w.buf[:head], at-head)
	return err
}

func aligned(size int) []byte {
	b := make([]byte, size+directBlock)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (directBlock - 1)
	return b[skip : skip+size : skip+size]
}

// release gives back what only writing needs. All that was written is on disk, so it
// does not matter what closing the file says.
func (w *directWriter) release() {
	_ = w.close()
	*w = directWriter{useless: true}
}

func (w *directWriter) close() error {
	if w.file == nil {
		return nil
	}
	return w.file.Close()
}
