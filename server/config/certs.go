package config

import (
	"io"
	"strings"
)

// Certs is the configuration of raftkv certs.
type Certs struct {
	Dir     string   `group:"node" required:"" placeholder:"DIR" type:"plain" help:"Directory for the files, NAME.crt and NAME.key each. If it has a ca.crt and a ca.key, that CA signs; otherwise one is made."`
	NodeIDs []string `group:"node" name:"node-id" placeholder:"ID" help:"Nodes that get a certificate, each good for the node of that id alone."`
	Hosts   []string `group:"addresses" name:"host" default:"localhost,127.0.0.1,::1" help:"Names and IP addresses at which clients find these nodes."`
	Clients []string `group:"clients" name:"client" placeholder:"NAME" help:"Clients that get a certificate, client-NAME.crt and .key, which opens the ports for clients and not the Raft port."`
	Days    int      `group:"other" default:"365" help:"How many days the certificates last. A CA that is made lasts 3650."`
	Help    bool     `group:"other" short:"h" help:"Print this help."`
}

const certsDescription = "Makes a CA, and certificates that it signs, for a start: of one CA for nodes and clients, with its key beside them. " +
	"Give each machine its node's NAME.crt, NAME.key and ca.crt, and keep ca.key elsewhere: whoever has it can make nodes. Nothing is ever replaced."

// ParseCerts reads the arguments of raftkv certs; as ParseLocal.
func ParseCerts(args []string, out io.Writer) (c *Certs, done bool, err error) {
	c = &Certs{}
	done, err = parseOffline(c, offline{"raftkv certs", certsDescription, out}, args)
	if err != nil || done {
		return c, done, err
	}
	for _, id := range c.NodeIDs {
		if err := CheckNodeID(id); err != nil {
			return nil, false, Usagef("--node-id: %v", err)
		}
	}
	for _, name := range c.Clients {
		if err := CheckNodeID(name); err != nil { // it becomes a file's name, too
			return nil, false, Usagef("--client: %s", strings.Replace(err.Error(), "a node id", "a client's name", 1))
		}
	}
	for _, h := range c.Hosts {
		if !validHost(h) || isWildcard(h) {
			return nil, false, Usagef("--host: %q is no host name or address that clients could connect to", h)
		}
	}
	if c.Days < 1 || c.Days > 3650 {
		return nil, false, Usagef("--days must be between 1 and 3650, not %d", c.Days)
	}
	if len(c.NodeIDs)+len(c.Clients) == 0 {
		return nil, false, Usagef("say for whom: --node-id node1,node2,node3 makes certificates for nodes, --client NAME for a client")
	}
	return c, false, nil
}
