package security

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/raftkv/raftkv/tests/cluster/proc"
)

// TestAClusterWithTLS: everything goes on with TLS on all ports: cluster clients,
// redirects over HTTP, a new leader, a node that comes back.
func TestAClusterWithTLS(t *testing.T) {
	t.Parallel()
	a := certs(t)
	c := a.cluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addrs(), TLSConfig: c.Nodes[0].TLS, ClusterStateReloadInterval: 250 * time.Millisecond, DialerRetries: 1, // see the README
	})
	defer client.Close()
	for _, key := range []string{"a", "b", "c"} {
		if err := client.Set(ctx, key, strings.Repeat(key, 100_000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	follower := c.Follower()
	httpClient, done := follower.HTTPClient()
	defer done()
	res, err := httpClient.Get(follower.URL("/key/a"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.Contains(string(body), "aaaa") {
		t.Errorf("GET at a follower: %s, %.80s", res.Status, body)
	}
	put, err := http.NewRequestWithContext(ctx, http.MethodPut, follower.URL("/key/web"), strings.NewReader(`{"value": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if res, err = httpClient.Do(put); err != nil { // by way of the leader's URL
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Request.URL.Scheme != "https" || res.Request.URL.Host == follower.HTTP {
		t.Errorf("PUT at a follower: %s from %s", res.Status, res.Request.URL)
	}
	old := c.Leader()
	old.Kill()
	for _, key := range []string{"a", "b", "c"} {
		proc.Eventually(t, patience, "a read after the leader's death", func() error {
			got, err := client.Get(ctx, key).Result()
			if err == nil && got != strings.Repeat(key, 100_000) {
				t.Errorf("%s has %d bytes", key, len(got))
			}
			return err
		})
	}
	old.Start()
	c.WaitVoters(3)
	c.WaitCaughtUp(old)
	config := c.Leader().MustDo("CONFIG", "GET", "tls-*").(map[any]any)
	if config["tls-port"] == "0" || config["tls-auth-clients"] != "yes" || !strings.HasSuffix(config["tls-cert-file"].(string), ".crt") {
		t.Errorf("CONFIG GET tls-*: %v", config)
	}
}

// TestClientsWithoutACertificate: who cannot show one of the CA gets nowhere, whatever
// is asked for.
func TestClientsWithoutACertificate(t *testing.T) {
	t.Parallel()
	a, foreign := certs(t), certs(t)
	a.sign(t, "late", expired(""))
	c := a.cluster(t)
	w := before(t, c)
	for _, try := range []struct {
		name   string
		config *tls.Config
	}{
		{"no certificate", a.client(t)},
		{"a certificate of another CA", mixed(t, a, foreign)},
		{"an expired certificate", a.client(t, "late")},
		{"TLS 1.1, a good certificate", old(t, a)},
	} {
		w.attack(t, withTLS, try.name, func(t *testing.T) (string, string) {
			if err := clientOf(t, w.leader.RESP, try.config).Ping(ctx).Err(); err == nil {
				t.Error("PONG")
			}
			web := &http.Client{Transport: &http.Transport{TLSClientConfig: try.config}}
			if res, err := web.Get(w.leader.URL("/healthz")); err == nil {
				res.Body.Close()
				t.Errorf("HTTP %s", res.Status)
			}
			web.CloseIdleConnections()
			logged(t, w.leader, "a client's TLS handshake failed", "port=resp")
			logged(t, w.leader, "a client's TLS handshake failed", "port=http")
			return "PING, and GET /healthz over HTTPS", "no handshake; logs: a client's TLS handshake failed"
		})
	}
}

// withTLS is where the ports for clients are attacked.
const withTLS = "client ports, TLS"

// old is a client whose certificate is good and whose TLS is too old.
func old(t *testing.T, a authority) *tls.Config {
	c := a.client(t, "client-app")
	c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	return c
}

// mixed is a client that believes one CA and shows the certificate of another.
func mixed(t *testing.T, a, foreign authority) *tls.Config {
	c := a.client(t)
	c.GetClientCertificate = foreign.client(t, "client-app").GetClientCertificate
	return c
}

// TestPlaintextOnATLSPort, and TLS on a port of plaintext: both sides learn it.
func TestPlaintextOnATLSPort(t *testing.T) {
	t.Parallel()
	a := certs(t)
	n := a.node(t, "node1").Start().WaitReady(patience)
	for _, c := range []struct{ name, addr, say, want string }{
		{"RESP", n.RESP, "*1\r\n$4\r\nPING\r\n", "-ERR this port speaks TLS only"},
		{"inline", n.RESP, "PING\r\n", "-ERR this port speaks TLS only"},
		{"HTTP", n.HTTP, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
	} {
		alone(t, withTLS, "plaintext: "+c.name, func(t *testing.T) (string, string) {
			got := speak(t, c.addr, c.say)
			if !strings.HasPrefix(got, c.want) || !strings.Contains(got, "TLS") {
				t.Errorf("%q, want %q", got, c.want)
			}
			first, _, _ := strings.Cut(got, "\r\n")
			return fmt.Sprintf("%q", c.say), first
		})
	}
	logged(t, n, "a client speaks plaintext, and this port only TLS", "port=resp")
	logged(t, n, "a client speaks plaintext, and this port only TLS", "port=http")

	plain := proc.NewNode(t, "node2").Start().WaitReady(patience)
	if err := clientOf(t, plain.RESP, a.client(t, "client-app")).Ping(ctx).Err(); err == nil || !strings.Contains(err.Error(), "does not look like a TLS handshake") {
		t.Errorf("TLS on a plaintext port: %v", err)
	}
	logged(t, plain, "a client speaks TLS, and this port does not", "port=resp")
	if got := plain.MustDo("PING"); got != "PONG" {
		t.Errorf("PING: %v", got)
	}
}

// speak sends raw bytes and returns all that comes back.
func speak(t *testing.T, addr, say string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte(say)); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c) // up to a reset, too
	return string(got)
}

// TestCertificatesChangeWithoutARestart: a replaced file counts for the next
// connections, by itself and on SIGHUP, which ends no node.
func TestCertificatesChangeWithoutARestart(t *testing.T) {
	t.Parallel()
	a, fresh := certs(t), certs(t)
	n := a.node(t, "node1").Start().WaitReady(patience)
	pid := n.PID()
	before := serial(t, n)
	// Another certificate of the same CA, for the same node.
	renewed := certs(t)
	for _, name := range []string{"ca.crt", "ca.key"} {
		replace(t, a.file(name), renewed.file(name))
	}
	for _, name := range []string{"node1.crt", "node1.key"} {
		if err := os.Remove(renewed.file(name)); err != nil {
			t.Fatal(err)
		}
	}
	renewed.make(t, "--node-id", "node1")
	replace(t, renewed.file("node1.crt"), a.file("node1.crt"))
	replace(t, renewed.file("node1.key"), a.file("node1.key"))
	proc.Eventually(t, patience, "the new certificate is shown", func() error {
		if serial(t, n) == before {
			return os.ErrExist
		}
		return nil
	})
	// Now a file that is none: the node says so and goes on with what it has.
	if err := os.WriteFile(a.file("node1.crt"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.Signal(syscall.SIGHUP)
	logged(t, n, "SIGHUP: certificates not loaded")
	replace(t, renewed.file("node1.crt"), a.file("node1.crt"))
	n.Signal(syscall.SIGHUP)
	logged(t, n, "certificates loaded")
	if n.MustDo("PING") != "PONG" || n.PID() != pid {
		t.Error("the node was restarted")
	}
	// Another CA: whoever has a certificate of the former one is a stranger from now on.
	for _, name := range []string{"node1.crt", "node1.key", "ca.crt"} {
		replace(t, fresh.file(name), a.file(name))
	}
	n.Signal(syscall.SIGHUP)
	proc.Eventually(t, patience, "clients of the new CA are served", func() error {
		return clientOf(t, n.RESP, fresh.client(t, "client-app")).Ping(ctx).Err()
	})
	stranger := fresh.client(t)
	stranger.GetClientCertificate = renewed.client(t, "client-app").GetClientCertificate
	if err := clientOf(t, n.RESP, stranger).Ping(ctx).Err(); err == nil {
		t.Error("a client of another CA is served")
	}
}

// serial is the number of the certificate that a node shows now.
func serial(t *testing.T, n *proc.Node) string {
	t.Helper()
	c, err := tls.Dial("tcp", n.RESP, &tls.Config{InsecureSkipVerify: true, GetClientCertificate: n.TLS.GetClientCertificate})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// replace puts a copy of a file in another one's place, at once as rename does.
func replace(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(to+".new", to)
	}
	if err != nil {
		t.Fatal(err)
	}
}
