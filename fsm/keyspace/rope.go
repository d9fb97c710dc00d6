package keyspace

// chunkSize is the length of every chunk of a rope but the last. It bounds what
// one change copies: the chunk's bytes and the list of chunks.
const chunkSize = 64 << 10

// rope is a long string in chunks, so that it grows and changes in place without
// being copied as a whole, also right after a snapshot. It implements Value.
type rope struct {
	chunks []chunk
	size   int
}

// chunk holds chunkSize bytes, the last chunk of a rope 1 to chunkSize.
type chunk struct {
	data []byte
	// owned says that no other rope shares data, so that it may be written.
	owned bool
}

// newRope copies text.
func newRope(text []byte) *rope {
	r := &rope{}
	r.write(0, text)
	return r
}

// Type implements Value.
func (r *rope) Type() Type { return String }

// Encoding implements Value: a rope is longer than any integer.
func (r *rope) Encoding() string { return "raw" }

// Size implements Value.
func (r *rope) Size() int { return r.size + len(r.chunks)*40 + 32 }

// Clone implements Value. All chunks are shared until they are written.
func (r *rope) Clone() Value {
	c := &rope{chunks: make([]chunk, len(r.chunks)), size: r.size}
	for i, ch := range r.chunks {
		// The capacity is cut: two clones must not grow into the same room.
		c.chunks[i] = chunk{data: ch.data[:len(ch.data):len(ch.data)]}
	}
	return c
}

func (r *rope) appendTo(dst []byte, from, to int) []byte {
	r.each(from, to, func(part []byte) { dst = append(dst, part...) })
	return dst
}

// each calls fn with the pieces of [from, to) in order.
func (r *rope) each(from, to int, fn func([]byte)) {
	for from < to {
		data := r.chunks[from/chunkSize].data
		i := from % chunkSize
		end := min(len(data), i+to-from)
		fn(data[i:end])
		from += end - i
	}
}

// write puts data at offset, which may lie behind the end: the gap becomes zeros.
func (r *rope) write(offset int, data []byte) {
	r.extend(offset + len(data))
	for len(data) > 0 {
		c := r.writable(offset / chunkSize)
		n := copy(c[offset%chunkSize:], data)
		data, offset = data[n:], offset+n
	}
}

// writable returns the bytes of chunk i, which the rope owns afterwards.
func (r *rope) writable(i int) []byte {
	c := &r.chunks[i]
	if !c.owned {
		c.data, c.owned = append([]byte(nil), c.data...), true
	}
	return c.data
}

// extend makes the rope at least size bytes long, with zeros at the end.
func (r *rope) extend(size int) {
	if size <= r.size {
		return
	}
	if last := len(r.chunks) - 1; last >= 0 {
		r.fill(last, min(chunkSize, size-last*chunkSize))
	}
	for have := len(r.chunks) * chunkSize; have < size; have += chunkSize {
		r.chunks = append(r.chunks, chunk{data: make([]byte, min(chunkSize, size-have)), owned: true})
	}
	r.size = size
}

// fill makes chunk i n bytes long, with zeros at the end. Its room doubles, so
// that a string that grows byte by byte is copied seldom.
func (r *rope) fill(i, n int) {
	c := &r.chunks[i]
	old := len(c.data)
	if n <= old {
		return
	}
	if !c.owned || n > cap(c.data) {
		grown := make([]byte, n, min(chunkSize, max(n, 2*old)))
		copy(grown, c.data)
		c.data, c.owned = grown, true
		return
	}
	c.data = c.data[:n]
	clear(c.data[old:])
}

// LongString is a string of more than InlineMax bytes that comes in pieces.
type LongString struct {
	r    rope
	size int // as promised
}

// NewLongString returns an empty one that is to become size bytes long. Room is
// made as they come.
func NewLongString(size int) *LongString { return &LongString{size: size} }

// Append copies a piece to the string's end.
func (s *LongString) Append(piece []byte) {
	r := &s.r
	for len(piece) > 0 {
		if r.size == len(r.chunks)*chunkSize {
			room := min(chunkSize, max(s.size-r.size, len(piece)))
			r.chunks = append(r.chunks, chunk{data: make([]byte, 0, room), owned: true})
		}
		c := &r.chunks[len(r.chunks)-1]
		n := min(len(piece), chunkSize-len(c.data))
		c.data = append(c.data, piece[:n]...)
		piece, r.size = piece[n:], r.size+n
	}
}

// Text is the string, for an Item. Append must not be called any more.
func (s *LongString) Text() Text { return Text{long: &s.r} }
