package config

import (
	"strings"
	"testing"
)

func TestTLSSettings(t *testing.T) {
	all := []string{"--tls-cert-file", "c", "--tls-key-file", "k", "--tls-ca-cert-file", "a"}
	nodes := []string{"--tls-raft-cert-file", "rc", "--tls-raft-key-file", "rk", "--tls-raft-ca-cert-file", "ra"}
	both := append(append([]string{}, all...), nodes...)
	for _, c := range []struct {
		name          string
		args          []string
		clients, raft TLSFiles // zero: plaintext
	}{
		{"none", nil, TLSFiles{}, TLSFiles{}},
		{"one for all", all, TLSFiles{"c", "k", "a"}, TLSFiles{"c", "k", "a"}},
		{"each its own", both, TLSFiles{"c", "k", "a"}, TLSFiles{"rc", "rk", "ra"}},
		{"nodes only", nodes, TLSFiles{}, TLSFiles{"rc", "rk", "ra"}},
		{"another CA for nodes", append([]string{"--tls-raft-ca-cert-file", "ra"}, all...), TLSFiles{"c", "k", "a"}, TLSFiles{"c", "k", "ra"}},
		{"no CA for clients", []string{"--tls-cert-file", "c", "--tls-key-file", "k", "--tls-auth-clients", "no", "--tls-raft-ca-cert-file", "ra"}, TLSFiles{"c", "k", ""}, TLSFiles{"c", "k", "ra"}},
		{"on a network", append([]string{"--raft-addr", "10.1.2.3:8000"}, all...), TLSFiles{"c", "k", "a"}, TLSFiles{"c", "k", "a"}},
		{"on a network, nodes only", append([]string{"--raft-addr", "10.1.2.3:8000"}, nodes...), TLSFiles{}, TLSFiles{"rc", "rk", "ra"}},
	} {
		cfg, _, err := Parse(append([]string{"--node-id", "n"}, c.args...), environ(), nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		clients, withTLS := cfg.ClientFiles()
		raft, raftWithTLS := cfg.RaftFiles()
		if withTLS != (c.clients != TLSFiles{}) || raftWithTLS != (c.raft != TLSFiles{}) || withTLS && clients != c.clients || raftWithTLS && raft != c.raft {
			t.Errorf("%s: clients %v (%v), nodes %v (%v); want %v and %v", c.name, clients, withTLS, raft, raftWithTLS, c.clients, c.raft)
		}
		if cfg.RaftIsOpen() {
			t.Errorf("%s: the Raft port counts as open", c.name)
		}
	}
}

func TestTLSMistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--tls-cert-file c", "--tls-key-file is missing"},
		{"--tls-key-file k", "--tls-cert-file is missing"},
		{"--tls-raft-cert-file c", "--tls-raft-key-file is missing"},
		{"--tls-raft-key-file c", "--tls-raft-cert-file is missing"},
		{"--tls-cert-file c --tls-key-file k", "--tls-auth-clients no"},
		{"--tls-cert-file c --tls-key-file k --tls-auth-clients no", "--tls-raft-ca-cert-file"},
		{"--tls-cert-file c --tls-key-file k --tls-auth-clients optional --tls-raft-ca-cert-file a", "--tls-ca-cert-file is missing"},
		{"--tls-ca-cert-file a", "a CA alone makes no TLS"},
		{"--tls-auth-clients maybe", "--tls-auth-clients must be one of"},
		{"--raft-addr 10.1.2.3:8000", "--insecure-raft yes"},
		{"--raft-addr 0.0.0.0:8000 --raft-advertise h:8000", "--insecure-raft yes"},
		{"--join-token x", "--join is missing"},
	} {
		_, _, err := Parse(append([]string{"--node-id", "n"}, strings.Fields(c.args)...), environ(), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
	cfg, _, err := Parse([]string{"--node-id", "n", "--raft-addr", "10.1.2.3:8000", "--insecure-raft", "yes"}, environ(), nil)
	if err != nil || !cfg.RaftIsOpen() {
		t.Errorf("--insecure-raft yes: %v, want an open Raft port", err)
	}
}

func TestATokenIsShownNowhere(t *testing.T) {
	cfg, _, err := Parse([]string{"--node-id", "n", "--join", "h:1"}, environ("RAFTKV_JOIN_TOKEN=s3cret"), nil)
	if err != nil || string(cfg.JoinToken) != "s3cret" || cfg.JoinToken.String() != "(set)" {
		t.Errorf("%v: %q shows as %q", err, string(cfg.JoinToken), cfg.JoinToken)
	}
}

func TestParseCerts(t *testing.T) {
	c, _, err := ParseCerts([]string{"--dir", "d", "--node-id", "node1,node2", "--host", "db.example.com,10.0.0.1,fe80::1", "--client", "app", "--days", "30"}, nil)
	if err != nil || len(c.NodeIDs) != 2 || len(c.Hosts) != 3 || len(c.Clients) != 1 || c.Days != 30 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, c := range []struct{ args, want string }{
		{"--node-id n", "--dir"},
		{"--dir d", "say for whom"},
		{"--dir d --node-id ../n", "--node-id"},
		{"--dir d --client ../n", "--client"},
		{"--dir d --node-id n --host 0.0.0.0", "--host"},
		{"--dir d --node-id n --host a/b", "--host"},
		{"--dir d --node-id n --days 0", "--days"},
	} {
		if _, _, err := ParseCerts(strings.Fields(c.args), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
}
