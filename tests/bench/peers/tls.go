//go:build linux

package peers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/raftkv/raftkv/tests/bench/load"
)

// Certs are certificates for the servers of this machine and for one client.
type Certs struct{ dir string }

// MakeCerts has raftkv make them in a directory.
func MakeCerts(ctx context.Context, raftkv, dir string) (*Certs, error) {
	dir, err := filepath.Abs(dir) // Redis goes elsewhere before it reads them
	if err != nil {
		return nil, err
	}
	args := []string{"certs", "--dir", dir, "--client", "bench"}
	for i := range clusterSize {
		args = append(args, "--node-id", fmt.Sprintf("node%d", i+1))
	}
	if out, err := exec.CommandContext(ctx, raftkv, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("raftkv certs: %w: %s", err, out)
	}
	return &Certs{dir}, nil
}

func (c *Certs) file(name string) string { return filepath.Join(c.dir, name) }

// flags are those of a server, which Redis and RaftKV spell alike.
func (c *Certs) flags(name string) []string {
	return []string{
		"--tls-cert-file", c.file(name + ".crt"), "--tls-key-file", c.file(name + ".key"), "--tls-ca-cert-file", c.file("ca.crt"),
	}
}

// client is the configuration of a client of ours.
func (c *Certs) client() (*tls.Config, error) {
	text, err := os.ReadFile(c.file("ca.crt"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(c.file("client-bench.crt"), c.file("client-bench.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}

// encrypt notes what it takes to talk to a system whose options ask for TLS.
func (p *processes) encrypt() (err error) {
	if p.opts.Certs != nil {
		p.secret, err = p.opts.Certs.client()
	}
	return err
}

// TLS is what redis-benchmark needs for it, nil for plaintext.
func (p *processes) TLS() *load.TLSFiles {
	c := p.opts.Certs
	if c == nil {
		return nil
	}
	return &load.TLSFiles{CA: c.file("ca.crt"), Cert: c.file("client-bench.crt"), Key: c.file("client-bench.key")}
}

// Restrict makes a user who may do with the keys of redis-benchmark what is not
// dangerous, and nothing else, and has the load be that one. addr is where to say so.
func (p *processes) Restrict(ctx context.Context, addr string) error {
	p.user = &load.User{Name: "bench", Password: "of-the-bench"}
	rules := []any{"ACL", "SETUSER", p.user.Name, "on", ">" + p.user.Password, "~key:*", "+@all", "-@dangerous", "-@admin"}
	return p.do(ctx, addr, rules...).Err()
}

// User is whom redis-benchmark is to be, nil for the default user.
func (p *processes) User() *load.User { return p.user }

// do runs one command on a server of the system.
func (p *processes) do(ctx context.Context, addr string, args ...any) *redis.Cmd {
	client := redis.NewClient(&redis.Options{
		Addr: addr, MaxRetries: -1, DialerRetries: 1, Protocol: 2, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		DialTimeout:              dialLimit, ReadTimeout: commandLimit, TLSConfig: p.secret,
	})
	defer client.Close()
	return client.Do(ctx, args...)
}

// get asks a server of the system over HTTP and returns the status.
func (p *processes) get(ctx context.Context, addrAndPath string) (status int, err error) {
	scheme, client := "http://", http.DefaultClient
	if p.secret != nil {
		trans := &http.Transport{TLSClientConfig: p.secret}
		defer trans.CloseIdleConnections()
		scheme, client = "https://", &http.Client{Transport: trans}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+addrAndPath, nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return res.StatusCode, nil
}
