package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
)

const (
	// raftHead opens every message of a Raft stream: four bytes of length, which does
	// not count them and what follows them, and the kind.
	raftHead = 4 + 1
	// maxRaft is the most bytes that a message may have. The library's consist of
	// maxAppend bytes or of a single entry, which is far smaller, too.
	maxRaft = 1 << 30
	// keepBuffer is how large a buffer may be that is kept for the next message.
	keepBuffer = 1 << 20
	// firstBody is how much memory a message's length gets on credit.
	firstBody = 1 << 20

	requestBuffer = 64 << 10 // of a reader of requests: larger ones get a buffer of their own
	answerBuffer  = 4 << 10  // of a reader of answers, none of which is larger
)

var errMalformed = errors.New("malformed Raft message")

// raftWriter puts messages on a Raft stream, each with one call.
type raftWriter struct {
	msg  message
	vec  net.Buffers // memory for out
	out  net.Buffers
	conn net.Conn
}

// begin returns an empty message to write into.
func (w *raftWriter) begin() *message {
	w.msg.buf = append(w.msg.buf[:0], make([]byte, raftHead)...)
	w.msg.large = w.msg.large[:0]
	return &w.msg
}

// send sends what was written since begin.
func (w *raftWriter) send(kind uint8) error {
	m := &w.msg
	size := len(m.buf) - raftHead
	for _, p := range m.large {
		size += len(p.b)
	}
	if size > maxRaft {
		return fmt.Errorf("a Raft message of %d bytes: %w", size, ErrTooLarge)
	}
	binary.LittleEndian.PutUint32(m.buf, uint32(size))
	m.buf[raftHead-1] = kind
	var err error
	if len(m.large) == 0 {
		_, err = w.conn.Write(m.buf)
	} else {
		err = w.gather()
	}
	if cap(m.buf) > keepBuffer {
		m.buf = nil
	}
	return err
}

// gather sends the message and its large pieces from where they lie.
func (w *raftWriter) gather() error {
	w.out = w.vec[:0]
	from := 0
	for _, p := range w.msg.large {
		w.out = append(w.out, w.msg.buf[from:p.at], p.b)
		from = p.at
	}
	if from < len(w.msg.buf) {
		w.out = append(w.out, w.msg.buf[from:])
	}
	w.vec = w.out // WriteTo moves out along
	_, err := w.out.WriteTo(w.conn)
	clear(w.vec) // nothing is held on to
	clear(w.msg.large)
	return err
}

// raftReader takes messages off a Raft stream.
type raftReader struct {
	r       *bufio.Reader
	reading reading
	lent    int // bytes at the front of r that the last message consists of
}

// next returns the kind of the next message, which is in reading then, until the
// next call. After an error of time it may be called again: nothing is lost, unless
// the message is larger than the buffer of r.
func (f *raftReader) next(most int) (kind uint8, err error) {
	f.release()
	head, err := f.r.Peek(raftHead)
	if err != nil {
		return 0, err
	}
	size, kind := binary.LittleEndian.Uint32(head), head[raftHead-1]
	if int64(size) > int64(most) {
		return 0, errMalformed
	}
	if whole := raftHead + int(size); whole <= f.r.Size() {
		b, err := f.r.Peek(whole)
		if err != nil {
			return 0, err
		}
		f.lent = whole
		f.reading.of(b[raftHead:], false)
		return kind, nil
	}
	f.lent = raftHead
	f.release()
	body, err := readBody(f.r, int(size), firstBody)
	f.reading.of(body, true)
	return kind, err
}

// release gives up the last message, so that r continues behind it.
func (f *raftReader) release() {
	f.r.Discard(f.lent) // it is in the buffer, so this cannot fail
	f.lent = 0
	f.reading.of(nil, false)
}
