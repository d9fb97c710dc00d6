// Package security tests what strangers can do to a cluster, and what users can who may
// do little: real processes, raw sockets, certificates, tokens and passwords that do not
// fit. After each attempt on a cluster the same node must lead in the same term, all data
// be there, and another client must have gone on writing. With -v it prints what was tried
// and what came of it. Most tests run beside each other.
package security

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/attack"
	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// patience is how long a test waits for what takes a second on an idle machine.
const patience = 30 * time.Second

var ctx = context.Background()

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "4") // they wait more than they work
	}
	code := proc.Main(m)
	table.Print()
	os.Exit(code)
}

// table has a row for each attack.
var table = attack.Table{
	Above: "Where a cluster is attacked another client writes and reads meanwhile, and afterwards the same node must\n" +
		"lead in the same term, with the same members and all data.",
	Head:    []string{"where", "attack", "tried", "what the node did", "leader", "the other client meanwhile"},
	ByFirst: true,
}

// alone runs an attack on what is no cluster whose leader could move. fn says in words
// what was tried, and what came of it.
func alone(t *testing.T, where, name string, fn func(t *testing.T) (tried, did string)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		row := []string{where, name, "", "", "–", "–"}
		defer addRow(t, row)
		row[2], row[3] = fn(t)
	})
}

// addRow puts an attack into the table, whatever came of it.
func addRow(t *testing.T, row []string) {
	if t.Failed() {
		row[3] = strings.TrimSuffix("FAILED: "+row[3], ": ")
	}
	if !t.Skipped() {
		table.Add(row...)
	}
}

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

// witness remembers who leads and what was written, and has another client at work.
type witness struct {
	c      *proc.Cluster
	leader *proc.Node
	status *proc.Status
	keys   int
	other  *attack.Other
}

// before writes keys, notes who leads in which term, and sets the other client to work.
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
	w.other = attack.Work(t, dialAs(t, w.leader, "default", w.leader.Password), false)
	return w
}

// attack runs an attack on the cluster. fn says in words what was tried, and what the
// node did.
func (w *witness) attack(t *testing.T, where, name string, fn func(t *testing.T) (tried, did string)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		row := []string{where, name, "", "", "moved", ""}
		defer addRow(t, row)
		from := w.other.Replies()
		row[2], row[3] = fn(t)
		w.other.AtLeast(t, from+20)
		waits := w.other.Waits(from)
		row[5] = fmt.Sprintf("%d replies, p99 %s", len(waits), waits[len(waits)*99/100].Round(100*time.Microsecond))
		if w.unmoved(t) {
			row[4] = "stays"
		}
	})
}

// unmoved checks that the same node leads in the same term, that the members are the
// same, and that all keys are there and no others, and new ones are taken.
func (w *witness) unmoved(t *testing.T) bool {
	t.Helper()
	now, err := w.leader.Status()
	if err != nil {
		t.Fatal(err)
	}
	stays := now.Role == "leader" && now.Term == w.status.Term && len(now.Nodes) == len(w.status.Nodes)
	if !stays {
		t.Errorf("%s is %s in term %d of %d members, was leader in %d of %d", w.leader.ID, now.Role, now.Term, len(now.Nodes), w.status.Term, len(w.status.Nodes))
	}
	for i := range w.keys {
		if got := w.leader.MustDo("GET", fmt.Sprint("key", i)); got != fmt.Sprint("value", i) {
			t.Fatalf("key%d is %v", i, got)
		}
	}
	w.leader.MustDo("SET", "after", t.Name())
	if got := w.leader.MustDo("DBSIZE"); got != int64(w.keys+2) { // with "after", and the other client's
		t.Errorf("%v keys, want %d", got, w.keys+2)
	}
	return stays
}

// again is a witness of the cluster as it is now, after a change that the test made: the
// other client goes on.
func (w *witness) again(t *testing.T) *witness {
	t.Helper()
	now := *w
	var err error
	if now.status, err = w.leader.Status(); err != nil {
		t.Fatal(err)
	}
	if now.status.Role != "leader" || now.status.Term != w.status.Term {
		t.Fatalf("%s is %s in term %d, was leader in %d", w.leader.ID, now.status.Role, now.status.Term, w.status.Term)
	}
	return &now
}

// left says that the test itself changes the cluster from here on: the other client ends.
func (w *witness) left() { w.other.Stop() }

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

// portless is a text of a node's without the ports that a test happened to get.
func portless(text string) string { return ports.ReplaceAllString(text, "127.0.0.1:PORT") }

var ports = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// clientOf is a plain client of an address with a configuration of its own.
func clientOf(t *testing.T, addr string, config *tls.Config) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: config, MaxRetries: -1, DisableIdentity: true, DialTimeout: 5 * time.Second, DialerRetries: 1})
	t.Cleanup(func() { c.Close() })
	return c
}
