package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/raftkv/raftkv/server/certs"
)

// tlsEnv, set to anything, has all tests of this package use TLS.
const tlsEnv = "RAFTKV_TEST_TRANSPORT_TLS"

// TestEverythingWithTLS runs the other tests once more, with TLS under all nodes:
// whatever holds of a connection in plaintext must hold of one with TLS.
func TestEverythingWithTLS(t *testing.T) {
	if os.Getenv(tlsEnv) != "" {
		t.Skip("this is that run")
	}
	cmd := exec.Command(os.Args[0], "-test.timeout=5m", "-test.short="+strconv.FormatBool(testing.Short()))
	cmd.Env = append(os.Environ(), tlsEnv+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// shared are the certificates of such a run, whose nodes have many names.
var shared struct {
	once sync.Once
	tls  *TLS
	err  error
}

func testTLS(t testing.TB) *TLS {
	t.Helper()
	if os.Getenv(tlsEnv) == "" {
		return nil
	}
	shared.once.Do(func() {
		dir, err := os.MkdirTemp("", "raftkv-transport-")
		if err != nil {
			shared.err = err
			return
		}
		defer os.RemoveAll(dir)
		if _, shared.err = certs.Make(certs.Order{Dir: dir, Nodes: []string{"any"}, Hosts: []string{"127.0.0.1"}, Days: 1}); shared.err != nil {
			return
		}
		shared.tls, shared.err = tlsOf(dir, "any")
		if shared.err == nil {
			// One certificate for all: what a certificate's name does has a test of its own.
			shared.tls.NodeOf = func(*x509.Certificate) string { return "" }
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.tls
}

func tlsOf(dir, name string) (*TLS, error) {
	s, err := certs.Open(certs.Files{
		Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key"), CA: filepath.Join(dir, "ca.crt"),
	}, certs.AuthNo, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return &TLS{Accept: s.AcceptNode, Dial: s.DialNode, NodeOf: certs.NodeOf}, nil
}

// made makes a directory with certificates for node1 and node2 and a client.
func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := certs.Make(certs.Order{Dir: dir, Nodes: []string{"node1", "node2"}, Hosts: []string{"127.0.0.1"}, Clients: []string{"app"}, Days: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// syncBuffer is a log that a test reads.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// secured makes a node with the certificate of a name, in plaintext for "".
func secured(t *testing.T, b *book, self Identity, dir, name string) (*Transport, *syncBuffer) {
	t.Helper()
	log := &syncBuffer{}
	cfg := Config{Addr: "127.0.0.1:0", Self: self, Resolve: b.resolve, Logger: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Info})}
	if name != "" {
		var err error
		if cfg.TLS, err = tlsOf(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	b.set(self.ID, n.Addr())
	n.Handle(kindEcho, false, func(_ context.Context, _ Peer, req []byte) ([]byte, error) { return req, nil })
	n.Handle(kindIntro, true, func(_ context.Context, _ Peer, req []byte) ([]byte, error) { return req, nil })
	n.Start()
	return n, log
}

// TestSecureHandshakes: which nodes get through, and what the others are told.
func TestSecureHandshakes(t *testing.T) {
	dir, foreign := made(t), made(t)
	mixed := t.TempDir() // a foreign certificate of a node that believes in this CA
	for from, to := range map[string]string{filepath.Join(foreign, "node2.crt"): "node2.crt", filepath.Join(foreign, "node2.key"): "node2.key", filepath.Join(dir, "ca.crt"): "ca.crt"} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(mixed, to), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name          string
		dir, own      string // of the other node, which says that it is node2 of cluster X
		cluster       string
		dials, answer Refusal // what it meets when it dials node1, and node1 when it dials it
		warning       string  // in node1's log
	}{
		{"its own certificate", dir, "node2", "X", 0, 0, ""},
		{"another node's", dir, "node1", "X", RefusedName, RefusedName, "shows the certificate of another node"},
		{"a client's", dir, "client-app", "X", RefusedOurs, RefusedTheirs, "failed in its TLS handshake"},
		{"another CA's", mixed, "node2", "X", RefusedOurs, RefusedTheirs, "failed in its TLS handshake"},
		{"another CA, both ways", foreign, "node2", "X", RefusedTheirs, RefusedTheirs, "failed in its TLS handshake"},
		{"none, in plaintext", dir, "", "X", RefusedNoTLS, RefusedTLS, "a node without TLS connects"},
		{"another cluster", dir, "node2", "Y", RefusedCluster, RefusedCluster, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBook()
			n1, log := secured(t, b, Identity{"node1", "X"}, dir, "node1")
			n2, _ := secured(t, b, Identity{"node2", c.cluster}, c.dir, c.own)
			for _, try := range []struct {
				from *Transport
				to   string
				want Refusal
			}{{n2, "node1", c.dials}, {n1, "node2", c.answer}} {
				_, err := try.from.Call(soon(t), try.to, kindEcho, []byte("x"))
				if try.want == 0 && err == nil {
					continue
				}
				wantRefusal(t, err, try.want)
			}
			wait(t, "node1 warns of it", func() bool { return strings.Contains(log.String(), c.warning) })
			if got := log.String(); c.warning == "" && got != "" {
				t.Errorf("node1's log says %q, want nothing", got)
			}
			if c.dials == 0 && linked(n1, func(*link) bool { return true }) == 0 {
				t.Error("nothing was kept open")
			}
		})
	}
}

// TestSecureTellsAPlaintextNode: TLS that arrives at a port of plaintext is answered
// so that the dialler understands it, and warned of.
func TestSecureTellsAPlaintextNode(t *testing.T) {
	dir, b := made(t), newBook()
	plain, log := secured(t, b, Identity{"node1", "X"}, dir, "")
	n2, _ := secured(t, b, Identity{"node2", "X"}, dir, "node2")
	_, _, err := n2.CallAddr(soon(t), plain.Addr(), kindIntro, nil)
	wantRefusal(t, err, RefusedTLS)
	wait(t, "it is warned of", func() bool {
		return strings.Contains(log.String(), "something that speaks TLS connects to the Raft port")
	})
}

// countedListener counts the connections that are open on the accepting side.
type countedListener struct {
	net.Listener
	open, most atomic.Int64
}

type countedConn struct {
	*net.TCPConn
	l    *countedListener
	once sync.Once
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.most.Store(max(l.most.Load(), l.open.Add(1)))
	return &countedConn{TCPConn: c.(*net.TCPConn), l: l}, nil
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.l.open.Add(-1) })
	return c.TCPConn.Close()
}

// TestSecureToldAreBounded: those who are told that they speak the wrong language have
// places like all who are in their handshake, and hold no more descriptors.
func TestSecureToldAreBounded(t *testing.T) {
	const most = 4
	dir, b := made(t), newBook()
	secret, err := tlsOf(dir, "node1")
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		tls *TLS
		say string
	}{"TLS to plaintext": {nil, "\x16\x03\x01\x00\x01\x00" + strings.Repeat("x", 64)}, "plaintext to TLS": {secret, magic}} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		counted := &countedListener{Listener: ln}
		n, err := New(Config{Listener: counted, Self: Identity{"node1", "X"}, Resolve: b.resolve, TLS: c.tls})
		if err != nil {
			t.Fatal(err)
		}
		n.limits.greeting = most
		n.Start()
		for range 10 * most {
			conn, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			conn.Write([]byte(c.say))
			if got, _ := io.ReadAll(conn); !strings.HasPrefix(string(got), magic) {
				t.Fatalf("%s: told %q, want an answer", what, got)
			}
		}
		n.Close()
		if got := counted.most.Load(); got > most+1 { // one that comes, and then the oldest goes
			t.Errorf("%s: %d connections were open at once, want at most %d", what, got, most+1)
		}
	}
}

// TestSecureStrangersAreDropped: raw bytes on a port of TLS reach nothing; that they
// came is said once, not for each.
func TestSecureStrangersAreDropped(t *testing.T) {
	dir, b := made(t), newBook()
	n, log := secured(t, b, Identity{"node1", "X"}, dir, "node1")
	forged := (&hello{version: protocolVersion, stream: streamRaft, receiver: "node1", peer: Peer{"node2", "X", ""}})
	hi, err := forged.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	follow(t, n)
	for _, say := range []string{"*1\r\n$4\r\nPING\r\n", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("\x00", 4096), "\x16\x03\x01\x00\x01\x00" + strings.Repeat("x", 64), string(hi)} {
		c, err := net.Dial("tcp", n.Addr())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write([]byte(say))
		got, _ := io.ReadAll(c) // to its end, which may be a reset
		if strings.Contains(string(got), "node1") || strings.Contains(string(got), "X") {
			t.Errorf("%.12q was told %q", say, got)
		}
		c.Close()
	}
	if k := linked(n, func(*link) bool { return true }); k != 0 {
		t.Errorf("%d connections got through", k)
	}
	if lines := strings.Count(log.String(), "\n"); lines == 0 || lines > 3 {
		t.Errorf("%d lines of log, want one for each kind:\n%s", lines, log)
	}
}

// TestSecureForgedEntriesNeedACertificate: a client's certificate, of the right CA,
// and even the handshake's every word, do not reach Raft.
func TestSecureForgedEntriesNeedACertificate(t *testing.T) {
	dir, b := made(t), newBook()
	n, _ := secured(t, b, Identity{"node1", "X"}, dir, "node1")
	f := follow(t, n)
	attacker, err := tlsOf(dir, "client-app")
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	s := tls.Client(c, attacker.Dial("127.0.0.1"))
	msg, err := (&hello{version: protocolVersion, stream: streamRaft, receiver: "node1", peer: Peer{"node2", "X", ""}}).append(nil)
	if err != nil {
		t.Fatal(err)
	}
	entry := bufferConn{Buffer: &bytes.Buffer{}}
	w := raftWriter{conn: entry}
	w.send(w.begin().request(&raft.AppendEntriesRequest{RPCHeader: raft.RPCHeader{ID: []byte("node2"), Addr: []byte("node2")}, Term: 99, Entries: []*raft.Log{{Index: 1, Term: 99, Data: []byte("forged")}}}))
	s.Write(append(msg, entry.Bytes()...)) // TLS 1.3 lets it go before the other side has looked
	if got, err := io.ReadAll(s); len(got) > 0 || err == nil {
		t.Errorf("it was answered %q, %v", got, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.got) > 0 {
		t.Errorf("Raft got %v", f.got)
	}
}
