package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// chunkReader reads chunk after chunk and checks each before anything in it is
// used. After the first error it reads only zeros, and every section is at its end.
type chunkReader struct {
	r      *bufio.Reader
	buf    []byte // where a chunk is read into
	rest   []byte // payload of the present chunk, not yet used
	tag    byte
	flags  byte
	crc    uint32
	offset int64
	err    error
}

func newChunkReader(r io.Reader) *chunkReader {
	return &chunkReader{r: bufio.NewReaderSize(r, chunkHead+chunkPayload+4), flags: flagLast}
}

func (c *chunkReader) opening() {
	var head [len(magic) + 2]byte
	c.read(head[:])
	if c.err == nil && string(head[:len(magic)]) != magic {
		c.corrupt("this is no snapshot of RaftKV")
	}
	if format := binary.LittleEndian.Uint16(head[len(magic):]); c.err == nil && format != Format {
		c.fail(fmt.Errorf("%w: format %d, this program knows %d", ErrVersion, format, Format))
	}
	c.crc = crc32.Update(0, castagnoli, head[:])
}

func (c *chunkReader) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.rest, c.flags = nil, flagLast
}

func (c *chunkReader) corrupt(what string) {
	c.fail(fmt.Errorf("%w: %s (before byte %d)", ErrCorrupt, what, c.offset))
}

// read fills b.
func (c *chunkReader) read(b []byte) {
	if c.err != nil {
		return
	}
	n, err := io.ReadFull(c.r, b)
	c.offset += int64(n)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		c.corrupt("it is cut off")
	default:
		c.fail(fmt.Errorf("read snapshot: %w", err))
	}
}

// chunk reads the next chunk.
func (c *chunkReader) chunk() {
	var head [chunkHead]byte
	c.read(head[:])
	size := binary.LittleEndian.Uint32(head[2:])
	if c.err == nil && size > maxPayload {
		c.corrupt("a chunk is too large")
	}
	if c.err != nil {
		return
	}
	if cap(c.buf) < int(size)+4 {
		c.buf = make([]byte, max(int(size), chunkPayload)+4)
	}
	body := c.buf[:size+4]
	c.read(body)
	if c.err != nil {
		return
	}
	c.crc = crc32.Update(crc32.Update(c.crc, castagnoli, head[:]), castagnoli, body[:size])
	if binary.LittleEndian.Uint32(body[size:]) != c.crc {
		c.corrupt("a checksum is wrong")
		return
	}
	c.tag, c.flags, c.rest = head[0], head[1], body[:size]
	if c.flags&^knownFlags != 0 {
		c.fail(fmt.Errorf("%w: unknown flags %#x", ErrVersion, c.flags&^knownFlags))
	}
}

// next opens the next section and returns its tag. The one before must have been
// read to its end.
func (c *chunkReader) next() byte {
	if !c.atEnd() {
		c.corrupt("a section holds more than it should")
	}
	c.chunk()
	if c.err != nil {
		return secEnd
	}
	return c.tag
}

// more makes sure that rest is not empty; false at the section's end.
func (c *chunkReader) more() bool {
	for len(c.rest) == 0 {
		if c.flags&flagLast != 0 {
			return false
		}
		tag := c.tag
		if c.chunk(); c.err == nil && c.tag != tag {
			c.corrupt("a section is cut off")
		}
	}
	return true
}

// atEnd says whether the section has been read to its end.
func (c *chunkReader) atEnd() bool { return !c.more() }

// pass reads the section to its end without looking at it.
func (c *chunkReader) pass() {
	for c.more() {
		c.rest = nil
	}
}

func (c *chunkReader) byte() byte {
	if !c.more() {
		c.corrupt("a section is too short")
		return 0
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	return b
}

// ReadByte is for the varints of encoding/binary.
func (c *chunkReader) ReadByte() (byte, error) {
	b := c.byte()
	return b, c.err
}

func (c *chunkReader) number() uint64 {
	if v, n := binary.Uvarint(c.rest); n > 0 {
		c.rest = c.rest[n:]
		return v
	}
	v, err := binary.ReadUvarint(c) // at a chunk's edge
	if err != nil {
		c.corrupt("a number is too large")
		return 0
	}
	return v
}

func (c *chunkReader) signed() int64 {
	v, err := binary.ReadVarint(c)
	if err != nil {
		c.corrupt("a number is too large")
		return 0
	}
	return v
}

// bytes reads a length and so many bytes. They are valid until the next read;
// where they lie over several chunks, buf is used and grows as they really come.
func (c *chunkReader) bytes(buf *[]byte) []byte { return c.sized(c.number(), buf) }

// sized reads n bytes.
func (c *chunkReader) sized(n uint64, buf *[]byte) []byte {
	if n <= uint64(len(c.rest)) {
		b := c.rest[:n]
		c.rest = c.rest[n:]
		return b
	}
	*buf = (*buf)[:0]
	c.pieces(n, func(piece []byte) { *buf = append(*buf, piece...) })
	if c.err != nil {
		return nil
	}
	return *buf
}

// pieces reads n bytes and calls fn with one chunk's after the other's.
func (c *chunkReader) pieces(n uint64, fn func([]byte)) {
	for n > 0 {
		if !c.more() {
			c.corrupt("a section is too short")
			return
		}
		piece := c.rest[:min(n, uint64(len(c.rest)))]
		c.rest = c.rest[len(piece):]
		fn(piece)
		n -= uint64(len(piece))
	}
}
