package logstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// bbolt's file format (its internal/common: page.go, meta.go, inode.go), in the
// machine's own byte order: a page is a 16-byte header and an array of 16-byte
// elements that point to keys and values behind them.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2

	pageHeader  = 16
	elementSize = 16
	metaSize    = 64
	metaSummed  = 56 // bytes of a meta that its checksum covers

	branchPage = 0x01
	leafPage   = 0x02
	metaPage   = 0x04

	bucketElement = 0x01
	bucketHeader  = 16 // a bucket's value: root page, sequence; an inline page follows where root is 0

	minPageSize = 1 << 10
	maxPageSize = 1 << 16
	maxDepth    = 64 // a tree this deep would hold more than any disk
)

// boltMeta is what a meta page says.
type boltMeta struct {
	pageSize          int64
	root, pages, txid uint64
}

// checkPages reads all pages that can be reached in a bbolt file, its two meta
// pages first. bbolt itself is content with one of the two, and then silently
// shows an older state: a page of zeroes would cost the last entries. A meta
// lies within one disk sector, so a power loss cannot tear it.
func checkPages(file *os.File, path string) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	meta, err := readMetas(file, info.Size())
	if err != nil {
		return damaged(path, err)
	}
	if int64(meta.pages) > info.Size()/meta.pageSize {
		return damaged(path, fmt.Sprintf("it was cut short: %d bytes, but %d pages of %d are in use", info.Size(), meta.pages, meta.pageSize))
	}
	w := &pageWalker{file: file, meta: meta, seen: make([]bool, meta.pages)}
	if _, err := w.walk(meta.root, nil, 0); err != nil {
		return damaged(path, err)
	}
	return nil
}

// readMetas returns the newer of the two metas, both of which must be whole.
func readMetas(file io.ReaderAt, size int64) (boltMeta, error) {
	first, err := readMeta(file, 0)
	if err != nil {
		return boltMeta{}, fmt.Errorf("meta page 0: %w", err)
	}
	if first.pageSize < minPageSize || first.pageSize > maxPageSize || size < 4*first.pageSize {
		return boltMeta{}, fmt.Errorf("%d bytes, page size %d", size, first.pageSize)
	}
	second, err := readMeta(file, first.pageSize)
	if err != nil {
		return boltMeta{}, fmt.Errorf("meta page 1: %w", err)
	}
	if second.pageSize != first.pageSize {
		return boltMeta{}, errors.New("the two meta pages disagree")
	}
	if second.txid > first.txid {
		return second, nil
	}
	return first, nil
}

func readMeta(file io.ReaderAt, at int64) (boltMeta, error) {
	var page [pageHeader + metaSize]byte
	if _, err := file.ReadAt(page[:], at); err != nil {
		return boltMeta{}, err
	}
	m := page[pageHeader:]
	sum := fnv.New64a()
	sum.Write(m[:metaSummed])
	switch {
	case binary.NativeEndian.Uint32(m) != boltMagic:
		return boltMeta{}, errors.New("no bbolt file, or its head is overwritten")
	case binary.NativeEndian.Uint32(m[4:]) != boltVersion:
		return boltMeta{}, errors.New("unknown bbolt version")
	case binary.NativeEndian.Uint64(m[metaSummed:]) != sum.Sum64():
		return boltMeta{}, errors.New("wrong checksum")
	}
	return boltMeta{
		pageSize: int64(binary.NativeEndian.Uint32(m[8:])),
		root:     binary.NativeEndian.Uint64(m[16:]),
		pages:    binary.NativeEndian.Uint64(m[40:]),
		txid:     binary.NativeEndian.Uint64(m[48:]),
	}, nil
}

// pageWalker visits every page of a file once.
type pageWalker struct {
	file io.ReaderAt
	meta boltMeta
	seen []bool // by page id
}

// walk checks the subtree at page id. Its first key must not come before from
// (nil for any); its last key is returned.
func (w *pageWalker) walk(id uint64, from []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errors.New("its tree is too deep")
	}
	page, err := w.load(id)
	if err != nil {
		return nil, err
	}
	last, err := w.elements(page, from, depth)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return last, nil
}

