package transport

import (
	"bufio"
	"errors"
	"io"
	"time"

	"github.com/hashicorp/raft"
)

// serve answers the requests of an accepted Raft stream, one after the other, until
// it ends. What is sent before the answer waits in the socket.
func (r *raftTransport) serve(l *link) {
	defer l.Close()
	in := raftReader{r: bufio.NewReaderSize(l, requestBuffer)}
	out := raftWriter{conn: l.Conn}
	for {
		kind, err := in.next(maxRaft)
		if err != nil {
			r.giveUp(l, err)
			return
		}
		req, err := in.reading.request(kind)
		if err != nil {
			r.giveUp(l, err)
			return
		}
		in.release()
		answers := make(chan raft.RPCResponse, 1)
		rpc := raft.RPC{Command: req, RespChan: answers}
		snapshot, _ := req.(*raft.InstallSnapshotRequest)
		if snapshot != nil {
			rpc.Reader = &snapshotReader{r: in.r, link: l, left: snapshot.Size}
		}
		if !r.inbox.deliver(rpc) {
			return
		}
		select {
		case a := <-answers:
			if err := out.send(out.begin().answer(a.Response, a.Error)); err != nil {
				return
			}
		case <-r.done:
			return
		}
		if snapshot != nil {
			drain(l)
			return
		}
	}
}

// giveUp tells of a peer that says what it should not; one that is gone is the end
// of its stream and no error.
func (r *raftTransport) giveUp(l *link, err error) {
	if errors.Is(err, errMalformed) {
		r.t.log.Error("a Raft stream is given up", "node", l.peer.ID, "remote", l.RemoteAddr(), "error", err)
	}
}

// drain takes what still comes of a snapshot that was answered early, until the
// sender has its answer and closes: to close before that could destroy the answer.
func drain(l *link) {
	l.SetReadDeadline(time.Now().Add(l.t.limits.unackedBulk))
	io.Copy(io.Discard, l.Conn)
}

// snapshotReader is what the library reads a snapshot from, in its main loop. That
// waits for a sender that says nothing only so long, because it takes part in no
// election meanwhile.
type snapshotReader struct {
	r     io.Reader
	link  *link
	left  int64
	rearm time.Time // when the deadline must be set anew
}

// Read returns io.EOF at the end of the snapshot, and io.ErrUnexpectedEOF where the
// stream ends before that.
func (s *snapshotReader) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	patience := s.link.t.limits.unackedBulk
	if now := time.Now(); now.After(s.rearm) {
		s.link.SetReadDeadline(now.Add(patience))
		s.rearm = now.Add(patience / 4)
	}
	n, err := s.r.Read(b[:min(int64(len(b)), s.left)])
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
