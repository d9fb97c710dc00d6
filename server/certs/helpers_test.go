package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is a log that a test reads.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// made makes a directory with a CA and certificates for two nodes and a client.
func made(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	mustMake(t, Order{Dir: dir, Nodes: []string{"node1", "node2"}, Hosts: []string{"127.0.0.1", "localhost"}, Clients: []string{"app"}, Days: 90})
	return dir
}

func mustMake(t *testing.T, o Order) {
	t.Helper()
	if _, err := Make(o); err != nil {
		t.Fatal(err)
	}
}

// filesOf are the files of a name in a directory that Make filled.
func filesOf(dir, name string) Files {
	return Files{filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"), filepath.Join(dir, "ca.crt")}
}

func open(t *testing.T, f Files, auth Auth, log *lines) *Store {
	t.Helper()
	s, err := Open(f, auth, log.logger())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// signed writes a certificate of the CA in dir for a template, and returns its files.
func signed(t *testing.T, dir, name string, change func(*x509.Certificate)) Files {
	t.Helper()
	ca, err := loadCA(dir)
	if err != nil || ca == nil {
		t.Fatal("no CA: ", err)
	}
	now := time.Now()
	c := template(name, now, now.AddDate(0, 0, 90))
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	addHosts(c, []string{"127.0.0.1"})
	change(c)
	w := &writer{dir: dir}
	if err := w.sign(name, c, ca); err != nil {
		t.Fatal(err)
	}
	if _, err := w.flush(); err != nil {
		t.Fatal(err)
	}
	return filesOf(dir, name)
}

// meet lets two ends do a handshake over a socket, and returns what each came to. A
// byte goes each way, since a client of TLS 1.3 is done before the server has looked
// at its certificate.
func meet(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, atServer, atClient error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		s := tls.Server(c, server)
		if err = s.Handshake(); err == nil {
			_, err = s.Write([]byte("x"))
		}
		done <- err
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	s := tls.Client(c, client)
	if atClient = s.Handshake(); atClient == nil {
		_, atClient = s.Read(make([]byte, 1))
	}
	state = s.ConnectionState()
	c.Close()
	return state, <-done, atClient
}

// trusting is a client's configuration that believes the CA in dir.
func trusting(t *testing.T, dir string, own ...Files) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	c.RootCAs.AppendCertsFromPEM(text)
	for _, f := range own {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			t.Fatal(err)
		}
		c.Certificates = append(c.Certificates, pair)
	}
	return c
}
