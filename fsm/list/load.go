package list

import (
	"encoding/binary"
	"fmt"

	"github.com/raftkv/raftkv/fsm/pack"
)

// The kinds of a piece of a snapshot, its first byte.
const (
	kindPacked = 1 // elements, as in package pack
	kindLarge  = 2 // the length of a long element (a varint) and its first bytes
	kindMore   = 3 // its next bytes
)

const (
	// maxPiece is the most bytes of elements in a piece.
	maxPiece = 8 << 10
	// maxElement is the longest element there may be, Redis's proto-max-bulk-len.
	maxElement = 512 << 20
)

// Parts calls fn with the snapshot form in pieces, until fn returns an error, which it
// returns. The form follows from the elements alone, not from the pages they are in.
func (l *List) Parts(fn func(part []byte) error) (err error) {
	part := []byte{kindPacked}
	flush := func() error {
		if len(part) == 1 {
			return nil
		}
		err := fn(part)
		part = part[:1]
		return err
	}
	l.Ascend(0, func(v []byte) bool {
		if len(v) > maxPacked || len(part)+pack.Size(len(v)) > maxPiece {
			err = flush()
		}
		if err == nil && len(v) > maxPacked {
			err = largeParts(v, fn)
		} else {
			part = pack.Seq(part).Append(v)
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func largeParts(v []byte, fn func(part []byte) error) error {
	part := make([]byte, 0, 1+binary.MaxVarintLen64+maxPiece)
	part = binary.AppendUvarint(append(part, kindLarge), uint64(len(v)))
	for len(v) > 0 {
		n := min(len(v), maxPiece)
		if err := fn(append(part, v[:n]...)); err != nil {
			return err
		}
		part, v = append(part[:0], kindMore), v[n:]
	}
	return nil
}

// Loader makes a list from the pieces of Parts, which may come from anywhere.
type Loader struct {
	l    List
	long []byte // a long element as far as it came, of which
	left int    // so many bytes are still to come
}

// NewLoader returns a Loader.
func NewLoader() *Loader { return &Loader{} }

// Add takes the next piece, which it does not keep.
func (l *Loader) Add(part []byte) error {
	if len(part) == 0 || l.left > 0 != (part[0] == kindMore) {
		return fmt.Errorf("piece of a list in a wrong place")
	}
	kind, rest := part[0], part[1:]
	switch kind {
	case kindPacked:
		return l.packed(rest)
	case kindLarge:
		size, n := binary.Uvarint(rest)
		if n <= 0 || size <= maxPacked || size > maxElement {
			return fmt.Errorf("long element of a list that is none")
		}
		l.long, l.left = nil, int(size)
		return l.more(rest[n:])
	case kindMore:
		return l.more(rest)
	}
	return fmt.Errorf("piece of a list of kind %d", kind)
}

func (l *Loader) packed(rest pack.Seq) error {
	if n, ok := rest.Count(); !ok || n == 0 {
		return fmt.Errorf("elements of a list that are none")
	}
	for at := 0; at < len(rest); {
		var v []byte
		v, at = rest.Next(at)
		l.l.PushBack(v)
	}
	return nil
}

// more takes the next bytes of a long element.
func (l *Loader) more(b []byte) error {
	if len(b) == 0 || len(b) > l.left {
		return fmt.Errorf("long element of a list that is none")
	}
	if have := len(l.long); have+len(b) > cap(l.long) {
		// Room for more than has come, but not for all that was only promised.
		room := min(have+l.left, max(firstRoom, 8*have))
		l.long = append(make([]byte, 0, room), l.long...)
	}
	l.long = append(l.long, b...)
	if l.left -= len(b); l.left == 0 {
		l.l.adoptLong(l.long)
		l.long = nil
	}
	return nil
}

// firstRoom is what is allocated for a long element at first.
const firstRoom = 1 << 20

// adoptLong puts a long element at the end, which it does not copy.
func (l *List) adoptLong(v []byte) {
	l.PushBack(v[:maxPacked+1]) // which has a page of its own, too
	n, _ := l.edit(l.n-1, false, 0)
	n.page = page{buf: v, hi: int32(len(v)), n: 1, large: true}
	l.bytes += len(v) - (maxPacked + 1)
}

// Done returns the list.
func (l *Loader) Done() (*List, error) {
	if l.left > 0 || l.l.Len() == 0 {
		return nil, fmt.Errorf("list without an end, or without elements")
	}
	return &l.l, nil
}
