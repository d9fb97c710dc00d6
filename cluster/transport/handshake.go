package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// magic opens both directions of every connection. It ends a line, so that a
// Redis or HTTP server dialled by mistake answers at once instead of waiting for more.
const magic = "RAFTKV\r\n"

const (
	protocolVersion = 2    // 1 had Raft's messages in another form
	raftGroup       = 0    // the only Raft group there is
	maxGreeting     = 2048 // bytes of a hello's or an answer's body
)

// stream is what a connection is for.
type stream uint8

const (
	streamRaft  stream = iota + 1 // hashicorp/raft's messages
	streamCall                    // calls between members
	streamIntro                   // calls between strangers
)

// hello is what the dialling side says first, and, with a verdict in place of
// stream, group and receiver, what the accepting side answers.
type hello struct {
	version  uint8
	stream   stream
	group    uint64
	receiver string // the node id that is meant; "" for whoever answers
	instance uint64
	peer     Peer
	dir      string // the UUID of the sender's data directory
}

// checkID refuses a node id that the handshake cannot carry.
func checkID(id string) error {
	if id == "" || len(id) > 255 || strings.ContainsRune(id, 0) {
		return fmt.Errorf("bad node id %q", id)
	}
	return nil
}

func (h *hello) append(b []byte) ([]byte, error) {
	body := append(make([]byte, 0, 256), byte(h.stream))
	body = binary.AppendUvarint(body, h.group)
	body = append(binary.LittleEndian.AppendUint64(body, h.instance), byte(len(h.receiver)))
	body = append(body, h.receiver...)
	body, err := appendPeer(body, h.peer)
	body, err = appendDir(body, h.dir, err)
	if err != nil || len(h.receiver) > 255 {
		return nil, errTooLong
	}
	b = append(append(b, magic...), h.version)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...), nil
}

func readHello(r io.Reader) (h hello, err error) {
	var head [len(magic) + 3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return h, err
	}
	if isTLS(head[:]) {
		return h, errTLS
	}
	if string(head[:len(magic)]) != magic {
		return h, errForeign
	}
	h.version = head[len(magic)]
	body, err := readGreeting(r, head[len(magic)+1:])
	if err != nil || h.version != protocolVersion {
		return h, err // another version's body is none of ours to read
	}
	d := fields{b: body}
	h.stream = stream(d.byte())
	h.group = d.uvarint()
	h.instance = d.uint64()
	h.receiver = d.string()
	h.peer = d.peer()
	h.dir = d.last()
	if d.bad {
		return h, errForeign
	}
	return h, nil
}

// answer is the accepting side's part of the handshake.
type answer struct {
	version  uint8
	refusal  Refusal // 0 for accepted
	instance uint64
	peer     Peer
	dir      string // as in hello
}

func (a *answer) append(b []byte) ([]byte, error) {
	body := binary.LittleEndian.AppendUint64(make([]byte, 0, 256), a.instance)
	body, err := appendPeer(body, a.peer)
	body, err = appendDir(body, a.dir, err)
	if err != nil {
		return nil, err
	}
	b = append(append(b, magic...), a.version, byte(a.refusal))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...), nil
}

func readAnswer(r io.Reader) (a answer, err error) {
	var head [len(magic) + 4]byte
	n, err := io.ReadFull(r, head[:])
	if k := min(n, len(magic)); string(head[:k]) != magic[:k] {
		return a, errForeign
	}
	if err != nil {
		return a, err
	}
	a.version, a.refusal = head[len(magic)], Refusal(head[len(magic)+1])
	body, err := readGreeting(r, head[len(magic)+2:])
	if err != nil || a.version != protocolVersion {
		return a, err
	}
	d := fields{b: body}
	a.instance = d.uint64()
	a.peer = d.peer()
	a.dir = d.last()
	if d.bad {
		return a, errForeign
	}
	return a, nil
}

var (
	errForeign = errors.New("not the node-to-node protocol")
	errTLS     = errors.New("TLS, which this node does not speak")
	errTooLong = errors.New("identity or address too long for a handshake")
)

// readGreeting reads a body whose length is in size; a stranger's length is
// believed only up to maxGreeting.
func readGreeting(r io.Reader, size []byte) ([]byte, error) {
	n := binary.LittleEndian.Uint16(size)
	if n > maxGreeting {
		return nil, errForeign
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}

func appendPeer(b []byte, p Peer) ([]byte, error) {
	for _, s := range []string{p.ID, p.Cluster, p.Addr} {
		if len(s) > 255 {
			return nil, errTooLong
		}
		b = append(append(b, byte(len(s))), s...)
	}
	return b, nil
}

// appendDir ends a body. A program that does not know of it reads no further than the peer.
func appendDir(b []byte, dir string, err error) ([]byte, error) {
	if err == nil && len(dir) > 255 {
		err = errTooLong
	}
	if err != nil {
		return b, err
	}
	return append(append(b, byte(len(dir))), dir...), nil
}

// fields reads a body from its front; bad once it was too short.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) {
		f.bad, f.b = true, nil
		return make([]byte, 8)[:min(n, 8)]
	}
	v := f.b[:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) byte() byte     { return f.take(1)[0] }
func (f *fields) uint64() uint64 { return binary.LittleEndian.Uint64(f.take(8)) }
func (f *fields) string() string { return string(f.take(int(f.byte()))) }
func (f *fields) peer() Peer     { return Peer{ID: f.string(), Cluster: f.string(), Addr: f.string()} }

// last is a string that an older program's body does not have.
func (f *fields) last() string {
	if len(f.b) == 0 {
		return ""
	}
	return f.string()
}

func (f *fields) uvarint() uint64 {
	v, n := binary.Uvarint(f.b)
	if n <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[n:]
	return v
}
