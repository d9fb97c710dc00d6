package transport

import (
	"errors"
	"math"
	"net"
	"time"
)

// accept takes connections until the listener is closed.
func (t *Transport) accept() {
	const most = time.Second
	pause := 5 * time.Millisecond
	for {
		c, err := t.listener.Accept()
		if err == nil {
			pause = 5 * time.Millisecond
			t.greet(c)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Out of file descriptors, most likely: spinning would not free one.
		t.log.Error("accept", "error", err)
		select {
		case <-t.ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, most)
		}
	}
}

// greet starts the handshake of an accepted connection. Where too many are in
// theirs, the oldest gives way: a member is through in milliseconds, so it is a
// stranger that only sits there.
func (t *Transport) greet(c net.Conn) {
	t.mu.Lock()
	var oldest net.Conn
	if len(t.greeting) >= t.limits.greeting {
		age := uint64(math.MaxUint64)
		for other, n := range t.greeting {
			if n < age {
				oldest, age = other, n
			}
		}
		delete(t.greeting, oldest)
	}
	t.greeted++
	t.greeting[c] = t.greeted
	t.mu.Unlock()
	if oldest != nil {
		oldest.Close()
	}
	if !t.spawn(func() { t.receive(c) }) {
		c.Close()
	}
}

// receive does the accepting side's handshake and then serves the connection.
func (t *Transport) receive(c net.Conn) {
	tune(c, t.limits.unacked)
	c.SetDeadline(time.Now().Add(t.limits.handshake))
	accepted := c
	c, err := t.secureAccepted(c)
	var h hello
	if err == nil {
		h, err = readHello(c)
	}
	if err != nil {
		// Strangers get no answer, and no log line that they could fill a disk with. Who is
		// told something stays among those in their handshake meanwhile.
		t.log.Debug("handshake", "remote", c.RemoteAddr(), "error", err)
		t.explainTLS(c, err)
	}
	t.mu.Lock()
	_, kept := t.greeting[accepted]
	delete(t.greeting, accepted)
	self := t.self
	t.mu.Unlock()
	if err != nil || !kept {
		c.Close()
		return
	}
	l := &link{Conn: c, t: t, stream: h.stream, peer: h.peer, instance: h.instance, self: self, dir: h.dir, odd: !t.fits(h.peer.ID, h.dir)}
	why := judge(h, self)
	if why == 0 && !t.certifies(c, h.peer.ID) {
		why = RefusedName
		t.warn(&t.warned.name, "a connection between nodes shows the certificate of another node", c, "node", h.peer.ID)
	}
	if why == 0 && l.odd && l.stream == streamRaft {
		why = RefusedDir
	}
	if why == 0 {
		why = t.adopt(l)
	}
	a := answer{version: protocolVersion, refusal: why, instance: t.instance, peer: Peer{self.ID, self.Cluster, t.advertise}, dir: t.dir()}
	msg, err := a.append(nil)
	if err == nil {
		_, err = c.Write(msg)
	}
	if why != 0 || err != nil {
		t.log.Debug("connection refused", "remote", c.RemoteAddr(), "node", h.peer.ID, "cluster", h.peer.Cluster, "reason", why)
		l.Close()
		return
	}
	c.SetDeadline(time.Time{})
	t.met(l)
	t.serve(l)
}

// judge is the accepting side's decision by what both sides are.
func judge(h hello, self Identity) Refusal {
	member := h.stream == streamRaft || h.stream == streamCall
	switch {
	case h.version != protocolVersion:
		return RefusedVersion
	case !member && h.stream != streamIntro:
		return RefusedStream
	case checkID(h.peer.ID) != nil:
		return RefusedSender
	case member && (self.Cluster == "" || h.peer.Cluster != self.Cluster):
		return RefusedCluster
	case h.receiver != self.ID && (member || h.receiver != ""):
		return RefusedReceiver
	case member && h.peer.ID == self.ID:
		return RefusedSender
	case h.group != raftGroup:
		return RefusedGroup
	}
	return 0
}

// serve serves an accepted connection to its end.
func (t *Transport) serve(l *link) {
	if l.stream != streamRaft {
		t.serveCalls(l)
		return
	}
	t.mu.Lock()
	r := t.raft
	t.mu.Unlock()
	r.serve(l)
}