// load reads a page with its overflow and marks it as seen.
func (w *pageWalker) load(id uint64) ([]byte, error) {
	if id < 2 || id >= w.meta.pages {
		return nil, fmt.Errorf("page %d does not exist", id)
	}
	var head [pageHeader]byte
	at := int64(id) * w.meta.pageSize
	if _, err := w.file.ReadAt(head[:], at); err != nil {
		return nil, err
	}
	overflow := uint64(binary.NativeEndian.Uint32(head[12:]))
	if binary.NativeEndian.Uint64(head[:]) != id || id+overflow >= w.meta.pages {
		return nil, fmt.Errorf("page %d has a wrong header", id)
	}
	for i := id; i <= id+overflow; i++ {
		if w.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		w.seen[i] = true
	}
	page := make([]byte, int64(overflow+1)*w.meta.pageSize)
	_, err := w.file.ReadAt(page, at)
	return page, err
}

// elements checks what a branch or a leaf holds, and goes on below it.
func (w *pageWalker) elements(page, from []byte, depth int) ([]byte, error) {
	flags, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	if flags != branchPage && flags != leafPage {
		return nil, fmt.Errorf("neither branch nor leaf (flags %#x)", flags)
	}
	if flags == branchPage && count == 0 || pageHeader+count*elementSize > len(page) {
		return nil, fmt.Errorf("impossible count %d", count)
	}
	prev := from
	// bbolt writes keys and values without gaps behind the last element, so a wrong
	// count, which would hide elements, does not fit the first one's position.
	next := uint64(pageHeader + count*elementSize)
	for i := range count {
		e := element{page: page, at: pageHeader + i*elementSize, leaf: flags == leafPage}
		key, value, err := e.content()
		if err == nil && e.from() != next {
			err = errors.New("it is not where it was put")
		}
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		next += uint64(len(key) + len(value))
		// A branch's key is the first one below it, or was so before that was
		// removed: so the first of a page may equal from, all others must rise.
		if order := bytes.Compare(prev, key); prev != nil && (order > 0 || order == 0 && i > 0) {
			return nil, fmt.Errorf("element %d: keys are out of order", i)
		}
		prev, err = w.below(e, key, value, depth)
		if err != nil {
			return nil, err
		}
	}
	return prev, nil
}

// below follows a branch element to its page and a bucket element to its root.
// It returns the last key of the tree that the element belongs to.
func (w *pageWalker) below(e element, key, value []byte, depth int) ([]byte, error) {
	switch {
	case !e.leaf:
		return w.walk(e.child(), key, depth+1)
	case e.flags()&bucketElement == 0:
		return key, nil
	case len(value) < bucketHeader:
		return nil, errors.New("bucket without a root")
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		_, err := w.walk(root, nil, depth+1)
		return key, err
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader {
		return nil, errors.New("bucket without a page")
	}
	_, err := w.elements(inline, nil, depth+1)
	return key, err
}

// element is one entry of a page's array.
type element struct {
	page []byte
	at   int
	leaf bool
}

func (e element) word(i int) uint32 { return binary.NativeEndian.Uint32(e.page[e.at+4*i:]) }

func (e element) flags() uint32 { return e.word(0) }

func (e element) child() uint64 { return binary.NativeEndian.Uint64(e.page[e.at+8:]) }

// from is where its key begins in the page.
func (e element) from() uint64 {
	if e.leaf {
		return uint64(e.at) + uint64(e.word(1))
	}
	return uint64(e.at) + uint64(e.word(0))
}

// content returns key and value (nil in a branch). A leaf's element is flags,
// position, key size, value size; a branch's is position, key size, page.
func (e element) content() (key, value []byte, err error) {
	ksize, vsize := uint64(e.word(1)), uint64(0)
	if e.leaf {
		ksize, vsize = uint64(e.word(2)), uint64(e.word(3))
	}
	from := e.from()
	if from+ksize+vsize > uint64(len(e.page)) {
		return nil, nil, errors.New("it points out of its page")
	}
	return e.page[from : from+ksize], e.page[from+ksize : from+ksize+vsize], nil
}
