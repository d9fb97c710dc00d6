package certs

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// echo is a port that sends back what it reads.
func echo(t *testing.T, config *tls.Config, log *lines) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := NewPort(ln.(*net.TCPListener), config, RESPWords, log.logger())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := p.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			}()
		}
	}()
	t.Cleanup(func() {
		p.Close()
		<-ended
	})
	return ln.Addr().String()
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func TestPortsSpeak(t *testing.T) {
	dir := made(t)
	s := open(t, filesOf(dir, "node1"), AuthNo, &lines{})
	secret := tls.Client(dial(t, echo(t, s.Clients(), &lines{})), trusting(t, dir))
	defer secret.Close()
	for name, c := range map[string]net.Conn{"TLS": secret, "plaintext": dial(t, echo(t, nil, &lines{}))} {
		for _, text := range []string{"*1\r\n$4\r\nPING\r\n", strings.Repeat("x", 1<<18), "\x16\x03"} {
			go c.Write([]byte(text))
			got := make([]byte, len(text))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
				t.Fatalf("%s: %v, or other bytes came back", name, err)
			}
		}
	}
}

func TestPlaintextOnATLSPortIsToldSo(t *testing.T) {
	dir, log := made(t), &lines{}
	s := open(t, filesOf(dir, "node1"), AuthNo, &lines{})
	addr := echo(t, s.Clients(), log)
	for _, text := range []string{"*1\r\n$4\r\nPING\r\n", "PING\r\n" + strings.Repeat("x", 4096), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c := dial(t, addr)
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != RESPWords.UseTLS {
			t.Errorf("%.20q: %q, %v; want %q", text, got, err, RESPWords.UseTLS)
		}
	}
	if n := strings.Count(log.String(), "speaks plaintext"); n != 1 {
		t.Errorf("%d lines about it, want 1 a minute:\n%s", n, log)
	}
}

func TestTLSOnAPlaintextPortIsToldSo(t *testing.T) {
	log := &lines{}
	c := dial(t, echo(t, nil, log))
	err := tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "does not look like a TLS handshake") {
		t.Errorf("the client's error is %v", err)
	}
	if !strings.Contains(log.String(), "speaks TLS, and this port does not") {
		t.Errorf("the log says nothing:\n%s", log)
	}
}

// TestClosingDoesNotWait: a client that does not read must not hold up whoever closes
// its connection.
func TestClosingDoesNotWait(t *testing.T) {
	dir := made(t)
	s := open(t, filesOf(dir, "node1"), AuthNo, &lines{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := NewPort(ln.(*net.TCPListener), s.Clients(), RESPWords, (&lines{}).logger())
	defer p.Close()
	client := tls.Client(dial(t, ln.Addr().String()), trusting(t, dir))
	go client.Write([]byte("x"))
	c, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	stuck := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				stuck <- err
				return
			}
		}
	}()
	select {
	case err := <-stuck:
		t.Fatalf("the client took everything: %v", err)
	case <-time.After(100 * time.Millisecond): // the buffers are full by now, or the close is merely easier
	}
	start := time.Now()
	c.Close()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("closing took %s", took)
	}
	<-stuck
}
