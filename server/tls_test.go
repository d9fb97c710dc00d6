package server

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/raftkv/raftkv/server/certs"
)

// secretly has a server listen with TLS too, and returns the address and what a
// client needs.
func secretly(t *testing.T, s *testServer) (addr string, config *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	if _, err := certs.Make(certs.Order{Dir: dir, Nodes: []string{"node1"}, Hosts: []string{"127.0.0.1"}, Days: 1}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	file := func(name string) string { return filepath.Join(dir, name) }
	store, err := certs.Open(certs.Files{Cert: file("node1.crt"), Key: file("node1.key"), CA: file("ca.crt")}, certs.AuthNo, log)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- s.Serve(certs.NewPort(ln.(*net.TCPListener), store.Clients(), certs.RESPWords, log))
	}()
	t.Cleanup(func() {
		ln.Close() // or Shutdown has done so already
		<-ended
	})
	text, err := os.ReadFile(file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	config = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	config.RootCAs.AppendCertsFromPEM(text)
	return ln.Addr().String(), config
}

// dialTLS connects without waiting for the handshake.
func dialTLS(t *testing.T, addr string, config *tls.Config) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t: t, conn: tls.Client(conn, config)}
}

func TestClientsWithTLS(t *testing.T) {
	s := newTestServer(t)
	addr, config := secretly(t, s)
	c := dialTLS(t, addr, config)
	c.roundTrip("PING\r\n", "+PONG\r\n")
	big := strings.Repeat("x", 1<<20)
	c.roundTrip("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n"+bulk(big)+"GET k\r\n", "+OK\r\n"+bulk(big))
	c.send("CLIENT INFO\r\n")
	in := bufio.NewReader(c.conn)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	info, err := in.ReadString('\n')
	if err != nil || strings.Contains(info, "fd=-1 ") {
		t.Errorf("CLIENT INFO: %q, %v; want its descriptor", info, err)
	}
	// One that is killed is gone at once.
	victim := dialTLS(t, addr, config)
	victim.roundTrip("CLIENT ID\r\n", ":2\r\n")
	s.dial().roundTrip("CLIENT KILL ID 2\r\n", ":1\r\n")
	if _, err := victim.conn.Read(make([]byte, 1)); err == nil {
		t.Error("a killed client reads on")
	}
}

// TestTLSClientsAreTurnedAway with Redis's words, while the next ones are accepted.
func TestTLSClientsAreTurnedAway(t *testing.T) {
	s := newTestServer(t, func(o *Options) { o.MaxClients = 1 })
	addr, config := secretly(t, s)
	first := dialTLS(t, addr, config)
	first.roundTrip("PING\r\n", "+PONG\r\n")
	silent := make([]*client, 3)
	for i := range silent { // who says nothing holds up nobody
		silent[i] = dialTLS(t, addr, config)
	}
	got, err := io.ReadAll(dialTLS(t, addr, config).conn)
	if err != nil || string(got) != "-ERR max number of clients reached\r\n" {
		t.Errorf("it was told %q, %v", got, err)
	}
	first.roundTrip("PING\r\n", "+PONG\r\n")
}

// TestPlaintextEndsATLSSession: what is said in plaintext runs nothing.
func TestPlaintextEndsATLSSession(t *testing.T) {
	s := newTestServer(t)
	addr, _ := secretly(t, s)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "SET k v\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != certs.RESPWords.UseTLS {
		t.Errorf("it was told %q, %v", got, err)
	}
	s.dial().roundTrip("EXISTS k\r\n", ":0\r\n")
}

// TestShutdownWaitsForNoHandshake: a client that connected and says nothing.
func TestShutdownWaitsForNoHandshake(t *testing.T) {
	s := newTestServer(t)
	addr, config := secretly(t, s)
	dialTLS(t, addr, config)
	c := dialTLS(t, addr, config)
	c.roundTrip("PING\r\n", "+PONG\r\n") // so the one before was accepted, too
	// The cleanup of newTestServer fails the test if its Shutdown takes more than 5 s,
	// which is less than the time for a handshake.
}
