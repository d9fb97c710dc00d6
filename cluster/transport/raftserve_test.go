package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// rawRaft opens a Raft stream to node n from outside.
func rawRaft(t *testing.T, n *Transport) io.ReadWriteCloser {
	t.Helper()
	c, a := dialRaw(t, n, hello{version: protocolVersion, stream: streamRaft, receiver: n.Identity().ID, peer: Peer{ID: "node9", Cluster: "X"}})
	if a.refusal != 0 {
		t.Fatalf("refused for %d", a.refusal)
	}
	return c
}

// write puts requests on a stream as a node does.
func write(t *testing.T, c io.Writer, reqs ...any) {
	t.Helper()
	var wire bytes.Buffer
	w := raftWriter{conn: bufferConn{Buffer: &wire}}
	for _, req := range reqs {
		m := w.begin()
		if err := w.send(m.request(req)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Write(wire.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// A snapshot that is cut, by the end of the connection or by silence, is an error to
// who reads it, and not its end.
func TestSnapshotCut(t *testing.T) {
	for name, c := range map[string]struct {
		cut  func(io.Closer)
		want error
	}{
		"closed": {func(c io.Closer) { c.Close() }, io.ErrUnexpectedEOF},
		"silent": {func(io.Closer) {}, os.ErrDeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, newBook(), Identity{"node1", "X"}, "", func(n *Transport) { n.limits.unackedBulk = 200 * time.Millisecond })
			requests := n.Raft().Consumer()
			conn := rawRaft(t, n)
			write(t, conn, &raft.InstallSnapshotRequest{Size: 1 << 20})
			conn.Write(make([]byte, 1000))
			rpc := <-requests
			got := make([]byte, 1000)
			if _, err := io.ReadFull(rpc.Reader, got); err != nil {
				t.Fatal(err)
			}
			c.cut(conn)
			if rest, err := io.ReadAll(rpc.Reader); !errors.Is(err, c.want) || len(rest) > 0 {
				t.Errorf("%d bytes more, and %v, want %v", len(rest), err, c.want)
			}
			rpc.Respond(&raft.InstallSnapshotResponse{}, errors.New("cut"))
		})
	}
}

// A snapshot that has fewer bytes than it should is not sent to the end, one that
// has more only as far; one that is refused unread costs the sender no more than the
// answer, which it gets.
func TestSnapshotOfAnotherSize(t *testing.T) {
	_, n1, n2 := pair(t)
	requests := n2.Raft().Consumer()
	send := func(size int64, data string) <-chan error {
		done := make(chan error, 1)
		go func() {
			done <- n1.Raft().InstallSnapshot("node2", "node2", &raft.InstallSnapshotRequest{Size: size}, new(raft.InstallSnapshotResponse), strings.NewReader(data))
		}()
		return done
	}
	done := send(10, "short")
	rpc := <-requests
	if got, err := io.ReadAll(rpc.Reader); string(got) != "short" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too short: %q, %v", got, err)
	}
	rpc.Respond(&raft.InstallSnapshotResponse{}, errors.New("short"))
	if err := <-done; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too short: %v", err)
	}
	done = send(4, "longer")
	rpc = <-requests
	if got, err := io.ReadAll(rpc.Reader); string(got) != "long" || err != nil {
		t.Errorf("too long: %q, %v", got, err)
	}
	rpc.Respond(&raft.InstallSnapshotResponse{Success: true}, nil)
	if err := <-done; err != nil {
		t.Errorf("too long: %v", err)
	}
	large := strings.Repeat("large", 4<<20)
	done = send(int64(len(large)), large)
	rpc = <-requests
	rpc.Respond(nil, errors.New("not now"))
	if err := <-done; err == nil || err.Error() != "not now" {
		t.Errorf("refused unread: %v", err)
	}
	wait(t, "no connection is left", func() bool { return linked(n2, func(l *link) bool { return l.stream == streamRaft }) == 0 })
}

// What is no message of Raft's ends the stream, before or after one that is.
func TestRaftStreamThatIsNone(t *testing.T) {
	n := start(t, newBook(), Identity{"node1", "X"}, "")
	follow(t, n)
	for name, junk := range map[string]string{
		"no kind":    "\x00\x00\x00\x00\x00",
		"an answer":  "\x00\x00\x00\x00\x81",
		"no request": "\x01\x00\x00\x00\x01\x00",
		"too large":  "\xff\xff\xff\xff\x01",
		// What NetworkTransport would send: the kind, and a map of msgpack's.
		"the old form": "\x00\x88\xa4Addr\xa5node1\xa7Entries\xc0\xa2ID\xa5node1",
	} {
		t.Run(name, func(t *testing.T) {
			c := rawRaft(t, n)
			write(t, c, &raft.TimeoutNowRequest{})
			io.WriteString(c, junk)
			got, err := io.ReadAll(c)
			if len(got) < raftHead || got[raftHead-1] != kindTimeoutNow|kindAnswer || len(got) != raftHead+int(got[0]) {
				t.Errorf("%d bytes, %v, want one answer and the end", len(got), err)
			}
		})
	}
}

// A node of before this form of Raft's messages is refused by name, from both sides.
func TestOldForm(t *testing.T) {
	_, n1, n2 := pair(t)
	follow(t, n2)
	_, a := dialRaw(t, n2, hello{version: 1, stream: streamRaft, receiver: "node2", peer: Peer{ID: "node1", Cluster: "X"}})
	if a.refusal != RefusedVersion {
		t.Errorf("refused for %d, want %d", a.refusal, RefusedVersion)
	}
	b := newBook()
	n := start(t, b, Identity{"node1", "X"}, "")
	b.set("node2", fake(t, func(c net.Conn) {
		readHello(c)
		msg, _ := (&answer{version: 1, refusal: RefusedVersion, peer: Peer{"node2", "X", ""}}).append(nil)
		c.Write(msg)
	}))
	err := n.Raft().RequestVote("node2", "node2", &raft.RequestVoteRequest{}, new(raft.RequestVoteResponse))
	if h := wantRefusal(t, err, RefusedVersion); !strings.Contains(h.Error(), "another version of the node-to-node protocol than 2") {
		t.Errorf("it says %q", h.Error())
	}
	mustVote(t, n1.Raft())
}
