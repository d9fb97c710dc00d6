package transport

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// The kinds of message on a Raft stream. An answer has its request's with
// kindAnswer added, or kindAnswer alone where the library gave an error and no answer.
const (
	kindAppend uint8 = iota + 1
	kindVote
	kindPreVote
	kindTimeoutNow
	kindSnapshot // the snapshot follows the message, as many bytes as it says

	kindAnswer uint8 = 0x80
)

// logSize is what an entry has at the least: index, term, type, time, and two lengths.
const logSize = 8 + 8 + 1 + 8 + 4 + 4

// maxErrorText is how much of an error's text travels.
const maxErrorText = 1024

// message is what a Raft message is written into: integers little-endian, bytes with
// four of length before them. Large pieces are not copied but remembered, to be
// sent from where they lie.
type message struct {
	buf   []byte
	large []piece
	copy  bool // large pieces, too, so that buf is the whole
}

// piece lies between buf[:at] and buf[at:].
type piece struct {
	at int
	b  []byte
}

// inPlace is from how many bytes on one more segment for the kernel costs less than a copy.
const inPlace = 8 << 10

func (m *message) byte(v uint8)    { m.buf = append(m.buf, v) }
func (m *message) uint32(v uint32) { m.buf = binary.LittleEndian.AppendUint32(m.buf, v) }
func (m *message) uint64(v uint64) { m.buf = binary.LittleEndian.AppendUint64(m.buf, v) }

func (m *message) bool(v bool) {
	if v {
		m.byte(1)
	} else {
		m.byte(0)
	}
}

func (m *message) bytes(b []byte) {
	m.uint32(uint32(len(b)))
	if len(b) >= inPlace && !m.copy {
		m.large = append(m.large, piece{len(m.buf), b})
		return
	}
	m.buf = append(m.buf, b...)
}

func (m *message) header(h raft.RPCHeader) {
	m.uint32(uint32(h.ProtocolVersion))
	m.bytes(h.ID)
	m.bytes(h.Addr)
}

// entries is the part that a message of another stream may have, too. The library
// needs no AppendedAt, but tells by it how old the log is.
func (m *message) entries(logs []*raft.Log) {
	m.uint32(uint32(len(logs)))
	for _, l := range logs {
		m.uint64(l.Index)
		m.uint64(l.Term)
		m.byte(uint8(l.Type))
		at := int64(0)
		if !l.AppendedAt.IsZero() {
			at = l.AppendedAt.UnixNano()
		}
		m.uint64(uint64(at))
		m.bytes(l.Data)
		m.bytes(l.Extensions)
	}
}

// request writes a request of the library's and returns its kind, 0 for what is none.
// Leader and Candidate, which are deprecated, stay behind: the library reads them only
// where the header has no Addr, and fills that in always.
func (m *message) request(req any) uint8 {
	switch r := req.(type) {
	case *raft.AppendEntriesRequest:
		m.header(r.RPCHeader)
		m.uint64(r.Term)
		m.uint64(r.PrevLogEntry)
		m.uint64(r.PrevLogTerm)
		m.uint64(r.LeaderCommitIndex)
		m.entries(r.Entries)
		return kindAppend
	case *raft.RequestVoteRequest:
		m.header(r.RPCHeader)
		m.uint64(r.Term)
		m.uint64(r.LastLogIndex)
		m.uint64(r.LastLogTerm)
		m.bool(r.LeadershipTransfer)
		return kindVote
	case *raft.RequestPreVoteRequest:
		m.header(r.RPCHeader)
		m.uint64(r.Term)
		m.uint64(r.LastLogIndex)
		m.uint64(r.LastLogTerm)
		return kindPreVote
	case *raft.TimeoutNowRequest:
		m.header(r.RPCHeader)
		return kindTimeoutNow
	case *raft.InstallSnapshotRequest:
		m.snapshot(r)
		return kindSnapshot
	}
	return 0
}

