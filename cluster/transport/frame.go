package transport

import (
	"encoding/binary"
	"io"
	"time"
)

// MaxMessage is the most bytes that a call's request or answer may have.
const MaxMessage = 32 << 20

const (
	maxStranger = 64 << 10 // bytes of a request on an introduction stream
	maxQueued   = 64 << 20 // bytes that may wait to be written on one connection
	headerSize  = 20
	firstChunk  = 64 << 10 // bytes of memory that a frame's length gets on credit
)

// The types of frame on a call or introduction stream.
const (
	frameRequest  = iota + 1 // code: the kind
	frameResponse            // code: a status
	frameCancel              // the caller gave up on id
	framePing
	framePong
)

// The status of a response.
const (
	statusOK          = iota
	statusError       // the handler's; the body is its text
	statusUnknownKind // the rest did not reach a handler
	statusMembersOnly
	statusBusy
)

// header opens every frame: length of the body, type, code, two zero bytes, id of
// the call, and the milliseconds that the caller will wait (0: no limit).
type header struct {
	size    uint32
	typ     uint8
	code    uint8
	id      uint64
	timeout uint32
}

func (h header) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, h.size)
	b = append(b, h.typ, h.code, 0, 0)
	b = binary.LittleEndian.AppendUint64(b, h.id)
	return binary.LittleEndian.AppendUint32(b, h.timeout)
}

// readHeader reads into buf, which has headerSize bytes, to save an allocation.
func readHeader(r io.Reader, buf []byte) (header, error) {
	if _, err := io.ReadFull(r, buf); err != nil {
		return header{}, err
	}
	return header{
		size: binary.LittleEndian.Uint32(buf), typ: buf[4], code: buf[5],
		id: binary.LittleEndian.Uint64(buf[8:]), timeout: binary.LittleEndian.Uint32(buf[16:]),
	}, nil
}

// readBody reads n bytes. Above first, memory grows with what has arrived, not with
// what was announced.
func readBody(r io.Reader, n, first int) ([]byte, error) {
	buf := make([]byte, min(n, first))
	for got := 0; ; {
		m, err := io.ReadFull(r, buf[got:])
		if got += m; err != nil || got == n {
			return buf, err
		}
		grown := make([]byte, min(n, 2*len(buf)))
		copy(grown, buf)
		buf = grown
	}
}

// millis is a duration for a header: at least 1, so that it is not "no limit".
func millis(d time.Duration) uint32 {
	const most = 1<<32 - 1
	return uint32(min(max(d.Milliseconds(), 1), most))
}
