package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCerts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	code, out, msg := inProcess(nil, "certs", "--dir", dir, "--node-id", "node1,node2", "--client", "app", "--host", "localhost")
	if code != exitOK || msg != "" {
		t.Fatalf("exit %d: %s", code, msg)
	}
	lines := strings.Fields(out)
	if len(lines) != 8 {
		t.Errorf("it names %q, want 8 files", lines)
	}
	for _, path := range lines {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	code, _, msg = inProcess(nil, "certs", "--dir", dir, "--node-id", "node1")
	if code != exitError || !strings.Contains(msg, "node1.crt exists already") {
		t.Errorf("again: exit %d, %q", code, msg)
	}
	if code, _, msg = inProcess(nil, "certs", "--dir", dir); code != exitUsage || !strings.Contains(msg, "say for whom") {
		t.Errorf("for nobody: exit %d, %q", code, msg)
	}
	if code, out, _ = inProcess(nil, "certs", "--help"); code != exitOK || !strings.Contains(out, "--node-id") {
		t.Errorf("--help: exit %d, %q", code, out)
	}
}

// TestCertificatesThatCannotBeUsed end the start with one line, before anything is
// touched on disk.
func TestCertificatesThatCannotBeUsed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	if code, _, msg := inProcess(nil, "certs", "--dir", dir, "--node-id", "node1", "--client", "app"); code != exitOK {
		t.Fatal(msg)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct{ id, cert, key, want string }{
		{"node1", "nowhere.crt", "node1.key", "nowhere.crt cannot be read"},
		{"node1", "ca.crt", "node1.key", "no certificate and its key"},
		{"node2", "node1.crt", "node1.key", `certificate of node "node1"`},
		{"app", "client-app.crt", "client-app.key", "not one of a node"},
	} {
		data := filepath.Join(t.TempDir(), "data")
		code, _, msg := inProcess(nil, "--node-id", c.id, "--data-dir", data, "--tls-cert-file", file(c.cert), "--tls-key-file", file(c.key), "--tls-ca-cert-file", file("ca.crt"))
		if code != exitError || !strings.Contains(msg, c.want) || strings.Count(msg, "\n") != 1 {
			t.Errorf("%s with %s: exit %d, %q, want one line with %q", c.id, c.cert, code, msg, c.want)
		}
		if _, err := os.Stat(data); err == nil {
			t.Errorf("%s with %s: it made a data directory", c.id, c.cert)
		}
	}
}