func (m *message) snapshot(r *raft.InstallSnapshotRequest) {
	m.header(r.RPCHeader)
	m.uint32(uint32(r.SnapshotVersion))
	m.uint64(r.Term)
	m.bytes(r.Leader)
	m.uint64(r.LastLogIndex)
	m.uint64(r.LastLogTerm)
	m.bytes(r.Peers)
	m.bytes(r.Configuration)
	m.uint64(r.ConfigurationIndex)
	m.uint64(uint64(r.Size))
}

// answer writes the library's answer and the error beside it, each of which may be
// nil, and returns the kind.
func (m *message) answer(resp any, err error) uint8 {
	text := ""
	if err != nil {
		text = err.Error()
		text = text[:min(len(text), maxErrorText)]
		if text == "" {
			text = "error"
		}
	}
	m.bytes([]byte(text))
	switch r := resp.(type) {
	case *raft.AppendEntriesResponse:
		m.header(r.RPCHeader)
		m.uint64(r.Term)
		m.uint64(r.LastLog)
		m.bool(r.Success)
		m.bool(r.NoRetryBackoff)
		return kindAppend | kindAnswer
	case *raft.RequestVoteResponse:
		m.header(r.RPCHeader)
		m.uint64(r.Term)
		m.bytes(r.Peers)
		m.bool(r.Granted)
		return kindVote | kindAnswer
	case *raft.RequestPreVoteResponse:
		m.header(r.RPCHeader)
		m.uint64(r.Term)
		m.bool(r.Granted)
		return kindPreVote | kindAnswer
	case *raft.TimeoutNowResponse:
		m.header(r.RPCHeader)
		return kindTimeoutNow | kindAnswer
	case *raft.InstallSnapshotResponse:
		m.header(r.RPCHeader)
		m.uint64(r.Term)
		m.bool(r.Success)
		return kindSnapshot | kindAnswer
	}
	return kindAnswer
}

// reading takes a Raft message apart. What it returns takes no more memory than a
// small multiple of what the message has, whatever the message says.
type reading struct {
	fields
	// own says that the message's bytes are used for nothing else. A single entry then
	// keeps them; of several each gets a copy, so that one that is kept for long does
	// not keep all others.
	own bool
	// name is the last node id that was read. It is nearly always the next one, too,
	// and nobody changes it.
	name []byte
}

func (d *reading) of(body []byte, own bool) {
	d.fields, d.own = fields{b: body}, own
}

// end returns an error unless the message was read to its end and no further.
func (d *reading) end() error {
	if d.bad || len(d.b) > 0 {
		return errMalformed
	}
	return nil
}

func (d *reading) uint32() uint32 { return binary.LittleEndian.Uint32(d.take(4)) }

func (d *reading) bool() bool {
	v := d.byte()
	d.bad = d.bad || v > 1
	return v == 1
}

// bytes returns a part of the message; nil for none.
func (d *reading) bytes() []byte {
	n := d.uint32()
	if n == 0 || uint64(n) > uint64(len(d.b)) {
		d.bad = d.bad || n > 0
		return nil
	}
	return d.take(int(n))[:n:n]
}

func (d *reading) id() []byte {
	b := d.bytes()
	if len(b) == 0 {
		return nil
	}
	if string(b) != string(d.name) {
		d.name = slices.Clone(b)
	}
	return d.name
}

func (d *reading) header() raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersion(d.uint32()), ID: d.id(), Addr: d.id()}
}

// entries is the counterpart of message.entries.
func (d *reading) entries() []*raft.Log {
	n := int64(d.uint32())
	if n == 0 || n > int64(len(d.b)/logSize) {
		d.bad = d.bad || n > 0
		return nil
	}
	logs, list := make([]raft.Log, n), make([]*raft.Log, n)
	share := d.own && n == 1
	for i := range logs {
		l := &logs[i]
		list[i] = l
		l.Index, l.Term, l.Type = d.uint64(), d.uint64(), raft.LogType(d.byte())
		if at := d.uint64(); at != 0 {
			l.AppendedAt = time.Unix(0, int64(at))
		}
		if l.Data, l.Extensions = d.bytes(), d.bytes(); !share {
			l.Data, l.Extensions = slices.Clone(l.Data), slices.Clone(l.Extensions)
		}
	}
	return list
}

