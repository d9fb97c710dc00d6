package certs

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestClientsAreAskedForCertificates(t *testing.T) {
	dir, foreign := made(t), made(t)
	expired := signed(t, dir, "late", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for _, c := range []struct {
		name  string
		auth  Auth
		own   []Files
		takes bool
	}{
		{"none, none asked for", AuthNo, nil, true},
		{"none, but one is needed", AuthYes, nil, false},
		{"none where it is optional", AuthOptional, nil, true},
		{"the CA's", AuthYes, []Files{filesOf(dir, "client-app")}, true},
		{"the CA's where it is optional", AuthOptional, []Files{filesOf(dir, "client-app")}, true},
		{"another CA's", AuthYes, []Files{filesOf(foreign, "client-app")}, false},
		{"another CA's where it is optional", AuthOptional, []Files{filesOf(foreign, "client-app")}, false},
		{"an expired one", AuthYes, []Files{expired}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, filesOf(dir, "node1"), c.auth, &lines{})
			client := trusting(t, dir)
			for _, f := range c.own {
				pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
				if err != nil {
					t.Fatal(err)
				}
				// Shown whether the server says that it believes this CA or not.
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			_, atServer, atClient := meet(t, s.Clients(), client)
			if (atServer == nil) != c.takes || (atClient == nil) != c.takes {
				t.Errorf("server: %v, client: %v; want taken = %v", atServer, atClient, c.takes)
			}
		})
	}
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) {
	dir := made(t)
	s := open(t, filesOf(dir, "node1"), AuthNo, &lines{})
	for version, takes := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		client := trusting(t, dir)
		client.MinVersion, client.MaxVersion = version, version
		if _, atServer, atClient := meet(t, s.Clients(), client); (atServer == nil) != takes || (atClient == nil) != takes {
			t.Errorf("%s: server %v, client %v; want taken = %v", tls.VersionName(version), atServer, atClient, takes)
		}
	}
}

func TestCertificatesAreReloaded(t *testing.T) {
	dir, log := made(t), &lines{}
	s := open(t, filesOf(dir, "node1"), AuthNo, log)
	serial := func() string {
		t.Helper()
		s.looked.Store(0) // a second has passed
		state, _, err := meet(t, s.Clients(), trusting(t, dir))
		if err != nil {
			t.Fatal(err)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	if again := serial(); again != first {
		t.Fatal("another certificate without a change")
	}
	fresh := signed(t, dir, "fresh", func(*x509.Certificate) {})
	replace := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	// One after the other: meanwhile the two do not fit together, and the old ones stay.
	replace(fresh.Cert, s.files.Cert)
	if got := serial(); got != first {
		t.Fatal("a certificate without its key is in use")
	}
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("%d warnings of files that do not fit, want 1:\n%s", n, log)
	}
	serial()
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("%d warnings after another look, want 1", n)
	}
	replace(fresh.Key, s.files.Key)
	if got := serial(); got == first {
		t.Error("the new certificate is not in use")
	}
	if !strings.Contains(log.String(), "certificates loaded") {
		t.Errorf("no line says that certificates were loaded:\n%s", log)
	}
}

func TestReloadOnDemandSaysWhatIsWrong(t *testing.T) {
	dir := made(t)
	s := open(t, filesOf(dir, "node1"), AuthYes, &lines{})
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.files.CA, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), s.files.CA) {
		t.Errorf("Reload with a broken CA: %v, want an error that names it", err)
	}
	if s.Leaf() == nil || s.current.Load().roots == nil {
		t.Error("what was loaded before is gone")
	}
}

func TestACAThatIsReplacedCountsAtOnce(t *testing.T) {
	dir, foreign := made(t), made(t)
	s := open(t, filesOf(dir, "node1"), AuthYes, &lines{})
	client := trusting(t, dir, filesOf(dir, "client-app"))
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if _, _, err := meet(t, s.Clients(), client); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(foreign, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.files.CA, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if state, atServer, _ := meet(t, s.Clients(), client); atServer == nil || state.DidResume {
		t.Errorf("a client of the former CA was taken (resumed: %v)", state.DidResume)
	}
}

func TestFilesThatCannotBeUsedAreNamed(t *testing.T) {
	dir := made(t)
	good := filesOf(dir, "node1")
	other := filesOf(dir, "node2")
	for _, c := range []struct {
		name, want string
		files      Files
	}{
		{"no certificate", "nowhere.crt cannot be read", Files{filepath.Join(dir, "nowhere.crt"), good.Key, good.CA}},
		{"no key", "nowhere.key cannot be read", Files{good.Cert, filepath.Join(dir, "nowhere.key"), good.CA}},
		{"another's key", "no certificate and its key", Files{good.Cert, other.Key, good.CA}},
		{"a key for a CA", "holds no certificate", Files{good.Cert, good.Key, good.Key}},
	} {
		if _, err := Open(c.files, AuthNo, (&lines{}).logger()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
}

func TestTheEndOfACertificateIsWarnedOf(t *testing.T) {
	dir := made(t)
	soon := signed(t, dir, "soon", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Hour) })
	gone := signed(t, dir, "gone", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	for name, c := range map[string]struct {
		files Files
		want  string
	}{"far": {filesOf(dir, "node1"), ""}, "soon": {soon, "expires soon"}, "over": {gone, "has expired"}} {
		log := &lines{}
		open(t, c.files, AuthNo, log)
		if got := log.String(); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: the log says %q, want %q", name, got, c.want)
		}
	}
}
