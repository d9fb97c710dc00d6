package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/raftkv/raftkv/cluster/transport"
	"github.com/raftkv/raftkv/server"
	"github.com/raftkv/raftkv/server/certs"
	"github.com/raftkv/raftkv/server/config"
)

// runCerts makes a CA, and certificates for nodes and clients.
func runCerts(args []string, env environment) error {
	cfg, done, err := config.ParseCerts(args, env.stdout)
	if err != nil || done {
		return err
	}
	paths, err := certs.Make(certs.Order{Dir: cfg.Dir, Nodes: cfg.NodeIDs, Hosts: cfg.Hosts, Clients: cfg.Clients, Days: cfg.Days})
	if err != nil {
		return err
	}
	_, err = io.WriteString(env.stdout, strings.Join(paths, "\n")+"\n")
	return err
}

// secrets are a node's certificates.
type secrets struct {
	clients *certs.Store // nil where clients are spoken to in plaintext
	nodes   *certs.Store // nil where other nodes are; it may be the same as clients
}

// open loads what the configuration names.
func (s *secrets) open(cfg *config.Config, log *slog.Logger) (err error) {
	forClients, withTLS := cfg.ClientFiles()
	forNodes, raftWithTLS := cfg.RaftFiles()
	if withTLS {
		if s.clients, err = certs.Open(certs.Files(forClients), certs.Auth(cfg.TLSAuthClients), log); err != nil {
			return fmt.Errorf("TLS: %w", err)
		}
	}
	switch {
	case !raftWithTLS:
		return nil
	case withTLS && forNodes == forClients:
		s.nodes = s.clients
	default:
		if s.nodes, err = certs.Open(certs.Files(forNodes), certs.AuthNo, log); err != nil {
			return fmt.Errorf("TLS between nodes: %w", err)
		}
	}
	if err := s.nodes.CheckNode(cfg.NodeID); err != nil {
		return fmt.Errorf("TLS between nodes: %w", err)
	}
	return nil
}

// betweenNodes is what the Raft port speaks, nil for plaintext.
func (s *secrets) betweenNodes() *transport.TLS {
	if s.nodes == nil {
		return nil
	}
	return &transport.TLS{Accept: s.nodes.AcceptNode, Dial: s.nodes.DialNode, NodeOf: certs.NodeOf}
}

// shown is what CONFIG GET shows.
func (s *secrets) shown(cfg *config.Config) *server.TLSSettings {
	if s.clients == nil {
		return nil
	}
	return &server.TLSSettings{CertFile: cfg.TLSCertFile, KeyFile: cfg.TLSKeyFile, CACertFile: cfg.TLSCACertFile, AuthClients: cfg.TLSAuthClients}
}

// listenFor binds an address for clients; flag is the one that moves it.
func (p *process) listenFor(flag, addr string, words certs.Words) (net.Listener, error) {
	ln, err := listen(flag, addr)
	if err != nil {
		return nil, err
	}
	var secure *tls.Config
	if p.secrets.clients != nil {
		secure = p.secrets.clients.Clients()
	}
	return certs.NewPort(ln, secure, words, p.log), nil
}

// reload reads the certificates again at each SIGHUP, which ends no node: without
// TLS, and after an error, all goes on as it was.
func (p *process) reload(hangups <-chan os.Signal, ended <-chan struct{}) {
	for {
		select {
		case <-hangups:
		case <-ended:
			return
		}
		stores := map[*certs.Store]bool{p.secrets.clients: true, p.secrets.nodes: true}
		delete(stores, nil)
		if len(stores) == 0 {
			p.log.Info("SIGHUP: there are no certificates to load")
		}
		for s := range stores {
			if err := s.Reload(); err != nil {
				p.log.Error("SIGHUP: certificates not loaded; those loaded before stay in use", "error", err)
			}
		}
	}
}