// request reads a request of that kind.
func (d *reading) request(kind uint8) (any, error) {
	switch kind {
	case kindAppend:
		r := &raft.AppendEntriesRequest{RPCHeader: d.header(), Term: d.uint64(),
			PrevLogEntry: d.uint64(), PrevLogTerm: d.uint64(), LeaderCommitIndex: d.uint64()}
		r.Entries = d.entries()
		return r, d.end()
	case kindVote:
		r := &raft.RequestVoteRequest{RPCHeader: d.header(), Term: d.uint64(),
			LastLogIndex: d.uint64(), LastLogTerm: d.uint64(), LeadershipTransfer: d.bool()}
		return r, d.end()
	case kindPreVote:
		r := &raft.RequestPreVoteRequest{RPCHeader: d.header(), Term: d.uint64(), LastLogIndex: d.uint64(), LastLogTerm: d.uint64()}
		return r, d.end()
	case kindTimeoutNow:
		r := &raft.TimeoutNowRequest{RPCHeader: d.header()}
		return r, d.end()
	case kindSnapshot:
		r := d.snapshot()
		return r, d.end()
	}
	return nil, errMalformed
}

func (d *reading) snapshot() *raft.InstallSnapshotRequest {
	r := &raft.InstallSnapshotRequest{RPCHeader: d.header(), SnapshotVersion: raft.SnapshotVersion(d.uint32()),
		Term: d.uint64(), Leader: d.id(), LastLogIndex: d.uint64(), LastLogTerm: d.uint64(),
		Peers: slices.Clone(d.bytes()), Configuration: slices.Clone(d.bytes()), ConfigurationIndex: d.uint64(),
		Size: int64(d.uint64())}
	d.bad = d.bad || r.Size < 0
	return r
}

// answer reads an answer of that kind into resp, which stays as it is if that fails
// or there is none. The first error is the other side's.
func (d *reading) answer(kind uint8, resp any) (remote, err error) {
	if text := d.bytes(); len(text) > 0 {
		remote = &RemoteError{Text: string(text)}
	}
	if kind == kindAnswer && remote != nil {
		return remote, d.end()
	}
	switch r := resp.(type) {
	case *raft.AppendEntriesResponse:
		v := raft.AppendEntriesResponse{RPCHeader: d.header(), Term: d.uint64(), LastLog: d.uint64(), Success: d.bool(), NoRetryBackoff: d.bool()}
		err = settle(d, kind == kindAppend|kindAnswer, r, v)
	case *raft.RequestVoteResponse:
		v := raft.RequestVoteResponse{RPCHeader: d.header(), Term: d.uint64(), Peers: slices.Clone(d.bytes()), Granted: d.bool()}
		err = settle(d, kind == kindVote|kindAnswer, r, v)
	case *raft.RequestPreVoteResponse:
		v := raft.RequestPreVoteResponse{RPCHeader: d.header(), Term: d.uint64(), Granted: d.bool()}
		err = settle(d, kind == kindPreVote|kindAnswer, r, v)
	case *raft.TimeoutNowResponse:
		err = settle(d, kind == kindTimeoutNow|kindAnswer, r, raft.TimeoutNowResponse{RPCHeader: d.header()})
	case *raft.InstallSnapshotResponse:
		v := raft.InstallSnapshotResponse{RPCHeader: d.header(), Term: d.uint64(), Success: d.bool()}
		err = settle(d, kind == kindSnapshot|kindAnswer, r, v)
	default:
		err = errMalformed
	}
	return remote, err
}

// settle hands an answer on if it is of the right kind and whole.
func settle[T any](d *reading, right bool, to *T, v T) error {
	if err := d.end(); err != nil || !right {
		return errMalformed
	}
	*to = v
	return nil
}
