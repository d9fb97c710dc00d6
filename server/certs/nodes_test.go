package certs

import (
	"crypto/x509"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestNodesCheckEachOther(t *testing.T) {
	dir, foreign := made(t), made(t)
	unnamed := signed(t, dir, "unnamed", func(*x509.Certificate) {})
	elsewhere := signed(t, dir, "elsewhere", func(c *x509.Certificate) { c.IPAddresses = nil; c.DNSNames = []string{"db.example"} })
	expired := signed(t, dir, "late", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early := signed(t, dir, "early", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	server := signed(t, dir, "server", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	for _, c := range []struct {
		name            string
		acceptor, other Files
		accepts, dials  bool // what the other comes to when it dials, and when it is dialled
	}{
		{"another node", filesOf(dir, "node1"), filesOf(dir, "node2"), true, true},
		{"of no name, at its host", filesOf(dir, "node1"), unnamed, true, true},
		{"of no name, at another host", filesOf(dir, "node1"), elsewhere, true, false},
		{"another CA's", filesOf(dir, "node1"), Files{filesOf(foreign, "node2").Cert, filesOf(foreign, "node2").Key, filesOf(dir, "node1").CA}, false, false},
		{"expired", filesOf(dir, "node1"), expired, false, false},
		{"not yet valid", filesOf(dir, "node1"), early, false, false},
		{"a client's", filesOf(dir, "node1"), filesOf(dir, "client-app"), false, false},
		{"a mere server's", filesOf(dir, "node1"), server, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			us, them := open(t, c.acceptor, AuthNo, &lines{}), open(t, c.other, AuthNo, &lines{})
			_, atServer, atClient := meet(t, us.AcceptNode(), them.DialNode("127.0.0.1"))
			if (atServer == nil) != c.accepts || (atClient == nil) != c.accepts {
				t.Errorf("it dials: server %v, client %v; want accepted = %v", atServer, atClient, c.accepts)
			}
			if _, _, atClient := meet(t, them.AcceptNode(), us.DialNode("127.0.0.1")); (atClient == nil) != c.dials {
				t.Errorf("it is dialled: %v; want accepted = %v", atClient, c.dials)
			}
		})
	}
}

func TestANodeWithoutACertificateIsRefused(t *testing.T) {
	dir := made(t)
	s := open(t, filesOf(dir, "node1"), AuthNo, &lines{})
	if _, atServer, atClient := meet(t, s.AcceptNode(), trusting(t, dir)); atServer == nil || atClient == nil {
		t.Errorf("server %v, client %v; want both refused", atServer, atClient)
	}
}

func TestCheckNode(t *testing.T) {
	dir, foreign := made(t), made(t)
	strange := filesOf(foreign, "node1")
	strange.CA = filesOf(dir, "node1").CA
	for _, c := range []struct {
		name, id, want string
		files          Files
	}{
		{"its own", "node1", "", filesOf(dir, "node1")},
		{"another node's", "node2", `certificate of node "node1"`, filesOf(dir, "node1")},
		{"a client's", "app", "is not one of a node", filesOf(dir, "client-app")},
		{"not of its CA", "node1", "unknown authority", strange},
		{"without a CA", "node1", "no CA", Files{Cert: strange.Cert, Key: strange.Key}},
	} {
		err := open(t, c.files, AuthNo, &lines{}).CheckNode(c.id)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// Files that are read again must pass what CheckNode asked at the start: with another
// node's certificate a node would lose all others, one connection after the other.
func TestCheckNodeHoldsForFilesReadAgain(t *testing.T) {
	dir, log := made(t), &lines{}
	own, other := filesOf(dir, "node1"), filesOf(dir, "node2")
	s := open(t, own, AuthNo, log)
	if err := s.CheckNode("node1"); err != nil {
		t.Fatal(err)
	}
	first := s.Leaf()
	for from, to := range map[string]string{other.Cert: own.Cert, other.Key: own.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	s.looked.Store(0) // a second has passed
	if s.Leaf() != first || !strings.Contains(log.String(), `certificate of node \"node2\"`) {
		t.Errorf("the certificate of %s is in use; the log says %q", NodeOf(s.Leaf()), log)
	}
	if err := s.Reload(); err == nil || s.Leaf() != first {
		t.Errorf("Reload: %v, and the certificate of %s is in use", err, NodeOf(s.Leaf()))
	}
	renewed := signed(t, dir, "renewed", func(c *x509.Certificate) { c.URIs = []*url.URL{nodeURI("node1")} })
	for from, to := range map[string]string{renewed.Cert: own.Cert, renewed.Key: own.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Reload(); err != nil || s.Leaf() == first {
		t.Errorf("Reload of a new one of its own: %v", err)
	}
}

func TestNodeOf(t *testing.T) {
	dir := made(t)
	for name, want := range map[string]string{"node1": "node1", "client-app": ""} {
		if got := NodeOf(open(t, filesOf(dir, name), AuthNo, &lines{}).Leaf()); got != want {
			t.Errorf("NodeOf(%s) = %q, want %q", name, got, want)
		}
	}
}
