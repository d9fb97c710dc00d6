// Package guard stands between a socket and the RESP parser: it frames whole
// commands, checks every length against Redis's limits, and never holds more
// memory than what has really arrived. It knows no commands and no replies; what
// it hands over is always a complete multibulk command, inline ones included.
package guard

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
)

// ProtocolError is what is wrong with a stream that can no longer be framed: the
// text that Redis gives after "ERR Protocol error: ". The connection ends with it.
type ProtocolError string

func (e ProtocolError) Error() string { return "Protocol error: " + string(e) }

// Redis's texts (networking.c:processMultibulkBuffer, processInlineBuffer).
const (
	ErrMultibulkLength ProtocolError = "invalid multibulk length"
	ErrBulkLength      ProtocolError = "invalid bulk length"
	ErrBigInline       ProtocolError = "too big inline request"
	ErrBigCount        ProtocolError = "too big mbulk count string"
	ErrBigBulkCount    ProtocolError = "too big bulk count string"
	ErrQuotes          ProtocolError = "unbalanced quotes in request"
	ErrUnauthMultibulk ProtocolError = "unauthenticated multibulk length"
	ErrUnauthBulk      ProtocolError = "unauthenticated bulk length"
)

// ErrFull is Fill's answer when the commands that nobody has asked for yet have
// reached the limit.
var ErrFull = errors.New("too much unread input")

// ErrQuery is Next's answer when a command announces more than Limits.MaxQuery.
var ErrQuery = errors.New("a command is longer than the query buffer may be")

// Limits bound what a stream may announce.
type Limits struct {
	// MaxBulk is the longest argument: proto-max-bulk-len.
	MaxBulk int64
	// MaxCommand is the longest command in bytes, its framing included. A longer
	// one is read and dropped, and its Frame says TooLarge.
	MaxCommand int64
	// MaxQuery is how long a command may be that is read to its end, be it kept or
	// dropped; 0: any length. The stream ends where a longer one is announced; Redis
	// waits until so much has come of it.
	MaxQuery int64
	// Unauthenticated sets the narrow limits for clients that gave no password yet.
	Unauthenticated bool
}

const (
	maxArgs       = 1024 * 1024 // multibulk count
	unauthArgs    = 10
	unauthBulk    = 16384
	maxLine       = 64 * 1024 // an inline command, or the line of a length
	firstBuffer   = 4 * 1024
	steadyBuffer  = 64 * 1024   // what a busy connection's buffer grows to by itself
	keptBuffer    = 1024 * 1024 // a larger buffer is dropped once it is empty
	pipelineBytes = 1024 * 1024
	pipelineCount = 4096
	maxUnread     = 1024 * 1024 // what Fill gathers at most
)

// Frame is one whole command.
type Frame struct {
	// Raw is the command in multibulk form; its capacity ends where it ends. It is
	// valid until the next call of Next.
	Raw []byte
	// Argc is the number of arguments, the name included; at least 1.
	Argc int
	// TooLarge marks a command beyond Limits.MaxCommand, which was dropped: Raw is nil.
	TooLarge bool
}

// Reader frames the commands of one stream.
type Reader struct {
	src    io.Reader
	buf    []byte // what has arrived: buf[start:len(buf)] is not handed over yet
	start  int    // where the command begins that is being framed
	frames []Frame
	filled bool // the last read filled the buffer: a larger one would serve better
	spare  bool // the buffer was abandoned: it must not be written to again
	parser

	held, room atomic.Int64 // what Held tells
}

