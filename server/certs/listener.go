package certs

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// handshakeTime is how long a client may take for its handshake.
	handshakeTime = 10 * time.Second
	// refuseTime is how long one that spoke the wrong language gets to hear so.
	refuseTime  = 200 * time.Millisecond
	refuseBytes = 64 << 10
	// farewellTime is how long a connection that is closed may take to say so.
	farewellTime = 20 * time.Millisecond
	// warnEvery lies between two warnings of the same kind: whoever causes them must
	// not fill the log.
	warnEvery = time.Minute
)

// Words are what a port says in plaintext to those who speak the wrong language.
type Words struct {
	Port string // the port's name in the log
	// UseTLS is for plaintext on a port of TLS, NoTLS for TLS on a port of plaintext.
	UseTLS, NoTLS string
}

// Port is a listener for clients, with TLS or without.
type Port struct {
	*net.TCPListener
	tls   *tls.Config // nil for plaintext
	words Words
	log   *slog.Logger
	wrong sparing // of the wrong language
	cert  sparing // of handshakes that failed
}

// NewPort makes a Port of a listener; with TLS where a configuration is given.
func NewPort(ln *net.TCPListener, config *tls.Config, words Words, log *slog.Logger) *Port {
	return &Port{TCPListener: ln, tls: config, words: words, log: log}
}

// Accept returns a connection at once. A handshake is done by whoever first reads.
func (p *Port) Accept() (net.Conn, error) {
	c, err := p.AcceptTCP()
	if err != nil {
		return nil, err
	}
	if p.tls == nil {
		return &plainConn{TCPConn: c, port: p}, nil
	}
	return &Conn{Conn: tls.Server(c, p.tls), tcp: c, port: p}, nil
}

// plainConn is a client's connection without TLS.
type plainConn struct {
	*net.TCPConn
	port  *Port
	heard bool // something was read; only the reader touches it
}

// TCP is the connection itself, for its settings.
func (c *plainConn) TCP() *net.TCPConn { return c.TCPConn }

// Read is net.Conn's. The first bytes tell whether the client believes that this is
// a port of TLS: a handshake's record, of version 3.
func (c *plainConn) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	if c.heard || n == 0 {
		return n, err
	}
	c.heard = true
	if n >= 2 && b[0] == 0x16 && b[1] == 0x03 {
		c.port.refuse(c.TCPConn, c.port.words.NoTLS, "a client speaks TLS, and this port does not")
		return 0, errWrongLanguage
	}
	return n, err
}

var errWrongLanguage = errors.New("TLS on a port of plaintext, or plaintext on one of TLS")

// Conn is a client's connection with TLS.
type Conn struct {
	*tls.Conn
	tcp  *net.TCPConn
	port *Port
	once sync.Once
	err  error // of the handshake; set within once
	done atomic.Bool
}

// TCP is the connection below, for its settings.
func (c *Conn) TCP() *net.TCPConn { return c.tcp }

// Shaken says whether the handshake is done: before that a write waits for the client.
func (c *Conn) Shaken() bool { return c.done.Load() }

// Read is net.Conn's.
func (c *Conn) Read(b []byte) (int, error) {
	if err := c.shake(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

// Write is net.Conn's.
func (c *Conn) Write(b []byte) (int, error) {
	if err := c.shake(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// CloseWrite ends this side's half.
func (c *Conn) CloseWrite() error {
	if c.Shaken() {
		if err := c.Conn.CloseWrite(); err != nil {
			return err
		}
	}
	return c.tcp.CloseWrite()
}

// Close is net.Conn's. TLS has a farewell, which waits for a client that does not
// read; whoever closes must not.
func (c *Conn) Close() error {
	late := time.AfterFunc(farewellTime, func() { c.tcp.Close() })
	defer late.Stop()
	return c.Conn.Close()
}

// shake does the handshake once. Its time is kept by a timer, since the deadlines
// belong to whoever reads and writes.
func (c *Conn) shake() error {
	c.once.Do(func() {
		late := time.AfterFunc(handshakeTime, func() { c.tcp.Close() })
		defer late.Stop()
		c.err = c.Conn.Handshake()
		c.done.Store(c.err == nil)
		if c.err != nil {
			c.port.explain(c, c.err)
		}
	})
	return c.err
}

// explain says what became of a handshake that failed.
func (p *Port) explain(c *Conn, err error) {
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header) && header.Conn != nil:
		p.refuse(c.tcp, p.words.UseTLS, "a client speaks plaintext, and this port only TLS")
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed): // it left
	case p.cert.may():
		p.log.Warn("a client's TLS handshake failed", "port", p.words.Port, "client", c.RemoteAddr().String(), "error", err)
	}
}

// refuse answers in plaintext, and lets the other side read it: a socket that is
// closed with unread input loses what was written last.
func (p *Port) refuse(c *net.TCPConn, answer, why string) {
	if p.wrong.may() {
		p.log.Warn(why, "port", p.words.Port, "client", c.RemoteAddr().String())
	}
	_ = c.SetDeadline(time.Now().Add(refuseTime))
	if _, err := c.Write([]byte(answer)); err != nil || c.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, refuseBytes)
}

// sparing lets something be said now and then.
type sparing struct{ last atomic.Int64 }

func (s *sparing) may() bool {
	now, last := time.Now().UnixNano(), s.last.Load()
	return (last == 0 || now-last >= int64(warnEvery)) && s.last.CompareAndSwap(last, now)
}

// RESPWords are those of a port for Redis clients.
var RESPWords = Words{
	Port:   "resp",
	UseTLS: "-ERR this port speaks TLS only; connect with TLS (redis-cli --tls)\r\n",
	NoTLS:  "-ERR this port speaks no TLS; connect without it, or start the node with --tls-cert-file\r\n",
}

// HTTPWords are those of a port for HTTP.
var HTTPWords = Words{
	Port:   "http",
	UseTLS: httpRefusal("this port speaks TLS only: use https"),
	NoTLS:  httpRefusal("this port speaks no TLS: use http"),
}

func httpRefusal(why string) string {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
	b.WriteString(`{"error":"` + why + `"}` + "\n")
	return b.String()
}
