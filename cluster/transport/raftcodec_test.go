package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

var (
	someHeader = raft.RPCHeader{ProtocolVersion: 3, ID: []byte("node1"), Addr: []byte("node1")}
	someLogs   = []*raft.Log{
		{Index: 1<<63 + 1, Term: 2, Type: raft.LogConfiguration, Data: []byte("conf"), Extensions: []byte("ext"), AppendedAt: time.Unix(1700000000, 123456789)},
		{Index: 7, Term: 3, Type: raft.LogNoop},
		{Index: 8, Term: 3, Data: bytes.Repeat([]byte("large"), inPlace)},
	}
	someRequests = []any{
		&raft.AppendEntriesRequest{RPCHeader: someHeader, Term: 4, PrevLogEntry: 5, PrevLogTerm: 6, Entries: someLogs, LeaderCommitIndex: 1<<64 - 1},
		&raft.AppendEntriesRequest{RPCHeader: someHeader, Term: 4, Entries: someLogs[2:]},
		&raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("a"), Addr: []byte("b")}, Term: 4},
		&raft.AppendEntriesRequest{},
		&raft.RequestVoteRequest{RPCHeader: someHeader, Term: 4, LastLogIndex: 5, LastLogTerm: 6, LeadershipTransfer: true},
		&raft.RequestVoteRequest{},
		&raft.RequestPreVoteRequest{RPCHeader: someHeader, Term: 4, LastLogIndex: 5, LastLogTerm: 6},
		&raft.TimeoutNowRequest{RPCHeader: someHeader},
		&raft.InstallSnapshotRequest{RPCHeader: someHeader, SnapshotVersion: 1, Term: 2, Leader: []byte("node1"), LastLogIndex: 3, LastLogTerm: 4,
			Peers: []byte("peers"), Configuration: bytes.Repeat([]byte("conf"), inPlace), ConfigurationIndex: 5, Size: 1 << 40},
	}
	someAnswers = []any{
		&raft.AppendEntriesResponse{RPCHeader: someHeader, Term: 1, LastLog: 2, Success: true, NoRetryBackoff: false},
		&raft.AppendEntriesResponse{Term: 1, NoRetryBackoff: true},
		&raft.RequestVoteResponse{RPCHeader: someHeader, Term: 1, Peers: []byte("peers"), Granted: true},
		&raft.RequestPreVoteResponse{RPCHeader: someHeader, Term: 1, Granted: true},
		&raft.TimeoutNowResponse{RPCHeader: someHeader},
		&raft.InstallSnapshotResponse{RPCHeader: someHeader, Term: 1, Success: true},
	}
)

// flat is a request's kind and bytes.
func flat(req any) (kind uint8, body []byte) {
	m := message{copy: true}
	kind = m.request(req)
	return kind, m.buf
}

// plain makes times equal to themselves after a trip, for reflect.DeepEqual.
func plain(req any) any {
	if r, ok := req.(*raft.AppendEntriesRequest); ok {
		for _, l := range r.Entries {
			l.AppendedAt = l.AppendedAt.Local()
			if l.AppendedAt.IsZero() {
				l.AppendedAt = time.Time{}
			}
		}
	}
	return req
}

// Every field of every message makes the trip, whether the message is read from
// the connection's buffer or from one of its own.
func TestRaftMessagesRoundTrip(t *testing.T) {
	for _, want := range someRequests {
		kind, body := flat(want)
		for _, own := range []bool{false, true} {
			var d reading
			d.of(bytes.Clone(body), own)
			got, err := d.request(kind)
			if err != nil || !reflect.DeepEqual(plain(got), plain(want)) {
				t.Errorf("%T came back as %+v, %v", want, got, err)
			}
		}
	}
	for _, want := range someAnswers {
		for _, text := range []string{"", "not now"} {
			var m message
			var remote error
			if text != "" {
				remote = errors.New(text)
			}
			kind := m.answer(want, remote)
			var d reading
			d.of(m.buf, false)
			got := reflect.New(reflect.TypeOf(want).Elem()).Interface()
			remote, err := d.answer(kind, got)
			if err != nil || !reflect.DeepEqual(got, want) || (remote == nil) != (text == "") || remote != nil && remote.Error() != text {
				t.Errorf("%T came back as %+v, %v, %v", want, got, remote, err)
			}
		}
	}
}

// An error may come alone, and travels in part if it is long; an answer to another
// request is none.
func TestRaftAnswersThatAreNone(t *testing.T) {
	var m message
	kind := m.answer(nil, errors.New(strings.Repeat("x", 5000)))
	var d reading
	resp := raft.AppendEntriesResponse{Term: 9}
	d.of(m.buf, false)
	if remote, err := d.answer(kind, &resp); err != nil || remote == nil || len(remote.Error()) != maxErrorText || resp.Term != 9 {
		t.Errorf("error alone: %v, %v, %+v", remote, err, resp)
	}
	m = message{}
	kind = m.answer(nil, nil)
	d.of(m.buf, false)
	if _, err := d.answer(kind, &resp); !errors.Is(err, errMalformed) {
		t.Errorf("neither answer nor error: %v", err)
	}
	m = message{}
	kind = m.answer(&raft.RequestVoteResponse{Term: 3, Granted: true}, nil)
	d.of(m.buf, false)
	if _, err := d.answer(kind, &resp); !errors.Is(err, errMalformed) || resp.Term != 9 {
		t.Errorf("a vote for an answer to entries: %v, %+v", err, resp)
	}
}