// parser is where framing stands within the command that begins at start.
type parser struct {
	pos      int   // what has been looked at, from the beginning of buf
	argc     int   // arguments announced; 0 between commands
	left     int   // arguments still to come
	bulk     int64 // bytes of the current argument still to come, with its CRLF; 0: its length comes next
	announce int64 // the command's bytes as far as they are known
	skipping bool  // the command is too large: its bytes are dropped as they come
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Next returns all whole commands that have arrived, at least one: it reads from
// the source only when there is none. Frames of an earlier call are no longer
// valid. After a ProtocolError, and after any error of the source, the stream is over.
func (r *Reader) Next(lim Limits) ([]Frame, error) {
	r.shrink()
	for {
		frames, err := r.frame(lim)
		if len(frames) > 0 || err != nil {
			return frames, err
		}
		r.makeRoom(false)
		if err := r.read(); err != nil {
			return nil, err
		}
	}
}

// Fill reads once from the source and keeps what it gets for the next call of
// Next, so that somebody who waits for something else learns when the other side
// is gone. The frames of the last Next stay valid. It may run in a goroutine of
// its own as long as no other method does.
func (r *Reader) Fill() error {
	if len(r.buf)-r.start >= maxUnread {
		return ErrFull
	}
	r.makeRoom(true)
	return r.read()
}

// Buffered returns how many bytes have arrived that no command was made of yet.
func (r *Reader) Buffered() int { return len(r.buf) - r.start }

// Held returns how many bytes of the buffer are in use, by frames or by what has
// arrived since, and how many are not. Any goroutine may call it.
func (r *Reader) Held() (used, free int) { return int(r.held.Load()), int(r.room.Load()) }

// tell brings Held up to date.
func (r *Reader) tell() {
	r.held.Store(int64(len(r.buf)))
	r.room.Store(int64(cap(r.buf) - len(r.buf)))
}

// Abandon leaves the memory of the frames of the last Next to those who may still
// hold them: nothing will be written to it again.
func (r *Reader) Abandon() { r.spare = true }

// shrink prepares for a new pipeline: what was handed over is forgotten.
func (r *Reader) shrink() {
	if r.start < len(r.buf) {
		return
	}
	used := r.start
	if c := cap(r.buf); r.spare || c > keptBuffer || c > steadyBuffer && used < c/4 {
		r.buf = nil
	}
	r.spare = false
	r.pos -= r.start
	r.start, r.buf = 0, r.buf[:0]
	r.tell()
}

// makeRoom sees to it that something can be read. Where the handed-over frames
// must stay as they are (keep), or were abandoned, it never moves bytes within
// the buffer.
func (r *Reader) makeRoom(keep bool) {
	unread := len(r.buf) - r.start
	keep = keep || r.spare
	if r.buf != nil && len(r.buf) < cap(r.buf) && (r.start == 0 || keep) {
		r.filledGrow(unread)
		return
	}
	size := cap(r.buf)
	switch {
	case size == 0:
		size = firstBuffer
	case unread*2 > size: // doubling: never more than twice what has arrived
		size *= 2
	case r.filled && size < steadyBuffer:
		size *= 2
	}
	if size == cap(r.buf) && !keep {
		copy(r.buf, r.buf[r.start:])
		r.buf = r.buf[:unread]
	} else {
		next := make([]byte, unread, max(size, unread+firstBuffer))
		copy(next, r.buf[r.start:])
		r.buf, r.spare = next, false
	}
	r.pos -= r.start
	r.start = 0
}

// filledGrow enlarges an empty buffer that the last read had filled.
func (r *Reader) filledGrow(unread int) {
	if unread == 0 && r.start == 0 && r.filled && cap(r.buf) < steadyBuffer {
		r.buf = make([]byte, 0, cap(r.buf)*2)
		r.filled = false
	}
}

// read appends what one read of the source brings.
func (r *Reader) read() error {
	for range 100 { // as bufio does: a source that never brings anything is broken
		free := r.buf[len(r.buf):cap(r.buf)]
		n, err := r.src.Read(free)
		r.buf = r.buf[:len(r.buf)+n]
		r.filled = n == len(free)
		if n > 0 {
			r.tell()
			return nil // an error will come again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// frame cuts what has arrived into commands. An error is reported once the
// commands before it have been handed over.
func (r *Reader) frame(lim Limits) ([]Frame, error) {
	r.frames = r.frames[:0]
	size := 0
	for len(r.frames) < pipelineCount && size < pipelineBytes {
		f, ok, err := r.one(lim)
		if err != nil && len(r.frames) == 0 {
			return nil, err
		}
		if err != nil || !ok {
			break
		}
		size += len(f.Raw)
		r.frames = append(r.frames, f)
	}
	return r.frames, nil
}

// one frames the next command; ok is false where more must arrive first. After
// an error it stands where it stood, so that it finds the same error again.
func (r *Reader) one(lim Limits) (f Frame, ok bool, err error) {
	for r.argc == 0 {
		if r.start == len(r.buf) {
			return f, false, nil
		}
		if r.buf[r.start] != '*' {
			f, ok, err = r.inline(lim)
		} else {
			ok, err = r.count(lim)
		}
		if err != nil || !ok || f.Argc > 0 {
			return f, ok, err
		}
	}
	for r.left > 0 {
		if r.bulk == 0 {
			if ok, err := r.length(lim); err != nil || !ok {
				return f, false, err
			}
		}
		if ok, err := r.payload(); err != nil || !ok {
			return f, false, err
		}
	}
	f = Frame{Argc: r.argc, TooLarge: r.skipping}
	if !r.skipping {
		f.Raw = r.buf[r.start:r.pos:r.pos]
	}
	r.start = r.pos
	r.parser = parser{pos: r.pos}
	return f, true, nil
}

// count reads "*<n>\r\n". A count of zero or less is no command, and no error.
func (r *Reader) count(lim Limits) (ok bool, err error) {
	n, next, ok, err := r.number(r.start+1, ErrBigCount, ErrMultibulkLength)
	if err != nil || !ok {
		return false, err
	}
	switch {
	case n > maxArgs:
		return false, ErrMultibulkLength
	case n > unauthArgs && lim.Unauthenticated:
		return false, ErrUnauthMultibulk
	}
	if n <= 0 {
		r.start = next
	} else {
		r.argc, r.left = int(n), int(n)
	}
	r.pos = next
	r.announce = int64(next - r.start)
	return true, nil
}

// length reads "$<n>\r\n".
func (r *Reader) length(lim Limits) (ok bool, err error) {
	if r.pos == len(r.buf) {
		return false, nil
	}
	if c := r.buf[r.pos]; c != '$' {
		return false, ProtocolError("expected '$', got '" + string([]byte{c}) + "'")
	}
	n, next, ok, err := r.number(r.pos+1, ErrBigBulkCount, ErrBulkLength)
	if err != nil || !ok {
		return false, err
	}
	switch {
	case n < 0 || n > lim.MaxBulk:
		return false, ErrBulkLength
	case n > unauthBulk && lim.Unauthenticated:
		return false, ErrUnauthBulk
	}
	size := r.announce + int64(next-r.pos) + n + 2
	if lim.MaxQuery > 0 && size > lim.MaxQuery {
		return false, ErrQuery
	}
	r.announce = size
	r.bulk, r.pos = n+2, next
	if r.announce > lim.MaxCommand {
		r.skipping = true
	}
	return true, nil
}

// payload takes the bytes of the current argument. Those of a command that is
// too large are dropped as they come.
func (r *Reader) payload() (ok bool, err error) {
	have := int64(len(r.buf) - r.pos)
	if have < r.bulk && !r.skipping {
		return false, nil
	}
	if r.skipping && r.bulk > 2 {
		n := min(have, r.bulk-2)
		r.pos += int(n)
		r.bulk -= n
		r.start = r.pos
		have -= n
	}
	if r.bulk > 2 && r.skipping || have < r.bulk {
		return false, nil
	}
	end := r.pos + int(r.bulk)
	if r.buf[end-2] != '\r' || r.buf[end-1] != '\n' {
		return false, ErrBulkLength
	}
	r.pos, r.bulk = end, 0
	r.left--
	if r.skipping {
		r.start = r.pos
	}
	return true, nil
}

// number reads the decimal number that begins at from and ends with CRLF, and
// returns where the next line begins.
func (r *Reader) number(from int, tooLong, bad ProtocolError) (n int64, next int, ok bool, err error) {
	line := r.buf[from:]
	cr := bytes.IndexByte(line[:min(len(line), maxLine+1)], '\r')
	switch {
	case cr < 0 && len(line) > maxLine:
		return 0, 0, false, tooLong
	case cr < 0 || cr+1 == len(line):
		return 0, 0, false, nil
	case line[cr+1] != '\n':
		return 0, 0, false, bad
	}
	n, ok = parseInt(line[:cr])
	if !ok {
		return 0, 0, false, bad
	}
	return n, from + cr + 2, true, nil
}

// parseInt is Redis's string2ll: no sign but "-", no leading zeros, no blanks.
func parseInt(b []byte) (int64, bool) {
	negative := len(b) > 1 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 18 { // 18 digits always fit, and no limit is longer
		return 0, false
	}
	if b[0] == '0' && (len(b) > 1 || negative) {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, true
}
