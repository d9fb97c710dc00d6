// Package security tests what strangers can do to a cluster: real processes, raw
// sockets, and certificates and tokens that do not fit. After each attempt the same
// node must lead and all data be there.
package security

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// patience is how long a test waits for what takes a second on an idle machine.
const patience = 30 * time.Second

var ctx = context.Background()

func TestMain(m *testing.M) { os.Exit(proc.Main(m)) }

// patient has a leader replaced only after seconds of silence, so that it is not the
// load of the machine that moves it.
var patient = []string{"--network", "wan"}

// authority is a directory that raftkv certs filled.
type authority struct{ dir string }

// certs runs raftkv certs for three nodes and a client, and adds what args say.
func certs(t *testing.T, args ...string) authority {
	t.Helper()
	a := authority{filepath.Join(t.TempDir(), "certs")}
	a.make(t, append([]string{"--node-id", "node1,node2,node3,node4", "--client", "app"}, args...)...)
	return a
}

func (a authority) make(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(proc.Build(t), append([]string{"certs", "--dir", a.dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("raftkv certs: %v: %s", err, out)
	}
}

func (a authority) file(name string) string { return filepath.Join(a.dir, name) }

// flags are those of a node with the certificate of a name.
func (a authority) flags(name string) []string {
	return []string{"--tls-cert-file", a.file(name + ".crt"), "--tls-key-file", a.file(name + ".key"), "--tls-ca-cert-file", a.file("ca.crt")}
}

// client is the configuration of a client with the certificates of these names.
func (a authority) client(t *testing.T, names ...string) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(a.file("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AppendCertsFromPEM(text)
	for _, name := range names {
		pair, err := tls.LoadX509KeyPair(a.file(name+".crt"), a.file(name+".key"))
		if err != nil {
			t.Fatal(err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c
}

// node is a node of the authority that was not started.
func (a authority) node(t *testing.T, id string, flags ...string) *proc.Node {
	t.Helper()
	n := proc.NewNode(t, id, append(a.flags(id), flags...)...)
	n.TLS = a.client(t, "client-app")
	return n
}

// cluster starts three nodes with TLS everywhere.
func (a authority) cluster(t *testing.T, flags ...string) *proc.Cluster {
	t.Helper()
	var nodes []*proc.Node
	for _, id := range []string{"node1", "node2", "node3"} {
		nodes = append(nodes, a.node(t, id, append(flags, patient...)...))
	}
	return proc.StartClusterOf(t, nodes...)
}

// witness remembers who leads and what was written.
type witness struct {
	c      *proc.Cluster
	leader *proc.Node
	status *proc.Status
	keys   int
}

// before writes keys and notes who leads in which term.
func before(t *testing.T, c *proc.Cluster) *witness {
	t.Helper()
	w := &witness{c: c, leader: c.Leader(), keys: 100}
	for i := range w.keys {
		w.leader.MustDo("SET", fmt.Sprint("key", i), fmt.Sprint("value", i))
	}
	status, err := w.leader.Status()
	if err != nil {
		t.Fatal(err)
	}
	w.status = status
	return w
}

// unmoved checks that the same node leads in the same term, that the members are the
// same, and that all keys are there and new ones are taken.
func (w *witness) unmoved(t *testing.T) {
	t.Helper()
	now, err := w.leader.Status()
	if err != nil {
		t.Fatal(err)
	}
	if now.Role != "leader" || now.Term != w.status.Term || len(now.Nodes) != len(w.status.Nodes) {
		t.Errorf("%s is %s in term %d of %d members, was leader in %d of %d", w.leader.ID, now.Role, now.Term, len(now.Nodes), w.status.Term, len(w.status.Nodes))
	}
	for i := range w.keys {
		if got := w.leader.MustDo("GET", fmt.Sprint("key", i)); got != fmt.Sprint("value", i) {
			t.Fatalf("key%d is %v", i, got)
		}
	}
	w.leader.MustDo("SET", "after", t.Name())
	if got := w.leader.MustDo("DBSIZE"); got != int64(w.keys+1) {
		t.Errorf("%v keys, want %d", got, w.keys+1)
	}
}

// logged waits until a line of the node's log has all these words.
func logged(t *testing.T, n *proc.Node, words ...string) {
	t.Helper()
	proc.Eventually(t, patience, fmt.Sprintf("%s logs %q", n.ID, words), func() error {
		text, err := os.ReadFile(n.LogPath)
		if err != nil {
			return err
		}
	lines:
		for line := range strings.Lines(string(text)) {
			for _, word := range words {
				if !strings.Contains(line, word) {
					continue lines
				}
			}
			return nil
		}
		return fmt.Errorf("the log ends with %s", n.LogTail(3))
	})
}

// clientOf is a plain client of an address with a configuration of its own.
func clientOf(t *testing.T, addr string, config *tls.Config) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: config, MaxRetries: -1, DisableIdentity: true, DialTimeout: 5 * time.Second, DialerRetries: 1})
	t.Cleanup(func() { c.Close() })
	return c
}
