package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// TLS is how connections between nodes are encrypted and who may make them. Its
// functions are asked for each connection, so certificates may change meanwhile.
// Both configurations must demand a certificate and check it, and send nothing
// behind the handshake (session tickets): that would look like an answer.
type TLS struct {
	// Accept is for a connection that is accepted.
	Accept func() *tls.Config
	// Dial is for one to a node at that host.
	Dial func(host string) *tls.Config
	// NodeOf is the id of the node that a certificate was made out to, "" where it
	// names none. A node that shows the certificate of another one is refused.
	NodeOf func(*x509.Certificate) string
}

// secureConn is a connection with TLS. Closing it says no farewell, for which a
// stuck peer would have to be waited for; the ends of all messages are told by
// their lengths.
type secureConn struct{ *tls.Conn }

func (c secureConn) Close() error { return c.NetConn().Close() }

// socket is the TCP connection that a connection goes over.
func socket(c net.Conn) net.Conn {
	if s, ok := c.(secureConn); ok {
		return s.NetConn()
	}
	return c
}

// secureAccepted does the accepting side's TLS handshake, where there is one. The
// connection that it returns is never nil.
func (t *Transport) secureAccepted(c net.Conn) (net.Conn, error) {
	if t.cfg.TLS == nil {
		return c, nil
	}
	s := tls.Server(c, t.cfg.TLS.Accept())
	if err := s.HandshakeContext(t.ctx); err != nil {
		return c, tlsError{err}
	}
	return secureConn{s}, nil
}

// tlsError is that of a TLS handshake with whoever connected.
type tlsError struct{ error }

func (e tlsError) Unwrap() error { return e.error }

// secureDialled does the dialling side's; receiver is as in dial.
func (t *Transport) secureDialled(c net.Conn, addr, receiver string) (net.Conn, error) {
	if t.cfg.TLS == nil {
		return c, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	s := tls.Client(c, t.cfg.TLS.Dial(host))
	err = s.HandshakeContext(t.ctx)
	if err == nil {
		return secureConn{s}, nil
	}
	refused := &HandshakeError{Addr: addr, Meant: receiver, Self: t.Identity(), Cause: err}
	var header tls.RecordHeaderError
	var op *net.OpError
	remote := refusedByTLS(err)
	switch {
	case errors.As(err, &header) && strings.HasPrefix(magic, string(header.RecordHeader[:])):
		refused.Reason = RefusedTLS
	case errors.As(err, &header):
		refused.Reason = RefusedForeign
	case remote != nil:
		refused.Reason = RefusedOurs
	case errors.Is(err, io.EOF), errors.As(err, &op):
		return nil, fmt.Errorf("no handshake from %s: %w", addr, err) // the connection ended, or time was up
	default:
		refused.Reason = RefusedTheirs
	}
	return nil, refused
}

// refusedByTLS is what the other side's TLS says against this node, nil where an
// error is another one.
func refusedByTLS(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err
	}
	return nil
}

// certifies reports whether the other side's certificate, if it names a node, names
// the one that the other side says it is.
func (t *Transport) certifies(c net.Conn, id string) bool {
	s, ok := c.(secureConn)
	if !ok {
		return true
	}
	named := t.cfg.TLS.NodeOf(s.ConnectionState().PeerCertificates[0])
	return named == "" || named == id
}

// isTLS reports whether a connection's first bytes are those of a TLS handshake.
func isTLS(head []byte) bool { return len(head) > 1 && head[0] == 0x16 && head[1] == 0x03 }

// explainTLS tells the other side and the operator where one side speaks TLS and
// the other does not, and the operator where a certificate was the reason.
func (t *Transport) explainTLS(c net.Conn, err error) {
	var header tls.RecordHeaderError
	var failed tlsError
	switch {
	case errors.Is(err, errTLS):
		t.warn(&t.warned.tls, "something that speaks TLS connects to the Raft port, which does not: give all nodes --tls-cert-file, or none", c)
		t.refusePlainly(c, RefusedTLS)
	case errors.As(err, &header) && strings.HasPrefix(magic, string(header.RecordHeader[:])):
		t.warn(&t.warned.plain, "a node without TLS connects to the Raft port, which speaks TLS only: give all nodes --tls-cert-file, or none", c)
		t.refusePlainly(c, RefusedNoTLS)
	case errors.As(err, &header):
		t.warn(&t.warned.foreign, "something that is no node connects to the Raft port in plaintext", c)
	case errors.As(err, &failed) && !errors.Is(err, io.EOF) && !isTimeout(err) && t.ctx.Err() == nil:
		t.warn(&t.warned.cert, "a connection between nodes failed in its TLS handshake", c, "error", err)
	}
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

// refusePlainly answers in plaintext, by our protocol. It says nothing of this node,
// and lets the other side read it: a socket that is closed with unread input loses
// what was written last.
func (t *Transport) refusePlainly(c net.Conn, why Refusal) {
	const most, within = 64 << 10, 200 * time.Millisecond
	a := answer{version: protocolVersion, refusal: why}
	msg, err := a.append(nil)
	if err != nil {
		return
	}
	c.SetDeadline(time.Now().Add(within))
	if _, err := c.Write(msg); err != nil {
		return
	}
	if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.CopyN(io.Discard, c, most)
	}
}

// warnings remember when each was last given: strangers cause them, and must not
// fill a disk with them.
type warnings struct{ tls, plain, foreign, cert, name atomic.Int64 }

// warn logs a warning of a kind at most once a minute.
func (t *Transport) warn(kind *atomic.Int64, text string, c net.Conn, args ...any) {
	const every = int64(time.Minute)
	now, last := time.Now().UnixNano(), kind.Load()
	if (last == 0 || now-last >= every) && kind.CompareAndSwap(last, now) {
		t.log.Warn(text, append([]any{"remote", c.RemoteAddr()}, args...)...)
	}
}
