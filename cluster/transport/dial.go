package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// dial connects to addr and does the dialling side's handshake: receiver is the
// node id that must answer, or "". All its errors are ErrNotSent.
func (t *Transport) dial(ctx context.Context, addr string, s stream, receiver string) (*link, error) {
	d := net.Dialer{Timeout: t.limits.dial}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, notSent{err}
	}
	tune(c, t.limits.unacked)
	c.SetDeadline(time.Now().Add(t.limits.handshake))
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	var l *link
	secured, err := t.secureDialled(c, addr, receiver)
	if err == nil {
		l, err = t.introduce(secured, addr, s, receiver)
	}
	if !stop() && err == nil {
		l.Close()
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		if cause := ctx.Err(); cause != nil {
			err = fmt.Errorf("no handshake from %s: %w", addr, cause)
		}
		return nil, notSent{err}
	}
	c.SetDeadline(time.Time{})
	t.met(l)
	return l, nil
}

// introduce is the handshake on a fresh connection.
func (t *Transport) introduce(c net.Conn, addr string, s stream, receiver string) (*link, error) {
	self := t.Identity()
	h := hello{version: protocolVersion, stream: s, group: raftGroup, receiver: receiver,
		instance: t.instance, peer: Peer{self.ID, self.Cluster, t.advertise}, dir: t.dir()}
	msg, err := h.append(nil)
	if err != nil {
		return nil, err
	}
	refused := &HandshakeError{Addr: addr, Meant: receiver, Self: self}
	if _, err := c.Write(msg); err != nil {
		return nil, fmt.Errorf("no handshake from %s: %w", addr, err)
	}
	a, err := readAnswer(c)
	if remote := refusedByTLS(err); remote != nil {
		// With TLS 1.3 the dialling side is done before the other has looked at its certificate.
		refused.Reason, refused.Cause = RefusedOurs, remote
		return nil, refused
	}
	if errors.Is(err, errForeign) {
		refused.Reason = RefusedForeign
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("no handshake from %s: %w", addr, err)
	}
	if a.instance == t.instance && a.version == protocolVersion {
		return nil, ErrSelf
	}
	refused.Peer, refused.Reason = a.peer, a.refusal
	if refused.Reason == 0 {
		refused.Reason = judgeAnswer(a, h)
	}
	if refused.Reason == 0 && !t.certifies(c, a.peer.ID) {
		refused.Reason = RefusedName
	}
	l := &link{Conn: c, t: t, stream: s, peer: a.peer, instance: a.instance, self: self, dialled: addr, dir: a.dir}
	if l.odd = !t.fits(a.peer.ID, a.dir); l.odd && refused.Reason == 0 && s != streamIntro {
		refused.Reason = RefusedDir
	}
	if refused.Reason == 0 {
		refused.Reason = t.adopt(l)
	}
	if refused.Reason != 0 {
		return nil, refused
	}
	if l.dead.Load() {
		return nil, ErrClosed
	}
	return l, nil
}

// judgeAnswer is the dialling side's decision: it does not rely on the other
// side's judgement alone.
func judgeAnswer(a answer, h hello) Refusal {
	switch {
	case a.version != protocolVersion:
		return RefusedVersion
	case h.receiver != "" && a.peer.ID != h.receiver:
		return RefusedReceiver
	case h.stream != streamIntro && (h.peer.Cluster == "" || a.peer.Cluster != h.peer.Cluster):
		return RefusedCluster
	}
	return 0
}
