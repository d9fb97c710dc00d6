package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// nodeScheme and nodeName make the URI by which a certificate names its node:
// raftkv:node:ID.
const (
	nodeScheme = "raftkv"
	nodeName   = "node:"
)

// NodeOf is the id of the node that a certificate was made out to, "" where it names
// none. One that does is good for that node alone, at whatever address.
func NodeOf(c *x509.Certificate) string {
	for _, u := range c.URIs {
		if id, ok := strings.CutPrefix(u.Opaque, nodeName); ok && u.Scheme == nodeScheme {
			return id
		}
	}
	return ""
}

func nodeURI(id string) *url.URL { return &url.URL{Scheme: nodeScheme, Opaque: nodeName + id} }

// CheckNode says in one line why other nodes would refuse this node, which has that
// id: whoever starts it should learn it here, and not from their logs. From then on
// files that they would refuse are not taken when they are read again either.
func (s *Store) CheckNode(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.node = id
	return s.checkNode(s.current.Load(), id)
}

func (s *Store) checkNode(l *loaded, id string) error {
	if named := NodeOf(l.cert.Leaf); named != "" && named != id {
		return fmt.Errorf("%s is the certificate of node %q, and this node is %q", s.files.Cert, named, id)
	}
	var chain []*x509.Certificate
	for _, der := range l.cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("%s: %w", s.files.Cert, err)
		}
		chain = append(chain, c)
	}
	if err := l.verifyNode(chain, ""); err != nil {
		return fmt.Errorf("%s is no certificate that other nodes accept: %w", s.files.Cert, err)
	}
	return nil
}

// AcceptNode is the configuration for a connection that another node makes to this one.
func (s *Store) AcceptNode() *tls.Config {
	l := s.get()
	c := l.nodeConfig("")
	c.ClientAuth = tls.RequireAnyClientCert // verifyNode checks it
	return c
}

// DialNode is the configuration for a connection to the node at that host.
func (s *Store) DialNode(host string) *tls.Config {
	c := s.get().nodeConfig(host)
	c.ServerName = host
	c.InsecureSkipVerify = true // verifyNode checks it, as far as the handshake can
	return c
}

func (l *loaded) nodeConfig(host string) *tls.Config {
	c := l.config()
	// No sessions are taken up again: each connection shows a certificate, and nothing
	// unasked for is sent behind the handshake, which would look like an answer.
	c.SessionTicketsDisabled = true
	c.VerifyConnection = func(cs tls.ConnectionState) error { return l.verifyNode(cs.PeerCertificates, host) }
	return c
}

// verifyNode says why a chain, its own certificate first, is not that of a node of
// the CA. A node is client and server at once, so its certificate must be good for
// both: that of a mere client does not open the door to the log. One that names its
// node is held against the id that is said next, others against the host dialled.
func (l *loaded) verifyNode(chain []*x509.Certificate, host string) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	if l.roots == nil {
		return errors.New("no CA is known to check it by")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := chain[0].Verify(x509.VerifyOptions{Roots: l.roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage {
			return errors.New("it is not one of a node, which is good for servers and clients both (extended key usage)")
		}
		if err != nil {
			return err
		}
	}
	if host != "" && NodeOf(chain[0]) == "" {
		return chain[0].VerifyHostname(host)
	}
	return nil
}
