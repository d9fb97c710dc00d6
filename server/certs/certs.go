// Package certs is TLS: it loads certificates and takes new ones without a restart,
// says whom a node believes, finds plaintext where TLS is spoken and TLS where it is
// not, and makes a CA with certificates for a start. It knows no commands, and of
// nodes only the id that a certificate names.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files are the paths of PEM files: a certificate (with its chain, if it has one),
// its private key, and the certificates of the CAs that are believed.
type Files struct{ Cert, Key, CA string }

// Auth is what is asked of clients, in the words of Redis's tls-auth-clients.
type Auth string

const (
	// AuthYes refuses clients without a certificate of the CA.
	AuthYes Auth = "yes"
	// AuthOptional takes clients without one, but none with a wrong one.
	AuthOptional Auth = "optional"
	// AuthNo asks for none.
	AuthNo Auth = "no"
)

const (
	// lookEvery is how often the files are looked at, while there are handshakes.
	lookEvery = time.Second
	// expiresSoon is how long before its end a certificate is warned of.
	expiresSoon = 30 * 24 * time.Hour
)

// Store holds what Files say now. All methods may be called from any goroutine.
type Store struct {
	files Files
	auth  Auth
	log   *slog.Logger
	now   func() time.Time

	current atomic.Pointer[loaded]
	looked  atomic.Int64 // Unix nanoseconds of the last look at the files

	mu   sync.Mutex // held while the files are looked at
	seen stamps     // guarded by mu; of the files that were read last, whatever came of it
	node string     // guarded by mu; the node that they must be good for, "" for none (CheckNode)
}

// loaded is what the files said at one time.
type loaded struct {
	cert  *tls.Certificate // its Leaf is set
	roots *x509.CertPool   // nil without a CA
	// clients is the configuration of the ports for clients.
	clients *tls.Config
}

// stamps tell whether files have changed.
type stamps [3]fs.FileInfo

func (s stamps) same(o stamps) bool {
	for i := range s {
		a, b := s[i], o[i]
		if a == nil || b == nil {
			if a != b {
				return false
			}
			continue
		}
		if a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) || !os.SameFile(a, b) {
			return false
		}
	}
	return true
}

// Open loads the files. Its errors are one line that names the file and says what is
// wrong with it.
func Open(files Files, auth Auth, log *slog.Logger) (*Store, error) {
	s := &Store{files: files, auth: auth, log: log, now: time.Now}
	s.seen = files.stat()
	l, err := s.load()
	if err != nil {
		return nil, err
	}
	s.current.Store(l)
	s.looked.Store(s.now().UnixNano())
	s.warnOfEnd(l)
	return s, nil
}

// Leaf is the certificate in use.
func (s *Store) Leaf() *x509.Certificate { return s.get().cert.Leaf }

// Reload reads the files again, changed or not. On an error what was loaded before
// stays in use.
func (s *Store) Reload() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looked.Store(s.now().UnixNano())
	s.seen = s.files.stat()
	return s.replaceLocked()
}

// get returns what is in use, after a look at the files if the last one is some time
// ago. It is asked at each handshake, so an idle node does nothing.
func (s *Store) get() *loaded {
	now, last := s.now().UnixNano(), s.looked.Load()
	if now-last >= int64(lookEvery) && s.looked.CompareAndSwap(last, now) {
		s.look()
	}
	return s.current.Load()
}

// look reads the files where they have changed. Whoever replaces several files does
// it one after the other: those that do not fit together yet are left, and read again
// once one of them changes.
func (s *Store) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.files.stat()
	if now.same(s.seen) {
		return
	}
	s.seen = now
	if err := s.replaceLocked(); err != nil {
		s.log.Warn("changed certificate files cannot be used; those loaded before stay in use", "error", err)
	}
}

func (s *Store) replaceLocked() error {
	l, err := s.load()
	if err == nil && s.node != "" {
		err = s.checkNode(l, s.node)
	}
	if err != nil {
		return err
	}
	s.current.Store(l)
	s.log.Info("certificates loaded", "file", s.files.Cert, "serial", l.cert.Leaf.SerialNumber.Text(16), "expires", l.cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	s.warnOfEnd(l)
	return nil
}

func (s *Store) warnOfEnd(l *loaded) {
	end := l.cert.Leaf.NotAfter
	switch left := end.Sub(s.now()); {
	case left < 0:
		s.log.Error("the certificate has expired: nobody who checks it connects any more", "file", s.files.Cert, "expired", end.UTC().Format(time.RFC3339))
	case left < expiresSoon:
		s.log.Warn("the certificate expires soon", "file", s.files.Cert, "expires", end.UTC().Format(time.RFC3339))
	}
}

// stat looks at the files; one that cannot be looked at is nil.
func (f Files) stat() (all stamps) {
	for i, path := range []string{f.Cert, f.Key, f.CA} {
		if info, err := os.Stat(path); path != "" && err == nil {
			all[i] = info
		}
	}
	return all
}

// load reads the files and checks that they belong together.
func (s *Store) load() (*loaded, error) {
	certText, err := read(s.files.Cert)
	if err != nil {
		return nil, err
	}
	keyText, err := read(s.files.Key)
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate and its key: %w", s.files.Cert, s.files.Key, err)
	}
	l := &loaded{cert: &cert}
	if s.files.CA != "" {
		caText, err := read(s.files.CA)
		if err != nil {
			return nil, err
		}
		l.roots = x509.NewCertPool()
		if !l.roots.AppendCertsFromPEM(caText) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", s.files.CA)
		}
	}
	l.clients = s.clientConfig(l)
	return l, nil
}

func read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	var onPath *fs.PathError
	if errors.As(err, &onPath) {
		return nil, fmt.Errorf("%s cannot be read: %w", path, onPath.Err)
	}
	return text, err
}

// Clients is the configuration of a port for clients.
func (s *Store) Clients() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.get().clients, nil },
	}
}

func (s *Store) clientConfig(l *loaded) *tls.Config {
	c := l.config()
	switch s.auth {
	case AuthYes:
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, l.roots
	case AuthOptional:
		c.ClientAuth, c.ClientCAs = tls.VerifyClientCertIfGiven, l.roots
	}
	// A session that is taken up again is one whose certificate nobody looks at.
	c.SessionTicketsDisabled = c.ClientAuth != tls.NoClientCert
	return c
}

// config is what all configurations have in common.
func (l *loaded) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*l.cert},
		// Small records at first are for web pages; here they cost throughput.
		DynamicRecordSizingDisabled: true,
	}
}
