package cluster

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/server/certs"
)

// TestATLSNodeCountsAsAlive: recover asks without a certificate, and must not take a
// node for dead because it does not get an answer to its question.
func TestATLSNodeCountsAsAlive(t *testing.T) {
	dir := t.TempDir()
	if _, err := certs.Make(certs.Order{Dir: dir, Nodes: []string{"node1"}, Days: 1}); err != nil {
		t.Fatal(err)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	store, err := certs.Open(certs.Files{Cert: file("node1.crt"), Key: file("node1.key"), CA: file("ca.crt")}, certs.AuthNo, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	n, err := transport.New(transport.Config{
		Addr: "127.0.0.1:0", Self: transport.Identity{ID: "node1", Cluster: "X"}, Resolve: func(string) (string, bool) { return "", false },
		TLS: &transport.TLS{Accept: store.AcceptNode, Dial: store.DialNode, NodeOf: certs.NodeOf},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.Start()
	found, err := whoLives(context.Background(), []string{n.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := found[n.Addr()]; !ok || p.ID != "" {
		t.Errorf("found %v, want one at %s that does not say who it is", found, n.Addr())
	}
	n.Close()
	if found, err = whoLives(context.Background(), []string{n.Addr()}); err != nil || len(found) > 0 {
		t.Errorf("after its end: %v, %v", found, err)
	}
}
