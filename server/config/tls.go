package config

// TLS are the settings of encryption and of who may join. The names that Redis has
// mean what they do there, but for one thing: with a certificate a port speaks TLS
// and nothing else.
type TLS struct {
	TLSCertFile       string `group:"tls" name:"tls-cert-file" placeholder:"FILE" type:"plain" help:"Certificate (PEM, with its chain). With it Redis clients, HTTP and the other nodes are spoken to by TLS only. A changed file counts within a second of the next connection, or on SIGHUP. raftkv certs makes some for a start."`
	TLSKeyFile        string `group:"tls" name:"tls-key-file" placeholder:"FILE" type:"plain" help:"Its private key (PEM)."`
	TLSCACertFile     string `group:"tls" name:"tls-ca-cert-file" placeholder:"FILE" type:"plain" help:"Certificates (PEM) of the CAs that clients' and other nodes' certificates must come from."`
	TLSAuthClients    string `group:"tls" name:"tls-auth-clients" enum:"yes,no,optional" default:"yes" help:"Whether clients of Redis and HTTP must show a certificate: yes, no, or optional, which refuses a wrong one."`
	TLSRaftCertFile   string `group:"tls" name:"tls-raft-cert-file" placeholder:"FILE" type:"plain" help:"Another certificate for the other nodes (default: --tls-cert-file). It must be good for servers and clients both."`
	TLSRaftKeyFile    string `group:"tls" name:"tls-raft-key-file" placeholder:"FILE" type:"plain" help:"Its private key."`
	TLSRaftCACertFile string `group:"tls" name:"tls-raft-ca-cert-file" placeholder:"FILE" type:"plain" help:"CAs of the other nodes' certificates (default: --tls-ca-cert-file)."`
	InsecureRaft      string `group:"tls" enum:"yes,no" default:"no" help:"yes lets the other nodes be spoken to without TLS beyond this machine: whoever reaches the Raft port is a member then."`
	JoinToken         Secret `group:"tls" placeholder:"TOKEN" help:"What RAFT.TOKEN CREATE returned on a member, to be let in by --join; it counts once. Better given by environment or file: other users of the machine can read flags."`
}

// TLSFiles are the paths of a certificate, its key, and the CAs to check others by.
type TLSFiles struct{ Cert, Key, CA string }

// ClientFiles are the files of the ports for clients; ok is false where those speak
// plaintext.
func (t *TLS) ClientFiles() (f TLSFiles, ok bool) {
	return TLSFiles{Cert: t.TLSCertFile, Key: t.TLSKeyFile, CA: t.TLSCACertFile}, t.TLSCertFile != ""
}

// RaftFiles are those of the Raft port.
func (t *TLS) RaftFiles() (f TLSFiles, ok bool) {
	f, ok = t.ClientFiles()
	if t.TLSRaftCertFile != "" {
		f.Cert, f.Key, ok = t.TLSRaftCertFile, t.TLSRaftKeyFile, true
	}
	if t.TLSRaftCACertFile != "" {
		f.CA = t.TLSRaftCACertFile
	}
	return f, ok
}

// checkTLS refuses what cannot work together.
func (c *Config) checkTLS() error {
	for _, pair := range [][4]string{
		{"--tls-cert-file", c.TLSCertFile, "--tls-key-file", c.TLSKeyFile},
		{"--tls-raft-cert-file", c.TLSRaftCertFile, "--tls-raft-key-file", c.TLSRaftKeyFile},
	} {
		if pair[1] != "" && pair[3] == "" {
			return Usagef("%s is missing: it is the private key of %s %s", pair[2], pair[0], pair[1])
		}
		if pair[1] == "" && pair[3] != "" {
			return Usagef("%s is missing: %s is the private key of one", pair[0], pair[2])
		}
	}
	clients, withTLS := c.ClientFiles()
	nodes, raftWithTLS := c.RaftFiles()
	switch {
	case !raftWithTLS && (c.TLSCACertFile != "" || c.TLSRaftCACertFile != ""):
		return Usagef("--tls-cert-file and --tls-key-file are missing: a CA alone makes no TLS")
	case withTLS && clients.CA == "" && c.TLSAuthClients != "no":
		return Usagef("--tls-ca-cert-file is missing: it is what clients' certificates are checked by; without them say --tls-auth-clients no")
	case raftWithTLS && nodes.CA == "":
		return Usagef("--tls-ca-cert-file is missing: it is what the other nodes' certificates are checked by (or --tls-raft-ca-cert-file for them alone)")
	}
	if host, _, err := splitAddress(c.RaftAddr); err == nil && !raftWithTLS && c.InsecureRaft != "yes" {
		if loopback, err := isLoopback(host); err == nil && !loopback {
			return Usagef("--raft-addr %s can be reached from other machines, and without TLS whoever reaches it is a member: set --tls-cert-file, --tls-key-file and --tls-ca-cert-file, or allow it with --insecure-raft yes", c.RaftAddr)
		}
	}
	if c.JoinToken != "" && len(c.Join) == 0 {
		return Usagef("--join is missing: --join-token is for a node that joins a cluster")
	}
	return nil
}

// RaftIsOpen says whether other machines reach the Raft port without TLS.
func (c *Config) RaftIsOpen() bool {
	if _, ok := c.RaftFiles(); ok {
		return false
	}
	host, _, err := splitAddress(c.RaftAddr)
	if err != nil {
		return false
	}
	loopback, err := isLoopback(host)
	return err == nil && !loopback
}
