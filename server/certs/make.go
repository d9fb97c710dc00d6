package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// caDays is how long a CA lasts.
	caDays = 3650
	// backdate lets a certificate count on a machine whose clock is a little behind.
	backdate = 5 * time.Minute
	caName   = "ca"
)

// Order is what Make is to make.
type Order struct {
	Dir string
	// Nodes are ids; each gets a certificate that is good for that node alone.
	Nodes []string
	// Hosts are the names and IP addresses at which clients find the nodes.
	Hosts []string
	// Clients are names; each gets a certificate that is good for clients only.
	Clients []string
	Days    int
}

// Make writes certificates and keys into a directory, NAME.crt and NAME.key each, and
// returns the paths of what it wrote. It makes a CA, ca.crt and ca.key, unless there is
// one, which then signs. It replaces nothing: where a file is there already it writes
// none at all.
func Make(o Order) (paths []string, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	ca, err := loadCA(o.Dir)
	if err != nil {
		return nil, err
	}
	w := &writer{dir: o.Dir}
	now := time.Now()
	if ca == nil {
		if ca, err = w.makeCA(now); err != nil {
			return nil, err
		}
	}
	end := now.AddDate(0, 0, o.Days)
	if end.After(ca.cert.NotAfter) {
		return nil, fmt.Errorf("the CA expires %s, before a certificate of %d days would: ask for fewer days, or begin with a new CA in another directory",
			ca.cert.NotAfter.UTC().Format(time.DateOnly), o.Days)
	}
	for _, id := range o.Nodes {
		t := template(id, now, end)
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		t.URIs = []*url.URL{nodeURI(id)}
		addHosts(t, o.Hosts)
		if err := w.sign(id, t, ca); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Clients {
		t := template(name, now, end)
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if err := w.sign("client-"+name, t, ca); err != nil {
			return nil, err
		}
	}
	return w.flush()
}

// authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// loadCA returns the CA that is in a directory, nil where there is none.
func loadCA(dir string) (*authority, error) {
	certPath, keyPath := filepath.Join(dir, caName+".crt"), filepath.Join(dir, caName+".key")
	certText, certErr := os.ReadFile(certPath)
	keyText, keyErr := os.ReadFile(keyPath)
	noCert, noKey := errors.Is(certErr, fs.ErrNotExist), errors.Is(keyErr, fs.ErrNotExist)
	switch {
	case noCert && noKey:
		return nil, nil
	case noCert != noKey:
		return nil, fmt.Errorf("%s and %s make a CA together, and one of them is missing: put it back, or choose another --dir", certPath, keyPath)
	case certErr != nil || keyErr != nil:
		return nil, errors.Join(certErr, keyErr)
	}
	certPEM, _ := pem.Decode(certText)
	keyPEM, _ := pem.Decode(keyText)
	if certPEM == nil || keyPEM == nil {
		return nil, fmt.Errorf("%s and %s are not both PEM", certPath, keyPath)
	}
	cert, err := x509.ParseCertificate(certPEM.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certPath, err)
	}
	key, err := x509.ParsePKCS8PrivateKey(keyPEM.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyPath, err)
	}
	signer, ok := key.(crypto.Signer)
	public, comparable := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !cert.IsCA || !comparable || !public.Equal(signer.Public()) {
		return nil, fmt.Errorf("%s and %s are no CA and its key", certPath, keyPath)
	}
	return &authority{cert, signer}, nil
}

// writer gathers files, so that all are made before the first is written.
type writer struct {
	dir   string
	files []file
}

type file struct {
	name string
	text []byte
}

func (w *writer) makeCA(now time.Time) (*authority, error) {
	t := template("RaftKV CA", now, now.AddDate(0, 0, caDays))
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert, key}, w.add(caName, der, key)
}

// sign makes a key and its certificate.
func (w *writer) sign(name string, t *x509.Certificate, ca *authority) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	return w.add(name, der, key)
}

func (w *writer) add(name string, der []byte, key *ecdsa.PrivateKey) error {
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for _, f := range []file{
		{name + ".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})},
		{name + ".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})},
	} {
		f.name = filepath.Join(w.dir, f.name)
		if _, err := os.Lstat(f.name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s exists already, and nothing is replaced: remove it first, or choose another --dir", f.name)
		}
		if slices.ContainsFunc(w.files, func(other file) bool { return other.name == f.name }) {
			return fmt.Errorf("two certificates would both be %s: choose another name for one", f.name)
		}
		w.files = append(w.files, f)
	}
	return nil
}

// flush writes the files.
func (w *writer) flush() (paths []string, err error) {
	for _, f := range w.files {
		out, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return paths, err
		}
		_, err = out.Write(f.text)
		if err := errors.Join(err, out.Close()); err != nil {
			return paths, fmt.Errorf("%s: %w", f.name, err)
		}
		paths = append(paths, f.name)
	}
	return paths, nil
}

// template is what all certificates have in common.
func template(name string, now, end time.Time) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"RaftKV"}},
		NotBefore: now.Add(-backdate), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
}

func addHosts(t *x509.Certificate, hosts []string) {
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
}