// A message that is cut anywhere, or goes on, is none.
func TestRaftMessagesCut(t *testing.T) {
	for _, req := range someRequests {
		kind, body := flat(req)
		for _, n := range []int{0, 1, 3, 4, len(body) / 2, len(body) - 1, len(body) + 1} {
			if n < 0 || n == len(body) {
				continue
			}
			var d reading
			d.of(append(bytes.Clone(body), 0)[:n], true)
			if got, err := d.request(kind); !errors.Is(err, errMalformed) {
				t.Errorf("%T of %d bytes in place of %d was read as %+v", req, n, len(body), got)
			}
		}
	}
}

// A stream of messages is read as it was written, large pieces included, also by a
// reader that gets it in small parts.
func TestRaftFrames(t *testing.T) {
	var wire bytes.Buffer
	w := raftWriter{conn: bufferConn{Buffer: &wire}}
	for _, req := range someRequests {
		m := w.begin()
		if err := w.send(m.request(req)); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{16, 4 << 10, 1 << 20} {
		r := raftReader{r: bufio.NewReaderSize(&dribble{wire.Bytes()}, size)}
		for _, want := range someRequests {
			kind, err := r.next(maxRaft)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.reading.request(kind)
			if err != nil || !reflect.DeepEqual(plain(got), plain(want)) {
				t.Errorf("buffer of %d: %T came back as %+v, %v", size, want, got, err)
			}
		}
		if _, err := r.next(maxRaft); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
}

// bufferConn is a net.Conn that can only be written to.
type bufferConn struct {
	halfConn
	*bytes.Buffer
}

func (c bufferConn) Write(b []byte) (int, error) { return c.Buffer.Write(b) }
func (c bufferConn) Read(b []byte) (int, error)  { return c.Buffer.Read(b) }

// dribble gives 1,000 bytes at a time.
type dribble struct{ b []byte }

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1000)], d.b)
	d.b = d.b[n:]
	return n, nil
}

// What is announced and does not come takes no memory.
func TestRaftFramesAnnounced(t *testing.T) {
	huge := binary.LittleEndian.AppendUint32(nil, maxRaft)
	huge = append(append(huge, kindAppend), "short"...)
	kind, many := flat(&raft.AppendEntriesRequest{})
	binary.LittleEndian.PutUint32(many[len(many)-4:], 1<<32-1)
	for name, read := range map[string]func() error{
		"a message": func() error {
			r := raftReader{r: bufio.NewReaderSize(bytes.NewReader(huge), 4096)}
			_, err := r.next(maxRaft)
			return err
		},
		"entries": func() error {
			var d reading
			d.of(many, true)
			_, err := d.request(kind)
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := read()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > 2*firstBody {
			t.Errorf("%s: %v, and %d bytes of memory", name, err, got)
		}
	}
	var r raftReader
	r.r = bufio.NewReader(bytes.NewReader(huge))
	if _, err := r.next(maxRaft - 1); !errors.Is(err, errMalformed) {
		t.Errorf("a message larger than allowed: %v", err)
	}
}

// FuzzRaftFrame: whatever comes, reading it does not panic, takes no more memory
// than came, and what is understood would be written in the same way.
func FuzzRaftFrame(f *testing.F) {
	for _, req := range someRequests {
		kind, body := flat(req)
		if len(body) < 4096 {
			f.Add(kind, body)
		}
	}
	for _, resp := range someAnswers {
		var m message
		kind := m.answer(resp, errors.New("why"))
		f.Add(kind, m.buf)
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		for _, own := range []bool{false, true} {
			var d reading
			d.of(bytes.Clone(body), own)
			req, err := d.request(kind)
			if err != nil {
				continue
			}
			if again, same := flat(req); again != kind || !bytes.Equal(same, body) {
				t.Errorf("%+v is %x, was read from %x", req, same, body)
			}
			if r, ok := req.(*raft.AppendEntriesRequest); ok && cap(r.Entries)*logSize > len(body) {
				t.Errorf("%d entries of %d bytes", cap(r.Entries), len(body))
			}
		}
		for _, want := range someAnswers {
			var d reading
			d.of(bytes.Clone(body), false)
			resp := reflect.New(reflect.TypeOf(want).Elem()).Interface()
			remote, err := d.answer(kind, resp)
			if err != nil || kind == kindAnswer || remote != nil && len(remote.Error()) > maxErrorText {
				continue
			}
			var m message
			if again := m.answer(resp, remote); again != kind || !bytes.Equal(m.buf, body) {
				t.Errorf("%+v, %v is %x, was read from %x", resp, remote, m.buf, body)
			}
		}
	})
}
