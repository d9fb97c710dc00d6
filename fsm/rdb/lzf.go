package rdb

import "math/bits"

// LZF is a sequence of literal runs (a byte below 32, one less than the length, and the
// bytes) and of references: three upper bits of length less two, 7 for one more byte of
// it, and 13 bits of distance less one. Format and way of compressing are liblzf's
// (M. Lehmann), as Redis has it, down to the same bytes.
const (
	lzfLiteral  = 32
	lzfDistance = 1 << 13
	lzfLength   = 264
	lzfHashBits = 16
	// lzfMost is how many bytes one of a packed form may unpack to: a reference of three
	// bytes stands for lzfLength.
	lzfMost = lzfLength / 3
)

func lzfHash(b []byte) uint32 {
	v := uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
	return (v>>(24-lzfHashBits) - v*5) & (lzfHashes - 1)
}

// compressor packs strings one after the other. Its zero value is ready for use.
type compressor struct {
	// last is where bytes of a hash were last seen, counted from base on: what is below
	// base was in an earlier string. So the table need not be cleared for each. Its size
	// is a power of two, at least twice the longest string's length, so that a short one
	// does not pay for 256 KiB, or lzfHashes, which a long one may fill.
	last []uint32
	// hashes are, in a table that is smaller, whose places those are: a hash takes the
	// first free place from its own on. So the size of the table changes no byte.
	hashes []uint16
	base   uint32
	out    []byte
}

const lzfHashes = 1 << lzfHashBits

// begin makes the table ready for a string.
func (c *compressor) begin(n int) {
	const most = 1 << 31
	size := lzfHashes
	if n < lzfHashes/2 {
		size = 1 << bits.Len(uint(2*n-1))
	}
	switch {
	case size > len(c.last):
		c.last, c.hashes, c.base = make([]uint32, size), nil, 1
		if size < lzfHashes {
			c.hashes = make([]uint16, size)
		}
	case c.base > most-1-uint32(min(n, most-1)):
		clear(c.last)
		c.base = 1
	}
}

// see notes that bytes of a hash are at a position, and returns where they were before,
// below 0 if nowhere.
func (c *compressor) see(hash uint32, at int) (from int) {
	i := hash
	if c.hashes != nil {
		mask := uint32(len(c.last) - 1)
		for i &= mask; c.last[i] >= c.base && c.hashes[i] != uint16(hash); {
			i = (i + 1) & mask
		}
		c.hashes[i] = uint16(hash)
	}
	from = int(c.last[i]) - int(c.base)
	c.last[i] = c.base + uint32(at)
	return from
}

// compress returns the packed form, nil where it would not save at least four bytes. It
// is valid until the next call.
func (c *compressor) compress(in []byte) []byte {
	room := len(in) - 4
	if room <= 0 || uint64(len(in)) >= 1<<31 {
		return nil
	}
	c.begin(len(in))
	defer func() { c.base += uint32(len(in)) }()
	p := packing{in: in, out: append(c.out[:0], 0)}
	defer func() { c.out = p.out }()
	for p.at < len(in)-2 {
		from := c.see(lzfHash(in[p.at:]), p.at)
		if from < 1 || p.at-from > lzfDistance || in[from] != in[p.at] || in[from+1] != in[p.at+1] || in[from+2] != in[p.at+2] {
			if len(p.out) >= room {
				return nil
			}
			p.literal()
			continue
		}
		if !p.reference(from, room) {
			return nil
		}
		if p.at >= len(in)-2 {
			break
		}
		for i := p.at - 2; i < p.at; i++ { // what the match's end may be found by
			c.see(lzfHash(in[i:]), i)
		}
	}
	if len(p.out)+3 > room {
		return nil
	}
	for p.at < len(in) {
		p.literal()
	}
	p.endRun()
	return p.out
}

// packing is a string that is being packed. The first byte of a run stands before it in
// out, also where there is none yet.
type packing struct {
	in, out []byte
	at, run int
}

func (p *packing) literal() {
	p.out = append(p.out, p.in[p.at])
	p.run, p.at = p.run+1, p.at+1
	if p.run == lzfLiteral {
		p.endRun()
		p.out = append(p.out, 0)
	}
}

func (p *packing) endRun() {
	if p.run > 0 {
		p.out[len(p.out)-p.run-1] = byte(p.run - 1)
	} else {
		p.out = p.out[:len(p.out)-1]
	}
	p.run = 0
}

// reference stands for what begins both at from and here; false where there is no room.
func (p *packing) reference(from, room int) bool {
	end := len(p.out) + 3 + 1
	if p.run == 0 {
		end--
	}
	if end >= room {
		return false
	}
	p.endRun()
	n := 3
	for most := min(len(p.in)-p.at-2, lzfLength); n < most && p.in[from+n] == p.in[p.at+n]; {
		n++
	}
	p.out = append(appendReference(p.out, n, p.at-from-1), 0)
	p.at += n
	return true
}

func appendReference(out []byte, n, distance int) []byte {
	high := byte(distance >> 8)
	if n -= 2; n < 7 {
		out = append(out, high|byte(n)<<5)
	} else {
		out = append(out, high|7<<5, byte(n-7))
	}
	return append(out, byte(distance))
}

// decompress returns the size bytes that in is the packed form of, nil if it is not.
func decompress(in []byte, size int) []byte {
	if size > len(in)*lzfMost {
		return nil
	}
	out := make([]byte, 0, size)
	for len(in) > 0 {
		first := in[0]
		in = in[1:]
		if first < lzfLiteral {
			n := int(first) + 1
			if n > len(in) || len(out)+n > size {
				return nil
			}
			out, in = append(out, in[:n]...), in[n:]
			continue
		}
		n := int(first >> 5)
		if n == 7 && len(in) > 0 {
			n, in = n+int(in[0]), in[1:]
		}
		if len(in) == 0 {
			return nil
		}
		from := len(out) - (int(first&0x1f)<<8 | int(in[0])) - 1
		in = in[1:]
		if n += 2; from < 0 || len(out)+n > size {
			return nil
		}
		for i := range n { // it may overlap with itself
			out = append(out, out[from+i])
		}
	}
	if len(out) != size {
		return nil
	}
	return out
}
